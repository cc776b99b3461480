"""The head of a pretrained network for other classes: a logistic regression on what the backbone answers."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autokd.data import Dataset
from autokd.engine.evaluate import Answered, answers_on
from autokd.engine.views import to_device
from autokd.networks.models import NetworkTeacher, classifier_of
from autokd.types import Split

INVERSE_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
"""C of the regressions that are tried, from the simplest one; features have mean 0 and deviation 1."""
ITERATIONS = 200


def fit_head(network: nn.Module, teacher: NetworkTeacher, data: Dataset, device: torch.device) -> float | None:
    """Fit a network's last layer to the data's labels, its other layers as they are.

    Args:
      network: the teacher's; its last layer is changed in place.
      teacher: frozen around it, on the device.
      data: with its samples as the teacher sees them; test is not read.
      device: where it answers.
    Returns:
      The share of validation that is then right; None where the logits are not this layer of one embedding, and nothing
      was changed.
    """
    head = network.get_submodule(classifier_of(network, data.task))
    assert isinstance(head, nn.Linear)
    train, held = (_answered(teacher, split, data, device) for split in (data.train, data.validation))
    if train.outputs.pooled is None or held.outputs.pooled is None or not _is_linear(train, head):
        return None
    fitted = [_regression(train, c, bias=head.bias is not None) for c in INVERSE_PENALTIES]
    scores = [_accuracy(held, weight, bias) for weight, bias in fitted]
    weight, bias = fitted[scores.index(max(scores))]
    with torch.no_grad():
        head.weight.copy_(weight)
        if head.bias is not None:
            head.bias.copy_(bias)
    return max(scores)


def _answered(teacher: NetworkTeacher, split: Split, data: Dataset, device: torch.device) -> Answered:
    """What the network answers about the samples with a label."""
    answered = answers_on(teacher, to_device(split, data.task, device))
    if split.labelled is None:
        return answered
    known = split.labelled.cpu()
    return Answered(answered.outputs.map(lambda tensor: tensor[known]), answered.labels[known])


def _is_linear(answered: Answered, head: nn.Linear) -> bool:
    """Whether the logits are the head of the embedding."""
    pooled = answered.outputs.pooled
    if pooled is None or pooled.shape[1] != head.in_features:
        return False
    bias = None if head.bias is None else head.bias.cpu()
    return torch.allclose(F.linear(pooled, head.weight.cpu(), bias), answered.outputs.logits, rtol=1e-3, atol=1e-3)


def _regression(train: Answered, c: float, *, bias: bool) -> tuple[Tensor, Tensor]:
    """Weight [C, D] and bias [C] of a regression, for the embedding as it is."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression  # slow to import

    assert train.outputs.pooled is not None
    embedding = train.outputs.pooled.double()
    mean = embedding.mean(0) if bias else torch.zeros(embedding.shape[1], dtype=torch.float64)
    deviation = embedding.std(0).clamp_min(1e-6)
    model = LogisticRegression(C=c, max_iter=ITERATIONS, fit_intercept=bias)
    with warnings.catch_warnings():  # a head that is nearly fitted is a beginning, too
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(((embedding - mean) / deviation).numpy(), train.labels.numpy())
    found, offset = torch.from_numpy(model.coef_), torch.from_numpy(model.intercept_).expand(len(model.coef_))
    if len(found) == 1:  # of the second of two classes against the first
        found, offset = torch.cat([-found, found]) / 2, torch.cat([-offset, offset]) / 2
    found = found / deviation
    weight = torch.zeros(train.outputs.logits.shape[1], found.shape[1], dtype=torch.float64)
    shift = torch.full((len(weight),), float(offset.min()), dtype=torch.float64)  # of a class without samples
    rows = torch.from_numpy(model.classes_)
    weight[rows], shift[rows] = found, offset - found @ mean
    return weight, shift


def _accuracy(held: Answered, weight: Tensor, bias: Tensor) -> float:
    assert held.outputs.pooled is not None
    return float(((held.outputs.pooled.double() @ weight.T + bias).argmax(1) == held.labels).double().mean())
