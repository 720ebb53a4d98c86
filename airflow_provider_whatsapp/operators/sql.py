"""The operator that sends the result of a query, or other rows, as a file, a table, a chart or a PDF."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_whatsapp.links import ResultsLink, WhatsAppManagerLink
from airflow_provider_whatsapp.operators._arguments import flag, optional, text, whole
from airflow_provider_whatsapp.operators._declare import Argument
from airflow_provider_whatsapp.operators._private import masked_numbers
from airflow_provider_whatsapp.operators._routing import ROUTING, RoutesTemplates
from airflow_provider_whatsapp.operators._sending import MessageOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.operators._declare import Arguments
    from airflow_provider_whatsapp.reports.options import ReportOptions
    from airflow_provider_whatsapp.tables.rows import Rows, Written

__all__ = ["SqlToWhatsAppOperator"]


class SqlToWhatsAppOperator(RoutesTemplates, MessageOperator):
    """
    Run a query, or take rows, and send them as a file, a picture of the table, a chart or a PDF.

    The query runs through the hook of the connection's own provider (``apache-airflow-providers-common-sql`` and
        the database's, for example Postgres). After the upload of its file, retries send that upload and do not query
        the database again, if the ledger outlives a try.

    WhatsApp drops a document or picture without a template if a person last wrote more than 24 hours ago. A template
    with a picture (``png``, ``chart``) or a PDF (``pdf``) in its header arrives at any time.

    :param to: One recipient or a list: numbers in international form, or business-scoped user ids. (templated)
    :param sql: A query, several queries, or the path of a ``.sql`` file; of several the last one with a result
            counts. (templated)
    :param conn_id: Connection of the database. (templated)
    :param rows: In place of ``sql`` and ``conn_id``: a list of dicts, a data frame of pandas or polars, or the path of
        a CSV, JSON lines or Parquet file, ``ObjectStoragePath`` or its URL. (templated)
    :param format: ``csv`` (any number of rows, up to 100 MB), ``xlsx``, ``png`` (a table), ``chart`` or ``pdf``.
        (templated)
    :param template_name: Approved template whose header is a picture, or with ``pdf`` a document. The operator
            fills in the values of the stock templates ``airflow_report`` and ``airflow_report_pdf``. None: send the
            file without a template. (templated)
    :param language: The template's language. (templated)
    :param body: Values of the template's body. (templated)
    :param buttons: Values of the template's buttons. (templated)
    :param filename: Name that a document shows; None: the task's id. The operator adds a missing suffix. (templated)
    :param caption: Up to 1,024 characters below a document or picture without a template. (templated)
    :param title: Text above a table or chart, or name of the sheet; None: none. (templated)
    :param parameters: Values for the query's placeholders, as the database's driver takes them. (templated)
    :param max_rows: Most rows of a table; log and file say how many are left out. None: all; 25
        in a picture, which takes 100 at most; 2,000 in a PDF, which takes 20,000 at most. (templated)
    :param skip_if_empty: Skip the task if there are no rows; False: send only the column names. (templated)
    :param only_if: Jinja expression over ``rows`` (dicts, the first 10,000), which Jinja evaluates in its sandbox after
        the query: ``rows|sum(attribute="failed") > 10``. If it is false, the task is skipped.
    :param chart: With ``chart``, and above the table of a ``pdf``: ``line``, ``bar``, ``stacked``, ``area`` or
        ``kpi``. The chart's other arguments are those of :func:`~airflow_provider_whatsapp.reports.render_chart`.
        (templated)
    :param x: Column of dates, numbers or categories. (templated)
    :param y: Column with numbers, or several. (templated)
    :param series: Column that names the series. (templated)
    :param unit: An ISO 4217 currency code, ``%``, or a word. (templated)
    :param compare: ``previous``, or the column to compare with. (templated)
    :param top: Categories that bars show; None: 12. (templated)
    :param figures: Columns whose last values a ``pdf`` shows above chart and table, four at most. (templated)
    :param locale: How a chart writes numbers and dates; None: as the template's language does. (templated)
    :param rest_at: Where all rows are; a PDF that leaves some out says so. (templated)
    :param csv_formulas: Leave texts that a spreadsheet would run as formulas as they are in a CSV file; False: put an
        apostrophe in front, which makes them texts, also in column names. An XLSX file never contains formulas.
        (templated)
    :param font: Font file on the worker for a picture or PDF; None: the first that has the text's characters.
        (templated)
    :param database: Database or schema in place of the connection's. (templated)
    :param hook_params: Further arguments for the database's hook. (templated)
    :param check_template: Look up first whether the template is approved and the values fit it; one request.
        (templated)
    :param dry_run: Write the file to ``preview_path``, send nothing, and return where it is. (templated)
    :param preview_path: File on the worker for ``dry_run``; None: in a new folder. (templated)
    :param kwargs: As for :class:`~airflow_provider_whatsapp.operators.messages.SendTemplateOperator`:
        ``marketing``, ``message_activity_sharing``, ``expect_category`` (of a template), ``maton_conn_id``,
        ``phone_number_id``, ``waba_id``, ``ledger_path``, ``on_unknown``, ``resend_on_clear`` (it
        runs the query again), ``max_failed``, ``callback_data``, ``log_pii``, ``wait_for``, ``wait_timeout``,
        ``on_timeout``, ``suppression``, ``poke_interval``, ``deferrable``.
    """

    operator_extra_links: tuple[BaseOperatorLink, ...] = (WhatsAppManagerLink(), ResultsLink())

    template_ext: Sequence[str] = (".sql",)
    declared_arguments: ClassVar[Arguments] = {
        **MessageOperator.declared_arguments,
        "sql": Argument(content=True, renderer="sql", hide=masked_numbers, file=True),
        "conn_id": Argument(shown=True, content=True),
        "rows": Argument(content=True, native=True),
        "format": Argument(shown=True, content=True),
        "template_name": Argument(text, shown=True, content=True),
        "language": Argument(text, shown=True, content=True),
        "body": Argument(content=True, renderer="json"),
        "buttons": Argument(content=True, renderer="json"),
        "filename": Argument(text, content=True),
        "caption": Argument(text, content=True),
        "title": Argument(text, content=True),
        "parameters": Argument(content=True, renderer="json", native=True),
        "max_rows": Argument(optional(whole), shown=True, content=True),
        "database": Argument(shown=True, content=True),
        "chart": Argument(optional(text), shown=True, content=True),
        "x": Argument(optional(text), shown=True, content=True),
        "y": Argument(shown=True, content=True),
        "series": Argument(optional(text), shown=True, content=True),
        "unit": Argument(optional(text), shown=True, content=True),
        "compare": Argument(shown=True, content=True),
        "top": Argument(optional(whole), shown=True, content=True),
        "locale": Argument(optional(text), shown=True, content=True),
        "figures": Argument(shown=True, content=True),
        "rest_at": Argument(text, content=True),
        "skip_if_empty": Argument(flag, shown=True),
        "csv_formulas": Argument(flag, shown=True),
        "font": Argument(),
        "hook_params": Argument(renderer="json", native=True),
        "check_template": Argument(flag, shown=True),
        **ROUTING,
        "dry_run": Argument(flag, shown=True),
        "preview_path": Argument(),
        "only_if": Argument(templated=False),  # it needs the rows, which do not exist at rendering
    }

    def __init__(
        self,
        *,
        sql: str | Sequence[str] | None = None,
        conn_id: str | None = None,
        rows: Any = None,
        format: str = "csv",  # noqa: A002
        template_name: str | None = None,
        language: str = "en_US",
        body: Sequence[Any] | Mapping[str, Any] | None = None,
        buttons: Sequence[Any] | None = None,
        filename: str | None = None,
        caption: str | None = None,
        title: str | None = None,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        max_rows: int | str | None = None,
        skip_if_empty: bool | str = False,
        only_if: str | None = None,
        chart: str | None = None,
        x: str | None = None,
        y: str | Sequence[str] | None = None,
        series: str | None = None,
        unit: str | None = None,
        compare: str | Sequence[str] | None = None,
        top: int | str | None = None,
        locale: str | None = None,
        figures: str | Sequence[str] | None = None,
        rest_at: str | None = None,
        csv_formulas: bool | str = False,
        font: str | None = None,
        database: str | None = None,
        hook_params: Mapping[str, Any] | None = None,
        check_template: bool | str = True,
        dry_run: bool | str = False,
        preview_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql = sql
        self.conn_id = conn_id
        self.rows = rows
        self.format = format
        self.template_name = template_name
        self.language = language
        self.body = body
        self.buttons = buttons
        self.filename = filename
        self.caption = caption
        self.title = title
        self.parameters = parameters
        self.max_rows: Any = max_rows
        self.skip_if_empty: Any = skip_if_empty
        self.csv_formulas: Any = csv_formulas
        self.font = font
        self.database = database
        self.hook_params = hook_params
        self.check_template: Any = check_template
        self.only_if = only_if
        self.chart = chart
        self.x = x
        self.y = y
        self.series = series
        self.unit = unit
        self.compare = compare
        self.top: Any = top
        self.locale = locale
        self.figures = figures
        self.rest_at = rest_at
        self.dry_run: Any = dry_run
        self.preview_path = preview_path

    def resolve_template_files(self) -> None:
        """Read the query from its ``.sql`` file; leave a caption or file name that ends in ``.sql`` as it is."""
        self.template_fields = tuple(self.file_fields)
        try:
            super().resolve_template_files()
        finally:
            del self.template_fields

    def build_message(self) -> Message:
        """Run the query, write its result into a file, and upload it once for all recipients."""
        approved = None
        if self.template_name and self.check_template:
            approved = self._look_up(self.template_name, self.language)
        if self._upload is not None:
            message = self._around(self._upload["media"], self._upload["filename"])
        else:
            with tempfile.TemporaryDirectory(prefix="whatsapp-") as folder:
                path = Path(folder) / f"report{self._options.suffix}"
                self._write(path)
                with path.open("rb") as file:  # the operator's own file, so media_roots does not apply
                    message = self._around(file, self._shown_name())
        if approved is not None:
            approved.check(message.to_payload())
        return message

    def _send(self, context: Context) -> dict[str, Any]:
        from airflow_provider_whatsapp.reports.stock import values_for

        self._check()
        if self.body is None and self.template_name:
            self.body = values_for(self.template_name, self.title, context)
        return self._preview() if self.dry_run else super()._send(context)

    def _preview(self) -> dict[str, Any]:
        """Write the file to ``preview_path``, or to a new folder."""
        from airflow_provider_whatsapp.reports.write import preview_file

        path = preview_file(self.preview_path, self._shown_name())
        written = self._write(path)
        self.log.info("WhatsApp, dry run: the task sends nothing. See %s", path)
        return {"dry_run": True, "path": str(path), "rows": written.rows, "left_out": written.left_out}

    @cached_property
    def _options(self) -> ReportOptions:
        from airflow_provider_whatsapp.reports.options import CHART_OPTIONS, options_of

        return options_of(
            self.format,
            chart=self.chart,
            chart_options={name: getattr(self, name) for name in CHART_OPTIONS},
            figures=self.figures,
            title=self.title,
            max_rows=self.max_rows,
            formulas=self.csv_formulas,
            rest_at=self.rest_at,
            locale=self.locale,
            language=self.language,
            font=self.font,
        )

    def _check(self) -> None:
        """Refuse what cannot be sent, before any request and before the query."""
        from airflow_provider_whatsapp.client.errors import PayloadError
        from airflow_provider_whatsapp.client.messages import Document, Image, Template
        from airflow_provider_whatsapp.reports.options import IN_A_HEADER, KINDS

        options = self._options
        self._check_source()
        if not self.template_name:
            if self.body is not None or self.buttons is not None:
                raise PayloadError(
                    "works only with a template",
                    field="buttons" if self.body is None else "body",
                    advice="Give template_name, or caption for a text below the file.",
                )
            (Document if KINDS[options.format] == "document" else Image)(id="0", caption=self.caption)
            return
        if options.format not in IN_A_HEADER:
            raise PayloadError(
                f"{options.format} is not allowed in a template's header: the only document that Meta names there "
                "is PDF",
                field="format",
                advice="Give format='png', 'chart' or 'pdf', or leave template_name out.",
            )
        if self.caption is not None:
            raise PayloadError(
                "does not go with a template", field="caption", advice="Give the text as body."
            )
        Template(self.template_name, self.language, body=self.body, buttons=self.buttons)

    def _check_source(self) -> None:
        from airflow_provider_whatsapp.client.errors import PayloadError

        if (self.sql is None) == (self.rows is None):
            raise PayloadError("give either sql or rows", field="sql")
        if self.sql is not None and not self.conn_id:
            raise PayloadError(
                "is missing", field="conn_id", advice="Give the ID of the database's connection."
            )

    def _shown_name(self) -> str:
        name = self.filename or self.task_id
        suffix = self._options.suffix
        return name if name.lower().endswith(suffix) else name + suffix

    def _around(self, media: Any, filename: str | None) -> Message:
        """Return the message with a file or an upload in it."""
        from airflow_provider_whatsapp.reports.options import KINDS

        kind = KINDS[self.format]
        if not self.template_name:
            return self.hook.media_message(media, kind=kind, caption=self.caption, filename=filename)
        return self.hook.template_message(
            self.template_name,
            self.language,
            header={"type": kind, "media": media},
            header_filename=filename if kind == "document" else None,
            body=self.body,
            buttons=self.buttons,
        )

    def _write(self, path: Path) -> Written:
        """Write the rows into a file, or skip the task if they are not worth sending."""
        from airflow_provider_whatsapp.tables.rows import counted

        written = self._write_query(path) if self.rows is None else self._write_given(path)
        size = path.stat().st_size
        source = "The query gave" if self.rows is None else "There are"
        self.log.info("%s %d rows; the %s has %d bytes.", source, written.rows, self.format, size)
        if written.left_out:
            self.log.warning("Left out: %s rows beyond max_rows.", counted(written.left_out))
        return written

    def _write_query(self, path: Path) -> Written:
        from airflow_provider_whatsapp.client.errors import PayloadError
        from airflow_provider_whatsapp.operators._database import database_hook
        from airflow_provider_whatsapp.tables.rows import Rows

        written: Written | None = None

        def handle(cursor: Any) -> list[Any]:
            nonlocal written
            if cursor.description:
                written = self._write_rows(path, Rows.of_cursor(cursor))
            return []  # hooks convert what their handlers return into their own row types

        hook = database_hook(self.conn_id or "", hook_params=self.hook_params, database=self.database)
        if self.parameters and not self.log_pii:
            hook.log_sql = False  # the log would contain the parameters
        hook.run(self.sql, parameters=self.parameters, handler=handle)
        if written is None:
            raise PayloadError("the query returned no result", field="sql", advice="End it with a SELECT.")
        return written

    def _write_given(self, path: Path) -> Written:
        from airflow_provider_whatsapp.hooks.media_source import opened
        from airflow_provider_whatsapp.tables.source import rows_of

        source = opened(self.rows, field="rows")
        rows, texts = rows_of(Path(source) if isinstance(source, str) else source)
        return self._write_rows(path, rows, texts=texts)

    def _write_rows(self, path: Path, rows: Rows, *, texts: bool = False) -> Written:
        from airflow_provider_whatsapp._compat import AirflowSkipException
        from airflow_provider_whatsapp.reports.write import is_worth_it, write_report

        if self.skip_if_empty and not rows.any():
            raise AirflowSkipException("There are no rows, so there is nothing to send.")
        if self.only_if:
            worth_it, rows = is_worth_it(self.only_if, rows)
            if not worth_it:
                raise AirflowSkipException(f"only_if is false, so the task sends nothing: {self.only_if}")
        return write_report(path, rows, self._options, texts=texts)
