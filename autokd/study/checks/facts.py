"""What checks look at: a study, and what follows from its records and files, each computed once."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from autokd.metrics import Metric
from autokd.study.answers import answers_file
from autokd.study.noise import estimate

if TYPE_CHECKING:
    from autokd.study.claim import Claim
    from autokd.study.design import Noise
    from autokd.study.learned import Answered, Learned
    from autokd.study.means import Mean
    from autokd.study.plain_models import PlainModel
    from autokd.study.records import Records, TrialRecord
    from autokd.study.store import StudyStore


class Facts:
    """What checks look at.

    Args:
      study: opened for reading.
    """

    def __init__(self, study: StudyStore) -> None:
        self.study = study

    @property
    def records(self) -> Records:
        """What happened in the study."""
        return self.study.records

    @property
    def claim(self) -> Claim | None:
        """The newest claim, or None."""
        return self.study.records.claim

    @property
    def metric(self) -> Metric:
        """The study's first objective."""
        return self.study.objective.metric

    @functools.cached_property
    def noise(self) -> Noise | None:
        """Spread of a score between seeds, or None."""
        return estimate(self.records)

    @property
    def pick(self) -> TrialRecord | None:
        """The trial that the search picked; None without a claim, or where there is no such trial."""
        return None if self.claim is None else self.records.trials.get(self.claim.trial)

    @functools.cached_property
    def learned(self) -> Learned | None:
        """What the claim's students answered on test; None where no answers are kept."""
        from autokd.study.learned import learned

        if self.claim is None:
            return None
        runs = {arm.name: len(arm.claimed) for arm in self.claim.arms}
        return learned(answers_file(self.study.path, self.claim.round), runs)

    @property
    def used(self) -> Answered | None:
        """What the recommended students answered; None where that is not kept."""
        return None if self.claim is None or self.learned is None else self.learned.arms.get(self.claim.use)

    @functools.cached_property
    def plain(self) -> PlainModel | None:
        """The best plain model beside the recommended student; None where none was fitted."""
        from autokd.study.plain_models import best_plain_model

        claim = self.claim
        if claim is None:
            return None
        return best_plain_model(answers_file(self.study.path, claim.round), claim.use, claim.about)

    @property
    def teacher_beside_alone(self) -> Mean | None:
        """The teacher minus a student without one, on test; None where answers of both are not kept."""
        from autokd.study.means import TEACHER, means_of

        claim = self.claim
        alone = [] if claim is None else [arm for arm in claim.ordered if arm.claimed and not arm.distils]
        if claim is None or not alone:
            return None
        return means_of(self.study.path, claim).difference(TEACHER, alone[0].name)


def interval(metric: Metric, difference: float, low: float, high: float) -> str:
    """A difference with its 95 % interval: "+1.7 points [−1.1, +6.7]"."""
    text = f"{metric.signed(difference)} {metric.difference_unit}".rstrip()
    return f"{text} [{metric.signed(low)}, {metric.signed(high)}]".replace("-", "−")


def number_of(count: int, thing: str) -> str:
    """(1, "epoch") -> "1 epoch"; (2, "epoch") -> "2 epochs"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
