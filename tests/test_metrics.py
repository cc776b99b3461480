"""Metrics against scikit-learn, with classes that are absent; how values are written."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

from autokd.metrics import METRICS, Predictions, measure, predictions

Case = tuple[torch.Tensor, torch.Tensor]


def drawn(seed: int, items: int, classes: int, *, there: int | None = None) -> Case:
    """Logits and labels; the labels are of the first `there` classes."""
    made = torch.Generator().manual_seed(seed)
    labels = torch.randint(there or classes, (items,), generator=made)
    return torch.randn(items, classes, generator=made) + 1.5 * torch.eye(classes)[labels], labels


CASES = {
    "several classes": drawn(0, 200, 5),
    "two classes": drawn(1, 50, 2),
    "a class that does not occur": drawn(2, 100, 6, there=5),
    "one class alone": drawn(3, 20, 3, there=1),
    "one item": drawn(4, 1, 4),
    "all alike": (torch.tensor([[1.0, 0.0]]).repeat(9, 1), torch.tensor([0, 1] * 4 + [0])),
    "all right": (10 * torch.eye(4), torch.arange(4)),
    "neither there nor predicted": (torch.eye(5)[[0, 1, 1, 3]], torch.tensor([0, 1, 3, 3])),
}


def expected(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    true, said = labels.numpy(), logits.argmax(1).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "accuracy": reference.accuracy_score(true, said),
            "macro_f1": reference.f1_score(true, said, average="macro", zero_division=0),
            "balanced_accuracy": reference.balanced_accuracy_score(true, said),
            "log_loss": reference.log_loss(true, logits.double().softmax(1).numpy(), labels=np.arange(logits.shape[1])),
            "mcc": reference.matthews_corrcoef(true, said),
        }


@pytest.mark.parametrize("case", CASES)
def test_metrics_are_those_of_scikit_learn(case: str) -> None:
    logits, labels = CASES[case]
    assert measure(predictions(logits, labels)) == pytest.approx(expected(logits, labels), abs=1e-9)


def test_half_precision_logits_are_measured_in_double() -> None:
    logits, labels = CASES["several classes"]
    assert measure(predictions(logits.half(), labels)) == pytest.approx(expected(logits.half().float(), labels))


def test_some_of_the_items_can_be_taken_again_and_again() -> None:
    logits, labels = CASES["several classes"]
    index = torch.tensor([3, 3, 7, 150, 0])
    taken = predictions(logits, labels).take(index)
    assert measure(taken) == measure(predictions(logits[index], labels[index]))


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_keeps_what_it_declares(name: str) -> None:
    metric = METRICS[name]
    right, wrong = CASES["all right"][0], -CASES["all right"][0]
    labels = torch.arange(4)
    best, worst = (metric.of(predictions(logits, labels)) for logits in (right * 100, wrong * 100))
    assert best == pytest.approx(metric.perfect)
    assert metric.score(best) > metric.score(worst) and metric.score(best) > metric.worst_score
    assert metric.low <= min(best, worst) and max(best, worst) <= metric.high
    assert metric.value(metric.score(0.3)) == 0.3
    assert metric.direction == ("maximize" if metric.higher_is_better else "minimize")


def test_values_and_differences_are_written_in_the_metrics_own_unit() -> None:
    accuracy, loss, mcc = METRICS["accuracy"], METRICS["log_loss"], METRICS["mcc"]
    assert (accuracy.text(0.9537), accuracy.signed(-0.012), accuracy.apart(0.012)) == ("95.4 %", "-1.2", "1.2 points")
    assert (loss.text(0.21), loss.signed(0.012), loss.apart(0.012)) == ("0.210 nats", "+0.012", "0.012 nats")
    assert (mcc.text(-0.5), mcc.apart(0.1)) == ("-0.500", "0.100")
    assert [m.heading("test") for m in (accuracy, loss, mcc)] == [
        "test accuracy (%)",
        "test log loss (nats)",
        "test MCC",
    ]


def test_a_log_loss_stays_finite_where_a_label_is_given_no_probability() -> None:
    logits = torch.tensor([[500.0, -500.0]])
    assert METRICS["log_loss"].of(predictions(logits, torch.tensor([1]))) == pytest.approx(1000.0)
    assert math.isfinite(METRICS["mcc"].of(Predictions(torch.tensor([0]), torch.tensor([0]), torch.tensor([0.0]), 2)))
