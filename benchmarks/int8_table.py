"""The tables of `python -m benchmarks.int8`, made from its runs."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from autokd.study.intervals import half_width

Run = dict[str, Any]
Runs = list[Run]
Value = Callable[[Run], float]
TAUGHT = ("alone", "distilled")
FILES = ("float", "int8")


def accuracy(trained: str, file: str) -> Value:
    """Return what reads the accuracy of a file in percent, of the student that was trained in float or with QAT."""
    return lambda run: 100 * float(run[trained]["accuracy"][file])


def over(one: Value, other: Value) -> Value:
    """Return what reads the difference of two values."""
    return lambda run: one(run) - other(run)


def table(runs: Runs) -> str:
    """Return the runs as a Markdown table, a row for each student and how it was taught."""
    heads = ("set", "student", "taught", "float, %", "int8, %", "int8 after QAT, %", "changed, %", "KB", "ms")
    rows = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for key in dict.fromkeys((run["set"], run["student"]) for run in runs):
        for taught in TAUGHT:
            own = [run for run in runs if (run["set"], run["student"], run["taught"]) == (*key, taught)]
            rows += [f"| {' | '.join([*key, taught, *_cells(own)])} |"] if own else []
    return "\n".join(rows)


def _cells(own: Runs) -> list[str]:
    """Accuracies, the share of classes that int8 changes, sizes and latencies."""
    aware = _with_qat(own)
    scores = [_mean_and_spread(own, accuracy("float", "float")), _mean_and_spread(own, accuracy("float", "int8"))]
    scores += [_mean_and_spread(aware, accuracy("qat", "int8"))]
    changed = [f"{_mean(own, changed_by('float')):.1f}", *([f"{_mean(aware, changed_by('qat')):.1f}"] if aware else [])]
    sizes = [f"{statistics.median(run['float']['bytes'][file] for run in own) / 1000:.0f}" for file in FILES]
    slow = [f"{statistics.median(run['float']['milliseconds'][file] for run in own):.3f}" for file in FILES]
    return [*scores, " and ".join(changed), " → ".join(sizes), " → ".join(slow)]


def changed_by(trained: str) -> Value:
    """Return what reads the share of test samples to which the int8 file gives another class than float, in percent."""
    return lambda run: 100 * float(run[trained]["changed"])


LOST = over(accuracy("float", "float"), accuracy("float", "int8"))
"""By how much int8 is worse than float."""
LOST_AFTER = over(accuracy("qat", "float"), accuracy("qat", "int8"))
"""The same after quantisation-aware training."""
GAINED = over(accuracy("qat", "int8"), accuracy("float", "int8"))
"""By how much the int8 file is better after it."""
FLOAT_GAINED = over(accuracy("qat", "float"), accuracy("float", "float"))
"""By how much the float file is better after quantisation-aware training."""


def conclusions(runs: Runs) -> str:
    """Return what int8 costs, whether distilled students lose more, and what quantisation-aware training gives back.

    Each with a 95 % interval over students and seeds; a distilled student is compared with the one of the same seed.
    """
    by_set = {name: [run for run in runs if run["set"] == name] for name in dict.fromkeys(run["set"] for run in runs)}
    asked: list[tuple[str, Callable[[Runs], list[float]]]] = []
    for what, value in (
        ("lost to int8", LOST),
        ("classes changed", changed_by("float")),
        ("int8 gains from QAT", GAINED),
    ):
        asked += [(f"{what}, {taught}", _of(taught, value)) for taught in TAUGHT]
        asked += [(f"{what}, distilled more than alone", _more(value))]
    asked += [("lost to int8 after QAT", _all(LOST_AFTER)), ("float gains from QAT", _all(FLOAT_GAINED))]
    asked += [("lost to int8, after QAT less than before", _all(over(LOST, LOST_AFTER)))]
    asked += [("classes changed, after QAT more than before", _all(over(changed_by("qat"), changed_by("float"))))]
    rows = [f"| points | all | {' | '.join(by_set)} |", "|" + "---|" * (2 + len(by_set))]
    for title, values in asked:
        some = [_with_qat(each) if "QAT" in title else each for each in (runs, *by_set.values())]
        rows.append(f"| {title} | {' | '.join(interval(values(each)) for each in some)} |")
    return "\n".join(rows)


def _with_qat(runs: Runs) -> Runs:
    """The runs of which a part was trained quantisation-aware."""
    return [run for run in runs if "qat" in run]


def _all(value: Value) -> Callable[[Runs], list[float]]:
    return lambda runs: [value(run) for run in runs]


def _of(taught: str, value: Value) -> Callable[[Runs], list[float]]:
    return lambda runs: [value(run) for run in runs if run["taught"] == taught]


def _more(value: Value) -> Callable[[Runs], list[float]]:
    """What reads a value of each distilled student over that of the one of the same seed that was trained alone."""

    def differences(runs: Runs) -> list[float]:
        found = {(run["set"], run["student"], run["seed"], run["taught"]): value(run) for run in runs}
        pairs = {key[:3] for key in found if {(*key[:3], taught) for taught in TAUGHT} <= found.keys()}
        return [found[*key, "distilled"] - found[*key, "alone"] for key in sorted(pairs)]

    return differences


def interval(values: list[float]) -> str:
    """Return the mean of numbers and its 95 % interval by Student's t, for people.

    >>> interval([1.0, 2.0, 3.0])
    '+2.00 [-0.48, +4.48]'
    """
    if len(values) < 2:
        return " ".join(f"{value:+.2f}" for value in values)
    mean = statistics.mean(values)
    half = half_width(len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:+.2f} [{mean - half:+.2f}, {mean + half:+.2f}]"


def _mean(runs: Runs, value: Value) -> float:
    return statistics.mean(map(value, runs))


def _mean_and_spread(runs: Runs, value: Value) -> str:
    if not runs:
        return "–"
    spread = f" ± {statistics.stdev(map(value, runs)):.1f}" if len(runs) > 1 else ""
    return f"{_mean(runs, value):.1f}{spread} (n={len(runs)})"
