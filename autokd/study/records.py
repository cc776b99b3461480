"""A study's records: an append-only file of events, `trials.jsonl`, and what they add up to.

One event is one line of JSON, flushed to disk before anyone acts on it, unless it follows from the events before it.
A line that a crash cut short is dropped at the next opening. The records are the only truth about a study; everything
else can be rebuilt from them.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autokd.errors import StudyError
from autokd.spec import PipelineSpec, from_plain
from autokd.study import old
from autokd.study.arms import ALONE, BASELINES, PAST, RECIPE
from autokd.study.choice import Choice, ScreenedStudent, Screening, screening_of
from autokd.study.claim import Claim
from autokd.study.design import Design
from autokd.study.events import event_of, lines_from
from autokd.study.past import PastStudent
from autokd.study.sessions import ArtefactRecord, BankSession, Profile, StageEnd
from autokd.study.training import Training
from autokd.study.use import Use

FOLLOWING = ("promote", "scored")
"""Events that follow from those before them: with one that a crash of the machine takes away nothing is lost."""


@dataclass(frozen=True, kw_only=True)
class RungRecord:
    """One finished rung of a trial.

    Args:
      rung: 0 for the shortest.
      epochs: epochs trained in all at its end.
      score: of the study's first objective on validation, more is better; see `autokd.types.RungResult`.
      loss: validation cross-entropy, nats.
      seconds: wall time of this rung alone.
      curve: one mapping an epoch; see `autokd.types.RungResult`.
      metrics: value of every metric on validation, by name; {} in a study from before there were several.
      ended: when it was recorded, seconds since 1970; None in a study from before events had times.
    """

    rung: int
    epochs: int
    score: float
    loss: float
    seconds: float
    curve: tuple[Mapping[str, Any], ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    ended: float | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial.

    Args:
      number: from 0.
      source: "recipe:" and the recipe's name ("past-…": a rule of past studies), "family" (a recipe on another family
        of students), "warm_start", "design" (one or two slots of the best recipe are others), "random", "tpe", "screen"
        (one of TPE's with an evolved student; in older studies a screened one) or in those "quasi_random".
      seed: decides initialisation and data order.
      pipeline: the plain pipeline, every value written out.
      params: the sampler's parameters by path, or None where the pipeline lies outside the space.
      cost: "params", "macs", "size" (bytes) and, where the study looks at it, "latency" and "step", milliseconds.
      rungs: finished rungs in order.
      failure: None, or {"kind": …, "reason": …}.
      base: number of the trial that it was changed from, where there is one.
      began, failed: when it was begun, and when it failed, seconds since 1970; None where that is not known.
    """

    number: int
    source: str
    seed: int
    pipeline: Mapping[str, Any]
    params: Mapping[str, Any] | None
    cost: Mapping[str, float]
    rungs: tuple[RungRecord, ...] = ()
    failure: Mapping[str, str] | None = None
    base: int | None = None
    began: float | None = field(default=None, compare=False)
    failed: float | None = field(default=None, compare=False)

    @property
    def spec(self) -> PipelineSpec:
        """The pipeline as a value.

        Raises:
          ComponentError: a component of it is not here, for instance a plug-in's.
        """
        return from_plain(self.pipeline)

    @property
    def recipe(self) -> str | None:
        """Name of the known recipe that it is, one of past studies too; None for any other trial."""
        return self.source.removeprefix(RECIPE) if self.source.startswith(RECIPE) else None

    @property
    def published(self) -> str | None:
        """Name of the published recipe that it is; None for any other trial."""
        return None if self.recipe is None or self.recipe.startswith(PAST) else self.recipe

    @property
    def is_baseline(self) -> bool:
        """Whether it is one of the recipes that every study trains to the end."""
        return self.recipe in BASELINES

    @property
    def is_alone(self) -> bool:
        """Whether it is the recipe that trains the student alone, by hand."""
        return self.recipe == ALONE

    @property
    def score(self) -> float | None:
        """Validation score at its last rung."""
        return self.rungs[-1].score if self.rungs else None

    @property
    def seconds(self) -> float:
        """Wall time of its rungs."""
        return sum(rung.seconds for rung in self.rungs)

    @property
    def ended(self) -> float | None:
        """When it last ended a rung, or failed, seconds since 1970; None where it did neither yet, or none is known."""
        return self.failed or (self.rungs[-1].ended if self.rungs else None)

    @property
    def why_failed(self) -> str:
        """Kind and reason of its failure; "" where it did not fail."""
        return "" if self.failure is None else f"{self.failure['kind']}: {self.failure['reason']}"

    def state(self, top_rung: int) -> str:
        """Return "failed", "complete" (it reached the top rung), "paused" (shorter) or "running" (nothing yet)."""
        if self.failure is not None:
            return "failed"
        if not self.rungs:
            return "running"
        return "complete" if self.rungs[-1].rung == top_rung else "paused"


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A suggestion of the sampler whose student exceeds the budget; it was never trained.

    Args:
      params: the sampler's parameters by path.
      excess: the largest cost over its limit, > 1.
    """

    params: Mapping[str, Any]
    excess: float


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One training run outside explore.

    Args:
      stage: "noise", "select", "tune", "choose", "claim" or "ablate".
      round: 0, or more where a finished study was continued.
      arm: "trial 12" in select; else the name of the arm.
      variant: grid point in tune, for instance "learning_rate x0.4"; the slot that was swapped in ablate; "" elsewhere.
      seed: the run's seed.
      pipeline: the plain pipeline.
      score, loss: on validation.
      seconds: wall time.
      failure: None, or {"kind": …, "reason": …}; score is then the metric's worst, 0 for shares.
      metrics: value of every metric on validation, by name; {} for a run that failed.
      ended: when it was recorded, seconds since 1970, or None.
    """

    stage: str
    round: int
    arm: str
    variant: str
    seed: int
    pipeline: Mapping[str, Any]
    score: float
    loss: float
    seconds: float
    failure: Mapping[str, str] | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    ended: float | None = field(default=None, compare=False)


