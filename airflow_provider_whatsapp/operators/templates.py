"""The operator that makes an account's message templates equal to their definitions in files."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from airflow_provider_whatsapp._compat import AirflowFailException, conf
from airflow_provider_whatsapp.assets import emit_templates
from airflow_provider_whatsapp.links import WhatsAppManagerLink
from airflow_provider_whatsapp.operators._arguments import flag, one_of, optional, seconds, text, whole
from airflow_provider_whatsapp.operators._declare import Argument, DeclaresArguments
from airflow_provider_whatsapp.policies import failing_at_once

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_whatsapp.message_templates.apply import ApplyReport
    from airflow_provider_whatsapp.message_templates.files import TemplateSet
    from airflow_provider_whatsapp.message_templates.plan import Plan
    from airflow_provider_whatsapp.operators._declare import Arguments


class SyncTemplatesOperator(DeclaresArguments, BaseOperator):
    """
    Change the account's message templates to what files define, or write the account's templates to files.

    Airflow does not render the definitions: it would read WhatsApp's ``{{1}}`` and ``{{name}}`` as Jinja, and empty
    them. Running the operator again is safe, and completes what an earlier run left. It returns the report (with
    ``dry_run`` the plan, with ``direction="pull"`` the files written), which is also in the XCom ``report`` if the
    task fails. For each template that it changed, it emits an asset event once Meta has approved the template (see
    :mod:`airflow_provider_whatsapp.assets`).

    :param templates: A YAML or JSON file, a folder of them, or a list of mappings in their form. A relative path
        starts in the DAG file's folder, or without a DAG in the working directory. Not templated.
    :param prune: Delete templates that the files cover (their names in other languages, ``prune.prefixes``,
        ``prune.names``) but no longer define. (templated)
    :param dry_run: Plan, and change nothing. (templated)
    :param wait_for_approval: Wait until Meta has approved every defined template. (templated)
    :param direction: ``"push"``, or ``"pull"``: write the account's templates to the file or folder ``templates``.
        (templated)
    :param force: Let a pull replace files that no pull wrote, or that somebody has edited since. (templated)
    :param on_drift: What to do when Meta has changed a category: ``"fail"`` (at the end, without retries) or
        ``"warn"``. (templated)
    :param max_deletions: Refuse a plan with more deletions than this, before any change. (templated)
    :param approval_timeout: Seconds to wait for approval. Most reviews take minutes; Meta says up to 24 hours.
        (templated)
    :param poke_interval: Seconds between two polls of the account, while waiting. (templated)
    :param base_url: The value of ``{base_url}`` in the URLs of buttons; None: ``[api] base_url``, Airflow's own
        address. (templated)
    :param maton_conn_id: The Airflow connection. (templated)
    :param waba_id: WhatsApp Business Account; None: the connection's. (templated)
    :param deferrable: Wait in the triggerer, without a worker slot; the default is Airflow's ``[operators]
        default_deferrable``.
    """

    declared_arguments: ClassVar[Arguments] = {
        "templates": Argument(templated=False),  # Jinja would empty WhatsApp's {{1}}
        "maton_conn_id": Argument(),
        "waba_id": Argument(),
        "prune": Argument(flag),
        "dry_run": Argument(flag),
        "wait_for_approval": Argument(flag),
        "direction": Argument(one_of("push", "pull")),
        "force": Argument(flag),
        "on_drift": Argument(one_of("fail", "warn")),
        "max_deletions": Argument(whole),
        "approval_timeout": Argument(seconds),
        "poke_interval": Argument(seconds),
        "base_url": Argument(optional(text)),
        "deferrable": Argument(templated=False),
    }
    operator_extra_links = (WhatsAppManagerLink(),)
    ui_color = "#d9fdd3"

    def __init__(
        self,
        *,
        templates: str | Path | Sequence[Mapping[str, Any]],
        prune: bool | str = False,
        dry_run: bool | str = False,
        wait_for_approval: bool | str = False,
        direction: str = "push",
        force: bool | str = False,
        on_drift: str = "warn",
        max_deletions: int | str = 10,
        approval_timeout: float | str = 86_400.0,
        poke_interval: float | str = 60.0,
        base_url: str | None = None,
        maton_conn_id: str = "maton_whatsapp_default",
        waba_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.templates = templates
        self.prune: Any = prune
        self.dry_run: Any = dry_run
        self.wait_for_approval: Any = wait_for_approval
        self.direction = direction
        self.force: Any = force
        self.on_drift = on_drift
        self.max_deletions: Any = max_deletions
        self.approval_timeout: Any = approval_timeout
        self.poke_interval: Any = poke_interval
        self.base_url = base_url
        self.maton_conn_id = maton_conn_id
        self.waba_id = waba_id
        self.deferrable = deferrable

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan, apply and wait, or pull."""
        with failing_at_once():
            self._read_arguments()
            if self.direction == "pull":
                return self._pull()
            wanted = self._wanted()
            plan = self._plan(wanted)
            if self.dry_run:
                self._check_drift(plan.category_drift())
                return plan.to_dict()
            report = self._apply(plan)
        result = report.to_dict()
        context["ti"].xcom_push(key="report", value=result)
        self._check(report)
        self._check_drift([*plan.category_drift(), *report.drift])
        if self.wait_for_approval:
            self._wait(context, wanted, result)
        else:
            approved = [outcome for outcome in result["outcomes"] if _is_made(outcome, "APPROVED")]
            emit_templates(self, context, self.hook, approved)
        return result

    def _wanted(self) -> TemplateSet:
        from airflow_provider_whatsapp.hooks.file_policy import readable
        from airflow_provider_whatsapp.message_templates.files import load_templates

        folder = self._folder()
        if isinstance(self.templates, str | Path):
            readable(Path(folder, self.templates), field="templates")
        base_url = self.base_url or conf.get("api", "base_url", fallback=None)
        found = load_templates(self.templates, folder=folder, base_url=base_url)
        for definition in found.definitions.values():
            for sample in definition.samples():
                readable(Path(definition.folder or ".", sample), field="templates")
        for warning in found.warnings:
            self.log.warning("%s", warning)
        return found

    def _folder(self) -> str:
        dag = self.get_dag()
        return str(Path(dag.fileloc).parent) if dag is not None else "."

    def _plan(self, wanted: TemplateSet) -> Plan:
        from airflow_provider_whatsapp.message_templates.plan import plan_templates
        from airflow_provider_whatsapp.message_templates.render import render_plan

        plan = plan_templates(self.hook.client, wanted, prune=self.prune)
        self.log.info("%s", render_plan(plan))
        return plan

    def _apply(self, plan: Plan) -> ApplyReport:
        from airflow_provider_whatsapp.message_templates.apply import Applier
        from airflow_provider_whatsapp.message_templates.render import render_report

        report = Applier(self.hook.client, max_deletions=self.max_deletions).apply(plan)
        self.log.info("%s", render_report(report))
        return report

    def _check(self, report: ApplyReport) -> None:
        """Fail if a change could not be made; only warn of changes that wait for Meta."""
        for outcome in report.of("blocked"):
            self.log.warning("%s (%s): %s", outcome.change.name, outcome.change.language, outcome.detail)
        first = next(iter(report.of("failed", "unknown", "postponed", "not tried")), None)
        if first is None:
            return
        message = f"{report.summary()}; the XCom 'report' holds each outcome. First: {first.detail}"
        useless = not report.of("unknown", "postponed", "not tried")
        raise AirflowFailException(message) if useless else AirflowException(message)

    def _check_drift(self, drift: list[str]) -> None:
        for line in drift:
            self.log.warning("%s", line)
        if drift and self.on_drift == "fail":
            raise AirflowFailException("; ".join(drift))

    def _pull(self) -> dict[str, Any]:
        from airflow_provider_whatsapp.client.errors import ConfigurationError
        from airflow_provider_whatsapp.hooks.file_policy import readable
        from airflow_provider_whatsapp.message_templates.plan import fetch_account
        from airflow_provider_whatsapp.message_templates.pull import pull

        if not isinstance(self.templates, str | Path):
            raise ConfigurationError(
                "a pull needs a path to write to", advice="Set templates to a file or a folder."
            )
        target = Path(self._folder(), self.templates)
        readable(target, field="templates")
        result = pull(fetch_account(self.hook.client), target, force=self.force)
        self.log.info(
            "The account has %s templates; wrote %s",
            result["templates"],
            ", ".join(result["written"]) or "nothing",
        )
        return result

    def _wait(self, context: Context, wanted: TemplateSet, result: dict[str, Any]) -> None:
        from airflow_provider_whatsapp.client.errors import WhatsAppError
        from airflow_provider_whatsapp.triggers.templates import poll

        awaited: list[list[str | None]] = [
            [name, language, definition.category]
            for (name, language), definition in wanted.definitions.items()
        ]
        end = time.time() + self.approval_timeout
        last = "not polled yet"
        while time.time() < end:
            try:
                with failing_at_once():
                    verdict = poll(self.hook, awaited)
                    last = verdict.message
                    event = {"state": verdict.state, "message": last, "templates": verdict.templates}
                    if verdict.state != "waiting":
                        self._conclude(context, event, result)
                        return
            except WhatsAppError as error:
                last = str(error)
            if self.deferrable:
                self._defer(awaited, end)
            time.sleep(min(self.poke_interval, max(0.0, end - time.time())))
        msg = f"Meta did not approve all templates within approval_timeout. {last}"
        raise AirflowFailException(msg)

    def _defer(self, awaited: list[list[str | None]], end: float) -> NoReturn:
        from airflow_provider_whatsapp.triggers.templates import TemplateApprovalTrigger

        self.defer(
            trigger=TemplateApprovalTrigger(
                wanted=awaited,
                maton_conn_id=self.maton_conn_id,
                waba_id=self.waba_id,
                poke_interval=float(self.poke_interval),
                end_time=end,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, end - time.time()) + 60),
        )

    def _conclude(self, context: Context, event: dict[str, Any], result: dict[str, Any]) -> None:
        if event["state"] != "approved":
            raise AirflowFailException(event["message"])
        self.log.info("%s", event["message"])
        made = {(each["name"], each["language"]) for each in result.get("outcomes", ()) if _is_made(each)}
        rows = [row for row in event["templates"] if (row.get("name"), row.get("language")) in made]
        emit_templates(self, context, self.hook, rows)

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Continue after the trigger's event."""
        if not isinstance(event, dict) or "state" not in event:
            msg = f"The trigger ended with an event that this version does not know: {event!r}"
            raise AirflowFailException(msg)
        ti: Any = context["ti"]
        result = ti.xcom_pull(task_ids=ti.task_id, key="report", map_indexes=ti.map_index) or {}
        self._conclude(context, event, result)
        return dict(result)


def _is_made(outcome: Mapping[str, Any], status: str | None = None) -> bool:
    made = outcome.get("state") == "done" and outcome.get("action") in ("create", "edit")
    return made and status in (None, outcome.get("status"))
