"""What a study's records say, arranged for the report; nothing here is about looks."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from autokd.metrics import METRICS, Metric
from autokd.objective import Objective
from autokd.report import words
from autokd.report.numbers import common_rung, mean_interval
from autokd.study.fidelity import Tau, kendall, score_at
from autokd.study.records import Records, TrialRecord

if TYPE_CHECKING:
    from autokd.space import Space

TOP = 5
"""Trials that are highlighted."""


class Study(Protocol):
    """What the report reads of a study; `autokd.study.store.StudyStore` is one."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> Path: ...

    @property
    def settings(self) -> Mapping[str, Any]: ...

    @property
    def records(self) -> Records: ...

    @property
    def space(self) -> Space: ...

    @property
    def top_rung(self) -> int: ...

    @property
    def rung_epochs(self) -> list[int]: ...

    @property
    def objective(self) -> Objective: ...

    @property
    def front(self) -> list[TrialRecord]: ...


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One line of the claim's table.

    Args:
      key: "recommended", "kd", "ce" or "teacher".
      title: for people.
      params, macs: of the model; None where not known.
      validation, test: value of the claim's metric, one a seed.
      interval: 95 % interval of the mean test value over seeds.
      latency: milliseconds of one sample; None where it was not measured.
    """

    key: str
    title: str
    params: float | None
    macs: float | None
    validation: list[float]
    test: list[float]
    interval: tuple[float, float] | None = None
    latency: float | None = None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The newest evidence, read for a decision.

    Args:
      status: "better", "worse" or "not distinguishable", against the comparator.
      title: the decision in a few words.
      metric: what it is about, the study's first objective.
      other: the comparator's name for people.
      itself: the recommended pipeline is the comparator's own: the search ended at this baseline.
      evidence: the event as recorded.
      arms: recommended, baselines, teacher.
      comparisons: (name of the other arm, comparison as recorded), the comparator's first.
      teacher_weaker: the teacher is worse on test than the student alone.
    """

    status: str
    title: str
    metric: Metric
    other: str
    itself: bool
    evidence: Mapping[str, Any]
    arms: list[Arm]
    comparisons: list[tuple[str, Mapping[str, Any]]]
    teacher_weaker: bool


class Stage(NamedTuple):
    """One step of the funnel."""

    title: str
    number: int
    what: str


class NoiseRuns(NamedTuple):
    """What was measured of the noise early in the study.

    Args:
      title: the baseline's, for people.
      scores: validation scores, one a seed.
    """

    title: str
    scores: list[float]


class ProxyTau(NamedTuple):
    """How well one screening score orders the trained students."""

    name: str
    tau: Tau | None
    students: int


class Best(NamedTuple):
    """A line of the table that stands in for a claim while there is none."""

    title: str
    params: float | None
    epochs: int | None
    value: float | None


class FrontPoint(NamedTuple):
    """A trial of the front of several objectives.

    Args:
      trial: its number.
      objectives: what it reached in each, by name; means over seeds where it was measured under several.
      values: of the first objective, one a seed.
      pipeline: the plain pipeline.
      chosen: whether it is the recommended one.
    """

    trial: int
    objectives: Mapping[str, float]
    values: list[float]
    pipeline: Mapping[str, Any]
    chosen: bool


def front(study: Study) -> list[FrontPoint]:
    """Return the front, of the newest claim or else of the trials so far; [] where there is one objective."""
    evidence, trials, metric = study.records.evidence[-1:], study.records.trials, study.objective.metric
    if evidence and "front" in evidence[0]:
        return [
            FrontPoint(
                row["trial"],
                row["objectives"],
                metric.values(row["scores"]),
                trials[row["trial"]].pipeline,
                row["trial"] == evidence[0]["trial"],
            )
            for row in evidence[0]["front"]
        ]
    return [
        FrontPoint(t.number, reached(study, t), [metric.value(t.rungs[-1].score)], t.pipeline, chosen=False)
        for t in sorted(study.front, key=lambda t: (-t.rungs[-1].score, t.number))
    ]


def reached(study: Study, trial: TrialRecord) -> dict[str, float]:
    """Return what a trial reached in each objective at its last rung, by name."""
    last = trial.rungs[-1]
    return study.objective.shown(study.objective.values(last.score, last.metrics, trial.cost))


