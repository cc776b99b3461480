"""Logistic regression, for tables: one linear layer from the columns to the classes, the smallest student there is.

Source: Cox, The regression analysis of binary sequences, Journal of the Royal Statistical Society B 20, 1958; with more
than two classes the softmax of one linear function a class.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from autokd.declarations import Student
from autokd.types import TABLE, BuildContext, Output, Task


class _LogisticRegression(nn.Module):
    def __init__(self, task: Task) -> None:
        super().__init__()
        self.fc = nn.Linear(task.input_shape[0], task.num_classes)

    def forward(self, x: Tensor) -> Output:
        return Output(self.fc(x))


@dataclass(frozen=True, kw_only=True)
class LogisticRegression:
    """Logistic regression: each column adds its share to the logit of each class, so that it explains itself."""

    declares = Student(modalities=TABLE, offers=frozenset())

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, columns] to `Output`, logits alone, with PyTorch's initialisation."""
        return _LogisticRegression(context.task)
