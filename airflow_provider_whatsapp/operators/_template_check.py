"""Checks templates before sending: whether the account has them and may send; and makes a message for each row."""

from __future__ import annotations

import json
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.client.resources.health import Health
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
    from airflow_provider_whatsapp.delivery.approved import Approved
    from airflow_provider_whatsapp.delivery.ledger import Ledger
    from airflow_provider_whatsapp.delivery.recipients import Row
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

FIRST_ROWS = 50
"""The most rows that are read to find one whose message can be made and checked against the template."""
MOST_UPLOADS = 1_000
"""The most uploads that are remembered, for rows that name the same file."""
NO_UPLOAD = "0000000000"
"""Media ID in a message that is made but not sent."""


def look_up(
    hook: MatonWhatsAppHook,
    name: str,
    language: str,
    log: Any,
    *,
    show_values: bool = False,  # of variables, in errors
    health: bool = False,  # in the same request; if that is refused, one more request follows
    required: bool = False,  # a failed look-up is an error
) -> Approved | None:
    """Return an approved template; if it cannot be looked up, log that and return None."""
    from airflow_provider_whatsapp.client.errors import WhatsAppError
    from airflow_provider_whatsapp.client.messages import Template
    from airflow_provider_whatsapp.delivery.approved import Approved

    Template(name, language)  # refuses a malformed name before any request
    client = hook.client
    if required:
        client.config.require("waba_id")
    if not client.config.waba_id:
        log.info("The task does not check the template before it sends: the connection has no waba_id.")
        return None
    try:
        found, healthy = _find_with_health(client, name, language) if health else (None, None)
        if healthy is None:
            found = client.templates.find(name, language)
    except WhatsAppError as error:
        if required:
            raise
        log.warning("The template could not be checked before sending: %s", error)
        return None
    approved = Approved(found, name, language, show_values=show_values, health=healthy)
    approved.check_usable()  # PayloadError: the template is missing or not approved
    return approved


def _find_with_health(
    client: WhatsAppClient, name: str, language: str
) -> tuple[dict[str, Any] | None, Health | None]:
    """Return a template and its health; the health is None if it was refused or did not come in time."""
    from airflow_provider_whatsapp.client.errors import WhatsAppError
    from airflow_provider_whatsapp.client.resources.health import FIELD, SECONDS, Health
    from airflow_provider_whatsapp.client.resources.templates import FIELDS

    try:
        with client.within(SECONDS) as brief:
            found = brief.templates.find(name, language, fields=f"{FIELDS},{FIELD}")
    except WhatsAppError:  # the request without health says what is wrong
        return None, None
    return found, Health.parse((found or {}).get(FIELD))


def check_health(client: WhatsAppClient, approved: Approved | None, log: Any, *, stop: bool = True) -> None:
    """Refuse a send that is certain to fail, and warn of limits; ignore health that cannot be read, or is late."""
    from airflow_provider_whatsapp.client.resources.health import number_health

    # The template's health came with the look-up. If that was refused, the number's would be too.
    if approved is not None and approved.health is None:
        log.info("WhatsApp: this connection may not read health_status; the broadcast continues without it.")
        return
    # One request, for the number, which also gives account, business and app.
    found = number_health(client).joined(approved.health if approved is not None else None)
    if found.of("BLOCKED") and stop:  # a task that sends nothing only warns
        found.check()
    say = log.warning if found.state in ("BLOCKED", "LIMITED") else log.info
    say("WhatsApp health: %s", found.describe())


