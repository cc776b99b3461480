"""The recommended student beside plain models, from answers made up for the purpose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from autokd.metrics import METRICS
from autokd.study.plain_models import best_plain_model

ACCURACY = METRICS["accuracy"]


def right(share: float, labels: np.ndarray, seed: int) -> np.ndarray:
    """Logits of two classes that are right so often."""
    wrong = np.random.default_rng(seed).permutation(len(labels)) >= share * len(labels)
    return (3.0 * np.eye(2)[np.where(wrong, 1 - labels, labels)]).astype(np.float16)


def answers(path: Path, student: float, items: int = 400) -> Path:
    labels = np.arange(items) % 2
    tensors = {"labels/test": labels, "labels/validation": labels}
    for name, on_validation, on_test in (
        ("pick/0", student, student),
        ("pick/1", student, student),
        ("plain/logistic regression", 0.80, 0.80),
        ("plain/nearest neighbour", 0.70, 0.95),  # what is best on test is not looked for
    ):
        for number, (split, share) in enumerate((("validation", on_validation), ("test", on_test))):
            tensors[f"{name}/{split}"] = right(share, labels, seed=len(tensors) + number)
    tensors["pick/2/test"] = np.zeros((items, 2), np.float16)  # a run that failed
    save_file(tensors, path)
    return path


@pytest.mark.parametrize(("student", "better"), [(0.60, True), (0.80, False), (0.95, False)])
def test_a_student_is_beaten_where_chance_does_not_explain_it(student: float, better: bool, tmp_path: Path) -> None:
    found = best_plain_model(answers(tmp_path / "round0.safetensors", student), "pick", ACCURACY)
    assert found is not None and found.name == "logistic regression"
    assert found.is_better(ACCURACY) is better
    assert found.low < found.difference < found.high
    assert found.difference == pytest.approx(student - 0.80)
    # two runs that are independent of the plain model: Var = (p q / 2 + p' q') / items
    error = np.sqrt((student * (1 - student) / 2 + 0.16) / 400)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.35)


def test_of_a_loss_less_is_better(tmp_path: Path) -> None:
    metric = METRICS["log_loss"]
    found = best_plain_model(answers(tmp_path / "round0.safetensors", 0.60), "pick", metric)
    assert found is not None and found.difference > 0 and found.is_better(metric)


def test_without_answers_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert best_plain_model(tmp_path / "none.safetensors", "pick", ACCURACY) is None
    assert best_plain_model(answers(tmp_path / "round0.safetensors", 0.9), "kd", ACCURACY) is None
