"""What training did inside, in the report: loss terms, teacher bank, time."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autokd.report import words, write
from autokd.report.sections.details import losses
from autokd.report.sections.search import effort
from autokd.study.sessions import BankSession
from tests.report.test_page import Page

Fabricate = Callable[..., Any]
WARM = {"hits": 30, "computed": 10, "dropped": 0, "policies": 3, "groups": 5, "bytes": 3_600_000, "lost_mass": 0.0}
LATER = {"hits": 55, "computed": 5, "dropped": 2, "policies": 2, "groups": 2, "bytes": 800_000, "lost_mass": 0.012}
PARTS = {"data": 10.0, "teacher": 20.0, "forward": 40.0, "search": 5.0}


def add_bank(store: Any, **session: Any) -> None:
    store.log.append("bank", **session, hit_rate=session["hits"] / (session["hits"] + session["computed"] or 1))


def add_trial(store: Any, losses: dict[str, Any], rungs: list[dict[str, Any]]) -> None:
    """A trial whose rungs end with a line of the curve."""
    plain = {"format": 1, "student": {"use": "cnn"}, "augment": {"use": "none"}, "losses": losses}
    number = len(store.records.trials)
    store.log.append(
        "trial", number=number, source="tpe", seed=1, pipeline=plain, params=None, cost={"params": 500, "macs": 900}
    )
    for rung, line in enumerate(rungs):
        ends = {"rung": rung, "epochs": 3 ** (rung + 1), "score": 0.9, "loss": 0.1, "seconds": 1.0}
        curve = [{"epoch": 1, "loss": 9.0, "terms": dict.fromkeys(losses, 9.0)}, {"epoch": 2, "loss": 1.0, **line}]
        store.log.append("rung", number=number, **ends, curve=curve)


LOSSES = {
    "ce": {"use": "ce", "weight": 0.5},
    "relation": {"use": "rkd", "weight": 2.0},
    "mine": {"use": "of_a_plugin", "weight": 3.0},
}
RUNGS = [
    {
        "terms": {"ce": 1.5, "relation": 0.25, "mine": 4.0},
        "gradient_norms": {"ce": 0.75, "relation": 0.0625, "mine": 2},
    },
    {"terms": {"ce": 0.5, "relation": 0.125, "mine": 3.0}},
]


def test_a_terms_line_is_that_of_the_rungs_last_epoch(fabricate: Fabricate) -> None:
    from autokd.losses._rkd import RKD

    store = fabricate(trials=0, claim=False)
    add_trial(store, LOSSES, RUNGS)
    lines = losses.term_lines(store.records.trials.values())
    assert [(line.epochs, line.name, line.value, line.gradient_norm) for line in lines] == [
        (3, "ce", 1.5, 0.75),
        (3, "relation", 0.25, 0.0625),
        (3, "mine", 4.0, 2),
        (9, "ce", 0.5, None),
        (9, "relation", 0.125, None),
        (9, "mine", 3.0, None),
    ]
    assert [line.weight for line in lines[:3]] == [0.5, 2.0 * RKD.declares.scale.value, None]
    assert [line.weighted for line in lines[:3]] == [0.75, 0.5 * RKD.declares.scale.value, None]


def test_a_term_that_did_not_count_has_no_value(fabricate: Fabricate) -> None:
    store = fabricate(trials=0, claim=False)
    add_trial(store, LOSSES, [{"terms": {"relation": 0.25}, "gradient_norms": {"relation": 0.5}}])
    lines = losses.term_lines(store.records.trials.values())
    assert [(line.name, line.value, line.weighted is None) for line in lines] == [
        ("ce", None, True),
        ("relation", 0.25, False),
        ("mine", None, True),
    ]


def test_a_losss_own_scale_counts() -> None:
    from autokd.losses._sp import SP

    assert SP.declares.scale.value != 1
    assert losses.effective_weight({"use": "sp", "weight": 0.5}) == 0.5 * SP.declares.scale.value
    assert losses.effective_weight({}) is None


def test_the_page_shows_the_best_trials_terms(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(trials=0, claim=False)
    for _ in range(7):
        add_trial(store, LOSSES, RUNGS)
    text = write(store, tmp_path).read_text(encoding="utf-8")
    page = Page(text)
    section = page.words.partition("What each loss did")[2].partition("Teacher")[0]
    assert section.count(" 3 ce 1.5 0.5 0.75 0.75 ") == section.count(" 9 mine 3 – – – ") == 5  # five of seven trials
    with (tmp_path / "demo" / "losses.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 7 * 6
    assert rows[0] == {
        "trial": "0",
        "epochs": "3",
        "name": "ce",
        "value": "1.5",
        "weight": "0.5",
        "weighted": "0.75",
        "gradient_norm": "0.75",
    }


def test_each_losss_share_of_the_gradient(fabricate: Fabricate) -> None:
    store = fabricate(trials=0, claim=False)
    ends = [{"terms": {}, "gradient_norms": norms} for norms in ({"ce": 1.0, "kd": 3.0}, {"ce": 0.1, "kd": 4.9})]
    add_trial(store, LOSSES, ends)
    shares = losses.gradient_shares(store)
    assert [(line.of, line.name, line.share, line.before) for line in shares] == [
        ("trial 0, the best", "kd", pytest.approx(0.98), ((3, 0.75),)),
        ("", "ce", pytest.approx(0.02), ((3, 0.25),)),
    ]
    assert losses.of_shares(shares) == "In trial 0, the best, kd makes 98.0 % of the gradient; ce hardly counts."


def test_the_bank_over_several_sessions(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(trials=12)
    add_bank(store, **WARM)
    add_bank(store, hits=0, computed=0, dropped=0, policies=0, groups=0, bytes=0, lost_mass=0.0)
    add_bank(store, **LATER)
    found = effort.bank_use(store.records)
    assert found == BankSession(85, 15, 2, 3, 5, 3_600_000, 0.012)
    assert found.hit_rate == 0.85
    page = Page(write(store, tmp_path).read_text(encoding="utf-8"))
    there = "of the teacher outputs that runs asked for were there already, of"
    assert f"85.0 % {there} 100 epochs (3.6 MB). 2 of those computed were not kept" in page.words
    assert "1.2 % of the teacher’s probability lies outside the logits that are kept" in page.words
    assert "that was profiled" not in page.words


def test_what_did_not_happen_is_not_shown(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(trials=12)
    add_bank(store, **WARM)
    page = Page(write(store, tmp_path).read_text(encoding="utf-8"))
    assert "75.0 % of the teacher outputs that runs asked for were there already, of 40 epochs" in page.words
    assert "were not kept" not in page.words and "lies outside" not in page.words


@pytest.mark.parametrize("sessions", [0, 1])
def test_a_study_that_read_no_stored_outputs(fabricate: Fabricate, tmp_path: Path, sessions: int) -> None:
    store = fabricate(trials=0, claim=False)
    for _ in range(sessions):
        add_bank(store, hits=0, computed=0, dropped=0, policies=0, lost_mass=0.0)
    assert effort.bank_use(store.records) is None
    assert "of the teacher outputs" not in Page(write(store, tmp_path).read_text(encoding="utf-8")).words


def test_where_the_time_went(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(trials=12)
    store.log.append("profile", total=1.0, parts={"data": 1.0})
    store.log.append("profile", total=100.0, parts=PARTS)
    assert [(line.part, line.seconds, line.share) for line in effort.part_times(store.records)] == [
        ("forward", 40.0, 0.4),
        ("other", 25.0, 0.25),
        ("teacher", 20.0, 0.2),
        ("data", 10.0, 0.1),
        ("search", 5.0, 0.05),
    ]
    page = Page(write(store, tmp_path).read_text(encoding="utf-8"))
    inside = "that was profiled part time share forward 40 s 40.0 % other 25 s 25.0 % teacher 20 s 20.0 %"
    assert inside in page.words


def test_sizes_and_figures_in_words() -> None:
    assert [words.size(n) for n in (None, 999, 1234567, 20e9)] == ["–", "999 B", "1.23 MB", "20 GB"]
    assert [words.figure(n) for n in (None, 0.012345, -2.0, 0.0)] == ["–", "0.0123", "−2", "0"]
