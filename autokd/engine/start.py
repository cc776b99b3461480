"""The student as it is when training begins."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from autokd.components import InitComponent, StudentComponent
from autokd.declarations import Student
from autokd.types import BuildContext


@dataclass(frozen=True, eq=False)
class Started:
    """A student architecture whose networks begin with the weights that a start gives them.

    Args:
      student: the architecture.
      init: the start.
      notes: takes a line for what was left at random.
    """

    student: StudentComponent
    init: InitComponent
    notes: list[str] = field(default_factory=list)

    @property
    def declares(self) -> Student:
        """What the architecture declares."""
        return self.student.declares

    def build(self, context: BuildContext) -> nn.Module:
        """Return the network with its first weights.

        Raises:
          ComponentError: the start has no weights for it.
        """
        network = self.student.build(context)
        note = self.init.build(context)(network)
        self.notes.extend([note] if note else [])
        return network
