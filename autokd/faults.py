"""What is wrong, in one line, with a class that is to be a component."""

from __future__ import annotations

import dataclasses
from typing import Any

from autokd.declarations import KINDS, Declaration, Loss
from autokd.errors import nearest
from autokd.loss_keys import KEYS

HOW = (
    "a component is a frozen dataclass with a build method and, for a loss, declares = Loss(name='my_loss', "
    "teacher='stored', scale=Scale(1.0, 'why')), which autokd.declarations has"
)

_WEIGHT = "weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0"
_BEFORE = {"reads": "needs", "student_reads": "student_needs"}
"""What a declaration was called as a class attribute, where it had another name."""
_SLOTS = {kind: kind.removesuffix("s") for kind in ("students", "heads", "augments", "optimizers", "schedules")}
"""The slots that components were named by their kind for."""


def fault(cls: type[Any]) -> str | None:
    """Say why a class is no component that can be used; None where it is one."""
    declares = getattr(cls, "declares", None)
    if not isinstance(declares, Declaration):
        return _undeclared(cls)
    if not dataclasses.is_dataclass(cls):
        return f"{cls.__name__} is no dataclass; {HOW}"
    fields = {field.name for field in dataclasses.fields(cls)}
    if "declares" in fields:
        return f"{cls.__name__}: write 'declares = …' without a type, or it becomes a field"
    if isinstance(declares, Loss) and "weight" not in fields:
        return f"{cls.__name__} has no field 'weight', which every loss has; write {_WEIGHT}"
    return _taken_field(cls.__name__, declares.kind, fields) or _unknown_field(cls.__name__, declares, fields)


def _taken_field(name: str, kind: str, fields: set[str]) -> str | None:
    """Why a field's name cannot be its own, or None."""
    taken = [field.name for field in dataclasses.fields(KEYS[kind]) if field.name in fields] if kind in KEYS else []
    if not taken:
        return None
    return f"{name} has a field {taken[0]!r}, which every one of the {kind} has in a pipeline; give it another name"


def _unknown_field(name: str, declares: Declaration, fields: set[str]) -> str | None:
    """Why what is declared of a component's own fields cannot be true, or None."""
    declared = {field.name: getattr(declares, field.name) for field in dataclasses.fields(declares)}
    named = {key: declared.get(key) or () for key in ("tunes", "prepared_from")}
    named |= {key: (declared[key],) for key in ("file", "digest") if declared.get(key)}
    for key, names in named.items():
        otherwise = " (tunes=() for none)" if key == "tunes" else ""
        for field in names:
            if field not in fields:
                hint = nearest(field, fields) + otherwise
                return f"{name} has no field {field!r}, which {key}={declared[key]} names; {hint}"
    return None


def _undeclared(cls: type[Any]) -> str:
    """What to write in a class that declares nothing, or in the form that plug-ins had before `declares`."""
    attributes = {key: value for base in reversed(cls.__mro__) for key, value in vars(base).items()}
    kind = attributes.get("kind")
    if not isinstance(kind, str):
        return f"{cls.__name__} declares nothing; {HOW}"
    if kind not in KINDS:
        return f"there is no kind {kind!r}; {nearest(kind, KINDS)}; {HOW}"
    declaration = KINDS[kind]
    arguments = [text for field in dataclasses.fields(declaration) if (text := _argument(field, attributes))]
    return (
        f"{cls.__name__} declares by class attributes, which no longer counts; write in their place "
        f"declares = {declaration.__name__}({', '.join(arguments)}), which autokd.declarations has"
    )


def _argument(field: dataclasses.Field[Any], attributes: dict[str, Any]) -> str:
    """An argument of the declaration with the value of the class attribute; "" where it is the default."""
    key = _BEFORE.get(field.name, field.name)
    if key not in attributes:
        return f"{field.name}=…" if field.default is dataclasses.MISSING else ""
    value = attributes[key]
    return "" if value == field.default else f"{field.name}={_written(field.name, value)}"


def _written(name: str, value: Any) -> str:
    """A value as it stands in code."""
    if name == "scale":
        return f"Scale({value!r}, 'where it is from')"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(repr(_by_slot(item)) for item in sorted(value)) + "}"
    return repr(value)


def _by_slot(name: str) -> str:
    kind, dot, use = name.rpartition(".")
    return f"{_SLOTS.get(kind, kind)}{dot}{use}"
