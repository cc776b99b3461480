"""The searchers that are compared, each replayed on a table with the same four parameters."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import optuna

from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.execution.executor import Outcome, RungJob
from autokd.networks.cost import Cost
from autokd.networks.models import seeded, shapes_of
from autokd.ranges import Choice, Integer, Range
from autokd.recipes.rules import LIGHT, NONE, RULES
from autokd.search.explore.explorer import Explorer
from autokd.search.explore.propose import Proposer
from autokd.search.screen.screener import Screener
from autokd.search.timing.pace import seconds_model
from autokd.search.tpe.trials import quiet_optuna
from autokd.space import Draw, Drawn, Space
from autokd.space.values import UnitDraw
from autokd.spec import component_from_plain, slots
from autokd.study.records import RecordLog, Records, Refused
from autokd.types import RungResult, Shapes, Task
from benchmarks.replay.crossing import ALL, FACTORS, LOSSES, STUDENTS, Names, _whole, names_of, plain
from benchmarks.replay.crossing import space as own_space
from benchmarks.replay.table import INDEX, Replay, Spent, Table
from benchmarks.replay.training import TEACHER

Search = Callable[[Replay], None]
ETA = 3
"""A rung is this many times as long as the one before."""
ENDLESS = 100_000
NAMED = ("student", "augment", "loss")
"""The parameters of a pipeline that are drawn by name; the learning rate is drawn by its place."""
DEFAULT = Names("resnet4", "crop", "ce", "0.05")
"""What the crossing's default is: the first student and augmentation, the optimizer's own learning rate."""


def random(replay: Replay) -> None:
    """Draw pipelines at random, each once, and train them to the top rung."""
    for pipeline in np.random.default_rng([replay.seed, 2]).permutation(len(ALL)):
        _to_the_top(replay, int(pipeline))


def tpe(replay: Replay) -> None:
    """Optuna's default sampler; every trial is trained to the top rung."""
    study = _study(replay.seed)
    while True:
        trial = study.ask()
        score = _to_the_top(replay, INDEX[_suggested(trial)])
        study.tell(trial, score) if np.isfinite(score) else study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def tpe_pruner(replay: Replay) -> None:
    """Optuna's default sampler and its successive halving pruner, whose rungs are the table's."""
    _pruned(replay, optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=ETA))


def tpe_default_pruner(replay: Replay) -> None:
    """Optuna's default sampler and its successive halving pruner as it comes."""
    _pruned(replay, optuna.pruners.SuccessiveHalvingPruner())


def tpe_pruner_recipes(replay: Replay) -> None:
    """The same, begun with the known recipes that the table holds."""
    _pruned(replay, optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=ETA), recipes().values())


def portfolio(replay: Replay) -> None:
    """The known recipes that the table holds alone: all are trained to the top, again and again under other seeds."""
    while True:
        for names in recipes().values():
            _to_the_top(replay, INDEX[names])


def _pruned(replay: Replay, pruner: optuna.pruners.BasePruner, first: Iterable[Names] = ()) -> None:
    study = _study(replay.seed, pruner)
    for names in first:
        study.enqueue_trial(_flat_params(names))
    while True:
        trial = study.ask()
        pipeline = INDEX[_suggested(trial)]
        seed, score = replay.begin(pipeline), float("nan")
        for rung, epochs in enumerate(replay.table.epochs):
            score = replay.rung(pipeline, seed, rung)
            trial.report(score, epochs // replay.table.epochs[0])
            if not np.isfinite(score) or (rung < len(replay.table.epochs) - 1 and trial.should_prune()):
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, score)


def _study(seed: int, pruner: optuna.pruners.BasePruner | None = None) -> optuna.Study:
    with quiet_optuna():
        return optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=pruner or optuna.pruners.NopPruner(),
        )


def _suggested(trial: optuna.Trial) -> Names:
    student, augment, loss = (str(trial.suggest_categorical(name, FACTORS[name])) for name in NAMED)
    rates = FACTORS["learning_rate"]
    return Names(student, augment, loss, rates[trial.suggest_int("learning_rate", 0, len(rates) - 1)])


def _to_the_top(replay: Replay, pipeline: int) -> float:
    seed = replay.begin(pipeline)
    return [replay.rung(pipeline, seed, rung) for rung in range(len(replay.table.epochs))][-1]


@functools.cache
def recipes() -> Mapping[str, Names]:
    """Return the known recipes that the table holds, by name, the optimizer's rate the nearest that it has.

    They stand on the largest student of the default's family, as in a search without a limit.
    """
    rates = {rate: abs(np.log(float(rate) / 0.1)) for rate in FACTORS["learning_rate"]}
    augments = {LIGHT["use"]: "crop", NONE["use"]: "none"}
    found = {}
    for rule in RULES:
        losses = [use for use in rule.losses if use != "ce"] or ["ce"]
        if len(losses) == 1 and losses[0] in LOSSES and rule.optimizer["use"] == "sgd" and rule.head["use"] == "plain":
            found[rule.name] = Names(
                "resnet8", augments[rule.augment["use"]], losses[0], min(rates, key=lambda r: rates[r])
            )
    return found


