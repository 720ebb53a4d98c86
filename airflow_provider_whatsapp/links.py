"""Links on a task's page: to its template in WhatsApp Manager, and to the outcome of each recipient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

MANAGER = "https://business.facebook.com/latest/whatsapp_manager/message_templates"
STORES = {
    "s3": "https://console.aws.amazon.com/s3/object/{bucket}?prefix={key}",
    "gs": "https://console.cloud.google.com/storage/browser/_details/{bucket}/{key}",
}
"""Pages that show a file of an object store."""


class WhatsAppManagerLink(BaseOperatorLink):
    """
    The task's template in WhatsApp Manager; with the sandbox, the sandbox's page.

    The worker asks for the address when the task has ended, and Airflow keeps it in XCom.
    """

    name = "WhatsApp Manager"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the address; empty if the connection cannot be read or names no account."""
        found: Any = operator
        try:
            config = found.hook.client.config
        except Exception:  # why there is no connection is the task's own error, raised already
            return ""
        # Plain http is refused but for a loopback address, so this is the sandbox.
        if config.host and config.host.startswith("http://"):
            return f"{config.data_url}/"
        if not config.waba_id:
            return ""
        query = {"asset_id": config.waba_id}
        if template_id := getattr(found, "template_id", None):
            query["id"] = str(template_id)
        return f"{MANAGER}?{urlencode(query)}"


class ResultsLink(BaseOperatorLink):
    """
    The outcome of each recipient: the results file where a browser can open its store, otherwise the task's XCom.

    XCom holds the report of up to a hundred recipients, and of a broadcast the path of its results file.
    """

    name = "Results"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the address."""
        path = getattr(operator, "results_file", None)
        return (file_page(str(path)) if path else "") or xcom_page(ti_key)


def file_page(url: str) -> str:
    """Return the page on which a store shows a file; empty if there is none."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return url
    page = STORES.get({"gcs": "gs", "s3a": "s3"}.get(parts.scheme, parts.scheme))
    if page is None:
        return ""
    return page.format(bucket=quote(parts.netloc.rpartition("@")[2]), key=quote(parts.path.lstrip("/")))


def xcom_page(ti: Any) -> str:
    """Return the page of Airflow that shows what a task has returned; ``ti`` is its instance, or the key of one."""
    from airflow_provider_whatsapp._compat import conf

    base = conf.get("api", "base_url", fallback="http://localhost:8080/").rstrip("/")
    mapped = f"/mapped/{ti.map_index}" if ti.map_index is not None and ti.map_index >= 0 else ""
    return f"{base}/dags/{quote(ti.dag_id)}/runs/{quote(ti.run_id, safe='')}/tasks/{quote(ti.task_id)}{mapped}/xcom"
