"""Explore with an executor that trains nothing: which pipelines are tried, in which order, and what is recorded."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autokd.data import Dataset
from autokd.errors import NothingFeasible, TooManyFailures
from autokd.execution.executor import Outcome, RungJob
from autokd.search.baselines import baseline_losses
from autokd.search.explore.explorer import Explorer
from autokd.search.explore.halving import Halving, hopeless_trials
from autokd.search.explore.propose import Proposer
from autokd.search.limits import pipeline_cost
from autokd.search.timing.clock import seconds_per_epoch
from autokd.search.timing.pace import expected_seconds
from autokd.space import AnyOf
from autokd.spec import fingerprint, from_plain
from autokd.study.arms import ARM_KINDS
from autokd.study.effects import changes, effects
from autokd.study.records import TrialRecord
from autokd.types import RungResult
from tests.search.executors import Instant, fixed_score
from tests.search.records import EPOCHS, screen_rows
from tests.search.spaces import SPACE, resolved
from tests.search.stages import FOUND, by_hand, explore, explorer, recipes_of

WARM = """
warm_starts:
  - {losses: {ce: {weight: 0.5}, kd: {weight: 2.0, temperature: 8.0}}, student: {use: cnn, width: 6, layers: 1}}
  - {losses: {ce: {weight: 0.25}}, student: {use: cnn, width: 11, layers: 2}}
