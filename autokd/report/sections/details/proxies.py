"""How well scores without training order the trained students, and beyond what their size says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from autokd.report import words
from autokd.report.tables import Row, flat
from autokd.study.evidence import FEWEST_STUDENTS, FEWEST_TRIALS, Evidence
from autokd.study.fidelity import Tau
from autokd.study.proxies import LEARNED, SIZES, Worth, scored, worth_of_proxies

if TYPE_CHECKING:
    from autokd.study.records import Records
    from autokd.study.store import StudyStore

TITLES = {"params": "parameter count", "macs": "MACs", LEARNED: "model of these trials"}
"""What some scores are called here."""


def title(worth: Worth) -> str:
    """What a score is called."""
    return TITLES.get(worth.name, worth.name)


def verdict(worth: Worth) -> str:
    """Whether a score orders students in this study, in words."""
    if worth.name in SIZES:
        return "size"
    return "orders students beyond their size" if worth.decides else worth.why


def can_be_told(worths: Sequence[Worth]) -> bool:
    """Whether enough was trained to judge a score."""
    judged = [worth for worth in worths if worth.name not in SIZES]
    there = [worth.evidence for worth in judged]
    return any(each.trials >= FEWEST_TRIALS and each.students >= FEWEST_STUDENTS for each in there)


def of_proxies(worths: Sequence[Worth]) -> str:
    """Return what is known of the scores, a sentence or two; "" where nothing was screened."""
    judged = [worth for worth in worths if worth.name not in SIZES]
    if not judged:
        return ""
    if not can_be_told(worths):
        return _too_few(judged)
    better, after = [title(worth) for worth in judged if worth.decides], _after(judged)
    if better:
        order = "orders" if len(better) == 1 else "order"
        return f"{words.capital(words.listed(better))} {order} students beyond what their size says{after}."
    return f"No score without training orders students beyond what their size says, as far as can be told{after}."


def _after(judged: Sequence[Worth]) -> str:
    """What that rests on beside the study's own trials, after a comma; "" where on these alone."""
    most = max((worth.past for worth in judged), default=Evidence())
    return f", after {evidence(most)}" if most.studies else ""


def evidence(past: Evidence) -> str:
    """Return what past studies tell: "20 trials of 2 past studies"."""
    studies = f"{past.studies} past {'study' if past.studies == 1 else 'studies'}"
    return f"{words.number_of(past.trials, 'trial')} of {studies}"


def _too_few(judged: Sequence[Worth]) -> str:
    trials = max(worth.evidence.trials for worth in judged)
    students = max(worth.evidence.students for worth in judged)
    there = f"{words.number_of(trials, 'trial')} of {words.number_of(students, 'student')}"
    needed = f"{FEWEST_TRIALS} of at least {FEWEST_STUDENTS}"
    return f"Whether a score without training orders students cannot be told: {there} finished, not {needed}."


def remarks(records: Records, worths: Sequence[Worth]) -> Iterator[str]:
    """Yield what else one should know: what was left out, and what gave no finite numbers."""
    for name, reason in records.screening.left_out.items():
        yield f"{words.capital(name)} was left out: {reason}."
    for worth in worths:
        if worth.not_finite:
            number = words.number_of(worth.not_finite, "student")
            yield f"{words.capital(worth.name)} gave no finite number for {number}, which count as its worst."


def worth_rows(study: StudyStore) -> list[Row]:
    """Return one row a score."""
    return [
        {
            "score": worth.name,
            "trials": worth.trials,
            "students": worth.students,
            "past_trials": worth.past.trials,
            "past_studies": worth.past.studies,
            **_interval("tau", worth.tau),
            **_interval("tau_beyond_size", worth.beyond),
            "p_holm": worth.p,
            "reliability": worth.reliability,
            "not_finite": worth.not_finite,
            "decides": worth.decides,
            "verdict": verdict(worth),
        }
        for worth in worth_of_proxies(study.records)
    ]


def _interval(name: str, tau: Tau | None) -> Row:
    value, low, high = (None, None, None) if tau is None else (tau.tau, tau.low, tau.high)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def proxy_rows(study: StudyStore) -> list[Row]:
    """Return one row a student that was scored."""
    return [
        {"params": entry.params, "macs": entry.macs, "screening_score": entry.score}
        | flat(entry.proxies, "proxy")
        | flat(entry.spread, "spread")
        | {"repeats": entry.repeats, "not_finite": " ".join(entry.not_finite)}
        | flat(entry.student, "student")
        for entry in scored(study.records)
    ]
