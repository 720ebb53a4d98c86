"""Each argument of each operator is declared once, documented, and taken; what Airflow reads follows from that."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk import BaseOperator

from airflow_provider_whatsapp import operators
from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier
from airflow_provider_whatsapp.operators._arguments import flag, whole
from airflow_provider_whatsapp.operators._asking import NOT_TAKEN, AskingOperator
from airflow_provider_whatsapp.operators._declare import Argument, DeclaresArguments
from airflow_provider_whatsapp.sensors.health import WhatsAppHealthSensor
from airflow_provider_whatsapp.sensors.messages import MessageStatusSensor
from airflow_provider_whatsapp.sensors.templates import TemplateApprovalSensor

FOLDER = Path(operators.__file__).parent
DERIVED = {
    *("template_fields", "template_fields_renderers", "shown_fields", "hidden_by", "readers"),
    *("content_fields", "filled_fields", "native_fields", "file_fields"),
}
OF_AIRFLOW = {"context"}
"""What Airflow gives by itself, and a docstring says so."""
REQUIRED = {
    "SendTemplateOperator": {"to": "+15550001111", "template_name": "x"},
    "SendMediaOperator": {"to": "+15550001111", "media": "x"},
    "SendTextOperator": {"to": "+15550001111", "text": "x"},
    "SendMessageOperator": {"to": "+15550001111", "message": {"type": "text"}},
    "BroadcastTemplateOperator": {"recipients": ["+15550001111"], "template_name": "x"},
    "SqlToWhatsAppOperator": {"to": "+15550001111", "sql": "SELECT 1", "conn_id": "db"},
    "WhatsAppApprovalOperator": {"to": "+15550001111", "subject": "x"},
    "WhatsAppChoiceOperator": {"to": "+15550001111", "subject": "x", "options": ["a", "b"]},
}


def public_operators():
    names = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
    modules = [importlib.import_module(f"{operators.__name__}.{name}") for name in names]
    return [
        kind
        for module in modules
        for name, kind in vars(module).items()
        if inspect.isclass(kind) and kind.__module__ == module.__name__ and not name.startswith("_")
        if issubclass(kind, BaseOperator)
    ]


OPERATORS = {kind.__name__: kind for kind in public_operators()}
OTHERS = (MessageStatusSensor, TemplateApprovalSensor, WhatsAppHealthSensor, WhatsAppNotifier)
"""They have a tuple of template fields, and no other table of their arguments."""
WITH_TEMPLATES = OPERATORS | {kind.__name__: kind for kind in OTHERS}


@pytest.fixture(params=OPERATORS)
def operator(request):
    return OPERATORS[request.param]


@pytest.fixture(params=WITH_TEMPLATES)
def templated(request):
    return WITH_TEMPLATES[request.param]


def ours(kind):
    return kind.__module__.partition(".")[0] == operators.__name__.partition(".")[0]


def taken(operator):
    """Return the names of the arguments that an operator adds to those of Airflow's."""
    names = {
        name
        for kind in operator.__mro__
        if ours(kind) and kind.__init__.__qualname__ == f"{kind.__qualname__}.__init__"
        for name in inspect.signature(kind.__init__).parameters
    } - {"self", "args", "kwargs"}
    return names - set(NOT_TAKEN) if issubclass(operator, AskingOperator) else names


def fields(operator):
    """Return what stands in a class's docstring by argument, as one line of text each."""
    found = re.findall(r"^ *:param (\w+): (.+?)(?=^ *:|\Z)", operator.__doc__, re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.split()) for name, text in found}


def documented(operator):
    """Return the names that a class's docstring gives, or those of another operator that it refers to."""
    own = fields(operator)
    names = {name for name in own if name != "kwargs"}
    rest = own.get("kwargs", "")
    names |= set(re.findall(r"``([a-z_]+)``", rest))
    for other, first in re.findall(r":class:`(\w+)` from ``(\w+)`` on", rest):
        order = [name for name in fields(OPERATORS[other]) if name != "kwargs"]
        names |= set(order[order.index(first) :])
        names |= documented(OPERATORS[other]) - set(order)
    return names


def test_the_operators_are_found():
    assert set(REQUIRED) < set(OPERATORS)
    assert len(OPERATORS) >= 11


def test_what_is_taken_is_declared_and_the_other_way_round(operator):
    assert set(operator.declared_arguments) == taken(operator)


def test_what_is_taken_is_documented_and_the_other_way_round(templated):
    # Airflow looks for answers at its own pace, so this does nothing there; a refusal would break DAGs that give it.
    useless = {"poke_interval"} if issubclass(templated, AskingOperator) else set()

    assert documented(templated) - OF_AIRFLOW == taken(templated) - useless


