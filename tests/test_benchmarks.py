"""What the benchmarks leave behind, and how a run over several machines is judged; nothing is measured here."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
import re
from functools import partial
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """The runner, whose benchmarks give a figure at once, and a command line for it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("benchmarks_run", BENCHMARKS / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "BUILT", tmp_path / "build" / "benchmarks")
    monkeypatch.setattr(module, "conditions", lambda options, seconds: "Measured.")
    ran = []

    module.broken = []

    def run(name, options):
        ran.append(name)
        if name in module.broken:
            raise module.NoFiguresError(f"{name} gave no figures")
        points = (
            ((plot, x) for plot in module.PLOTS for x in (100, 1000)) if name == "broadcast_memory" else ()
        )
        return [
            module.rows.Row(name=name, value=len(ran)),
            *(module.rows.Row(name=plot, value=x, plot=plot, x=x) for plot, x in points),
        ]

    monkeypatch.setattr(module, "run", run)

    def command(*words, code=0):
        ran.clear()
        monkeypatch.setattr("sys.argv", ["run.py", *map(str, words)])
        assert module.main() == code
        return ran

    module.command = command
    return module


def measured(text):
    return re.findall(r"^\| (\w+) \| \d", text, re.MULTILINE)


def test_every_benchmark_is_run(bench):
    scripts = {
        file.stem
        for file in BENCHMARKS.glob("*.py")
        if re.search(r"add_option\(parser|\"--json\"", file.read_text("utf-8"))
    }

    assert sorted(name for name, *_ in bench.BENCHMARKS) == sorted(scripts - {"rows", "run"})


def test_table_and_plots_go_into_a_folder_of_their_own(bench):
    bench.command()

    page = (bench.BUILT / "benchmarks.md").read_text()
    images = re.findall(r"^!\[.+\]\((.+)\)$", page, re.MULTILINE)
    assert measured(page) == [name for name, *_ in bench.BENCHMARKS]
    assert images == ["benchmark-throughput.svg", "benchmark-memory.svg"]
    assert all((bench.BUILT / image).read_text().startswith("<svg") for image in images)


def test_a_part_leaves_nothing_of_an_earlier_run(bench):
    bench.command()
    assert set(bench.command("--quick", "--only", "threads")) == {"threads"}

    assert [file.name for file in bench.BUILT.iterdir()] == ["benchmarks.md"]
    assert measured((bench.BUILT / "benchmarks.md").read_text()) == ["threads"]


@pytest.fixture
def page(bench, tmp_path):
    (tmp_path / "images").mkdir()
    file = tmp_path / "page.md"
    file.write_text("Before.\n{}\n| old | 1 |\n{}\nAfter.\n".format(*bench.MARKS))
    return file


def test_a_whole_run_goes_into_a_page(bench, page):
    bench.command("--write", page)

    text = page.read_text()
    assert text.startswith("Before.\n<!--")
    assert text.endswith("-->\nAfter.\n")
    assert measured(text) == [name for name, *_ in bench.BENCHMARKS]
    assert "old" not in text
    assert {file.stem for file in (page.parent / "images").iterdir()} == {
        "benchmark-throughput",
        "benchmark-memory",
    }


def test_a_benchmark_that_fails_costs_no_figures_of_the_others(bench, page, capsys):
    before, bench.broken = page.read_text(), ["analytics"]

    ran = bench.command("--write", page, code=1)

    names = [name for name, *_ in bench.BENCHMARKS]
    assert list(dict.fromkeys(ran)) == names
    assert measured((bench.BUILT / "benchmarks.md").read_text()) == [
        name for name in names if name != "analytics"
    ]
    assert page.read_text() == before
    assert "Without figures: analytics." in capsys.readouterr().out


@pytest.mark.parametrize("part", [["--quick"], ["--only", "threads"]])
def test_a_part_does_not_go_into_a_page(bench, page, part, capsys):
    before = page.read_text()

    with pytest.raises(SystemExit):
        bench.command("--write", page, *part)

    assert "a whole run" in capsys.readouterr().err
    assert page.read_text() == before


def test_a_page_without_a_place_is_refused_before_anything_is_measured(bench, page, capsys, monkeypatch):
    page.write_text("Nothing.")
    monkeypatch.setattr(bench, "run", pytest.fail)

    with pytest.raises(SystemExit):
        bench.command("--write", page)

    assert "lacks the lines" in capsys.readouterr().err


@pytest.fixture
def findings(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS / "scale_out"))
    import findings

    return findings


