"""Edits of source text, by the nodes of its syntax tree: what is not edited keeps its form and its comments."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

_PRIMARY = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.Constant, ast.Tuple, ast.List)
"""Expressions that stand in the place of any other one without parentheses."""


LINE = 120
"""Characters of a line."""


class Edit(NamedTuple):
    """New text in the place of a node."""

    node: ast.AST
    text: str


def edited(source: str, find: Callable[[ast.Module, str], Iterable[Edit]]) -> str:
    """Return a source with the edits that are found in it; of two that overlap, the outer one.

    Args:
      source: Python code.
      find: (its tree, itself) -> edits.
    """
    starts = _line_starts(source)
    spans = sorted((*_span(edit.node, starts), edit.text) for edit in find(ast.parse(source), source))
    text, done = bytearray(), 0
    encoded = source.encode()
    for begin, end, new in sorted(spans, key=lambda span: (span[0], -span[1])):
        if begin < done:
            continue
        text += encoded[done:begin] + new.encode()
        done = end
    return (text + encoded[done:]).decode()


def segment(node: ast.AST, source: str) -> str:
    """Return the text of an expression, in parentheses where it might need them elsewhere."""
    found = ast.get_source_segment(source, node) or ""
    return found if isinstance(node, _PRIMARY) else f"({found})"


def substitute(source: str, values: Mapping[str, Callable[[str], str | None]]) -> str:
    """Return a source in which names stand for values.

    Args:
      source: Python code.
      values: by name, (attribute, or "" for the name itself) -> text; None to leave it.
    """

    def find(tree: ast.Module, _: str) -> Iterator[Edit]:
        done = set[ast.AST]()
        for node in ast.walk(tree):  # an attribute comes before the name that it is of
            name, attribute = (node.value, node.attr) if isinstance(node, ast.Attribute) else (node, "")
            if not isinstance(name, ast.Name) or name.id not in values or name in done:
                continue
            text = values[name.id](attribute) if isinstance(name.ctx, ast.Load) else None
            if text is not None:
                done.add(name)
                yield Edit(node, text)

    return edited(source, find)


def folded(source: str) -> str:
    """Return a source without conditional expressions that constants decide.

    >>> folded("a if 2 > 1 else b")
    'a'
    """

    def find(tree: ast.Module, text: str) -> Iterator[Edit]:
        for node in ast.walk(tree):
            if isinstance(node, ast.IfExp) and not any(isinstance(each, ast.Name) for each in ast.walk(node.test)):
                chosen = node.body if eval(compile(ast.Expression(node.test), "", "eval"), {}) else node.orelse
                yield Edit(node, ast.get_source_segment(text, chosen) or "")

    return edited(source, find)


def summarised(source: str) -> str:
    """Return a source whose docstrings end after their first paragraph."""

    def find(tree: ast.Module, _: str) -> Iterator[Edit]:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
                first = inspect.cleandoc(ast.get_docstring(node) or "").split("\n\n")[0]
                yield Edit(node.body[0], _docstring(first, node.body[0].col_offset))

    return edited(source, find)


def with_docstring(source: str, text: str) -> str:
    """Return the source of a function or class with a docstring of one line, where it has none."""
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    if ast.get_docstring(node):
        return source
    lines = source.splitlines()
    first = node.body[0]
    lines.insert(first.lineno - 1, " " * first.col_offset + _docstring(text, first.col_offset))
    return "\n".join(lines)


def _docstring(text: str, indent: int) -> str:
    """A docstring; one that is too long for a line is wrapped."""
    lines = text.splitlines()
    if len(lines) > 1 or len(text) + indent + 6 > LINE:
        lines = [*textwrap.wrap(" ".join(lines), LINE - indent - 6), ""]
    return '"""' + ("\n" + " " * indent).join(lines) + '"""'


def called(name: str, rewrite: Callable[[ast.Call, str], str]) -> Callable[[ast.Module, str], Iterator[Edit]]:
    """Return what finds the calls of a function, each with a text in its place."""

    def find(tree: ast.Module, source: str) -> Iterator[Edit]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                yield Edit(node, rewrite(node, source))

    return find


def _line_starts(source: str) -> list[int]:
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def _span(node: ast.AST, starts: list[int]) -> tuple[int, int]:
    assert isinstance(node, ast.expr | ast.stmt) and node.end_lineno is not None and node.end_col_offset is not None
    return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
