"""The trials that past studies advised: what was expected of each, and what it reached beside KD by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from autokd.metrics import Metric
from autokd.report import words
from autokd.report.tables import Row
from autokd.study.arms import ALONE, KD
from autokd.study.past import AdvisedRule
from autokd.study.ranking import ranked
from autokd.study.records import TrialRecord

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


class Line(NamedTuple):
    """An advised recipe that was tried.

    Args:
      trial: as recorded.
      advised: what was expected of it.
      gain: its score less that of KD by hand, at the last length that both reached; None where there is none.
      epochs: of that length.
      metric: that scores are of.
    """

    trial: TrialRecord
    advised: AdvisedRule
    gain: float | None
    epochs: int | None
    metric: Metric

    @property
    def origin(self) -> str:
        """Whether it is a known recipe or a rule of past studies."""
        return "known recipe" if self.trial.published else "rule of past studies"

    @property
    def expected(self) -> str:
        """The expected gain with its interval."""
        interval = self.advised.interval
        within = "" if interval is None else f" [{', '.join(words.difference(end, self.metric) for end in interval)}]"
        return words.difference(self.advised.gain, self.metric) + within

    @property
    def reached(self) -> str:
        """The gain that it reached."""
        return "failed" if self.trial.failure else words.difference(self.gain, self.metric)

    @property
    def as_expected(self) -> bool | None:
        """Whether the gain lies in the interval; None where one of the two is not known."""
        if self.gain is None or self.advised.interval is None:
            return None
        return self.advised.interval[0] <= self.gain <= self.advised.interval[1]


def predicted(study: StudyStore) -> list[Line]:
    """Return the advised recipes that were tried, in the order of their trials."""
    past, trials = study.settings.past, study.records.trials.values()
    if past is None:
        return []
    by_hand = _by_hand(trials)
    tried = ((trial, past.rule(trial.recipe)) for trial in trials)
    return [_line(study, trial, advised, by_hand) for trial, advised in tried if advised is not None]


def heading(study: StudyStore, lines: Sequence[Line]) -> str:
    """Return what past studies were worth, in a line."""
    past = study.settings.past
    if past is None or not past.advised:
        return "No past study was about this kind of input"
    if not lines:
        return "Nothing that past studies advised was tried yet"
    best, what = _best(lines), words.number_of(len(lines), "recipe")
    if best is None or best.gain is None:
        return f"Past studies advised {what}; none of them can be compared with KD by hand yet"
    return (
        f"Of {what} that past studies advised, the best is {_beside(best.gain, best.metric)} KD by hand on validation"
    )


def of_pick(study: StudyStore) -> Iterator[str]:
    """Yield whether the search's pick came from past studies, and how far it is beyond the best of theirs."""
    lines, claim = predicted(study), study.records.claim
    best = _best(lines)
    if best is None:
        return
    pick = study.best if claim is None else study.records.trials.get(claim.trial)
    if pick is None:
        return
    who = "The trial that leads" if claim is None else "The search's pick"
    if pick.number == best.trial.number:
        yield f"{who}, trial {pick.number}, is the best of them: {best.advised.title}."
        return
    if any(line.trial.number == pick.number for line in lines):
        yield f"{who}, trial {pick.number}, is one of them."
        return
    beyond, epochs = _apart(pick, best.trial)
    if beyond is None:
        yield f"{who}, trial {pick.number}, is none of them."
        return
    yield (
        f"{who}, trial {pick.number}, is none of them: after {words.number_of(epochs, 'epoch')} it is "
        f"{_beside(beyond, best.metric)} the best of theirs, trial {best.trial.number}, one run each."
    )


def _beside(gain: float, metric: Metric) -> str:
    """How a score stands beside another one, given the difference."""
    if not float(metric.number(gain)):
        return "as good as"
    return f"{metric.apart(abs(gain))} {'better' if gain > 0 else 'worse'} than"


def of_expected(lines: Sequence[Line]) -> Iterator[str]:
    """Yield how often the gains were as expected."""
    known = [line.as_expected for line in lines if line.as_expected is not None]
    if known:
        yield f"{sum(known)} of {words.number_of(len(known), 'gain')} lie in the interval in which 95 % were expected."


def rows(study: StudyStore) -> list[Row]:
    """Return one row an advised recipe that was tried."""
    return [
        {
            "trial": line.trial.number,
            "recipe": line.advised.name,
            "title": line.advised.title,
            "expected_gain": line.advised.gain,
            "low": None if line.advised.interval is None else line.advised.interval[0],
            "high": None if line.advised.interval is None else line.advised.interval[1],
            "gain": line.gain,
            "epochs": line.epochs,
        }
        for line in predicted(study)
    ]


def _by_hand(trials: Iterable[TrialRecord]) -> TrialRecord | None:
    """KD by hand, or without a teacher the student alone."""
    known = {trial.recipe: trial for trial in trials if trial.is_baseline}
    return known.get(KD) or known.get(ALONE)


def _line(study: StudyStore, trial: TrialRecord, advised: AdvisedRule, by_hand: TrialRecord | None) -> Line:
    gain, epochs = (None, 0) if by_hand is None or trial.failure else _apart(trial, by_hand)
    return Line(trial, advised, gain, epochs or None, study.objective.metric)


def _apart(trial: TrialRecord, other: TrialRecord) -> tuple[float | None, int]:
    """How much better a trial is than another one at the last length that both reached, and that length in epochs."""
    both = list(zip(trial.rungs, other.rungs, strict=False))
    return (both[-1][0].score - both[-1][1].score, both[-1][0].epochs) if both else (None, 0)


def _best(lines: Sequence[Line]) -> Line | None:
    """The best of the advised trials: the longest first, then by score."""
    by_number = {line.trial.number: line for line in lines}
    return next((by_number[trial.number] for trial in ranked(line.trial for line in lines)), None)
