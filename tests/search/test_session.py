"""What a session follows from the budget and from what was asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from autokd.search.session import Session
from autokd.space import Budget


@pytest.mark.parametrize(
    ("planned", "time", "asked", "most"),
    [
        (5, 60.0, None, 14),  # known recipes alone: twelve of them, and two other families
        (12, 60.0, None, 18),
        (40, 60.0, None, 60),
        (5, 60.0, 5, 5),  # as many as the user wants
        (40, None, None, 40),
    ],
)
def test_time_that_is_left_over_goes_to_more_trials(
    planned: int, time: float | None, asked: int | None, most: int
) -> None:
    setup = SimpleNamespace(budget=Budget(trials=planned), recipes=dict.fromkeys(range(12)), elsewhere=(1, 2))
    session: Any = SimpleNamespace(asked=SimpleNamespace(time=time, trials=asked), setup=setup, budget=setup.budget)
    assert cast(Any, Session.most_trials).fget(session) == most
