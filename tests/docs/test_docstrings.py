"""Docstrings: in full on what users call, which the reference shows; one line on everything else."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re

from tests.docs.pages import ROOT
from tests.docs.test_prose import directives

PACKAGE = "airflow_provider_whatsapp"
PATHS = sorted((ROOT / PACKAGE).rglob("*.py"))
DEFINITIONS = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
CALLED = tuple(f"{PACKAGE}.{floor}." for floor in ("client", "hooks"))
"""Of the classes here, users also call what the bases define; of all others, a base only says what arguments mean."""


@functools.cache
def reference():
    """
    Return what the reference shows: for each module the names that it leaves out, at any depth, and single names.

    The single ones are defined elsewhere, and their module passes them on.
    """
    modules, single = {}, set()
    for name, options in directives():
        module = importlib.import_module(f"{PACKAGE}.{name}")
        if ":no-members:" not in options:
            modules[module.__name__] = set(
                re.findall(r"\w+", *re.findall(r":exclude-members: (.+)", options) or [""])
            )
        if ":imported-members:" in options:
            single |= {f"{getattr(module, each).__module__}.{each}" for each in module.__all__}
    return modules, single


def shown_classes(module):
    """Return the classes of a module that the reference shows, those that it passes on included."""
    names = getattr(module, "__all__", ())
    every = inspect.getmembers(module, inspect.isclass)
    return [each for name, each in every if each.__module__ == module.__name__ or name in names]


@functools.cache
def bases():
    """Return the names of the bases that classes of the reference have elsewhere: all, and those in CALLED."""
    found, called = set(), set()
    for name in reference()[0]:
        module = importlib.import_module(name)
        for each in shown_classes(module):
            inherited = {base for base in each.__mro__ if base.__module__.startswith(PACKAGE)}
            names = {f"{base.__module__}.{base.__qualname__}" for base in inherited}
            found |= names
            called |= names if name.startswith(CALLED) else set()
    return found, called


def definitions(node, path):
    """Yield the classes and functions in a node, each with its path, without those for the type checker alone."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.If) and ast.unparse(each.test) == "TYPE_CHECKING":
            continue
        inner = path
        if isinstance(each, DEFINITIONS):
            inner = f"{path}.{each.name}"
            yield each, inner
        yield from definitions(each, inner)


def is_for_users(module, path):
    """Return whether the reference shows a definition of a module, or users call it on a subclass."""
    modules, single = reference()
    inherited, called = bases()
    around, _, name = path.rpartition(".")
    if path in inherited or path in single:
        return True
    if name.startswith("_") or name in modules.get(module, ()):
        return False
    if around in called and not around.rpartition(".")[2].startswith("_"):
        return True
    inside = path.removeprefix(module).split(".")[1:-1]
    return module in modules and all(part[0].isupper() and part[0] != "_" for part in inside)


@functools.cache
def in_package():
    """Return the definitions of the package: those for users and the others, each with its path."""
    found = {True: [], False: []}
    for path in PATHS:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node, name in definitions(ast.parse(path.read_text("utf-8")), module):
            found[is_for_users(module, name)].append((node, name))
    return found[True], found[False]


def test_what_users_do_not_call_has_one_line():
    _, others = in_package()
    nodes = [(node.body[0], name) for node, name in others if ast.get_docstring(node)]
    long = [name for docstring, name in nodes if docstring.end_lineno > docstring.lineno]

    assert len(nodes) > 2_000
    assert long == [], "comments say what one line cannot"


def arguments(function):
    given = function.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls") and not name.startswith("_")]


def is_called_by_hand(node):
    """Return whether users give a function its arguments: pytest gives those of fixtures and of its hooks."""
    decorators = [ast.unparse(each) for each in node.decorator_list]
    by_pytest = node.name.startswith("pytest_") or any("fixture" in each for each in decorators)
    return not isinstance(node, ast.ClassDef) and not by_pytest


def test_what_users_call_explains_each_argument():
    for_users, _ = in_package()
    called = [(node, name) for node, name in for_users if is_called_by_hand(node)]
    missing = {
        f"{name}({argument})"
        for node, name in called
        for argument in arguments(node)
        if not re.search(rf":param {argument}:|``{argument}``", ast.get_docstring(node) or "")
    }

    assert len(called) > 150
    assert missing == set()
