"""Results files in the tab: a path from XCom opens nothing that the configuration does not name."""

from __future__ import annotations

import json
import os
from typing import ClassVar

import pytest

from tests.plugin.reports import outcome, report


class TestResultsFiles:
    """A path from XCom opens nothing that the configuration does not name."""

    LINE: ClassVar = {
        "format": "whatsapp-results/1",
        "n": 0,
        "given": "+15550001111",
        "where": "r[0]",
        "dag_id": "sales",
        **outcome(),
    }

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        (tmp_path / "results").mkdir()
        monkeypatch.setenv("AIRFLOW__WHATSAPP__UI_RESULTS_ROOTS", f"{tmp_path}/results, s3://bucket/results")
        return tmp_path / "results"

    def write(self, path, *lines):
        path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
        return str(path)

    def refused(self, path):
        from airflow_provider_whatsapp.plugin.results_files import NotOpenedError, read_results

        with pytest.raises(NotOpenedError) as caught:
            read_results(str(path))
        return str(caught.value)

    def test_junk_below_a_marked_line_is_not_read_to_its_end(self, folder, monkeypatch):
        from airflow_provider_whatsapp.plugin import results_files

        monkeypatch.setattr(results_files, "MOST", 3)
        (folder / "a.jsonl").write_text(json.dumps(self.LINE) + "\n" + "x\n" * 100)
        found = results_files.read_results(str(folder / "a.jsonl"))

        assert (len(found.recipients), found.more) == (1, True)

    def test_one_below_a_root_is_read_and_what_is_damaged_in_it_left_out(self, folder):
        from airflow_provider_whatsapp.plugin.results_files import read_results

        path = self.write(
            folder / "a.jsonl", self.LINE, "{broken", {"a": 1}, self.LINE | {"n": 4, "status": "failed"}
        )
        found = read_results(path)

        assert [(each.position, each.outcome) for each in found.recipients] == [
            (0, "accepted"),
            (4, "failed"),
        ]
        assert not found.more

    def test_a_root_is_needed(self, tmp_path, monkeypatch):
        monkeypatch.delenv("AIRFLOW__WHATSAPP__UI_RESULTS_ROOTS", raising=False)

        assert "[whatsapp] ui_results_roots names no folder" in self.refused(
            self.write(tmp_path / "a", self.LINE)
        )

    @pytest.mark.parametrize(
        "name", ["{outside}", "{root}/../outside.jsonl", "{root}/link.jsonl", "{root}/folder/outside.jsonl",
                 "/etc/passwd",
                 "s3://other/results/a.jsonl", "s3://bucket/results/../secret", "s3://bucket/results/%2e%2e/secret",
                 "s3://another@bucket/results/a.jsonl", "file:///etc/passwd", "http://127.0.0.1/results"],
    )  # fmt: skip
    def test_what_lies_elsewhere_is_not_opened(self, folder, tmp_path, name):
        outside = tmp_path / "outside.jsonl"
        self.write(outside, self.LINE)
        (folder / "link.jsonl").symlink_to(outside)
        (folder / "folder").symlink_to(tmp_path)

        said = self.refused(name.format(outside=outside, root=folder))

        assert "is not opened" in said
        assert "outside.jsonl" not in said

    def test_a_file_on_the_worker_s_disk_says_so(self, folder):
        assert "it is on that of the machine that ran the task" in self.refused(folder / "gone.jsonl")

    @pytest.mark.parametrize(
        "first",
        [
            '{"secret": "x"}',
            "root:x:0:0",
            "[]",
            '{"n": 0, "to": "1", "status": "sent", "given": "1", "where": "r"}',
        ],
        ids=["json", "passwd", "list", "unmarked"],
    )
    def test_only_marked_files_are_shown(self, folder, first):
        said = self.refused(self.write(folder / "a.jsonl", first, self.LINE))

        assert "no results file of this version" in said
        assert "x" not in said.replace("exit", "").split("version")[0].replace("nothing", "")

    def test_a_pipe_holds_up_nobody(self, folder):
        os.mkfifo(folder / "pipe.jsonl")

        assert "cannot be read" in self.refused(folder / "pipe.jsonl")

    def test_a_file_without_end_is_read_to_a_limit(self, folder, monkeypatch):
        from airflow_provider_whatsapp.plugin import results_files

        monkeypatch.setattr(results_files, "MOST", 3)
        found = results_files.read_results(
            self.write(folder / "a", *(self.LINE | {"n": n} for n in range(5)))
        )

        assert (len(found.recipients), found.more) == (3, True)

    def test_the_page_shows_them_and_says_why_it_does_not(self, tab, folder, tmp_path):
        lines = [self.LINE | {"n": n, "to": f"1555000{n:04}"} for n in range(120)]
        path = self.write(folder / "a.jsonl", *lines)
        whole = tab({"recipients": "•••"}, report(total=120, results_path=path) | {"sent": 120})
        again = tab(
            {"recipients": "•••"}, report(total=120, results_path=str(tmp_path / "b")) | {"sent": 120}
        )

        assert "Page 1 of 3" in whole.text
        assert "15•••0049" in whole.text
        assert "15•••0050" not in whole.text
        assert "ui_results_roots does not hold it" in again.text
        assert "The report names nobody." in again.text
