"""Hand-made records, and what of a study's records is the same in every run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from autokd.study.choice import ScreenedStudent
from autokd.study.records import Records, RungRecord, TrialRecord

EPOCHS = (1, 2, 4)


def trial(
    number: int,
    *scores: float,
    source: str = "tpe",
    failure: str | None = None,
    params: Mapping[str, Any] | None = None,
    pipeline: Mapping[str, Any] | None = None,
) -> TrialRecord:
    """A trial with one score a rung."""
    rungs = tuple(
        RungRecord(rung=k, epochs=EPOCHS[k], score=score, loss=1 - score, seconds=1.0) for k, score in enumerate(scores)
    )
    return TrialRecord(
        number=number,
        source=source,
        seed=number,
        pipeline=pipeline or {"number": number},
        params=params,
        cost={"params": 10, "macs": 10},
        rungs=rungs,
        failure=None if failure is None else {"kind": failure, "reason": "made up"},
    )


def screen_rows(widths: Sequence[int] = (9, 7, 5)) -> list[ScreenedStudent]:
    """Screened students, best first."""
    count = len(widths)
    return [
        ScreenedStudent(
            student={"use": "cnn", "width": width, "layers": 2},
            params=100 * width,
            macs=1000 * width,
            proxies={"params": float(width)},
            score=1 - k / max(1, count - 1),
        )
        for k, width in enumerate(widths)
    ]


def comparable(found: Records) -> dict[str, Any]:
    """All that a search decides and finds; not how long it took."""
    trials = [
        dataclasses.replace(t, rungs=tuple(dataclasses.replace(r, seconds=0.0) for r in t.rungs))
        for t in found.trials.values()
    ]
    return {
        "trials": trials,
        "screen": found.screen,
        "runs": [dataclasses.replace(run, seconds=0.0) for run in found.runs],
        "choices": found.choices,
        "claims": found.claims,
    }