PEOPLE = [f"1555{number:07}" for number in range(200)]


def facts(findings, **changes):
    """A run as it should be: one is killed on the way, one of its sends stays unknown, ten a second."""
    return dataclasses.replace(
        findings.Facts(
            recipients=PEOPLE,
            accepted=[(to, number / 10) for number, to in enumerate(PEOPLE)],
            refused=2,
            requests=200,
            results=[(PEOPLE[0], "unknown"), *((to, "sent") for to in PEOPLE[1:])],
            state="success",
            tries=[2, 1],
            rate=10,
            killed=1,
            in_flight=2,
        ),
        **changes,
    )


def not_good(found):
    return [finding.what.split(":")[0] for finding in found if not finding.good]


def test_a_good_run_is_found_good(findings):
    found = findings.judge(facts(findings))

    assert not_good(found) == []
    assert len(found) == 8


def at(rate):
    return [(to, number / rate) for number, to in enumerate(PEOPLE)]


TWICE, LOST = "nobody is sent to twice", "nobody is lost"
AGREE, UNKNOWN = "the results files agree with the sandbox", "unknown"
RATE = "combined rate within 5% of the limit, 10/s"


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"accepted": [*at(10), (PEOPLE[7], 20)]}, [TWICE]),
        ({"accepted": [*at(10), (PEOPLE[0], 20)]}, [TWICE]),
        ({"accepted": at(10)[:-1]}, [LOST, AGREE]),
        ({"results": [(PEOPLE[0], "unknown"), *((to, "sent") for to in PEOPLE[1:-1])]}, [LOST, AGREE]),
        (
            {
                "accepted": at(10)[:-1],
                "results": [*((to, "sent") for to in PEOPLE[:-1]), (PEOPLE[-1], "failed")],
            },
            [LOST],
        ),
        ({"results": [*((to, "sent") for to in PEOPLE), (PEOPLE[5], "sent")]}, [AGREE]),
        ({"results": [(PEOPLE[5], "failed"), *((to, "sent") for to in PEOPLE if to != PEOPLE[5])]}, [AGREE]),
        (
            {"results": [*((to, "unknown") for to in PEOPLE[:3]), *((to, "sent") for to in PEOPLE[3:])]},
            [UNKNOWN],
        ),
        ({"killed": 0}, [UNKNOWN]),
        ({"accepted": at(9.4)}, [RATE]),
        ({"accepted": at(10.6)}, [RATE]),
        ({"accepted": [(to, 0) for to in PEOPLE]}, [RATE]),
        ({"refused": 3}, ["refused for coming too fast (429)"]),
        ({"refused": 7, "far": True}, ["refused for coming too fast (429)"]),
        ({"tries": [1, 1]}, ["Airflow tries the killed worker's tasks again"]),
        ({"state": "failed"}, ["the DAG run ends well"]),
    ],
)
def test_what_is_wrong_with_a_run_is_found(findings, changes, wrong):
    assert not_good(findings.judge(facts(findings, **changes))) == wrong


@pytest.mark.parametrize(
    "changes",
    [
        {"accepted": at(9.6)},
        {"accepted": at(10.4)},
        # Unknown, and it did not arrive.
        {"accepted": at(10)[1:]},
        {"results": [*((to, "unknown") for to in PEOPLE[:2]), *((to, "sent") for to in PEOPLE[2:])]},
        {"killed": 0, "tries": [1, 1], "results": [(to, "sent") for to in PEOPLE]},
        {"refused": 6, "far": True},
    ],
)
def test_what_may_be_is_not_found_wrong(findings, changes):
    assert not_good(findings.judge(facts(findings, **changes))) == []


FIRST, LAST = "load: no rows in part 3", "load: no rows in part 9"
MESSAGES = "one message, and one more for each 300 s of the storm, which lasted {} s"
SUMMARY = "a summary when it is over, and at most one for each message"
COUNTED = "messages and summaries count each failure once"


def summary(count):
    return f"DAG storm, run storm: {count} more failure{'s' * (count > 1)}: load[0-2, 4], ..."


