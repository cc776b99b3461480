"""What an epoch goes over: passes over the rows that a selection draws.

An epoch is the unit of lengths: horizons, rungs and curves are counted in it, and it costs the same whatever is drawn:
about as many samples as the training set has. A pass goes once, in a new order and with new views, over the n rows that
the selection drew. Passes follow each other whatever the epochs are; an epoch takes as many whole batches of them as
come closest to its end. With all rows a pass is an epoch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from autokd.engine.unlabelled import Pool
from autokd.errors import ComponentError
from autokd.seeds import generator
from autokd.spec import PipelineSpec
from autokd.types import DrawnRows, Selection, Task


class PassPart(NamedTuple):
    """The part of a pass that lies in an epoch.

    Args:
      number: of the pass, from 0.
      first, last: its batches from `first` to before `last`.
    """

    number: int
    first: int
    last: int


@dataclass(frozen=True)
class Passes:
    """How the passes of a run lie in its epochs.

    Args:
      train: samples of the training set, and so of an epoch.
      size: samples of a pass.
      batch_size: samples of a step, at most.
    """

    train: int
    size: int
    batch_size: int

    @property
    def steps(self) -> int:
        """Steps of a pass: near-equal batches, so that no batch of one sample is left over."""
        return math.ceil(self.size / self.batch_size)

    def steps_until(self, epoch: int) -> int:
        """Return the steps before an epoch: so many that their samples come closest to its beginning.

        >>> [Passes(train=100, size=50, batch_size=16).steps_until(epoch) for epoch in range(4)]
        [0, 8, 16, 24]
        >>> [Passes(train=100, size=70, batch_size=16).steps_until(epoch) for epoch in range(4)]
        [0, 7, 14, 21]
        """
        return (2 * epoch * self.train * self.steps + self.size) // (2 * self.size)

    def parts_of(self, epoch: int) -> Iterator[PassPart]:
        """Yield what an epoch holds of each pass, in order.

        >>> list(Passes(train=100, size=70, batch_size=16).parts_of(0))
        [PassPart(number=0, first=0, last=5), PassPart(number=1, first=0, last=2)]
        """
        step, end = self.steps_until(epoch), self.steps_until(epoch + 1)
        while step < end:
            number, first = divmod(step, self.steps)
            last = min(self.steps, first + end - step)
            yield PassPart(number, first, last)
            step += last - first

    def begin(self, number: int, epochs: int) -> float:
        """Return the share of a training of so many epochs that is done before a pass."""
        return number * self.size / (epochs * self.train)


def passes_of(task: Task, spec: PipelineSpec, selected: int, pool: Pool | None) -> Passes:
    """Return how passes over so many samples of the training set, and those without labels, lie in a run's epochs."""
    return Passes(task.train_size, selected + (0 if pool is None else pool.taken), spec.batch_size)


def draw_rows(
    selection: Selection, number: int, view_seed: int, u: float, pool: Pool | None = None
) -> DrawnRows | None:
    """Return what a selection takes for a pass, and samples without labels; None for all samples, all alike.

    Like views, rows depend on the view seed and the pass alone, so that runs share the teacher's answers to them.

    Args:
      selection: what is drawn from.
      number: of the pass.
      view_seed: of the run.
      u: share of training done before the pass.
      pool: the samples without labels; None: the run has none.

    Raises:
      ComponentError: it draws more or fewer than it says.
    """
    drawn = None if selection.draw is None else selection.draw(number, generator(view_seed, "rows", number), u)
    if drawn is not None and len(drawn.rows) != selection.size:
        raise ComponentError(f"the selection drew {len(drawn.rows)} rows for a pass and said {selection.size}")
    return drawn if pool is None else pool.beside(drawn, number, view_seed)
