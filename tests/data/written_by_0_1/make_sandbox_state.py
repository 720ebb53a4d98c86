"""
Makes ``sandbox.db``, the state of a sandbox, with version 0.1 (commit 6f9f234).

``python make_sandbox_state.py CHECKOUT``: CHECKOUT is a clone at that commit, and this Python has its dependencies.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import requests

HERE = Path(__file__).parent


def main() -> None:
    """Let that version's sandbox take a few messages, and keep what it has written."""
    target = HERE / "sandbox.db"
    target.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "airflow_provider_whatsapp.sandbox",
        "--port",
        "0",
        "--state",
        str(target),
    ]
    sandbox = subprocess.Popen(command, cwd=sys.argv[1], stdout=subprocess.PIPE, text=True)
    line = next(line for line in sandbox.stdout if line.startswith("export "))
    connection = json.loads(line.partition("'")[2].rstrip("'\n"))
    host, extra = connection["host"], connection["extra"]
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {connection['password']}"
    path = f"{host}/whatsapp-business/v25.0/{extra['phone_number_id']}"
    common = {"messaging_product": "whatsapp", "to": "+15550001111"}
    hello = {"name": "hello_world", "language": {"code": "en_US"}}
    session.post(
        f"{path}/messages", json={**common, "type": "template", "template": hello}
    ).raise_for_status()
    session.post(
        f"{host}/_sandbox/replies", json={"from": "15550001111", "text": "Thank you"}
    ).raise_for_status()
    session.post(
        f"{path}/messages", json={**common, "type": "text", "text": {"body": "Gladly"}}
    ).raise_for_status()
    body = {"type": "BODY", "text": "Late by {{1}} minutes.", "example": {"body_text": [["5"]]}}
    made = {"name": "late", "language": "en_US", "category": "UTILITY", "components": [body]}
    account = f"{host}/whatsapp-business/v25.0/{extra['waba_id']}"
    session.post(f"{account}/message_templates", json=made).raise_for_status()
    session.post(
        f"{host}/_sandbox/templates", json={"name": "late", "correct_category": "MARKETING"}
    ).raise_for_status()
    session.post(f"{host}/_sandbox/faults", json={"kind": "slow", "path": "/nowhere"}).raise_for_status()
    session.post(
        f"{path}/whatsapp_business_profile", json={"messaging_product": "whatsapp", "about": "Reports"}
    )
    sandbox.terminate()
    sandbox.wait(20)


if __name__ == "__main__":
    main()
