"""What each loss term did in the best trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from autokd.errors import ComponentError
from autokd.report.tables import Row
from autokd.spec import component_from_plain
from autokd.study.records import TrialRecord

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


class TermLine(NamedTuple):
    """What one loss term of a trial did at the end of a rung.

    Args:
      trial, epochs: which trial, at which length.
      name: the loss's name in the pipeline.
      value: its mean over the rung's last epoch, before any weight; None where it did not count there.
      weight: searched weight times the method's own scale; None where the loss is not known here.
      gradient_norm: norm of the weighted term's gradient with respect to the student's parameters, on a part of the
        last batch; None where it was not taken.
    """

    trial: int
    epochs: int
    name: str
    value: float | None
    weight: float | None
    gradient_norm: float | None

    @property
    def weighted(self) -> float | None:
        """What the term adds to the loss."""
        return None if self.weight is None or self.value is None else self.value * self.weight


def term_lines(trials: Iterable[TrialRecord]) -> list[TermLine]:
    """Return what each loss term did in each trial, rung by rung."""
    return [
        TermLine(
            trial=trial.number,
            epochs=rung.epochs,
            name=name,
            value=rung.curve[-1]["terms"].get(name),
            weight=effective_weight(trial.pipeline["losses"].get(name, {})),
            gradient_norm=rung.curve[-1].get("gradient_norms", {}).get(name),
        )
        for trial in trials
        for rung in trial.rungs
        if rung.curve and "terms" in rung.curve[-1]
        for name in dict.fromkeys([*trial.pipeline["losses"], *rung.curve[-1]["terms"]])
    ]


def effective_weight(plain: Mapping[str, Any]) -> float | None:
    """Return a plain loss's weight times its scale; None where there is no such loss here (a plug-in, say)."""
    try:
        loss = component_from_plain("losses", plain)
    except ComponentError:
        return None
    return float(loss.weight * loss.declares.scale.value)


def loss_rows(study: StudyStore) -> list[Row]:
    """Return one row a loss term of each trial."""
    lines = term_lines(study.records.trials.values())
    return [{**line._asdict(), "weighted": line.weighted} for line in lines]
