"""The parts of a pipeline as plain code: its student, losses and schedule, each from the component's own source."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, NamedTuple

from torch import nn

from autokd import catalog
from autokd.errors import ComponentError
from autokd.exports.code.edits import LINE, with_docstring
from autokd.exports.code.source import Code, Place, method_source, place_of
from autokd.spec import bare, component_to_plain, keys_of, read_by
from autokd.types import BuildContext, Task

STEP = {"student", "teacher", "targets", "u"}
"""What a loss may read of a step."""
_PARTS = {"tokens", "attention", "mask"}
OUTPUT = {"logits", "features", "pooled"}
"""What it may read of a network's output."""
PROVIDED = {
    Place("autokd.types", "Output"): "Output",
    Place("autokd.types", "Step"): "Step",
    Place("autokd.losses.common", "precise"): "precise",  # and it is taken out again
    Place("autokd.errors", "ComponentError"): "ValueError",
    Place("", "INPUT_SHAPE"): "INPUT_SHAPE",
    Place("", "NUM_CLASSES"): "NUM_CLASSES",
}
"""What written code has in a form of its own."""
_GROUPS = "GROUPS"
"""What `Task.groups` is called in written code, which has it where the student reads it."""
_TASK = "<task>"
"""Argument that is left out: what code reads of a task are constants."""
_IN_PLACE = 80
"""Characters of a loss that is written where it is added up; a longer one is a function."""
_SHORT = 60
"""Characters of a value that is written where it is used; a longer one is a constant."""


class WrittenLoss(NamedTuple):
    """A loss in the written code.

    Args:
      key: its name in the pipeline.
      value: an expression for it, of `student`, `teacher`, `targets` and `u`, or of `step`, which is all four.
      module: how the module is made that it is, "" where it is none; it is then called `terms[key]`.
      weight: effective.
      begin, end: while it counts, shares of training.
      reads: parts of the teacher's output that it reads: "logits", "features", "pooled".
      scalar: whether it is a statistic of the batch.
    """

    key: str
    value: str
    module: str
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
    if catalog.family_of("students", catalog.name_of(component)):
        raise ComponentError("its code is another library's")
    code.constant(_GROUPS, _wrapped(task.groups))
    made = _construction(code, component, BuildContext(task=task))
    if not any(_GROUPS in snippet.text for snippet in code.snippets.values() if snippet.name != _GROUPS):
        del code.snippets[Place("", _GROUPS)]
    return made


def _wrapped(groups: tuple[int, ...]) -> str:
    """A tuple as an expression, an item a line where it is long."""
    if len(_GROUPS) + 3 + len(repr(groups)) <= LINE:
        return repr(groups)
    return "\n".join(["(", *(f"    {width}," for width in groups), ")"])


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
    before = set(code.snippets)
    module, value = "", f'terms["{key}"](step)'
    if isinstance(term, nn.Module):
        module = _construction(code, component, context)
    else:
        name = _closure(code, term, f"{key}_loss", _about(component))
        value = _in_place(code, name) or f"{name}(step)"
    added = "\n".join([value, *(snippet.text for place, snippet in code.snippets.items() if place not in before)])
    read = _read_parts(added)
    return WrittenLoss(
        key=key,
        value=value,
        module=module,
        weight=component.weight * component.declares.scale.value,
        begin=keys.begin,
        end=keys.end,
        reads=read if read_by(placed) else frozenset(),
        scalar=component.declares.batch_statistic,
    )


def _in_place(code: Code, name: str) -> str:
    """Take a function of a step that returns one short expression out of the code; return it, "" where it is longer."""
    place = next(place for place, snippet in code.snippets.items() if snippet.name == name)
    node = ast.parse(code.snippets[place].text).body[0]
    assert isinstance(node, ast.FunctionDef)
    returned = node.body[-1]
    if len(node.body) > 2 or not isinstance(returned, ast.Return) or returned.value is None:
        return ""
    text = ast.unparse(returned.value).replace("'", '"')
    for part in STEP:
        text = text.replace(f"step.{part}", part)
    if len(text) > _IN_PLACE or "step" in text:
        return ""
    del code.snippets[place]
    return text


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
        if owner.removeprefix("step.") in ("student", "teacher") and node.attr in _PARTS | OUTPUT:
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
        return _TASK
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
        return _sequence(code, value, name)
    raise ComponentError(f"it is made with {type(value).__name__}, which cannot be written down")


def _sequence(code: Code, value: tuple[Any, ...] | list[Any], name: str) -> str:
    """A tuple or list as it is; a long one as a constant, an item a line where it has to be."""
    parts = [_literal(code, each, f"{name}_{number}") for number, each in enumerate(value)]
    opened, closed = "[]" if isinstance(value, list) else "()"
    if hasattr(value, "_fields"):
        opened = f"{code.require(place_of(type(value)))}("
    single = "," if len(parts) == 1 and opened == "(" else ""
    text = f"{opened}{', '.join(parts)}{single}{closed}"
    if len(text) <= _SHORT:
        return text
    constant = name.strip("_").upper()
    if len(constant) + 3 + len(text) > LINE:
        text = "\n".join([opened, *(f"    {part}," for part in parts), closed])
    return code.constant(constant, text)


def _construction(code: Code, component: Any, context: BuildContext) -> str:
    """Return the call by which a component's `build` makes a module, with its arguments written out."""
    function = type(component).build
    body = ast.parse(method_source(function)).body[0]
    returned = [node.value for node in ast.walk(body) if isinstance(node, ast.Return)]
    call = returned[0] if len(returned) == 1 else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise ComponentError("its `build` does more than to make one module")
    name = code.require(Place(function.__module__, call.func.id))
    use, made = component_to_plain(component)["use"], function.__globals__[call.func.id]
    names = iter(inspect.signature(made).parameters)

    def written(node: ast.expr, parameter: str) -> str:
        try:
            scope = {"self": component, "context": context}
            value = eval(compile(ast.Expression(node), "", "eval"), {**function.__globals__, **scope})
        except NameError as error:
            raise ComponentError("its `build` does more than to make one module") from error
        return _literal(code, value, f"{use}_{parameter}")

    arguments = [written(node, parameter) for node, parameter in zip(call.args, names, strict=False)]
    arguments += [f"{keyword.arg}={written(keyword.value, str(keyword.arg))}" for keyword in call.keywords]
    return f"{name}({', '.join(text for text in arguments if text != _TASK)})"
