"""
The changes that `make mutants` makes to a module: one place at a time, each a change that a test of behaviour should
notice.

A mutant is the module as Python unparses it, with one change. Parts that no test should fix are not changed: texts for
people (docstrings, log lines, errors), types, ``__all__``, ``__repr__``, and lengths of pauses, which are tuned.
"""

from __future__ import annotations

import ast
import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FOR_PEOPLE = {"__repr__", "__str__", "__all__"}
"""Functions and names whose content only people or tools read."""
TEXT_ARGUMENTS = {
    *("advice", "description", "help", "name", "thread_name_prefix"),
    *("daemon", "exc_info", "stacklevel", "strict"),
}
"""Keyword arguments that change a text, a thread's label, or a value that matters only after a bug in our own code."""
TUNED = re.compile(r"_?(BATCH|AT_ONCE|BLOCK|BUFFER|CHUNK|PIECE|PAGE_SIZE|IN_MEMORY|UNWATCHED)")
"""Names of sizes that only say how much is done together: any other value gives the same result, faster or slower."""
IDENTIFIER = re.compile(r"[a-z][a-z_]*")
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
IDENTITIES = (ast.Is, ast.IsNot, ast.In, ast.NotIn, ast.Eq, ast.NotEq)
"""Comparisons whose change negates them."""
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """
    One change to one module.

    :param module: Path of the module below the project's folder.
    :param number: Number of the change in the module, from 0.
    :param kind: What is changed: ``"condition negated"``.
    :param function: The function with the change, with its classes; empty at the module's level.
    :param shared: The change is outside of functions, so it affects any of the module's functions.
    :param line: Line where the change begins.
    :param before: The changed code.
    :param after: The code after the change.
    """

    module: str
    number: int
    kind: str
    function: str
    shared: bool
    line: int
    before: str
    after: str

    @property
    def place(self) -> str:
        """The place for people."""
        return f"{self.module}:{self.line}"


@dataclass(slots=True)
class _Change:
    kind: str
    function: str
    shared: bool
    line: int
    before: str
    after: str
    apply: Callable[[], None]


def mutants_of(path: Path, module: str) -> list[Mutant]:
    """
    Return every change to a module.

    :param path: File of the module.
    :param module: Path of the module in the mutants.
    """
    changes = _Places(ast.parse(path.read_text())).changes
    return [
        Mutant(module, number, it.kind, it.function, it.shared, it.line, it.before, it.after)
        for number, it in enumerate(changes)
    ]


def mutated(source: str, number: int) -> str:
    """
    Return a module's text with one change.

    :param source: Text of the module.
    :param number: Number of the change, from :func:`mutants_of`.
    """
    tree = ast.parse(source)
    _Places(tree).changes[number].apply()
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _short(node: ast.AST | list[ast.stmt]) -> str:
    nodes = node if isinstance(node, list) else [node]
    text = " ".join(" ".join(ast.unparse(one).split()) for one in nodes)
    return text if len(text) <= 100 else f"{text[:99]}…"


def _name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_log(call: ast.AST) -> bool:
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and (_name_of(call.func.value) in ("logger", "log", "warnings") or call.func.attr == "add_note")
    )


def _is_error(call: ast.AST) -> bool:
    return isinstance(call, ast.Call) and _name_of(call.func).endswith(("Error", "Exception", "Problem"))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))
    )


def _is_number(node: ast.AST) -> bool:
    """Return whether it is a number, or a sum or product of numbers: ``4 * 1024``."""
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) and _is_number(node.right)
    return isinstance(node, ast.Constant) and type(node.value) is int


