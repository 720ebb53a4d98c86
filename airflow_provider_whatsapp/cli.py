"""
The commands: ``python -m airflow_provider_whatsapp templates plan|apply|pull PATH``, ``connect``, ``doctor``,
``results PATH``, ``webhook subscribe|status|unsubscribe``, ``receiver`` and ``answer``.

They start fast and run in any CI: nothing of Airflow is imported, unless results lie in an object store, and the
connection comes from the environment.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp import DOCUMENTATION_URL, __version__, doctor, webhook
from airflow_provider_whatsapp.answering import command as answer
from airflow_provider_whatsapp.command_connection import DEFAULT_CONN_ID, config_of
from airflow_provider_whatsapp.events import command as receiver
from airflow_provider_whatsapp.reports import command as report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

NO_CHANGE, ERROR, CHANGES = 0, 1, 2
MAX_DELETIONS = 10

_DESCRIPTION = """\
Message templates as code. The command reads the connection from AIRFLOW_CONN_<ID> (JSON), or else the key from
MATON_API_KEY and the rest from options. Exit status: 0 no change or all applied, 2 changes (or some that have to
wait), 1 an error or a wrong command line."""

_EPILOG = f"""\
first steps:
  python -m airflow_provider_whatsapp.sandbox   stands in for WhatsApp on this machine: no account is needed
  python -m airflow_provider_whatsapp connect   makes the connection to a real account
  python -m airflow_provider_whatsapp doctor    checks each part of the connection
  python -m airflow_provider_whatsapp receiver  stores receipts and replies in your database

Documentation: {DOCUMENTATION_URL}"""

Option = tuple[tuple[str, ...], dict[str, Any]]

TEMPLATE_OPTIONS: list[Option] = [
    (("path",), {"metavar": "PATH", "help": "template file, or a folder of them"}),
    (("--json",), {"action": "store_true", "help": "print JSON"}),
    (("--conn-id",), {"help": f"connection to take from AIRFLOW_CONN_<ID> (default {DEFAULT_CONN_ID})"}),
    (("--waba-id",), {"help": "WhatsApp Business Account; wins over the connection's"}),
    (("--host",), {"help": "base URL of the gateway; wins over the connection's"}),
    (("--app-id",), {"help": "Meta app for samples of media headers; wins over the connection's"}),
]
PRUNE_OPTIONS: list[Option] = [
    (
        ("--base-url",),
        {
            "metavar": "URL",
            "help": "value of {base_url} in the buttons: your Airflow's public address",
        },
    ),
    (
        ("--prune",),
        {"action": "store_true", "help": "delete templates that the files cover but no longer define"},
    ),
    (
        ("--max-deletions",),
        {
            "type": int,
            "default": MAX_DELETIONS,
            "metavar": "N",
            "help": "refuse a plan with more deletions (default 10)",
        },
    ),
]
PULL_OPTIONS: list[Option] = [
    (
        ("--force",),
        {
            "action": "store_true",
            "help": "replace files that no pull wrote, or that somebody has edited since",
        },
    ),
]
TEMPLATE_COMMANDS = {
    "plan": ("show what apply would do", [*TEMPLATE_OPTIONS, *PRUNE_OPTIONS]),
    "apply": ("change the account's templates to what the files define", [*TEMPLATE_OPTIONS, *PRUNE_OPTIONS]),
    "pull": ("write the account's templates to files", [*TEMPLATE_OPTIONS, *PULL_OPTIONS]),
}

CONNECT_HELP = (
    "make Airflow's connection from a Maton API key (MATON_API_KEY, or asked for): waits for the WhatsApp login, "
    "prints or stores the connection, and offers a first message to your own phone"
)
CONNECT_OPTIONS: list[Option] = [
    (
        ("--conn-id",),
        {"default": DEFAULT_CONN_ID, "help": f"ID of the connection (default {DEFAULT_CONN_ID})"},
    ),
    (
        ("--save",),
        {
            "action": "store_true",
            "help": "store it as one of Airflow's connections, and do not print the key",
        },
    ),
    (("--force",), {"action": "store_true", "help": "with --save: replace a connection with the same ID"}),
    (
        ("--env-file",),
        {
            "metavar": "FILE",
            "help": "set AIRFLOW_CONN_<ID> in this file (for example .env), and do not print the key",
        },
    ),
    (("--waba-id",), {"metavar": "ID", "help": "WhatsApp Business Account (default: asked for)"}),
    (
        ("--phone-number-id",),
        {
            "metavar": "ID",
            "help": "sender (default: the account's number, asked for if there are several)",
        },
    ),
    (
        ("--connection-id",),
        {"metavar": "ID", "help": "Maton's connection (default: asked for if there are several)"},
    ),
    (
        ("--to",),
        {
            "metavar": "NUMBER",
            "help": "your own phone, for a first message; '' for none (default: asked for)",
        },
    ),
    (("--host",), {"help": "base URL of the gateway, for example the sandbox (default: Maton's)"}),
    (
        ("--timeout",),
        {
            "type": float,
            "default": 300.0,
            "metavar": "SECONDS",
            "help": "seconds to wait for the login (default 300)",
        },
    ),
]


RESULTS_HELP = "assemble the results file of a killed task from its parts; mark a file that version 0.1 wrote"
RESULTS_OPTIONS: list[Option] = [
    (
        ("path",),
        {"metavar": "PATH", "help": "the task's results_path: a file, or the URL of an object store"},
    ),
]


class _Parser(argparse.ArgumentParser):
    """Ends with 1 where argparse would with 2: a typo in CI must not look like a plan that has changes."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ERROR, f"{self.prog}: error: {message}\n")


