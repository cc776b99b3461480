"""Screening: ranks, budgets, diversity, and that it never looks at the test split."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from autokd.data import Dataset, load
from autokd.engine.context import TrainContext
from autokd.engine.teacher_bank import TeacherBank
from autokd.errors import ComponentError, NothingFeasible
from autokd.execution.inline import InlineExecutor
from autokd.networks.models import state_fingerprint
from autokd.search.explore.propose import Proposer
from autokd.search.limits import feasible
from autokd.search.population import population
from autokd.search.screen.screen import diverse, mean_ranks, score_against, screen
from autokd.search.screen.screener import SHOWN, Screener, make_screener, unusable_proxies
from autokd.search.screen.stage import tell_not_finite
from autokd.study.choice import ScreenedStudent
from autokd.study.proxies import SIZES, key_of, scored
from autokd.study.records import RecordLog, Records
from autokd.types import ScreenInput, Shapes, Split
from tests.search.spaces import CPU, context, resolved
from tests.search.stages import explorer


class Unread(Dataset):
    """A dataset whose test split must not be read."""

    def read_test(self) -> Split:
        raise AssertionError("the test split was read")


def student(width: int, layers: int = 2) -> dict[str, Any]:
    return {"use": "cnn", "width": width, "layers": layers}


def row(use: str, params: int, score: float = 0.5, **proxies: float | None) -> ScreenedStudent:
    return ScreenedStudent(student={"use": use}, params=params, macs=1, proxies=proxies, score=score)


def test_ranks_are_averaged_over_what_decides() -> None:
    rows = [row("a", 40, nwot=1.0), row("b", 50, nwot=3.0), row("c", 60, nwot=2.0)]
    assert mean_ranks(rows, ["nwot"]).tolist() == [0.0, 1.0, 0.5]
    assert mean_ranks(rows, ["params", "nwot"]).tolist() == [0.0, 0.75, 0.75]
    assert mean_ranks(rows, []).tolist() == [0.5, 0.5, 0.5] and not len(mean_ranks([], ["nwot"]))


def test_ties_share_a_rank_and_a_score_that_is_no_number_ranks_last() -> None:
    rows = [row("a", 1, nwot=1.0), row("b", 1, nwot=1.0), row("c", 1, nwot=2.0), row("d", 1, nwot=None)]
    assert mean_ranks(rows, ["nwot"]).tolist() == [0.25, 0.25, 1.0, 0.5]  # the last one cannot be judged
    rows[3] = dataclasses.replace(rows[3], not_finite=("nwot",))
    assert mean_ranks(rows, ["nwot"]).tolist() == [0.5, 0.5, 1.0, 0.0]
    assert mean_ranks([row("a", 1, nwot=None)], ["nwot"]).tolist() == [0.5]


def test_a_lower_latency_ranks_higher() -> None:
    rows = [row("a", 1, latency=3.0), row("b", 1, latency=1.0)]
    assert mean_ranks(rows, ["latency"], ["latency"]).tolist() == [0.0, 1.0]


def test_one_more_student_is_scored_by_the_share_that_it_beats() -> None:
    rows = [row("cnn", 1000, nwot=value, latency=10 - value) for value in (1.0, 2.0, 3.0, 4.0)]
    assert score_against(rows, row("cnn", 1, nwot=2.5), ["nwot"]) == 0.5
    assert score_against(rows, row("cnn", 1, nwot=9.0, latency=9.5), ["nwot", "latency"], ["latency"]) == 0.5
    assert score_against(rows, row("cnn", 1, nwot=2.0), ["nwot"]) == 0.25
    assert score_against(rows, row("cnn", 1, nwot=None), ["nwot"]) == 0.5


def test_students_of_all_sizes_and_families_come_first() -> None:
    """Four strata in turn, the largest first; of each the family that was taken least, then the best score."""
    rows = [
        row("cnn", 1000, 0.9),
        row("cnn", 900, 0.95),
        row("resnet", 600, 0.1),
        row("cnn", 400, 0.5),
        row("resnet", 300, 0.4),
        row("cnn", 200, 0.5),
        row("cnn", 10, 0.5),
    ]
    tried = [(r.student["use"], r.params) for r in diverse(rows, 5)]
    assert tried == [("cnn", 900), ("resnet", 300), ("cnn", 200), ("cnn", 10), ("resnet", 600)]
    assert diverse(rows, 1) == rows[1:2] and diverse([], 3) == []
    everything = diverse(rows, 99)
    assert len(everything) == 7 and all(each in everything for each in rows)


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
    assert "the smallest possible one is cnn(layers=1, width=3) with 73 parameters, 1,758 MACs and 324 bytes" in text
    assert error.value.exit_code == 3


def test_proxies_that_cannot_run_here_are_left_out_with_a_reason(digits: Dataset) -> None:
    names = ("params", "nwot", "diswot")
    made = make_screener(["zico", *SHOWN], context(digits, with_teacher=False), 1)
    assert made.proxies == ("params", "macs", "zico", "nwot") and set(made.left_out) == {"diswot"}
    assert unusable_proxies(names, context(digits)) == {}
    assert unusable_proxies(names, context(digits, with_teacher=False)) == {
        "diswot": "diswot compares the student with a teacher; there is none"
    }
    table = load("breast_cancer")
    where = TrainContext(data=table, teacher=None, device=CPU, bank=TeacherBank())
    assert set(unusable_proxies(names, where)) == {"diswot"}


def test_a_teacher_without_feature_maps_leaves_out_what_reads_them(digits: Dataset) -> None:
    where = context(digits)
    assert where.teacher is not None
    logits_alone: Any = type("LogitsAlone", (), {"offers": Shapes()})()
    reasons = unusable_proxies(("nwot", "diswot"), dataclasses.replace(where, teacher=logits_alone))
    assert reasons == {"diswot": "this proxy compares feature maps; this teacher offers none"}


class Odd(Screener):
    """Says what it is told, for a repeat."""

    def _once(self, student: Mapping[str, Any], name: str, repeat: int) -> float:
        if student["width"] == 5:
            raise ComponentError("it cannot judge this one")
        return {3: 2.0 + repeat, 4: math.nan if repeat == 1 else 7.0}[student["width"]]


def test_scores_are_means_over_repeats_and_one_that_is_no_number_is_told(
    digits: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    odd = Odd(context=context(digits), proxies=("nwot",), seed=1)
    said = [(row.proxies, row.spread, row.not_finite) for row in odd.rate([student(width) for width in (3, 4, 5)])]
    assert said == [({"nwot": 3.0}, {"nwot": 1.0}, ()), ({"nwot": None}, {}, ("nwot",)), ({"nwot": None}, {}, ())]
    rows = screen(odd, [student(width) for width in (3, 4, 5)], by=["nwot"])
    assert {r.student["width"]: r.score for r in rows} == {3: 1.0, 4: 0.0, 5: 0.5}
    log = RecordLog(Path("/dev/null"), read_only=True)  # a record holds no NaN
    log.records.apply(json.loads(json.dumps({"event": "screen", "students": [dataclasses.asdict(r) for r in rows]})))
    assert log.records.screen == rows
    tell_not_finite(rows)
    assert "the proxy nwot gave no finite number for 1 of 3 students; they count as its worst" in caplog.text


def test_where_time_is_short_students_have_their_sizes_alone(digits: Dataset) -> None:
    screener = Screener(context=context(digits), proxies=("params", "macs", "nwot"), seed=1)
    times = iter([False, True, True])
    rows = screen(screener, [student(width) for width in (3, 4, 5)], by=["params"], enough=lambda: next(times))
    assert sorted(len(r.proxies) for r in rows) == [2, 2, 3] and len({r.params for r in rows}) == 3


def test_students_of_trials_are_scored_once_and_no_longer_than_is_allowed(digits: Dataset) -> None:
    space = resolved(digits)
    drawn, records = space.default(), Records()
    screener = Screener(context=context(digits), proxies=("params", "nwot"), seed=1)
    made = Proposer(space=space, task=digits.task, records=records, screener=screener, seed=5, offers=None, scoring=0.0)
    found = made.newly_screened(drawn)
    assert found is not None and set(found.proxies) == {"params"}  # the time is over before anything was scored
    records.screening.later.append(found)
    assert made.newly_screened(drawn) is None
    found = dataclasses.replace(made, scoring=1e9).newly_screened(drawn)
    assert found is not None and set(found.proxies) == {"params", "nwot"}
    assert screener.seconds_of([drawn.plain["student"]]) > 0 == screener.seconds_of([student(3)])
    records.screening.later.append(found)
    assert dataclasses.replace(made, scoring=1e9).newly_screened(drawn) is None


def test_screening_is_deterministic_and_uses_the_callers_random_state_for_nothing(digits: Dataset) -> None:
    def scores(seed: int) -> ScreenedStudent:
        names = ("params", "macs", "nwot", "diswot")
        return Screener(context=context(digits), proxies=names, seed=seed).screened(student(4))

    first = scores(1)
    torch.manual_seed(7)
    state = torch.get_rng_state()
    assert scores(1) == first and set(first.spread) == {"nwot", "diswot"}
    assert torch.equal(torch.get_rng_state(), state)
    assert scores(2) != first and first.proxies["params"] == 438.0


def test_screen_and_explore_read_no_test_split_and_leave_the_teacher_alone(digits: Dataset, tmp_path: Path) -> None:
    values = {field.name: getattr(digits, field.name) for field in dataclasses.fields(digits)}
    where = context(Unread(**values))
    assert where.teacher is not None
    before = state_fingerprint(where.teacher.modules.state_dict())  # type: ignore[attr-defined]
    space = resolved(digits)
    screener = Screener(context=where, proxies=("params", "nwot", "diswot"), seed=1)
    rows = screen(screener, population(space, digits.task, 1, 6)[0], by=SIZES)
    made = explorer(
        tmp_path, space, digits.task, screen=rows, screener=screener, executor=InlineExecutor(where), planned=8
    )
    made.run(11, lambda seconds: True, lambda: None)
    trials = made.log.records.trials.values()
    assert len(trials) == 11 and all(t.rungs and t.failure is None for t in trials)
    assert {"recipe:alone", "recipe:kd", "design", "random"} <= {t.source for t in trials}
    known = {key_of(r.student) for r in scored(made.log.records)}
    assert all(key_of(t.pipeline["student"]) in known for t in trials)  # also of those that were not screened
    assert state_fingerprint(where.teacher.modules.state_dict()) == before  # type: ignore[attr-defined]
    with pytest.raises(AssertionError):
        where.data.read_test()


def test_a_proxy_gets_the_batches_of_the_other_repeats_too(digits: Dataset) -> None:
    screener = Screener(context=context(digits), proxies=("nwot",), seed=1, repeats=3)
    seen: list[ScreenInput] = []
    screener._built["nwot"] = lambda given: seen.append(given) or 1.0  # type: ignore[func-returns-value]
    assert screener.screened(student(3)).proxies == {"nwot": 1.0}
    assert [len(given.more) for given in seen] == [2, 2, 2]
    assert len({id(inputs) for inputs, _ in seen[0].more} | {id(seen[0].inputs)}) == 3
    assert seen[1].inputs is seen[0].more[0][0] and torch.equal(seen[1].labels, seen[0].more[0][1])
    teacher = seen[0].teacher
    assert teacher is not None and teacher.predict(seen[0].more[1][0]) is seen[2].teacher.predict(seen[2].inputs)  # type: ignore[union-attr]
