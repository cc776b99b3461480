"""The newest claim, read for a decision; and what can be said while there is none."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from autokd.metrics import Metric
from autokd.report import plots, words
from autokd.report.numbers import mean_interval
from autokd.report.plots import Figure
from autokd.report.sections.confirm import tuned_arms
from autokd.report.start import start_baselines, teacher_value
from autokd.study.arms import PICK, kind_of, simplicity, title_of
from autokd.study.claim import Arm, Claim, Comparison
from autokd.study.ranking import ranked
from autokd.study.records import TrialRecord

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TEACHER = "Teacher"


class Row(NamedTuple):
    """One line of the claim's table.

    Args:
      title: of the arm, or the teacher.
      cost: of the model, by name, as far as it is known.
      validation, test: value of the claim's metric, one a seed.
      colour: in figures.
      recommended: this is the arm that is recommended.
      arm: None for the teacher.
    """

    title: str
    cost: Mapping[str, float]
    validation: list[float]
    test: list[float]
    colour: str
    recommended: bool = False
    arm: Arm | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The newest claim, read for a decision.

    Args:
      claim: as recorded.
      title: the decision in a few words.
      subject, other: what is recommended, and what the verdict compares it with, inside a sentence.
      itself: both are the same pipeline: the search ended at this baseline.
      same_student: all arms have the same student.
      comparator: which one the comparator is, in words.
      simpler: it is the simpler one of the two.
      tuning: what was tuned, a sentence.
      used_tuned: the recommended arm was tuned.
      rows: of the table: the arms as they are shown, then the teacher.
      comparisons: (name of the other arm for people, comparison), the comparator's first.
      teacher_weaker: the teacher is worse on test than the student alone.
    """

    claim: Claim
    title: str
    subject: str
    other: str
    itself: bool
    same_student: bool
    comparator: str
    simpler: bool
    tuning: str
    used_tuned: bool
    rows: list[Row]
    comparisons: list[tuple[str, Comparison]]
    teacher_weaker: bool

    @property
    def status(self) -> str:
        """The verdict: "better", "worse" or "not distinguishable", against the comparator."""
        return self.claim.compared.verdict

    @property
    def metric(self) -> Metric:
        """What the claim is about, the study's first objective."""
        return self.claim.about

    @property
    def timed(self) -> bool:
        """Whether the students' latency was measured."""
        return "latency" in self.claim.used.cost


def decide(study: StudyStore) -> Decision | None:
    """Return the newest claim, or None where there is none yet."""
    claim = study.records.claim
    if claim is None:
        return None
    tuned = tuned_arms(study.records, claim)
    comparator = claim.arm(claim.comparator)
    return Decision(
        claim=claim,
        title=headline(claim),
        subject=claim.phrase_of(claim.used),
        other=other_phrase(claim, claim.comparator),
        itself=_itself(claim),
        same_student=all(_is_same_student(arm, claim.used) for arm in claim.arms),
        comparator=_comparator(claim),
        simpler=comparator is not None and simplicity(comparator.kind) < simplicity(claim.used.kind),
        tuning=_tuning(claim, tuned),
        used_tuned=claim.use in tuned,
        rows=rows(study, claim),
        comparisons=compared(claim),
        teacher_weaker=_teacher_weaker(claim),
    )


def headline(claim: Claim) -> str:
    """Return the decision in a few words."""
    other, status = other_phrase(claim, claim.comparator), claim.compared.verdict
    seen = claim.about.apart(claim.compared.detectable)
    titles = {"better": f"A gain over {other}", "worse": f"Worse than {other}"}
    no_better = f"No better than {other}: a gain of {seen} or more would have shown"
    title = f"The search ended at {other}" if _itself(claim) else titles.get(status, no_better)
    subject = words.capital(claim.phrase_of(claim.used))
    return title if claim.used.kind == PICK else f"{subject} is recommended. {title}"


def other_phrase(claim: Claim, name: str) -> str:
    """Return what an arm of a claim is called inside a sentence, given its name."""
    arm = claim.arm(name)
    return name if arm is None else claim.phrase_of(arm)


def compared(claim: Claim) -> list[tuple[str, Comparison]]:
    """Return (name of the other arm for people, comparison) of every comparison, the comparator's first."""
    shown = [claim.comparator, *(arm.name for arm in claim.ordered), *claim.comparisons]
    names = [name for name in dict.fromkeys(shown) if name in claim.comparisons]
    return [(other_phrase(claim, name), claim.comparisons[name]) for name in names]


def rows(study: StudyStore, claim: Claim) -> list[Row]:
    """Return the lines of the claim's table: the arms as they are shown, then the teacher."""
    arms = [
        Row(
            title=claim.title_of(arm),
            cost=arm.cost,
            validation=arm.validation,
            test=arm.test,
            colour=plots.arm_colour(arm.kind),
            recommended=arm.name == claim.use,
            arm=arm,
        )
        for arm in claim.ordered
    ]
    if claim.teacher is None:
        return arms
    facts = study.settings.teacher
    cost = {} if facts is None else {"params": float(facts.params)}
    return [*arms, Row(TEACHER, cost, [claim.teacher.validation], [claim.teacher.test], plots.TEACHER)]


