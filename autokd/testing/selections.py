"""What every selection of training samples must do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from autokd import spec
from autokd.engine.epoch import draw_rows
from autokd.errors import ComponentError
from autokd.space.values import edges
from autokd.testing.made_up import prepared
from autokd.testing.suite import Suite, task_of
from autokd.types import BuildContext, DrawnRows, Selection, Task

N = 60
SEED = 5
PASSES = range(6)


class SelectionSuite(Suite):
    """What every selection must do, at its defaults and at both ends of what is searched."""

    kind = "selections"
    tasks = tuple(task_of(shape, train_size=N) for shape in ((3, 16, 16), (6,)))

    def test_declares_what_it_prepares(self, component: Any) -> None:
        assert callable(getattr(component, "prepare", None)) == (component.declares.prepared_from is not None)

    def test_draws_distinct_rows_of_the_set_in_order(self, component: Any, task: Task) -> None:
        for selection in built(component, task):
            for rows, _ in passes(selection):
                assert (rows.dtype, rows.device.type, rows.dim()) == (torch.int64, "cpu", 1)
                assert (rows.diff() > 0).all(), "distinct, in ascending order"
                assert int(rows.min()) >= 0 and int(rows.max()) < N

    def test_draws_as_many_as_it_says(self, component: Any, task: Task) -> None:
        for selection in built(component, task):
            assert 1 <= selection.size <= N
            assert all(len(rows) == selection.size for rows, _ in passes(selection))
            assert selection.draw is not None or selection.size == N

    def test_weights_are_above_0(self, component: Any, task: Task) -> None:
        for selection in built(component, task):
            for rows, weights in passes(selection):
                if weights is not None:
                    assert weights.shape == rows.shape and weights.dtype == torch.float32
                    assert (weights > 0).all() and weights.isfinite().all()

    def test_a_pass_is_a_function_of_its_number_and_the_seed(self, component: Any, task: Task) -> None:
        """A run that was stopped goes on in the middle of its passes, in another process."""
        for one, again in zip(built(component, task), built(component, task), strict=True):
            whole = passes(one)
            rest = [draw(again, number) for number in reversed(PASSES)][::-1]
            assert all(same(a, b) for a, b in zip(whole, rest, strict=True))

    def test_says_whether_rows_differ_between_passes(self, component: Any, task: Task) -> None:
        for selection in built(component, task):
            first, *others = passes(selection)
            other_seed = draw(selection, 0, SEED + 1)
            if not selection.redraws:
                assert all(same(first, other) for other in (*others, other_seed))
            elif selection.size < N:
                assert not all(torch.equal(first.rows, other.rows) for other in others)

    def test_leaves_the_callers_random_state_alone(self, component: Any, task: Task) -> None:
        before = torch.get_rng_state()
        for selection in built(component, task):
            passes(selection)
        assert torch.equal(torch.get_rng_state(), before)

    def test_refuses_to_be_built_without_what_it_prepares(self, component: Any, task: Task) -> None:
        if component.declares.prepared_from is not None:
            with pytest.raises(ComponentError):
                component().build(BuildContext(task=task))


def built(component: type[Any], task: Task) -> Iterator[Selection]:
    """Yield a selection at its defaults, at each named option, and at both ends of each range."""
    context = prepared(component(), BuildContext(task=task))
    yield component().build(context)
    for field, info in spec.fields_of(component).items():
        for value in () if info.range is None else edges(info.range):
            changed = dataclasses.replace(component(), **{field: value})
            yield changed.build(prepared(changed, BuildContext(task=task)))


def draw(selection: Selection, number: int, seed: int = SEED) -> DrawnRows:
    """Return the rows and weights of a pass."""
    drawn = draw_rows(selection, number, seed, number / len(PASSES))
    return DrawnRows(torch.arange(N)) if drawn is None else drawn


def passes(selection: Selection) -> list[DrawnRows]:
    """Return the rows and weights of the first passes."""
    return [draw(selection, number) for number in PASSES]


def same(one: DrawnRows, other: DrawnRows) -> bool:
    """Whether two passes go over the same rows with the same weights."""
    if one.weights is None or other.weights is None:
        return one.weights is other.weights and torch.equal(one.rows, other.rows)
    return torch.equal(one.rows, other.rows) and torch.equal(one.weights, other.weights)
