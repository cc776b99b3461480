"""The student as it is when training begins."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from autokd.components import InitComponent, StudentComponent
from autokd.declarations import Student
from autokd.types import BuildContext


@dataclass(frozen=True, eq=False)
class Started:
    """A student architecture whose networks begin with the weights that it prepared, or that a start gives them.

    Args:
      student: the architecture.
      init: the start; None: there is none.
      artefact: what the architecture prepared; None: nothing.
      notes: takes a line for what was left at random.
    """

    student: StudentComponent
    init: InitComponent | None = None
    artefact: Any = None
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
        network = self.student.build(dataclasses.replace(context, artefact=self.artefact))
        note = "" if self.init is None else self.init.build(context)(network)
        self.notes.extend([note] if note else [])
        return network
