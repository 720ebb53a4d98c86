"""Paths in object stores by their URL, with an error that names the package to install."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_AMAZON = "apache-airflow-providers-amazon[s3fs]"
_GOOGLE = "apache-airflow-providers-google"
_AZURE = "apache-airflow-providers-microsoft-azure"
PACKAGES = {
    "s3": _AMAZON,
    "s3a": _AMAZON,
    "gs": _GOOGLE,
    "gcs": _GOOGLE,
    "abfs": _AZURE,
    "abfss": _AZURE,
    "adl": _AZURE,
}
"""The packages that contain Airflow's file systems, by scheme."""


def object_path(url: str) -> ObjectStoragePath:
    """Return the path of a store's object, or of a local file; raises ConfigurationError if no package reads it."""
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_whatsapp.client.errors import ConfigurationError

    scheme, is_url, _ = url.partition("://")
    try:
        path = ObjectStoragePath(url)
        if is_url and scheme.lower() != "file":
            path.fs  # noqa: B018  (found, or missing, when it is first asked for)
    except (ImportError, ValueError) as error:
        package = PACKAGES.get(scheme.lower())
        if not is_url or (package is None and "filesystem" not in str(error)):
            raise
        msg = f"no package for {scheme}:// is installed"
        advice = (
            f"Install it where the task runs: pip install {package!r}."
            if package
            else "Install the provider that reads such a store where the task runs."
        )
        raise ConfigurationError(msg, advice=advice) from None
    return path


def as_object_path(path: Any) -> Any:
    """Return a path or URL as an ``ObjectStoragePath``, without opening it."""
    return object_path(path) if isinstance(path, str) else path