@dataclass
class Records:
    """What the events add up to.

    Args:
      trials: by number, in order.
      refused: what was refused before a trial, by its number.
      in_flight: (trial, rung) of the rungs that were begun and have no outcome yet, in the order of submission.
      runs: the runs that measured the noise and confirm's, in order.
      past_students: of each similar past study, the students that were scored without training and then trained.
      screen, screening: the screened students in the order in which they are tried, and what else screening says.
      latencies: measured milliseconds, by `autokd.search.limits.network_key`.
      designs: how many seeds each stage of confirm takes, and why.
      choices: which trial select chose and why; a round's last one counts.
      uses: which arm is recommended and what it is to be compared with; a round's last one counts.
      claims: one a round.
      trainings: how long the recommended pipeline is trained at the end, where that was asked for; one a round.
      seconds: wall time spent in each stage, added up over resumptions.
      artefacts: what components prepared before their pipelines were trained, where it was not there yet.
      bank, profile: what the teacher bank did in every session, and where the time went in every profiled one.
      begun: when a rung was submitted that is under way, by (trial, rung).
      stages: every stage that ended, in all sessions, in order; each session begins with "prepare".
      times: when each event was recorded, seconds since 1970.
    """

    trials: dict[int, TrialRecord] = field(default_factory=dict)
    refused: dict[int, tuple[Refused, ...]] = field(default_factory=dict)
    in_flight: list[tuple[int, int]] = field(default_factory=list)
    runs: list[RunRecord] = field(default_factory=list)
    past_students: list[tuple[PastStudent, ...]] = field(default_factory=list)
    screen: list[ScreenedStudent] = field(default_factory=list)
    screening: Screening = field(default_factory=Screening)
    latencies: dict[str, float] = field(default_factory=dict)
    choices: list[Choice] = field(default_factory=list)
    designs: list[Design] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    trainings: list[Training] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    artefacts: list[ArtefactRecord] = field(default_factory=list)
    bank: list[BankSession] = field(default_factory=list)
    profile: list[Profile] = field(default_factory=list)
    begun: dict[tuple[int, int], float | None] = field(default_factory=dict, compare=False)
    stages: list[StageEnd] = field(default_factory=list, compare=False)
    times: list[float] = field(default_factory=list, compare=False)
    _now: float | None = field(default=None, compare=False, repr=False)

    @property
    def claim(self) -> Claim | None:
        """The newest claim, or None."""
        return self.claims[-1] if self.claims else None

    def apply(self, event: Mapping[str, Any]) -> None:
        """Add one event."""
        values = {key: value for key, value in event.items() if key not in ("event", "time")}
        self._now = event.get("time")
        getattr(self, f"_on_{event['event']}")(values)
        if self._now is not None:
            self.times.append(self._now)

    def _on_trial(self, values: dict[str, Any]) -> None:
        named = {**values, "source": old.source_name(values["source"])}
        self.trials[values["number"]] = TrialRecord(**named, began=self._now)
        self._begin(values["number"], 0)

    def _on_refused(self, values: dict[str, Any]) -> None:
        self.refused[values["number"]] = tuple(Refused(**draw) for draw in values["draws"])

    def _on_promote(self, values: dict[str, Any]) -> None:
        self._begin(values["number"], values["rung"])

    def _begin(self, number: int, rung: int) -> None:
        self.in_flight.append((number, rung))
        self.begun[number, rung] = self._now

    def _on_rung(self, values: dict[str, Any]) -> None:
        trial = self.trials[values.pop("number")]
        rung = RungRecord(**{**values, "curve": tuple(values["curve"])}, ended=self._now)
        self.trials[trial.number] = dataclasses.replace(trial, rungs=(*trial.rungs, rung))
        self._landed(trial.number)

    def _on_failure(self, values: dict[str, Any]) -> None:
        trial = self.trials[values.pop("number")]
        self.trials[trial.number] = dataclasses.replace(trial, failure=values, failed=self._now)
        self._landed(trial.number)

    def _landed(self, number: int) -> None:
        self.in_flight = [flight for flight in self.in_flight if flight[0] != number]
        self.begun = {flight: began for flight, began in self.begun.items() if flight[0] != number}

    def _on_run(self, values: dict[str, Any]) -> None:
        self.runs.append(RunRecord(**{**values, "arm": old.arm_name(values["arm"])}, ended=self._now))

    def _on_past_students(self, values: dict[str, Any]) -> None:
        self.past_students = [tuple(map(PastStudent.from_plain, study)) for study in values["studies"]]

    def _on_screen(self, values: dict[str, Any]) -> None:
        self.screen, self.screening = screening_of(values, [*self.screen, *self.screening.later])

    def _on_scored(self, values: dict[str, Any]) -> None:
        self.screening.later.append(ScreenedStudent.from_plain(values["student"]))

    def _on_latency(self, values: dict[str, Any]) -> None:
        self.latencies.setdefault(values["network"], values["milliseconds"])

    def _on_choice(self, values: dict[str, Any]) -> None:
        self.choices.append(Choice.from_plain(values))

    def _on_design(self, values: dict[str, Any]) -> None:
        self.designs.append(Design.from_plain(values))

    def _on_use(self, values: dict[str, Any]) -> None:
        self.uses.append(Use.from_plain(values))

    def _on_claim(self, values: dict[str, Any]) -> None:
        self.claims.append(Claim.from_plain(old.claim_of_today(values)))

    def _on_training(self, values: dict[str, Any]) -> None:
        self.trainings.append(Training(**values))

    def _on_evidence(self, values: dict[str, Any]) -> None:
        self._on_claim(old.claim_from_evidence(values))

    def _on_artefact(self, values: dict[str, Any]) -> None:
        self.artefacts.append(ArtefactRecord(**values))

    def _on_bank(self, values: dict[str, Any]) -> None:
        self.bank.append(BankSession.from_plain(values))

    def _on_profile(self, values: dict[str, Any]) -> None:
        self.profile.append(Profile(**values))

    def _on_seconds(self, values: dict[str, Any]) -> None:
        self.seconds[values["stage"]] = self.seconds.get(values["stage"], 0.0) + values["seconds"]
        self.stages.append(StageEnd(values["stage"], values["seconds"], self._now))


