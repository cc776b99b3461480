"""Compares the sampler alone with Optuna's TPE and random search on made-up scores over a conditional space.

    OMP_NUM_THREADS=1 python -m benchmarks.replay.synthetic [--tasks 24] [--trials 50]

The space is like one of autokd's: 16 parameters that always occur, and up to two more for some losses and
augmentations. A task's score is a sum of an effect for each choice and of parabolas around optima of its own; the best
learning rate depends on the optimizer; each trial adds noise. There is one rung, so only the sampler is compared:
autokd without baselines, warm starts and screening. The pick is the best trial as scored; it is judged without noise,
as regret from 0 (the best of 4,000 random pipelines) to 1 (the median one). Intervals are 95 % bootstrap intervals over
tasks.
"""

from __future__ import annotations

import argparse
import functools
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna

from autokd.engine.context import TrainContext
from autokd.execution.executor import Outcome, RungJob
from autokd.ranges import Choice, Integer, Range, Real
from autokd.search.explore.explorer import Explorer
from autokd.search.explore.propose import Proposal, Proposer
from autokd.search.screen.screener import Screener
from autokd.search.tpe.trials import quiet_optuna
from autokd.space import Draw, Drawn, Space
from autokd.space.values import UnitDraw, suggest
from autokd.spec import slots
from autokd.types import RungResult
from benchmarks.common import machine
from benchmarks.replay.crossing import STUDENTS, _whole
from benchmarks.replay.searchers import _TASK, MemoryLog
from benchmarks.replay.table import interval

NOISE = 0.15
MARKS = (10, 20, 30, 50, 100)
RANDOM = 4000
"""Random pipelines that the scale of a task comes from."""
ALWAYS: Mapping[str, Range] = {
    "loss": Choice("kd", "dkd", "attention", "contrast", "hint", "relation"),
    "student": Choice("mobile", "resnet8", "resnet14", "shuffle", "wide", "transformer"),
    "augment": Choice("none", "random", "trivial", "mixup", "cutmix"),
    "schedule": Choice("cosine", "step", "onecycle"),
    "optimizer": Choice("sgd", "adamw"),
    "learning_rate": Real(1e-4, 1.0, log=True),
    "weight_decay": Real(1e-6, 1e-2, log=True),
    "temperature": Real(1.0, 20.0),
    "share": Real(0.0, 1.0),
    "dropout": Real(0.0, 0.5),
    "width": Integer(8, 64, 8),
    "batch_size": Integer(32, 512, log=True),  # this one and those that follow change nothing
    "smoothing": Real(0.0, 0.2),
    "warmup": Real(0.0, 0.2),
    "average": Choice("off", "on"),
    "beta": Real(0.0, 2.0),
}
BESIDE: Mapping[str, Mapping[str, Range]] = {
    "dkd": {"dkd.alpha": Real(0.1, 4.0), "dkd.beta": Real(0.5, 16.0)},
    "attention": {"feature.weight": Real(0.1, 1000.0, log=True), "feature.layer": Integer(1, 4)},
    "hint": {"feature.weight": Real(0.1, 1000.0, log=True), "feature.layer": Integer(1, 4)},
    "contrast": {"contrast.weight": Real(0.1, 2.0), "contrast.temperature": Real(0.02, 0.5, log=True)},
    "relation": {"relation.distance": Real(1.0, 50.0), "relation.angle": Real(1.0, 100.0)},
    "random": {"random.operations": Integer(1, 4), "random.magnitude": Integer(1, 30)},
    "mixup": {"mix.alpha": Real(0.1, 1.0)},
    "cutmix": {"mix.alpha": Real(0.1, 1.0)},
}
"""What else there is to choose beside a loss or an augmentation."""
SPREADS: Mapping[str, float] = {"student": 1.0, "loss": 0.8, "augment": 0.7, "optimizer": 0.4, "schedule": 0.3}
"""Standard deviation of the effects of a choice."""
Params = Mapping[str, Any]


