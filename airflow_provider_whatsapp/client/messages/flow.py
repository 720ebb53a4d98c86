"""The interactive message that opens a flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages.interactive import Interactive, header_part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_whatsapp.client.messages.interactive import Header


@dataclass(frozen=True, slots=True)
class Flow(Interactive):
    """
    A text with a button that opens a flow.

    :param body: 1 to 1024 characters.
    :param flow_cta: Label of the button; Meta advises up to 30 characters without emoji.
    :param flow_id: The flow's id.
    :param flow_name: The flow's name, instead of ``flow_id``.
    :param mode: ``published``, or ``draft`` for trying it out.
    :param flow_token: Your own token, returned with the answer; Meta's default is ``unused``.
    :param flow_action: ``navigate`` opens a screen, ``data_exchange`` asks the flow's endpoint which.
    :param screen: First screen, with ``navigate`` only; Meta's default is ``FIRST_ENTRY_SCREEN``.
    :param data: Data for that screen, with ``navigate`` only; not empty.
    :param header: A text of up to 60 characters, or an image, video or document.
    :param footer: Up to 60 characters.
    """

    kind: ClassVar[str] = "flow"
    doc: ClassVar[str] = "Sending flows"

    body: str
    flow_cta: str
    flow_id: str | None = None
    flow_name: str | None = None
    mode: str = "published"
    flow_token: str | None = None
    flow_action: str = "navigate"
    screen: str | None = None
    data: Mapping[str, Any] | None = None
    header: Header | None = None
    footer: str | None = None

    def __post_init__(self) -> None:
        self.check_texts(self.body, self.footer)
        _checks.put(self, "header", header_part(self.header, "flow.header", doc=self.doc))
        _checks.required_text(self.flow_cta, "flow.flow_cta", doc=self.doc)
        if bool(self.flow_id) == bool(self.flow_name):
            raise PayloadError(
                "has both flow_id and flow_name" if self.flow_id else "needs flow_id or flow_name",
                field="flow",
                limit="exactly one of flow_id, flow_name",
                doc=self.doc,
                advice="Give the one that WhatsApp Manager shows for the flow.",
            )
        for name in ("flow_id", "flow_name", "flow_token", "screen"):
            _checks.optional_text(getattr(self, name), f"flow.{name}", doc=self.doc)
        _checks.choice(self.mode, "flow.mode", ("published", "draft"), doc=self.doc)
        _checks.choice(self.flow_action, "flow.flow_action", ("navigate", "data_exchange"), doc=self.doc)
        self._check_payload()

    def _check_payload(self) -> None:
        if self.data is not None:
            _checks.mapping(self.data, "flow.data", doc=self.doc)
            if not self.data:
                raise PayloadError(
                    "is empty", field="flow.data", doc=self.doc, advice="Fill it or leave it out."
                )
        if self.flow_action == "data_exchange" and (self.screen or self.data):
            raise PayloadError(
                "cannot go with data_exchange",
                field="flow.screen" if self.screen else "flow.data",
                limit="navigate only",
                doc=self.doc,
                advice="Leave screen and data out: the flow's endpoint gives them.",
            )

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        parameters = _checks.without_empty(
            {
                "flow_message_version": "3",
                "flow_id": self.flow_id,
                "flow_name": self.flow_name,
                "flow_cta": self.flow_cta,
                "mode": None if self.mode == "published" else self.mode,
                "flow_token": self.flow_token,
            }
        )
        payload = _checks.without_empty({"screen": self.screen, "data": self.data})
        if payload or self.flow_action != "navigate":
            parameters["flow_action"] = self.flow_action
        if payload:
            parameters["flow_action_payload"] = payload
        action = {"name": "flow", "parameters": parameters}
        return self.wrap(action, header=self.header, body=self.body, footer=self.footer)
