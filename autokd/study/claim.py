"""A claim: what the search recommends, and how it did against the other arms on the test split."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from autokd.errors import UserError
from autokd.metrics import METRICS, Metric
from autokd.spec import from_plain
from autokd.study.arms import (
    ALONE,
    HAND,
    PICK,
    RECOMMENDED_PHRASE,
    phrase_of,
    simplicity,
    title_of,
)
from autokd.study.choice import Candidate

Evidence = Literal["none", "same seeds", "fresh seeds"]
"""What a claim rests on: nothing but the search's own scores; runs that also chose what is recommended, with intervals
over all pairs of arms; or runs that no choice has seen."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The recommended arm minus another one: the study's first objective on test; below 0 is better for a log loss.

    Args:
      difference: of the means over seeds.
      low, high: 95 % interval.
      standard_error, df: what it rests on.
      detectable: smallest true difference that this design finds with 80 % power.
      verdict: "better", "worse" or "not distinguishable".
      seeds_needed: seeds an arm that would tell a difference of this size, or None where no number of seeds would.
      text: one sentence for people.
    """

    difference: float
    low: float
    high: float
    standard_error: float
    df: float
    detectable: float
    verdict: str
    seeds_needed: int | None
    text: str


class ArmRun(NamedTuple):
    """One training run of an arm.

    Args:
      seed: the run's.
      validation: value of the claim's metric.
      test: the same on the test split; None for a run that was not asked about it.
      variant: point of the grid in tune, for instance "learning_rate x0.5"; "" for the pipeline as it is.
    """

    seed: int
    validation: float
    test: float | None = None
    variant: str = ""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One pipeline of a claim.

    Args:
      name: distinct within the claim.
      kind: what it is: a name of `autokd.study.arms.ARM_KINDS`.
      pipeline: plain, as it was claimed: tuned where there was time for it.
      cost: of its student: {"params", "macs", "size" and, where the study looks at it, "latency"}.
      runs: by purpose: "explore" (its trial at the top rung and in select, where these chose), "tune", "choose"
        (between arms, on validation) and "claim", whose students are kept; an arm that is not compared on test has none
        of the last.
      recipe: name of the known recipe that it is, as published; None for any other.
    """

    name: str
    kind: str
    pipeline: Mapping[str, Any]
    cost: Mapping[str, float]
    runs: Mapping[str, tuple[ArmRun, ...]] = field(default_factory=dict)
    recipe: str | None = None

    @property
    def title(self) -> str:
        """What it is called at the head of a row, whether it is recommended or not."""
        return self._called(title_of(self.kind))

    @property
    def phrase(self) -> str:
        """What it is called inside a sentence, whether it is recommended or not."""
        return self._called(phrase_of(self.kind))

    @property
    def distils(self) -> bool:
        """Whether it reads a teacher."""
        return distils(self.pipeline)

    def _called(self, words: str) -> str:
        """The kind's words, with the recipe or the name where that says more; the name where the kind has no words."""
        if self.kind == HAND and self.recipe is not None:
            return f"{words} ({self.recipe})"
        if self.name == self.kind:
            return words
        return self.name if words == self.kind else f"{words} ({self.name})"

    @property
    def claimed(self) -> tuple[ArmRun, ...]:
        """The runs on the claim's seeds."""
        return self.runs.get("claim", ())

    @property
    def seeds(self) -> list[int]:
        """The claim's seeds."""
        return [run.seed for run in self.claimed]

    @property
    def validation(self) -> list[float]:
        """Validation values, one a seed of the claim."""
        return [run.validation for run in self.claimed]

    @property
    def test(self) -> list[float]:
        """Test values, one a seed of the claim."""
        return [run.test for run in self.claimed if run.test is not None]


