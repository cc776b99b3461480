"""Screening: ranks, budgets, diversity, and that it never looks at the test split."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from autokd.data import Dataset, load
from autokd.engine.context import TrainContext
from autokd.engine.teacher_bank import TeacherBank
from autokd.errors import NothingFeasible
from autokd.execution.inline import InlineExecutor
from autokd.networks.models import state_fingerprint
from autokd.search.limits import feasible
from autokd.search.population import population
from autokd.search.screen.screen import diverse_top, score_against, screen
from autokd.search.screen.screener import Screener, usable_proxies
from autokd.study.choice import ScreenedStudent
from autokd.types import Split
from tests.search.spaces import CPU, context, resolved
from tests.search.stages import explorer


class Unread(Dataset):
    """A dataset whose test split must not be read."""

    def read_test(self) -> Split:
        raise AssertionError("the test split was read")


def student(width: int, layers: int = 2) -> dict[str, Any]:
    return {"use": "cnn", "width": width, "layers": layers}


@dataclasses.dataclass
class Given:
    """Proxies' values as given, by width."""

    table: dict[int, dict[str, Any]]
    ranked_by: tuple[str, ...]
    context: TrainContext

    def values(self, student: dict[str, Any]) -> dict[str, float]:
        return self.table[student["width"]]


def screened(digits: Dataset, table: dict[int, dict[str, Any]], *ranked_by: str) -> list[tuple[int, float]]:
    given: Any = Given(table, ranked_by, context(digits))
    rows = screen(given, [student(width) for width in table])
    return [(row.student["width"], row.score) for row in rows]


def test_ranks_are_averaged_over_the_proxies_that_count(digits: Dataset) -> None:
    table = {
        4: {"nwot": 1.0, "params": 40.0, "macs": 9.0},
        5: {"nwot": 3.0, "params": 50.0, "macs": 8.0},
        6: {"nwot": 2.0, "params": 60.0, "macs": 7.0},
    }
    assert screened(digits, table, "nwot") == [(5, 1.0), (6, 0.5), (4, 0.0)]
    assert screened(digits, table, "nwot", "params") == [(5, 0.75), (6, 0.75), (4, 0.0)]


def test_ties_share_a_rank_and_a_proxy_that_fails_ranks_last(digits: Dataset) -> None:
    table = {4: {"nwot": 1.0}, 5: {"nwot": 1.0}, 6: {"nwot": 2.0}, 7: {"nwot": float("nan")}}
    assert screened(digits, table, "nwot") == [(6, 1.0), (4, 0.5), (5, 0.5), (7, 0.0)]
    assert screened(digits, {4: {"nwot": 5.0}}, "nwot") == [(4, 0.0)]
    unjudged: dict[int, dict[str, Any]] = {4: {"nwot": 1.0}, 5: {"nwot": None}, 6: {"nwot": 2.0}}
    assert screened(digits, unjudged, "nwot") == [(6, 1.0), (5, 0.5), (4, 0.0)]
    assert screened(digits, {4: {"nwot": None}}, "nwot") == [(4, 0.5)]


def test_a_lower_latency_ranks_higher(digits: Dataset) -> None:
    table = {4: {"latency": 3.0}, 5: {"latency": 1.0}}
    assert screened(digits, table, "latency") == [(5, 1.0), (4, 0.0)]


def row(use: str, params: int, proxies: dict[str, float | None] | None = None) -> ScreenedStudent:
    return ScreenedStudent(student={"use": use}, params=params, macs=1, proxies=proxies or {}, score=0.5)


def test_one_more_student_is_scored_by_the_share_that_it_beats() -> None:
    rows = [row("cnn", 1000, {"nwot": value, "latency": 10 - value}) for value in (1.0, 2.0, 3.0, 4.0)]
    assert score_against(rows, {"nwot": 2.5}, ["nwot"]) == 0.5
    assert score_against(rows, {"nwot": 9.0, "latency": 9.5}, ["nwot", "latency"]) == 0.5
    assert score_against(rows, {"nwot": 2.0}, ["nwot"]) == 0.25


