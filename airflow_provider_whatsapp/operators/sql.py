"""Operator that sends the result of a query: as a CSV or XLSX file, or as a picture of the table."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_whatsapp.links import ResultsLink, WhatsAppManagerLink
from airflow_provider_whatsapp.operators._arguments import flag, optional, text, whole
from airflow_provider_whatsapp.operators._private import hidden_recipients, masked_numbers
from airflow_provider_whatsapp.operators._routing import RoutesTemplates
from airflow_provider_whatsapp.operators.messages import _SendOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.tables.rows import Rows, Written

__all__ = ["SqlToWhatsAppOperator"]

KINDS = {"csv": "document", "xlsx": "document", "png": "image"}


class SqlToWhatsAppOperator(RoutesTemplates, _SendOperator):
    """
    Run a query and send its result as a file, or as a picture of the table.

    The query runs through the hook of the connection's own provider (``apache-airflow-providers-common-sql`` and the
    database's, Postgres say). Once its file is uploaded, retries send that upload and do not ask the database again,
    wherever the ledger outlives a try.

    A document or picture alone is dropped by WhatsApp when a person last wrote more than 24 hours ago. A template with
    a picture in its header is not; CSV and XLSX cannot stand in one.

    :param to: One recipient or a list: numbers in international form, or business-scoped user ids. (templated)
    :param sql: A query, several, or the path of a ``.sql`` file; of several the last one with a result counts.
        (templated)
    :param conn_id: Connection of the database. (templated)
    :param format: ``csv`` (any number of rows, up to 100 MB), ``xlsx``, or ``png``. (templated)
    :param template_name: Approved template whose header is a picture; with ``png`` only. None: the file goes alone.
        (templated)
    :param language: The template's language. (templated)
    :param body: Values of the template's body. (templated)
    :param buttons: Values of the template's buttons. (templated)
    :param filename: Name that a document shows; None: the task's id. The suffix is added where it is missing.
        (templated)
    :param caption: Up to 1,024 characters below a document or picture that goes alone. (templated)
    :param title: Text above a picture's table, or name of the sheet; None: none. (templated)
    :param parameters: Values for the query's placeholders, as the database's driver takes them. (templated)
    :param max_rows: Rows at most; the log says how many were left out, and so does a picture. None: all, and 25 in
        a picture, which takes 100 at most. (templated)
    :param skip_if_empty: Skip the task when there are no rows; False: send the header alone. (templated)
    :param csv_formulas: Leave texts that a spreadsheet would run as formulas as they are in a CSV file; False: an
        apostrophe in front makes them texts, column names included. An XLSX file has no formulas in any case.
        (templated)
    :param font: TrueType file on the worker for a picture; None: the first that has the text's characters. (templated)
    :param database: Database or schema in place of the connection's. (templated)
    :param hook_params: Further arguments for the database's hook. (templated)
    :param check_template: Look up first whether the template is approved and the values fit it; one request.
        (templated)
    :param kwargs: As for :class:`~airflow_provider_whatsapp.operators.messages.SendTemplateOperator`:
        ``marketing``, ``message_activity_sharing``, ``expect_category`` (of a template), ``maton_conn_id``,
        ``phone_number_id``, ``waba_id``, ``ledger_path``, ``on_unknown``, ``resend_on_clear`` (it
        runs the query again), ``max_failed``, ``callback_data``, ``log_pii``.
    """

    content_fields: ClassVar[tuple[str, ...]] = (
        "sql",
        "conn_id",
        "format",
        "template_name",
        "language",
        "body",
        "buttons",
        "filename",
        "caption",
        "title",
        "parameters",
        "max_rows",
        "database",
    )
    operator_extra_links: tuple[BaseOperatorLink, ...] = (WhatsAppManagerLink(), ResultsLink())

    template_fields: Sequence[str] = (
        *_SendOperator.template_fields,
        *content_fields,
        "skip_if_empty",
        "csv_formulas",
        "font",
        "hook_params",
        "check_template",
        *RoutesTemplates.routing_fields,
    )
    template_ext: Sequence[str] = (".sql",)
    native_fields: ClassVar[frozenset[str]] = frozenset({"parameters", "hook_params"})
    file_fields: ClassVar[frozenset[str]] = frozenset({"sql"})
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "sql": "sql",
        "parameters": "json",
        "body": "json",
        "buttons": "json",
        "hook_params": "json",
    }
    shown_fields: ClassVar[frozenset[str]] = _SendOperator.shown_fields | {
        *("conn_id", "format", "max_rows", "csv_formulas", "database"),
    }
    hidden_by: ClassVar[dict[str, Callable[[Any], Any]]] = {"to": hidden_recipients, "sql": masked_numbers}
    readers: ClassVar[dict[str, Callable[[str, Any], Any]]] = {
        **_SendOperator.readers,
        **RoutesTemplates.routing_readers,
        **dict.fromkeys(("template_name", "language", "filename", "caption", "title"), text),
        "max_rows": optional(whole),
        "skip_if_empty": flag,
        "csv_formulas": flag,
        "check_template": flag,
    }

    def __init__(
        self,
        *,
        sql: str | Sequence[str],
        conn_id: str,
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
        csv_formulas: bool | str = False,
        font: str | None = None,
        database: str | None = None,
        hook_params: Mapping[str, Any] | None = None,
        check_template: bool | str = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql = sql
        self.conn_id = conn_id
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

    def resolve_template_files(self) -> None:
        """Read the query's file; a caption or a file name that ends in ``.sql`` is none."""
        self.template_fields = tuple(self.file_fields)
        try:
            super().resolve_template_files()
        finally:
            del self.template_fields

    def build_message(self) -> Message:
        """Run the query, write its result and upload the file, once for all recipients."""
        approved = None
        if self.template_name and self.check_template:
            approved = self._look_up(self.template_name, self.language)
        if self._upload is not None:
            message = self._around(self._upload["media"], self._upload["filename"])
        else:
            with tempfile.TemporaryDirectory(prefix="whatsapp-") as folder:
                path = Path(folder) / f"report.{self.format}"
                self._write(path)
                with path.open("rb") as file:  # our own, so no option bounds where it lies
                    message = self._around(file, self._shown_name())
        if approved is not None:
            approved.check(message.to_payload())
        return message

    def _send(self, context: Context) -> dict[str, Any]:
        self._check()
        return super()._send(context)

    def _check(self) -> None:
        """Refuse what cannot be sent before any request, and before the database is asked."""
        from airflow_provider_whatsapp.client.errors import PayloadError
        from airflow_provider_whatsapp.client.messages import Document, Image, Template

        if self.format not in KINDS:
            raise PayloadError(
                f"{self.format!r} is not known", field="format", advice=f"One of {', '.join(KINDS)}."
            )
        if self.max_rows is not None and self.max_rows < 1:
            raise PayloadError(
                f"{self.max_rows!r} is no number of rows", field="max_rows", advice="1 or more."
            )
        if not self.template_name:
            if self.body is not None or self.buttons is not None:
                raise PayloadError(
                    "goes with a template only",
                    field="buttons" if self.body is None else "body",
                    advice="Give template_name, or caption for a text below the file.",
                )
            Document(id="0", caption=self.caption) if self.format != "png" else Image(
                id="0", caption=self.caption
            )
            return
        if self.format != "png":
            raise PayloadError(
                f"{self.format} cannot stand in a template's header: the only document that Meta names there is PDF",
                field="format",
                advice="Give format='png' and a template whose header is a picture, or leave template_name out.",
            )
        if self.caption is not None:
            raise PayloadError("a template has none", field="caption", advice="Give the text as body.")
        Template(self.template_name, self.language, body=self.body, buttons=self.buttons)

    def _shown_name(self) -> str:
        name = self.filename or self.task_id
        suffix = f".{self.format}"
        return name if name.lower().endswith(suffix) else name + suffix

    def _around(self, media: Any, filename: str | None) -> Message:
        """Return the message with a file or an upload in it."""
        kind = KINDS[self.format]
        if not self.template_name:
            return self.hook.media_message(media, kind=kind, caption=self.caption, filename=filename)
        return self.hook.template_message(
            self.template_name,
            self.language,
            header={"type": kind, "media": media},
            body=self.body,
            buttons=self.buttons,
        )

    def _write(self, path: Path) -> None:
        """Run the query into a file."""
        from airflow_provider_whatsapp._compat import AirflowSkipException
        from airflow_provider_whatsapp.client.errors import PayloadError
        from airflow_provider_whatsapp.tables.rows import Rows, counted

        written: Written | None = None

        def handle(cursor: Any) -> list[Any]:
            nonlocal written
            if cursor.description:
                written = self._write_rows(path, Rows.of_cursor(cursor))
            return []  # hooks make what their handlers return into rows of their own kind

        self._database().run(self.sql, parameters=self.parameters, handler=handle)
        if written is None:
            raise PayloadError("the query has no result", field="sql", advice="Let it end with a SELECT.")
        self.log.info(
            "The query gave %d rows; the %s has %d bytes.", written.rows, self.format, path.stat().st_size
        )
        if written.left_out:
            self.log.warning("Left out: %s rows beyond max_rows.", counted(written.left_out))
        if not written.rows and self.skip_if_empty:
            raise AirflowSkipException("The query gave no rows, so there is nothing to send.")

    def _write_rows(self, path: Path, rows: Rows) -> Written:
        if self.format == "csv":
            from airflow_provider_whatsapp.tables.files import write_csv

            return write_csv(path, rows, max_rows=self.max_rows, formulas=self.csv_formulas)
        if self.format == "xlsx":
            from airflow_provider_whatsapp.tables.files import write_xlsx

            return write_xlsx(path, rows, max_rows=self.max_rows, title=self.title)
        from airflow_provider_whatsapp.tables.picture import write_png

        return write_png(path, rows, max_rows=self.max_rows, title=self.title, font=self.font)

    def _database(self) -> Any:
        """Return the hook of the database's connection."""
        from airflow.sdk import BaseHook

        from airflow_provider_whatsapp.client.errors import ConfigurationError
        from airflow_provider_whatsapp.tables.files import missing

        try:
            from airflow.providers.common.sql.hooks.sql import DbApiHook
        except ImportError as error:
            raise missing("apache-airflow-providers-common-sql", "sql") from error
        connection: Any = BaseHook.get_connection(self.conn_id)
        try:
            hook = connection.get_hook(hook_params=dict(self.hook_params or {}))
        except Exception as error:
            if "Unknown hook type" not in str(error):
                raise
            hook = None
        if not isinstance(hook, DbApiHook):
            raise ConfigurationError(
                f"connection {self.conn_id!r} is of type {connection.conn_type!r}, for which no provider with SQL is "
                "installed",
                advice="Install it where the task runs: apache-airflow-providers-postgres, say.",
            )
        if self.parameters and not self.log_pii:
            hook.log_sql = False  # it would show the parameters as well
        if self.database:
            setattr(hook, "database" if hook.conn_type == "postgres" else "schema", self.database)
        return hook
