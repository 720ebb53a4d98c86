"""
Where the buttons of a question lead: to Airflow's own page for the request, with an answer preselected.

A template's URL button ends with its only variable, so the message contains a path below Airflow's address. With the
plugin it is ``whatsapp/a/<id>``, which redirects to the page for this Airflow's version; without it, the page's own
path. Opening either of them answers nothing: Airflow's login, its permissions and a press on its page come first.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import astuple, dataclass
from typing import Any
from urllib.parse import quote

from airflow_provider_whatsapp.client.errors import PayloadError

PREFIX = "whatsapp/a/"
"""Path of the plugin's redirect below Airflow's address."""
MAX_ID = 2_000
"""The most characters of an ID, so that a URL button's whole address fits (Meta, template components)."""
_MAX_NAME = 250
"""The most characters of the ID of a DAG, a run or a task (Airflow's columns)."""
_MAX_OPTION = 500
_ID = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to the question of one task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int  # -1: the task is not mapped
    option: str  # the preselected one

    def to_id(self) -> str:
        """Return the ID for the button's address; raises PayloadError if the address would be too long."""
        packed = json.dumps(astuple(self), ensure_ascii=False, separators=(",", ":")).encode()
        found = base64.urlsafe_b64encode(packed).decode().rstrip("=")
        if len(found) > MAX_ID - len(PREFIX):
            raise PayloadError(
                f"the address of the answer has {len(found)} characters (limit: {MAX_ID - len(PREFIX)})",
                field="buttons",
                advice="Shorten the IDs of DAG, run or task, or the option.",
            )
        return found

    def path(self) -> str:
        """Return the path of Airflow's own page for the request, below Airflow's address."""
        mapped = f"/mapped/{self.map_index}" if self.map_index >= 0 else ""
        where = (
            f"dags/{_quoted(self.dag_id)}/runs/{_quoted(self.run_id)}/tasks/{_quoted(self.task_id)}{mapped}"
        )
        value = json.dumps([self.option], ensure_ascii=False)
        if "%" in value:  # the page decodes once more than the browser does
            value = _quoted(value)
        # Only one parameter: after its login Airflow 3.1 drops further ones.
        return f"{where}/required_actions?_options={_quoted(value)}"


def parse_id(text: str) -> Answer | None:
    """Return the answer of an ID, which anybody can put into a browser; None: it is not this package's."""
    if len(text) > MAX_ID or not _ID.fullmatch(text):
        return None
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        values: Any = json.loads(packed.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, list) or len(values) != 5:
        return None
    dag_id, run_id, task_id, map_index, option = values
    names = all(_is_name(name, _MAX_NAME) for name in (dag_id, run_id, task_id))
    fits = names and _is_name(option, _MAX_OPTION)
    if not fits or type(map_index) is not int or not -1 <= map_index < 2**31:
        return None
    return Answer(dag_id, run_id, task_id, map_index, option)


def _is_name(value: object, limit: int) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= limit
        and value.isprintable()
        and value not in (".", "..")
    )


def _quoted(text: str) -> str:
    return quote(text, safe="")
