"""The benchmark against a person: its statistics, its records, and that nothing is run twice."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from autokd import catalog
from benchmarks.by_hand import __main__ as by_hand
from benchmarks.by_hand import answers, components, report
from benchmarks.by_hand.answers import Answer, FreshRun, packed, unpacked
from benchmarks.by_hand.figures import (
    Difference,
    bootstrap_lower,
    difference,
    holm,
    mean_over_sets,
    wins_and_losses,
)
from benchmarks.by_hand.sets import SETS
from benchmarks.by_hand.worker import Task

ITEMS = 400
PLUGIN = "autokd_plugin_components"


def test_prepared_sets_are_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, PLUGIN, raising=False)
    catalog.load_plugins(components.__file__)
    monkeypatch.setitem(sys.modules, PLUGIN, sys.modules.pop(PLUGIN))  # the other tests see shipped components alone
    assert {components.reference(kind) for kind in ("image", "table")} <= set(catalog.names("datasets"))


def test_bits_come_back():
    right = np.random.default_rng(0).random(1403) < 0.7
    assert (unpacked(packed(right), 1403) == right).all()


def test_sets_are_halved_and_limits_alternate():
    for half in ("dev", "held-out"):
        shares = sorted(each.share for each in SETS.values() if each.half == half and each.share is not None)
        assert shares == [0.1, 0.3]
    assert len(SETS) == 8


def test_difference_holds_seeds_and_items():
    rng = np.random.default_rng(1)
    one, other = (rng.random((5, ITEMS)) < share for share in (0.8, 0.7))
    found = difference(one.astype(float), other.astype(float))
    seeds = sum(values.mean(axis=1).var(ddof=1) for values in (one, other)) / 5
    items = (one.mean(axis=0) - other.mean(axis=0)).var(ddof=1) / ITEMS
    assert found.mean == pytest.approx(one.mean() - other.mean())
    assert found.error == pytest.approx(np.sqrt(seeds + items))
    assert found.df > 8  # the items' part has no degrees of freedom to speak of
    low, high = found.interval
    assert low < found.mean - found.margin < high


def test_interval_covers_the_truth_as_often_as_it_says():
    rng, covered = np.random.default_rng(2), 0
    for _ in range(400):
        hard = rng.normal(size=ITEMS)
        scores = [(hard + rng.normal(scale=0.1, size=(5, 1)) + rng.normal(size=(5, ITEMS)) > 0) for _ in range(2)]
        low, high = difference(*(score.astype(float) for score in scores)).interval
        covered += low <= 0 <= high
    assert 0.92 <= covered / 400 <= 0.995


def test_sides_with_the_same_answers_are_not_worse():
    same = np.ones((3, ITEMS))
    assert difference(same, same).p_worse == 1.0
    assert difference(0 * same, same).p_worse == 0.0


def test_holm_multiplies_and_never_falls():
    adjusted = holm({"a": 0.04, "b": 0.01, "c": 0.03})
    assert adjusted == pytest.approx({"a": 0.06, "b": 0.03, "c": 0.06})


def test_mean_over_sets_is_surer_than_one_set():
    each = Difference(mean=0.01, error=0.004, df=8.0, seeds=np.zeros(5))
    mean = mean_over_sets([each] * 4)
    assert mean.error == pytest.approx(0.002)
    assert mean.df == pytest.approx(32)
    assert mean.lower == pytest.approx(0.01 - stats.t.ppf(0.95, 32) * 0.002)


def test_bootstrap_holds_sets_and_seeds():
    def of(values: list[float]) -> Difference:
        return Difference(mean=float(np.mean(values)), error=0.01, df=4.0, seeds=np.array(values))

    assert bootstrap_lower([of([0.02] * 5)] * 3) == pytest.approx(0.02)
    mixed = bootstrap_lower([of([0.05] * 5), of([-0.05] * 5)])
    assert mixed == pytest.approx(-0.05)
    assert -0.05 < bootstrap_lower([of([0.05, -0.05, 0.03, 0.01])] * 8) < 0.01


def test_sets_that_cannot_tell_do_not_count():
    seen = Difference(mean=0.02, error=0.002, df=8.0, seeds=np.zeros(5))
    lost = Difference(mean=-0.02, error=0.002, df=8.0, seeds=np.zeros(5))
    noisy = Difference(mean=0.02, error=0.02, df=8.0, seeds=np.zeros(5))
    assert wins_and_losses([seen, lost, noisy], 0.01) == (1, 1)


def _answer(name: str, side: str, seed: int, share: float, label: str = "") -> Answer:
    rng = np.random.default_rng(seed)
    runs = tuple(rng.random(ITEMS) < share for _ in range(3))
    tested = tuple(
        FreshRun(seed=i, validation=0.5, test=float(run.mean()), correct=packed(run), items=ITEMS)
        for i, run in enumerate(runs)
    )
    return Answer(
        set=name,
        side=side,
        label=label,
        seed=seed,
        recipe=None,
        pipeline={"format": 1},
        epochs=27,
        runs=4,
        seconds=1.0,
        tested=tested,
    )


def _write(folder: Path, answer: Answer) -> None:
    task = Task(
        set=answer.set,
        side=answer.side,
        seed=answer.seed,
        label=answer.label,
        data="",
        records=str(folder),
        clock="cpu",
    )
    by_hand.record([answer.to_json()], task, folder)


def test_answers_come_back_and_a_torn_line_is_passed_over(tmp_path):
    answer = _answer("letter", "search", 1, 0.8, "after")
    _write(tmp_path, answer)
    with (tmp_path / "answers" / "search-after.jsonl").open("a") as file:
        file.write('{"set": "let')
    (back,) = answers.read(tmp_path)
    assert back.to_json() == answer.to_json()
    again = _answer("letter", "search", 2, 0.8, "after")
    _write(tmp_path, again)
    assert [each.seed for each in answers.read(tmp_path)] == [1, 2]


def test_only_what_is_missing_is_run(tmp_path):
    asked = argparse.Namespace(
        records=tmp_path,
        label="after",
        data=Path("data"),
        clock="cpu",
        seconds=None,
        seeds=[0, 1],
        sides=["person", "search"],
    )
    _write(tmp_path, _answer("letter", "person", 0, 0.8))
    _write(tmp_path, _answer("letter", "search", 0, 0.8, "before"))
    _write(tmp_path, _answer("letter", "search", 1, 0.8, "after"))
    left = [(task.side, task.seed) for task in by_hand.tasks(asked, ["letter"])]
    assert left == [("search", 0), ("person", 1)]


def test_report_says_which_bars_are_missed():
    shares = {"search": 0.6, "person": 0.8, "random": 0.5}
    made = [_answer("letter", side, seed, share) for side, share in shares.items() for seed in range(3)]
    (row,) = report.rows({answer.unit: answer for answer in made}, ["letter", "adult"])
    met = {bar.title: bar.met for bar in report.bars([row])}
    assert met["on no set is the person better (one-sided 95 %, Holm over sets)"] is False
    assert met["mean gain above zero (bootstrap over sets and seeds)"] is False
    assert met["above random draws on average"] is True
    text = report.as_text([row], markdown=True)
    assert text.startswith("| set | seeds |")
    assert "MISSED" in text


def test_records_are_rows_of_runs():
    for file in answers.RECORDS.glob("*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            assert json.loads(line)["dataset"] in SETS
