"""How well training-free proxies order the trained students."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from autokd.metrics import Metric
from autokd.report import plots
from autokd.report.plots import ACCENT, MARK, ROW, Figure
from autokd.study.choice import ScreenedStudent
from autokd.study.fidelity import Tau, kendall, score_at
from autokd.study.ranking import common_rung
from autokd.study.records import Records

YARDSTICK = "parameter count"
"""What a proxy has to beat."""


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


def figure(taus: Sequence[ProxyTau], metric: Metric) -> Figure:
    """Kendall's tau-b of each proxy with trained scores; the parameter count is the yardstick."""
    rows = [(proxy.name, proxy.tau) for proxy in reversed(taus) if proxy.tau is not None]
    return plots.figure(
        80 + ROW * len(rows),
        [_dot(name, tau) for name, tau in rows],
        xaxis={"title": {"text": f"Kendall’s tau-b with {_scored(metric)}"}, "range": [-1.02, 1.02], "zeroline": True},
        yaxis={"fixedrange": True, "showgrid": False},
        showlegend=False,
    )


def _dot(name: str, tau: Tau) -> Figure:
    interval = None if tau.low is None or tau.high is None else (tau.low, tau.high)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [tau.tau],
        "y": [plots.safe(name)],
        "error_x": plots.error_bar(tau.tau, interval),
        "marker": {"size": 10, "color": MARK if name == YARDSTICK else ACCENT},
        "hovertext": [plots.safe(f"{name}: tau {tau.tau:+.2f}, n = {tau.n}")],
        "hoverinfo": "text",
    }


def _scored(metric: Metric) -> str:
    return f"validation {metric.title}" if metric.higher_is_better else f"minus the validation {metric.title}"
