"""Commands that are not run by the tests: that what they name is there, is checked all the same."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from itertools import pairwise

from tests.docs.pages import ROOT, Block, PageError

# Programs of others; what they are told is not ours to check.
FOREIGN = {"mkdir", ".", "cd", "curl", "docker", "git", "helm", "kubectl", "pytest", "source", "apt-get"}


def check_commands(block: Block) -> None:
    """
    Check each command of a shell block: its make target, its module, its extra, its options.

    :param block: A block that is not run.
    :raises PageError: It names something that is not there.
    """
    if block.language != "bash":
        return
    for line in re.sub(r"\\\n", " ", block.text).splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"\w+=.*", words[0], re.DOTALL):
            words = words[1:]
        if words and not _is_there(words):
            raise PageError(f"{block.place}: {shlex.join(words)!r} names something that is not there")


def _is_there(words: list[str]) -> bool:
    program, *rest = words
    if program == "make":
        return all(re.search(rf"(?m)^{word}:.*## ", MAKEFILE) for word in rest if "=" not in word)
    if program == "pip":
        named = [word for before, word in pairwise(rest) if before != "--constraint"]
        return all(_can_be_installed(word) for word in named if not word.startswith("-"))
    if program.endswith(("python", "python3")) and rest[:1] == ["-m"]:
        return _module(rest[1:])
    if program == "airflow":
        return _airflow(rest)
    if program == "cp":
        return all((ROOT / word).is_file() for word in rest[:-1])
    if program == "export":
        return True
    return program in FOREIGN or program.startswith(".venv/bin/") or (ROOT / program).is_file()


MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def _can_be_installed(word: str) -> bool:
    name, _, extras = word.partition("[")
    ours = name.startswith(".") or name.endswith(".whl") or name.rpartition("/")[2] == PROJECT["name"]
    wanted = {each for each in extras.rstrip("]").split(",") if each}
    if not ours:
        return name.startswith("apache-airflow") and not wanted
    return wanted <= set(PROJECT["optional-dependencies"])


def _module(words: list[str]) -> bool:
    name, *rest = words
    if name in ("venv", "pytest"):
        return True
    commands = [word for word in rest if not word.startswith("-") and word.islower() and word.isalpha()]
    options = {word.partition("=")[0] for word in rest if word.startswith("--")}
    done = subprocess.run(
        [sys.executable, "-m", name, *commands[:2], "--help"], capture_output=True, text=True, check=False
    )
    return done.returncode == 0 and all(option in done.stdout for option in options)


def _airflow(words: list[str]) -> bool:
    from airflow.cli.cli_parser import get_parser

    parser = get_parser()
    if words[0] in ("celery", "kubernetes"):  # there with their providers alone
        return True
    for word in words:
        choices = getattr(getattr(parser, "_subparsers", None), "_group_actions", None)
        if not choices:
            return True
        parser = choices[0].choices.get(word)
        if parser is None:
            return False
    return True