class FlatSpace:
    """The crossing as a space whose four parameters are those that the other searchers have."""

    constraints: Mapping[str, float] = {}
    warm_starts: tuple[Drawn, ...] = ()
    slots: Mapping[str, Any] = slots()
    parts: Mapping[str, Any] = {}

    def ranges(self) -> dict[str, Range]:
        """Return the range of every parameter."""
        named: dict[str, Range] = {name: Choice(*FACTORS[name]) for name in NAMED}
        return {**named, "learning_rate": Integer(0, len(FACTORS["learning_rate"]) - 1)}

    def draw(self, draw: Draw, number: int) -> Drawn:
        """Draw a pipeline from a sampler's suggestions."""
        student, augment, loss = (draw.choice(name, FACTORS[name]) for name in NAMED)
        rates = FACTORS["learning_rate"]
        return _drawn(Names(student, augment, loss, rates[draw.integer("learning_rate", 0, len(rates) - 1, 1, False)]))

    def sample(self, rng: np.random.Generator, number: int) -> Drawn:
        """Draw a pipeline at random."""
        return _drawn(ALL[int(rng.integers(len(ALL)))])

    def place(self, unit: Callable[[str], float], number: int) -> Drawn:
        """Return the pipeline at a point."""
        return self.draw(UnitDraw(unit), number)

    def default(self) -> Drawn:
        """Return the default pipeline."""
        return _drawn(DEFAULT)

    def params_of(self, pipeline: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a pipeline's parameters, or None where it is none of the crossing."""
        names = names_of(pipeline)
        return _drawn(names).params if names in INDEX and plain(names) == pipeline else None


@functools.cache
def _drawn(names: Names) -> Drawn:
    return Drawn(plain(names), _flat_params(names))


def _flat_params(names: Names) -> dict[str, Any]:
    return {**names._asdict(), "learning_rate": FACTORS["learning_rate"].index(names.learning_rate)}


class Recorded:
    """An executor that looks the rungs up."""

    capacity = 1

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._queue: list[RungJob] = []
        self._runs: dict[int, tuple[int, int]] = {}
        self._done: dict[int, int] = {}

    def submit(self, job: RungJob) -> None:
        """Add a job."""
        self._queue.append(job)

    def collect(self) -> Outcome:
        """Return the outcome of the oldest job."""
        job, replay = self._queue.pop(0), self._replay
        if job.seed not in self._runs:
            pipeline = INDEX[names_of(job.pipeline)]
            self._runs[job.seed] = pipeline, replay.begin(pipeline)
        rung = replay.table.epochs.index(job.until)
        before = replay.seconds
        score = replay.rung(*self._runs[job.seed], rung, self._done.get(job.seed, 0))
        self._done[job.seed] = rung + 1
        if not np.isfinite(score):
            return Outcome(failure={"kind": "not_finite", "reason": "recorded"})
        return Outcome(result=RungResult(score, 1 - score, job.until, replay.seconds - before, ()))

    def close(self) -> None:
        """There is nothing to let go of."""


class MemoryLog(RecordLog):
    """Records that are not written down."""

    def __init__(self) -> None:
        self.records = Records()

    def append(self, event: str, **values: Any) -> None:
        """Add an event to the records."""
        self.records.apply(json.loads(json.dumps({"event": event, **values})))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ours:
    """autokd's explorer.

    Args:
      flat: the four parameters that the other searchers have; else autokd's own for the same pipelines.
      proposer: the class of what proposes pipelines.
      eta: the best 1/eta of a rung go on.
      rungs: of the table, those that trials stop at.
      enqueue: screened students to try early.
      recipes: whether it begins with the known recipes.
      changed: constants of modules of `autokd.search` that are others in this variant, as "room.module.NAME".
    """

    flat: bool = True
    proposer: type[Proposer] = Proposer
    eta: int = ETA
    rungs: tuple[int, ...] = (0, 1, 2)
    enqueue: int = 3
    recipes: bool = True
    changed: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __call__(self, replay: Replay) -> None:
        """Run until the budget is used up."""
        with contextlib.ExitStack() as stack:
            for place, value in self.changed.items():
                module, _, name = place.rpartition(".")
                stack.enter_context(mock.patch.object(importlib.import_module(f"autokd.search.{module}"), name, value))
            self._run(replay)

    def _run(self, replay: Replay) -> None:
        task, offers = _TASK, _offers()
        space = cast(Space, FlatSpace()) if self.flat else own_space(task, offers)
        log = MemoryLog()
        log.append("screen", students=_screened(replay.table))
        proposer = self.proposer(
            space=space,
            task=task,
            records=log.records,
            screener=Screener(cast(TrainContext, None), (), 0),  # all students are among the screened ones
            seed=replay.seed,
            offers=offers,
            enqueue=self.enqueue,
            recipes=_placed(space) if self.recipes else {},
            planned=round(replay.budget * self._trials_a_run(replay.table)),
        )
        explorer = Explorer(
            proposer=proposer,
            log=log,
            executor=Recorded(replay),
            rung_epochs=[replay.table.epochs[rung] for rung in self.rungs],
            eta=self.eta,
            folder=Path("no checkpoints"),
        )
        with quiet_optuna():
            explorer.run(ENDLESS, lambda seconds: True, lambda: None)

    def _trials_a_run(self, table: Table) -> float:
        """How many trials take as long as a run to the top, when the best 1/eta of each rung go on."""
        ends = [table.epochs[rung] for rung in self.rungs]
        spans = np.diff([0, *ends])
        return float(ends[-1] / sum(span * self.eta**-rung for rung, span in enumerate(spans)))


def _placed(space: Space) -> dict[str, Drawn]:
    """The known recipes as pipelines of a space, by name."""
    return {name: Drawn(plain(names), space.params_of(plain(names))) for name, names in recipes().items()}


_TASK = Task(
    dataset="replay",
    modality="image",
    input_shape=(1, 8, 8),
    classes=tuple("0123456789"),
    train_size=500,
    mean=(0.5,),
    std=(0.5,),
    fingerprint="replay",
)


def _offers() -> Shapes:
    with seeded(0):
        return shapes_of(build_student(component_from_plain("students", TEACHER), _TASK), _TASK)


def _screened(table: Table) -> list[dict[str, Any]]:
    """The students as screening by their size ranks them."""
    rows = []
    for name, part in STUDENTS.items():
        first = next(index for index, names in enumerate(ALL) if names.student == name)
        cost = Cost(int(table.params[first]), int(table.macs[first]), 4 * int(table.params[first]))
        rows.append({"student": _whole("students", part), **cost._asdict(), "proxies": {}})
    for row in rows:
        below = [[other[key] < row[key] for other in rows] for key in ("params", "macs")]
        row["score"] = float(np.mean(below)) * len(rows) / (len(rows) - 1)
    return sorted(rows, key=lambda row: -row["score"])


SEARCHERS: Mapping[str, Search] = {
    "random": random,
    "Optuna TPE": tpe,
    "Optuna TPE + SHA pruner": tpe_pruner,
    "Optuna TPE + SHA pruner, defaults": tpe_default_pruner,
    "Optuna TPE + SHA pruner, recipes": tpe_pruner_recipes,
    "recipes alone": portfolio,
    "autokd, no recipes": Ours(recipes=False),
    "autokd": Ours(),
    "autokd, own parameters": Ours(flat=False),
}


class Repeating(Proposer):
    """Proposes again, to be trained under a new seed, what TPE suggests again."""

    def _suggested(self, number: int, known: set[str], count: int) -> tuple[list[Drawn], tuple[Refused, ...]]:
        return super()._suggested(number, set(), count)


class Thrifty(Proposer):
    """Takes, at half of the asks, the candidate whose epochs are expected to be the shortest."""

    def _best_screened(self, found: list[Drawn]) -> Drawn:
        model = seconds_model(self.records.trials.values())
        assert model is not None
        costs = [self.architecture_cost(drawn.plain)._asdict() for drawn in found]
        seconds = [model.per_epoch(drawn.plain, cost) for drawn, cost in zip(found, costs, strict=True)]
        return found[int(np.argmin(seconds))]


VARIANTS: Mapping[str, Search] = {
    "autokd": SEARCHERS["autokd"],
    "TPE's suggestion is the best of 24 draws": Ours(changed={"tpe.sampler.EI_CANDIDATES": 24}),
    "TPE's suggestion is the best of 2 draws": Ours(changed={"tpe.sampler.EI_CANDIDATES": 2}),
    "none of TPE's asks at random": Ours(changed={"explore.propose.RANDOM": 0.0}),
    "the best half of a rung goes on": Ours(eta=2),
    "always the best screened of 8": Ours(changed={"explore.propose.SCREEN_PROBABILITY": 1.0}),
    "never the best screened of 8": Ours(changed={"explore.propose.SCREEN_PROBABILITY": 0.0}),
    "pipelines may be repeated": Ours(proposer=Repeating),
    "cheaper students preferred": Ours(proposer=Thrifty),
}
"""autokd and what it might be instead."""


def run(search: Search, table: Table, seed: int, budget: float) -> Replay:
    """Replay a search until its budget is spent."""
    replay = Replay(table, seed, budget)
    with contextlib.suppress(Spent):
        search(replay)
    return replay


def runs(search: Search, table: Table, seeds: int, budget: float) -> Iterator[Replay]:
    """Replay a search under several seeds."""
    return (run(search, table, seed, budget) for seed in range(seeds))
