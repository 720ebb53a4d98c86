"""A real Airflow keeps templates as code, waits for them and for messages, and makes events of assets."""

from __future__ import annotations

import threading

import pytest

pytestmark = pytest.mark.airflow

BODY = [{"type": "BODY", "text": "No variables here."}]
WABA = "102290129340398"
URI = f"whatsapp://{WABA}/template/awaited/en_US"


@pytest.fixture
def hook(sandbox):
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    return MatonWhatsAppHook()


@pytest.fixture
def awaited(hook):
    return hook.create_template("awaited", "en_US", "UTILITY", BODY)


@pytest.fixture
def texts(hook):
    """Return the bodies of the account's templates by name."""
    return lambda: {row["name"]: row["components"][0].get("text") for row in hook.list_templates()}


@pytest.fixture
def later(sandbox):
    """Do something from outside once the sandbox has got so many requests of a kind."""
    over, threads = threading.Event(), []

    def start(path, after, action):
        def wait_and_act():
            while not over.wait(0.05):
                if len([each for each in sandbox.requests_to(path) if each["method"] == "GET"]) >= after:
                    action()
                    return

        threads.append(threading.Thread(target=wait_and_act))
        threads[-1].start()

    yield start
    over.set()
    for thread in threads:
        thread.join()


def approve(sandbox, *names, **fields):
    for name in names:
        sandbox.control("POST", "templates", name=name, language="en_US", **{"status": "APPROVED", **fields})


def polls(sandbox):
    return len([each for each in sandbox.requests_to("message_templates") if each["method"] == "GET"])


