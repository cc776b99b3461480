"""How a trial learned."""

from __future__ import annotations

from autokd.study.records import TrialRecord


def scored_on_the_way(trial: TrialRecord) -> list[tuple[int, float]]:
    """Return (epoch, score) of the epochs that were scored while the trial trained."""
    lines = [line for rung in trial.rungs for line in rung.curve]
    return [(line["epoch"], line["score"]) for line in lines if line.get("score") is not None]
