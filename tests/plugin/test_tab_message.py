"""The message in the tab as the phone shows it, from the rendered fields and the template."""

from __future__ import annotations

import pytest

COMPONENTS = [
    {"type": "HEADER", "format": "DOCUMENT"},
    {"type": "BODY", "text": "Dear {{1}}, see {{2}}."},
    {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Thanks"}]},
]
NAMED = [{"type": "BODY", "text": "Dear {{name}}, see {{what}}."}]


class TestPhone:
    """What the phone shows, from the rendered fields and the template."""

    def show(self, fields, components=COMPONENTS):
        from airflow_provider_whatsapp.plugin.phone import phone

        fields = {"to": "15•••1111", "template_name": "t", "language": "en_US", **fields}
        return phone(fields, {"components": components})

    def test_values_where_the_task_shows_them(self):
        fields = {"log_pii": True, "body": ["Ana", "*it*"], "header": "/srv/of/others/report.pdf"}
        bubble = self.show(fields).bubble

        assert bubble.body.striptags() == "Dear Ana, see it."
        assert [each.title for each in bubble.attachments] == ["report.pdf"]
        assert [each.text for each in bubble.buttons] == ["Thanks"]
        assert bubble.label == "t · en_US"

    @pytest.mark.parametrize("log_pii", [False, "False", "no", None, "•••", 7], ids=str)
    def test_names_where_it_does_not(self, log_pii):
        seen = self.show({"log_pii": log_pii, "body": ["Ana", "{order}"], "header": "/srv/Ana.pdf"})

        assert seen.bubble.body == "Dear {{1}}, see {order}."
        assert "Ana" not in str(seen)
        assert "log_pii=True" in seen.notes[0]

    def test_named_variables(self):
        hidden = self.show({"body": {"name": "•••", "what": "{order}"}}, NAMED)
        shown = self.show({"log_pii": "true", "body": {"name": "Ana", "what": "{order}"}}, NAMED)

        assert hidden.bubble.body == "Dear {{name}}, see {order}."
        assert shown.bubble.body == "Dear Ana, see {order}."

    @pytest.mark.parametrize(
        "fields",
        [
            {"body": "Truncated. You can change this"},
            {"body": 7},
            {"buttons": [{"x": 1}]},
            {"components": [{}]},
        ],
        ids=["cut", "number", "button", "json"],
    )
    @pytest.mark.parametrize(
        "components", [COMPONENTS, NAMED, [{"type": "BODY"}], [{"type": 1, "text": None}]], ids=range(4)
    )
    def test_what_does_not_fit_is_shown_as_the_template_or_not_at_all(self, fields, components):
        assert self.show({"log_pii": True, **fields}, components) is not None

    @pytest.mark.parametrize(
        ("fields", "text"),
        [
            ({"text": "Hello"}, "Hello"),
            ({"media": "/srv/a/sales.pdf", "caption": "See this"}, "See this"),
            ({"message": {"type": "text", "body": "Hi"}}, "Hi"),
        ],
        ids=["text", "media", "message"],
    )
    def test_messages_without_a_template(self, fields, text):
        from airflow_provider_whatsapp.plugin.phone import phone

        shown = phone({"to": "1", "log_pii": True, **fields}, None)
        hidden = phone({"to": "1", **fields}, None)

        assert shown.bubble.body == text
        assert hidden.bubble is None
        assert "log_pii=True" in hidden.notes[0]
