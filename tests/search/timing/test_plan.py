"""What is settled before a default teacher is trained, from what trainings cost here."""

from __future__ import annotations

import dataclasses

import pytest

from autokd.data import DataOptions, Dataset, load
from autokd.modalities._image import TINY
from autokd.search.limits import Meter
from autokd.search.past import find_ground
from autokd.search.stages import works
from autokd.search.timing import plan
from autokd.search.timing.fit import NOTHING, TAUGHT_EPOCHS, TEACHER_SHARE
from autokd.search.timing.measure import Probe
from autokd.search.timing.plan import Timing, plan_teaching
from autokd.search.work import Costs, Funnel, Parallel
from autokd.space import find, parse
from autokd.study.settings import TimePlan
from autokd.teaching import default_teacher
from autokd.teaching.recipe import Effort, networks, recipe
from tests.search.spaces import CPU

SECONDS = {"large": 8e-3, "medium": 4e-3, "small": 1e-3}
"""Of a sample of the teacher's training."""


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs as they are written here."""

    def costs(probe: Probe, train: float = 1e-4) -> Costs:
        compared = recipe(probe.data.task, probe.effort).compared
        return Costs(train, 1e-4, SECONDS[probe.effort.network], 1, compared)

    monkeypatch.setattr(plan, "measure_costs", costs)
    monkeypatch.setattr(plan, "measure_teacher", costs)


def probe_of(data: Dataset) -> Probe:
    """The shipped space for pictures, before a teacher is trained."""
    space = parse(*find("image"))
    offers = default_teacher.offers(data.task, Effort(40))
    return Probe(data=data, space=space, teacher=None, offers=offers, device=CPU, threads=1, effort=Effort(40))


def effort_within(seconds: float, data: Dataset) -> Effort:
    """What is put into the teacher of a study that may take so long."""
    probe = probe_of(data)
    timing = Timing(seconds, NOTHING, False, Funnel(works, Parallel()))
    return plan_teaching(timing, seconds, probe.space.budget, probe, may_limit=False).effort


def test_with_little_time_a_default_teacher_is_smaller_rather_than_hardly_trained() -> None:
    digits = load("digits", DataOptions(limit_train=128, image_size=24))
    epoch = (len(digits.train) + len(digits.validation) / 3) / TEACHER_SHARE
    assert effort_within(1e6, digits) == Effort(40)
    large, medium = (effort_within(10 * SECONDS[name] * epoch, digits) for name in ("large", "medium"))
    assert large.network == "large" and TAUGHT_EPOCHS <= large.epochs < 40
    assert medium.network == "medium" and TAUGHT_EPOCHS <= medium.epochs < 40
    assert effort_within(0.1, digits) == Effort(1, "small")


def test_the_same_network_is_not_measured_under_two_names(digits: Dataset) -> None:
    assert max(digits.task.input_shape) <= TINY
    assert networks(digits.task) == ("large", "small")


@pytest.mark.parametrize(
    ("cnn", "mobilenet", "out"),
    [
        pytest.param(1.1, 4.0, {"mobilenet"}, id="a family about as fast as the fastest stays"),
        pytest.param(2.0, 4.0, {"cnn", "mobilenet"}, id="slower ones that take long are no candidates"),
        pytest.param(0.5, 4.0, {"resnet", "mobilenet"}, id="nor is the family known best"),
    ],
)
def test_with_little_time_slow_families_are_no_candidates(
    monkeypatch: pytest.MonkeyPatch, cnn: float, mobilenet: float, out: set[str]
) -> None:
    digits = load("digits", DataOptions(limit_train=128, image_size=24))
    relative = {"resnet": 1.0, "cnn": cnn, "mobilenet": mobilenet}
    monkeypatch.setattr(plan, "measure_families", lambda *_: {name: each * 1e-3 for name, each in relative.items()})
    probe = probe_of(digits)
    assert set(plan.choose_student(probe, probe.space.budget, 1.0).left_out) == out
    chosen = plan.choose_student(probe, probe.space.budget, 1e6)
    assert chosen.left_out == {} and chosen.fastest == sorted(relative, key=lambda name: relative[name])


def test_families_are_tried_in_the_order_of_the_plan(digits: Dataset) -> None:
    probe = probe_of(digits)
    space = probe.space.resolve(digits.task, probe.offers, max_params=10_000)
    meter = Meter(digits.task, CPU, probe.offers, 1, {}, lambda *_: None)
    made = TimePlan(seconds=60, budget={}, limit_train=None, whole_data=None, teacher_epochs=1, reason="")
    assert probe.offers is not None
    for order in (["mobilenet", "cnn", "resnet"], ["cnn", "resnet", "mobilenet"]):
        ground = find_ground(space, probe.offers, meter, dataclasses.replace(made, fastest=order))
        assert ground.first is not None
        uses = [found.recipes[0].drawn.plain["student"]["use"] for found in ground.elsewhere()]
        assert uses == [use for use in order if use != ground.first["use"]]
