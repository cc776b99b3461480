"""A study as a card: what the data, the teacher and the limits were, and what each pipeline reached on validation."""

from __future__ import annotations

import dataclasses
import functools
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_args, get_origin, get_type_hints

from scipy.special import ndtri

from autokd.checks import checked
from autokd.knowledge.taught import rule_from
from autokd.metrics import METRICS, Metric
from autokd.recipes import Rule
from autokd.spec import fingerprint
from autokd.study.past import PastStudent

HAND_KD, ALONE = "recipe:kd", "recipe:alone"
"""Sources of the runs that all others are measured against."""
TRAINED_BADLY = ("not_finite", "out_of_memory")
"""Failures that are the pipeline's own; others are the machine's or a mistake's."""


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What a study was about, as numbers and as names that autokd gives.

    Args:
      study: fingerprint of what makes the study this study, which it keeps when it grows; "" for runs of no study.
      data: fingerprint of the data, by which a base knows its own data again; made anew by `autokd.knowledge.learn`.
      modality: kind of input.
      objective: name of the metric that scores are of.
      train, validation: samples of each split.
      class_counts: training samples of each class, the largest class first.
      input_shape: of one sample, as a network sees it.
      teacher: value of every metric on validation, by name, and "params" and "macs" where they are known; {}: none.
      teacher_kind: name of the component that loaded it; "" for none.
      teacher_weights: fingerprint of its content, by which it is known again; "" where that is not known.
      limits: largest value of each cost that was limited, by name.
      epochs: of a run to the end.
      seed: of the study.
      space: fingerprint of the search space.
      device: "cpu" or "cuda".
      versions: of autokd and torch, by name.
      family: what tells the source of the data from others, where several data are of one; "": they are not.

    Raises:
      TypeError, ValueError: a fact is not of its type, or the metric is none of autokd's.
    """

    study: str = ""
    data: str
    modality: str
    objective: str
    train: int
    validation: int
    class_counts: tuple[int, ...]
    input_shape: tuple[int, ...]
    teacher: Mapping[str, float] = field(default_factory=dict)
    teacher_kind: str = ""
    teacher_weights: str = ""
    limits: Mapping[str, float] = field(default_factory=dict)
    epochs: int
    seed: int
    space: str
    device: str
    versions: Mapping[str, str] = field(default_factory=dict)
    family: str = ""

    def __post_init__(self) -> None:
        for name, hint in _hints().items():
            object.__setattr__(self, name, _read(getattr(self, name), hint))
        if self.objective not in METRICS:
            raise ValueError(f"there is no metric {self.objective!r}")

    @property
    def source(self) -> str:
        """What data of one source have in common: statistics count them once."""
        return self.family or self.data

    @property
    def metric(self) -> Metric:
        """The metric that scores are of."""
        return METRICS[self.objective]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_counts)

    def to_plain(self) -> dict[str, Any]:
        """Return the facts as JSON-able data, without those that are empty."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value not in ("", {})}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> StudyFacts:
        """Inverse of `to_plain`, after JSON turned tuples into lists.

        Raises:
          TypeError, ValueError: a fact is missing, there is one too many, or it is not of its type.
        """
        return cls(**plain)


@functools.cache
def _hints() -> Mapping[str, Any]:
    return get_type_hints(StudyFacts)


def _read(value: Any, hint: Any) -> Any:
    """A fact as its type wants it; JSON has lists for tuples."""
    if get_origin(hint) is Mapping:
        key, of = get_args(hint)
        return {checked(name, key): checked(item, of) for name, item in dict(value).items()}
    return checked(tuple(value) if isinstance(value, list) else value, hint)


