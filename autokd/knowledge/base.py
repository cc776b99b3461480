"""A base of knowledge on disk: Parquet files of study cards, one row a run.

A base is a folder of such files, one for each study that was learnt, or a single file with many studies. What a study
was about stands in the metadata of its file. Of a study that is there twice, since it was learnt again when it had
grown, the card with more runs counts.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from autokd.errors import UserError
from autokd.files import written_whole
from autokd.knowledge.card import CardRun, StudyCard, StudyFacts
from autokd.spec import fingerprint
from autokd.study.past import PastStudent

FORMAT, BEFORE = 2, 1
"""Versions of the files: the second one has students of its studies, with what proxies said of them."""
SUFFIX = ".parquet"
_KEY = b"autokd.knowledge"
"""Name of the metadata."""
_DAMAGE = (OSError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading a file raises that is not what was written."""


@dataclass(frozen=True)
class Base:
    """Study cards, each study once, in the order of their digests.

    Args:
      cards: the studies.
    """

    cards: tuple[StudyCard, ...] = ()

    @classmethod
    def of(cls, cards: Iterable[StudyCard]) -> Base:
        """Return the base of some cards: of each study the newest, which is the one with most runs."""
        newest: dict[str, StudyCard] = {}
        for card in sorted(cards, key=_age):
            newest[card.study] = card
        return cls(tuple(sorted(newest.values(), key=lambda card: card.digest)))

    @cached_property
    def digest(self) -> str:
        """What tells this base from others; it belongs to the identity of a study that starts from it."""
        return fingerprint([card.digest for card in self.cards])

    def without(self, data: Iterable[str]) -> Base:
        """Return the base without the studies of some data, by their fingerprints in it."""
        left_out = set(data)
        return Base(tuple(card for card in self.cards if card.facts.data not in left_out))


def write_base(path: Path, cards: Sequence[StudyCard]) -> None:
    """Write cards as one Parquet file."""
    import pyarrow
    from pyarrow import parquet

    rows = [{"study": card.digest, **_row(run)} for card in cards for run in card.runs]
    about: dict[str, Any] = {"format": BEFORE, "studies": {card.digest: card.facts.to_plain() for card in cards}}
    students = {card.digest: [dataclasses.asdict(each) for each in card.students] for card in cards if card.students}
    if students:
        about |= {"format": FORMAT, "students": students}
    table = pyarrow.Table.from_pylist(rows, schema=_schema())
    table = table.replace_schema_metadata({_KEY: json.dumps(about, sort_keys=True).encode()})
    with written_whole(path) as new:
        parquet.write_table(table, new, compression="zstd")


def write_card(folder: Path, card: StudyCard) -> StudyCard | None:
    """Add a card to a base that is a folder, in a file that its study has for itself.

    A file of the same study is replaced, unless that knows at least as much. No other file is touched.

    Returns:
      the card of this study that was there before, or None.

    Raises:
      UserError: there is such a file, and it is damaged.
    """
    path = folder / f"{card.study}{SUFFIX}"
    there = _cards(path) if path.exists() else []
    before = next((known for known in there if known.study == card.study), None)
    if before is None or _age(before) < _age(card):
        write_base(path, [card])
    return before


def read_base(path: Path) -> Base:
    """Read a base: a file, or all Parquet files of a folder.

    Raises:
      UserError: there is no such file or folder, or a file in it is no base of this format.
    """
    if path.is_file():
        return Base.of(_cards(path))
    if not path.is_dir():
        raise UserError(f"{path}: there is no knowledge base; autokd learn STUDY makes one")
    return Base.of(card for file in sorted(path.glob(f"*{SUFFIX}")) for card in _cards(file))


def write_merged(path: Path, base: Base, *, overwrite: bool = False) -> None:
    """Write a base as one file.

    Raises:
      UserError: there is something, and it is not to be replaced.
    """
    check_new(path, overwrite=overwrite)
    write_base(path, base.cards)


def check_new(path: Path, *, overwrite: bool) -> None:
    """Refuse to write over what is there.

    Raises:
      UserError: there is something, and it is not to be replaced.
    """
    if path.exists() and not overwrite:
        raise UserError(f"{path} is already there; give another file with -o, or --overwrite")


def _age(card: StudyCard) -> tuple[int, int, str]:
    """What orders the cards of one study, the newest last: a study only grows. Other versions' cards: in some order."""
    return len(card.runs), len(card.students), card.digest


def _schema() -> Any:
    import pyarrow

    number, text = pyarrow.float64(), pyarrow.string()
    return pyarrow.schema(
        [
            ("study", text),
            ("source", text),
            ("pipeline", text),
            ("seed", pyarrow.int64()),
            ("epochs", pyarrow.int64()),
            ("score", number),
            ("curve", pyarrow.list_(number)),
            ("seconds", number),
            ("params", pyarrow.int64()),
            ("macs", pyarrow.int64()),
            ("failure", text),
        ]
    )


def _row(run: CardRun) -> dict[str, Any]:
    values = {item.name: getattr(run, item.name) for item in dataclasses.fields(run)}
    return {**values, "pipeline": json.dumps(run.pipeline, sort_keys=True), "curve": list(run.curve)}


def _cards(path: Path) -> list[StudyCard]:
    import pyarrow
    from pyarrow import parquet

    content = path.read_bytes()
    try:
        table = parquet.ParquetFile(pyarrow.BufferReader(content)).read()
        about = json.loads((table.schema.metadata or {})[_KEY])
        if about["format"] not in (FORMAT, BEFORE):
            read = f"this version of autokd reads formats {BEFORE} and {FORMAT}"
            raise UserError(f"{path} has format {about['format']!r}; {read}")
        rows = table.select(_schema().names).cast(_schema()).to_pylist()
        return _of_rows(rows, about["studies"], about.get("students", {}))
    except (*_DAMAGE, pyarrow.ArrowException) as error:
        why = f"no knowledge base of autokd, or damaged ({type(error).__name__})"
        raise UserError(f"{path} is {why}; move it away, and learn its studies again") from error


def _of_rows(rows: Sequence[dict[str, Any]], facts: Mapping[str, Any], students: Mapping[str, Any]) -> list[StudyCard]:
    """The cards of a file's rows, facts and students.

    Raises:
      LookupError, TypeError, ValueError: something is missing, or not what it should be.
    """
    runs: dict[str, list[CardRun]] = {digest: [] for digest in facts}
    for row in rows:
        values = {**row, "pipeline": dict(json.loads(row["pipeline"])), "curve": tuple(row["curve"])}
        runs[values.pop("study")].append(CardRun(**values))
    cards = {
        digest: StudyCard(
            facts=StudyFacts.from_plain(facts[digest]),
            runs=tuple(runs[digest]),
            students=tuple(map(PastStudent.from_plain, students.get(digest, ()))),
        )
        for digest in runs
    }
    if any(card.digest != digest for digest, card in cards.items()):
        raise ValueError("a study is not what was written")
    return list(cards.values())