def parser() -> argparse.ArgumentParser:
    """Return the command line; its subparsers are of the same class."""
    made = _Parser(
        prog="python -m airflow_provider_whatsapp",
        description="WhatsApp through Maton, from a shell.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=__version__)
    groups = made.add_subparsers(dest="group", required=True, metavar="COMMAND")
    templates = groups.add_parser(
        "templates",
        help="message templates as code: plan, apply or pull them",
        description=_DESCRIPTION,
    )
    commands = templates.add_subparsers(dest="command", required=True, metavar="plan|apply|pull")
    for name, (text, options) in TEMPLATE_COMMANDS.items():
        command = commands.add_parser(name, help=text, description=_DESCRIPTION)
        for flags, fields in options:
            command.add_argument(*flags, **fields)
        command.set_defaults(run=templates_command)
    _add(groups, "connect", CONNECT_HELP, CONNECT_OPTIONS, _connect)
    _add(groups, "doctor", doctor.HELP, doctor.OPTIONS, doctor.doctor_command)
    _add(groups, "results", RESULTS_HELP, RESULTS_OPTIONS, results_command)
    reports = groups.add_parser("report", help=report.HELP, description=report.HELP)
    commands = reports.add_subparsers(dest="command", required=True, metavar="preview")
    _add(commands, "preview", report.HELP, report.OPTIONS, report.report_command)
    hooks = groups.add_parser("webhook", help=webhook.HELP, description=webhook.HELP)
    commands = hooks.add_subparsers(dest="command", required=True, metavar="subscribe|status|unsubscribe")
    for name, (text, options) in webhook.COMMANDS.items():
        _add(commands, name, text, options, lambda given: webhook.webhook_command(given, config_of))
    _add(groups, "receiver", receiver.HELP, receiver.OPTIONS, receiver.receiver_command)
    _add(groups, "answer", answer.HELP, answer.OPTIONS, answer.answer_command)
    return made


def _add(
    commands: Any, name: str, text: str, options: Sequence[Option], run: Callable[[argparse.Namespace], int]
) -> None:
    command = commands.add_parser(name, help=text, description=text)
    for flags, fields in options:
        command.add_argument(*flags, **fields)
    command.set_defaults(run=run)


def _connect(given: argparse.Namespace) -> int:
    from airflow_provider_whatsapp.connect import connect_command

    return connect_command(given)


def results_command(given: argparse.Namespace) -> int:
    """Run ``results``, and return the exit status."""
    from airflow_provider_whatsapp.delivery.results import assemble

    scheme, is_url, rest = given.path.partition("://")
    try:
        if is_url and scheme != "file":
            done = assemble(given.open_url(given.path))
        else:
            done = assemble(Path(rest if is_url else given.path))
    except Exception as error:  # an object store's library has errors of its own
        _complain(str(error) or type(error).__name__)
        return ERROR
    _show(done)
    return NO_CHANGE


def main(
    arguments: Sequence[str] | None = None,
    *,
    open_url: Callable[[str], Any] = Path,  # the path of a file in an object store, by means of Airflow
    open_database: Callable[[str], Any] | None = None,  # the hook of a database's connection
    airflow_connections: Callable[[], Any] | None = None,  # Airflow's own store of connections
) -> int:
    """Run a command, and return the exit status."""
    made = parser()
    if not (sys.argv[1:] if arguments is None else arguments):
        made.print_help(sys.stderr)
        return ERROR
    given = made.parse_args(arguments)
    given.open_url, given.open_database = open_url, open_database
    given.airflow_connections = airflow_connections
    status: int = given.run(given)
    return status


def templates_command(
    given: argparse.Namespace, find_config: Callable[[argparse.Namespace], ClientConfig] | None = None
) -> int:
    """Run ``templates plan``, ``apply`` or ``pull``, and return the exit status."""
    from airflow_provider_whatsapp.client.errors import WhatsAppError
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

    actions = {"plan": _plan, "apply": _apply, "pull": _pull}
    try:
        if given.command != "pull":
            from airflow_provider_whatsapp.message_templates.files import load

            given.wanted = load(given.path, base_url=given.base_url)
            for warning in given.wanted.warnings:
                _complain(f"warning: {warning}")
        with WhatsAppClient((find_config or config_of)(given)) as client:
            return actions[given.command](given, client)
    except (WhatsAppError, OSError) as error:
        if given.json:
            facts = error.to_dict() if isinstance(error, WhatsAppError) else {"message": str(error)}
            _show_json({"error": facts})
        _complain(str(error))
        return ERROR


def _plan(given: argparse.Namespace, client: WhatsAppClient) -> int:
    from airflow_provider_whatsapp.message_templates.blocks import Record, record_path
    from airflow_provider_whatsapp.message_templates.plan import plan_templates
    from airflow_provider_whatsapp.message_templates.render import coloured, render_plan

    record = Record.load(record_path(given.path))
    plan = plan_templates(client, given.wanted, prune=given.prune, record=record)
    if given.json:
        _show_json(plan.to_dict())
    else:
        _show(render_plan(plan), paint=coloured)
    return CHANGES if plan.has_changes else NO_CHANGE


def _apply(given: argparse.Namespace, client: WhatsAppClient) -> int:
    from airflow_provider_whatsapp.message_templates.apply import Applier
    from airflow_provider_whatsapp.message_templates.blocks import Record, record_path
    from airflow_provider_whatsapp.message_templates.plan import plan_templates
    from airflow_provider_whatsapp.message_templates.render import coloured, render_plan, render_report

    path = record_path(given.path)
    record = Record.load(path)
    plan = plan_templates(client, given.wanted, prune=given.prune, record=record)
    if not given.json:
        _show(render_plan(plan), paint=coloured)

    def keep() -> None:
        try:
            record.save(path)
        except (
            OSError
        ) as error:  # it only sharpens later plans, and the report of what was done must not be lost
            _complain(f"the record of edits and deletions could not be written: {error}")

    applier = Applier(client, record=record, max_deletions=given.max_deletions, changed=keep)
    report = applier.apply(plan)
    if given.json:
        _show_json(report.to_dict())
    else:
        _show(render_report(report))
    if report.failed:
        return ERROR
    return NO_CHANGE if report.complete else CHANGES


def _pull(given: argparse.Namespace, client: WhatsAppClient) -> int:
    from airflow_provider_whatsapp.message_templates.documents import one_line
    from airflow_provider_whatsapp.message_templates.plan import fetch_account
    from airflow_provider_whatsapp.message_templates.pull import pull

    result = pull(fetch_account(client), given.path, force=given.force)
    if given.json:
        _show_json(result)
        return NO_CHANGE
    lines = [f"wrote {one_line(file)}" for file in result["written"]]
    lines += [
        f"! {name}: written as Meta has it (as_is), because Meta's rules of today, or this version, would refuse it"
        for name in result["as_is"]
    ]
    count = len(result["written"])
    lines.append(f"{result['templates']} templates, {count} file{'s' if count != 1 else ''} written.")
    _show("\n".join(lines))
    return NO_CHANGE


# What is printed holds texts of the account, of files and of the gateway, and none of it commands the terminal.
def _show(text: str, paint: Callable[[str], str] | None = None) -> None:
    from airflow_provider_whatsapp.client.masking import printable

    text = printable(text)
    # https://no-color.org: any value but an empty one.
    if paint and sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        text = paint(text)
    sys.stdout.write(text + "\n")


def _show_json(value: Any) -> None:
    from airflow_provider_whatsapp.client.masking import escaped

    sys.stdout.write(escaped(json.dumps(value, indent=2, ensure_ascii=False)) + "\n")


def _complain(text: str) -> None:
    from airflow_provider_whatsapp.client.masking import printable

    sys.stderr.write(printable(text) + "\n")