def claim(study: Study) -> Claim | None:
    """Return the newest evidence, or None where there is none yet."""
    if not study.records.evidence:
        return None
    evidence = study.records.evidence[-1]
    comparator = evidence["comparator"]
    status = evidence["comparisons"][comparator]["verdict"]
    other = words.BASELINES.get(comparator, comparator)
    itself = evidence["arms"]["recommended"]["pipeline"] == evidence["arms"][comparator]["pipeline"]
    metric = METRICS[evidence.get("metric", "accuracy")]
    seen = metric.apart(evidence["comparisons"][comparator]["detectable"])
    no_better = f"No better than {other}: a gain of {seen} or more would have shown"
    titles = {"better": f"A gain over {other}", "worse": f"Worse than {other}"}
    order = sorted(evidence["comparisons"], key=lambda key: key != comparator)
    teacher, alone = evidence["teacher"], evidence["arms"].get("ce")
    return Claim(
        status=status,
        title=f"The search ended at {other}" if itself else titles.get(status, no_better),
        metric=metric,
        other=other,
        itself=itself,
        evidence=evidence,
        arms=arms(study.settings, evidence, metric),
        comparisons=[(words.BASELINES.get(key, key), evidence["comparisons"][key]) for key in order],
        teacher_weaker=bool(teacher and alone)
        and metric.score(teacher["test"]) < metric.score(statistics.fmean(alone["test"])),
    )


def arms(settings: Mapping[str, Any], evidence: Mapping[str, Any], metric: Metric) -> list[Arm]:
    """Return the arms of a claim in the order in which they are shown, and the teacher."""
    cost, found = evidence["cost"], []
    for key, title in words.ARMS.items():
        if key in evidence["arms"]:
            arm = evidence["arms"][key]
            found.append(
                Arm(
                    key=key,
                    title=title,
                    params=cost["params"],
                    macs=cost["macs"],
                    validation=arm["validation"],
                    test=arm["test"],
                    interval=mean_interval(arm["test"], metric),
                    latency=cost.get("latency"),
                )
            )
    return found if evidence["teacher"] is None else [*found, _teacher_arm(settings, evidence["teacher"])]


def best_so_far(study: Study) -> list[Best]:
    """Best trial, start baselines and teacher on validation: what can be said without a claim."""
    top = ranked([t for t in study.records.trials.values() if not t.source.startswith("baseline:")])[:1]
    lines = [(f"Best trial so far (trial {trial.number})", trial) for trial in top]
    for arm in ("kd", "ce"):
        lines += [(words.ARMS[arm], t) for t in study.records.trials.values() if t.source == f"baseline:{arm}"]
    metric = study.objective.metric
    found = [
        Best(title, t.cost.get("params"), t.rungs[-1].epochs, metric.value(t.rungs[-1].score))
        for title, t in lines
        if t.rungs
    ]
    teacher = study.settings.get("teacher")
    if teacher:
        found.append(Best("Teacher", teacher.get("params"), None, teacher_value(study)))
    return found


def teacher_value(study: Study) -> float | None:
    """The teacher's value of the first objective on validation; None where it is not known, or there is no teacher."""
    teacher, metric = study.settings.get("teacher") or {}, study.objective.metric
    values = {**teacher.get("validation_metrics", {}), "accuracy": teacher.get("validation_accuracy")}
    found: float | None = values.get(metric.name)
    return found


def teacher_weaker_so_far(study: Study) -> bool:
    """Whether the teacher is worse on validation than the student alone in its start baseline."""
    teacher = teacher_value(study)
    alone = [t.score for t in study.records.trials.values() if t.source == "baseline:ce" and t.score is not None]
    return teacher is not None and bool(alone) and study.objective.metric.score(teacher) < max(alone)


