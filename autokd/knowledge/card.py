"""A study as a card: what the data, the teacher and the limits were, and what each pipeline reached on validation."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from scipy.special import ndtri

from autokd.metrics import METRICS, Metric
from autokd.spec import fingerprint

HAND_KD, ALONE = "recipe:kd", "recipe:alone"
"""Sources of the runs that all others are measured against."""


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What a study was about, as numbers and as names that autokd gives.

    Args:
      data: fingerprint of the data, by which a base knows its own data again.
      modality: kind of input.
      objective: name of the metric that scores are of.
      train, validation: samples of each split.
      class_counts: training samples of each class, the largest class first.
      input_shape: of one sample, as a network sees it.
      teacher: value of every metric on validation, by name, and "params" and "macs" where they are known; {}: none.
      teacher_kind: name of the component that loaded it; "" for none.
      limits: largest value of each cost that was limited, by name.
      epochs: of a run to the end.
      seed: of the study.
      space: fingerprint of the search space.
      device: "cpu" or "cuda".
      versions: of autokd and torch, by name.
      family: what tells the source of the data from others, where several data are of one; "": they are not.
    """

    data: str
    modality: str
    objective: str
    train: int
    validation: int
    class_counts: tuple[int, ...]
    input_shape: tuple[int, ...]
    teacher: Mapping[str, float] = field(default_factory=dict)
    teacher_kind: str = ""
    limits: Mapping[str, float] = field(default_factory=dict)
    epochs: int
    seed: int
    space: str
    device: str
    versions: Mapping[str, str] = field(default_factory=dict)
    family: str = ""

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
        """Return the facts as JSON-able data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> StudyFacts:
        """Inverse of `to_plain`, after JSON turned tuples into lists.

        Raises:
          TypeError: a fact is missing, or there is one too many.
        """
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in plain.items()}
        return cls(**values)


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
      runs: in the order in which they ended.
    """

    facts: StudyFacts
    runs: tuple[CardRun, ...]

    @cached_property
    def digest(self) -> str:
        """16 hex digits that stand for the whole content."""
        runs = [dataclasses.asdict(run) for run in self.runs]
        return fingerprint({"facts": self.facts.to_plain(), "runs": runs})

    @cached_property
    def worth(self) -> dict[str, float]:
        """Mean score over seeds of each pipeline that was trained to the end, by the key of the pipeline.

        A pipeline that failed under a seed counts the metric's worst there.
        """
        found: dict[str, list[float]] = {}
        for run in self.runs:
            if run.failure or run.epochs >= self.facts.epochs:
                score = self.facts.metric.worst_score if run.score is None else run.score
                found.setdefault(run.key, []).append(score)
        return {key: statistics.fmean(scores) for key, scores in found.items()}

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
        """Return the mean score of a recipe that was trained to the end, or None.

        Args:
          source: `HAND_KD` or `ALONE`.
        """
        return next((self.worth[run.key] for run in self.runs if run.source == source and run.key in self.worth), None)

    @property
    def gains(self) -> dict[str, float]:
        """Score of each pipeline less that of KD by hand, by its key; {} where that was not trained to the end."""
        by_hand = self.baseline(HAND_KD)
        return {} if by_hand is None else {key: score - by_hand for key, score in self.worth.items()}