"""


def trials(made: Explorer) -> list[TrialRecord]:
    return list(made.log.records.trials.values())


def jobs(made: Explorer) -> list[RungJob]:
    assert isinstance(made.executor, Instant)
    return made.executor.jobs


def test_recipes_then_warm_starts_then_a_design_come_first(digits: Dataset, tmp_path: Path) -> None:
    space = resolved(digits, SPACE + WARM)
    hint = {"losses": {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}, "hint": FOUND["hint"]}}
    recipes = {**by_hand(space), **recipes_of(space, hint=hint)}
    made = explore(explorer(tmp_path, space, digits.task, recipes=recipes, planned=8), 12)
    sources = [t.source for t in trials(made)]
    assert sources[:5] == ["recipe:kd", "recipe:alone", "recipe:hint", "warm_start", "warm_start"]
    assert sources[5:9] == ["design"] * 4 and set(sources[9:]) <= {"tpe", "random"}  # half of those planned
    assert [t.pipeline for t in trials(made)[:3]] == [drawn.plain for drawn in recipes.values()]
    warm = trials(made)[3].pipeline
    assert warm["student"] == {"use": "cnn", "width": 6, "layers": 1} and warm["losses"]["kd"]["temperature"] == 8.0


def test_of_the_other_recipes_one_is_trained_to_the_end_at_least(digits: Dataset, tmp_path: Path) -> None:
    """Of four recipes and eta = 9 nobody is among the best ninth; the best goes on once all have a score."""
    space = resolved(digits)
    students = [{"use": "cnn", "width": width, "layers": 1} for width in (3, 4, 5, 6)]
    others = recipes_of(space, **{f"w{student['width']}": {"student": student} for student in students})
    made = explorer(tmp_path, space, digits.task, lambda job: job.pipeline["student"]["width"] % 6 / 10, eta=9)
    made = dataclasses.replace(made, proposer=dataclasses.replace(made.proposer, recipes={**by_hand(space), **others}))
    explore(made, 8)
    assert [len(t.rungs) for t in trials(made)] == [3, 3, 1, 1, 3, 1, 1, 1]
    order = [(job.pipeline["student"]["width"], job.until) for job in jobs(made)]
    assert order[6:12] == [(3, 1), (4, 1), (5, 1), (6, 1), (5, 2), (5, 4)]


def test_where_no_claim_follows_all_recipes_are_tried_before_the_best_goes_on(digits: Dataset, tmp_path: Path) -> None:
    """An early run to the top would go to whatever came first."""
    space = resolved(digits)
    students = [{"use": "cnn", "width": width, "layers": 1} for width in (3, 4, 5, 6)]
    recipes = {
        **by_hand(space),
        **recipes_of(space, **{f"w{student['width']}": {"student": student} for student in students}),
    }
    made = explorer(
        tmp_path,
        space,
        digits.task,
        lambda job: job.pipeline["student"]["width"] % 12 / 10,
        claims=False,
        recipes=recipes,
    )
    explore(made, 6)
    first, then = jobs(made)[:6], jobs(made)[6:8]
    assert [job.until for job in first] == [1] * 6 and [job.until for job in then] == [2, 4]
    assert [job.pipeline["student"]["width"] for job in first] == [12, 12, 3, 4, 5, 6]
    assert [job.pipeline["student"]["width"] for job in then] == [6, 6]


def test_design_trials_are_the_best_recipe_with_one_or_two_slots_changed(digits: Dataset, tmp_path: Path) -> None:
    made = explore(explorer(tmp_path, resolved(digits), digits.task, planned=40), 20)
    designed = [t for t in trials(made) if t.source == "design"]
    assert len(designed) >= 6 and {t.base for t in trials(made) if t.source != "design"} == {None}
    for t in designed:
        assert t.base is not None and trials(made)[t.base].recipe
        assert 1 <= len({slot for slot, _ in changes(trials(made)[t.base].pipeline, t.pipeline)}) <= 2
    found = effects(made.log.records)
    assert {effect.option for effect in found} >= {"mixup", "adamw", "hint"}


def test_a_recipe_that_the_space_has_no_place_for_is_tried_as_it_is(digits: Dataset, tmp_path: Path) -> None:
    space = resolved(digits)
    recipes = recipes_of(space, kd={"batch_size": 48})
    made = explore(explorer(tmp_path, space, digits.task, recipes=recipes), 1)
    assert trials(made)[0].params is None and trials(made)[0].pipeline["batch_size"] == 48


def test_a_queue_names_no_pipeline_twice(digits: Dataset, tmp_path: Path) -> None:
    space = resolved(digits, SPACE + "warm_starts: [{losses: {ce: {weight: 1.0, label_smoothing: 0.0}}}]")
    made = explorer(tmp_path, space, digits.task)
    assert [p.source for p in made.proposer.queue()] == ["recipe:kd", "recipe:alone"]


def test_a_study_from_before_recipes_had_names_goes_on_with_those_it_lacks(digits: Dataset, tmp_path: Path) -> None:
    space = resolved(digits)
    explore(explorer(tmp_path, space, digits.task), 2)
    path = tmp_path / "trials.jsonl"
    path.write_text(path.read_text().replace('"recipe:alone"', '"baseline:ce"').replace('"recipe:kd"', '"baseline:kd"'))
    widths = {"kd": 3, "alone": 4, "other": 5}
    students = {name: {"student": {"use": "cnn", "width": width, "layers": 1}} for name, width in widths.items()}
    recipes = recipes_of(space, **students)
    made = explore(explorer(tmp_path, space, digits.task, recipes=recipes), 3)
    assert [t.source for t in trials(made)] == ["recipe:kd", "recipe:alone", "recipe:other"]


def test_after_ten_trials_the_sampler_takes_over_but_for_a_tenth(digits: Dataset, tmp_path: Path) -> None:
    made = explore(explorer(tmp_path, resolved(digits), digits.task), 90)
    sources = Counter(t.source for t in trials(made)[10:])
    assert [t.source for t in trials(made)][2:10] == ["random"] * 8
    assert sources.keys() == {"tpe", "random"} and 3 <= sources["random"] <= 16
    for t in trials(made)[:14]:
        from_plain(t.pipeline)
        assert t.params is None or made.proposer.space.params_of(t.pipeline) == t.params


def test_no_number_is_spent_outside_the_budget(digits: Dataset, tmp_path: Path) -> None:
    """A third of the students fit into 300 parameters; the default does not."""
    space = resolved(digits, max_params=300)
    small = recipes_of(space, kd={"student": {"use": "cnn", "width": 3, "layers": 1}})
    made = explore(explorer(tmp_path, space, digits.task, screen=screen_rows((3,)), recipes=small), 25)
    assert [t.number for t in trials(made)] == list(range(25))
    assert max(t.cost["params"] for t in trials(made)) <= 300
    assert {"random", "tpe"} <= {t.source for t in trials(made)}


SMALL = """
student: {one_of: {cnn: {width: {choice: [3, 4]}, layers: {choice: [1, 2]}}}}
augment: {one_of: {none: {}}}
losses:
  always: {ce: {weight: 1.0, label_smoothing: 0.0}}
  any_of: {at_most: 1, from: {kd: {weight: 1.0, temperature: 4.0}}}
