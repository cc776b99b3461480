"""The file that says what the columns of somebody's table of runs are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from autokd import catalog
from autokd.errors import UserError, nearest
from autokd.files import YAML_LOADER
from autokd.metrics import METRICS
from autokd.spec import Number, Slot, fields_in, slots

FREE = "free"
"""What a column is that is none of autokd's fields."""
BY_VALUE = "{value}"
"""In what a column is: the cell names the component."""


@dataclass(frozen=True)
class Column:
    """What a column of the configuration is.

    Args:
      slot: of a pipeline; "" for a factor that is none of autokd's.
      use: component that the column is about; "" where each cell names it.
      field: of the component; "" where the column says whether, or which, component is there.
      called: what autokd calls the component that a cell names; "" for none.
    """

    slot: str = ""
    use: str = ""
    field: str = ""
    called: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TableMap:
    """What the columns of a table are.

    Args:
      task: columns that together name the task: rows that agree in them are one study.
      score: column.
      configuration: columns that say what was run.
      family: column that names the source of a task's data; "" where every task has its own.
      metric: name of the metric that scores are of.
      percent: whether they are in percent.
      baseline: rows that are KD by hand, as column -> cell; or the column with its score; "" where it is not known.
      epochs, seconds, params, seed, samples, classes: column, or the number of all rows; 0: not known.
    """

    task: tuple[str, ...]
    score: str
    configuration: Mapping[str, Column]
    family: str = ""
    metric: str = "accuracy"
    percent: bool = False
    baseline: Mapping[str, str] | str = ""
    epochs: str | float = 1.0
    seconds: str | float = 0.0
    params: str | float = 0.0
    seed: str | float = 0.0
    samples: str | float = 0.0
    classes: str | float = 0.0

    @property
    def columns(self) -> list[str]:
        """All columns that are named, once each."""
        by_hand = [self.baseline] if isinstance(self.baseline, str) else list(self.baseline)
        numbers = (self.epochs, self.seconds, self.params, self.seed, self.samples, self.classes)
        named = [*self.task, self.score, self.family, *by_hand, *numbers, *self.configuration]
        return list(dict.fromkeys(name for name in named if isinstance(name, str) and name))


def read_mapping(path: Path) -> TableMap:
    """Read a mapping file.

    Raises:
      UserError: it is missing, no YAML, or has mistakes; all of them are said.
    """
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=YAML_LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: give keys with columns, at least task, score and configuration")
    values, problems = _read(found)
    if problems:
        raise UserError(f"{path}: {'; '.join(problems)}")
    return TableMap(**values)


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """Return what to do about a component that autokd has not."""
    hint = f"or say what it is under values, or that the column is {FREE}"
    return f"{kind} has no {name!r}; {nearest(name, known)}, {hint}"


def is_same(cell: str, wanted: str) -> bool:
    """Whether a cell is what is wanted: 4 is 4.0, and TRUE is true.

    >>> is_same("4", "4.0"), is_same("TRUE", "true"), is_same("kd", "dkd")
    (True, True, False)
    """
    try:
        return float(cell) == float(wanted)
    except ValueError:
        return cell.strip().lower() == wanted.strip().lower()


def _read(found: Mapping[Any, Any]) -> tuple[dict[str, Any], list[str]]:
    """The fields of a mapping, and what is wrong with it."""
    values: dict[str, Any] = {}
    keys = [each.name for each in dataclasses.fields(TableMap)]
    missing = [name for name in keys[:3] if name not in found]
    problems = [f"{name}: say which column it is" for name in missing]
    for name, given in found.items():
        try:
            values[str(name)] = _READERS[name](given) if name in keys else _no_key(str(name), keys)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    return values, problems


def _no_key(name: str, keys: Collection[str]) -> NoReturn:
    raise ValueError(f"there is no such key; {nearest(name, keys)}")


