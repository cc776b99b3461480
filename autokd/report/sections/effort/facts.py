"""The teacher's stored outputs, and where the time went."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autokd.report.tables import Row
from autokd.study.records import Records

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


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
        """Epochs that read stored outputs."""
        return self.hits + self.computed

    @property
    def hit_rate(self) -> float:
        """Share of them that found their outputs."""
        return self.hits / self.asked


class PartTime(NamedTuple):
    """Seconds and share of one part of the work."""

    part: str
    seconds: float
    share: float


def bank_use(records: Records) -> BankUse | None:
    """Return what the teacher bank did, or None where no run read it."""
    sessions = [session for session in records.bank if session.asked]
    if not sessions:
        return None
    hits, computed, dropped, policies, groups, sizes, lost_mass = zip(*sessions, strict=True)
    return BankUse(
        hits=sum(hits),
        computed=sum(computed),
        dropped=sum(dropped),
        policies=max(policies),
        groups=max(groups),
        nbytes=max((size for size in sizes if size is not None), default=None),
        lost_mass=max(lost_mass),
    )


def part_times(records: Records) -> list[PartTime]:
    """Return where the time of the last profiled session went, most first; [] where none was profiled."""
    if not records.profile:
        return []
    total, parts = records.profile[-1]
    whole = {**parts, "other": total - sum(parts.values())}
    return sorted((PartTime(part, s, s / total) for part, s in whole.items()), key=lambda line: -line.seconds)


def bank_rows(study: StudyStore) -> list[Row]:
    """Return one row a session: what the teacher bank did."""
    rows: list[Row] = []
    for session in study.records.bank:
        row = session._asdict()
        nbytes = row.pop("nbytes")
        rows.append({**row, "bytes": nbytes, "hit_rate": session.hit_rate})
    return rows
