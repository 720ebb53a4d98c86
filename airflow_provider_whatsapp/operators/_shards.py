"""The index from which a shard of a long list reads only its own rows: finds it, makes it, or works without it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.delivery.ledger import SourceChangedError
from airflow_provider_whatsapp.delivery.list_identity import size_of
from airflow_provider_whatsapp.delivery.recipients import Recipients
from airflow_provider_whatsapp.delivery.shard_index import BEGUN, ShardIndex
from airflow_provider_whatsapp.delivery.shard_survey import SharedSurvey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import Context

    from airflow_provider_whatsapp.delivery.rows import Raw
    from airflow_provider_whatsapp.delivery.shard_index import Head

LEAST = 2 * 1024 * 1024
"""Bytes of a list below which every shard reads it whole, because that is faster than looking for the index."""


class Part:
    """One shard's part of an index."""

    def __init__(self, index: ShardIndex, head: Head | None, shard: int) -> None:
        self._index = index
        self._head = head  # None: the list has changed since the index was made; the shard reads it
        self._shard = shard

    @property
    def rows(self) -> Callable[[], Iterator[Raw]] | None:
        """Returns the shard's rows as they are in the list; None: the shard has to read the list."""
        return None if self._head is None else partial(self._index.rows, self._head, self._shard)

    @property
    def countries(self) -> dict[str, int] | None:
        """Recipients of the whole list by country, each once, including suppressed ones; None: not known."""
        return None if self._head is None else self._head.countries

    def begin(self, log: Any, *, fresh: bool) -> None:
        """Record that this shard is about to send by the index; ``fresh``: to everybody again."""
        if self._head is None:
            return
        try:
            self._index.begin(self._head, fresh=fresh)
        except Exception as error:  # then a later shard may read another list, as it would without an index
            log.warning("The shards' index could not be written: %s", _reason(error))

    def clean(self, log: Any) -> None:
        """Delete the shard's part, because the shard has finished."""
        try:
            self._index.clean(self._shard)
        except Exception as error:
            log.warning(
                "The shard's part of the list in %s could not be deleted: %s",
                self._index.folder,
                _reason(error),
            )


def shard_part(
    context: Context,
    source: Any,
    *,
    results_path: Any,  # the index is beside it
    shard: int,  # from 0
    shards: int,
    cleared: bool,  # to send to everybody again: the list may have changed
    log: Any,
    **options: Any,  # how to read the list: to_field, columns, scope, default_country
) -> Part | None:
    """Return a shard's part of the index of a list; None: the shard has to read the list."""
    ti: Any = context.get("ti")
    if ti is None or shards == 1 or results_path is None or not _is_file(source):
        return None
    index = ShardIndex(_folder(ti, source, results_path, shards, options), source, shards=shards, **options)
    try:
        # A short list may have been long when other shards began: the code below detects that.
        if not _is_long(source) and index.read(BEGUN) is None:
            return None
        head = _head(index, shard, cleared=cleared, first=ti.try_number == 1)
        if head is None or index.has_part(head, shard):
            return Part(index, head, shard)
    except WhatsAppError:  # the list cannot be read, or has changed since other shards began to send to it
        raise
    except Exception as error:  # an object store's library raises errors of other types
        log.warning(
            "The shards' index in %s could not be used (%s): this shard reads the whole list.",
            index.folder,
            _reason(error),
        )
    return None


def _is_file(source: Any) -> bool:
    from airflow_provider_whatsapp.delivery.result_parts import Unfinished

    return hasattr(source, "open") and not isinstance(source, Unfinished)


def _is_long(source: Any) -> bool:
    size = size_of(source)
    return size is not None and size >= LEAST


def _folder(ti: Any, source: Any, results_path: Any, shards: int, options: dict[str, Any]) -> Any:
    from airflow_provider_whatsapp.operators._digest import digest

    how = {name: sorted(value) if name == "columns" else value for name, value in options.items()}
    key = digest(ti.dag_id, ti.run_id, str(source), shards, how)[:12]
    return results_path.parent / f"{results_path.name}.{key}.shards"


def _head(index: ShardIndex, shard: int, *, cleared: bool, first: bool) -> Head | None:
    """Return the head of the index of the current list; None: the shard has to read the list."""
    survey = SharedSurvey(index)
    head = index.load()
    if head is None:
        # A later try finds none if all shards have finished. One shard alone does not need an index.
        return survey.head() if first or survey.is_claimed() else None
    if index.is_of_list(head):
        return head
    begun = index.load(BEGUN)
    if begun is None or cleared:  # no shard has sent by the earlier list
        return survey.head(instead_of=head)
    if index.has_part(begun, shard):
        _refuse_change(index, begun, shard)
    return None


def _refuse_change(index: ShardIndex, begun: Head, shard: int) -> None:
    """Refuse a list that has changed since other shards began, unless this shard's rows are the same."""
    as_begun = Recipients(
        index.source, shard=shard, shards=index.shards, part=Part(index, begun, shard).rows, **index.options
    )
    as_it_is = Recipients(index.source, shard=shard, shards=index.shards, **index.options)
    if as_begun.survey().digest != as_it_is.survey().digest:
        raise SourceChangedError(
            f"{index.source.name} has changed since other shards began to send to it, and with it this shard's "
            "recipients or their values",
            advice="This try sent nothing. Restore the list as it was and clear the task; or clear all shards with "
            "resend_on_clear=True to send the new list to everybody.",
        )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or f"{type(error).__name__}: {str(error)[:200]}"
