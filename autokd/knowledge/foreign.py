"""A table of runs that other software made, as study cards.

What a column means is said by a mapping file. Components and fields that autokd has keep their names; other columns
become factors x1, x2, … with words c1, c2, …, so that a base holds no names of the table's. Tasks are told apart by a
fingerprint of their numbers.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from autokd.errors import UserError
from autokd.knowledge.base import Base
from autokd.knowledge.card import HAND_KD, CardRun, StudyCard, StudyFacts
from autokd.knowledge.choices import OTHER
from autokd.knowledge.foreign_cells import BadCell, is_empty, is_number, number, parts
from autokd.knowledge.mapping import TableMap, is_same
from autokd.knowledge.transfer import ranked
from autokd.metrics import METRICS
from autokd.spec import FORMAT, fingerprint

FOREIGN = "foreign table"
"""Kind of input, and source of runs, of a foreign table: no pipeline of it can be built."""
FAILED = "failed"
"""Failure of a run without a score."""

Row = Mapping[str, str]
Task = tuple[str, ...]


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


class _Read(NamedTuple):
    """A row with the run that it is."""

    row: Row
    run: CardRun


def import_csv(path: Path, mapping: TableMap) -> Imported:
    """Return a table of runs as a base.

    Args:
      path: CSV in UTF-8 with one row a run and names of columns in the first; fields apart by comma, semicolon or tab.
      mapping: what the columns are.

    Raises:
      UserError: it cannot be read, lacks a column, or a cell is not what it should be.
    """
    rows = _rows(path, mapping)
    factors = _factors(list(rows.values()), mapping)
    tasks: dict[Task, list[_Read]] = {}
    for line, row in rows.items():
        try:
            run = _run(row, mapping, factors)
        except BadCell as bad:
            raise UserError(f"{path}, line {line}: {bad}") from None
        tasks.setdefault(tuple(row[column] for column in mapping.task), []).append(_Read(row, run))
    names = {name: text for factor in factors for name, text in factor.names.items()}
    said = {each.run.key: _said(each.row, mapping) for found in tasks.values() for each in found}
    return Imported(Base.of(_cards(path, tasks, mapping)), names, said)


def _rows(path: Path, mapping: TableMap) -> dict[int, Row]:
    """The rows by their numbers of lines."""
    rows: dict[int, Row] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = max(",;\t", key=file.readline().count)
            file.seek(0)
            found = csv.DictReader(file, delimiter=delimiter, strict=True, restval="", restkey="")
            _check_columns(path, found.fieldnames or (), mapping)
            for row in found:
                rows[found.line_num] = {name: cell for name, cell in row.items() if name}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV ({error})") from error
    if not rows:
        raise UserError(f"{path} has no row below the names of its columns")
    return rows


def _check_columns(path: Path, columns: Sequence[str], mapping: TableMap) -> None:
    missing = [column for column in mapping.columns if column not in columns]
    if missing:
        raise UserError(f"{path} has no column {missing[0]!r}, which the mapping names; it has {', '.join(columns)}")


def _said(row: Row, mapping: TableMap) -> str:
    return ", ".join(f"{column} {row[column]}" for column in mapping.configuration if not is_empty(row[column]))


@dataclass(frozen=True)
class _Factor:
    """A column that is none of autokd's fields: its name in the base, and those of its words where it is no number."""

    name: str
    column: str
    words: Mapping[str, str] | None

    def of(self, cell: str) -> float | str:
        return number(cell, self.column) if self.words is None else self.words[cell]

    @property
    def names(self) -> dict[str, str]:
        words = {f"{self.name}: {word}": cell for cell, word in (self.words or {}).items()}
        return {self.name: self.column, **words}


def _factors(rows: Sequence[Row], mapping: TableMap) -> list[_Factor]:
    """The free columns, with names that no other table's have."""
    free = [column for column, what in mapping.configuration.items() if not what.slot]
    table, digits = fingerprint([row[mapping.score] for row in rows])[:6], len(str(len(free)))
    return [_factor(f"{table}.x{place:0{digits}}", column, rows) for place, column in enumerate(free, start=1)]


