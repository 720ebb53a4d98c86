"""The interactive message that opens a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages import _fields as field
from airflow_provider_whatsapp.client.messages._base import model, without_empty
from airflow_provider_whatsapp.client.messages.interactive import (
    BODY_LIMIT,
    FOOTER_LIMIT,
    Interactive,
    header_part,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_whatsapp.client.messages.interactive import Header


def _data(value: object, path: str, doc: str) -> Mapping[str, Any]:
    found = _checks.mapping(value, path, doc)
    if not found:
        raise PayloadError("is empty", field=path, doc=doc, advice="Fill it or leave it out.")
    return found


@model("flow", doc="Sending flows")
class Flow(Interactive):
    """
    A text with a button that opens a flow.

    :param body: 1 to 1024 characters.
    :param flow_cta: Label of the button; Meta advises up to 30 characters without emoji.
    :param flow_id: ID of the flow.
    :param flow_name: Name of the flow, instead of ``flow_id``.
    :param mode: ``published``, or ``draft`` for tests.
    :param flow_token: Your own token, returned with the answer; Meta's default is ``unused``.
    :param flow_action: ``navigate`` opens a screen, ``data_exchange`` asks the flow's endpoint for the screen.
    :param screen: First screen, with ``navigate`` only; Meta's default is ``FIRST_ENTRY_SCREEN``.
    :param data: Data for that screen, with ``navigate`` only; not empty.
    :param header: A text of up to 60 characters, or an image, video or document.
    :param footer: Up to 60 characters.
    """

    body: str = field.text(BODY_LIMIT)
    flow_cta: str = field.text()
    flow_id: str | None = field.text(default=None)
    flow_name: str | None = field.text(default=None)
    mode: str = field.choice("published", "draft", default="published")
    flow_token: str | None = field.text(default=None)
    flow_action: str = field.choice("navigate", "data_exchange", default="navigate")
    screen: str | None = field.text(default=None)
    data: Mapping[str, Any] | None = field.checked(_data, default=None)
    header: Header | None = field.checked(header_part, default=None)
    footer: str | None = field.text(FOOTER_LIMIT, default=None)

    def check(self) -> None:
        """Check that exactly one flow is named, and that no field is given that the flow's endpoint decides."""
        advice = "Give the one that WhatsApp Manager shows for the flow."
        self._exactly_one("flow_id", "flow_name", advice=advice)
        if self.flow_action == "data_exchange" and (self.screen or self.data):
            raise PayloadError(
                "cannot be combined with data_exchange",
                field="flow.screen" if self.screen else "flow.data",
                limit="navigate only",
                doc=self.doc,
                advice="Leave screen and data out: the flow's endpoint gives them.",
            )

    def action(self) -> dict[str, Any]:
        """Return the action object."""
        payload = without_empty({"screen": self.screen, "data": self.data})
        parameters = {
            "flow_message_version": "3",
            "flow_id": self.flow_id,
            "flow_name": self.flow_name,
            "flow_cta": self.flow_cta,
            "mode": None if self.mode == "published" else self.mode,
            "flow_token": self.flow_token,
            "flow_action": self.flow_action if payload or self.flow_action != "navigate" else None,
            "flow_action_payload": payload or None,
        }
        return {"name": "flow", "parameters": without_empty(parameters)}
