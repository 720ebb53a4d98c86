"""Phone numbers of the account, their business profile, and the status of a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import NotFoundError, PayloadError
from airflow_provider_whatsapp.client.masking import clean_line, mask_id
from airflow_provider_whatsapp.client.resources.base import Resource, graph_id, objects

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBER_FIELDS = (
    "id,display_phone_number,verified_name,code_verification_status,quality_rating,status,name_status,platform_type,"
    "throughput,account_mode"
)
LIMIT_FIELDS = ("whatsapp_business_manager_messaging_limit", "messaging_limit_tier")
"""How many people may get messages in 24 hours: from Graph v24 on counted for the number's portfolio, before that for
the number (Meta, "Messaging limits")."""
PROFILE_FIELDS = "about,address,description,email,profile_picture_url,websites,vertical"

PROFILE_LIMITS = {"about": 139, "address": 256, "description": 512, "email": 128}
"""The most characters of each field (Meta, "Business profiles")."""
MAX_WEBSITES = 2
MAX_WEBSITE = 256

STATUS_ORDER = ("accepted", "sent", "failed", "deleted", "delivered", "read")
"""A message's events in rising order of what they say: only a receipt outranks a failure, because one of several
devices may have failed."""


class PhoneNumbers(Resource):
    """Phone numbers of the configured WhatsApp Business Account."""

    @property
    def limit_field(self) -> str:
        """The field of a number's messaging limit, in the configured version of Graph."""
        return LIMIT_FIELDS[int(self._config.api_version[1:].partition(".")[0]) < 24]

    def get(self, *, fields: str | None = None) -> dict[str, Any]:
        """
        Return the sending number: display number, verified name, quality, throughput and so on.

        :param fields: Names separated by commas; None: the usual fields and the messaging limit. ``health_status`` says
            what stops the number from sending.
        :raises NotFoundError: ``phone_number_id`` is wrong, or does not belong to this Maton connection.
        """
        query = {"fields": fields or f"{NUMBER_FIELDS},{self.limit_field}"}
        return self._call("GET", self._config.require("phone_number_id"), query=query)

    def list(self, *, fields: str | None = None, page_size: int = 100) -> Iterator[dict[str, Any]]:
        """
        Yield the account's numbers; a page is requested when you reach it.

        :param fields: Names separated by commas; None: those of :meth:`get`.
        :param page_size: Numbers per request, at most 100.
        """
        path = f"{self._config.require('waba_id')}/phone_numbers"
        fields = fields or f"{NUMBER_FIELDS},{self.limit_field}"
        return self._pages(path, {"fields": fields, "limit": page_size})


class BusinessProfile(Resource):
    """The profile of the sending number, which recipients see."""

    def get(self, *, fields: str = PROFILE_FIELDS) -> dict[str, Any]:
        """
        Return the profile.

        :param fields: Names separated by commas; without them Graph returns almost nothing.
        """
        answer = self._call("GET", self._path(), query={"fields": fields})
        profile = next(iter(objects(answer.get("data"))), {})
        nested = profile.get("business_profile", profile)
        return nested if isinstance(nested, dict) else {}

    def update(self, **changes: Any) -> None:
        """
        Change the given fields of the profile, and keep all others.

        :param changes: ``about``, ``address``, ``description``, ``email``, ``websites``, ``vertical``,
            ``profile_picture_handle``.
        :raises PayloadError: A field is unknown or over its limit; nothing was changed.
        """
        _check_profile(changes)
        # The same change twice gives the same profile, so the client repeats it after a lost answer.
        self._call("POST", self._path(), json={"messaging_product": "whatsapp", **changes})

    def _path(self) -> str:
        return f"{self._config.require('phone_number_id')}/whatsapp_business_profile"


class MessageHistory(Resource):
    """The status of messages; Meta documents it, but opens it to some apps only."""

    def events(self, message_id: str) -> list[dict[str, Any]]:
        """
        Return the events of one message, oldest first, as Graph has them.

        :param message_id: The wamid.
        :raises NotFoundError: Graph knows no such message for this number.
        :raises APIError: The history is closed to this connection (codes 10, 100 and 200).
        """
        if not message_id:
            raise PayloadError("is empty", field="message_id", advice="Pass the wamid of a sent message.")
        path = f"{self._config.require('phone_number_id')}/message_history"
        rows = list(self._pages(path, {"message_id": message_id}))
        # Meta documents the filter in two ways, so the answer is filtered here too.
        rows = [row for row in rows if row.get("message_id", message_id) == message_id]
        if not rows:
            raise NotFoundError(f"the message history has no message {mask_id(message_id)}")
        return [event for row in rows for event in self._row_events(row)]

    def status(self, message_id: str) -> dict[str, Any]:
        """
        Return how far a message has got: ``{"status": ..., "timestamp": ..., "error": ...}``.

        ``status`` is ``accepted``, ``sent``, ``delivered``, ``read``, ``failed`` or ``deleted``, the furthest of its
        events by :data:`STATUS_ORDER`.

        :param message_id: The wamid.
        :raises NotFoundError: Graph knows no such message for this number.
        :raises APIError: The history is closed to this connection (codes 10, 100 and 200).
        """
        return furthest(self.events(message_id))

    def _row_events(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        events = row.get("events")
        if isinstance(events, dict):
            return objects(events.get("data"))
        if not row.get("id"):
            return []
        edges = self._pages(f"{graph_id(row['id'], 'history id')}/events", {})
        return objects([edge.get("node", edge) for edge in edges])


def furthest(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the furthest of a message's events, in any order, as status, timestamp and error."""
    # Both of Graph's sets of names are read.
    rank = {name: place for place, name in enumerate(STATUS_ORDER)}
    best: dict[str, Any] = {"status": "accepted", "timestamp": None, "error": None}
    for event in events:
        status = str(event.get("delivery_status", "")).lower().replace("error", "failed")
        if status in rank and rank[status] >= rank[best["status"]]:
            when = event.get("timestamp") or event.get("occurrence_timestamp")
            said = event.get("error_description")
            best = {
                "status": status,
                "timestamp": clean_line(when) if isinstance(when, str) else when,
                "error": clean_line(said) if isinstance(said, str) else None,
            }
    return best


def _check_profile(changes: dict[str, Any]) -> None:
    known = {*PROFILE_LIMITS, "websites", "vertical", "profile_picture_handle"}
    if not changes or not known.issuperset(changes):
        unknown = ", ".join(sorted(set(changes) - known)) or "nothing"
        raise PayloadError(
            f"cannot change {unknown}", field="profile", advice=f"Fields are {', '.join(sorted(known))}."
        )
    for name, most in PROFILE_LIMITS.items():
        value = changes.get(name)
        if value is not None and len(value) > most:
            raise PayloadError(
                f"{len(value)} characters", field=f"profile.{name}", limit=most, doc="Business profiles"
            )
    if changes.get("about") == "":
        raise PayloadError("is empty", field="profile.about", limit="1-139", doc="Business profiles")
    websites = changes.get("websites") or []
    if len(websites) > MAX_WEBSITES or any(len(site) > MAX_WEBSITE for site in websites):
        limit = f"{MAX_WEBSITES} of {MAX_WEBSITE} characters"
        raise PayloadError(
            "too many or too long", field="profile.websites", limit=limit, doc="Business profiles"
        )
    if not all(site.startswith(("http://", "https://")) for site in websites):
        raise PayloadError(
            "must start with https:// or http://", field="profile.websites", doc="Business profiles"
        )
