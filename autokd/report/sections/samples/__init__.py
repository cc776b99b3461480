"""What the student sees, pictures or what columns hold, and the samples on which it differs from the teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autokd.study.samples import disputed_file, read_samples, samples_file

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TITLE = "Samples"


def show(study: StudyStore) -> dict[str, Any] | None:
    """Return the samples that the study keeps; None where it keeps none."""
    seen, claim = read_samples(samples_file(study.path)), study.records.claim
    if seen is None or not (seen.pictures or seen.columns):
        return None
    disputed = None if claim is None else read_samples(disputed_file(study.path, claim.round))
    return {"seen": seen, "disputed": () if disputed is None else disputed.pictures}