class MadeUp:
    """The space, in as far as the explorer needs one."""

    constraints: Mapping[str, float] = {}
    warm_starts: tuple[Drawn, ...] = ()
    slots: Mapping[str, Any] = slots()
    parts: Mapping[str, Any] = {}

    def ranges(self) -> dict[str, Range]:
        """Return the range of every parameter."""
        return {**ALWAYS, **{path: span for beside in BESIDE.values() for path, span in beside.items()}}

    def draw(self, draw: Draw, number: int) -> Drawn:
        """Draw a pipeline."""
        params = {path: suggest(draw, path, span) for path, span in ALWAYS.items()}
        for chosen in (params["loss"], params["augment"]):
            params |= {path: suggest(draw, path, span) for path, span in BESIDE.get(str(chosen), {}).items()}
        student = _whole("students", STUDENTS["cnn4"])
        values = list(params.items())  # as a mapping it would pass for a slot with components
        return Drawn({"student": student, "losses": {}, "batch_size": 1, "values": values}, params)

    def place(self, unit: Callable[[str], float], number: int) -> Drawn:
        """Return the pipeline at a point."""
        return self.draw(UnitDraw(unit), number)

    def sample(self, rng: np.random.Generator, number: int) -> Drawn:
        """Draw a pipeline at random."""
        return self.place(lambda path: rng.random(), number)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a score is made of.

    Args:
      effects: of each option of a choice.
      rate: best logarithm (base 10) of SGD's learning rate; AdamW's lies 1.3 below.
      optima: best values of the other parameters, on the scale of `SCALES`.
    """

    effects: Mapping[str, Mapping[str, float]]
    rate: float
    optima: Mapping[str, float]

    @classmethod
    def drawn(cls, number: int) -> Task:
        """Return one of the tasks."""
        rng = np.random.default_rng([number, 1000])
        effects = {}
        for name, spread in SPREADS.items():
            options = cast(Choice, ALWAYS[name]).options
            effects[name] = {str(option): float(spread * rng.normal()) for option in options}
        optima = {path: float(rng.uniform(*between)) for path, (_, between, _) in SCALES.items()}
        return cls(effects=effects, rate=-1 + 0.4 * float(rng.normal()), optima=optima)

    def score(self, params: Params) -> float:
        """Return the score without noise."""
        rate = self.rate - (1.3 if params["optimizer"] == "adamw" else 0.0)
        found = sum(effect[params[name]] for name, effect in self.effects.items())
        found += 0.02 * params["width"] - 0.5 * params["dropout"]
        found -= 1.5 * (math.log10(params["learning_rate"]) - rate) ** 2
        for path, (curvature, _, scale) in SCALES.items():
            if path in params:
                found -= curvature * (scale(params[path]) - self.optima[path]) ** 2
        return float(found)

    @functools.cached_property
    def scale(self) -> tuple[float, float]:
        """The best and the median of random pipelines."""
        rng, space = np.random.default_rng(999), MadeUp()
        found = [self.score(space.sample(rng, 0).params or {}) for _ in range(RANDOM)]
        return max(found), float(np.median(found))


def _same(value: float) -> float:
    return value


SCALES: Mapping[str, tuple[float, tuple[float, float], Callable[[float], float]]] = {
    "temperature": (0.01, (2.0, 12.0), _same),
    "share": (1.5, (0.4, 0.95), _same),
    "weight_decay": (0.15, (-4.0, -4.0), math.log10),
    "feature.weight": (0.6, (0.0, 2.0), math.log10),
    "dkd.beta": (0.02, (2.0, 12.0), _same),
    "contrast.weight": (1.0, (0.4, 1.4), _same),
    "relation.distance": (0.001, (25.0, 25.0), _same),
    "mix.alpha": (1.0, (0.3, 0.3), _same),
    "random.magnitude": (0.004, (12.0, 12.0), _same),
}
"""Curvature of each parabola, where its optimum may lie, and on which scale."""


class Trials:
    """Scores what a searcher tries, with noise, and notes what its pick is worth.

    Args:
      task: the task.
      seed: of the noise.
    """

    def __init__(self, task: Task, seed: int) -> None:
        self._task = task
        self._rng = np.random.default_rng([seed, 7])
        self._best = -math.inf
        self.regrets: list[float] = []

    def score(self, params: Params) -> float:
        """Return a noisy score."""
        true = self._task.score(params)
        noisy = true + NOISE * float(self._rng.normal())
        best, median = self._task.scale
        if noisy > self._best:
            self._best, self._regret = noisy, (best - true) / (best - median)
        self.regrets.append(self._regret)
        return noisy


def random(trials: Trials, seed: int, count: int) -> None:
    """Draw at random."""
    rng = np.random.default_rng([seed, 3])
    for number in range(count):
        trials.score(MadeUp().sample(rng, number).params or {})


class Suggested:
    """Draws what Optuna suggests.

    Args:
      trial: the trial.
    """

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def real(self, path: str, low: float, high: float, log: bool) -> float:
        """Suggest a real number."""
        return self._trial.suggest_float(path, low, high, log=log)

    def integer(self, path: str, low: int, high: int, step: int, log: bool) -> int:
        """Suggest a whole number."""
        return self._trial.suggest_int(path, low, high, step=step, log=log)

    def choice(self, path: str, options: tuple[Any, ...]) -> Any:
        """Suggest an option."""
        return self._trial.suggest_categorical(path, options)


def tpe(trials: Trials, seed: int, count: int) -> None:
    """Optuna's default sampler."""
    with quiet_optuna():
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    for number in range(count):
        trial = study.ask()
        study.tell(trial, trials.score(MadeUp().draw(Suggested(trial), number).params or {}))


