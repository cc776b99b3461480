"""Confirm: select on validation, then one claim against matched baselines on fresh seeds.

Select is a race over seeds (`autokd.search.confirm.racing`); among tied finalists the simpler one is chosen. The
numbers of seeds come from the study's noise (`autokd.study.noise`) and are recorded before the first run that they
concern. The test split is read here only, once a claim.

The matched baselines are the recommended pipeline with its losses replaced: by cross-entropy alone (`ce`), and by
cross-entropy and vanilla KD at temperature 4 (`kd`). They have the student's own classifier; student, augmentation,
optimizer, schedule and length are the same, and learning rate and loss weights of all arms are tuned over the same
small grid.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict, predict_teacher
from autokd.engine.rung import FORWARD, run_samples
from autokd.engine.views import DeviceData, to_device
from autokd.errors import NothingFeasible
from autokd.execution.executor import Executor
from autokd.files import write_tensors
from autokd.metrics import METRICS, Metric, Predictions, predictions
from autokd.networks.models import seeded
from autokd.objective import ACCURACY, Objective
from autokd.search.confirm.racing import Standing, choose, choose_of_front, race
from autokd.search.explore.explorer import baseline_parts
from autokd.search.runs import Request, Runner
from autokd.search.screen.screen import LatencyMeter, pipeline_cost, recorded_cost, student_of
from autokd.search.timing.clock import Clock, answer_seconds, seconds_per_epoch
from autokd.search.timing.pace import seconds_model
from autokd.seeds import derive
from autokd.space import Budget
from autokd.spec import fingerprint
from autokd.study import evidence, noise
from autokd.study.pareto import longest_front
from autokd.study.records import RecordLog, RunRecord, TrialRecord
from autokd.study.store import ranked
from autokd.types import Shapes

RECOMMENDED = "recommended"
RATE_FACTORS = (0.2, 0.5, 2.0)
"""Of the learning rate in the grid, beside 1; the lowest spares a baseline a rate that only the found losses bear."""
WEIGHT_FACTORS = (0.5, 2.0)
"""Of the distillation losses' weights in the grid, beside 1."""
ARMS = 3
"""The recommendation, vanilla KD and the student alone."""
GRID_POINTS = 1 + len(RATE_FACTORS) + len(WEIGHT_FACTORS)
GRID_RUNS = ARMS * GRID_POINTS - len(WEIGHT_FACTORS)
"""Of the recommendation and both baselines, of which cross-entropy has no weights to tune."""
SELECT_SHARE = 0.3
"""Of the time left that select may take."""
FEWEST, FILL = 2, 4
"""Seeds of claim where time is short, and times the budget's seeds, at most, where there is time left."""


