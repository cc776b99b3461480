"""What was recorded: one file of cards for each set, and the base that ships with autokd.

python -m benchmarks.knowledge.records            # packs new lines into the files that are committed
python -m benchmarks.knowledge.records --write FILE [--sets digits letter]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

from autokd.knowledge import CardRun, StudyCard, StudyFacts
from autokd.knowledge.base import SUFFIX, read_base, write_base
from benchmarks.by_hand.sets import SETS as FULL_SETS
from benchmarks.knowledge.sets import SETS

RECORDS = Path(__file__).parent / "records"
COVERAGE = "coverage"
"""Source of a covering draw."""
FULL = "full-"
"""Begins the names of studies that joined from the benchmark by hand."""
FAMILIES = {name: wanted.family for name, wanted in SETS.items()} | {
    FULL + name: wanted.family for name, wanted in FULL_SETS.items()
}
"""Family of each study's data, by the study's name."""


def main() -> None:
    """Pack, or write a base."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", choices=sorted(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--write", type=Path, help="write a base of the records here instead of packing them")
    asked = parser.parse_args()
    if asked.write is None:
        pack(asked.sets)
        return
    cards = [card for name in asked.sets if (card := card_of(name)) is not None]
    write_base(asked.write, cards)
    print(f"{asked.write}: {len(cards)} studies, {asked.write.stat().st_size / 1e3:.0f} kB")


def card_of(name: str) -> StudyCard | None:
    """Return the card of a set's records; None where there are none."""
    packed, about, runs = _packed(name), RECORDS / f"{name}.json", runs_of(name)
    if not runs:
        return None
    facts = StudyFacts.from_plain(json.loads(about.read_text(encoding="utf-8"))) if about.exists() else None
    if facts is None:
        assert packed is not None
        facts = packed.facts
    return StudyCard(facts=dataclasses.replace(facts, family=FAMILIES[name]), runs=tuple(runs))


def pack(names: Iterable[str]) -> None:
    """Put what was recorded of each set into one file, which is committed."""
    for name in names:
        card = card_of(name)
        if card is not None:
            write_base(RECORDS / f"{name}{SUFFIX}", [card])
            for suffix in (".json", ".jsonl"):
                (RECORDS / f"{name}{suffix}").unlink(missing_ok=True)


def _packed(name: str) -> StudyCard | None:
    file = RECORDS / f"{name}{SUFFIX}"
    return read_base(file).cards[0] if file.exists() else None


def runs_of(name: str) -> list[CardRun]:
    """What is packed, then what was recorded since."""
    packed, file = _packed(name), RECORDS / f"{name}.jsonl"
    runs = [] if packed is None else list(packed.runs)
    if not file.exists():
        return runs
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]  # a line that was cut short is trained again
    if whole != text:
        file.write_text(whole, encoding="utf-8")
    lines = [json.loads(line) for line in whole.splitlines()]
    return [*runs, *(CardRun(**{**line, "curve": tuple(line["curve"])}) for line in lines)]


if __name__ == "__main__":
    main()
