"""The parts of a pipeline as plain code: its student, losses and schedule, each from the component's own source."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType
from typing import Any, NamedTuple

from torch import nn

from autokd.errors import ComponentError
from autokd.exports.code.edits import with_docstring
from autokd.exports.code.source import Code, Place, method_source, place_of
from autokd.spec import bare, keys_of, read_by
from autokd.types import BuildContext, Task

STEP = {"student", "teacher", "targets", "u"}
"""What a loss may read of a step."""
OUTPUT = {"logits", "features", "pooled"}
"""What it may read of a network's output."""
PROVIDED = {
    Place("autokd.types", "Task"): "Task",
    Place("autokd.types", "Output"): "Output",
    Place("autokd.types", "Step"): "Step",
    Place("autokd.errors", "ComponentError"): "ValueError",
}
"""What written code has in a form of its own."""
_SHORT = 60
"""Characters of a value that is written where it is used; a longer one is a constant."""


class WrittenLoss(NamedTuple):
    """A loss in the written code.

    Args:
      key: its name in the pipeline.
      term: what is called with a step: a name, or where `module` the construction of a module.
      module: whether it has parameters.
      weight: effective.
      begin, end: while it counts, shares of training.
      reads: parts of the teacher's output that it reads: "logits", "features", "pooled".
      scalar: whether it is a statistic of the batch.
    """

    key: str
    term: str
    module: bool
    weight: float
    begin: float
    end: float
    reads: frozenset[str]
    scalar: bool


def write_student(code: Code, component: Any, task: Task) -> str:
    """Add a student's classes to the code; return how the network is made.

    Raises:
      ComponentError: it cannot be written down.
    """
    return _construction(code, component, BuildContext(task=task))


def write_schedule(code: Code, component: Any, context: BuildContext, name: str) -> str:
    """Add a schedule's factor, share of training done -> share of the peak, under a name; return it.

    Raises:
      ComponentError: it cannot be written down.
    """
    return _closure(code, component.build(context), name, "Return the share of the peak learning rate at u in [0, 1].")


def write_loss(code: Code, key: str, placed: Any, context: BuildContext) -> WrittenLoss:
    """Add a loss to the code.

    Args:
      code: is added to.
      key: its name in the pipeline.
      placed: the loss.
      context: what it is built with.

    Raises:
      ComponentError: it cannot be written down; says why.
    """
    component, keys = bare(placed), keys_of(placed)
    _check_plain(component, read_by(placed))
    term = component.build(context)
    module = isinstance(term, nn.Module)
    before = set(code.snippets)
    about = _about(component)
    text = _construction(code, component, context) if module else _closure(code, term, f"{key}_loss", about)
    added = "\n".join(snippet.text for place, snippet in code.snippets.items() if place not in before)
    read = _read_parts(added)
    return WrittenLoss(
        key=key,
        term=text,
        module=module,
        weight=component.weight * component.declares.scale.value,
        begin=keys.begin,
        end=keys.end,
        reads=read if read_by(placed) else frozenset(),
        scalar=component.declares.batch_statistic,
    )


def _check_plain(component: Any, read: str) -> None:
    declares = component.declares
    if read not in ("", "teacher"):
        raise ComponentError(f"it reads the answers of {read}, which trains or answers beside the teacher")
    if declares.prepared_from is not None:
        raise ComponentError("it needs what it prepares from the training set before training")
    if declares.teacher == "live_with_grad":
        raise ComponentError("it needs gradients through the teacher")


def _read_parts(text: str) -> frozenset[str]:
    """What code reads of the outputs.

    Raises:
      ComponentError: something of a step, or of an output, that the written code does not have.
    """
    parts = set()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Attribute):
            continue
        owner = ast.unparse(node.value)
        if owner == "step" and node.attr not in STEP:
            raise ComponentError(f"it reads the {node.attr} of a step")
        if owner in ("step.student", "step.teacher"):
            if node.attr not in OUTPUT:
                raise ComponentError(f"it reads the {node.attr} of a network")
            parts.add(node.attr)
    return frozenset(parts)


