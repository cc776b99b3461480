"""What a search would do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from autokd.cli.console.output import Shown, document
from autokd.metrics import METRICS
from autokd.objective import shown_limit
from autokd.report import words

if TYPE_CHECKING:
    from autokd.data import Dataset
    from autokd.search.run import Plan, Setup


def plan(setup: Setup, planned: Plan, *, as_json: bool) -> Shown:
    """Return what a search would do."""
    if as_json:
        numbers = {**planned._asdict(), "bank": planned.bank._asdict()}
        settings = {name: setting.to_plain() for name, setting in setup.settings.items()}
        return document({"identity": setup.identity.to_plain(), "settings": settings, "plan": numbers})
    space = Table(title="Space", title_justify="left")
    space.add_column("parameter")
    space.add_column("range")
    for path, span in setup.space.ranges().items():
        space.add_row(Text(path), Text(str(span)))
    return Group(space, *map(Text, [*_lines(setup, planned), "nothing was written"]))


def _lines(setup: Setup, planned: Plan) -> Iterator[str]:
    from autokd.search.rare import rare_line  # torch comes with it

    data, budget = setup.data, setup.budget
    limits = ", ".join(shown_limit(name, most) for name, most in setup.space.constraints.items())
    first, *later = zip(planned.trial_runs, planned.rung_epochs, strict=True)
    rungs = f"each for {words.number_of(first[1], 'epoch')}" + "".join(f", the best {n} to {e}" for n, e in later)
    sizes = f"{len(data.train)} train, {len(data.validation)} validation, {data.test_size} test"
    yield f"data: {data.task.dataset}, {sizes}"
    yield from _unlabelled(data, planned.pool_seconds)
    yield _samples(setup, planned)
    rare = rare_line(setup)
    if rare:
        yield f"rare classes: {rare}"
    yield f"objective: {', '.join(f'{way} {_titled(name)}' for name, way in setup.objective.as_plain().items())}"
    yield f"limits of the student: {limits or 'none'}"
    if setup.identity.latency_device is not None:
        yield f"latency: of one sample on {setup.identity.latency_device}"
    yield f"explore: {budget.trials} trials, {rungs}"
    yield f"confirm: at most {planned.confirm_runs} runs of {words.number_of(budget.epochs, 'epoch')}"
    if setup.time_plan is not None:
        yield f"fitted into {words.duration(setup.time_plan.seconds)}: {setup.time_plan.reason}"
    teaching = planned.teacher_seconds
    teacher = f", {words.duration(teaching)} of it for training a teacher" if teaching else ""
    expected = f"{words.duration(planned.seconds)} on {setup.device}{teacher}"
    yield f"expected: {expected}; {words.size(planned.disk_bytes)} on disk"
    yield f"the teacher's answers: {planned.bank}"
    if setup.dropped:
        yield from ("left out of the space:", *(f"  {line}" for line in setup.dropped))


def _unlabelled(data: Dataset, seconds: float) -> Iterator[str]:
    if data.unlabelled is None:
        return
    left_out = data.card["unlabelled"].get("also_held_out", 0)
    also = f"; {left_out} more are also in validation or test, and are left out" if left_out else ""
    made = data.card["unlabelled"].get("made")
    pool = f"{len(data.unlabelled)} {f'rows made by {made}' if made else 'samples'}{also}"
    yield (
        f"without labels: {pool}; an epoch is {len(data.train)} samples with them, too; asking the teacher about all "
        f"of them takes {_some(seconds)}"
    )


def _some(seconds: float) -> str:
    return "less than a second" if seconds < 1 else f"about {words.duration(seconds)}"


def _titled(name: str) -> str:
    """A metric of the student in 8 bits by its title; any other objective by its name."""
    return METRICS[name].title if name in METRICS and METRICS[name].quantised else name


def _samples(setup: Setup, planned: Plan) -> str:
    task = setup.data.task
    shape = " × ".join(map(str, task.input_shape))
    kept = "held in memory" if planned.in_memory else "read from the cache as they are needed, since memory has no room"
    return f"samples: {shape} numbers each, {task.num_classes} classes; {words.size(planned.data_bytes)} in all, {kept}"