optimizer: {one_of: {sgd: {learning_rate: 0.1, weight_decay: 1e-4, momentum: 0.9, nesterov: true}}}
schedule: {one_of: {cosine: {warmup: 0.0, final: 0.001}}}
batch_size: {choice: [32, 64]}
"""


@pytest.mark.parametrize("slots", [1, 3])
def test_no_pipeline_is_tried_twice_and_an_exhausted_space_ends_the_search(
    digits: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture, slots: int
) -> None:
    space = resolved(digits, SMALL)
    alone = {"alone": by_hand(space)["alone"]}
    made = explorer(tmp_path, space, digits.task, screen=screen_rows((4, 3)), slots=slots, recipes=alone)
    explore(made, 30)
    counts = Counter(fingerprint(t.pipeline) for t in trials(made))
    assert len(counts) == len(trials(made)) == 16  # all that there are: 4 students, 2 losses, 2 batch sizes
    said = [record.getMessage() for record in caplog.records]
    assert said == ["every pipeline of the space was tried: explore ends after 16 trials"]
    assert sum(len(t.rungs) > 1 for t in trials(made)) >= 8  # the best half of them went on
    explore(explorer(tmp_path, space, digits.task, slots=slots, recipes=alone), 40)
    assert len(trials(made)) == 16


def within(params: int) -> Callable[[RungJob], float]:
    """The more parameters the better."""
    return lambda job: 0.1 + 0.1 * job.pipeline["student"]["width"] / params**0.5


def test_suggestions_outside_the_budget_are_recorded_told_and_never_trained(digits: Dataset, tmp_path: Path) -> None:
    space = resolved(digits, max_params=300)
    small = recipes_of(space, kd={"student": {"use": "cnn", "width": 3, "layers": 1}})
    made = explore(explorer(tmp_path, space, digits.task, within(300), screen=screen_rows((3,)), recipes=small), 16)
    refused = made.log.records.refused
    assert refused and set(refused) <= set(range(10, 16)) and max(map(len, refused.values())) <= 8
    for draw in (draw for draws in refused.values() for draw in draws):
        assert draw.excess > 1 and set(draw.params) <= set(space.ranges())
    assert max(t.cost["params"] for t in trials(made)) <= 300
    assert len(jobs(made)) == sum(len(t.rungs) for t in trials(made))
    opened = explorer(tmp_path, space, digits.task, recipes=small)
    assert opened.log.records == made.log.records
    told = [opened.proposer.propose(number) for number in range(16, 26)]
    opened.log.records.refused.clear()
    assert [opened.proposer.propose(number) for number in range(16, 26)] != told


def test_a_student_that_does_not_see_its_input_is_neither_drawn_at_random_nor_by_tpe(
    digits: Dataset, tmp_path: Path
) -> None:
    edges = "edge01: none, edge02: none, edge12: none, edge03: {choice: [none, skip_connect]}, edge13: none"
    cells = f"nasbench201: {{{edges}, edge23: none, channels: 4, cells: {{int: [1, 3]}}}}"
    few = SPACE.replace("cnn: {width: {int: [3, 12]}, layers: {int: [1, 2]}}", cells)
    space = resolved(digits, few, max_params=10_000)
    proposer = explorer(tmp_path, space, digits.task, recipes={}).proposer
    proposals = [proposal for number in range(8, 16) if (proposal := proposer.propose(number)) is not None]
    assert {proposal.source for proposal in proposals} == {"random", "tpe"}
    assert {proposal.drawn.plain["student"]["edge03"] for proposal in proposals} == {"skip_connect"}
    assert any(draw.excess > 1 for proposal in proposals for draw in proposal.refused)


def test_records_from_before_refusals_were_told_still_load(digits: Dataset, tmp_path: Path) -> None:
    space = resolved(digits, max_params=300)
    explore(explorer(tmp_path, space, digits.task, within(300), screen=screen_rows((3,)), recipes={}), 14)
    path = tmp_path / "trials.jsonl"
    old = [line for line in path.read_text().splitlines(keepends=True) if '"event": "refused"' not in line]
    path.write_text("".join(old))
    made = explorer(tmp_path, space, digits.task, within(300), recipes={})
    assert made.log.records.refused == {} and len(trials(explore(made, 16))) == 16


def test_a_student_leaves_out_the_losses_that_may_not_stand_beside_it(digits: Dataset, tmp_path: Path) -> None:
    two = SPACE.replace("cnn: {", "resnet: {depth: 8, width: {choice: [2, 4]}}\n    cnn: {")
    space = resolved(digits, two)
    losses = space.parts["losses"]
    assert isinstance(losses, AnyOf)
    apart = losses.changed(lambda c: c.excluding(["student.resnet"] if c.use == "hint" else []))
    space = dataclasses.replace(space, parts={**space.parts, "losses": apart})
    made = explorer(tmp_path, space, digits.task)
    draws = (space.sample(np.random.default_rng(0), number) for number in range(200))
    hinted = next(drawn for drawn in draws if "hint" in drawn.plain["losses"])
    resnet = space.default().plain["student"]
    assert resnet["use"] == "resnet"
    found = made.proposer._with_student(hinted, resnet)
    assert found.plain["student"] == resnet and set(found.plain["losses"]) == {"ce"}
    assert found.params == space.params_of(found.plain) is not None
    cnn = made.proposer._with_student(hinted, {"use": "cnn", "width": 5, "layers": 1})
    assert {"ce", "kd", "hint"} == set(cnn.plain["losses"])


def test_where_random_draws_miss_the_budget_screened_students_are_combined(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = explorer(tmp_path, resolved(digits), digits.task, screen=screen_rows((3, 4)), recipes={})
    monkeypatch.setattr(Proposer, "_fits", lambda self, drawn: drawn.plain["student"]["width"] <= 4)
    monkeypatch.setattr(made.proposer.space.__class__, "sample", lambda self, rng, number: self.default())
    found = made.proposer.propose(8)
    assert found is not None and found.source == "random"
    assert found.drawn.plain["student"] in [row.student for row in made.log.records.screen]


def test_an_impossible_budget_is_said_to_be_one(digits: Dataset, tmp_path: Path) -> None:
    made = explorer(tmp_path, resolved(digits, max_params=10), digits.task, recipes={})
    with pytest.raises(NothingFeasible, match="no pipeline of the space lies inside the budget"):
        made.proposer.propose(20)


def proposed_widths(made: Explorer) -> list[int]:
    """The widths of the students of some proposals."""
    proposals = [made.proposer.propose(number) for number in range(20, 36)]
    return [proposal.drawn.plain["student"]["width"] for proposal in proposals if proposal is not None]


def test_among_eight_candidates_the_best_screened_is_taken_half_of_the_time(digits: Dataset, tmp_path: Path) -> None:
    """Students are screened by width: where screening decides, widths are larger than where it does not."""
    space = resolved(digits)
    made = explore(explorer(tmp_path, space, digits.task), 10)
    from autokd.search.explore import propose as module

    widths = {}
    for probability in (0.0, 1.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "SCREEN_PROBABILITY", probability)
            widths[probability] = proposed_widths(made)
    mixed = proposed_widths(made)
    assert np.mean(widths[1.0]) > np.mean(widths[0.0]) + 1
    taken = sum(m == b and m != f for m, f, b in zip(mixed, widths[0.0], widths[1.0], strict=True))
    first = sum(m == f and m != b for m, f, b in zip(mixed, widths[0.0], widths[1.0], strict=True))
    assert taken >= 2 and first >= 2
    assert all(m in (f, b) for m, f, b in zip(mixed, widths[0.0], widths[1.0], strict=True))


def test_rungs_are_trained_from_checkpoints_under_one_horizon(digits: Dataset, tmp_path: Path) -> None:
    made = explore(explorer(tmp_path, resolved(digits), digits.task), 6)
    by_trial: dict[int, list[RungJob]] = {}
    for job in jobs(made):
        by_trial.setdefault(job.seed, []).append(job)
    assert len(by_trial) == 6 and len({job.view_seed for job in jobs(made)}) == 1
    for t in trials(made):
        ran = by_trial[t.seed]
        assert [job.until for job in ran] == list(EPOCHS[: len(ran)]) == [r.epochs for r in t.rungs]
        assert {job.horizon for job in ran} == {4} and all(job.pipeline == t.pipeline for job in ran)
        assert ran[0].load is None
        assert all(job.load == before.save for before, job in itertools.pairwise(ran))
    assert [len(t.rungs) for t in trials(made)[:2]] == [3, 3]


def test_rungs_below_the_top_are_scored_on_a_branch(digits: Dataset, tmp_path: Path) -> None:
    made = explore(explorer(tmp_path, resolved(digits), digits.task, branch=0.25), 6)
    assert {(job.until, job.branch) for job in jobs(made)} == {(1, 0.25), (2, 0.25), (4, 0.0)}


def test_curves_of_rungs_do_not_overlap(digits: Dataset, tmp_path: Path) -> None:
    """The executor answers with the whole curve, as after a lost checkpoint; only new epochs are recorded."""
    made = explore(explorer(tmp_path, resolved(digits), digits.task), 2)
    assert [[e["epoch"] for e in rung.curve] for rung in trials(made)[0].rungs] == [[1], [2], [3, 4]]


def test_a_failed_trial_is_recorded_and_the_search_goes_on(digits: Dataset, tmp_path: Path) -> None:
    def score(job: RungJob) -> float | Outcome | None:
        if job.pipeline["student"]["width"] == 7:
            return Outcome(failure={"kind": "out_of_memory", "reason": "too wide"})
        return None if job.until == 4 and "kd" in job.pipeline["losses"] else fixed_score(job)

    space = resolved(digits)
    recipes = {**by_hand(space), **recipes_of(space, wide={"student": {"use": "cnn", "width": 7, "layers": 1}})}
    made = explore(explorer(tmp_path, space, digits.task, score, recipes=recipes), 8)
    kd, wide = trials(made)[0], trials(made)[2]
    assert (kd.failure, len(kd.rungs)) == ({"kind": "not_finite", "reason": "made up"}, 2)
    assert (wide.failure, wide.rungs) == ({"kind": "out_of_memory", "reason": "too wide"}, ())
    assert len(trials(made)) == 8 and not (tmp_path / "trials" / "0002").exists()


def test_no_rung_begins_that_time_does_not_bear(digits: Dataset, tmp_path: Path) -> None:
    asked: list[float] = []

    def may_begin(seconds: float) -> bool:
        asked.append(seconds)
        return len(jobs(made)) < 9

    made = explorer(tmp_path, resolved(digits), digits.task)
    changes: list[int] = []
    made.run(30, may_begin, lambda: changes.append(len(made.log.records.trials)))
    assert sum(len(t.rungs) for t in trials(made)) == len(jobs(made)) == len(changes) / 2 == 9  # each begins and ends
    assert not made.log.records.in_flight
    assert asked[:2] == [0, 0] and all(seconds > 0 for seconds in asked[2:])  # of the first one nothing is known


def test_no_pipeline_begins_that_is_too_slow_for_the_time_left(digits: Dataset, tmp_path: Path) -> None:
    made = explore(explorer(tmp_path, resolved(digits), digits.task), 12)
    known = made.log.records.trials.values()
    next_one = made.proposer.propose(12)
    assert next_one is not None
    cost = pipeline_cost(next_one.drawn.plain, digits.task, made.proposer.offers)._asdict()
    slow = expected_seconds(known, next_one.drawn.plain, cost, made.rung_epochs[0])
    assert slow is not None and slow > 0
    made.run(13, lambda seconds: seconds < slow, lambda: None)
    assert len(trials(made)) == 12
    made.run(13, lambda seconds: seconds <= 100 * slow, lambda: None)
    assert len(trials(made)) == 13


@pytest.mark.parametrize("slots", [1, 3])
def test_a_search_goes_on_where_it_was_killed(digits: Dataset, tmp_path: Path, slots: int) -> None:
    space = resolved(digits)
    students = {f"w{width}": {"student": {"use": "cnn", "width": width, "layers": 1}} for width in (3, 4, 5)}
    kept: dict[str, Any] = {
        "slots": slots,
        "recipes": {**by_hand(space), **recipes_of(space, **students)},
        "planned": 6,
    }
    whole = explore(explorer(tmp_path / "whole", space, digits.task, **kept), 14)
    assert {"recipe:w3", "design", "random", "tpe"} <= {t.source for t in trials(whole)}

    class Killed(BaseException):
        pass

    ran = 0
    for stop in (3, 1, 2, 7, 0, 10**6):
        left = [stop]

        def score(job: RungJob, left: list[int] = left) -> float:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return fixed_score(job)

        try:
            made = explore(explorer(tmp_path / "killed", space, digits.task, score, **kept), 14)
        except Killed:
            ran += stop
    assert made.log.records == whole.log.records
    assert ran + len(jobs(made)) == len(jobs(whole))


def test_as_many_rungs_are_under_way_as_there_are_slots(digits: Dataset, tmp_path: Path) -> None:
    seen = []
    made = explorer(tmp_path, resolved(digits), digits.task, slots=3)
    made.run(9, lambda seconds: True, lambda: seen.append(list(made.log.records.in_flight)))
    assert max(len(flights) for flights in seen) == 3 and seen[-1] == []
    assert seen[:4] == [[(0, 0)], [(0, 0), (1, 0)], [(0, 0), (1, 0), (2, 0)], [(1, 0), (2, 0)]]
    assert len(trials(made)) == 9 and all(t.rungs for t in trials(made))
    alone = explore(explorer(tmp_path / "alone", resolved(digits), digits.task), 9)
    assert [t.pipeline for t in trials(alone)] == [t.pipeline for t in trials(made)]  # none drawn by TPE yet


def test_checkpoints_are_kept_of_the_trials_that_may_go_on(digits: Dataset, tmp_path: Path) -> None:
    def score(job: RungJob) -> float:
        if job.save is not None:
            job.save.parent.mkdir(parents=True, exist_ok=True)
            job.save.touch()
        most.append(len(list(tmp_path.rglob("rung0.pt"))))
        return fixed_score(job)

    most: list[int] = []
    made = explore(explorer(tmp_path, resolved(digits), digits.task, score), 24)
    assert max(most) <= 24 // 2
    left = {int(path.parent.name) for path in made.folder.rglob("rung*.pt")}
    paused = {t.number for t in trials(made) if t.state(made.top_rung) == "paused"}
    behind = set(hopeless_trials(made.log.records.trials, made.halving, wanted=24))
    assert left == paused - behind and behind


def test_trials_behind_too_many_better_ones_are_hopeless_trials() -> None:
    from tests.search.records import trial

    paused = {i: trial(i, 0.9 - i / 10) for i in range(6)}
    halving = Halving(top_rung=2, eta=3)
    assert hopeless_trials(paused, halving, wanted=12) == [4, 5]
    assert hopeless_trials(paused, halving, wanted=3) == [2, 3, 4, 5]  # more were run than are wanted now
    further = {**paused, 5: trial(5, 0.4, 0.9), 6: trial(6, 0.95, failure="crash")}
    assert hopeless_trials(further, halving, wanted=12) == [4]


def failing(kind: str, *numbers: int) -> Callable[[RungJob], float | Outcome]:
    calls = itertools.count()

    def score(job: RungJob) -> float | Outcome:
        return Outcome(failure={"kind": kind, "reason": "bad luck"}) if next(calls) in numbers else fixed_score(job)

    return score


def test_three_faults_in_a_row_stop_the_search_and_the_same_call_goes_on(digits: Dataset, tmp_path: Path) -> None:
    space = resolved(digits)
    made = explorer(tmp_path, space, digits.task, failing("error", 7, 8, 10, 11, 12))
    with pytest.raises(TooManyFailures, match="3 trials in a row failed: error: bad luck; the same command goes on"):
        explore(made, 30)
    assert sum(t.failure is not None for t in trials(made)) == 5
    assert len(trials(explore(explorer(tmp_path, space, digits.task), 30))) == 30


def test_pipelines_that_do_not_train_stop_nothing_unless_asked(digits: Dataset, tmp_path: Path) -> None:
    space, score = resolved(digits), failing("not_finite", *range(7, 13))
    assert len(trials(explore(explorer(tmp_path / "all", space, digits.task, score), 20))) == 20
    with pytest.raises(TooManyFailures, match="4 trials failed: not_finite: bad luck;"):
        explore(
            explorer(tmp_path / "few", space, digits.task, failing("not_finite", 7, 9, 11, 13, 15, 17), max_failures=4),
            20,
        )


def test_adding_trials_later_gives_the_trials_of_a_longer_search(digits: Dataset, tmp_path: Path) -> None:
    space = resolved(digits)
    longer = explore(explorer(tmp_path / "longer", space, digits.task), 12)
    explore(explorer(tmp_path / "added", space, digits.task), 7)
    added = explore(explorer(tmp_path / "added", space, digits.task), 12)
    own, theirs = trials(added), trials(longer)
    assert [t.pipeline for t in own[:10]] == [t.pipeline for t in theirs[:10]]
    assert len({t.seed for t in own}) == 12 and [t.seed for t in own] == [t.seed for t in theirs]


def test_another_seed_proposes_otherwise(digits: Dataset, tmp_path: Path) -> None:
    space = resolved(digits)
    made, other = (explorer(tmp_path / str(seed), space, digits.task, seed=seed) for seed in (1, 2))
    assert made.proposer.propose(0) == other.proposer.propose(0)  # a recipe is a recipe
    for one in (made, other):
        explore(one, 2)
    assert all(made.proposer.propose(number) != other.proposer.propose(number) for number in (7, 12))
    assert made.proposer.propose(12) == made.proposer.propose(12) != made.proposer.propose(13)


def test_the_baselines_losses() -> None:
    assert baseline_losses(ARM_KINDS["alone"]) == {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}}
    assert baseline_losses(ARM_KINDS["kd"])["ce"] == baseline_losses(ARM_KINDS["alone"])["ce"]
    assert baseline_losses(ARM_KINDS["kd"])["kd"].items() >= {"use": "kd", "weight": 1.0, "temperature": 4.0}.items()


def test_seconds_of_an_epoch_are_those_of_the_trials_that_went_furthest() -> None:
    from tests.search.records import trial

    assert seconds_per_epoch([]) == 0
    assert seconds_per_epoch([trial(0)]) == 0
    assert seconds_per_epoch([trial(i, 0.5, 0.5, 0.5) for i in range(5)] + [trial(9, 0.5)]) == pytest.approx(0.5)


def test_results_of_a_rung_are_recorded_whole(digits: Dataset, tmp_path: Path) -> None:

    curve = ({"epoch": 1, "loss": 2.0, "terms": {"ce": 2.0}, "learning_rate": 0.1, "score": 0.5},)
    result = RungResult(0.5, 1.25, 128, 0.75, curve)
    made = explore(explorer(tmp_path, resolved(digits), digits.task, lambda job: Outcome(result=result)), 1)
    rung = trials(made)[0].rungs[0]
    assert (rung.rung, rung.epochs, rung.score, rung.loss, rung.seconds) == (0, 1, 0.5, 1.25, 0.75)
    assert rung.curve == curve