def asset_events(uri_or_alias):
    """Extras of the events of an asset, newest first."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.query(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        rows = found.filter(AssetModel.uri == uri_or_alias).order_by(AssetEvent.id.desc())
        return [event.extra for event in rows]


def test_variables_that_are_jinja_to_airflow_survive(run_dag, texts):
    """Airflow would render ``{{dag_id}}`` to nothing and ``{{ ds }}`` to a date; definitions are never rendered."""
    assert run_dag("sync_list")[0] == "success"

    found = texts()
    assert found["named"] == "Run {{dag_id}} of {{ ds }} is late."
    assert found["numbered"] == "Run {{1}} is late."


def test_templates_are_no_template_field():
    from airflow_provider_whatsapp.operators.templates import SyncTemplatesOperator

    assert "templates" not in SyncTemplatesOperator.template_fields
    assert not any(end in (".yaml", ".yml", ".json") for end in SyncTemplatesOperator.template_ext)


def test_a_relative_path_starts_at_the_dag_file(run_dag, texts):
    assert run_dag("sync_relative")[0] == "success"
    assert texts()["from_a_file"] == "The run {{run}} is late."


def test_a_second_run_changes_nothing(run_dag, sandbox):
    run_dag("sync_list")
    before = len([each for each in sandbox.requests if each["method"] == "POST"])

    assert run_dag("sync_list")[0] == "success"
    assert len([each for each in sandbox.requests if each["method"] == "POST"]) == before


def test_a_dry_run_changes_nothing(run_dag, sandbox):
    assert run_dag("sync_dry_run")[0] == "success"
    assert {each["method"] for each in sandbox.requests_to("message_templates")} == {"GET"}


def test_a_pull_writes_files(run_dag, dag_bag, sandbox, awaited, tmp_path, monkeypatch):
    monkeypatch.setattr(dag_bag.dags["sync_pull"].task_dict["sync"], "templates", str(tmp_path))

    assert run_dag("sync_pull")[0] == "success"
    assert {path.name for path in tmp_path.iterdir()} == {"awaited.yaml", "hello_world.yaml"}


def test_a_mistake_fails_at_once_without_any_request(run_dag, sandbox):
    assert run_dag("sync_mistaken")[0] == "failed"
    assert sandbox.requests_to("message_templates") == []


def test_a_failure_half_way_is_made_good_by_airflow_s_retry(run_dag, sandbox, texts):
    sandbox.fail_next("status", status=500, times=1, method="POST", path="message_templates", skip=1)

    assert run_dag("sync_retries")[0] == "success"
    assert {"named", "numbered"} <= set(texts())


@pytest.mark.parametrize("kind", ["wait", "wait_deferrable"])
def test_waiting_for_approval(run_dag, sandbox, later, kind):
    later("message_templates", 3, lambda: approve(sandbox, "named", "numbered"))

    assert run_dag(f"sync_{kind}")[0] == "success"
    (extra, *_) = asset_events(f"whatsapp://{WABA}/template/named/en_US")
    assert (extra["status"], extra["category"]) == ("APPROVED", "UTILITY")


@pytest.mark.parametrize("kind", ["wait", "wait_deferrable"])
def test_a_rejection_fails_the_wait(run_dag, sandbox, later, kind):
    rejected = {"status": "REJECTED", "rejected_reason": "SCAM"}
    later("message_templates", 3, lambda: approve(sandbox, "named", **rejected))

    assert run_dag(f"sync_{kind}")[0] == "failed"


@pytest.mark.parametrize(("dag_id", "state"), [("sync_list", "success"), ("sync_drift_fails", "failed")])
def test_a_category_that_meta_changed(run_dag, sandbox, dag_id, state):
    run_dag("sync_list")
    approve(sandbox, "named", "numbered")
    sandbox.control("POST", "templates", name="named", language="en_US", category="MARKETING")

    assert run_dag(dag_id)[0] == state


@pytest.mark.parametrize("kind", ["poke", "deferrable"])
def test_several_templates_cost_one_request_per_poll(run_dag, sandbox, hook, awaited, kind):
    hook.create_template("other", "en_US", "UTILITY", BODY)
    approve(sandbox, "awaited", "other")

    assert run_dag(f"await_both_{kind}")[0] == "success"
    assert polls(sandbox) == 1


@pytest.mark.parametrize("kind", ["poke", "deferrable"])
@pytest.mark.parametrize(("dag_id", "state"), [("category", "failed"), ("category_warns", "success")])
def test_a_category_that_is_not_the_expected_one(run_dag, sandbox, awaited, later, kind, dag_id, state):
    later("message_templates", 2, lambda: approve(sandbox, "awaited", category="MARKETING"))

    assert run_dag(f"await_{dag_id}_{kind}")[0] == state


@pytest.mark.parametrize("kind", ["poke", "deferrable"])
def test_a_sensor_s_time_runs_out(run_dag, awaited, kind):
    assert run_dag(f"await_short_{kind}")[0] == "failed"


@pytest.mark.parametrize("kind", ["poke", "deferrable"])
def test_an_approved_template_is_an_event_of_its_asset(run_dag, sandbox, awaited, later, kind):
    later("message_templates", 2, lambda: approve(sandbox, "awaited"))
    before = len(asset_events(URI))

    assert run_dag(f"await_asset_{kind}")[0] == "success"
    events = asset_events(URI)
    assert len(events) == before + 2  # the asset's own, and the alias's
    assert all(extra["id"] == awaited["id"] for extra in events[:2])


@pytest.fixture
def sent(hook):
    return hook.send_template("+15550001111", "hello_world").message_id


@pytest.mark.parametrize("kind", ["poke", "deferrable"])
@pytest.mark.parametrize("status", ["sent", "read"])
def test_waiting_for_a_message(run_dag, sandbox, sent, later, kind, status):
    later("message_history", 2, lambda: sandbox.control("POST", "clock", advance=3600))

    assert run_dag(f"status_{status}_{kind}", id=sent)[0] == "success"


@pytest.mark.parametrize("kind", ["poke", "deferrable"])
@pytest.mark.parametrize(("dag_id", "state"), [("read", "failed"), ("soft", "skipped")])
def test_a_message_that_failed(run_dag, sandbox, hook, kind, dag_id, state):
    sandbox.control("POST", "recipients", wa_id="15550009999", on_whatsapp=False)
    sent = hook.send_template("+15550009999", "hello_world").message_id
    sandbox.control("POST", "clock", advance=3600)

    assert run_dag(f"status_{dag_id}_{kind}", id=sent)[1] == {"wait": state}


@pytest.mark.parametrize("kind", ["poke", "deferrable"])
def test_a_history_that_is_closed(run_dag, sandbox, sent, kind, caplog):
    body = {"error": {"message": "(#10) no permission", "code": 10, "type": "OAuthException"}}
    sandbox.fail_next("status", status=403, body=body, times=0, path="message_history")

    assert run_dag(f"status_read_{kind}", id=sent)[0] == "failed"
    assert len(sandbox.requests_to("message_history")) == 1


def test_a_status_that_nobody_can_wait_for(run_dag, sandbox, sent):
    assert run_dag("status_wrong", id=sent)[0] == "failed"
    assert sandbox.requests_to("message_history") == []


def test_the_example(run_dag, sandbox, later):
    """Both languages are created, approved while the task waits in the triggerer, told as assets, and sent."""

    def approve_both():
        sandbox.control("POST", "templates", name="pipeline_late", status="APPROVED")

    later("message_templates", 3, approve_both)

    assert run_dag("templates_as_code")[0] == "success"
    assert asset_events(f"whatsapp://{WABA}/template/pipeline_late/pt_BR")[0]["status"] == "APPROVED"
    (message,) = sandbox.messages
    template = message["payload"]["template"]
    values = {each["parameter_name"]: each["text"] for each in template["components"][0]["parameters"]}
    assert (template["name"], template["language"]["code"]) == ("pipeline_late", "pt_BR")
    assert values == {"dag_id": "templates_as_code", "minutes": "45"}


def test_a_dag_may_be_scheduled_on_a_watched_template(run_dag):
    """Airflow takes the watcher's trigger into the DAG that it stores."""
    assert run_dag("scheduled_on_a_template")[0] == "success"