class SplitValues(NamedTuple):
    """The teacher's value of a claim's metric, by split."""

    validation: float
    test: float


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a round of confirm found.

    Args:
      round: 0, or more where a finished study was continued.
      trials: how many there were.
      trial: number of the trial that the pick comes from; where the pick is the same pipeline as a simpler arm, there
        is that arm alone.
      use: name of the arm that is recommended.
      comparators: names of the arms that `use` is compared with on test, the one first that the verdict is about;
        fixed on validation. () without evidence.
      evidence: what the claim rests on.
      arms: every pipeline that could have been recommended or is compared.
      metric: name of the study's first objective, which all values are of.
      epochs: of every run.
      teacher: its values; None without a teacher.
      comparisons: by name of each comparator: `use` minus that arm, on test; {} without evidence.
      prediction_interval: of the test value of one more run of `use`; None without evidence.
      gap_closed: share of the gap between student alone and teacher, or None.
      n_test: items of the test split; 0 where it was not read.
      front: with several objectives, the candidates that no other one dominates, best first; else ().
      test_counts: items of each class on the test split; () where it was not read, or nobody counted.
    """

    round: int
    trials: int
    trial: int
    use: str
    comparators: tuple[str, ...]
    evidence: Evidence
    arms: tuple[Arm, ...]
    metric: str
    epochs: int
    teacher: SplitValues | None
    comparisons: Mapping[str, Comparison]
    prediction_interval: tuple[float, float] | None
    gap_closed: float | None
    n_test: int
    front: tuple[Candidate, ...] = ()
    test_counts: tuple[int, ...] = ()

    def arm(self, name: str) -> Arm | None:
        """Return the arm of a name, or None."""
        return next((arm for arm in self.arms if arm.name == name), None)

    @property
    def used(self) -> Arm:
        """The arm that is recommended."""
        return next(arm for arm in self.arms if arm.name == self.use)

    @property
    def alone(self) -> Arm | None:
        """The student without a teacher, where it was compared."""
        return next((arm for arm in self.arms if arm.kind == ALONE), None)

    @property
    def comparator(self) -> str | None:
        """Name of the arm that the verdict is about; None without evidence."""
        return self.comparators[0] if self.comparators else None

    @property
    def compared(self) -> Comparison | None:
        """The comparison that the verdict is about; None without evidence."""
        return None if self.comparator is None else self.comparisons[self.comparator]

    @property
    def ordered(self) -> list[Arm]:
        """The arms as they are shown: the recommended one first, then from the most elaborate to the simplest."""
        return sorted(self.arms, key=lambda arm: (arm.name != self.use, -simplicity(arm.kind)))

    @property
    def recommended_trial(self) -> int | None:
        """Number of the trial whose pipeline is recommended; None where another arm than the pick is."""
        return self.trial if self.used.kind == PICK else None

    def title_of(self, arm: Arm) -> str:
        """Return what an arm is called at the head of a row of this claim."""
        return f"{arm.title} (recommended)" if arm.name == self.use else arm.title

    def phrase_of(self, arm: Arm) -> str:
        """Return what an arm is called inside a sentence about this claim."""
        return RECOMMENDED_PHRASE if arm.name == self.use and arm.kind == PICK else arm.phrase

    @property
    def about(self) -> Metric:
        """The metric that all values are of."""
        return METRICS[self.metric]

    def to_plain(self) -> dict[str, Any]:
        """Return the claim as the values of its event."""
        return {
            **{item.name: getattr(self, item.name) for item in dataclasses.fields(self)},
            "arms": [_plain_arm(arm) for arm in self.arms],
            "teacher": None if self.teacher is None else self.teacher._asdict(),
            "comparisons": {name: dataclasses.asdict(compared) for name, compared in self.comparisons.items()},
            "comparators": list(self.comparators),
            "prediction_interval": None if self.prediction_interval is None else list(self.prediction_interval),
            "front": [dataclasses.asdict(candidate) for candidate in self.front],
            "test_counts": list(self.test_counts),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Claim:
        """Inverse of `to_plain`."""
        interval = plain["prediction_interval"]
        return cls(
            **{
                **plain,
                "comparators": tuple(plain["comparators"]),
                "arms": tuple(_arm(arm) for arm in plain["arms"]),
                "teacher": None if plain["teacher"] is None else SplitValues(**plain["teacher"]),
                "comparisons": {name: Comparison(**compared) for name, compared in plain["comparisons"].items()},
                "prediction_interval": None if interval is None else tuple(interval),
                "front": tuple(Candidate(**candidate) for candidate in plain["front"]),
                "test_counts": tuple(plain.get("test_counts", ())),
            }
        )


def distils(pipeline: Mapping[str, Any]) -> bool:
    """Return whether a plain pipeline reads a teacher; where a component of it is not here, by its losses alone."""
    try:
        return from_plain(pipeline).needs_teacher
    except UserError:  # for instance a plug-in's
        return set(pipeline["losses"]) != {"ce"}


def arm_runs(seeds: Sequence[int], validation: Sequence[float], test: Sequence[float | None]) -> tuple[ArmRun, ...]:
    """Return the claim's runs of one arm, given seeds and values in the same order."""
    return tuple(ArmRun(*row) for row in zip(seeds, validation, test, strict=True))


def _plain_arm(arm: Arm) -> dict[str, Any]:
    runs = {purpose: [run._asdict() for run in made] for purpose, made in arm.runs.items()}
    return {**{item.name: getattr(arm, item.name) for item in dataclasses.fields(arm)}, "runs": runs}


def _arm(plain: Mapping[str, Any]) -> Arm:
    runs = {purpose: tuple(ArmRun(**run) for run in made) for purpose, made in plain["runs"].items()}
    return Arm(**{**plain, "runs": runs})
