"""A table of runs that other software made, as study cards.

What a column means is said by a mapping file. Components and fields that autokd has keep their names; other columns
become factors x1, x2, … with words c1, c2, …, so that a base holds no names of the table's. Tasks are told apart by a
fingerprint of their numbers.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from autokd import catalog
from autokd.errors import UserError
from autokd.knowledge.base import Base
from autokd.knowledge.card import HAND_KD, CardRun, StudyCard, StudyFacts
from autokd.knowledge.choices import OTHER
from autokd.knowledge.mapping import TableMap, Target, unknown
from autokd.knowledge.transfer import ranked
from autokd.metrics import METRICS
from autokd.spec import FORMAT, Number, Slot, fingerprint, slots

FOREIGN = "foreign table"
"""Kind of input, and source of runs, of a foreign table: no pipeline of it can be built."""
FAILED = "failed"
"""Failure of a run without a score."""
_YES, _NO = frozenset({"1", "true", "yes", "on", "y"}), frozenset({"", "0", "false", "no", "off", "n"})
_UNKNOWN = frozenset({"", "nan", "na", "none", "null"})

Row = Mapping[str, str]


class Imported(NamedTuple):
    """A foreign table.

    Args:
      base: a study a task.
      names: what the table calls factors and words: "4f1a.x1" -> "mixup", "4f1a.x1: c2" -> "TRUE".
      rows: what the table says of a pipeline, by the pipeline's key.
    """

    base: Base
    names: Mapping[str, str]
    rows: Mapping[str, str]

    def best(self, count: int) -> list[str]:
        """Return what the table says of the pipelines that its tasks together rank first."""
        return [self.rows[key] for key, _ in ranked(self.base) if key in self.rows][:count]


class _Bad(Exception):
    """What is wrong with a row."""


def import_csv(path: Path, mapping: TableMap) -> Imported:
    """Return a table of runs as a base.

    Args:
      path: CSV in UTF-8 with one row a run and names of columns in the first; fields apart by comma, semicolon or tab.
      mapping: what the columns are.

    Raises:
      UserError: it cannot be read, lacks a column, or a cell is not what it should be.
    """
    rows = _read(path, mapping)
    factors = _factors(rows, mapping)
    table = fingerprint([rows[number].get(mapping.score) for number in rows])[:6]
    tasks: dict[tuple[str, ...], list[tuple[CardRun, str, Row]]] = {}
    for number, row in rows.items():
        try:
            run = _run(row, mapping, factors, table)
        except _Bad as bad:
            raise UserError(f"{path}, line {number}: {bad}") from None
        said = ", ".join(f"{column} {row[column]}" for column in mapping.configuration if row[column].strip())
        tasks.setdefault(tuple(row[column] for column in mapping.task), []).append((run, said, row))
    try:
        prints = {task: _print(run for run, _, _ in found) for task, found in tasks.items()}
        families = _families({task: found[0][2] for task, found in tasks.items()}, prints, mapping)
        cards = [_card(found, prints[task], families[task], mapping) for task, found in tasks.items()]
    except _Bad as bad:
        raise UserError(f"{path}: {bad}") from None
    names = {f"{table}.{name}": text for factor in factors.values() for name, text in factor.names.items()}
    return Imported(Base.of(cards), names, {run.key: said for found in tasks.values() for run, said, _ in found})


def _read(path: Path, mapping: TableMap) -> dict[int, Row]:
    """The rows by their numbers of lines."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            found = csv.DictReader(file, delimiter=max(",;\t", key=header.count), strict=True)
            rows = {}
            for row in found:
                rows[found.line_num] = {str(name): cell or "" for name, cell in row.items() if name is not None}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV ({error})") from error
    columns = found.fieldnames or ()
    missing = [column for column in mapping.columns if column not in columns]
    if missing:
        raise UserError(f"{path} has no column {missing[0]!r}, which the mapping names; it has {', '.join(columns)}")
    if not rows:
        raise UserError(f"{path} has no row below the names of its columns")
    return rows


@dataclass(frozen=True)
class _Factor:
    """A column that is none of autokd's fields: its name in the base, and those of its words where it is no number."""

    name: str
    column: str
    words: Mapping[str, str] | None

    def of(self, cell: str) -> float | str | None:
        if cell.strip().lower() in _UNKNOWN:
            return None
        return _number(cell, self.column) if self.words is None else self.words[cell]

    @property
    def names(self) -> dict[str, str]:
        words = {f"{self.name}: {word}": cell for cell, word in (self.words or {}).items()}
        return {self.name: self.column, **words}


def _factors(rows: Mapping[int, Row], mapping: TableMap) -> dict[str, _Factor]:
    free = [column for column, target in mapping.configuration.items() if not target.slot]
    digits = len(str(len(free)))
    return {column: _factor(f"x{n:0{digits}}", column, rows) for n, column in enumerate(free, start=1)}


def _factor(name: str, column: str, rows: Mapping[int, Row]) -> _Factor:
    cells = sorted({row[column] for row in rows.values() if row[column].strip().lower() not in _UNKNOWN})
    numbers = all(_is_number(cell) for cell in cells)
    return _Factor(name, column, None if numbers else {cell: f"c{n}" for n, cell in enumerate(cells, start=1)})


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _number(cell: str, column: str) -> float:
    if not _is_number(cell):
        raise _Bad(f"{column} is {cell!r}; it must be a number")
    return float(cell)


