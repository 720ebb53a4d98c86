"""Maton's control plane: the OAuth connections that the gateway sends with."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import APIError, ConnectionMissingError, PayloadError
from airflow_provider_whatsapp.client.masking import clean_line
from airflow_provider_whatsapp.client.resources.base import APP, objects
from airflow_provider_whatsapp.client.transport import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.transport import Transport

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_ID_KEYS = ("connection_id", "id", "connection_Id")


class Connections:
    """
    Connections of the Maton account.

    :param transport: Sends the requests.
    :param config: Key and hosts.
    """

    def __init__(self, transport: Transport, config: ClientConfig) -> None:
        self._transport = transport
        self._base = f"{config.control_url}/connections"

    def list(
        self, *, app: str = APP, status: str | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """
        Return the account's connections.

        :param app: Maton's name for the app.
        :param status: ``ACTIVE``, ``PENDING`` or ``FAILED``.
        :param limit: The largest number of connections.
        :raises AuthenticationError: Maton did not accept the API key.
        """
        query = {"app": app, "status": status, "limit": limit}
        answer = self._transport.request(Call(method="GET", url=self._base, query=query))
        return objects(answer.get("connections"))

    def get(self, connection_id: str) -> dict[str, Any]:
        """
        Return one connection: ``status``, ``url`` (a secret, because it logs in), ``app``, times and so on.

        :param connection_id: ID of the connection.
        :raises NotFoundError: The account has no connection with this ID.
        """
        answer = self._transport.request(Call(method="GET", url=self._url(connection_id)))
        connection = answer.get("connection", answer)
        return connection if isinstance(connection, dict) else {}

    def create(self, *, app: str = APP) -> dict[str, Any]:
        """
        Create a connection and return it; open its ``url`` in a browser to authorise it.

        :param app: Maton's name for the app.
        :raises OutcomeUnknownError: The answer was lost; list the PENDING connections before you try again.
        """
        doubt = "A PENDING connection may have been created: list them before you try again."
        answer = self._transport.request(Call(method="POST", url=self._base, json={"app": app}, doubt=doubt))
        nested = answer.get("connection")
        made = nested if isinstance(nested, dict) else answer
        connection_id = next((made[key] for key in _ID_KEYS if made.get(key)), None)
        if connection_id is None:
            raise APIError(
                "Maton's answer carries no connection id", advice="List the connections to find it."
            )
        return self.get(str(connection_id))

    def delete(self, connection_id: str) -> None:
        """
        Delete a connection.

        :param connection_id: ID of the connection.
        :raises NotFoundError: The account has no connection with this ID.
        """
        self._transport.request(Call(method="DELETE", url=self._url(connection_id)))

    def wait_until_active(
        self,
        connection_id: str,
        *,
        timeout: float = 300.0,
        interval: float = 3.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> dict[str, Any]:
        """
        Wait until somebody has finished the browser step, and return the connection.

        :param connection_id: ID of the connection.
        :param timeout: The longest wait, in seconds.
        :param interval: Seconds between two polls.
        :param sleep: Waits for a number of seconds.
        :raises ConnectionMissingError: The connection failed, or nobody authorised it in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            connection = self.get(connection_id)
            status = clean_line(connection.get("status", ""), limit=40).upper()
            if status == "ACTIVE":
                return connection
            if status == "FAILED":
                raise ConnectionMissingError(
                    "the Maton connection failed", advice="Delete it and create a new one."
                )
            if time.monotonic() + interval > deadline:
                msg = f"the Maton connection is still {status or 'without status'} after {timeout:g} s"
                raise ConnectionMissingError(msg, advice="Open its URL in a browser and finish the login.")
            sleep(interval)

    def _url(self, connection_id: str) -> str:
        if not _ID.fullmatch(connection_id):
            raise PayloadError("is not a Maton connection ID", field="connection_id")
        return f"{self._base}/{connection_id}"
