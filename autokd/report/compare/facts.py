"""Several studies side by side: whether they can be compared, what each recommends, what differs, what it cost.

All are pure functions of the studies' records. The test split is not read: answers on it were kept with the claim.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from autokd.files import clean
from autokd.metrics import METRICS, predictions
from autokd.objective import shown_limit
from autokd.report import words
from autokd.report.sections.recommendation.verdict import headline
from autokd.report.tables import flat
from autokd.study import comparison
from autokd.study.answers import answers_file, read_answers
from autokd.study.arms import ALONE, KD
from autokd.study.checks import check, count
from autokd.study.claim import Claim
from autokd.study.comparison import Pair
from autokd.study.means import Mean, means_of
from autokd.study.store import StudyStore

FEWEST = 5
"""Trials on each side below which an effect of a loss is no more than a hint."""
FAR = 2.0
"""Times by which two numbers differ before that is marked."""


class Gain(NamedTuple):
    """A difference of values on test, with its 95 % interval and a verdict."""

    difference: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a study comes to.

    Args:
      label: its name, or its path where two have one name.
      state: "finished" or "unfinished".
      result: the decision in a few words; without a claim how far it is.
      metric: name of its first objective.
      test: values of what is recommended, one a seed.
      over_alone, over_kd: what is recommended minus the student alone, and minus KD, where they were compared.
      kd_over_alone: plain KD minus the student alone, where both were asked about test and their answers are kept.
      used_kind: the kind of arm that is recommended; "" without a claim.
      over_first: minus what the first study recommends, on the same test items; None on other ones.
      params: of the recommended student, or None.
      seconds: that the study took.
      failed: trials.
      stops, warnings: of its checks.
    """

    label: str
    state: str
    result: str
    metric: str
    over_first: Gain | None
    seconds: float
    failed: int
    stops: int
    warnings: int
    test: tuple[float, ...] = ()
    over_alone: Gain | None = None
    over_kd: Gain | None = None
    kd_over_alone: Mean | None = None
    used_kind: str = ""
    params: float | None = None


class Fact(NamedTuple):
    """Something by name, one text a study; whether all say the same, and whether two numbers are far apart."""

    name: str
    values: tuple[str, ...]
    same: bool
    far: bool = False


class LossEffect(NamedTuple):
    """What a loss is worth after the shortest rung: median with it less median without, and trials of each."""

    difference: float
    with_it: int
    without: int

    @property
    def sure(self) -> bool:
        """Whether there are enough on each side to be more than a hint."""
        return min(self.with_it, self.without) >= FEWEST


def labels(studies: Sequence[StudyStore]) -> list[str]:
    """Return what each study is called: its name, or its path where others have that name, too; printable."""
    counts = Counter(study.name for study in studies)
    return [clean(study.name if counts[study.name] == 1 else str(study.path)) for study in studies]


def rows(studies: Sequence[StudyStore]) -> list[Row]:
    """Return what each study comes to, in the order in which they are given."""
    return [_row(study, label, studies[0]) for study, label in zip(studies, labels(studies), strict=True)]


def _row(study: StudyStore, label: str, first: StudyStore) -> Row:
    records, claim, checks = study.records, study.records.claim, check(study)
    row = Row(
        label=label,
        state="finished" if study.finished else "unfinished",
        result=_so_far(study),
        metric=study.objective.metric.name,
        over_first=None if study is first else paired(study, first),
        seconds=sum(records.seconds.values()),
        failed=sum(trial.failure is not None for trial in records.trials.values()),
        stops=count(checks, "stop"),
        warnings=count(checks, "warn"),
    )
    return row if claim is None else _claimed(row, study, claim)


def _claimed(row: Row, study: StudyStore, claim: Claim) -> Row:
    """A row of a study with a claim."""
    return dataclasses.replace(
        row,
        result=headline(claim),
        test=tuple(claim.used.test),
        over_alone=_gain(claim, ALONE),
        over_kd=_gain(claim, KD),
        kd_over_alone=_kd_over_alone(study, claim),
        used_kind=claim.used.kind,
        params=claim.used.cost.get("params"),
    )


def _so_far(study: StudyStore) -> str:
    trials, best = study.records.trials.values(), study.best
    if best is None or best.score is None:
        return f"no result: all {len(trials)} trials failed" if trials else "no trial yet"
    metric = study.objective.metric
    return f"no claim yet; best of {len(trials)} trials {metric.text(metric.value(best.score))} on validation"


def _gain(claim: Claim, kind: str) -> Gain | None:
    """What is recommended minus the arm of a kind, or one by hand that is so."""
    for name, found in claim.comparisons.items():
        arm = claim.arm(name)
        if arm is not None and kind in (arm.kind, arm.recipe):
            return Gain(found.difference, found.low, found.high, found.verdict)
    return None


def _kd_over_alone(study: StudyStore, claim: Claim) -> Mean | None:
    """Plain KD minus no teacher, the matched arms before those by hand."""
    names = [
        next((arm.name for arm in claim.arms if kind in (arm.kind, arm.recipe) and arm.test), None)
        for kind in (KD, ALONE)
    ]
    return None if None in names else means_of(study.path, claim).difference(str(names[0]), str(names[1]))


