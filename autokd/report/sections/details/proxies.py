"""How well training-free proxies order the trained students."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from autokd.report import words
from autokd.report.tables import Row, flat
from autokd.study.choice import ScreenedStudent
from autokd.study.fidelity import Tau, kendall, score_at
from autokd.study.ranking import common_rung
from autokd.study.records import Records

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

YARDSTICK = "parameter count"
"""What a proxy has to beat."""


FEWEST = 8
"""Trained students from which on the correlations are shown."""


class ProxyTau(NamedTuple):
    """How well one screening score orders the trained students."""

    name: str
    tau: Tau | None
    students: int


class _Matched(NamedTuple):
    """A screened student that was trained, with its score and a key for the student."""

    screened: ScreenedStudent
    score: float
    key: str


def proxy_taus(records: Records) -> list[ProxyTau]:
    """Return, for the parameter count and each proxy, its rank correlation with trained scores at the common rung."""
    trials = list(records.trials.values())
    rung = common_rung(trials)
    screened = {_key(entry.student): entry for entry in records.screen}
    scores = [(_key(t.pipeline["student"]), s) for t in trials if (s := score_at(t, rung)) is not None]
    matched = [_Matched(screened[key], score, key) for key, score in scores if key in screened]
    if not matched:
        return []
    names = [YARDSTICK, *(name for name in matched[0].screened.proxies if name != "params")]
    return [_proxy_tau(name, matched) for name in names]


def of_proxies(taus: Sequence[ProxyTau]) -> str:
    """Return what the correlations say, a sentence; "" where nothing was screened."""
    if not taus:
        return ""
    most = max(proxy.students for proxy in taus)
    if most < FEWEST:
        few = words.number_of(most, "student")
        return f"Whether a score without training orders students cannot be told: {few} were trained, not {FEWEST}."
    better = [proxy.name for proxy in taus[1:] if _beats(proxy.tau, taus[0].tau)]
    if better:
        order = "orders" if len(better) == 1 else "order"
        return f"{words.capital(words.listed(better))} {order} students better than the {YARDSTICK} does."
    return f"No score without training orders students better than the {YARDSTICK} does, as far as can be told."


def _beats(tau: Tau | None, yardstick: Tau | None) -> bool:
    """Whether all of a correlation's interval lies above another one."""
    return tau is not None and tau.low is not None and yardstick is not None and tau.low > yardstick.tau


def _proxy_tau(name: str, matched: Sequence[_Matched]) -> ProxyTau:
    rows = [(figure, row) for row in matched if (figure := _figure(row.screened, name)) is not None]
    if not rows:
        return ProxyTau(name, None, 0)
    keys = [row.key for _, row in rows]
    return ProxyTau(name, kendall([x for x, _ in rows], [row.score for _, row in rows], keys), len(set(keys)))


def _figure(student: ScreenedStudent, name: str) -> float | None:
    value = student.params if name == YARDSTICK else student.proxies.get(name)
    return None if value is None else float(value)


def _key(student: Mapping[str, Any]) -> str:
    return json.dumps(student, sort_keys=True)


def proxy_rows(study: StudyStore) -> list[Row]:
    """Return one row a screened student."""
    return [
        {"params": entry.params, "macs": entry.macs, "screening_score": entry.score}
        | flat(entry.proxies, "proxy")
        | flat(entry.student, "student")
        for entry in study.records.screen
    ]
