"""What the claims rest on, row by row: runs and comparisons."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from autokd.report.tables import Row

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


def evidence_rows(study: StudyStore) -> list[Row]:
    """Return one row a run of a claim's arms, and the teacher's."""
    rows: list[Row] = []
    for claim in study.records.claims:
        rows += [
            {"round": claim.round, "arm": arm.name, "seed": run.seed, "validation": run.validation, "test": run.test}
            for arm in claim.arms
            for run in arm.claimed
        ]
        if claim.teacher is not None:
            rows.append({"round": claim.round, "arm": "teacher", **claim.teacher._asdict()})
    return rows


def comparison_rows(study: StudyStore) -> list[Row]:
    """Return one row a comparison of a claim."""
    return [
        {
            "round": claim.round,
            "against": against,
            "is_comparator": against == claim.comparator,
            **dataclasses.asdict(comparison),
        }
        for claim in study.records.claims
        for against, comparison in claim.comparisons.items()
    ]