class Preparer:
    """Makes the message of each row of a broadcast; safe to use from many threads once it has started."""

    def __init__(
        self,
        hook: MatonWhatsAppHook,
        name: str,
        language: str,
        *,
        header: dict[str, Any],  # header and header_filename
        parts: dict[str, Any],  # body, buttons and components
        approved: Approved | None,  # the template in the account; None: the task does not check it
    ) -> None:
        from airflow_provider_whatsapp.delivery.fill import columns
        from airflow_provider_whatsapp.operators._headers import RowHeader

        self._hook = hook
        self._name, self._language = name, language
        self._parts = parts
        self._approved = approved
        self._header = RowHeader(header["header"], header["header_filename"], approved)
        self._varied = self._header.varies or bool(columns(*parts.values()))
        self._fixed_header: Any = None
        self._message: Message | None = None
        self._upload = True
        self._uploads: dict[tuple[str, str | None], Any] = {}
        self._locks = [Lock() for _ in range(16)]

    def start(self, rows: Iterable[Row], ledger: Ledger | None) -> None:
        """Upload the header's file, once, and check the first message; raises an error that every row would meet."""
        from airflow_provider_whatsapp.client.errors import PayloadError
        from airflow_provider_whatsapp.client.messages import Template

        Template(self._name, self._language)
        self._upload = ledger is not None  # otherwise the task sends nothing, so it uploads nothing
        if not self._header.varies:
            self._fixed_header = self._resolved(ledger)
        if not self._varied:
            message = self._made({})
            if self._approved is not None:
                self._approved.check(message.to_payload())
            self._message = message
            return
        for row in islice((row for row in rows if row.error is None and row.skip is None), FIRST_ROWS):
            try:
                message = self._made(row.values, upload=False)
            except PayloadError:
                continue
            if self._approved is not None:
                # A row's wrong kind of header concerns only that row, and must not stop the others.
                header = not self._header.varies
                self._approved.check(message.to_payload(), lengths=False, header=header)
            return

    def __call__(self, row: Row) -> Message:
        """Return a row's message."""
        if self._message is not None:
            return self._message
        message = self._made(row.values)
        if self._approved is not None:
            self._approved.check(message.to_payload())
        return message

    def _made(self, values: Any, *, upload: bool = True) -> Message:
        from airflow_provider_whatsapp.client.messages import Template
        from airflow_provider_whatsapp.delivery.fill import fill

        header = self._row_header(values, upload=upload) if self._header.varies else self._fixed_header
        parts = {name: fill(part, values) for name, part in self._parts.items() if part is not None}
        return Template(self._name, self._language, header=header, **parts)

    def _row_header(self, values: Any, *, upload: bool) -> Any:
        from airflow_provider_whatsapp.client.errors import PayloadError
        from airflow_provider_whatsapp.operators._headers import without_names

        header, filename, chosen = self._header.filled(values)
        try:
            return self._media(header, filename, upload=upload)
        except PayloadError as error:
            if chosen:
                raise without_names(error, header) from None
            raise

    def _resolved(self, ledger: Ledger | None) -> Any:
        header, filename, _ = self._header.filled({})
        kept = ledger.memo("media") if ledger is not None else None
        if kept is not None:
            return self._media(json.loads(kept), filename)
        part = self._media(header, filename)
        if ledger is not None and ledger.durable and getattr(part, "id", None):
            upload = {"type": part.kind, "media": part.id, "filename": getattr(part, "filename", None)}
            ledger.keep("media", json.dumps(upload))
            ledger.flush()
        return part

    def _media(self, header: Any, filename: str | None, *, upload: bool = True) -> Any:
        from airflow_provider_whatsapp.client.media import media_file, source_form
        from airflow_provider_whatsapp.hooks.media_source import media_of, opened, template_header

        source = next(iter(media_of(header) or ()), None)
        if source is None or source_form(source) not in ("file", "store"):
            return template_header(self._hook.client, header, filename=filename)
        if not (upload and self._upload):
            kind = media_file(opened(source), filename=filename).kind
            return {"type": kind, "id": NO_UPLOAD}
        key = str(source), filename
        with self._locks[hash(key) % len(self._locks)]:
            part = self._uploads.get(key)
            if part is None:
                part = template_header(self._hook.client, header, filename=filename)
                if len(self._uploads) < MOST_UPLOADS:
                    self._uploads[key] = part
        return part
