"""The teacher's stored outputs, and where the time went."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autokd.report.tables import Row
from autokd.study.records import Records
from autokd.study.sessions import BankSession

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


class PartTime(NamedTuple):
    """Seconds and share of one part of the work."""

    part: str
    seconds: float
    share: float


def bank_use(records: Records) -> BankSession | None:
    """Return what the teacher bank did over all sessions, or None where no run read it.

    Policies, groups and bytes are those of the largest session.
    """
    sessions = [session for session in records.bank if session.asked]
    if not sessions:
        return None
    hits, computed, dropped, policies, groups, sizes, lost_mass = zip(*sessions, strict=True)
    return BankSession(
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
