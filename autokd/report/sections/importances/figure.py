"""The figure: importances of the parameters."""

from __future__ import annotations

from autokd.report import plots
from autokd.report.plots import ACCENT, MARK, QUIET, Figure
from autokd.report.sections.importances.facts import Importances

SHOWN = 12
"""Parameters in the figure, the most important ones."""


def figure(found: Importances) -> Figure:
    """Importance of each parameter beside what shuffled scores give."""
    names = list(found.shares)[:SHOWN][::-1]
    above = [found.shares[name] > found.noise[name] for name in names]
    bars: Figure = {
        "type": "bar",
        "orientation": "h",
        "y": [plots.safe(name) for name in names],
        "x": [100 * found.shares[name] for name in names],
        "marker": {"color": [ACCENT if clear else QUIET for clear in above]},
        "hovertext": [_share(name, found) for name in names],
        "hoverinfo": "text",
        "showlegend": False,
    }
    noise: Figure = {
        "type": "scatter",
        "mode": "markers",
        "y": bars["y"],
        "x": [100 * found.noise[name] for name in names],
        "marker": {"symbol": "line-ns-open", "size": 15, "color": MARK, "line": {"width": 2}},
        "name": "95 % of shuffles stay below",
        "hoverinfo": "skip",
    }
    return plots.figure(
        110 + 26 * len(names),
        [bars, noise],
        xaxis={"title": {"text": "importance (% of the total)"}, "range": [0, 160 * max(found.shares.values())]},
        yaxis={"fixedrange": True, "showgrid": False},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        bargap=0.35,
    )


def _share(name: str, found: Importances) -> str:
    return plots.safe(f"{name}: {100 * found.shares[name]:.0f} % (by chance up to {100 * found.noise[name]:.0f} %)")
