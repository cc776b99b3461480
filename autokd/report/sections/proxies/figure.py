"""The figure: rank correlation of each proxy."""

from __future__ import annotations

from collections.abc import Sequence

from autokd.metrics import Metric
from autokd.report import plots
from autokd.report.plots import ACCENT, MARK, ROW, Figure
from autokd.report.sections.proxies.facts import YARDSTICK, ProxyTau
from autokd.study.fidelity import Tau


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
