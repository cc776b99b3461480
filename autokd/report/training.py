"""What training did inside, for the report: each loss term's part, the teacher's stored outputs, where time went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from autokd.components import LossComponent
from autokd.errors import ComponentError
from autokd.spec import component_from_plain
from autokd.study.records import Records, TrialRecord


class TermLine(NamedTuple):
    """What one loss term of a trial did at the end of a rung.

    Args:
      trial, epochs: which trial, at which length.
      name: the loss's name in the pipeline.
      value: its mean over the rung's last epoch, before any weight.
      weight: searched weight times the method's own scale; None where the loss is not known here.
      gradient_norm: norm of the weighted term's gradient with respect to the student's parameters, on a part of the
        last batch; None where it was not taken.
    """

    trial: int
    epochs: int
    name: str
    value: float
    weight: float | None
    gradient_norm: float | None

    @property
    def weighted(self) -> float | None:
        """What the term adds to the loss."""
        return None if self.weight is None else self.value * self.weight


class BankUse(NamedTuple):
    """What the teacher bank did, over all sessions of a study.

    Args:
      hits, computed, dropped: epochs that found their outputs, that had to compute them, and of these not kept.
      policies, groups: distinct augmentation policies, and policies with view seeds, of the largest session.
      nbytes: size of the outputs that the largest session used; None where it was not recorded.
      lost_mass: mean probability outside the kept logits; 0 where all are kept.
    """

    hits: int
    computed: int
    dropped: int
    policies: int
    groups: int
    nbytes: int | None
    lost_mass: float

    @property
    def asked(self) -> int:
        return self.hits + self.computed

    @property
    def hit_rate(self) -> float:
        return self.hits / self.asked


class PartTime(NamedTuple):
    """Seconds and share of one part of the work."""

    part: str
    seconds: float
    share: float


def term_lines(trials: Sequence[TrialRecord]) -> list[TermLine]:
    """Return what each loss term did in each trial, rung by rung."""
    return [
        TermLine(
            trial=trial.number,
            epochs=rung.epochs,
            name=name,
            value=value,
            weight=effective_weight(trial.pipeline["losses"].get(name, {})),
            gradient_norm=rung.curve[-1].get("gradient_norms", {}).get(name),
        )
        for trial in trials
        for rung in trial.rungs
        if rung.curve
        for name, value in rung.curve[-1].get("terms", {}).items()
    ]


def effective_weight(plain: Mapping[str, Any]) -> float | None:
    """Return a plain loss's weight times its scale; None where there is no such loss here (a plug-in, say)."""
    try:
        loss: LossComponent = component_from_plain("losses", plain)
    except ComponentError:
        return None
    return loss.weight * loss.declares.scale.value


def bank_use(records: Records) -> BankUse | None:
    """Return what the teacher bank did, or None where no run read it."""
    sessions = [session for session in records.bank if session["hits"] + session["computed"]]
    if not sessions:
        return None
    sizes = [session["bytes"] for session in sessions if "bytes" in session]
    return BankUse(
        hits=sum(session["hits"] for session in sessions),
        computed=sum(session["computed"] for session in sessions),
        dropped=sum(session["dropped"] for session in sessions),
        policies=max(session["policies"] for session in sessions),
        groups=max(session.get("groups", session["policies"]) for session in sessions),
        nbytes=max(sizes, default=None),
        lost_mass=max(session["lost_mass"] for session in sessions),
    )


def part_times(records: Records) -> list[PartTime]:
    """Return where the time of the last profiled session went, most first; [] where none was profiled."""
    if not records.profile:
        return []
    total, parts = records.profile[-1]["total"], records.profile[-1]["parts"]
    whole = {**parts, "other": total - sum(parts.values())}
    return sorted((PartTime(part, s, s / total) for part, s in whole.items()), key=lambda line: -line.seconds)
