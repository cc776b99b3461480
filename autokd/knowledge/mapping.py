"""The file that says what the columns of somebody's table of runs are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from autokd import catalog
from autokd.errors import UserError, nearest
from autokd.files import YAML_LOADER
from autokd.metrics import METRICS
from autokd.spec import Number, fields_in, slots

FREE = "free"
"""Target of a column that is none of autokd's fields."""
BY_VALUE = "{value}"
"""In a target: the cell names the component."""
NUMBERS = ("epochs", "seconds", "params", "seed", "samples", "classes")
"""Keys that name a column of numbers, or are one number for all rows."""
_KEYS = ("task", "family", "score", "metric", "percent", "baseline", *NUMBERS, "configuration")


class Target(NamedTuple):
    """What a column of the configuration is.

    Args:
      slot: of a pipeline; "" for a factor that is none of autokd's.
      use: component that the column is about; "" where each cell names it.
      field: of the component; "" where the column says whether, or which, component is there.
    """

    slot: str = ""
    use: str = ""
    field: str = ""


@dataclass(frozen=True, kw_only=True)
class TableMap:
    """What the columns of a table are.

    Args:
      task: columns that together name the task: rows that agree in them are one study.
      score: column.
      configuration: columns that say what was run.
      values: what cells of a column are called by autokd; "" for nothing.
      family: column that names the source of a task's data; "" where every task has its own.
      metric: name of the metric that scores are of.
      percent: whether they are in percent.
      baseline: rows that are KD by hand, as column -> cell; or the column with its score; None where it is not known.
      numbers: column, or number for all rows, by key of `NUMBERS`.
    """

    task: tuple[str, ...]
    score: str
    configuration: Mapping[str, Target]
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    family: str = ""
    metric: str = "accuracy"
    percent: bool = False
    baseline: Mapping[str, str] | str | None = None
    numbers: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """All columns that are named, once each."""
        baseline = [self.baseline] if isinstance(self.baseline, str) else list(self.baseline or ())
        numbers = [column for column in self.numbers.values() if isinstance(column, str)]
        family = [self.family] if self.family else []
        return list(dict.fromkeys([*self.task, self.score, *family, *baseline, *numbers, *self.configuration]))


def read_mapping(path: Path) -> TableMap:
    """Read a mapping file.

    Raises:
      UserError: it is missing, no YAML, or has mistakes; all of them are said.
    """
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=YAML_LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read as YAML ({reason})") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: give keys with columns, at least task, score and configuration")
    problems = list(_problems(found))
    if problems:
        raise UserError(f"{path}: {'; '.join(problems)}")
    targets = {str(column): _split(given) for column, given in found["configuration"].items()}
    baseline = found.get("baseline")
    return TableMap(
        task=tuple([found["task"]] if isinstance(found["task"], str) else found["task"]),
        score=found["score"],
        configuration={column: target for column, (target, _) in targets.items()},
        values={column: values for column, (_, values) in targets.items()},
        family=found.get("family", ""),
        metric=found.get("metric", "accuracy"),
        percent=found.get("percent", False),
        baseline={str(k): _cell(v) for k, v in baseline.items()} if isinstance(baseline, dict) else baseline,
        numbers={key: _column_or_number(found[key]) for key in NUMBERS if key in found},
    )


def _problems(found: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"unknown key {key!r}; {nearest(str(key), _KEYS)}" for key in found if key not in _KEYS)
    if not (_is_column(found.get("task")) or _are_columns(found.get("task"))):
        yield "task: name the column, or the columns, that tell tasks apart"
    if not _is_column(found.get("score")):
        yield "score: name the column of scores"
    if not isinstance(found.get("family", ""), str):
        yield "family: name a column"
    if found.get("metric", "accuracy") not in METRICS:
        yield f"metric: {nearest(str(found['metric']), METRICS)}"
    if not isinstance(found.get("percent", False), bool):
        yield "percent: say true or false"
    if not isinstance(found.get("baseline", ""), str | dict):
        yield "baseline: name the column with its score, or the cells of its rows as {column: cell}"
    for key in NUMBERS:
        if isinstance(found.get(key, 0), bool) or not isinstance(found.get(key, 0), str | int | float):
            yield f"{key}: name a column, or give one number for all rows"
    columns = found.get("configuration")
    if not isinstance(columns, dict) or not columns:
        yield "configuration: say of each column what it is, as {column: SLOT.COMPONENT.FIELD} or {column: free}"
    else:
        for column, given in columns.items():
            yield from (f"configuration.{column}: {problem}" for problem in _target_problems(given))


