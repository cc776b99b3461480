"""All that the page says, for machines: `report.json` beside it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autokd._version import __version__
from autokd.report.sections import sections
from autokd.report.sections.recommendation.facts import decide
from autokd.report.sections.recommendation.verdict import early
from autokd.study.answers import answers_file
from autokd.study.checks import check
from autokd.study.ladder import ladder

if TYPE_CHECKING:
    from autokd.report.sections.recommendation.arms import Row
    from autokd.report.sections.recommendation.facts import Decision
    from autokd.report.sections.recommendation.verdict import Verdict
    from autokd.study.learned import Answered
    from autokd.study.store import StudyStore

FORMAT = 1
"""Of report.json."""


def document(study: StudyStore) -> str:
    """Return all facts of a study's page as JSON.

    A share is a number from 0 to 1 and no percentage, as everywhere in a study's files; what is not known is null.
    docs/formats.md lists the keys.
    """
    decision, settings, metric = decide(study), study.settings, study.objective.metric
    facts = {
        "format": FORMAT,
        "autokd": __version__,
        "study": {
            "name": study.name,
            "created": settings.created,
            "finished": study.finished,
            "trials": len(study.records.trials),
            "epochs": study.rung_epochs,
            "seconds": study.records.seconds,
        },
        "metric": {key: getattr(metric, key) for key in ("name", "title", "unit", "higher_is_better")},
        "data": settings.data.to_plain(),
        "teacher": None if settings.teacher is None else settings.teacher.to_plain(),
        "limits": settings.identity.limits,
        "verdict": _verdict(early(study) if decision is None else decision.verdict),
        "claim": None if decision is None else _claim(decision),
        "checks": [
            {"number": each.rule.number, "title": each.rule.title, "severity": each.severity}
            | {"says": each.says, "todo": each.todo, "entry": f"docs/checks.md#{each.rule.anchor}"}
            for each in check(study)
        ],
        "ladder": [dataclasses.asdict(step) for step in ladder(study.records, study.rung_epochs[-1], metric)],
        "learned": _learned(study),
        "tables": {name: table.rows for section in sections() for name, table in section.tables(study).items()},
    }
    return json.dumps(_strict(facts), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {"kind": verdict.kind, "title": verdict.title, "tone": verdict.tone}


def _claim(decision: Decision) -> dict[str, Any]:
    """The claim as recorded, with the rows of the page's table in place of the bare arms."""
    plain = decision.claim.to_plain()
    return {
        **{key: value for key, value in plain.items() if key != "arms"},
        "arms": [_arm(row) for row in decision.rows if row.arm is not None],
        "others": [_row(row) for row in decision.rows if row.arm is None],
        "sentences": decision.sentences,
        "rests_on": decision.evidence,
        "forecast": decision.forecast,
    }


def _arm(row: Row) -> dict[str, Any]:
    arm = row.arm
    assert arm is not None
    known = {"name": arm.name, "kind": arm.kind, "recipe": arm.recipe, "recommended": row.recommended}
    return {**known, **_row(row), "pipeline": dict(arm.pipeline), "distils": arm.distils}


def _row(row: Row) -> dict[str, Any]:
    return {
        "title": row.title,
        "cost": dict(row.cost),
        "validation": row.validation,
        "test": row.test,
        "test_mean": None if row.mean is None else row.mean._asdict(),
        "difference": None if row.difference is None else row.difference._asdict(),
    }


def _learned(study: StudyStore) -> dict[str, Any] | None:
    """What the claim's students and the teacher answered on test; None where no answers are kept."""
    from autokd.study.learned import learned

    claim = study.records.claim
    if claim is None:
        return None
    found = learned(answers_file(study.path, claim.round), {arm.name: len(arm.claimed) for arm in claim.arms})
    if found is None:
        return None
    everybody = {**found.arms, **({} if found.teacher is None else {"teacher": found.teacher})}
    return {
        "items_by_class": found.counts,
        "answers": {name: _answered(each) for name, each in everybody.items()},
        "agreement": [{"one": one, "other": other, "share": share} for (one, other), share in found.agreement.items()],
    }


def _answered(each: Answered) -> dict[str, Any]:
    kept = {key: value for key, value in each._asdict().items() if key not in ("name", "bins")}
    return {**kept, "bins": [one._asdict() for one in each.bins]}


def _strict(value: Any) -> Any:
    """Plain data that JSON can hold: what is no number, or none that is finite, is null."""
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _strict(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
