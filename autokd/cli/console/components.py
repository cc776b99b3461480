"""What there is to know of components, teachers and space files."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from autokd import catalog
from autokd.cli.console.output import Shown, document
from autokd.declarations import Declaration, Loss, Scale
from autokd.spec import FieldInfo, fields_in, fields_of

if TYPE_CHECKING:
    from autokd.data import Dataset


def kinds(found: Mapping[str, Sequence[str]], *, as_json: bool) -> Shown:
    """Return the kinds of component with the names of each."""
    return document(found) if as_json else "\n".join(f"{kind}: {', '.join(names)}" for kind, names in found.items())


def component(kind: str, name: str, *, as_json: bool) -> Shown:
    """Return what there is to know of a component."""
    cls = catalog.load(kind, name)
    module = sys.modules[cls.__module__]
    texts = {
        "source": inspect.cleandoc(module.__doc__ or ""),
        "about": inspect.getdoc(cls) or "",
        "formula": _formula(vars(module).get(name)),
    }
    declared, fields = _declared(cls.declares), fields_of(cls)
    keys = {key: info for key, info in fields_in(kind, cls).items() if key not in fields}
    if as_json:
        facts = {"fields": _facts(fields), **({"keys": _facts(keys)} if keys else {})}
        return document({"kind": kind, "name": name, **texts, **declared, **facts})
    lines = [*_declared_lines(declared, _reasons(cls)), *_key_lines(keys)]
    formula = f"formula: {texts['formula']}" if texts["formula"] else ""
    parts = (texts["source"], texts["about"], formula, "\n".join(lines))
    shown = Text("\n\n".join(part for part in parts if part))
    return Group(_field_table(f"{kind} {name}", fields), shown) if fields else shown


def _facts(fields: Mapping[str, FieldInfo]) -> dict[str, Any]:
    return {key: _field(info) for key, info in fields.items()}


def _key_lines(keys: Mapping[str, FieldInfo]) -> list[str]:
    defaults = {key: "none" if info.default == "" else info.default for key, info in keys.items()}
    return [f"in a pipeline also {key} (default {defaults[key]}): {info.comment}" for key, info in keys.items()]


def _declared_lines(declared: Mapping[str, Any], reasons: Mapping[str, str]) -> list[str]:
    why = {key: f"; {reason}" for key, reason in reasons.items()}
    return [f"{_DECLARED[key]}: {_in_words(key, value)}{why.get(key, '')}" for key, value in declared.items()]


def _field(info: FieldInfo) -> dict[str, Any]:
    """What there is to know of a field, as plain data."""
    required = info.default is dataclasses.MISSING
    return {
        "type": getattr(info.type, "__name__", str(info.type)),
        "required": required,
        "default": None if required else info.default,
        "range": None if info.range is None else str(info.range),
        "unit": getattr(info.range, "unit", ""),
        "about": info.comment,
    }


def _field_table(title: str, fields: Mapping[str, FieldInfo]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("field", "default", "range", "unit", "about"):
        table.add_column(column)
    for key, info in fields.items():
        default = "(required)" if info.default is dataclasses.MISSING else str(info.default)
        span = "not searched" if info.range is None else str(info.range)
        table.add_row(key, Text(default), span, getattr(info.range, "unit", ""), Text(info.comment))
    return table


_DECLARED = {
    "modalities": "input",
    "teacher": "teacher",
    "members": "each member of an ensemble is read",
    "reads": "read from the teacher, besides logits",
    "student_reads": "read from the student, besides logits",
    "batch_statistic": "batch statistic",
    "min_classes": "fewest classes",
    "scale": "what a weight of 1 stands for",
    "cost": "cost of a training step",
    "excludes": "never beside",
    "requires": "only beside",
    "higher_is_better": "higher is better",
}
"""What is shown of what a component declares, and how it is called there."""

_TEACHER = {
    "none": "none is read",
    "stored": "its stored answers are read",
    "peer": "none is needed; the loss reads a peer, a second network that trains beside the student",
    "live": "its features are read; it answers at every step unless they are stored",
}


def _in_words(key: str, value: Any) -> str:
    from autokd.losses.common import COSTS

    if isinstance(value, bool):
        return "yes" if value else "no"
    if key == "cost":
        return COSTS.get(value, f"{value} times the student's own step")
    return _TEACHER[value] if key == "teacher" else _listed(value)


def _formula(function: Any) -> str:
    """Where the formula of a loss's pure function is from, as its docstring says; "" where there is none."""
    text = inspect.getdoc(function) or "" if inspect.isfunction(function) else ""
    source = re.search(r"^Source: (.*?)(?=^\w+:|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(source[1].split()) if source else ""


def teacher(reference: str, data: Dataset, classes: Any = None, *, as_json: bool) -> Shown:
    """Return what a teacher offers, and every module path whose output may be named as a feature.

    Args:
      reference: as `--teacher` takes it.
      data: what it is to answer on.
      classes: as `--teacher-classes` takes them.
    """
    from autokd.networks import hooks
    from autokd.networks.class_names import whole
    from autokd.networks.models import NetworkTeacher, shapes_to_plain
    from autokd.networks.reference import given_fields, load_teacher

    loaded = load_teacher(reference, data.task, given_fields(classes), data.samples)
    frozen, stages = whole(loaded), list[hooks.Stage]()
    if isinstance(frozen, NetworkTeacher):
        network = frozen.modules[0]
        _, stages = hooks.trace(network.network if isinstance(network, hooks.Hooked) else network, data.task)
    if as_json:
        paths = [{"path": stage.path, "shape": list(stage.shape)} for stage in stages]
        return document({"origin": loaded.origin, "offers": shapes_to_plain(loaded.offers), "paths": paths})
    if not stages:
        return (
            f"{loaded.origin}\nno features{'' if loaded.offers.views else ', and no answers about augmented samples'}"
        )
    table = Table(title=loaded.origin, title_justify="left")
    table.add_column("module path")
    table.add_column("shape", justify="right")
    for stage in stages:
        table.add_row(Text(stage.path), _listed(stage.shape))
    offers = [f"{name}: {_listed(shapes)}" for name, shapes in shapes_to_plain(loaded.offers).items() if shapes]
    how = "name others with features=PATH,PATH in the teacher's options"
    return Group(table, Text("\n".join(["offers", *offers, how])))


def _declared(declares: Declaration) -> dict[str, Any]:
    """What a component declares, as plain data, without empty sets."""
    values = {field.name: getattr(declares, field.name) for field in dataclasses.fields(declares)}
    plain = {key: _plain(values[key]) for key in _DECLARED if key in values}
    return {key: value for key, value in plain.items() if value != [] and (key != "members" or value)}


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    return value.value if isinstance(value, Scale) else value


def _reasons(cls: type[Any]) -> dict[str, str]:
    """Why a component declares what it does: where its scale is from, and the comments beside the other values."""
    try:
        source = inspect.getsource(cls).partition("    def ")[0]
    except (OSError, TypeError):
        source = ""
    reasons = dict(re.findall(r"^ +(\w+)=.*?  # (.*)$", source, re.MULTILINE))
    return {**reasons, "scale": cls.declares.scale.source} if isinstance(cls.declares, Loss) else reasons


def checked(source: str, problems: Sequence[str], about: str, *, as_json: bool) -> Shown:
    """Return what a check of a space found."""
    return document({"space": source, "problems": list(problems)}) if as_json else f"{source}: no mistakes; {about}"


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
