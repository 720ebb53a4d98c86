"""Other people's clients make their documented calls: what works with WhatsApp works with the sandbox."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PYTHON = ["pywa==4.5.0", "heyoo==0.1.2", "waba-sdk==1.1.1", "whatsapp-python==4.3.0"]
JAVASCRIPT = ["@kapso/whatsapp-cloud-api@0.3.0", "whatsapp-api-js@6.3.0"]
WITHOUT_DOCSTRINGS = {"drive_heyoo.py": ["-OO"]}
"""heyoo has half a character (a lone surrogate) in a docstring, which Python 3.13 refuses to compile."""

OUT_OF_REACH = (
    "EAI_AGAIN", "ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "ConnectionError", "NewConnectionError",
    "ConnectTimeoutError", "Failed to establish a new connection", "Temporary failure in name resolution",
    "client error (Connect)", "dns error",
)  # fmt: skip
"""What the installers say when there is no registry; whatever else they say is a failure."""


def install(*command: str, cwd: Path) -> None:
    try:
        made = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=80, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("the registry is out of reach: no answer in 80 seconds")
    if made.returncode:
        said = made.stdout + made.stderr
        reason = next((each for each in OUT_OF_REACH if each in said), None)
        if reason:
            pytest.skip(f"the registry is out of reach: {reason}")
        pytest.fail(f"{command[0]} ended with {made.returncode}:\n{said[-2000:]}")


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    """A Python that has the clients, apart from ours."""
    place = tmp_path_factory.mktemp("python-clients")
    interpreter = place / "env" / "bin" / "python"
    uv = shutil.which("uv")
    without = ["--without-pip"] if uv else []
    subprocess.run([sys.executable, "-m", "venv", *without, "env"], cwd=place, check=True, timeout=60)
    pip = [uv, "pip", "install", "--python"] if uv else []
    install(*pip, str(interpreter), *([] if uv else ["-m", "pip", "install"]), "--quiet", *PYTHON, cwd=place)
    return [str(interpreter)], place


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """A folder whose node_modules has the clients."""
    if not shutil.which("npm"):
        pytest.skip("npm is not on PATH")
    place = tmp_path_factory.mktemp("node-clients")
    (place / "package.json").write_text("{}")
    install(
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--fetch-retries=1",
        *JAVASCRIPT,
        cwd=place,
    )
    return ["node"], place


@pytest.mark.parametrize(
    ("driver", "runtime", "calls"),
    [
        pytest.param("drive_heyoo.py", "python", 18, id="heyoo"),
        pytest.param("drive_pywa.py", "python", 23, id="pywa"),
        pytest.param("drive_waba_sdk.py", "python", 14, id="waba-sdk"),
        pytest.param("drive_whatsapp_python.py", "python", 13, id="whatsapp-python"),
        pytest.param("drive_kapso.mjs", "node", 19, id="kapso"),
        pytest.param("drive_whatsapp_api_js.mjs", "node", 11, id="whatsapp-api-js"),
    ],
)
def test_the_documented_calls_succeed(driver, runtime, calls, request, sandbox, tmp_path):
    command, folder = request.getfixturevalue(runtime)
    png = tmp_path / "a.png"
    png.write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 50)
    place = {
        "graph": f"{sandbox.url}/whatsapp-business",
        "token": sandbox.connection["password"],
        "number": sandbox.extra["phone_number_id"],
        "waba": sandbox.extra["waba_id"],
        "to": "15550001111",
        "incoming": sandbox.control("POST", "replies", **{"from": "15550001111", "text": "hi"})["id"],
        "png": str(png),
    }
    environment = {**os.environ, "SANDBOX_PLACE": json.dumps(place), "PYTHONDONTWRITEBYTECODE": "1"}
    # The matrix's sessions keep a script's folder off Python's path; drivers find what they share there.
    environment |= {"PYTHONPATH": str(HERE)}
    done = subprocess.run(
        [*command, *WITHOUT_DOCSTRINGS.get(driver, ()), str(HERE / driver)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"call"')]
    assert done.returncode == 0, done.stderr[-2000:]
    assert {line["call"]: line["failed"] for line in lines if line["failed"]} == {}
    assert len(lines) == calls
    assert [each for each in sandbox.requests if each["status"] >= 400] == []