@dataclass(frozen=True, kw_only=True)
class Confirmer:
    """Runs confirm on a study.

    Args:
      log: the study's records.
      executor: trains the runs.
      context: data, teacher and device.
      budget: finalists, seeds and length.
      seed: the study's seed.
      folder: the study's folder.
      clock: how much time is left.
      on_change: called after every run.
      stretch: at most so many times the budget's seeds are taken where the noise asks for more.
      objective: what the study is to be good at; the claim is about the first.
      meter: measures latencies, where they are bounded or an objective; else None.
    """

    log: RecordLog
    executor: Executor
    context: TrainContext
    budget: Budget
    seed: int
    folder: Path
    clock: Clock
    on_change: Callable[[], None]
    stretch: int = noise.STRETCH
    objective: Objective = ACCURACY
    meter: LatencyMeter | None = None

    @property
    def round(self) -> int:
        return len(self.log.records.evidence)

    def run(self) -> Mapping[str, Any]:
        """Select, tune and claim; return the evidence.

        Raises:
          NothingFeasible: no trial finished.
        """
        trial = self.select()
        pipelines = self.tune(trial)
        claim = self._evidence(trial, pipelines, self.claim(trial, pipelines))
        shutil.rmtree(self.folder / "best", ignore_errors=True)  # the bundle of an earlier claim
        self.log.append("evidence", **claim)
        return self.log.records.evidence[-1]

    def select(self) -> TrialRecord:
        """Race the finalists over seeds, on validation; return the best, or the simplest of those tied with it."""
        trials = self.log.records.trials
        known = next((c for c in reversed(self.log.records.choices) if c["round"] == self.round), None)
        if known is None or known.get("trials", len(trials)) != len(trials):
            known = self._compare_front() if self.objective.several else self._race()
        return trials[known["trial"]]

    def _race(self) -> Mapping[str, Any]:
        finalists, planned = self._planned_finalists()
        if len(finalists) == 1 and self.clock.limit is not None:  # there is nothing to choose
            found = {finalists[0].number: Standing([finalists[0].score], None, True)}
        else:
            found = race(
                [trial.number for trial in finalists],
                self._measure,
                most=planned["seeds"],
                noise=noise.of_plain(planned["noise"]),
                resolution=1 / len(self.context.data.validation),
                worst=self.objective.metric.worst_score,
            )
        best, reason = choose(finalists, found, self.objective.metric)
        rows = [_candidate(trial, found[trial.number]) for trial in finalists]
        return self._chosen(best, rows, planned, reason)

    def _chosen(
        self, best: TrialRecord, rows: Sequence[Mapping[str, Any]], planned: Mapping[str, Any], reason: str
    ) -> Mapping[str, Any]:
        """Record select's choice."""
        self.log.append(
            "choice",
            round=self.round,
            trials=len(self.log.records.trials),
            trial=best.number,
            candidates=rows,
            most_seeds=planned["seeds"],
            reason=reason,
        )
        return self.log.records.choices[-1]

    def _planned_finalists(self) -> tuple[list[TrialRecord], Mapping[str, Any]]:
        """The finalists that the time left bears, and the design of select."""
        every = self._finalists()
        bearable = self._bearable(every, SELECT_SHARE)
        planned = self._design(
            "select",
            arms=min(len(every), max(1, bearable)),
            least=self.budget.select_seeds,
            most=max(1, bearable // len(every)),
        )
        return every[: planned.get("arms", len(every))], planned

    def _compare_front(self) -> Mapping[str, Any]:
        """Train the finalists of a study of several objectives under the same seeds; none is stopped early."""
        finalists, planned = self._planned_finalists()
        runs = self._select_runs([trial.number for trial in finalists], range(planned["seeds"]))
        means = {trial.number: self._means(trial, runs[trial.number]) for trial in finalists}
        best, front, standings, reason = choose_of_front(
            finalists,
            {number: _scores(row) for number, row in runs.items()},
            means,
            objective=self.objective,
            noise=noise.of_plain(planned["noise"]),
            resolution=1 / len(self.context.data.validation),
        )
        rows = [
            {
                **_candidate(trial, standings[trial.number]),
                "objectives": self.objective.shown(means[trial.number]),
                "on_front": trial.number in front,
            }
            for trial in finalists
        ]
        return self._chosen(best, rows, planned, reason)

    def _means(self, trial: TrialRecord, runs: Sequence[RunRecord]) -> tuple[float, ...]:
        """Means over seeds in each objective, more is better; a run that failed counts each metric's worst."""
        worst = {name: metric.worst for name, metric in METRICS.items()}
        values = [self.objective.values(run.score, worst if run.failure else run.metrics, trial.cost) for run in runs]
        return tuple(float(mean) for mean in np.mean(values, axis=0))

    def _measure(self, numbers: Sequence[int], seeds: Sequence[int]) -> dict[int, list[float | None]]:
        """Train trials on select's seeds, all at once."""
        return {number: _scores(row) for number, row in self._select_runs(numbers, seeds).items()}

    def _select_runs(self, numbers: Sequence[int], seeds: Sequence[int]) -> dict[int, list[RunRecord]]:
        views, trials = derive(self.seed, "views"), self.log.records.trials
        requests = [
            self._request("select", f"trial {n}", "", self._derive("select", i), views, trials[n].pipeline)
            for n in numbers
            for i in seeds
        ]
        runs = self._runner.all(requests)
        return {n: runs[k * len(seeds) : (k + 1) * len(seeds)] for k, n in enumerate(numbers)}

    def tune(self, trial: TrialRecord) -> dict[str, Mapping[str, Any]]:
        """Return each arm's pipeline, its learning rate and loss weights tuned over the same grid, on validation.

        Where the time left does not bear the grid, all arms stay as they are.
        """
        if not self._tunes(trial):
            return self._arms(trial.pipeline)
        seed, views = derive(self.seed, "tune", self.round), derive(self.seed, "views")
        requests = [
            self._request("tune", arm, name, seed, views, point)
            for arm, pipeline in self._arms(trial.pipeline).items()
            for name, point in grid(pipeline).items()
        ]
        best: dict[str, RunRecord] = {}
        for request, run in zip(requests, self._runner.all(requests), strict=True):
            held = best.setdefault(request.arm, run)
            best[request.arm] = max(held, run, key=lambda r: (r.failure is None, r.score, -r.loss))
        return {arm: run.pipeline for arm, run in best.items()}

    def claim(self, trial: TrialRecord, pipelines: Mapping[str, Mapping[str, Any]]) -> dict[str, list[RunRecord]]:
        """Train every arm on the fresh seeds, paired by seed; their number is recorded before the first run.

        Args:
          trial: that the recommended pipeline comes from.
          pipelines: by arm.
        """
        distinct = {fingerprint(pipeline): arm for arm, pipeline in pipelines.items()}
        relative = self._relative_seconds(trial, pipelines)
        arms = sum(relative[arm] for arm in distinct.values())
        bearable = max(FEWEST, self._bearable([trial], 1.0, arms=arms, predicted=len(pipelines)))
        least = self.budget.claim_seeds
        filled = min(bearable, FILL * least) if self.clock.limit is not None else None
        planned = self._design("claim", arms=len(pipelines), least=least, most=bearable, filled=filled)
        requests = [
            self._request("claim", arm, "", seed, views, pipeline, self.student_file(arm, i))
            for i in range(planned["seeds"])
            for seed, views in [(self._derive("claim", i), self._derive("claim views", i))]
            for arm, pipeline in pipelines.items()
        ]
        claimed: dict[str, list[RunRecord]] = {arm: [] for arm in pipelines}
        for request, run in zip(requests, self._runner.all(requests), strict=True):
            claimed[request.arm].append(run)
        return claimed

    def student_file(self, arm: str, i: int) -> Path:
        """Where the claim's i-th student of an arm is kept."""
        return self.folder / "confirm" / f"round{self.round}" / f"{arm}-{i}.safetensors"

    def _finalists(self) -> list[TrialRecord]:
        """The trials that select compares: the best, or with several objectives those of the front."""
        trials, unique = self.log.records.trials.values(), dict[str, TrialRecord]()
        for trial in longest_front(trials, self.objective) if self.objective.several else ranked(trials):
            unique.setdefault(fingerprint(trial.pipeline), trial)
        if not unique:
            reasons = sorted({t.failure["reason"] for t in self.log.records.trials.values() if t.failure})
            raise NothingFeasible(f"no trial finished; reasons: {'; '.join(reasons[:3]) or 'none was run'}")
        distilled = [t for t in unique.values() if t.source != "baseline:ce"] or list(unique.values())
        return distilled[: self.budget.finalists]

    def _arms(self, pipeline: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        names = ["ce", "kd"] if self.context.teacher is not None else ["ce"]
        return {RECOMMENDED: pipeline, **{name: {**pipeline, **baseline_parts(name)} for name in names}}

    def _tunes(self, trial: TrialRecord) -> bool:
        """Whether the grid is tuned over; decided once where time is limited, and recorded."""
        known = self._known_design("tune")
        if known is not None or self.clock.limit is None:
            return known is None or bool(known["seeds"])
        arms = self._arms(trial.pipeline)
        relative = self._relative_seconds(trial, arms)
        runs = sum(relative[arm] * (len(grid(arms[arm])) + self.budget.claim_seeds) for arm in arms)
        bears = self._bearable([trial], 1.0) >= runs
        why = "one seed a point of the grid" if bears else "not tuned: the time left does not bear the grid"
        planned = noise.Design(int(bears), None, None, None, why)
        self.log.append("design", stage="tune", round=self.round, **planned.as_plain())
        return bears

    def _relative_seconds(self, trial: TrialRecord, pipelines: Mapping[str, Mapping[str, Any]]) -> Mapping[str, float]:
        """How long a run of each arm is expected to take, as a multiple of one of the chosen trial's pipeline."""
        model = seconds_model(self.log.records.trials.values())
        if model is None:
            return dict.fromkeys(pipelines, 1.0)

        def seconds(pipeline: Mapping[str, Any]) -> float:
            return model.per_epoch(pipeline, pipeline_cost(pipeline, self.context.data.task, self._offers)._asdict())

        return {arm: seconds(pipeline) / seconds(trial.pipeline) for arm, pipeline in pipelines.items()}

    def _bearable(self, trials: Sequence[TrialRecord], share: float, *, arms: float = 1.0, predicted: int = 0) -> int:
        """Return how many runs a share of the time left bears, at the pace of some trials.

        Args:
          trials: their own runs of this round say how long one takes, where there are any.
          share: of the time left.
          arms: runs that count as one, in runs of these trials' pipelines.
          predicted: in a claim, the students whose predictions count with them, and the teacher's answers for one run.
        """
        if self.clock.limit is None:
            return sys.maxsize
        arm, epochs, data = {f"trial {t.number}" for t in trials}, self.budget.confirm_epochs, self.context.data
        own = [r.seconds for r in self.log.records.runs if r.round == self.round and r.arm in arm and not r.failure]
        run = float(np.mean(own)) if own else epochs * seconds_per_epoch(trials)
        each = arms * run / self.executor.capacity
        if predicted:
            items = len(data.validation) + data.card["samples"]["test"]
            each += (
                predicted * run * FORWARD * items / run_samples(epochs, epochs, len(data.train), len(data.validation))
            )
        if predicted and self.context.teacher is not None:
            answer = answer_seconds(self.context.teacher, data, self.context.device)
            each += answer * epochs * len(data.train) / self.executor.capacity
        return int(max(0.0, share * self.clock.left / max(each, 1e-9)))

    def _known_design(self, stage: str) -> Mapping[str, Any] | None:
        designs = self.log.records.designs
        return next((d for d in designs if (d["stage"], d["round"]) == (stage, self.round)), None)

    def _design(self, stage: str, *, arms: int, least: int, most: int, filled: int | None = None) -> Mapping[str, Any]:
        """Return how many seeds a stage takes; what was recorded once is kept.

        Args:
          stage: its name.
          arms: that are compared.
          least: what the budget says.
          most: what the time left bears.
          filled: seeds that fill the time left, whatever the noise asks for; None: as many as it asks for.
        """
        known = self._known_design(stage)
        if known is not None:
            return known
        estimate, metric = noise.estimate(self.log.records), self.objective.metric
        planned = noise.design(estimate, arms=arms, least=least, stretch=self.stretch, metric=metric)
        if filled is not None or planned.seeds > most:
            why = "as many as the time left bears"
            planned = noise.fixed(estimate, filled or most, arms=arms, why=why, metric=metric)
        self.log.append("design", stage=stage, round=self.round, arms=arms, **planned.as_plain())
        return self.log.records.designs[-1]

    def _request(
        self,
        stage: str,
        arm: str,
        variant: str,
        seed: int,
        view_seed: int,
        pipeline: Mapping[str, Any],
        save: Path | None = None,
    ) -> Request:
        epochs = self.budget.confirm_epochs
        return Request(stage, self.round, arm, variant, seed, view_seed, pipeline, epochs, save)

    def _derive(self, purpose: str, i: int) -> int:
        """A seed of this round."""
        return derive(self.seed, purpose, self.round, i)

    @property
    def _runner(self) -> Runner:
        return Runner(
            log=self.log,
            executor=self.executor,
            folder=self.folder / "confirm",
            on_change=self.on_change,
            worst=self.objective.metric.worst_score,
        )

    def _evidence(
        self,
        trial: TrialRecord,
        pipelines: Mapping[str, Mapping[str, Any]],
        claimed: Mapping[str, Sequence[RunRecord]],
    ) -> dict[str, Any]:
        metric = self.objective.metric
        comparator = max((arm for arm in pipelines if arm != RECOMMENDED), key=lambda arm: _mean_score(claimed[arm]))
        test = self._read_test(claimed)
        comparisons = {
            arm: evidence.identical(compared, arm)
            if fingerprint(pipelines[arm]) == fingerprint(pipelines[RECOMMENDED])
            else compared
            for arm, compared in test.compared(metric, [arm for arm in pipelines if arm != RECOMMENDED]).items()
        }
        scores, teacher = test.values(metric), test.teacher_values(metric)
        means = {arm: float(np.mean(values)) for arm, values in scores.items()}
        closed = teacher and evidence.gap_closed(means[RECOMMENDED], means["ce"], teacher["test"], metric)
        rows = (row for row in self.log.records.choices[-1]["candidates"] if row.get("on_front"))
        front = sorted(rows, key=lambda row: (-row["mean"], row["trial"]))
        return {
            "round": self.round,
            "trials": len(self.log.records.trials),
            "trial": trial.number,
            "pipeline": pipelines[RECOMMENDED],
            "epochs": self.budget.confirm_epochs,
            "seeds": [run.seed for run in claimed[RECOMMENDED]],
            "arms": {
                arm: {
                    "pipeline": pipelines[arm],
                    "validation": [metric.value(run.score) for run in claimed[arm]],
                    "test": scores[arm],
                }
                for arm in pipelines
            },
            "metric": metric.name,
            "teacher": teacher,
            "comparator": comparator,
            "comparisons": {arm: evidence.as_plain(comparison) for arm, comparison in comparisons.items()},
            "prediction_interval": list(evidence.prediction_interval(scores[RECOMMENDED], test.items, metric)),
            "gap_closed": closed,
            "n_test": test.items,
            "cost": recorded_cost(pipelines[RECOMMENDED], self.context.data.task, self._offers, self.meter),
            **({"front": front} if self.objective.several else {}),
        }

    def _read_test(self, claimed: Mapping[str, Sequence[RunRecord]]) -> _Test:
        """Read the test split, once, and ask every claimed student and the teacher about it."""
        self._note_test_read()
        task = self.context.data.task
        test = to_device(self.context.data.read_test(), task, self.context.device)
        splits = {"validation": self.context.validation_data, "test": test}
        kept: dict[str, Tensor] = {f"labels/{name}": data.labels.cpu() for name, data in splits.items()}
        for arm, runs in claimed.items():
            for i, run in enumerate(runs):
                for name, data in splits.items():
                    kept[f"{arm}/{i}/{name}"] = self._predict(run, self.student_file(run.arm, i), data)
        teacher = None
        if self.context.teacher is not None:
            for name, data in splits.items():
                kept[f"teacher/{name}"] = predict_teacher(self.context.teacher, data).half()
            teacher = {name: predictions(kept[f"teacher/{name}"], kept[f"labels/{name}"]) for name in splits}
        write_tensors(self.folder / "confirm" / f"round{self.round}.safetensors", kept)
        labels = kept["labels/test"]
        answers = {
            arm: [None if run.failure else predictions(kept[f"{arm}/{i}/test"], labels) for i, run in enumerate(runs)]
            for arm, runs in claimed.items()
        }
        return _Test(answers, teacher, len(labels))

    def _predict(self, run: RunRecord, file: Path, data: DeviceData) -> Tensor:
        """The run's logits, half precision; zeros where it failed."""
        task = self.context.data.task
        if run.failure is not None:
            return torch.zeros(len(data.labels), task.num_classes).half()
        component, head = student_of(run.pipeline)
        with seeded(run.seed):
            student = build_student(component, task, self.context.device, head=head, teacher=self._offers)
        student.load_state_dict(load_file(file))
        return predict(student, data).half()

    @property
    def _offers(self) -> Shapes | None:
        return None if self.context.teacher is None else self.context.teacher.offers

    def _note_test_read(self) -> None:
        line = {"time": round(time.time(), 3), "round": self.round, "why": "claim"}
        with (self.folder / "test_reads.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def grid(pipeline: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the grid that every arm is tuned over, by name: "" (as it is), learning rate x0.2, …"""
    points: dict[str, Mapping[str, Any]] = {"": pipeline}
    for factor in RATE_FACTORS:
        optimizer = pipeline["optimizer"]
        scaled = {**optimizer, "learning_rate": optimizer["learning_rate"] * factor}
        points[f"learning_rate x{factor:g}"] = {**pipeline, "optimizer": scaled}
    distilling = [name for name, loss in pipeline["losses"].items() if loss["use"] != "ce"]
    for factor in WEIGHT_FACTORS if distilling else ():
        losses = {
            name: {**loss, "weight": loss["weight"] * factor} if name in distilling else loss
            for name, loss in pipeline["losses"].items()
        }
        points[f"loss weights x{factor:g}"] = {**pipeline, "losses": losses}
    return points


def run_count(budget: Budget, *, has_teacher: bool, stretch: int = noise.STRETCH) -> int:
    """Return the number of training runs that confirm takes at most; with `stretch` 1, where the noise is small."""
    arms = 3 if has_teacher else 2
    tuned = GRID_POINTS * (arms - 1) + (GRID_POINTS - len(WEIGHT_FACTORS))
    return stretch * budget.finalists * budget.select_seeds + tuned + stretch * arms * budget.claim_seeds


def _candidate(trial: TrialRecord, standing: Standing) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "scores": standing.counted,
        "mean": standing.mean,
        "dropped_after": standing.dropped_after,
        "tied": standing.tied,
        "losses": len(trial.pipeline["losses"]),
        "params": trial.cost["params"],
        "macs": trial.cost["macs"],
    }


class _Test(NamedTuple):
    """What was answered on the test split.

    Args:
      answers: by arm, one a seed; None for a run that failed.
      teacher: the teacher's answers by split, or None.
      items: of the split.
    """

    answers: dict[str, list[Predictions | None]]
    teacher: dict[str, Predictions] | None
    items: int

    def values(self, metric: Metric) -> dict[str, list[float]]:
        """Return a metric's values by arm, one a seed; a run that failed counts the worst."""
        return {arm: [metric.worst if a is None else metric.of(a) for a in row] for arm, row in self.answers.items()}

    def teacher_values(self, metric: Metric) -> dict[str, float] | None:
        """Return the teacher's values by split."""
        return None if self.teacher is None else {name: metric.of(found) for name, found in self.teacher.items()}

    def compared(self, metric: Metric, others: Sequence[str]) -> dict[str, evidence.Comparison]:
        """Compare the recommended arm with others."""
        if metric is METRICS["accuracy"]:
            correct = {arm: np.stack([self._correct(answers) for answers in row]) for arm, row in self.answers.items()}
            return {arm: evidence.compare(correct, RECOMMENDED, arm) for arm in others}
        found = evidence.measured(metric, self.answers)
        return {arm: evidence.compare_measured(metric, found, RECOMMENDED, arm) for arm in others}

    def _correct(self, answers: Predictions | None) -> NDArray[np.bool_]:
        """Whether each item is right; with a run that failed none is."""
        if answers is None:
            return np.zeros(self.items, dtype=bool)
        return np.asarray((answers.predicted == answers.labels).numpy())


def _scores(runs: Sequence[RunRecord]) -> list[float | None]:
    return [None if run.failure else run.score for run in runs]


def _mean_score(runs: Sequence[RunRecord]) -> float:
    return float(np.mean([run.score for run in runs]))
