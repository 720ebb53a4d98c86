"""The floors of the house: imports point downwards and in no circle, the sandbox stands apart, functions are short."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "airflow_provider_whatsapp"
ROOT = Path(__file__).parents[1] / PACKAGE

FLOORS = {
    "preview": 0,
    "client": 1,
    "analytics": 2,
    "answering": 2,
    "delivery": 2,
    "events": 2,
    "message_templates": 2,
    "charts": 2,
    "reports": 2,
    "tables": 2,
    "cli": 2,
    "command_connection": 2,
    "connect": 2,
    "doctor": 2,
    "examination": 2,
    "webhook": 2,
    "__main__": 3,
    "_compat": 3,
    "_suggest": 3,
    "airflow_cli": 3,
    "approvals": 3,
    "assets": 3,
    "cluster_policy": 3,
    "hooks": 3,
    "links": 3,
    "notifications": 3,
    "operators": 3,
    "plugin": 3,
    "policies": 3,
    "rendering": 3,
    "pytest_controls": 3,
    "pytest_events": 3,
    "pytest_plugin": 3,
    "sensors": 3,
    "triggers": 3,
}
GROUND = {"get_provider_info"}  # plain data, which any floor may read
MODULES = sorted(ROOT.rglob("*.py"))
MOST_LINES = 40
"""Lines of a function's code, without its signature and docstring."""


@cache
def tree(path):
    return ast.parse(path.read_text())


@cache
def nodes(path):
    return tuple(ast.walk(tree(path)))


def named_in(statements):
    """Return the absolute names of all that import statements name."""
    names = set()
    for node in statements:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@cache
def imports(path):
    """Return the absolute names of all modules that a file imports, inside functions too."""
    return named_in(nodes(path))


def at_load(node, *, later=False):
    """Yield what runs when a module is loaded, or later too: nothing inside functions, nothing for type checkers."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not later:
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from at_load(child, later=later)


def room(name):
    """Return the first part of a name below the package, or None."""
    parts = name.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else None


def own_room(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path):
    mine = own_room(path)
    for name in imports(path):
        other = room(name)
        if other in {None, mine, "__version__", "DOCUMENTATION_URL"} | GROUND:
            continue
        if (mine, other) == ("sandbox", "preview"):
            continue
        assert mine != "sandbox", f"the sandbox shares no code but the preview, and imports {name}"
        assert other != "sandbox", f"only the command line and tests use the sandbox, not {mine}: {name}"
        assert FLOORS[other] <= FLOORS[mine], f"{mine} is below {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_top_floor_knows_airflow(path):
    uses = {name for name in imports(path) if name.split(".")[0] == "airflow"}

    assert not uses or FLOORS.get(own_room(path)) == 3


def test_every_room_has_a_floor():
    rooms = {own_room(path) for path in MODULES}

    assert rooms - {"__init__", "get_provider_info", "sandbox"} == set(FLOORS)


def circle(graph):
    """Return modules of which each imports the next and the last the first, or None."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def graph_of(*, later):
    """Return which modules of the package each of them imports, when it loads or inside its functions too."""
    modules = {
        ".".join((PACKAGE, *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in MODULES
    }
    graph = {}
    for name, path in modules.items():
        found = named_in(at_load(tree(path), later=later))
        graph[name] = {part if part in modules else part.rpartition(".")[0] for part in found} & set(modules)
    return graph


@pytest.mark.parametrize("later", [False, True], ids=["at load", "inside functions too"])
def test_modules_import_each_other_in_no_circle(later):
    graph = graph_of(later=later)
    assert circle(graph) is None
    lower, upper = f"{PACKAGE}.client.errors", f"{PACKAGE}.client.transport"
    assert circle({**graph, lower: {upper}}), "a circle is found"


def test_the_modules_of_alerts_know_each_other_in_no_circle():
    """Neither when they load, nor later, nor in their types: an alert's steps know nothing of the notifier."""
    folder = f"{PACKAGE}.notifications"
    graph = {}
    for path in sorted((ROOT / "notifications").glob("*.py")):
        mine = f"{folder}.{path.stem}"
        graph[mine] = {
            f"{folder}.{name.split('.')[2]}" for name in imports(path) if name.startswith(f"{folder}.")
        } - {mine}

    assert circle(graph) is None
    assert circle({**graph, f"{folder}.alert": {f"{folder}.whatsapp"}}), "a circle is found"


def lines_of_code(function):
    """Return how many lines a function's code has, without its signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_fit_a_screen(path):
    functions = (node for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    assert [each.name for each in functions if lines_of_code(each) > MOST_LINES] == []
