"""A few steps of distillation: how near the student then comes to the teacher on samples that it did not train on.

Not free of training, and dearer than all other proxies. It trains on what it is given, so a single batch says little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from autokd import batching, declarations
from autokd.networks.models import as_output, seeded
from autokd.proxies.resemblance import divergence
from autokd.proxies.untrained import needed_teacher, untrained_student
from autokd.ranges import Integer, Real
from autokd.types import BuildContext, Inputs, Proxy, ScreenInput

HELD_OUT = 4
"""One sample in so many is held out."""


def split_of(inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Return the rows that a student is trained on, and those that are held out, [n] int64 each."""
    rows = torch.arange(batching.count(inputs), device=batching.device_of(inputs))
    held = rows % HELD_OUT == HELD_OUT - 1
    return rows[~held], rows[held]


@dataclass(frozen=True, kw_only=True)
class FewSteps:
    """Negative loss of KD on held-out samples, a quarter of those given, after some steps of AdamW on the others.

    Raises:
      ComponentError: there is no teacher.
    """

    declares = declarations.Proxy(needs_teacher=True, higher_is_better=True, unit="negative nats")

    steps: Annotated[int, Integer(10, 1000, log=True)] = 100  # of training
    batch_size: Annotated[int, Integer(8, 256, log=True, unit="samples")] = 32  # of a step
    learning_rate: Annotated[float, Real(1e-4, 1e-1, log=True)] = 3e-3  # of AdamW, constant
    temperature: Annotated[float, Real(1.0, 16.0, log=True)] = 4.0  # softmax temperature of both networks

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return self._score

    def _score(self, screen: ScreenInput) -> float:
        batches = [screen.inputs, *(inputs for inputs, _ in screen.more)]
        teacher, inputs = needed_teacher(screen), batching.concat(batches)
        logits = torch.cat([teacher.predict(batch).logits for batch in batches])
        train, held = split_of(inputs)
        network = untrained_student(screen)
        with seeded(screen.seed, logits.device):
            self._train(network, batching.take(inputs, train), logits[train])
        with torch.no_grad():
            student = as_output(network(batching.take(inputs, held))).logits
        return -float(divergence(logits[held], student, self.temperature))

    def _train(self, network: nn.Module, inputs: Inputs, logits: Tensor) -> None:
        optimizer = torch.optim.AdamW(network.parameters(), lr=self.learning_rate)
        for _ in range(self.steps):
            rows = torch.randperm(len(logits), device=logits.device)[: self.batch_size]
            student = as_output(network(batching.take(inputs, rows))).logits
            optimizer.zero_grad()
            torch.autograd.backward(divergence(logits[rows], student, self.temperature))
            optimizer.step()
