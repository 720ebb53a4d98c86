"""Results files in the tab: a path from XCom opens nothing that the configuration does not name."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from typing import ClassVar

import pytest

from tests.plugin.reports import RUN, outcome, report


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

        assert "[whatsapp] ui_results_roots is empty" in self.refused(self.write(tmp_path / "a", self.LINE))

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

        assert "does not open the results file" in said
        assert "outside.jsonl" not in said

    def test_a_file_on_the_worker_s_disk_says_so(self, folder):
        assert "but on that of the machine that ran the task" in self.refused(folder / "gone.jsonl")

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

        assert "not a results file of this version" in said
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
        assert "ui_results_roots does not include its folder" in again.text
        assert "The report lists no recipients." in again.text

    @pytest.mark.parametrize(
        "swapped", ["results", "results/day", "results/day/a.jsonl"], ids=["root", "folder", "file"]
    )
    def test_a_link_that_is_put_there_after_the_path_was_looked_at_is_not_followed(
        self, folder, tmp_path, monkeypatch, swapped
    ):
        from airflow_provider_whatsapp.plugin import results_files

        secret = tmp_path / "secret"
        (secret / "day").mkdir(parents=True)
        (folder / "day").mkdir()
        for each in (secret / "a.jsonl", secret / "day" / "a.jsonl", folder / "day" / "a.jsonl"):
            self.write(each, self.LINE)
        looked = results_files._below_a_root
        targets = {
            "results": secret,
            "results/day": secret / "day",
            "results/day/a.jsonl": secret / "a.jsonl",
        }

        def swap(path):
            place = looked(path)
            (tmp_path / swapped).rename(tmp_path / "before")
            (tmp_path / swapped).symlink_to(targets[swapped])
            return place

        path = str(folder / "day" / "a.jsonl")
        assert len(results_files.read_results(path).recipients) == 1
        monkeypatch.setattr(results_files, "_below_a_root", swap)

        assert "cannot be read (" in self.refused(path)

    def test_links_within_the_roots_and_to_them_are_followed(self, folder, tmp_path):
        from airflow_provider_whatsapp.plugin.results_files import read_results

        (folder / "day").mkdir()
        self.write(folder / "day" / "a.jsonl", self.LINE)
        (folder / "latest").symlink_to(folder / "day")
        (tmp_path / "elsewhere").symlink_to(folder)
        for path in (folder / "latest" / "a.jsonl", tmp_path / "elsewhere" / "day" / "a.jsonl"):
            assert len(read_results(str(path)).recipients) == 1

    def test_a_store_that_hangs_keeps_none_from_other_stores_and_disks(self, folder, monkeypatch):
        """More of its files are asked for than it has threads; the threads that hang are its own."""
        import fsspec
        from airflow.sdk.io import attach
        from fsspec.implementations.memory import MemoryFileSystem

        from airflow_provider_whatsapp.plugin import results_files, sources

        ended, opened, memory = threading.Event(), threading.Semaphore(0), fsspec.filesystem("memory")

        class Hangs(MemoryFileSystem):
            cachable = False

            def _open(self, path, *args, **kwargs):
                if "bucket" in path:
                    opened.release()
                    ended.wait(120)
                return super()._open(path, *args, **kwargs)

        memory.pipe("/other/results/a.jsonl", json.dumps(self.LINE).encode())
        # Airflow keeps a store that was attached once; other tests have one of this name.
        monkeypatch.setattr(sys.modules[attach.__module__], "_STORE_CACHE", {})
        attach("memory", fs=Hangs())
        roots = f"{folder}, memory://bucket/results, memory://other/results"
        monkeypatch.setenv("AIRFLOW__WHATSAPP__UI_RESULTS_ROOTS", roots)
        monkeypatch.setattr(results_files, "THREADS", {})
        monkeypatch.setattr(sources, "WAIT", 60.0)

        def ask(path, share=1.0):
            return asyncio.run(results_files.results_of(path, share=share))

        try:
            hung = [ask(f"memory://bucket/results/{n}.jsonl", 0.0) for n in range(sources.QUEUE + 1)]
            assert all(opened.acquire(timeout=60) for _ in range(2))
            others = [ask(self.write(folder / "a.jsonl", self.LINE)), ask("memory://other/results/a.jsonl")]
        finally:
            ended.set()
            memory.rm("/other", recursive=True)

        assert [each.late for each in hung] == [True] * sources.QUEUE + [False]
        assert "Too many questions" in hung[-1].problem
        assert [len(each.value.recipients) for each in others] == [1, 1]

    def test_no_other_disk_is_asked_for_a_path_in_its_folder(self, folder, tmp_path, monkeypatch):
        from airflow_provider_whatsapp.hooks.file_policy import Place
        from airflow_provider_whatsapp.plugin import results_files

        monkeypatch.setenv(
            "AIRFLOW__WHATSAPP__UI_RESULTS_ROOTS", f"/net/hangs, {folder}, s3://bucket/results"
        )
        path = self.write(folder / "a.jsonl", self.LINE)
        looked, resolved = [], Place.resolved
        monkeypatch.setattr(Place, "resolved", lambda place: looked.append(place.parts) or resolved(place))

        results_files.read_results(path)
        names = {results_files._name_of_root(each) for each in (path, "/net/hangs/a", "/srv/a")}

        assert all("net" not in parts for parts in looked)
        assert len(names) == 3

    @pytest.mark.parametrize(
        ("lines", "dags", "seen"),
        [
            ([{"dag_id": "sales"}], [], True),
            ([{"dag_id": "sales"}, {"dag_id": "stock"}], [], False),
            ([{"dag_id": "stock"}], [], False),
            ([{"dag_id": "stock"}], ["sales", "stock"], True),
            ([{"dag_id": None}], ["sales"], False),
            ([{"dag_id": ["sales"]}], ["sales"], False),
            ([{"dag_id": None}], ["sales", "stock"], True),
            ([{"dag_id": None, "callback_data": "{own}"}, {"dag_id": None}], ["sales"], True),
            ([{"dag_id": None, "send_hash": "{hash}"}], ["sales"], True),
            ([{"dag_id": None, "callback_data": "{other}"}], ["sales"], False),
            ([{"dag_id": "stock", "callback_data": "{own}"}], ["sales"], False),
        ],
        ids=["own", "mixed", "another", "another-allowed", "unnamed", "no-text", "unnamed-sees-all", "own-callback",
             "own-hash", "foreign-callback", "named-wins"],
    )  # fmt: skip
    def test_a_file_of_another_dag_is_for_those_who_may_see_that_dag(
        self, tab, folder, monkeypatch, lines, dags, seen
    ):
        """Both DAGs write below the same root, and an XCom of one names the file of the other."""
        from airflow_provider_whatsapp.delivery.callback_data import key_hash, make_callback_data
        from airflow_provider_whatsapp.plugin import task_recipients
        from airflow_provider_whatsapp.plugin.permits import DagPermits

        own, other = (key_hash(dag, *map(str, RUN[1:])) for dag in ("sales", "stock"))
        words = {
            "{own}": make_callback_data(own, 1, 0),
            "{other}": make_callback_data(other, 1, 0),
            "{hash}": own,
        }
        filled = [
            {
                name: words.get(value, value) if isinstance(value, str) else value
                for name, value in line.items()
            }
            for line in lines
        ]
        made = [self.LINE | {"n": n, "to": f"1555000333{n}"} | line for n, line in enumerate(filled)]
        path = self.write(folder / "a.jsonl", *made)
        permits = DagPermits(frozenset({"sales", "stock"}), {"GET": frozenset(dags), "PUT": frozenset()})
        monkeypatch.setattr(task_recipients, "dag_permits", lambda _: permits)
        answer = tab({"recipients": "•••"}, report(total=9, results_path=path) | {"sent": 9})

        assert ("15•••3330" in answer.text) is seen
        assert ("has recipients of a DAG" in answer.text) is not seen

    def test_whoever_may_see_another_dag_may_see_its_file_by_airflow_s_own_permissions(
        self, tab, folder, dags, monkeypatch
    ):
        from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

        path = self.write(folder / "a.jsonl", self.LINE | {"dag_id": "stock", "to": "15550003330"})
        for allowed in ({"sales"}, {"sales", "stock"}):
            monkeypatch.setattr(
                SimpleAuthManager, "get_authorized_dag_ids", lambda *_, seen=allowed, **__: seen
            )
            answer = tab({"recipients": "•••"}, report(total=9, results_path=path) | {"sent": 9})

            assert ("15•••3330" in answer.text) is ("stock" in allowed)
            assert ("has recipients of a DAG" in answer.text) is ("stock" not in allowed)
