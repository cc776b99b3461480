"""Seconds of one sample on this machine, measured on a few."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from autokd.data import Dataset
from autokd.engine.context import TrainContext
from autokd.engine.memory import bounded_memory, give_back_freed_memory
from autokd.engine.rung import FORWARD
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.threads import computing_on
from autokd.errors import ComponentError, NothingFeasible, TrialFailure
from autokd.execution.executor import Outcome, RungJob
from autokd.execution.run_job import run_job
from autokd.free_memory import free_memory
from autokd.networks.cost import student_cost
from autokd.networks.inputs import kind_of
from autokd.networks.large import is_large
from autokd.recipes.apply import Recipe, portfolio
from autokd.search.limits import step_cost
from autokd.search.timing.artefacts import Rates, preparing_seconds
from autokd.search.timing.clock import TIMED_SAMPLES, answer_seconds
from autokd.search.timing.pace import step_load
from autokd.search.timing.samples import Sample, first_samples, resized, small_samples, smaller_sides
from autokd.search.work import Costs
from autokd.space import Space
from autokd.spec import beside_slots, component_from_plain
from autokd.teaching.fine_tuned import compared
from autokd.teaching.recipe import Effort, recipe
from autokd.teaching.trees import TreeCosts, tree_costs
from autokd.teaching.whole_network import TRIED_FROM
from autokd.types import Shapes, Teacher

WARM_UP = 64
"""Samples trained on before those that are timed."""
LEAST_TIMED = 128
"""Samples that are timed where these take long: a few steps."""
AGAIN, AGAIN_SECONDS = 4, 10.0
"""How often the timing is repeated, and the seconds that all of it may take: one alone may meet a busy moment."""
LARGE_TIMED, LARGE_AGAIN = 8, 2
"""Samples that are made smaller to be timed where they are large, and how often these are timed, once warm."""
STEPS = 150
"""Of hand KD that are timed, once the teacher's answers are there."""

DRAWN = 100
"""Pipelines of a space by which a plan counts the peers in it."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What is measured, and on what.

    Args:
      data: the dataset.
      space: resolved.
      teacher: the teacher; None: a default one is to be trained.
      offers: what the teacher offers, or will offer.
      device, threads: that rungs compute on.
      effort: of a teacher that is trained.
      begun: the pretrained network whose training makes the teacher; None: there is no such.
      student: of the recipes, plain; None: as `autokd.recipes` chooses it without measuring.
      seconds: that one measurement may take, about, once warm.
    """

    data: Dataset
    space: Space
    teacher: Teacher | None
    offers: Shapes | None
    device: torch.device
    threads: int
    effort: Effort
    student: Mapping[str, Any] | None = None
    seconds: float = math.inf
    begun: Teacher | None = None

    @functools.cached_property
    def recipes(self) -> tuple[Recipe, ...]:
        """The known recipes on the student."""
        return portfolio(self.space, self.data.task, self.offers, student=self.student).recipes

    @functools.cached_property
    def drawn(self) -> tuple[Mapping[str, Any], ...]:
        """Plain pipelines as a study may draw them."""
        return tuple(self.space.sample(np.random.default_rng(number), number).plain for number in range(DRAWN))

    @functools.cached_property
    def load(self) -> float:
        """What a step of a drawn pipeline takes on average in steps of its student: above 1 where some have a peer."""
        if not self.space.parts.keys() & set(beside_slots(self.space.slots)):
            return 1.0
        return statistics.fmean(step_load(step_cost(plain, self.data.task, self.offers)) for plain in self.drawn)

    @functools.cached_property
    def reference_seconds(self) -> float:
        """Seconds of training the small network that components compare the teacher with on one sample; 0: no such."""
        try:
            pipeline = kind_of(self.data.task.modality).reference_pipeline(self.data.task)
        except ComponentError:
            return 0.0
        return self.sample_seconds(pipeline)

    def preparing(self, answer: float) -> tuple[float, ...]:
        """Return `Costs.preparing`, given the seconds of a teacher's answer."""
        candidates = (candidate for part in self.space.parts.values() for candidate in part.candidates)
        if all(candidate.traits.prepared_from is None for candidate in candidates):
            return ()
        rates = Rates(answer, lambda: self.reference_seconds)
        return preparing_seconds(self.drawn, self.data, self.offers, rates)

    @property
    def batch(self) -> int:
        """Samples of a training step of the recipes by hand."""
        return int(self.recipe(distils=False)["batch_size"])

    def recipe(self, *, distils: bool) -> Mapping[str, Any]:
        """Return the plain pipeline of the first recipe that reads a teacher, or that reads none: hand KD and alone."""
        fitting = (recipe for recipe in self.recipes if recipe.rule.reads_teacher is distils)
        return next(fitting, self.recipes[0]).drawn.plain

    def sample_seconds(self, pipeline: Mapping[str, Any]) -> float:
        """Return the seconds of training a plain pipeline without a teacher on one sample, measured on a few.

        Raises:
          NothingFeasible: it does not train.
        """
        if is_large(self.data.task):
            return self._scaled_seconds(pipeline)
        rough = _timed(self, pipeline, WARM_UP, None)
        each = max((1 + FORWARD) * rough, 1e-9)
        count = int(min(TIMED_SAMPLES, max(LEAST_TIMED, self.seconds / each)))
        first = _timed(self, pipeline, count, None)
        bears = min(self.seconds, AGAIN_SECONDS) / (each * count) - 1
        again = [_timed(self, pipeline, count, None) for _ in range(min(AGAIN, int(bears)) if bears > 0 else 0)]
        return statistics.median([first, *again])

    @functools.cached_property
    def _small(self) -> Sample:
        """Some samples with the largest side that is timed as it is."""
        return small_samples(self.data, LARGE_TIMED)

    def _scaled_seconds(self, pipeline: Mapping[str, Any]) -> float:
        """The seconds of a large sample: those of the same one made smaller, times what more it takes to compute."""
        student = component_from_plain("students", pipeline["student"])
        macs = [student_cost(student, data.task).macs for data in (self.data, self._small)]
        _, *seconds = [_seconds(self, pipeline, self._small, None) for _ in range(1 + LARGE_AGAIN)]
        return statistics.median(seconds) * macs[0] / max(1, macs[1])