class Sampling(Proposer):
    """Proposes no baselines."""

    def queue(self) -> list[Proposal]:
        """Return nothing."""
        return []


class Scored:
    """An executor that looks the score up."""

    capacity = 1

    def __init__(self, trials: Trials) -> None:
        self._trials = trials
        self._queue: list[RungJob] = []

    def submit(self, job: RungJob) -> None:
        """Add a job."""
        self._queue.append(job)

    def collect(self) -> Outcome:
        """Return the outcome of the oldest job."""
        job = self._queue.pop(0)
        score = self._trials.score(dict(job.pipeline["values"]))
        return Outcome(result=RungResult(score, -score, job.until, 1.0, ()))

    def close(self) -> None:
        """There is nothing to let go of."""


def ours(trials: Trials, seed: int, count: int) -> None:
    """autokd's sampler."""
    log = MemoryLog()
    student = _whole("students", STUDENTS["cnn4"])
    log.append("screen", students=[{"student": student, "params": 1, "macs": 1, "proxies": {}, "score": 1.0}])
    proposer = Sampling(
        space=cast(Space, MadeUp()),
        task=_TASK,
        records=log.records,
        screener=Screener(cast(TrainContext, None), (), 0),
        seed=seed,
        offers=None,
        enqueue=0,
    )
    explorer = Explorer(
        proposer=proposer,
        log=log,
        executor=Scored(trials),
        rung_epochs=[1],
        eta=3,
        folder=Path("no checkpoints"),
    )
    with quiet_optuna():
        explorer.run(count, lambda _: True, lambda: None)


SEARCHERS: Mapping[str, Callable[[Trials, int, int], None]] = {"random": random, "Optuna TPE": tpe, "autokd": ours}


def regrets(name: str, trials: int, number: int) -> list[float]:
    """Return a searcher's regret after each trial on one task."""
    found = Trials(Task.drawn(number), number)
    SEARCHERS[name](found, number, trials)
    return found.regrets


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tasks", type=int, default=24)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    found = {}
    with ProcessPoolExecutor(asked.processes) as pool:
        for name in SEARCHERS:
            found[name] = np.array(list(pool.map(functools.partial(regrets, name, asked.trials), range(asked.tasks))))
    print(f"{machine()}; {asked.tasks} tasks\n\n{table(found, asked.trials)}")


def table(found: Mapping[str, Any], trials: int) -> str:
    """Return the regrets, and how autokd's differ from TPE's on the same tasks."""
    marks = [mark for mark in MARKS if mark <= trials]
    rows = [f"| regret after | {' | '.join(f'{mark} trials' for mark in marks)} |", "|---|" + "---|" * len(marks)]
    for name, curves in found.items():
        rows.append(f"| {name} | {' | '.join(_cell(curves[:, mark - 1]) for mark in marks)} |")
    less = found["Optuna TPE"] - found["autokd"]
    rows.append(f"| TPE's less autokd's | {' | '.join(_cell(less[:, mark - 1]) for mark in marks)} |")
    return "\n".join(rows)


def _cell(values: Any) -> str:
    low, high = interval(values)
    return f"{np.mean(values):.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
