"""What past studies recommend for data, a teacher and limits, without a trial."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from autokd.engine.rung import run_samples
from autokd.errors import NothingFeasible
from autokd.metrics import METRICS, Metric
from autokd.recipes import Recipe
from autokd.search.limits import Measures, Meter, pipeline_cost
from autokd.search.past import advice, bases, facts_before_training, find_ground
from autokd.search.population import refuse_impossible
from autokd.search.prepare import prepare
from autokd.search.request import Notify, Recommending, Request
from autokd.search.session import Setup
from autokd.search.timing.clock import answer_seconds
from autokd.search.timing.measure import Probe
from autokd.study.arms import KD
from autokd.teaching.taught import effort_of

if TYPE_CHECKING:
    from autokd.knowledge import StudyFacts
    from autokd.knowledge.advice import Neighbour

TIMED_SECONDS = 0.5
"""That timing one pipeline may take, about, once warm."""
NOTHING = "No past study is about this kind of input. These are the known recipes in order; gains are not known."


class Recommended(NamedTuple):
    """A pipeline that is recommended.

    Args:
      name: of its rule; one of past studies begins with "past-".
      title: of its rule, for people.
      pipeline: plain, inside the limits.
      params, macs: of its student.
      gain: expected score less that of KD by hand, in the unit of the score; None where that is not known.
      interval: 95 % of new studies are expected in it; None where too few past studies know.
      studies: past studies that tried it beside KD by hand, on whatever student.
      better: in so many of them it was better.
      seconds: expected, of training at full length on this machine, without a default teacher's training; None where it
        was not measured.
      unknown: what is not known of it, a sentence each.
    """

    name: str
    title: str
    pipeline: Mapping[str, Any]
    params: int
    macs: int
    gain: float | None
    interval: tuple[float, float] | None
    studies: int
    better: int
    seconds: float | None
    unknown: tuple[str, ...]


class Recommendation(NamedTuple):
    """What past studies recommend.

    Args:
      facts: what the new study is about, as far as it is known before a teacher is trained.
      base: digest of the knowledge base.
      known: past studies in it.
      neighbours: those that count, with their weights, the likest first.
      pipelines: in the order in which they are worth trying.
      epochs: of full training.
      unknown: what is not known of all of them, a sentence each.
      setup: what was prepared, without a default teacher.
    """

    facts: StudyFacts
    base: str
    known: int
    neighbours: tuple[Neighbour, ...]
    pipelines: tuple[Recommended, ...]
    epochs: int
    unknown: tuple[str, ...]
    setup: Setup

    @property
    def metric(self) -> Metric:
        """The metric that gains are of."""
        return METRICS[self.facts.objective]


def request_of(asked: Recommending) -> Request:
    """Return the request of a search on the same subject, which begins cold: past studies are asked here.

    It is "fresh", so that no study that is there already says anything; none is made or deleted.
    """
    known = {item.name for item in dataclasses.fields(Request)}
    own = {"train", "knowledge", "out"}
    return Request(**{name: value for name, value in vars(asked).items() if name in known - own}, cold=True, fresh=True)


def recommend(asked: Recommending, notify: Notify) -> Recommendation:
    """Rank the pipelines of a space by what past studies taught. Nothing is trained but a few steps, to time them.

    Args:
      asked: what was asked.
      notify: called as data are read.

    Raises:
      UserError: bad input.
      NothingFeasible: no student of the space lies inside the limits.
    """
    from autokd.knowledge.advice import neighbours

    setup = prepare(request_of(asked), notify, dry=True, for_study=False)
    ground = find_ground(setup.space, setup.offers, meter_of(setup))
    if ground.first is None:
        refuse_impossible(setup.space, setup.data.task, asked.seed, meter_of(setup))  # says which is the smallest
        raise NothingFeasible("no student of the space is inside the limits")
    base, _ = bases(dataclasses.replace(request_of(asked), knowledge=asked.knowledge))
    facts = facts_before_training(setup)
    near = tuple(neighbours(base, facts))
    ranked = advice(base, facts, ground) if near else []
    found: list[tuple[Recipe, Any, Any]] = [(each.recipe, each.expected, each.evidence) for each in ranked]
    found = found or [(recipe, None, None) for recipe in ground.recipes().recipes]
    epochs = setup.budget.train_epochs if asked.epochs is None else asked.epochs
    clock = Stopwatch(setup, epochs)
    return Recommendation(
        facts=facts,
        base=base.digest,
        known=len(base.cards),
        neighbours=near,
        pipelines=tuple(_recommended(setup, clock, *each) for each in found[: asked.top]),
        epochs=epochs,
        unknown=tuple(_unknown(facts, near)) if near else (NOTHING,),
        setup=setup,
    )


def by_hand(setup: Setup) -> dict[str, Mapping[str, Any]]:
    """Return the plain pipelines of the recipes by hand, KD and the student alone, by name."""
    return {each.rule.name: each.drawn.plain for each in setup.portfolio.recipes if each.rule.always}


def meter_of(setup: Setup) -> Meter:
    """Return what measures students, for this once."""
    kept, how = dict(setup.latencies), Measures(True, setup.latency_with, setup.objective.metric.quantised)
    return Meter(setup.data.task, setup.device, setup.offers, setup.threads, kept, kept.__setitem__, how)


class Stopwatch:
    """Expects how long full training takes, from a few steps; pipelines with the same student and steps are timed once.

    Args:
      setup: what was prepared.
      epochs: of full training.
    """

    def __init__(self, setup: Setup, epochs: int) -> None:
        self._setup = setup
        self._epochs = epochs
        self._known: dict[tuple[str, ...], float | None] = {}
        self._probe = Probe(
            data=setup.data,
            space=setup.space,
            teacher=setup.teacher,
            offers=setup.offers,
            device=setup.device,
            threads=setup.threads,
            effort=effort_of(setup.identity.teacher.reference, setup.budget.teacher_epochs),
            begun=setup.begun,
            seconds=TIMED_SECONDS,
        )
        self._answer: float | None = None

    def seconds(self, pipeline: Mapping[str, Any]) -> float | None:
        """Return the expected seconds; None where the pipeline's student does not train without its losses."""
        key = tuple(str(pipeline[slot]) for slot in ("student", "augment", "optimizer", "batch_size"))
        if key not in self._known:
            alone = by_hand(self._setup)["alone"]
            timed = {**alone, **{slot: pipeline[slot] for slot in ("student", "augment", "optimizer", "batch_size")}}
            try:
                self._known[key] = self._probe.sample_seconds(timed)
            except NothingFeasible:
                self._known[key] = None
        each, data = self._known[key], self._setup.data
        if each is None:
            return None
        samples = run_samples(self._epochs, self._epochs, len(data.train), len(data.validation))
        views = 1 if pipeline["augment"]["use"] == "none" else self._epochs
        return each * samples + self._answering() * len(data.train) * views

    def _answering(self) -> float:
        """Seconds of a teacher's answer; 0 where it is still to be trained."""
        if self._answer is None:
            setup = self._setup
            teacher = setup.teacher
            self._answer = 0.0 if teacher is None else answer_seconds(teacher, setup.data, setup.device)
        return self._answer


