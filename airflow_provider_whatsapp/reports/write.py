"""Writes rows to the file of a report, in any format."""

from __future__ import annotations

import tempfile
from collections import deque
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.tables.rows import Rows, Written

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_whatsapp.reports.options import ReportOptions

LOOKED_AT = 10_000
"""The most rows that a condition sees."""
LONGEST_CONDITION = 1_000


def write_report(path: Path, rows: Rows, options: ReportOptions, *, texts: bool = False) -> Written:
    """Write a report, and return how many rows it has; with ``texts`` every value is text, as in a CSV file."""
    if options.format == "csv":
        from airflow_provider_whatsapp.tables.files import write_csv

        return write_csv(path, rows, max_rows=options.max_rows, formulas=options.formulas)
    if options.format == "xlsx":
        from airflow_provider_whatsapp.tables.files import write_xlsx

        return write_xlsx(path, rows, max_rows=options.max_rows, title=options.title)
    if options.format == "png":
        from airflow_provider_whatsapp.tables.picture import write_png

        return write_png(path, rows, max_rows=options.max_rows, title=options.title, font=options.font)
    if options.format == "pdf":
        return _write_pdf(path, rows, options, texts=texts)
    return _write_chart(path, rows, options, texts=texts)


def _write_chart(path: Path, rows: Rows, options: ReportOptions, *, texts: bool) -> Written:
    from airflow_provider_whatsapp.charts.render import write_chart

    if options.spec is None:
        raise PayloadError(
            "format='chart' needs a kind", field="chart", advice="Use line, bar, stacked, area or kpi."
        )
    return write_chart(path, rows, options.spec, locale=_locale(options), font=options.font, texts=texts)


def _write_pdf(path: Path, rows: Rows, options: ReportOptions, *, texts: bool) -> Written:
    """Write the table, below figures and a chart of all rows if they are requested."""
    from airflow_provider_whatsapp.charts.data import collect_figures
    from airflow_provider_whatsapp.charts.locales import Formats
    from airflow_provider_whatsapp.tables.pdf import checked_limit, write_pdf

    limit = checked_limit(options.max_rows)
    texts_of: dict[str, Any] = {
        "title": options.title,
        "max_rows": limit,
        "rest_at": options.rest_at,
        "font": options.font,
    }
    if options.spec is None and options.figures is None:
        return write_pdf(path, rows, **texts_of)
    passed = _Passed(limit)
    with tempfile.TemporaryDirectory(prefix="whatsapp-") as folder:
        picture = None
        if options.spec is None:
            deque(passed.all_of(rows), maxlen=0)
        else:
            picture = Path(folder) / "chart.png"
            _write_chart(picture, Rows(rows.columns, passed.all_of(rows)), options, texts=texts)
        figures = options.figures and collect_figures(
            Rows(rows.columns, passed.last), options.figures, texts=texts
        )
        return write_pdf(
            path,
            Rows(rows.columns, passed.first),
            figures=figures or (),
            formats=Formats(_locale(options), options.figures.unit) if options.figures else None,
            picture=picture,
            left_out=passed.left_out,
            **texts_of,
        )


class _Passed:
    """What a PDF needs of rows that are read once: the first ones, the last two, and the number left out."""

    def __init__(self, limit: int) -> None:
        self.first: list[Sequence[Any]] = []
        self.last: deque[Sequence[Any]] = deque(maxlen=2)
        self.left_out = 0
        self._limit = limit

    def all_of(self, rows: Rows) -> Iterator[Sequence[Any]]:
        for row in rows.take(None):
            if len(self.first) < self._limit:
                self.first.append(row)
            else:
                self.left_out += 1
            self.last.append(row)
            yield row


def _locale(options: ReportOptions) -> str:
    from airflow_provider_whatsapp.charts.locales import known_locale

    return options.locale or known_locale(options.language)


def preview_file(given: str | None, name: str) -> Path:
    """Return the path of a preview: the given one, or the name's last part in a new folder of this user alone."""
    if not given:
        return Path(tempfile.mkdtemp(prefix="whatsapp-preview-")) / Path(name).name
    path = Path(given).expanduser()
    if path.is_dir() or not path.parent.is_dir():
        raise PayloadError(
            f"{path} is a folder" if path.is_dir() else f"there is no folder {path.parent}",
            field="preview_path",
            advice="Give the path of a file in a folder that exists on the worker.",
        )
    return path


def is_worth_it(condition: str, rows: Rows) -> tuple[bool, Rows]:
    """Return whether a Jinja expression over ``rows`` is true, and the rows, of which none is lost."""
    from jinja2 import TemplateError

    if len(condition) > LONGEST_CONDITION:
        raise PayloadError(f"{len(condition):,} characters", field="only_if", limit=LONGEST_CONDITION)
    head = list(islice(rows.take(None), LOOKED_AT))
    seen = [dict(zip(rows.columns, row, strict=False)) for row in head]
    try:
        evaluate = _environment().compile_expression(condition, undefined_to_none=False)
        found = bool(evaluate(rows=seen))
    except Exception as error:  # an author's expression may raise any error
        reason = type(error).__name__ if not isinstance(error, TemplateError) else str(error.message)[:200]
        raise PayloadError(
            f"cannot be evaluated: {reason}",
            field="only_if",
            advice="For example: rows|sum(attribute='failed') > 0",
        ) from error
    return found, Rows(rows.columns, chain(head, rows.take(None)))


def _environment() -> Any:
    """Return Jinja's sandbox, in which a column takes precedence over a dict's method: ``rows[0].items``."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        def getattr(self, obj: Any, attribute: str) -> Any:
            if type(obj) is dict and attribute in obj:
                return obj[attribute]
            return super().getattr(obj, attribute)

    return Environment(undefined=StrictUndefined)
