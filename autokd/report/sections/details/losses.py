"""What each loss term did: its share of the gradient, and its values."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from autokd.errors import ComponentError
from autokd.report import words
from autokd.report.tables import Row
from autokd.spec import component_from_plain
from autokd.study.arms import KD, phrase_of
from autokd.study.records import TrialRecord

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


LITTLE = 0.05
"""Share of the gradient below which a loss hardly counts."""


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


class ShareLine(NamedTuple):
    """A loss's share of the gradient in a trial.

    Args:
      of: what the trial is, "" where the line above is of the same trial.
      name: of the loss.
      share: of the sum of the norms after the longest training, 0 to 1.
      before: (epochs, share) after shorter ones.
    """

    of: str
    name: str
    share: float
    before: tuple[tuple[int, float], ...]


def gradient_shares(study: StudyStore) -> list[ShareLine]:
    """Return the shares of the gradient of each loss in the best trial and in plain KD by hand; [] where not taken."""
    best, trials = study.best, study.records.trials.values()
    kd = next((trial for trial in trials if trial.recipe == KD), None)
    wanted = [(f"trial {best.number}, the best", best)] if best is not None else []
    if kd is not None and kd is not best:
        wanted.append((f"trial {kd.number}, {phrase_of(KD)} by hand", kd))
    return [line for title, trial in wanted for line in _shares_of(title, trial)]


def _shares_of(title: str, trial: TrialRecord) -> list[ShareLine]:
    ends = [(rung.epochs, _shares(rung.curve[-1].get("gradient_norms", {}))) for rung in trial.rungs if rung.curve]
    shares = [(epochs, found) for epochs, found in ends if found]
    if not shares or len(shares[-1][1]) < 2:
        return []
    lines: list[ShareLine] = []
    for name, share in sorted(shares[-1][1].items(), key=lambda row: -row[1]):
        before = tuple((epochs, found[name]) for epochs, found in shares[:-1] if name in found)
        lines.append(ShareLine("" if lines else title, name, share, before))
    return lines


def _shares(norms: Mapping[str, float]) -> dict[str, float]:
    """Each norm's share of their sum; {} where that is 0."""
    total = sum(norms.values())
    return {name: norm / total for name, norm in norms.items()} if total else {}


def of_shares(lines: list[ShareLine]) -> str:
    """Return what the shares say, a sentence: which loss leads, and which hardly count."""
    own = list(itertools.takewhile(lambda line: line is lines[0] or not line.of, lines))
    little = [line.name for line in own if line.share < LITTLE]
    text = f"In {own[0].of}, {own[0].name} makes {words.percent(own[0].share)} of the gradient"
    return (
        f"{text}; {words.listed(little)} hardly {'counts' if len(little) == 1 else 'count'}." if little else f"{text}."
    )


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