def _recommended(setup: Setup, clock: Stopwatch, recipe: Recipe, expected: Any, evidence: Any) -> Recommended:
    plain = recipe.drawn.plain
    cost = pipeline_cost(plain, setup.data.task, setup.offers)
    gain, interval = (None, None) if expected is None else (expected.gain, expected.interval)
    is_hand = recipe.rule.name == KD
    studies, better = (0, 0) if evidence is None else (evidence.studies, evidence.better)
    return Recommended(
        name=recipe.rule.name,
        title=recipe.rule.title,
        pipeline=plain,
        params=cost.params,
        macs=cost.macs,
        gain=0.0 if is_hand else gain,
        interval=None if is_hand else interval,
        studies=studies,
        better=better,
        seconds=clock.seconds(plain),
        unknown=() if is_hand or expected is None else tuple(_unsure(gain, interval, studies)),
    )


def _unsure(gain: float | None, interval: tuple[float, float] | None, studies: int) -> Iterator[str]:
    """What is not known of a pipeline."""
    if gain is not None and interval is not None and interval[0] <= 0 <= interval[1]:
        yield "It may be no better than KD by hand: the interval holds 0."
    if not studies:
        yield "No past study tried it as it is: what is expected is taken from pipelines like it."


def _unknown(facts: StudyFacts, near: Sequence[Neighbour]) -> Iterator[str]:
    """What is not known of all pipelines."""
    from autokd.knowledge.recommender import ENOUGH

    past = [each.facts for each in near]
    if len(past) < ENOUGH:
        yield f"Past studies that count are {len(past)}: too few for an interval."
    if all(each.objective != facts.objective for each in past):
        others = ", ".join(sorted({METRICS[each.objective].title for each in past}))
        yield f"Past studies were about {others}: the order is theirs, and no gain in {facts.metric.title} is known."
    yield from _beyond("classes", facts.classes, [each.classes for each in past])
    yield from _beyond("training samples", facts.train, [each.train for each in past])
    limits = [each.limits["params"] for each in past if "params" in each.limits]
    yield from _beyond("parameters at most", facts.limits.get("params", math.nan), limits)


def _beyond(what: str, value: float, seen: Sequence[float]) -> Iterator[str]:
    """That a number lies outside of what past studies had."""
    low, high = min(seen, default=value), max(seen, default=value)
    if value < low or value > high:
        yield f"{value:,.0f} {what} lie outside of what past studies had ({low:,.0f} to {high:,.0f})."
