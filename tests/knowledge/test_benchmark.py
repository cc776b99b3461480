"""The recording and the replay of studies, on small made-up ones."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from autokd.knowledge import CardRun
from benchmarks.knowledge import records
from benchmarks.knowledge.coverage import far_apart
from benchmarks.knowledge.crossing import RULES, crossing
from benchmarks.knowledge.replay import AFTER, Row, by_family, difference
from tests.knowledge.test_advice import FACTS


@pytest.mark.parametrize("modality", ["image", "table"])
def test_each_level_of_a_crossing_comes_as_often_as_the_others(modality):
    rules = crossing(modality)
    assert len({rule.name for rule in rules}) == RULES
    for factor in zip(*(rule.name.split() for rule in rules), strict=True):
        counts = Counter(factor).values()
        assert max(counts) - min(counts) <= 1


def test_rows_that_lie_far_apart_are_chosen_first():
    rows = [{"x": 0.0, "use": "a"}, {"x": 0.1, "use": "a"}, {"x": 1.0, "use": "b"}, {"x": 0.9, "use": "a"}]
    assert far_apart(rows, 3)[:2] == [0, 2]
    assert len(set(far_apart(rows, 9))) == 4


def test_what_was_recorded_is_packed_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RECORDS", tmp_path)
    run = CardRun(
        source="recipe:kd",
        pipeline={"format": 1},
        seed=0,
        epochs=10,
        score=0.5,
        curve=(0.4, 0.5),
        seconds=1.0,
        params=1,
        macs=1,
    )
    lines = [{**vars(run), "curve": list(run.curve), "seed": seed} for seed in (0, 1)]
    (tmp_path / "digits.json").write_text(json.dumps(FACTS.to_plain()))
    (tmp_path / "digits.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"source": "cut')
    records.pack(["digits"])
    assert [file.name for file in tmp_path.iterdir()] == ["digits.parquet"]
    packed = records.card_of("digits")
    assert packed is not None and [each.seed for each in packed.runs] == [0, 1]
    assert packed.facts.family == "digits"
    (tmp_path / "digits.jsonl").write_text(json.dumps({**lines[0], "seed": 2}) + "\n")
    grown = records.card_of("digits")
    assert grown is not None and [each.seed for each in grown.runs] == [0, 1, 2]


def rows(searcher: str, regrets: dict[str, float]) -> list[Row]:
    return [
        Row(searcher, name, name, 0, (regret,) * len(AFTER), (0.0,) * len(AFTER)) for name, regret in regrets.items()
    ]


def test_differences_are_paired_over_families():
    mine = {f"f{number}": float(number) for number in range(8)}
    found = [*rows("one", mine), *rows("other", {name: regret + 1 for name, regret in mine.items()})]
    mean, low, high, wins = difference(found, ("one", 1), ("other", 20))
    assert (mean, low, high, wins) == (1.0, 1.0, 1.0, "8/0/0")
    assert by_family(found, "one", 5)["f3"] == 3.0


def test_a_searcher_that_is_no_better_is_within_its_interval():
    rng = np.random.default_rng(0)
    mine = {f"f{number}": float(rng.normal()) for number in range(12)}
    found = [*rows("one", mine), *rows("other", {name: float(rng.normal()) for name in mine})]
    _, low, high, _ = difference(found, ("one", 1), ("other", 1))
    assert low < 0 < high
