from __future__ import annotations

import importlib.util
import traceback

import pytest

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.hooks.object_stores import object_path

LIBRARIES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "adl": "adlfs"}


@pytest.mark.parametrize("scheme", LIBRARIES)
def test_a_store_without_its_file_system_names_the_package(scheme):
    if importlib.util.find_spec(LIBRARIES[scheme]):
        pytest.skip("it is installed")
    with pytest.raises(ConfigurationError, match=f"no package for {scheme}://") as caught:
        object_path(f"{scheme}://bucket/key.csv")

    assert "apache-airflow-providers-" in caught.value.advice


def test_a_scheme_that_nobody_knows_is_told():
    with pytest.raises(ConfigurationError, match="no package for zz://"):
        object_path("zz://bucket/key.csv")


@pytest.mark.parametrize("path", ["/tmp/a.csv", "file:///tmp/a.csv", "a.csv"])
def test_a_path_of_this_machine_is_one(path):
    assert str(object_path(path)).endswith("a.csv")


def test_a_mistake_of_the_connection_is_one_short_traceback(sandbox, change_connection):
    from airflow_provider_whatsapp._compat import AirflowFailException
    from airflow_provider_whatsapp.operators.messages import SendTextOperator

    change_connection(extra={"verify": "no"})
    with pytest.raises(AirflowFailException) as caught:
        SendTextOperator(task_id="send", to="+15550001111", text="hello").execute({})

    told = "".join(traceback.format_exception(caught.value))
    assert told.count("Traceback") == 1
    assert "extra.verify is 'no'" in told