def _is_column(given: Any) -> bool:
    return isinstance(given, str) and bool(given)


def _are_columns(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(map(_is_column, given))


def _column_or_number(given: Any) -> str | float:
    return given if isinstance(given, str) else float(given)


def _cell(value: Any) -> str:
    """A cell as a table has it, of a value that YAML read."""
    return str(value).upper() if isinstance(value, bool) else str(value)


def _split(given: Any) -> tuple[Target, dict[str, str]]:
    """What a column is, and how its cells are called."""
    to = given["to"] if isinstance(given, dict) else given
    values = given.get("values", {}) if isinstance(given, dict) else {}
    return _target(to), {_cell(cell): "" if name is None else str(name) for cell, name in values.items()}


def _target(to: str) -> Target:
    if to == FREE:
        return Target()
    slot, use, name = [*to.split("."), "", ""][:3]
    return Target(slot, "" if use == BY_VALUE else use, name)


def _target_problems(given: Any) -> Iterator[str]:
    if isinstance(given, dict):
        if not (set(given) <= {"to", "values"} and isinstance(given.get("values", {}), dict)):
            yield "give to, and values as {cell: name}"
            return
        to = given.get("to")
    else:
        to = given
    if not isinstance(to, str):
        yield f"say what it is: {FREE}, SLOT.{BY_VALUE}, SLOT.COMPONENT or SLOT.COMPONENT.FIELD"
    elif to != FREE:
        yield from _path_problems(to.split("."))
        yield from _name_problems(to, given.get("values", {}) if isinstance(given, dict) else {})


def _path_problems(path: Sequence[str]) -> Iterator[str]:
    slot = slots().get(path[0])
    if slot is None:
        yield f"there is no slot {path[0]!r}; {nearest(path[0], [*slots(), FREE])}"
    elif isinstance(slot, Number):
        if len(path) > 1:
            yield f"{path[0]} is a number; say {path[0]}"
    elif not 2 <= len(path) <= 3 or (path[1] == BY_VALUE and len(path) > 2):
        yield f"say {path[0]}.{BY_VALUE}, {path[0]}.COMPONENT or {path[0]}.COMPONENT.FIELD"
    elif path[1] != BY_VALUE:
        yield from _component_problems(slot.kind, path[1:])


def _component_problems(kind: str, path: Sequence[str]) -> Iterator[str]:
    known = catalog.shipped(kind)
    if path[0] not in known:
        yield f"{kind} has no {path[0]!r}; {nearest(path[0], known)}"
    elif len(path) > 1 and path[1] not in (fields := fields_in(kind, catalog.load(kind, path[0]))):
        yield f"{path[0]} has no field {path[1]!r}; {nearest(path[1], fields)}"


def _name_problems(to: str, values: Mapping[Any, Any]) -> Iterator[str]:
    slot = slots().get(to.split(".")[0])
    if to.endswith(f".{BY_VALUE}") and slot is not None and not isinstance(slot, Number):
        for name in values.values():
            if name not in (None, "") and str(name) not in catalog.shipped(slot.kind):
                yield unknown(slot.kind, str(name), catalog.shipped(slot.kind))


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """Return what to do about a component that autokd has not."""
    hint = f"or say what it is under values, or that the column is {FREE}"
    return f"{kind} has no {name!r}; {nearest(name, known)}, {hint}"