class RecordLog:
    """The file of events: reads it once, then appends.

    Args:
      path: `trials.jsonl`; made where it is missing, unless `read_only`.
      read_only: never write; a torn last line is passed over.

    Raises:
      StudyError: a line other than the last cannot be read.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.records = Records()
        self._read = 0
        self.catch_up()
        if not read_only and path.exists() and path.stat().st_size > self._read:
            os.truncate(path, self._read)

    def catch_up(self) -> bool:
        """Read what another process has added since; whether there was anything.

        Raises:
          StudyError: a line other than the last cannot be read.
        """
        before, lines = self._read, lines_from(self.path, self._read)
        for number, line in enumerate(lines):
            if not self._applied(line):
                if number + 1 < len(lines):
                    at = f"{self.path}: the line at byte {self._read}"
                    raise StudyError(f"{at} is damaged; move the file away to start anew")
                break
            self._read += len(line)
        return self._read > before

    def _applied(self, line: bytes) -> bool:
        """Add a line's event to the records; False where it is no event that fits them."""
        event = event_of(line)
        if event is None:
            return False
        try:
            self.records.apply(event)
        except (AttributeError, KeyError, TypeError):
            return False
        return True

    def append(self, event: str, **values: Any) -> None:
        """Write one event, flush it to disk with all before it, and add it to the records."""
        line = {"event": event, "time": round(time.time(), 3), **values}
        text = json.dumps(line, allow_nan=False) + "\n"
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if event not in FOLLOWING:
                os.fsync(file.fileno())
        self._read += len(text.encode())
        self.records.apply(json.loads(text))