def _factor(name: str, column: str, rows: Sequence[Row]) -> _Factor:
    cells = sorted({row[column] for row in rows if not is_empty(row[column])})
    words = {cell: f"c{place}" for place, cell in enumerate(cells, start=1)}
    return _Factor(name, column, None if all(map(is_number, cells)) else words)


def _run(row: Row, mapping: TableMap, factors: Sequence[_Factor]) -> CardRun:
    other = {factor.name: factor.of(row[factor.column]) for factor in factors if not is_empty(row[factor.column])}
    score = _score(row[mapping.score], mapping.score, mapping)
    return CardRun(
        source=HAND_KD if _is_by_hand(row, mapping) else FOREIGN,
        pipeline={"format": FORMAT, **parts(row, mapping.configuration), **({OTHER: other} if other else {})},
        seed=int(_given(row, mapping.seed)),
        epochs=max(int(_given(row, mapping.epochs)), 1),
        score=score,
        seconds=max(_given(row, mapping.seconds), 0.0),
        params=max(int(_given(row, mapping.params)), 0),
        macs=0,
        failure="" if score is not None else FAILED,
    )


def _is_by_hand(row: Row, mapping: TableMap) -> bool:
    by_hand = mapping.baseline
    return isinstance(by_hand, Mapping) and all(is_same(row[column], cell) for column, cell in by_hand.items())


def _given(row: Row, column: str | float) -> float:
    """The number in a column, or the one of all rows; 0 where the cell is empty."""
    if isinstance(column, str):
        return 0.0 if is_empty(row[column]) else number(row[column], column)
    return column


def _score(cell: str, column: str, mapping: TableMap) -> float | None:
    if is_empty(cell):
        return None
    metric, value = METRICS[mapping.metric], number(cell, column) / (100 if mapping.percent else 1)
    if not metric.low <= value <= metric.high:
        hint = "" if mapping.percent else "; say percent: true if scores are in percent"
        raise BadCell(f"{column} is {cell}, outside of {metric.title}'s {metric.low:g} to {metric.high:g}{hint}")
    return metric.score(value)


def _cards(path: Path, tasks: Mapping[Task, Sequence[_Read]], mapping: TableMap) -> Iterator[StudyCard]:
    data = {task: _print(found) for task, found in tasks.items()}
    families: dict[str, list[str]] = {}
    for task, found in tasks.items():
        families.setdefault(_family(found[0].row, mapping), []).append(data[task])
    for task, found in tasks.items():
        members = families[_family(found[0].row, mapping)]
        try:
            yield _card(found, data[task], fingerprint(sorted(members)) if mapping.family else "", mapping)
        except BadCell as bad:
            raise UserError(f"{path}, task {', '.join(task)}: {bad}") from None


def _family(row: Row, mapping: TableMap) -> str:
    return row[mapping.family] if mapping.family else ""


def _print(found: Sequence[_Read]) -> str:
    runs = [each.run for each in found]
    return fingerprint(sorted(fingerprint([run.pipeline, run.seed, run.epochs, run.score]) for run in runs))


def _card(found: Sequence[_Read], data: str, family: str, mapping: TableMap) -> StudyCard:
    row, runs = found[0].row, [each.run for each in found]
    epochs = max(run.epochs for run in runs)
    if isinstance(mapping.baseline, str) and mapping.baseline:
        by_hand = _score(row[mapping.baseline], mapping.baseline, mapping)
        runs += [] if by_hand is None else [_by_hand(by_hand, epochs)]
    train, classes = (max(int(_given(row, column)), 0) for column in (mapping.samples, mapping.classes))
    facts = StudyFacts(
        data=data,
        modality=FOREIGN,
        objective=mapping.metric,
        train=train,
        validation=0,
        class_counts=(train // classes,) * classes if classes else (),
        input_shape=(),
        epochs=epochs,
        seed=0,
        space=FOREIGN,
        device=FOREIGN,
        family=family,
    )
    return StudyCard(facts=facts, runs=tuple(runs))


def _by_hand(score: float, epochs: int) -> CardRun:
    """A baseline of which the table says the score alone."""
    pipeline = {"format": FORMAT}
    return CardRun(source=HAND_KD, pipeline=pipeline, seed=0, epochs=epochs, score=score, seconds=0.0, params=0, macs=0)