def paired(study: StudyStore, other: StudyStore) -> Gain | None:
    """Return what one study recommends minus what the other does, on the same test items; None where these differ.

    Both are measured on the answers that their claims kept; of unequal numbers of seeds the first ones count.
    """
    metric = study.objective.metric
    if (metric.name, study.settings.data.name) != (other.objective.metric.name, other.settings.data.name):
        return None
    mine, its = _kept(study), _kept(other)
    if mine is None or its is None or not np.array_equal(mine[0], its[0]):
        return None
    seeds = min(len(mine[1]), len(its[1]))
    if seeds < 2:
        return None
    found = {"this": mine[1][:seeds], "other": its[1][:seeds]}
    compared = comparison.compare_measured(metric, comparison.measure(metric, found), Pair("this", "other"))
    return Gain(compared.difference, compared.low, compared.high, compared.verdict)


def _kept(study: StudyStore) -> tuple[Any, list[Any]] | None:
    """Labels of the test items and what each seed of the recommended arm answered; None where nothing was kept."""
    claim = study.records.claim
    if claim is None:
        return None
    kept = read_answers(answers_file(study.path, claim.round)) or {}
    on_test = kept.get("labels/test")
    if on_test is None:
        return None
    names = [f"{claim.use}/{seed}/test" for seed in range(len(claim.used.claimed))]
    return on_test.numpy(), [predictions(kept[name].float(), on_test) for name in names if name in kept]


def conditions(studies: Sequence[StudyStore]) -> list[Fact]:
    """Return what must be the same before scores of studies can be compared."""
    return [
        _fact("dataset", [study.settings.data.name for study in studies]),
        _fact("content of the data", [(study.settings.data.task.fingerprint or "–")[:12] for study in studies]),
        _fact("train, validation, test", [_sizes(study) for study in studies]),
        _fact("teacher", [_teacher(study) for study in studies]),
        _fact("metric", [study.objective.metric.title for study in studies]),
        _fact("epochs", [str(study.rung_epochs[-1]) for study in studies]),
        _fact("limits", [_limits(study) for study in studies]),
    ]


def _sizes(study: StudyStore) -> str:
    data = study.settings.data
    return ", ".join(map(words.count, (data.train, data.validation, data.test)))


def _teacher(study: StudyStore) -> str:
    teacher = study.settings.teacher
    return "none" if teacher is None else teacher.fingerprint[:12]


def _limits(study: StudyStore) -> str:
    limits = study.settings.identity.limits
    return ", ".join(shown_limit(name, most) for name, most in limits.items() if most is not None) or "none"


def differing(studies: Sequence[StudyStore]) -> list[Fact]:
    """Return settings and parts of what is recommended in which the studies differ."""
    asked = [{name: setting.value for name, setting in study.settings.settings.items()} for study in studies]
    found = [flat(_pipeline(study)) for study in studies]
    facts = [
        _fact(name.replace("_", " "), [row.get(name) for row in side])
        for side in (asked, found)
        for name in dict.fromkeys(itertools.chain.from_iterable(side))
        if name != "study"
    ]
    return [fact for fact in facts if not fact.same]


def _pipeline(study: StudyStore) -> Mapping[str, Any]:
    """What is recommended, else the best trial's."""
    claim, best = study.records.claim, study.best
    return claim.used.pipeline if claim is not None else {} if best is None else best.pipeline


def _fact(name: str, values: Sequence[Any]) -> Fact:
    texts = tuple("–" if value is None else clean(_text(value)) for value in values)
    numbers = [float(v) for v in values if isinstance(v, (int, float)) and not isinstance(v, bool) and v > 0]
    far = len(numbers) > 1 and max(numbers) >= FAR * min(numbers)
    return Fact(name, texts, len(set(texts)) == 1, far)


def _text(value: Any) -> str:
    """4000.0 -> "4,000", 0.0085 -> "0.0085"; whatever is no fraction as it is anywhere."""
    return words.figure(value) if isinstance(value, float) else words.value(value)


def loss_effects(studies: Sequence[StudyStore]) -> dict[str, list[LossEffect | None]]:
    """Return by name of a loss what it was worth in each study; None where all trials have it, or none."""
    names = {name for study in studies for trial in study.records.trials.values() for name in trial.pipeline["losses"]}
    found = {name: [_loss_effect(name, study) for study in studies] for name in sorted(names)}
    return {name: effects for name, effects in found.items() if any(effects)}


def _loss_effect(name: str, study: StudyStore) -> LossEffect | None:
    scored = [trial for trial in study.records.trials.values() if trial.rungs]
    on = [trial.rungs[0].score for trial in scored if name in trial.pipeline["losses"]]
    off = [trial.rungs[0].score for trial in scored if name not in trial.pipeline["losses"]]
    if not on or not off:
        return None
    difference = study.objective.metric.value(statistics.median(on) - statistics.median(off))
    return LossEffect(difference, len(on), len(off))


def by_gain(found: Sequence[Row]) -> list[Row]:
    """Return rows with the largest gain over the student alone first; those without any last."""

    def worth(row: Row) -> float:
        return -np.inf if row.over_alone is None else METRICS[row.metric].score(row.over_alone.difference)

    return sorted(found, key=worth, reverse=True)


def file_name(studies: Sequence[StudyStore]) -> Path:
    """Return the name of the page's file: safe on any disk, of at most 80 characters and the ending."""
    names = "-".join("".join(c if c.isascii() and c.isalnum() else "_" for c in study.name) for study in studies)
    return Path(f"compare-{names}"[:80] + ".html")