def test_the_docstring_says_which_arguments_are_templated(templated):
    said = {name for name, text in fields(templated).items() if text.endswith("(templated)")}

    assert said == {name for name in fields(templated) if name in templated.template_fields}


def test_a_template_field_is_an_argument(templated):
    assert set(templated.template_fields) <= taken(templated)


def assignments(body):
    """Return the names that are assigned to in a class's or module's body, and their values."""
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.value


@functools.cache
def written():
    """Return what the modules and classes of the operators assign: owner, name, value."""
    return list(_written())


def _written():
    for path in sorted(FOLDER.glob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        yield from ((None, *each) for each in assignments(module.body))
        for node in module.body:
            if isinstance(node, ast.ClassDef) and node.name != DeclaresArguments.__name__:
                yield from ((node.name, *each) for each in assignments(node.body))


def tables():
    """Return the tables of arguments, by the class or constant that they are of: own names, and whose they include."""
    found = {}
    for owner, name, value in written():
        if name == "declared_arguments" or (owner is None and name in ("ROUTING", "WAITING")):
            own = [key.value for key in value.keys if key is not None]
            others = [item for key, item in zip(value.keys, value.values, strict=True) if key is None]
            inside = [node.id for other in others for node in ast.walk(other) if isinstance(node, ast.Name)]
            found[owner or name] = (own, inside)
    return found


def test_no_class_writes_what_follows_from_its_table():
    assert [f"{owner}.{name}" for owner, name, _ in written() if owner and name in DERIVED] == []


def test_no_argument_is_declared_twice(operator):
    found = tables()

    def names(owner):
        own, inside = found[owner]
        return [*own, *(name for other in inside if other in found for name in names(other))]

    declared = names(operator.__name__)
    assert len(declared) == len(set(declared))
    assert set(operator.declared_arguments) <= set(declared)


class Base(DeclaresArguments):
    declared_arguments = {  # noqa: RUF012
        "count": Argument(whole, shown=True, content=True),
        "query": Argument(renderer="sql", hide=str.upper, file=True, columns=True),
        "values": Argument(renderer="json", native=True, content=True),
        "late": Argument(flag, templated=False),
    }


class Heir(Base):
    declared_arguments = {"first": Argument(), **Base.declared_arguments}  # noqa: RUF012


class Own(Base):
    template_fields = (*Base.template_fields, "day")


def test_what_airflow_and_this_package_read_follows_from_the_table():
    assert {name: getattr(Base, name) for name in DERIVED} == {
        "template_fields": ("count", "query", "values"),
        "template_fields_renderers": {"query": "sql", "values": "json"},
        "shown_fields": frozenset({"count"}),
        "hidden_by": {"query": str.upper},
        "readers": {"count": whole, "late": flag},
        "content_fields": ("count", "values"),
        "filled_fields": ("query",),
        "native_fields": frozenset({"values"}),
        "file_fields": frozenset({"query"}),
    }
    assert Heir.template_fields == ("first", "count", "query", "values")


def test_a_class_without_a_table_says_itself_what_it_has():
    assert Own.template_fields == ("count", "query", "values", "day")
    assert Own.readers == Base.readers


def test_a_table_leaves_what_other_bases_do_with_a_new_class():
    heard = []

    class Hears:
        def __init_subclass__(cls, *, word, **kwargs):
            super().__init_subclass__(**kwargs)
            heard.append(word)

    class Both(Base, Hears, word="hello"):
        pass

    assert (heard, Both.shown_fields) == (["hello"], {"count"})


def test_a_refused_argument_changes_none():
    task = Base()
    task.count, task.late = "3", "perhaps"
    with pytest.raises(ConfigurationError, match="late"):
        task._read_arguments()
    assert task.count == "3"

    task.late = "yes"
    task._read_arguments()
    assert (task.count, task.late) == (3, True)


DIGESTS = {
    "BroadcastTemplateOperator": "f90d4894f08ee5f73e13c09d2f627cb0c8618941d61dd9a6b773315070655c58",
    "SendMediaOperator": "71df3cfecf67f192cb989cee0c4f061bc0878757583802fa5c732b0cc205c4a1",
    "SendMessageOperator": "f34f4e303c60daf9958a4e9d6de345e50f502ba25a71fac6bda248d6e64107d3",
    "SendTemplateOperator": "54f1ae7c082bd833b315a3728d7aec54a16f2fc4c7924fd346e59fa47b0b9988",
    "SendTextOperator": "5528edbab063756194e08b345e6e284ce9c578a0ee20c3f9d90b96f213702355",
    "SqlToWhatsAppOperator": "225d88571a325a52954f5763129c1540dccb4744a55d4901d3ffc0f415fffb6d",
    "WhatsAppApprovalOperator": "e63ac82a1f4c2ff10cb0971e47fdb61953b2bbbe48b041a50c6e7cde540b2a7b",
    "WhatsAppChoiceOperator": "8d6069f1e42374d1f8e55d97c7956fddc315739eddeb1db04a5e8ce041db321d",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_the_digest_in_the_ledgers_of_earlier_tries_stays(name):
    """A retry after an upgrade refuses to go on where the message has another digest."""
    task = OPERATORS[name](task_id="send", **REQUIRED[name])

    assert task._message_digest() == DIGESTS[name]


@pytest.mark.parametrize("name", DIGESTS)
def test_the_digest_is_of_what_the_message_is_made_of(name):
    task = OPERATORS[name](task_id="send", **REQUIRED[name])
    known = {task._message_digest()}
    others = {"phone_number_id"} | ({"shard", "shards"} if name.startswith("Broadcast") else set())
    for field in task.template_fields:
        given = getattr(task, field)
        setattr(task, field, "another")
        makes_another = task._message_digest() not in known
        setattr(task, field, given)
        assert makes_another == (field in others or task.declared_arguments[field].content), field


NUMBER = "+15550001111"
PEOPLE = [
    (kind, name)
    for kind in REQUIRED
    for name in ("to", "recipients", "suppression", "escalate_to")
    if name in OPERATORS[kind].template_fields
]


@pytest.mark.parametrize(("kind", "name"), PEOPLE)
def test_people_are_shown_by_their_masked_numbers(kind, name):
    task = OPERATORS[kind](task_id="send", **REQUIRED[kind] | {name: [NUMBER, "events"]})
    task.render_template_fields({})

    assert getattr(task, name)[0] == "15•••1111"
    # Of suppression alone the word stands for the opt-outs of the event store.
    assert (getattr(task, name)[1] == "events") == (name == "suppression")


def defaults(operator):
    """Return the default of each argument that an operator adds to those of Airflow's."""
    return {
        name: parameter.default
        for kind in reversed(operator.__mro__)
        if ours(kind)
        for name, parameter in inspect.signature(kind.__init__).parameters.items()
        if name in operator.declared_arguments
    }


def test_a_default_is_read_from_its_text_as_itself(operator):
    """Jinja makes texts of switches, numbers and times: an argument that nobody reads would stay one."""
    for name, value in defaults(operator).items():
        if name in operator.template_fields and isinstance(value, bool | int | float | timedelta):
            seconds = value.total_seconds() if isinstance(value, timedelta) else value
            assert operator.readers[name](name, str(value)) == seconds, name


RENDERERS = {
    "SendTemplateOperator": {"body": "json", "buttons": "json", "components": "json"},
    "BroadcastTemplateOperator": {"body": "json", "buttons": "json", "components": "json"},
    "SendMessageOperator": {"message": "json"},
    "SqlToWhatsAppOperator": {
        "sql": "sql",
        **dict.fromkeys(("parameters", "body", "buttons", "hook_params"), "json"),
    },
}


def test_airflow_s_page_shows_what_has_a_structure_with_it(operator):
    assert operator.template_fields_renderers == RENDERERS.get(operator.__name__, {})


def test_what_is_native_or_a_file_is_so_in_the_report_of_a_query_alone(operator):
    of_a_query = operator.__name__ == "SqlToWhatsAppOperator"

    assert operator.native_fields == ({"parameters", "hook_params", "rows"} if of_a_query else set())
    assert operator.file_fields == ({"sql"} if of_a_query else set())


def test_a_broadcast_takes_columns_in_what_differs_by_person():
    parts = ("header", "header_filename", "body", "buttons", "components", "callback_data")

    assert OPERATORS["BroadcastTemplateOperator"].filled_fields == parts


def test_a_question_is_shown_and_who_is_asked_and_its_values_are_not():
    """Airflow's page shows the question in any case; see the list of what the other operators show."""
    hidden = {
        kind: set(OPERATORS[kind].template_fields) - OPERATORS[kind].shown_fields
        for kind in ("WhatsAppApprovalOperator", "WhatsAppChoiceOperator")
    }

    assert hidden == {
        "WhatsAppApprovalOperator": {"to", "suppression", "escalate_to", "template_body"},
        "WhatsAppChoiceOperator": {"to", "suppression", "escalate_to", "descriptions"},
    }


@pytest.mark.parametrize("name", ["language", "button_text", "subject"])
def test_a_text_that_an_xcom_brings_as_a_number_is_text(name):
    assert OPERATORS["WhatsAppChoiceOperator"].readers[name](name, 3) == "3"
