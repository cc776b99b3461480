"""What every learning rate schedule must do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autokd.testing.suite import Suite, task_of
from autokd.types import BuildContext

CONTEXT = BuildContext(task=task_of((3, 8, 8), classes=2))
GRID = [i / 1000 for i in range(1001)]


class ScheduleSuite(Suite):
    """What every learning rate schedule must do."""

    kind = "schedules"

    def test_is_a_share_of_the_peak_at_every_share_of_training(self, component: Any) -> None:
        values = [build(component)(u) for u in GRID]
        assert all(0 <= value <= 1 for value in values)
        assert max(values) > 0

    def test_is_a_function_of_the_share_of_training_alone(self, component: Any) -> None:
        """A run that was stopped goes on in the middle, in another process."""
        factor = build(component)
        forward = [factor(u) for u in GRID]
        assert [factor(u) for u in reversed(GRID)] == forward[::-1]
        assert [build(component)(u) for u in GRID] == forward


def build(component: type[Any], **values: Any) -> Callable[[float], float]:
    """Return the share of the peak at u, the share of training done."""
    factor: Callable[[float], float] = component(**values).build(CONTEXT)
    return factor