def _about(component: Any) -> str:
    """The first line of a component's file."""
    doc = inspect.getdoc(sys.modules[type(component).__module__]) or ""
    return " ".join(doc.split("\n\n")[0].split())


def _closure(code: Code, function: Any, name: str, about: str) -> str:
    """Add a function within a function, with the values that it sees there written out, under a name.

    Args:
      code: is added to.
      function: the live one.
      name: that it is to have.
      about: its docstring.
    """
    if isinstance(function, MethodType):
        return _method(code, function, name)
    if not isinstance(function, FunctionType):
        raise ComponentError(f"{function!r} is no plain function")
    seen = inspect.getclosurevars(function).nonlocals
    values = {key: _values(code, value, f"_{name.removesuffix('_loss')}_{key}") for key, value in seen.items()}
    source = with_docstring(method_source(function), about)
    return code.add(Place(function.__module__, name), source, name, values)


def _method(code: Code, method: MethodType, name: str) -> str:
    """Add a method as a function."""
    owner, function = method.__self__, method.__func__
    first = next(iter(inspect.signature(function).parameters))
    source = method_source(function).replace(f"({first}, ", "(", 1)
    return code.add(Place(function.__module__, name), source, name, {first: _values(code, owner, name)})


def _values(code: Code, value: Any, name: str) -> Callable[[str], str | None]:
    """What a value, and each of its attributes, is called in the written code."""

    def text(attribute: str) -> str | None:
        if not attribute:
            return _literal(code, value, name)
        if isinstance(value, nn.Module | FunctionType):
            return None
        return _literal(code, getattr(value, attribute), f"{name}_{attribute}")

    return text


def _literal(code: Code, value: Any, name: str) -> str:
    """Return an expression for a value.

    Raises:
      ComponentError: it has none.
    """
    if isinstance(value, Task):
        return "TASK"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value).replace("'", '"')
    if isinstance(value, functools.partial) and not value.args:
        code.imports.setdefault("functools", "import functools")
        given = "".join(f", {key}={_literal(code, each, name)}" for key, each in value.keywords.items())
        return code.constant(name, f"functools.partial({_literal(code, value.func, name)}{given})")
    if isinstance(value, MethodType):
        return _method(code, value, name)
    if isinstance(value, FunctionType):
        return code.require(place_of(value))
    if isinstance(value, tuple | list):
        text = _sequence(code, value, name)
        return text if len(text) <= _SHORT else code.constant(name.upper(), text)
    raise ComponentError(f"it is made with {type(value).__name__}, which cannot be written down")


def _sequence(code: Code, value: tuple[Any, ...] | list[Any], name: str) -> str:
    parts = [_literal(code, each, name) for each in value]
    if hasattr(value, "_fields"):
        return f"{code.require(place_of(type(value)))}({', '.join(parts)})"
    if isinstance(value, list):
        return f"[{', '.join(parts)}]"
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _construction(code: Code, component: Any, context: BuildContext) -> str:
    """Return the call by which a component's `build` makes a module, with its arguments written out."""
    function = type(component).build
    body = ast.parse(method_source(function)).body[0]
    returned = [node.value for node in ast.walk(body) if isinstance(node, ast.Return)]
    call = returned[0] if len(returned) == 1 else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise ComponentError("its `build` does more than to make one module")
    scope: Mapping[str, Any] = {"self": component, "context": context}
    name = code.require(Place(function.__module__, call.func.id))

    def written(node: ast.expr) -> str:
        try:
            value = eval(compile(ast.Expression(node), "", "eval"), dict(function.__globals__), dict(scope))
        except NameError as error:
            raise ComponentError(f"its `build` does more than to make one module: {error}") from error
        return _literal(code, value, name)

    arguments = [written(node) for node in call.args]
    arguments += [f"{keyword.arg}={written(keyword.value)}" for keyword in call.keywords]
    return f"{name}({', '.join(arguments)})"