def _run(row: Row, mapping: TableMap, factors: Mapping[str, _Factor], table: str) -> CardRun:
    numbers = {key: _given(row, column) for key, column in mapping.numbers.items()}
    by_hand = mapping.baseline
    is_by_hand = isinstance(by_hand, Mapping) and all(_same(row[column], cell) for column, cell in by_hand.items())
    other = {f"{table}.{f.name}": value for f in factors.values() if (value := f.of(row[f.column])) is not None}
    score = _score(row[mapping.score], mapping.score, mapping)
    return CardRun(
        source=HAND_KD if is_by_hand else FOREIGN,
        pipeline={"format": FORMAT, **_parts(row, mapping), **({OTHER: other} if other else {})},
        seed=int(numbers.get("seed", 0)),
        epochs=max(int(numbers.get("epochs", 1)), 1),
        score=score,
        seconds=max(numbers.get("seconds", 0.0), 0.0),
        params=max(int(numbers.get("params", 0)), 0),
        macs=0,
        failure="" if score is not None else FAILED,
    )


def _given(row: Row, column: str | float) -> float:
    if isinstance(column, str):
        return _number(row[column], column) if row[column].strip() else 0.0
    return column


def _same(cell: str, wanted: str) -> bool:
    """Whether a cell is what is wanted: 4 is 4.0, and TRUE is true."""
    if _is_number(cell) and _is_number(wanted):
        return float(cell) == float(wanted)
    return cell.strip().lower() == wanted.strip().lower()


def _score(cell: str, column: str, mapping: TableMap) -> float | None:
    if cell.strip().lower() in _UNKNOWN:
        return None
    metric, value = METRICS[mapping.metric], _number(cell, column) / (100 if mapping.percent else 1)
    if not metric.low <= value <= metric.high:
        hint = "" if mapping.percent else "; say percent: true if scores are in percent"
        raise _Bad(f"{column} is {cell}, outside of {metric.title}'s {metric.low:g} to {metric.high:g}{hint}")
    return metric.score(value)


def _parts(row: Row, mapping: TableMap) -> dict[str, Any]:
    """The slots of a row's pipeline that are known."""
    there: dict[str, dict[str, dict[str, Any]]] = {}
    found: dict[str, Any] = {}
    named = {target.slot for target in mapping.configuration.values() if target.slot and not target.field}
    for column, target in mapping.configuration.items():
        slot, cell = slots().get(target.slot), row[column].strip()
        if isinstance(slot, Number) and cell:
            found[target.slot] = slot.type(_number(cell, column))
        elif isinstance(slot, Slot) and not target.field:
            for use in _used(cell, column, target, slot.kind, mapping.values.get(column, {})):
                there.setdefault(target.slot, {})[use] = {"use": use}
    for column, target in mapping.configuration.items():
        uses = there.setdefault(target.slot, {})
        if target.field and row[column].strip() and (target.use in uses or target.slot not in named):
            uses.setdefault(target.use, {"use": target.use})[target.field] = _number(row[column], column)
    for name, uses in there.items():
        if uses:
            found[name] = _placed(name, uses)
    return found


def _used(cell: str, column: str, target: Target, kind: str, values: Mapping[str, str]) -> Iterator[str]:
    """The component that a cell says is there, if any."""
    if target.use:
        if cell.lower() not in _YES | _NO:
            raise _Bad(f"{column} is {cell!r}; it must say yes or no, 1 or 0")
        if cell.lower() in _YES:
            yield target.use
        return
    use = next((name for wanted, name in values.items() if _same(cell, wanted)), cell)
    if use and use not in catalog.shipped(kind):
        raise _Bad(f"{column}: {unknown(kind, use, catalog.shipped(kind))}")
    if use:
        yield use


def _placed(name: str, uses: Mapping[str, dict[str, Any]]) -> Any:
    slot = slots()[name]
    if isinstance(slot, Slot) and slot.many:
        return dict(uses)
    if len(uses) > 1:
        raise _Bad(f"{name} is both {' and '.join(uses)}")
    return next(iter(uses.values()))


def _print(runs: Iterator[CardRun]) -> str:
    return fingerprint(sorted(fingerprint([run.pipeline, run.seed, run.epochs, run.score]) for run in runs))


def _families(
    rows: Mapping[tuple[str, ...], Row], prints: Mapping[tuple[str, ...], str], mapping: TableMap
) -> dict[tuple[str, ...], str]:
    """What tells the source of each task's data: a fingerprint of all of the source's tasks; "" where it has one."""
    if not mapping.family:
        return dict.fromkeys(rows, "")
    members: dict[str, list[str]] = {}
    for task, row in rows.items():
        members.setdefault(row[mapping.family], []).append(prints[task])
    return {task: fingerprint(sorted(members[row[mapping.family]])) for task, row in rows.items()}


def _card(found: Sequence[tuple[CardRun, str, Row]], data: str, family: str, mapping: TableMap) -> StudyCard:
    runs, row = [run for run, _, _ in found], found[0][2]
    if isinstance(mapping.baseline, str):
        by_hand = _score(row[mapping.baseline], mapping.baseline, mapping)
        epochs = max(run.epochs for run in runs)
        about: dict[str, Any] = {"pipeline": {"format": FORMAT}, "seed": 0, "seconds": 0.0, "params": 0, "macs": 0}
        runs += [CardRun(source=HAND_KD, epochs=epochs, score=by_hand, **about)] if by_hand is not None else []
    numbers = {key: int(_given(row, mapping.numbers[key])) for key in ("samples", "classes") if key in mapping.numbers}
    classes, train = max(numbers.get("classes", 0), 0), max(numbers.get("samples", 0), 0)
    facts = StudyFacts(
        data=data,
        modality=FOREIGN,
        objective=mapping.metric,
        train=train,
        validation=0,
        class_counts=(train // classes,) * classes if classes else (),
        input_shape=(),
        epochs=max(run.epochs for run in runs),
        seed=0,
        space=FOREIGN,
        device=FOREIGN,
        family=family,
    )
    return StudyCard(facts=facts, runs=tuple(runs))
