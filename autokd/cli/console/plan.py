"""What a search would do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from autokd.cli.console.output import Shown, document
from autokd.objective import shown_limit
from autokd.report import words

if TYPE_CHECKING:
    from autokd.search.run import Plan, Prepared


def plan(prepared: Prepared, planned: Plan, *, as_json: bool) -> Shown:
    """Return what a search would do."""
    if as_json:
        numbers = {**planned._asdict(), "bank": planned.bank._asdict()}
        return document({"identity": prepared.identity, "settings": prepared.settings, "plan": numbers})
    space = Table(title="Space", title_justify="left")
    space.add_column("parameter")
    space.add_column("range")
    for path, span in prepared.space.ranges().items():
        space.add_row(Text(path), Text(str(span)))
    return Group(space, *map(Text, [*_lines(prepared, planned), "nothing was written"]))


def _lines(prepared: Prepared, planned: Plan) -> Iterator[str]:
    data, budget, dropped = prepared.data, prepared.budget, prepared.space.dropped
    limits = ", ".join(shown_limit(name, most) for name, most in prepared.space.constraints.items())
    rungs = ", ".join(f"{n} to {e} epochs" for n, e in zip(planned.trial_runs, planned.rung_epochs, strict=True))
    yield f"data: {data.task.dataset}, {len(data.train)} train, {len(data.validation)} validation"
    yield f"objective: {', '.join(f'{way} {name}' for name, way in prepared.objective.as_plain().items())}"
    yield f"budget of the student: {limits or 'none'}"
    yield f"explore: {budget.trials} trials; about {rungs}"
    yield f"confirm: at most {planned.confirm_runs} runs of {budget.confirm_epochs} epochs"
    if prepared.time_plan is not None:
        yield f"fitted into {words.duration(prepared.time_plan.seconds)}: {prepared.time_plan.reason}"
    teacher = "; training the teacher comes on top" if prepared.teacher is None else ""
    expected = f"{words.duration(planned.seconds)} on {prepared.device}{teacher}"
    yield f"expected: {expected}; {words.size(planned.disk_bytes)} on disk"
    yield f"teacher bank: {planned.bank}"
    if dropped:
        yield from ("left out of the space:", *(f"  {line}" for line in dropped))