def _is_same_student(arm: Arm, other: Arm) -> bool:
    """Whether two arms have the same network; one with another head differs in what it costs."""
    costs = all(arm.cost.get(name) == other.cost.get(name) for name in ("params", "macs"))
    return costs and words.student(arm.pipeline) == words.student(other.pipeline)


def _itself(claim: Claim) -> bool:
    comparator = claim.arm(claim.comparator)
    return comparator is not None and comparator.pipeline == claim.used.pipeline


def _comparator(claim: Claim) -> str:
    """Which one the comparator is: of two baselines the better one, else the best of the others."""
    others = [arm for arm in claim.arms if arm.name != claim.use]
    baselines = all((kind := kind_of(arm.kind)) is not None and kind.losses is not None for arm in others)
    return "the better baseline" if baselines and len(others) <= 2 else "the best of the other arms"


def _teacher_weaker(claim: Claim) -> bool:
    if claim.teacher is None or claim.alone is None or not claim.alone.test:
        return False
    return claim.about.score(claim.teacher.test) < claim.about.score(statistics.fmean(claim.alone.test))


def _tuning(claim: Claim, tuned: Sequence[str]) -> str:
    """What was tuned before the claim, a sentence."""
    parts = "learning rate and loss weights"
    left = [claim.phrase_of(arm) for arm in claim.arms if arm.name not in tuned]
    if len(left) == len(claim.arms):
        return f"{parts} were not tuned"
    which = "every arm" if not left else f"every arm but {words.listed(left)}"
    return f"{parts} were tuned over the same grid for {which}"


def figure(decision: Decision) -> Figure:
    """Test value of each arm: a dot a seed, the mean with its interval, the teacher, the prediction interval."""
    metric, teacher = decision.metric, decision.claim.teacher
    arms = [row for row in reversed(decision.rows) if row.arm is not None and row.test]
    data = [trace for place, row in enumerate(arms) for trace in _arm_traces(row, place, metric)]
    shapes, notes = [_one_more_run(decision, arms)], []
    if teacher is not None:
        x = metric.scale * teacher.test
        shapes.append(plots.line(x=x))
        notes.append(plots.note("teacher", x=x, y=1, yref="paper", yanchor="bottom"))
    ticks = {"tickvals": list(range(len(arms))), "ticktext": [plots.safe(row.title) for row in arms]}
    return plots.figure(
        70 + 52 * len(arms),
        data,
        xaxis={"title": {"text": metric.heading("test")}, "zeroline": False},
        yaxis={**ticks, "range": [-0.6, len(arms) - 0.4], "zeroline": False, "showgrid": False, "fixedrange": True},
        shapes=shapes,
        annotations=notes,
        margin={"l": 8, "r": 12, "t": 22, "b": 8},
    )


def _one_more_run(decision: Decision, arms: Sequence[Row]) -> Figure:
    """The prediction interval, shaded on the row of the recommended arm."""
    used = next(place for place, row in enumerate(arms) if row.recommended)
    low, high = (decision.metric.scale * end for end in decision.claim.prediction_interval)
    box = {"x0": low, "x1": high, "y0": used - 0.36, "y1": used + 0.36, "fillcolor": arms[used].colour}
    return {"type": "rect", "layer": "below", "line": {"width": 0}, "opacity": 0.14, **box}


def _arm_traces(row: Row, place: int, metric: Metric) -> list[Figure]:
    """Dots of the seeds a little below the arm's place, the mean with its interval on it."""
    mean, interval = metric.scale * statistics.fmean(row.test), mean_interval(row.test, metric)
    scaled = None if interval is None else (metric.scale * interval[0], metric.scale * interval[1])
    title = plots.safe(row.title)
    seeds: Figure = {
        "x": [metric.scale * value for value in row.test],
        "y": [place - 0.2] * len(row.test),
        "marker": {"size": 8, "color": row.colour, "opacity": 0.5},
        "hovertext": [f"{title}<br>one seed: {words.quality(value, metric)}" for value in row.test],
    }
    middle: Figure = {
        "x": [mean],
        "y": [place + 0.08],
        "error_x": plots.error_bar(mean, scaled),
        "marker": {"size": 11, "symbol": "diamond", "color": row.colour},
        "hovertext": [f"{title}<br>{words.mean_sd(row.test, metric)}"],
    }
    shared = {"type": "scatter", "mode": "markers", "hoverinfo": "text", "showlegend": False}
    return [{**shared, **trace} for trace in (seeds, middle)]


class Best(NamedTuple):
    """A line of the table that stands in for a claim while there is none."""

    title: str
    params: float | None
    epochs: int | None
    value: float | None


def best_so_far(study: StudyStore) -> list[Best]:
    """Return best trial, start baselines and teacher on validation: what can be said without a claim."""
    trials, metric, teacher = study.records.trials.values(), study.objective.metric, study.settings.teacher
    top = ranked(trial for trial in trials if not trial.is_baseline)[:1]
    lines = [_best(f"Best trial so far (trial {trial.number})", trial, metric) for trial in top]
    lines += [_best(title_of(kind), trial, metric) for kind, trial in start_baselines(study) if trial.rungs]
    return lines if teacher is None else [*lines, Best(TEACHER, teacher.params, None, teacher_value(study))]


def _best(title: str, trial: TrialRecord, metric: Metric) -> Best:
    last = trial.rungs[-1]
    return Best(title, trial.cost.get("params"), last.epochs, metric.value(last.score))
