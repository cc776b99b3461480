"""A base of knowledge on disk: Parquet files of study cards, one row a run.

A base is a folder of such files, to which each study that is learned adds one, or a single file with many studies. What
a study was about stands in the metadata of its file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from autokd.errors import UserError
from autokd.files import written_whole
from autokd.knowledge.card import CardRun, StudyCard, StudyFacts
from autokd.spec import fingerprint

FORMAT = 1
"""Version of the files."""
SUFFIX = ".parquet"
SHIPPED = Path(__file__).with_name(f"shipped{SUFFIX}")
"""The base that comes with autokd."""
_KEY = b"autokd.knowledge"
"""Name of the metadata."""


@dataclass(frozen=True)
class Base:
    """Study cards, each once, in the order of their digests.

    Args:
      cards: the studies.
    """

    cards: tuple[StudyCard, ...] = ()

    @classmethod
    def of(cls, cards: Iterable[StudyCard]) -> Base:
        """Return the base of some cards; a study that is there twice counts once."""
        by_digest = {card.digest: card for card in cards}
        return cls(tuple(by_digest[digest] for digest in sorted(by_digest)))

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
    about = {"format": FORMAT, "studies": {card.digest: card.facts.to_plain() for card in cards}}
    table = pyarrow.Table.from_pylist(rows, schema=_schema())
    table = table.replace_schema_metadata({_KEY: json.dumps(about, sort_keys=True).encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as new:
        parquet.write_table(table, new, compression="zstd")


def write_card(folder: Path, card: StudyCard) -> Path:
    """Add a card to a base that is a folder; return its file. One that is there already is written again, the same."""
    path = folder / f"{card.digest}{SUFFIX}"
    write_base(path, [card])
    return path


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


def read_shipped() -> Base:
    """Read the base that comes with autokd; an empty one where a distribution has none."""
    return read_base(SHIPPED) if SHIPPED.exists() else Base()


def _schema() -> Any:
    import pyarrow

    return pyarrow.schema(
        [
            ("study", pyarrow.string()),
            ("source", pyarrow.string()),
            ("pipeline", pyarrow.string()),
            ("seed", pyarrow.int64()),
            ("epochs", pyarrow.int64()),
            ("score", pyarrow.float64()),
            ("curve", pyarrow.list_(pyarrow.float64())),
            ("seconds", pyarrow.float64()),
            ("params", pyarrow.int64()),
            ("macs", pyarrow.int64()),
            ("failure", pyarrow.string()),
        ]
    )


def _row(run: CardRun) -> dict[str, Any]:
    return {**vars(run), "pipeline": json.dumps(run.pipeline, sort_keys=True), "curve": list(run.curve)}


def _cards(path: Path) -> list[StudyCard]:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
        about = json.loads((table.schema.metadata or {})[_KEY])
        if about["format"] != FORMAT:
            raise UserError(f"{path} has format {about['format']!r}; this version of autokd reads format {FORMAT}")
        runs: dict[str, list[CardRun]] = {digest: [] for digest in about["studies"]}
        for row in table.to_pylist():
            values = {**row, "pipeline": json.loads(row["pipeline"]), "curve": tuple(row["curve"])}
            runs[values.pop("study")].append(CardRun(**values))
        facts = {digest: StudyFacts.from_plain(plain) for digest, plain in about["studies"].items()}
    except (OSError, KeyError, TypeError, ValueError, AttributeError, pyarrow.ArrowException) as error:
        raise UserError(f"{path} is no knowledge base of autokd, or is damaged ({type(error).__name__})") from error
    return [StudyCard(facts=facts[digest], runs=tuple(found)) for digest, found in runs.items()]
