"""The tasks whose ledgers version 0.1 has left behind; a later version runs the same ones over them."""

from __future__ import annotations

from types import SimpleNamespace

PEOPLE = [{"to": f"+1 555 010 {place:04}", "name": f"Person {place}"} for place in range(24)]
NUMBERS = [f"1555010{place:04}" for place in range(24)]
REFUSED, LATER, LOST = NUMBERS[3], NUMBERS[5], NUMBERS[7]
FAULTS = [
    {"kind": "status", "status": 400, "to": REFUSED, "path": "/messages", "times": 0}
    | {"body": {"error": {"message": "no", "type": "OAuthException", "code": 131026}}},
    {"kind": "status", "status": 400, "to": LATER, "path": "/messages", "times": 0}
    | {"body": {"error": {"message": "wait", "type": "OAuthException", "code": 131056}}},
    {"kind": "drop_after", "to": LOST, "path": "/messages", "times": 0},
]
"""What some of them meet: refused for good, refused for a time, and an answer that is lost."""

CASES = {
    "files, killed": {"store": "files", "task": "broadcast", "kill": [14]},
    "files, killed twice": {"store": "files", "task": "broadcast", "kill": [9, 6]},
    "files, failed": {"store": "files", "task": "broadcast", "kill": []},
    "files, notes in records of their own": {
        "store": "files",
        "task": "broadcast",
        "kill": [14],
        "notes": 60,
    },
    "files, values of each row": {"store": "files", "task": "varied", "kill": [14]},
    "files, hours of each one": {"store": "files", "task": "hours", "kill": [14]},
    "files, one of two shards": {"store": "files", "task": "shard", "kill": [7]},
    "object store, killed": {"store": "bucket", "task": "broadcast", "kill": [14]},
    "state store, killed": {"store": "state", "task": "broadcast", "kill": [14]},
    "state store, killed, a list": {"store": "state", "task": "text", "kill": [14]},
    "state store, failed, a short list": {"store": "state", "task": "short", "kill": []},
}
"""By name: the store, the task, the messages after which each try was killed, bytes of notes in the ledger's head."""

BUCKET = "memory://bucket/ledgers"


def task(kind, ledger_path):
    """Return the operator of a kind of task."""
    from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
    from airflow_provider_whatsapp.operators.messages import SendTextOperator

    if kind == "text":
        return SendTextOperator(task_id="send", to=NUMBERS, text="hello", ledger_path=ledger_path)
    if kind == "short":
        return SendTextOperator(task_id="send", to=NUMBERS[2:9], text="hello", ledger_path=ledger_path)
    options = {
        "varied": {"template_name": "greeting", "body": ["{name}"]},
        "hours": {"send_window": ("00:00", "23:59"), "timezone": "recipient"},
        "shard": {"shard": 1, "shards": 2},
    }.get(kind, {})
    return BroadcastTemplateOperator(
        task_id="send",
        recipients=PEOPLE,
        check_template=False,
        ledger_path=ledger_path,
        **{"template_name": "hello_world", **options},
    )


def prepare(post):
    """
    Give the sandbox of Airflow's connection what the tasks need and meet.

    :param post: Posts to one of its controls: its name, and fields.
    """
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    text = {"type": "BODY", "text": "Dear {{1}}, hello.", "example": {"body_text": [["Ann"]]}}
    MatonWhatsAppHook().create_template("greeting", "en_US", "UTILITY", [text])
    post("templates", name="greeting", language="en_US", status="APPROVED")
    for fault in FAULTS:
        post("faults", **fault)


def context(number, accessor=None):
    """
    Return what Airflow hands to a try of the task.

    :param number: Of the try.
    :param accessor: Of the task state store; None: there is none.
    """
    ti = SimpleNamespace(
        dag_id="campaign",
        run_id="manual__2026-01-01",
        task_id="send",
        map_index=-1,
        try_number=number,
        max_tries=5,
        xcom_push=lambda **_: None,
    )
    return {"ti": ti} | ({} if accessor is None else {"task_state_store": accessor})
