"""The recipients of a broadcast: its list, or the shard's part of it, without suppressed people."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.operators._columns import TakesColumns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import Context

    from airflow_provider_whatsapp.delivery.ledger import Begin
    from airflow_provider_whatsapp.delivery.recipients import Recipients
    from airflow_provider_whatsapp.delivery.windows import Window
    from airflow_provider_whatsapp.operators._shards import Part
    from airflow_provider_whatsapp.operators._suppression import Suppression


class ReadsRecipients(TakesColumns):
    """A broadcast that reads its recipients; with several shards it uses an index if it can."""

    recipients: Any
    to_field: str
    scope: Any
    suppression: Any
    has_suppression: bool
    shard: Any
    shards: Any
    results_path: Any
    _part: Part | None = None
    _left_out: Suppression | None = None

    def _recipients(
        self, context: Context, window: Window | None, *, whole: bool = False, recall: bool = False
    ) -> Recipients:
        """Return the recipients of this shard, or with ``whole`` those of the whole list."""
        from airflow_provider_whatsapp.delivery.recipients import Recipients
        from airflow_provider_whatsapp.operators._lists import recipient_source
        from airflow_provider_whatsapp.operators._results import run_key

        # With recall, the task has sent to them: the ledger knows who was left out.
        suppression = None if recall else self._suppression()
        source = recipient_source(self.recipients, scope=self.scope, own=run_key(context))
        options = {
            "to_field": self.to_field,
            "columns": self._columns(),
            "scope": self.scope,
            "default_country": self.hook.client.config.default_country,
        }
        if not whole:
            self._part = self._own_part(context, source, options)
        return Recipients(
            source,
            shard=0 if whole else self.shard,
            shards=1 if whole else self.shards,
            suppressed=suppression.listed if suppression is not None else (),
            marks=suppression.marks if suppression is not None else None,
            group=window.group if window is not None else None,
            part=None if whole or self._part is None else self._part.rows,
            **options,
        )

    def _suppression(self) -> Suppression | None:
        """Return the suppressed people, read only once even if the recipients are read several times."""
        from airflow_provider_whatsapp.operators._suppression import suppression_of

        if self._left_out is None:
            self._left_out = suppression_of(self, to_field=self.to_field)
        return self._left_out

    def _own_part(self, context: Context, source: Any, options: dict[str, Any]) -> Part | None:
        """Return the shard's part of the list's index; None: the shard reads the list itself."""
        from airflow_provider_whatsapp.delivery.retry_policy import cause_of
        from airflow_provider_whatsapp.hooks.object_stores import as_object_path
        from airflow_provider_whatsapp.operators._shards import shard_part

        if self.shards < 2 or not self.results_path:
            return None
        ti: Any = context.get("ti")
        # When a task is cleared, Airflow raises its number of tries.
        cleared = getattr(ti, "max_tries", self.retries) != self.retries
        cause = cause_of(cleared=cleared, resend_on_clear=bool(self.resend_on_clear))
        return shard_part(
            context,
            source,
            results_path=as_object_path(self.results_path),
            shard=self.shard,
            shards=self.shards,
            cleared=cause == "resend",
            log=self.log,
            **options,
        )

    def _begin_part(self, begin: Begin) -> None:
        """Record that this shard is about to send, so that all shards use the same list."""
        if self._part is not None:
            self._part.begin(self.log, fresh=begin == "fresh")

    @contextlib.contextmanager
    def _last_use_of_part(self, context: Context) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._end_part(context, error)
            raise
        self._end_part(context)

    def _end_part(self, context: Context, error: BaseException | None = None) -> None:
        """Delete the shard's part, which holds people's data, if the task ends and no retry follows."""
        if self._part is not None and (error is None or _is_final(error, context.get("ti"))):
            self._part.clean(self.log)

    def _countries(self, context: Context, recipients: Recipients) -> Mapping[str, int]:
        """Return the recipients of the whole list by country: ``max_cost`` applies to all shards together."""
        from airflow_provider_whatsapp.delivery.countries import country

        known = self._part.countries if self._part is not None else None
        if known is not None and not self.has_suppression and self.suppression is None:
            return known
        everybody = recipients if self.shards == 1 else self._recipients(context, None, whole=True)
        return Counter(country(row.to) for row in everybody if row.error is None and row.skip is None)


def _is_final(error: BaseException, ti: Any) -> bool:
    """Return whether a task that ends with this error is over: no retry, resumption or other try follows."""
    from airflow_provider_whatsapp._compat import AirflowFailException, TaskDeferred
    from airflow_provider_whatsapp.delivery.stores import LedgerError

    if isinstance(error, TaskDeferred | LedgerError):
        return False
    if isinstance(error, AirflowFailException) or getattr(error, "permanent", False):
        return True
    return bool(getattr(ti, "try_number", 1) > getattr(ti, "max_tries", 0))