def test_the_best_that_differ_by_15_percent_in_size() -> None:
    rows = [
        row("cnn", 1000),
        row("cnn", 1149),
        row("cnn", 871),
        row("resnet", 1000),
        row("cnn", 1151),
        row("cnn", 1324),
    ]
    top = diverse_top(rows, 4)
    assert [(r.student["use"], r.params) for r in top] == [
        ("cnn", 1000),
        ("resnet", 1000),
        ("cnn", 1151),
        ("cnn", 1324),
    ]
    assert diverse_top(rows, 1) == rows[:1] and diverse_top([], 3) == []


def test_a_student_is_feasible_up_to_the_limit(digits: Dataset) -> None:
    """A cnn of width 4 and 2 layers: 36 + 8 + 288 + 16 + 90 = 438 parameters."""
    assert feasible(student(4), digits.task, {"params": 438})
    assert not feasible(student(4), digits.task, {"params": 437})
    assert feasible(student(4), digits.task, {})
    assert not feasible(student(4), digits.task, {"params": 438, "macs": 1})


def test_the_population_is_distinct_inside_the_budget_and_repeatable(digits: Dataset) -> None:
    space = resolved(digits, max_params=500)
    students, share = population(space, digits.task, seed=3)
    assert (students, share) == population(space, digits.task, seed=3)
    assert all(feasible(s, digits.task, {"params": 500}) for s in students)
    # 20 students in all; inside are widths 3 and 4 with two layers, and all ten with one
    assert len(students) == len({tuple(s.items()) for s in students}) == 12 and share == 12 / 20
    assert len(population(space, digits.task, seed=3, size=5)[0]) == 5


def test_no_feasible_student_is_told_with_the_smallest(digits: Dataset) -> None:
    """Width 3, one layer: 27 + 6 + 40 = 73 parameters."""
    space = resolved(digits, max_params=50, max_macs=10_000)
    with pytest.raises(NothingFeasible) as error:
        population(space, digits.task, seed=0)
    text = str(error.value)
    assert "params <= 50" in text and "macs <= 10,000" in text and "\n" not in text
    assert "cnn(layers=1, width=3) with 73 parameters, 1,758 MACs and 324 bytes" in text
    assert error.value.exit_code == 3


def test_proxies_that_cannot_run_here_are_left_out(digits: Dataset) -> None:
    names = ("params", "nwot", "diswot")
    assert usable_proxies(names, context(digits)) == names
    assert usable_proxies(names, context(digits, with_teacher=False)) == ("params", "nwot")
    table = load("breast_cancer")
    where = TrainContext(data=table, teacher=None, device=CPU, bank=TeacherBank())
    assert "params" in usable_proxies(names, where) and "diswot" not in usable_proxies(names, where)


def test_screening_is_deterministic_and_uses_the_callers_random_state_for_nothing(digits: Dataset) -> None:
    def values(seed: int) -> Mapping[str, float | None]:
        names = ("params", "macs", "nwot", "diswot")
        return Screener(context=context(digits), proxies=names, ranked_by=names, seed=seed).values(student(4))

    first = values(1)
    torch.manual_seed(7)
    state = torch.get_rng_state()
    assert values(1) == first
    assert torch.equal(torch.get_rng_state(), state)
    assert values(2) != first and first["params"] == 438.0


def test_screen_and_explore_read_no_test_split_and_leave_the_teacher_alone(digits: Dataset, tmp_path: Path) -> None:
    values = {field.name: getattr(digits, field.name) for field in dataclasses.fields(digits)}
    where = context(Unread(**values))
    assert where.teacher is not None
    before = state_fingerprint(where.teacher.modules.state_dict())  # type: ignore[attr-defined]
    space = resolved(digits)
    names = usable_proxies(("params", "nwot", "diswot"), where)
    screener = Screener(context=where, proxies=names, ranked_by=names, seed=1)
    rows = screen(screener, population(space, digits.task, 1, 6)[0])
    made = explorer(
        tmp_path, space, digits.task, screen=rows, screener=screener, executor=InlineExecutor(where), planned=8
    )
    made.run(11, lambda seconds: True, lambda: None)
    trials = made.log.records.trials.values()
    assert len(trials) == 11 and all(t.rungs and t.failure is None for t in trials)
    assert {"recipe:alone", "recipe:kd", "design", "random"} <= {t.source for t in trials}
    assert state_fingerprint(where.teacher.modules.state_dict()) == before  # type: ignore[attr-defined]
    with pytest.raises(AssertionError):
        where.data.read_test()