def measure_costs(probe: Probe) -> Costs:
    """Measure what a sample costs: the student alone by hand, the teacher's answer, the default teacher's training.

    Raises:
      NothingFeasible: the student does not train.
    """
    train = probe.sample_seconds(probe.recipe(distils=False))
    if probe.teacher is None:
        costs = measure_teacher(probe, train)
    else:
        costs = Costs(train, answer_seconds(probe.teacher, probe.data, probe.device), load=probe.load)
    return costs._replace(preparing=probe.preparing(costs.answer))


def measure_teacher(probe: Probe, train: float) -> Costs:
    """Measure a teacher's training; which kind of a default one will answer is not known: the slowest, say.

    Args:
      probe: with the effort that it is trained with.
      train: seconds of a sample of the student's training.

    Raises:
      NothingFeasible: it does not train.
    """
    if probe.begun is not None:
        return _fine_tuning(probe, probe.begun, train)
    chosen, task = recipe(probe.data.task, probe.effort), probe.data.task
    each = probe.sample_seconds(chosen.pipelines[0])
    trees = tree_costs(probe.data.train, task.num_classes) if chosen.trees else TreeCosts()
    answer = max(FORWARD * each * chosen.members, trees.answer)
    return Costs(train, answer, each, chosen.members, chosen.compared, trees.fit, probe.load)


def _fine_tuning(probe: Probe, begun: Teacher, train: float) -> Costs:
    """A training step of a network takes some times its answer."""
    answer = answer_seconds(begun, probe.data, probe.device)
    short = compared(probe.data.task)
    return Costs(train, answer, answer / FORWARD, compared=short, load=probe.load, compared_from=TRIED_FROM)


def measure_hand(probe: Probe, most_seconds: float) -> Costs:
    """Measure what a sample of hand KD costs, warm, and a sample's answer of the teacher, which is there.

    The teacher's answers are stored by a first run; the second one, of `STEPS` steps, is timed.

    Args:
      probe: with the teacher.
      most_seconds: that the measuring may take, about.

    Raises:
      NothingFeasible: hand KD does not train.
    """
    assert probe.teacher is not None
    rough = probe.sample_seconds(probe.recipe(distils=False))
    answer = answer_seconds(probe.teacher, probe.data, probe.device)
    pipeline = probe.recipe(distils=True)
    bears = int(most_seconds / max(2 * rough + answer, 1e-9))
    count = min(len(probe.data.train), max(TIMED_SAMPLES, min(bears, STEPS * int(pipeline["batch_size"]))))
    bank = TeacherBank()
    _timed(probe, pipeline, count, bank)
    seconds = _timed(probe, pipeline, count, bank)
    return Costs(seconds, answer, load=probe.load, preparing=probe.preparing(answer))


def measure_families(probe: Probe, students: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the seconds of training one sample of each family's student, by its name; infinite where it fails.

    Args:
      probe: what is measured.
      students: plain, one a family.
    """
    alone = probe.recipe(distils=False)
    seconds = {}
    for student in students:
        try:
            seconds[student["use"]] = probe.sample_seconds({**alone, "student": dict(student)})
        except NothingFeasible:
            seconds[student["use"]] = math.inf
    return seconds


def _timed(probe: Probe, pipeline: Mapping[str, Any], count: int, bank: TeacherBank | None) -> float:
    """The seconds of a sample, over an epoch of `count` samples; with a bank the teacher is there, too."""
    return _seconds(probe, pipeline, first_samples(probe.data, count), bank)


def _seconds(probe: Probe, pipeline: Mapping[str, Any], data: Sample, bank: TeacherBank | None) -> float:
    outcome = _run(probe, pipeline, data, bank)
    if outcome.result is None:
        raise NothingFeasible(_why(probe, pipeline, data, TrialFailure(**outcome.failure or {})))
    return outcome.result.seconds / (len(data.train) + FORWARD * len(data.validation))


def _run(probe: Probe, pipeline: Mapping[str, Any], data: Sample, bank: TeacherBank | None = None) -> Outcome:
    context = TrainContext(
        data=data,  # type: ignore[arg-type]
        teacher=None if bank is None else probe.teacher,
        device=probe.device,
        bank=bank or TeacherBank(),
    )
    with computing_on(probe.threads), bounded_memory(probe.device):
        return run_job(context, RungJob(pipeline=pipeline, seed=0, view_seed=0, horizon=1, until=1))


def _why(probe: Probe, pipeline: Mapping[str, Any], data: Sample, failure: TrialFailure) -> str:
    """Say why a pipeline does not train; where that is for want of memory, which size of picture fits."""
    shape = data.task.input_shape
    if failure.kind != "out_of_memory" or len(shape) < 2:
        return f"the space's default pipeline does not train: {failure}"
    give_back_freed_memory()
    left = free_memory()
    fits = next((side for side in smaller_sides(shape[-1]) if _run(probe, pipeline, resized(data, side)).result), None)
    remedy = "give a smaller --image-size, or more memory" if fits is None else f"--image-size {fits} fits"
    pictures = " × ".join(map(str, shape))
    return f"training on samples of {pictures} takes more memory than the {left / 1e9:.2f} GB left; {remedy}"
