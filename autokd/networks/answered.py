"""A teacher whose answers on every sample of a dataset are known already."""

from __future__ import annotations

import torch
from torch import Tensor

from autokd.errors import ComponentError
from autokd.types import Inputs, Output, Shapes, TeacherHead


class AnsweredTeacher:
    """Answers that were given, one a sample: a `autokd.types.SampleTeacher`.

    Args:
      logits: [N, C], by the ids of `autokd.types.Samples`.
      origin: where they come from, for people.
      fingerprint: 16 hex digits that tell them apart from all others.
      named: whether somebody says which number is about which class; if not, they are taken in the data's order.
    """

    offers = Shapes(views=False)
    head: TeacherHead | None = None
    params = 0  # nobody knows how many

    def __init__(self, logits: Tensor, *, origin: str, fingerprint: str, named: bool = True) -> None:
        self.logits = logits
        self.origin = origin
        self.fingerprint = fingerprint
        self.named = named

    def predict(self, inputs: Inputs) -> Output:
        """Refuse: it does not see inputs.

        Raises:
          ComponentError: always.
        """
        raise ComponentError(f"{self.origin} answers about the samples of its dataset, not about other inputs")

    def answer(self, ids: Tensor, inputs: Inputs) -> Output:
        """Look up answers; see `autokd.types.SampleTeacher`."""
        return Output(self.logits[ids])

    def to(self, device: torch.device) -> AnsweredTeacher:
        """Move it to a device; return it."""
        self.logits = self.logits.to(device)
        return self
