"""The recipients of an alert: those in ``to``, those of its routes, and those in ``escalate_to``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import Variable

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.notifications.routes import choose, dag_tags, load_routes, usable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_whatsapp.notifications.fields import AlertFields

logger = logging.getLogger(__name__)


class Audience:
    """The recipients of one alert."""

    def __init__(
        self,
        notifier: AlertFields,
        context: Mapping[str, Any],
        ask: Callable[[Callable[[], Any]], Any],  # asks Airflow for something, in a share of the time budget
    ) -> None:
        self._is = notifier
        self._context = context
        self._ask = ask
        self._routes: dict[str, list[str]] | None = None

    def load(self) -> None:
        """Read the routes; if that fails, only ``to`` gets the alert; raises ConfigurationError if that is empty."""
        if not self._is.routes:
            return
        if not self._is.to:
            self._routes = load_routes(self._is.routes, Variable)
            return
        try:
            self._routes = self._ask(lambda: load_routes(self._is.routes, Variable))
        except (ConfigurationError, TimeoutError) as error:
            what = error if str(error) else "Airflow did not return the routes in time"
            logger.error("WhatsApp: the alert is sent only to the recipients in `to`. %s", what)  # noqa: TRY400

    def recipients(self, *, escalated: bool, default_country: str | None) -> list[str]:
        """Return the valid recipients, each once; raises PayloadError if none is valid."""
        named = [self._is.to, self._is.escalate_to if escalated else None]
        if self._routes is not None:
            named.append(choose(self._routes, severity=self._is.severity, tags=dag_tags(self._context)))
        return usable(named, default_country=default_country)
