"""Any call to Graph that no other resource has a method for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.resources.base import Resource
from airflow_provider_whatsapp.client.transport import encode_json

METHODS = ("GET", "POST", "PUT", "DELETE")
_DOUBT = "The call may have been carried out. It is not repeated: check what it did before you make it again."
_PATH = 'Give node and edge only ("{waba_id}/message_templates"): no host, and what follows a "?" goes into params.'
_PLACES = ("phone_number_id", "waba_id")
_PLACE = re.compile(r"\{([^{}]*)\}")
_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~:@=+-]{1,512}", re.ASCII)
_VERSION = re.compile(r"v[0-9]{1,3}(\.[0-9]{1,3})?", re.ASCII | re.IGNORECASE)


class Graph(Resource):
    """Raw calls, with the same key, pace, retries, errors and masking as all others."""

    def call(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """
        Make a call, and return the JSON object of its answer.

        The client does not repeat a POST whose answer was lost; it repeats any other call if that may help.

        :param method: ``GET``, ``POST``, ``PUT`` or ``DELETE``.
        :param path: Path below the version, for example ``"{waba_id}/message_templates"``. ``{phone_number_id}`` and
            ``{waba_id}`` are replaced by the connection's IDs.
        :param params: Query parameters; the client leaves out those that are None, and writes lists and dicts as
            JSON.
        :param json: The body; None for a ``GET``.
        :raises PayloadError: Method, path, params or json is not valid; nothing was sent.
        :raises ConfigurationError: The connection lacks an ID that the path contains; nothing was sent.
        :raises OutcomeUnknownError: The answer to a POST was lost; WhatsApp may have carried it out.
        :raises APIError: WhatsApp or the gateway refused.
        """
        verb = str(method).upper()
        if verb not in METHODS:
            raise PayloadError(f"{method!r}", field="method", limit=", ".join(METHODS))
        _check_fields(params, "params")
        _check_fields(json, "json")
        if json is not None and verb == "GET":
            raise PayloadError("a GET has no body", field="json", advice="Give the fields as params.")
        doubt = _DOUBT if verb == "POST" else None
        return self._call(verb, self._filled(path), query=params, json=json, doubt=doubt)

    def _filled(self, path: Any) -> str:
        """Return the path with its IDs filled in; refuse one that would lead to another host, version or node."""
        if not isinstance(path, str):
            raise _bad_path(f"is a {type(path).__name__}")
        filled = _PLACE.sub(self._id, path.removeprefix("/").removesuffix("/"))
        first, *rest = filled.split("/")
        if _VERSION.fullmatch(first):
            raise _bad_path(
                "begins with a version", "Leave it out: the connection's api_version comes in front."
            )
        if not all(_SEGMENT.fullmatch(segment) for segment in (first, *rest)):
            raise _bad_path("is not a Graph path")
        return filled

    def _id(self, place: re.Match[str]) -> str:
        if place[1] not in _PLACES:
            known = " and ".join(f"{{{name}}}" for name in _PLACES)
            raise _bad_path(
                f"has an unknown {place[0][:40]}",
                f"{known} are the placeholders that are filled in; write other IDs out.",
            )
        return self._config.require(place[1])


def _bad_path(problem: str, advice: str = _PATH) -> PayloadError:
    return PayloadError(problem, field="path", advice=advice)


def _check_fields(fields: Any, name: str) -> None:
    if fields is None:
        return
    if not isinstance(fields, Mapping) or not all(isinstance(key, str) for key in fields):
        raise PayloadError(
            f"is a {type(fields).__name__}"
            if not isinstance(fields, Mapping)
            else "has a key that is not a string",
            field=name,
            advice="Give a dict of Graph's names and their values.",
        )
    encode_json(fields, name)
    if any(key.strip().lower() == "access_token" for key in fields):
        raise PayloadError(
            "contains access_token", field=name, advice="Leave it out: the connection's key is sent."
        )