def _column(given: Any) -> str:
    if not isinstance(given, str) or not given:
        raise ValueError("name a column")
    return given


def _columns(given: Any) -> tuple[str, ...]:
    if isinstance(given, list) and given:
        return tuple(map(_column, given))
    return (_column(given),)


def _metric(given: Any) -> str:
    if given not in METRICS:
        raise ValueError(nearest(str(given), METRICS))
    return str(given)


def _switch(given: Any) -> bool:
    if not isinstance(given, bool):
        raise ValueError("say true or false")
    return given


def _number(given: Any) -> str | float:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise ValueError("name a column, or give one number for all rows")
    return given if isinstance(given, str) else float(given)


def _baseline(given: Any) -> Mapping[str, str] | str:
    if not isinstance(given, str | dict) or not given:
        raise ValueError("name the column with its score, or say {column: cell} of its rows")
    return given if isinstance(given, str) else {str(column): str(cell) for column, cell in given.items()}


def _configuration(given: Any) -> dict[str, Column]:
    if not isinstance(given, dict) or not given:
        raise ValueError(f"say of each column what it is, as {{column: SLOT.COMPONENT.FIELD}} or {{column: {FREE}}}")
    found, problems = {}, []
    for column, to in given.items():
        try:
            found[str(column)] = _of_column(**to) if isinstance(to, dict) else _of_column(to)
        except TypeError:
            problems.append(f"{column}: give to, and values as {{cell: name}}")
        except ValueError as error:
            problems.append(f"{column}: {error}")
    if problems:
        raise ValueError("; ".join(problems))
    return found


def _of_column(to: Any, values: Mapping[Any, Any] | None = None) -> Column:
    if not isinstance(to, str) or not isinstance(values or {}, dict):
        raise ValueError(f"say what it is: {FREE}, SLOT.{BY_VALUE}, SLOT.COMPONENT or SLOT.COMPONENT.FIELD")
    if to == FREE:
        return Column()
    name, *path = to.split(".")
    slot = slots().get(name)
    if slot is None:
        raise ValueError(f"there is no slot {name!r}; {nearest(name, [*slots(), FREE])}")
    if isinstance(slot, Number):
        return _of_number(name, path)
    return _of_component(name, slot, path, values or {})


def _of_number(name: str, path: Sequence[str]) -> Column:
    if path:
        raise ValueError(f"{name} is a number; say {name}")
    return Column(name)


def _of_component(name: str, slot: Slot, path: Sequence[str], values: Mapping[Any, Any]) -> Column:
    if path == [BY_VALUE]:
        return Column(name, called={str(cell): _use(slot.kind, use) for cell, use in values.items()})
    if len(path) not in (1, 2) or path[0] == BY_VALUE:
        raise ValueError(f"say {name}.{BY_VALUE}, {name}.COMPONENT or {name}.COMPONENT.FIELD")
    known = catalog.shipped(slot.kind)
    if path[0] not in known:
        raise ValueError(f"{slot.kind} has no {path[0]!r}; {nearest(path[0], known)}")
    return Column(name, path[0], _field_of(slot.kind, *path))


def _use(kind: str, use: Any) -> str:
    """What autokd calls a component; "" for none."""
    name, known = "" if use is None else str(use), catalog.shipped(kind)
    if name and name not in known:
        raise ValueError(unknown(kind, name, known))
    return name


def _field_of(kind: str, use: str, name: str = "") -> str:
    fields = fields_in(kind, catalog.load(kind, use))
    if name and name not in fields:
        raise ValueError(f"{use} has no field {name!r}; {nearest(name, fields)}")
    return name


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "task": _columns,
    "score": _column,
    "configuration": _configuration,
    "family": _column,
    "metric": _metric,
    "percent": _switch,
    "baseline": _baseline,
    **dict.fromkeys(("epochs", "seconds", "params", "seed", "samples", "classes"), _number),
}
"""What reads each field."""
