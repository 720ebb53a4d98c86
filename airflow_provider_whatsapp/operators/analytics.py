"""The operator that loads Meta's analytics into files, before Meta deletes them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_whatsapp.operators._declare import Argument, DeclaresArguments
from airflow_provider_whatsapp.policies import failing_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk import Context

    from airflow_provider_whatsapp.operators._declare import Arguments


class WhatsAppAnalyticsOperator(DeclaresArguments, BaseOperator):
    """
    Load the account's analytics into files: JSON lines, CSV or Parquet, one row per data point.

    .. code-block:: python

        from airflow_provider_whatsapp.operators.analytics import WhatsAppAnalyticsOperator

        WhatsAppAnalyticsOperator(
            task_id="load_pricing",
            kind="pricing",
            start="{{ macros.ds_add(ds, -7) }}",
            end="{{ macros.ds_add(ds, 1) }}",
            destination="s3://bucket/whatsapp/pricing/{day}.jsonl",
        )

    Running it again is safe. It merges new rows into a file that exists, and keeps the greatest value ever read: Meta
    sets a template's reads and clicks back to zero after seven days, and deletes template analytics after 90 days,
    all others after a year. Meta calls its figures approximate: they may differ from the invoice.

    The task returns ``kind``, ``start``, ``end``, the counts ``rows``, ``added``, ``raised`` and ``unchanged``, and the
    ``files`` that hold the rows, of which it wrote ``written``.

    :param kind: ``pricing`` (volume and cost), ``messaging`` (sent and delivered), ``template`` (sent, delivered, read,
        clicks and cost by template) or ``conversation``. (templated)
    :param start: First day or moment: a date, a datetime, or the text of one. (templated)
    :param end: The day or moment after the last. (templated)
    :param destination: Path or URL that ends in ``.jsonl``, ``.ndjson``, ``.csv`` or ``.parquet`` (which needs the
        extra ``parquet``). With ``{day}`` or ``{month}`` in it the operator writes a file for each, so that a daily
        load reads and writes only the files of its own days. (templated)
    :param granularity: ``half_hour``, ``day`` or ``month``; ``kind="template"`` takes only ``day``. (templated)
    :param timezone: The account's time zone, as WhatsApp Manager shows it: Meta's days begin at midnight there.
        (templated)
    :param templates: Names or IDs, for ``kind="template"``: a list, or a text that separates them by commas. None:
        all of the account's. (templated)
    :param phone_numbers: Only these of the account's numbers, with the country code; None: all. Meta does not split
        ``messaging`` by number, so the operator asks for each number and writes a row for each. (templated)
    :param country_codes: Only these countries of recipients, as ISO codes; None: all. (templated)
    :param maton_conn_id: The Airflow connection. (templated)
    :param waba_id: WhatsApp Business Account; None: the connection's. (templated)
    """

    declared_arguments: ClassVar[Arguments] = {
        "kind": Argument(),
        "start": Argument(),
        "end": Argument(),
        "destination": Argument(),
        "granularity": Argument(),
        "timezone": Argument(),
        "templates": Argument(),
        "phone_numbers": Argument(),
        "country_codes": Argument(),
        "maton_conn_id": Argument(),
        "waba_id": Argument(),
    }
    ui_color = "#d9fdd3"

    def __init__(
        self,
        *,
        kind: str,
        start: Any,
        end: Any,
        destination: Any,
        granularity: str = "day",
        timezone: str = "UTC",
        templates: Sequence[str] | str | None = None,
        phone_numbers: Sequence[str] | str | None = None,
        country_codes: Sequence[str] | str | None = None,
        maton_conn_id: str = "maton_whatsapp_default",
        waba_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.start = start
        self.end = end
        self.destination = destination
        self.granularity = granularity
        self.timezone = timezone
        self.templates = templates
        self.phone_numbers = phone_numbers
        self.country_codes = country_codes
        self.maton_conn_id = maton_conn_id
        self.waba_id = waba_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the analytics, merge them into the files, and return what was done."""
        with failing_at_once():
            return self._load()

    def _load(self) -> dict[str, Any]:
        from airflow_provider_whatsapp.analytics.destination import Destination
        from airflow_provider_whatsapp.analytics.load import load
        from airflow_provider_whatsapp.client.analytics_kinds import read_kind
        from airflow_provider_whatsapp.client.analytics_span import read_span, read_unit, read_zone

        kind, zone = read_kind(self.kind), read_zone(self.timezone)
        span = read_span(kind, self.start, self.end, read_unit(kind, self.granularity), zone)
        destination = Destination(self.destination, kind, zone, _opened)
        done = load(self._rows(), kind, destination, span.days)
        self.log.info(
            "WhatsApp: %d rows of %s analytics from %s to %s: %d added, %d raised, %d unchanged; files written: %d",
            *(done.rows, kind.name, _shown(span.start), _shown(span.end)),
            *(done.added, done.raised, done.unchanged, len(done.written)),
        )
        if done.rows and done.without_cost == done.rows:
            self.log.warning(
                "WhatsApp: Meta returned no costs. It returns none for an account on a partner's credit line, or to "
                "a token without the task VIEW_COST."
            )
        counts = {
            name: getattr(done, name) for name in ("rows", "added", "raised", "unchanged", "files", "written")
        }
        return {"kind": kind.name, "start": _shown(span.start), "end": _shown(span.end), **counts}

    def _rows(self) -> Iterator[dict[str, Any]]:
        return self.hook.analytics(
            self.kind,
            self.start,
            self.end,
            granularity=self.granularity,
            timezone=self.timezone,
            templates=self.templates,
            phone_numbers=self.phone_numbers,
            country_codes=self.country_codes,
        )


def _opened(path: str) -> Any:
    from airflow_provider_whatsapp.hooks.object_stores import object_path

    # Airflow 3.1.0 drops the first letter of a relative path's name.
    return object_path(path) if "://" in path else Path(path).expanduser()


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
