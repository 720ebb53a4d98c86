"""What was edited and deleted and when: Meta's limits hang on it, and Graph does not tell it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.delivery.local_files import replacing

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

DAY = 86_400.0
MONTH = 30 * DAY
EDITS_PER_MONTH = 10

FILE_NAME = ".whatsapp-templates.json"
"""Beside the template files, hidden; whoever keeps it gets exact times from later plans. It holds no secrets."""


@dataclass
class Record:
    """
    Edits of approved templates, and deletions.

    :param edits: Unix times in seconds, by template id.
    :param deletions: Unix time in seconds of the last deletion of an approved template, by name.
    """

    edits: dict[str, list[float]] = field(default_factory=dict)
    deletions: dict[str, float] = field(default_factory=dict)

    def edit_possible_at(self, template_id: str, now: float) -> float | None:
        """
        Return when an approved template can be edited again, or None when it can be now.

        :param template_id: Its id.
        :param now: The present Unix time in seconds.
        """
        recent = sorted(at for at in self.edits.get(template_id, ()) if now - at < MONTH)
        moments = []
        if recent and now - recent[-1] < DAY:
            moments.append(recent[-1] + DAY)
        if len(recent) >= EDITS_PER_MONTH:
            moments.append(recent[-EDITS_PER_MONTH] + MONTH)
        return max(moments, default=None)

    def name_free_at(self, name: str, now: float) -> float | None:
        """
        Return when a deleted name can be used again, or None when it can be now.

        :param name: The name.
        :param now: The present Unix time in seconds.
        """
        at = self.deletions.get(name)
        return at + MONTH if at is not None and now - at < MONTH else None

    def edited(self, template_id: str, now: float) -> None:
        """
        Note an edit of an approved template.

        :param template_id: Its id.
        :param now: The present Unix time in seconds.
        """
        kept = [at for at in self.edits.get(template_id, ()) if now - at < MONTH]
        self.edits[template_id] = [*kept, now]

    def deleted(self, name: str, now: float) -> None:
        """
        Note the deletion of an approved template.

        :param name: Its name.
        :param now: The present Unix time in seconds.
        """
        self.deletions[name] = now

    @classmethod
    def read(cls, path: Path) -> Self:
        """
        Read a record; a missing or broken file is an empty one, since it only sharpens what a plan says.

        :param path: The file.
        """
        try:
            data = json.loads(path.read_text())
            edits = {str(key): [float(at) for at in times] for key, times in data["edits"].items()}
            return cls(edits, {str(name): float(at) for name, at in data["deletions"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def write(self, path: Path) -> None:
        """
        Add the record to what the file holds by now, another apply's entries maybe, in one step.

        :param path: The file.
        :raises OSError: It cannot be written.
        """
        if not (self.edits or self.deletions):
            return
        before = self.read(path)
        edits = {
            key: sorted({*before.edits.get(key, ()), *self.edits.get(key, ())})
            for key in {**before.edits, **self.edits}
        }
        deletions = {
            name: max(record.deletions.get(name, 0.0) for record in (before, self))
            for name in {**before.deletions, **self.deletions}
        }
        with replacing(path, mode=0o666) as file:
            file.write(json.dumps({"edits": edits, "deletions": deletions}, indent=1).encode() + b"\n")
