from __future__ import annotations

import json
import re

import pytest

from airflow_provider_whatsapp.message_templates.documents import TemplateFileError, dump
from airflow_provider_whatsapp.message_templates.files import load, load_data
from airflow_provider_whatsapp.message_templates.pull import template_data

GOOD = """\
name: pipeline_late
category: UTILITY
parameters:
  dag_id: {example: daily_orders}
  minutes: {example: "45"}
languages:
  en_US:
    header: {text: Pipeline late}
    body: |-
      The run of {{dag_id}} is {{minutes}} minutes late.
    footer: Data platform
    buttons:
      - {type: url, text: Open run, url: "https://airflow.example.com/{{1}}", example: dags/daily_orders}
  pt_BR: {body: "A execução de {{dag_id}} está {{minutes}} minutos atrasada."}
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="t.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refused(path):
    with pytest.raises(TemplateFileError) as caught:
        load(path)
    return str(caught.value)


def test_the_short_form_becomes_graph_s_components(write):
    definitions = load(write(GOOD)).definitions

    assert list(definitions) == [("pipeline_late", "en_US"), ("pipeline_late", "pt_BR")]
    assert definitions["pipeline_late", "en_US"].create_payload() == {
        "name": "pipeline_late",
        "language": "en_US",
        "category": "UTILITY",
        "parameter_format": "NAMED",
        "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Pipeline late"},
            {
                "type": "BODY",
                "text": "The run of {{dag_id}} is {{minutes}} minutes late.",
                "example": {
                    "body_text_named_params": [
                        {"param_name": "dag_id", "example": "daily_orders"},
                        {"param_name": "minutes", "example": "45"},
                    ]
                },
            },
            {"type": "FOOTER", "text": "Data platform"},
            {
                "type": "BUTTONS",
                "buttons": [
                    {
                        "type": "URL",
                        "text": "Open run",
                        "url": "https://airflow.example.com/{{1}}",
                        "example": ["dags/daily_orders"],
                    }
                ],
            },
        ],
    }


def test_numbered_variables(write):
    text = (
        "name: a\ncategory: UTILITY\nparameters: {1: {example: 7}, 2: {example: x}}\n"
        "languages: {en: {body: 'a {{2}} b {{1}} c d'}}"
    )
    (definition,) = load(write(text)).definitions.values()

    assert definition.parameter_format == "POSITIONAL"
    assert definition.components[0]["example"] == {"body_text": [["7", "x"]]}


@pytest.mark.parametrize("example", ["12", "08", "49.90", "1e3", "+49", "-0", ".5", "2026-11-01", "no"])
def test_an_example_is_sent_as_it_is_written(write, example):
    text = f"name: a\ncategory: UTILITY\nparameters: {{'1': {{example: {example}}}}}\n"
    path = write(text + "languages: {en_US: {body: 'From {{1}} on'}}\n")

    (definition,) = load(path).definitions.values()

    assert definition.components[0]["example"] == {"body_text": [[example]]}
    assert f"example: '{example}'" in dump(template_data([definition]))


def test_a_folder_holds_files_of_all_kinds(write, tmp_path):
    one = "name: {0}\ncategory: UTILITY\nlanguages: {{en: {{body: Hello {0}}}}}\n"
    write(one.format("one"), "a.yaml")
    write(one.format("two") + "---\n" + one.format("three"), "deep/b.yml")
    four = {"name": "four", "category": "UTILITY", "languages": {"en": {"body": "\U0001f600 hi\tthere"}}}
    write(json.dumps([four], indent="\t"), "deep/c.json")
    write(
        "templates:\n  - " + one.format("five").replace("\n", "\n    ") + "\nprune: {prefixes: [old_]}",
        "d.yaml",
    )
    write("nonsense: [", ".hidden/e.yaml")
    write("nonsense: [", "notes.txt")

    found = load(tmp_path)
    assert {name for name, _ in found.definitions} == {"one", "two", "three", "four", "five"}
    assert found.definitions["four", "en"].components[0]["text"] == "\U0001f600 hi\tthere"
    assert found.covers("old_one")
    assert found.covers("four")
    assert not found.covers("other")


MISTAKES = [
    (
        GOOD.replace("      The run of {{dag_id}}", "      {{dag_id}}"),
        9,
        "does not start with a variable.*2388299",
    ),
    (GOOD.replace(" minutes late.", ""), 9, "does not end with a variable"),
    (GOOD.replace("footer:", "foter:"), 11, "unknown key 'foter'; did you mean 'footer'"),
    (
        GOOD.replace("{text: Pipeline late}", "{text: 7}"),
        8,
        'text must be a text, not a number; quote it: "7"',
    ),
    (GOOD.replace("Pipeline late", "x" * 61), 8, "61 characters, 60"),
    (GOOD.replace("Pipeline late", "_bold_"), 8, "none of"),
    (GOOD.replace("footer: Data platform", "footer: Data {{dag_id}}"), 11, "footer has no variables"),
    (GOOD.replace("type: url", "type: link"), 13, "'link' is not a type of button"),
    (GOOD.replace(", example: dags/daily_orders", ""), 13, "needs an example"),
    (GOOD.replace("/{{1}}", "/{{1}}/log"), 13, "at its end"),
    (GOOD.replace("text: Open run", f"text: {'x' * 26}"), 13, "26 characters, 25"),
    (GOOD.replace("{example: daily_orders}", "{}"), 4, "example is missing"),
    (GOOD.replace("  minutes: ", "  minute: "), 9, "{{minutes}} has no example"),
    (
        GOOD.replace("  minutes: ", "  spare: {example: a}\n  minutes: "),
        5,
        "'spare' is declared, but no text uses",
    ),
    (GOOD.replace("UTILITY", "utility"), 2, "'utility' is not a category; did you mean 'UTILITY'"),
    (GOOD.replace("pipeline_late", "Pipeline-Late"), 1, "2388046"),
    (GOOD.replace("en_US", "en-US"), 7, "'en-US' is not a language code"),
    (GOOD.replace("  pt_BR", "  en_US"), 14, "'en_US' appears twice here"),
    (GOOD.replace("category: UTILITY\n", ""), 1, "category is missing"),
    (GOOD.replace("pt_BR: {body:", "pt_BR: {text:"), 14, "unknown key 'text'"),
    (GOOD.replace("run of {{dag_id}}", "run of {{1}}"), 9, "not both"),
    (GOOD.replace("run of {{dag_id}}", "run of {{dag_id}"), 9, "braces do not close"),
    (GOOD.replace("is {{", "{{"), 9, "side by side"),
    (GOOD.replace("The run of", "The\n\n\n\n      run of"), 9, "new lines"),
    (GOOD.replace("The run of", "\U0001f600" * 11 + " of"), 9, "emojis"),
    (GOOD.replace("The run of", "x" * 1024), 9, "1024 are allowed"),
    (
        GOOD.replace("category: UTILITY", "category: UTILITY\nmessage_send_ttl_seconds: 5"),
        3,
        "allows 30 to 43200",
    ),
    (
        GOOD.replace("    footer: Data platform\n", "    components: [{type: BODY}]\n"),
        8,
        "components replace header",
    ),
    (
        GOOD.replace("{text: Pipeline late}", "{image: missing.png}"),
        7,
        "the sample missing.png is not a file",
    ),
    (GOOD.replace('"A exec', "{{A exec"), 14, "is not YAML.*needs quotes"),
    (GOOD.replace("UTILITY", "AUTHENTICATION"), 14, "one button, of type otp"),
    (GOOD + "languages: {}\n", 15, "appears twice here"),
    ("- 5\n", 1, "must be a mapping, not a number"),
    ("", 0, "there are no templates"),
    ("templates: []\nprun: {}", 2, "did you mean 'prune'"),
    ("prune: {prefixes: old_}", 1, "prefixes must be a list"),
    ("name: !!python/object:os.system a", 1, "tag"),
]


@pytest.mark.parametrize(("text", "line", "words"), MISTAKES, ids=[case[2] for case in MISTAKES])
def test_mistakes_are_told_with_file_and_line(write, text, line, words):
    path = write(text)
    said = refused(path)

    place = re.escape(f"{path}:{line}" if line else str(path))
    assert re.search(f"{place}: .*{words}", said), said


def test_all_mistakes_are_told_at_once(write, tmp_path):
    write(GOOD.replace("footer:", "foter:").replace("UTILITY", "UTIL"), "a.yaml")
    write("{", "b.json")

    said = refused(tmp_path)
    assert "a.yaml:11" in said
    assert "b.json:1: is not JSON" in said


def test_a_template_defined_twice_is_refused(write, tmp_path):
    write(GOOD, "a.yaml")
    write(GOOD, "b.yaml")

    assert f"pipeline_late in en_US is already defined at {tmp_path / 'a.yaml'}:7" in refused(tmp_path)


def test_mistakes_in_data_are_told_with_their_keys():
    data = {"name": "a", "category": "UTILITY", "languages": {"en": {"bodi": "x"}}}
    with pytest.raises(TemplateFileError, match=r"templates\[0\].languages.en.bodi: unknown key 'bodi'"):
        load_data([data])


@pytest.mark.parametrize(
    ("components", "words"),
    [
        ([{"type": "FOOTER", "text": "a"}], "needs a body"),
        ([{"type": "BODY", "text": "a"}, {"type": "BODY", "text": "b"}], "one BODY"),
        ([{"type": "BODY", "text": "a {{1}} b"}], "has no example"),
        ([{"type": "BODY", "text": "a {{2}} b", "example": {"body_text": [["x"]]}}], "without a gap"),
        ([{"type": "HEADER", "format": "PICTURE"}, {"type": "BODY", "text": "a"}], "format must be one of"),
        ([{"type": "BODY", "text": "a"}, {"type": "CAROUSEL", "cards": []}], "2 to 10 cards"),
        (
            [
                {"type": "BODY", "text": "a"},
                {
                    "type": "CAROUSEL",
                    "cards": [
                        {"components": [{"type": "BODY", "text": "x" * 161}]},
                        {
                            "components": [
                                {"type": "HEADER", "format": "IMAGE"},
                                {"type": "BODY", "text": "b"},
                            ]
                        },
                    ],
                },
            ],
            "161 characters, 160(.|\n)*same components",
        ),
        (
            [
                {"type": "BODY", "text": "a"},
                {
                    "type": "BUTTONS",
                    "buttons": [
                        {"type": "QUICK_REPLY", "text": "a"},
                        {"type": "URL", "text": "b", "url": "https://x.example"},
                        {"type": "QUICK_REPLY", "text": "c"},
                        {"type": "PHONE_NUMBER", "text": "d", "phone_number": "1"},
                        {"type": "PHONE_NUMBER", "text": "e", "phone_number": "2"},
                    ],
                },
            ],
            "1 PHONE_NUMBER button at most(.|\n)*quick replies stand together",
        ),
        (
            [
                {"type": "BODY", "text": "a"},
                {"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "x" * 17}},
            ],
            "17 characters, 16",
        ),
    ],
)
def test_limits_of_graph_s_own_components(components, words):
    data = {"name": "a", "category": "MARKETING", "languages": {"en": {"components": components}}}
    with pytest.raises(TemplateFileError, match=words):
        load_data([data])


@pytest.mark.parametrize(
    ("button", "words"),
    [
        ({"type": "otp", "otp_type": "tap"}, "otp_type of copy_code"),
        (
            {"type": "otp", "otp_type": "zero_tap", "zero_tap_terms_accepted": False},
            "zero_tap_terms_accepted: true",
        ),
        (
            {
                "type": "otp",
                "otp_type": "one_tap",
                "supported_apps": [{"package_name": "a", "signature_hash": "b"}],
            },
            "signature_hash of 11",
        ),
    ],
)
def test_limits_of_otp_buttons(button, words):
    content = {"body": {"add_security_recommendation": True}, "buttons": [button]}
    with pytest.raises(TemplateFileError, match=words):
        load_data([{"name": "a", "category": "AUTHENTICATION", "languages": {"en": content}}])


def test_a_bomb_of_aliases_is_refused(write):
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9))

    assert "too large" in refused(write(f"l0: &l0 [a]\n{levels}\n"))