def ranked(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that have a score: longest first, then best first, then smallest first."""
    scored = [trial for trial in trials if trial.failure is None and trial.rungs]
    return sorted(scored, key=lambda t: (-len(t.rungs), -t.rungs[-1].score, t.cost.get("params", 0), t.number))


def funnel(study: Study) -> list[Stage]:
    """Return how many candidates each stage saw."""
    records, trials = study.records, list(study.records.trials.values())
    stages = [Stage("screened", len(records.screen), "students ranked without training")] if records.screen else []
    stages.append(Stage("explored", len(trials), "pipelines started"))
    for rung, epochs in enumerate(study.rung_epochs):
        reached = sum(len(trial.rungs) > rung for trial in trials)
        stages.append(Stage(f"{epochs} epochs", reached, "trials got this far"))
    runs = Counter(run.stage for run in records.runs)
    what = {
        "noise": "runs that measured the noise",
        "select": "runs that chose one",
        "tune": "runs that tuned all arms alike",
        "claim": "runs on fresh seeds",
    }
    return stages + [Stage(stage, runs[stage], text) for stage, text in what.items() if runs[stage]]


def failures(trials: Sequence[TrialRecord]) -> list[tuple[str, int]]:
    """Return (kind, number) of the failed trials, most frequent first."""
    return Counter(trial.failure["kind"] for trial in trials if trial.failure is not None).most_common()


def proxy_taus(records: Records) -> list[ProxyTau]:
    """Return, for the parameter count and each proxy, its rank correlation with trained scores at the common rung."""
    trials = list(records.trials.values())
    rung = common_rung(trials)
    screened = {_key(entry["student"]): entry for entry in records.screen}
    scores = [(t, score) for t in trials if (score := score_at(t, rung)) is not None]
    matched = [(screened[key], score, key) for t, score in scores if (key := _key(t.pipeline["student"])) in screened]
    if not matched:
        return []
    names = ["parameter count", *(name for name in matched[0][0]["proxies"] if name != "params")]
    return [_proxy_tau(name, matched) for name in names]


def choices(trials: Sequence[TrialRecord]) -> dict[str, dict[str, list[TrialRecord]]]:
    """Return the scored trials by what was chosen: slot -> option -> trials.

    A slot of several components (losses) has an entry for each component that not all pipelines hold, with the options
    "with" and "without". Slots where all trials agree are left out.
    """
    found: dict[str, dict[str, list[TrialRecord]]] = {}
    names = {
        (slot, name): None
        for trial in trials
        for slot, item in trial.pipeline.items()
        if isinstance(item, Mapping) and "use" not in item
        for name in item
    }
    for trial in trials:
        chosen = {slot: str(item["use"]) for slot, item in trial.pipeline.items() if _is_component(item)}
        chosen |= {f"{slot}: {name}": _with(name in trial.pipeline.get(slot, {})) for slot, name in names}
        for slot, option in chosen.items():
            found.setdefault(slot, {}).setdefault(option, []).append(trial)
    return {slot: options for slot, options in found.items() if len(options) > 1}


def noise_runs(records: Records) -> NoiseRuns | None:
    """Return the runs that measured the noise, or None where there are none."""
    runs = [run for run in records.runs if run.stage == "noise" and run.failure is None]
    return NoiseRuns(words.ARMS.get(runs[0].arm, runs[0].arm), [run.score for run in runs]) if runs else None


def designs(records: Records) -> list[Mapping[str, Any]]:
    """Return how many seeds select and claim took in the newest round, as recorded."""
    newest = max((design["round"] for design in records.designs), default=0)
    return [design for design in records.designs if design["round"] == newest]


def standing(candidate: Mapping[str, Any], chosen: int) -> str:
    """What became of a finalist in select, in a few words."""
    if candidate["trial"] == chosen:
        return "chosen"
    if "on_front" in candidate:
        return "on the front" if candidate["on_front"] else "another one is better in every objective"
    if candidate.get("dropped_after"):
        return f"stopped after {candidate['dropped_after']} seeds: clearly worse"
    return "tied with the best" if candidate.get("tied") else "behind"


def reads(path: Path) -> list[dict[str, Any]]:
    """Return the reads of the test split that `test_reads.jsonl` lists."""
    file = path / "test_reads.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines if line.strip()]


def space_text(path: Path) -> str:
    """Return the space file of a study, verbatim; "" where there is none."""
    file = path / "space.yaml"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _teacher_arm(settings: Mapping[str, Any], scores: Mapping[str, float]) -> Arm:
    facts = settings.get("teacher") or {}
    return Arm(
        key="teacher",
        title="Teacher",
        params=facts.get("params"),
        macs=facts.get("macs"),
        validation=[scores["validation"]],
        test=[scores["test"]],
    )


def _proxy_tau(name: str, matched: Sequence[tuple[Mapping[str, Any], float, str]]) -> ProxyTau:
    def figure(entry: Mapping[str, Any]) -> float | None:
        value = entry["params"] if name == "parameter count" else entry["proxies"].get(name)
        return None if value is None else float(value)

    rows = [(value, score, key) for entry, score, key in matched if (value := figure(entry)) is not None]
    if not rows:
        return ProxyTau(name, None, 0)
    values, scores, keys = zip(*rows, strict=True)
    return ProxyTau(name, kendall(values, scores, keys), len(set(keys)))


def _key(student: Mapping[str, Any]) -> str:
    return json.dumps(student, sort_keys=True)


def _is_component(item: Any) -> bool:
    return isinstance(item, Mapping) and "use" in item


def _with(present: bool) -> str:
    return "with" if present else "without"
