"""The source of functions and classes, with all that it needs of ours: code that runs without us."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from autokd.errors import ComponentError
from autokd.exports.code.edits import Edit, called, edited, folded, segment, substitute, summarised

OURS = "autokd"
NOT_PLAIN = {f"{OURS}.{name}" for name in ("types", "errors", "declarations", "ranges", "spec", "catalog")}
"""Modules whose names mean nothing without us."""


class Place(NamedTuple):
    """Where something is defined: the module, and the name at its top level."""

    module: str
    name: str


class Snippet(NamedTuple):
    """A definition as it stands in the written code."""

    name: str
    text: str


class Code:
    """Definitions with all that they need, each after what it needs, and the imports.

    Args:
      provided: the name in the written code of what it has in a form of its own, by where ours is defined.
    """

    def __init__(self, provided: Mapping[Place, str]) -> None:
        self.imports: dict[str, str] = {}
        """Import statement by the name that it binds."""
        self.snippets: dict[Place, Snippet] = {}
        self._names = dict(provided)

    def require(self, place: Place) -> str:
        """Add a definition; return its name in the written code.

        Raises:
          ComponentError: its source is not there, or needs something that cannot be written down.
        """
        place = _origin(place)
        if place not in self._names:
            if place.module in NOT_PLAIN:
                raise ComponentError(f"its source needs {place.name} of {place.module}")
            node = _definitions(place.module)[place.name]
            assert isinstance(node, ast.stmt)
            self.add(place, _text(node, _source(place.module)), self._free_name(place))
        return self._names[place]

    def add(
        self,
        place: Place,
        source: str,
        name: str,
        values: Mapping[str, Callable[[str], str | None]] | None = None,
    ) -> str:
        """Add a definition whose source is given.

        Args:
          place: what it is kept as; names in it are those of the place's module.
          source: of one function, class or constant.
          name: that it is to have.
          values: as in `edits.substitute`.
        Returns:
          Its name.
        """
        self._names[place] = name
        source = summarised(textwrap.dedent(source))
        if values:
            source = folded(substitute(source, values))
        source = _without_task(source)
        for shorten in (_without_precise, _without_cast, _with_step):
            source = edited(source, shorten)
        source = edited(source, functools.partial(self._resolved, module=place.module))
        self.snippets[place] = Snippet(name, _renamed(source, name).strip("\n"))
        return name

    def constant(self, name: str, text: str) -> str:
        """Add a constant with an expression of the written code's own names; return its name."""
        place = Place("", name)
        self._names[place] = name
        self.snippets[place] = Snippet(name, f"{name} = {text}")
        return name

    def import_of(self, module: str, name: str) -> str | None:
        """Note the import by which a module of ours has a name from elsewhere; None where it is ours."""
        found = _imports(module).get(name)
        if found is None or found.module == OURS or found.module.startswith(f"{OURS}."):
            return None
        self.imports.setdefault(name, found.statement)
        return name

    def _resolved(self, tree: ast.Module, _: str, *, module: str) -> Iterator[Edit]:
        """Edits by which names at a module's top level become those of the written code."""
        own = _bound_in(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id not in own:
                name = self._name_for(module, node.id)
                if name != node.id:
                    yield Edit(node, name)

    def _name_for(self, module: str, name: str) -> str:
        """What a name of a module is called in the written code, which gets what it stands for."""
        if self.import_of(module, name) is not None:
            return name
        if name in _definitions(module) or name in _imports(module):
            return self.require(Place(module, name))
        if name in self._names.values() or name in self.imports or hasattr(builtins, name):
            return name
        raise ComponentError(f"the source of {module} uses {name}, which is found nowhere in it")

    def _free_name(self, place: Place) -> str:
        if place.name not in self._names.values():
            return place.name
        return f"{place.name}_of{'' if (last := _last(place.module)).startswith('_') else '_'}{last}"


class Import(NamedTuple):
    """An import at a module's top level: what is imported from where, and the statement."""

    module: str
    name: str
    statement: str


def place_of(value: Callable[..., object]) -> Place:
    """Return where a function or class is defined.

    Raises:
      ComponentError: not at the top level of a module.
    """
    if "." in value.__qualname__:
        raise ComponentError(f"{value.__qualname__} of {value.__module__} is not at the top level of its module")
    return Place(value.__module__, value.__name__)


def method_source(value: Callable[..., object]) -> str:
    """Return the source of a function or method, as if it stood at the top level."""
    return textwrap.dedent(inspect.getsource(value))


def _origin(place: Place) -> Place:
    """Where something is really defined, from a module that may only import it."""
    while place.name not in _definitions(place.module):
        found = _imports(place.module).get(place.name)
        if found is None:
            raise ComponentError(f"{place.module} has no {place.name}")
        place = Place(found.module, found.name)
    return place


@functools.cache
def _source(module: str) -> str:
    try:
        return inspect.getsource(importlib.import_module(module))
    except (OSError, TypeError) as error:
        raise ComponentError(f"the source of {module} is not there: {error}") from error


@functools.cache
def _definitions(module: str) -> dict[str, ast.AST]:
    """What a module defines at its top level, by name."""
    found: dict[str, ast.AST] = {}
    for node in ast.parse(_source(module)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update({target.id: node for target in targets if isinstance(target, ast.Name)})
    return found


@functools.cache
def _imports(module: str) -> dict[str, Import]:
    """What a module imports at its top level, by the name that it has there."""
    found = {}
    for node in ast.walk(ast.parse(_source(module))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name
                found[bound] = Import(alias.name, "", f"import {_with_alias(alias)}")
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                statement = f"from {node.module} import {_with_alias(alias)}"
                found[alias.asname or alias.name] = Import(node.module, alias.name, statement)
    return found


def _with_alias(alias: ast.alias) -> str:
    return alias.name if alias.asname is None else f"{alias.name} as {alias.asname}"


def _text(node: ast.stmt, source: str) -> str:
    """The lines of a definition, with the comment at their end."""
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
    return "\n".join(source.splitlines()[first - 1 : node.end_lineno])


def _bound_in(tree: ast.Module) -> set[str]:
    """Names that code binds itself."""
    bound = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return bound | {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}


def _last(module: str) -> str:
    return module.rsplit(".", 1)[-1]


def _without_task(source: str) -> str:
    """The source of what takes a task, with constants in place of what it reads of it."""
    source = re.sub(r"\(\s*self,\s*task: Task(?:,\s*)?", "(self, ", source).replace("(self, )", "(self)")
    source = re.sub(r"(\(self, [^\n]{,90})\n\s*\) -> None:", r"\1) -> None:", source)
    constants = {"input_shape": "INPUT_SHAPE", "num_classes": "NUM_CLASSES", "groups": "GROUPS"}
    return substitute(source, {"task": constants.get})


def _renamed(source: str, name: str) -> str:
    """The source of one definition under another name."""
    node = ast.parse(source).body[0]
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name != name:
        word = "def" if isinstance(node, ast.FunctionDef) else "class"
        return source.replace(f"{word} {node.name}", f"{word} {name}", 1)
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id != name:
        return source.replace(node.targets[0].id, name, 1)
    return source


def _first_argument(node: ast.Call, source: str) -> str:
    return segment(node.args[0], source)


_without_precise = called("precise", _first_argument)
"""Outputs are float32 here in any case."""
_without_cast = called("cast", lambda node, source: segment(node.args[1], source))


def _with_step(tree: ast.Module, source: str) -> Iterator[Edit]:
    """`step.teacher` in place of `teacher_of(step)`, and the like."""
    yield from called("teacher_of", lambda node, text: f"{_first_argument(node, text)}.teacher")(tree, source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Starred) and ast.unparse(node) == "*pooled_of(step)":
            yield Edit(node, "step.student.pooled, step.teacher.pooled")
