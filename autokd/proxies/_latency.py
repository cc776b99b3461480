"""Measured time of one forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from autokd import declarations
from autokd.networks import cost
from autokd.ranges import Integer
from autokd.types import BuildContext, Proxy, ScreenInput


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Ranks students by the time they take on the device that the screening batch lies on; lower is better.

    A measurement: it differs from run to run. See `autokd.networks.cost.latency`.
    """

    declares = declarations.Proxy(higher_is_better=False, unit="ms")

    batch_size: Annotated[int, Integer(1, 1024, log=True, unit="samples")] = 1  # of the forward pass
    repeats: Annotated[int, Integer(5, 1000, log=True)] = 50  # timed passes; their median counts

    def build(self, context: BuildContext) -> Proxy:
        """Return a measurement in milliseconds."""

        def measure(screen: ScreenInput) -> float:
            network = screen.build(screen.seed)
            device = screen.labels.device
            return cost.latency(network, screen.task, device, batch_size=self.batch_size, repeats=self.repeats)

        return measure