class _Places(ast.NodeVisitor):
    """Finds the places in a tree, in order; the changes modify the tree itself."""

    def __init__(self, tree: ast.Module) -> None:
        self.changes: list[_Change] = []
        self._scope: list[str] = []
        self._in_function = False
        self._block(tree.body)

    def _add(self, kind: str, node: ast.AST, after: str, apply: Callable[[], None], before: str = "") -> None:
        line = getattr(node, "lineno", 0)
        function, shared = ".".join(self._scope), not self._in_function
        self.changes.append(_Change(kind, function, shared, line, before or _short(node), after, apply))

    # Statements: the items of each block.

    def _block(self, body: list[ast.stmt]) -> None:
        for index, statement in enumerate(body):
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue
            if isinstance(statement, ast.Expr) and _is_log(statement.value):
                continue
            if self._can_be_left_out(statement):

                def leave_out(index: int = index) -> None:
                    body[index] = ast.Pass()

                kind = "call left out" if isinstance(statement, ast.Expr) else "statement left out"
                self._add(kind, statement, "pass", leave_out)
            self.visit(statement)

    def _can_be_left_out(self, statement: ast.stmt) -> bool:
        if not self._in_function:
            return False
        if isinstance(statement, ast.Expr):
            return not isinstance(statement.value, (ast.Yield, ast.YieldFrom))
        if isinstance(statement, ast.Assign):
            return not all(isinstance(target, ast.Name) for target in statement.targets)
        # A bare `continue` or `return` at the end of a function changes nothing if left out; others do, and are found.
        return isinstance(statement, (ast.AugAssign, ast.Delete, ast.Raise, ast.Break, ast.Continue))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if node.name in FOR_PEOPLE or any(_name_of(it) == "overload" for it in node.decorator_list):
            return
        self._scope.append(node.name)
        inside, self._in_function = self._in_function, True
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        self._block(node.body)
        self._in_function = inside
        self._scope.pop()

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if any(_name_of(base) in ("Protocol", "TypedDict") for base in node.bases):
            return
        self._scope.append(node.name)
        inside, self._in_function = self._in_function, False
        self._block(node.body)
        self._in_function = inside
        self._scope.pop()

    def visit_If(self, node: ast.If) -> None:
        if _name_of(node.test) == "TYPE_CHECKING":
            return
        self._condition(node)
        self._block(node.body)
        self._block(node.orelse)

    def visit_While(self, node: ast.While) -> None:
        if not isinstance(node.test, ast.Constant):
            self._condition(node)
        self._block(node.body)
        self._block(node.orelse)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._block(node.body)
        self._block(node.orelse)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        self.visit_For(node)

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for index, item in enumerate(node.items):
            self.visit(item.context_expr)
            if item.optional_vars is None:

                def leave_out(index: int = index) -> None:
                    nothing = ast.parse("__import__('contextlib').nullcontext()", mode="eval").body
                    node.items[index].context_expr = nothing

                self._add("without the context", item.context_expr, "nullcontext()", leave_out)
        self._block(node.body)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        self.visit_With(node)

    def visit_Try(self, node: ast.Try) -> None:
        self._block(node.body)
        for handler in node.handlers:
            if not isinstance(handler.body[-1], ast.Raise):

                def let_through(handler: ast.ExceptHandler = handler) -> None:
                    handler.body = [ast.Raise()]

                before = f"except {_short(handler.type) if handler.type else ''}: {_short(handler.body)}"
                self._add("error not handled", handler, "raise", let_through, before)
            self._block(handler.body)
        self._block(node.orelse)
        if node.finalbody:
            self._block(node.finalbody)

    def visit_Raise(self, node: ast.Raise) -> None:
        """The error's text is for people; whether it is permanent decides what is done."""
        if isinstance(node.exc, ast.Call):
            for keyword in node.exc.keywords:
                if isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool):
                    self.visit(keyword.value)

    def visit_Return(self, node: ast.Return) -> None:
        if isinstance(node.value, (ast.Call, ast.Await)):

            def nothing() -> None:
                node.value = ast.Constant(None)

            self._add("result not returned", node, "return None", nothing)
        if node.value is not None:
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = {_name_of(target) for target in node.targets}
        if names & FOR_PEOPLE or names & {"msg", "advice", "about"}:
            return
        if not self._in_function and any(TUNED.fullmatch(name) for name in names):
            return
        self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    # Expressions.

    def _condition(self, node: ast.If | ast.While | ast.IfExp) -> None:
        test = node.test
        # A comparison alone is swapped below; its negation would be the same mutant.
        if not (isinstance(test, ast.Compare) and isinstance(test.ops[0], IDENTITIES)):

            def negate() -> None:
                node.test = ast.UnaryOp(ast.Not(), test)

            self._add("condition negated", test, f"not ({_short(test)})", negate)
        self.visit(test)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._condition(node)
        self.visit(node.body)
        self.visit(node.orelse)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.visit(node.iter)
        for index, test in enumerate(node.ifs):

            def leave_out(index: int = index) -> None:
                node.ifs[index] = ast.Constant(True)

            self._add("filter left out", test, "True", leave_out)
            self.visit(test)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        values = list(node.values)
        for index, value in enumerate(values):

            def leave_out(index: int = index) -> None:
                node.values = [kept for at, kept in enumerate(values) if at != index]
                if len(node.values) == 1:
                    node.values *= 2  # `a and a`

            self._add("part of a condition left out", value, f"(without it) {_short(node)}", leave_out)
            self.visit(value)

    def visit_Compare(self, node: ast.Compare) -> None:
        for index, operator in enumerate(node.ops):
            if (swapped := COMPARISONS.get(type(operator))) is not None:

                def swap(index: int = index, swapped: type[ast.cmpop] = swapped) -> None:
                    node.ops[index] = swapped()

                self._add("comparison changed", node, swapped.__name__, swap)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if _is_number(node):

            def put() -> None:
                node.left, node.op, node.right = copy.copy(node), ast.Add(), ast.Constant(1)

            self._add("constant changed", node, f"{_short(node)} + 1", put)
            return
        texts = any(_is_text(side) for side in (node.left, node.right))
        if (swapped := ARITHMETIC.get(type(node.op))) is not None and not texts:

            def swap() -> None:
                node.op = swapped()

            self._add("arithmetic changed", node, swapped.__name__, swap)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if (
            _is_log(node)
            or _is_error(node)
            or _name_of(node.func) in ("cast", "TypeVar", "getLogger", "field")
        ):
            return
        for keyword in list(node.keywords):
            if keyword.arg is None or keyword.arg in TEXT_ARGUMENTS:
                continue

            def leave_out(keyword: ast.keyword = keyword) -> None:
                node.keywords.remove(keyword)

            self._add("argument left out", keyword, f"(without it) {_short(node)}", leave_out)
        for part in (
            node.func,
            *node.args,
            *(it.value for it in node.keywords if it.arg not in TEXT_ARGUMENTS),
        ):
            self.visit(part)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Almost always a text for people."""

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.visit(node.value)
        if ast.unparse(node.value) == "uuid.uuid4().hex":
            return  # a unique name, of any length
        if not isinstance(node.slice, ast.Constant):
            self.visit(node.slice)

    def visit_Constant(self, node: ast.Constant) -> None:
        for other in _others(node.value, in_function=self._in_function):

            def put(other: object = other) -> None:
                node.value = other  # type: ignore[assignment]

            self._add("constant changed", node, repr(other), put)


def _others(value: object, *, in_function: bool) -> Iterator[object]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, float):
        # The best pause is measured, not tested; an endless one is noticed.
        if value and in_function:
            yield value * 1000
    elif isinstance(value, str) and IDENTIFIER.fullmatch(value) and in_function:
        yield f"not_{value}"