@dataclass(frozen=True, kw_only=True)
class CardRun:
    """One training run of a study.

    Args:
      source: of the trial ("recipe:kd", "design", "tpe", …), or the stage of the search outside explore ("choose").
      pipeline: plain.
      seed: of the run.
      epochs: trained.
      score: of the study's objective on validation, more is better; None where the run failed.
      curve: score after each epoch, as far as it was scored.
      seconds: wall time.
      params, macs: of the student.
      failure: kind of the failure; "" for none.
    """

    source: str
    pipeline: Mapping[str, Any]
    seed: int
    epochs: int
    score: float | None
    curve: tuple[float, ...] = ()
    seconds: float
    params: int
    macs: int
    failure: str = ""

    @cached_property
    def key(self) -> str:
        """What tells its pipeline from others."""
        return fingerprint(self.pipeline)


@dataclass(frozen=True, kw_only=True)
class StudyCard:
    """A study, for those that come after it.

    Args:
      facts: what it was about.
      runs: the trials by number, then those outside explore in the order in which they ended.
      students: those that were scored without training and then trained; () where it screened none.
    """

    facts: StudyFacts
    runs: tuple[CardRun, ...]
    students: tuple[PastStudent, ...] = ()

    @cached_property
    def digest(self) -> str:
        """16 hex digits that stand for the whole content."""
        names = [item.name for item in dataclasses.fields(CardRun)]
        runs = [{name: getattr(run, name) for name in names} for run in self.runs]  # a deep copy would take seconds
        students = [dataclasses.asdict(student) for student in self.students]
        return fingerprint(
            {"facts": self.facts.to_plain(), "runs": runs, **({"students": students} if students else {})}
        )

    @property
    def study(self) -> str:
        """What tells its study from others, 16 hex digits: runs of no study are told from others by what they are."""
        return self.facts.study or self.digest

    @cached_property
    def worth(self) -> dict[str, float]:
        """Mean score over seeds of each pipeline that was trained to the end, by the key of the pipeline.

        A pipeline that could not be trained under a seed counts the metric's worst there. What failed by the machine's
        fault or by a mistake counts as not tried.
        """
        found: dict[str, list[float]] = {}
        for run in self.runs:
            if run.failure in TRAINED_BADLY or (not run.failure and run.epochs >= self.facts.epochs):
                score = self.facts.metric.worst_score if run.score is None else run.score
                found.setdefault(run.key, []).append(score)
        return {key: statistics.fmean(scores) for key, scores in found.items()}

    @cached_property
    def rules(self) -> dict[str, Rule]:
        """Each pipeline that was trained to the end as a rule, by its key; those that are none are left out."""
        runs = {run.key: run for run in self.runs if run.key in self.worth}
        return {key: rule for key, run in runs.items() if (rule := rule_from(run.pipeline)) is not None}

    @cached_property
    def quantiles(self) -> dict[str, float]:
        """Rank of each pipeline within the study as a quantile of the normal distribution, by its key; more is better.

        Ranks are comparable between studies, and scores are not (Salinas et al., ICML 2020, arXiv 1909.13595).
        """
        ordered = sorted(self.worth.values())
        below = {value: ordered.index(value) for value in ordered}
        same = {value: ordered.count(value) for value in ordered}
        n = len(ordered)
        middle = {value: (below[value] + 0.5 * (same[value] + 1)) / (n + 1) for value in ordered}
        return {key: float(ndtri(middle[value])) for key, value in self.worth.items()}

    def baseline(self, source: str) -> float | None:
        """Return the mean score of a recipe that was trained to the end and never failed, or None.

        Args:
          source: `HAND_KD` or `ALONE`.
        """
        keys = {run.key for run in self.runs if run.source == source}
        failed = {run.key for run in self.runs if run.failure}
        return next((self.worth[key] for key in keys - failed if key in self.worth), None)

    @cached_property
    def gains(self) -> dict[str, float]:
        """Score of each pipeline less that of KD by hand, by its key; {} where that was not trained to the end."""
        by_hand = self.baseline(HAND_KD)
        return {} if by_hand is None else {key: score - by_hand for key, score in self.worth.items()}

    @property
    def best_gain(self) -> float | None:
        """The largest of the gains; None where there is none."""
        return max(self.gains.values(), default=None)