@pytest.mark.parametrize(
    ("bodies", "lasted", "wrong"),
    [
        ([FIRST, summary(9)], 40, []),
        ([FIRST, summary(4), f"{LAST} (3 more failures: load[5], ...)", summary(1)], 310, []),
        ([FIRST, summary(4), f"{LAST} (4 more failures: load[5], ...)"], 310, []),
        ([FIRST, summary(8)], 40, [COUNTED]),
        ([FIRST, summary(10)], 40, [COUNTED]),
        ([FIRST, LAST, summary(8)], 40, [MESSAGES]),
        ([FIRST, summary(9)], 310, [MESSAGES]),
        ([FIRST, summary(4), summary(5)], 40, [SUMMARY]),
        ([FIRST], 40, [SUMMARY, COUNTED]),
    ],
    ids=[
        "short",
        "long",
        "long, told by the last",
        "one less",
        "one more",
        "two at once",
        "none later",
        "two summaries",
        "no summary",
    ],
)
def test_a_storm_s_messages_are_judged(findings, bodies, lasted, wrong):
    found = findings.judge_alerts(bodies, tasks=10, lasted=lasted, cooldown=300)
    assert not_good(found) == [each.format(lasted) for each in wrong]


@pytest.fixture
def limits(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS / "scale_out"))
    import limits

    return limits


@pytest.mark.parametrize(
    ("times", "most"),
    [
        ([], 0),
        ([5.0], 1),
        ([0.0, 1.0], 1),
        ([0.0, 0.999], 2),
        ([0.0, 0.5, 0.9, 1.0, 1.4], 4),
        ([n / 8 for n in range(50)], 8),
        ([*(n / 8 for n in range(20)), 2.4], 9),
    ],
    ids=["none", "one", "a second apart", "just within", "across the clock's second", "even", "one too many"],
)
def test_the_fullest_second_may_begin_anywhere(limits, times, most):
    assert limits.fullest(times) == most


def kept(
    limits, times=tuple(n / 8 for n in range(100)), *, refused=0, failed=0, machines=4, share=(1, 1, 1, 1)
):
    path = "/whatsapp-business/v25.0/1/messages"
    requests = [{"method": "POST", "path": path, "status": 200, "at": at} for at in times]
    requests += [{"method": "POST", "path": path, "status": 429, "at": 200.0 + n} for n in range(refused)]
    requests.append({"method": "GET", "path": path, "status": 200, "at": 0.01})
    senders = [number for number, times_each in enumerate(share) for _ in range(times_each)]
    messages = [{"to": f"1555{number:02}00000"} for number in senders]
    return limits.kept(requests, messages, machines=machines, limit=8, failed=failed)


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({}, []),
        ({"times": [n / 7.75 for n in range(100)]}, []),
        ({"times": [n / 7.6 for n in range(100)]}, ["rate below 0.96"]),
        ({"times": [*(n / 8 for n in range(100)), 12.4]}, ["9 in a second"]),
        ({"times": [0.0, 0.5]}, ["rate below 0.96"]),
        ({"refused": 1}, ["429: 0.5% or more"]),
        ({"failed": 1}, ["1 failed"]),
        ({"share": (10, 10, 10, 9)}, []),
        ({"share": (10, 10, 10, 8)}, ["slowest/fastest below 0.9"]),
        ({"share": (10, 10, 10)}, ["slowest/fastest below 0.9"]),
    ],
    ids=[
        "good",
        "just good",
        "slow",
        "burst",
        "hardly any",
        "refused",
        "failed",
        "fair",
        "unfair",
        "one has none",
    ],
)
def test_how_a_limit_was_kept_is_judged_by_what_the_sandbox_saw(limits, changes, faults):
    bounds = limits.Bounds(rate=0.96, refused=0.005, fair=0.9)
    assert kept(limits, **changes).faults(bounds) == faults
    if faults != ["1 failed"] and faults != ["9 in a second"]:
        assert kept(limits, **changes).faults(limits.Bounds()) == []


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_a_relay_hands_on_all_bytes_and_both_ends_and_no_connection_to_nobody(monkeypatch, seconds):
    monkeypatch.syspath_prepend(str(BENCHMARKS / "scale_out"))
    import relay

    content = bytes(range(256)) * 4_096

    async def upper(reader, writer):
        writer.write((await reader.read()).upper())  # all of it, once the caller has ended
        writer.close()

    async def scene():
        server = await asyncio.start_server(upper, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        handle = partial(relay.relay, target="127.0.0.1", port=port, seconds=seconds)
        cable = await asyncio.start_server(handle, "127.0.0.1", 0)
        address = cable.sockets[0].getsockname()
        began = asyncio.get_running_loop().time()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(content)
        writer.write_eof()
        assert await reader.read() == content.upper()
        assert asyncio.get_running_loop().time() - began >= 2 * seconds, "the connection, and what is sent"
        writer.close()
        server.close()
        await server.wait_closed()
        reader, writer = await asyncio.open_connection(*address)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        cable.close()

    asyncio.run(scene())
