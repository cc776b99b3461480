"""A base as a table for people: one row a run, one column a number or a name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from autokd.errors import UserError
from autokd.files import written_whole
from autokd.knowledge.base import Base, check_new
from autokd.knowledge.card import CardRun, StudyCard
from autokd.tables import write_csv


def write_table(path: Path, base: Base, *, overwrite: bool = False) -> int:
    """Write the runs of a base as a CSV or a Parquet file, by its ending; return their number.

    Raises:
      UserError: the file has another ending, or is there and not to be replaced.
    """
    ending = path.suffix.lower()
    if ending not in _WRITERS:
        raise UserError(f"{path}: the table is written as {' or '.join(_WRITERS)}; name such a file with -o")
    check_new(path, overwrite=overwrite)
    found = list(rows(base))
    with written_whole(path) as new:
        _WRITERS[ending](new, found)
    return len(found)


def _write_parquet(path: Path, found: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as Parquet; a column in which some values are texts holds texts."""
    import pyarrow
    from pyarrow import parquet

    names = dict.fromkeys(name for row in found for name in row)
    texts = {name for row in found for name, value in row.items() if isinstance(value, str)}
    columns = {name: [_cell(row.get(name), name in texts) for row in found] for name in names}
    parquet.write_table(pyarrow.table(columns), path)


def _cell(value: Any, as_text: bool) -> Any:
    return str(value) if as_text and value is not None else value


_WRITERS: Mapping[str, Callable[[Path, Sequence[Mapping[str, Any]]], None]] = {
    ".csv": write_csv,
    ".parquet": _write_parquet,
}
"""What writes a table, by the ending of its file."""


def rows(base: Base) -> Iterator[dict[str, Any]]:
    """Yield a row for each run: the study's facts, the run's figures, its pipeline by dotted names.

    `score`, `gain` (over KD by hand) and `quantile` count such that more is better. The last two are the pipeline's
    over all its seeds, and None where it was not trained to the end.
    """
    for card in base.cards:
        facts = dict(_flat(_plain(card)))
        yield from (facts | _row(card, run) for run in card.runs)


def _plain(card: StudyCard) -> dict[str, Any]:
    return {"study": card.study, "classes": card.facts.classes, **card.facts.to_plain()}


def _row(card: StudyCard, run: CardRun) -> dict[str, Any]:
    return {
        "source": run.source,
        "run_seed": run.seed,
        "run_epochs": run.epochs,
        "score": run.score,
        "gain": card.gains.get(run.key),
        "quantile": card.quantiles.get(run.key),
        "seconds": run.seconds,
        "params": run.params,
        "macs": run.macs,
        "failure": run.failure,
        "curve": json.dumps(run.curve),
        **dict(_flat({slot: value for slot, value in run.pipeline.items() if slot != "format"})),
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values by dotted names; lists as JSON."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value) if isinstance(value, list | tuple) else value
