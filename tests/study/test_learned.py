"""What students learnt of the teacher, from logits whose figures can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from autokd.study.learned import TEACHER, learned

SURE = 4.0


def logits(classes: list[int], number: int = 3, sure: float = SURE) -> np.ndarray:
    """Logits that give a class each, all with the same confidence."""
    return (sure * np.eye(number)[classes]).astype(np.float16)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    on_test, on_validation = [0, 0, 1, 1, 2, 2], [0, 1, 2]
    path = tmp_path / "round0.safetensors"
    save_file(
        {
            "labels/test": np.array(on_test),
            "labels/validation": np.array(on_validation),
            "pick/0/test": logits([0, 0, 1, 1, 2, 0]),
            "pick/0/validation": logits(on_validation),
            "pick/1/test": logits([0, 0, 1, 2, 2, 0]),
            "pick/1/validation": logits(on_validation),
            "kd/0/test": np.zeros((6, 3), np.float16),  # its run failed
            "kd/0/validation": np.zeros((3, 3), np.float16),
            "teacher/test": logits([0, 0, 1, 1, 1, 2], sure=8.0),
            "teacher/validation": logits(on_validation),
        },
        path,
    )
    return path


def test_the_figures_of_a_case_by_hand(file: Path) -> None:
    found = learned(file, {"pick": 2, "kd": 1})
    assert found is not None and list(found.arms) == ["pick"]
    pick, confidence = found.arms["pick"], np.exp(SURE) / (np.exp(SURE) + 2)
    assert pick.accuracy == pytest.approx((5 + 4) / 12)
    assert pick.agreement == pytest.approx((4 + 3) / 12) == found.agreement["pick", TEACHER]
    assert found.agreement["pick", "pick"] == pytest.approx(5 / 6)  # the one pair of its seeds
    assert pick.apart == pytest.approx((2 / 5, 3 / 5))  # of the five answers that are not the teacher's
    assert pick.between.agreement is not None and pick.between.agreement[0] < 7 / 12 < pick.between.agreement[1]
    assert learned(file, {"pick": 2, "kd": 1}) is found, "worked out once"
    assert pick.by_class == pytest.approx([1.0, 3 / 4, 1 / 2])
    assert pick.confusions == [(2, 0, 1.0), (1, 2, 0.5)]
    assert pick.calibration_error == pytest.approx(((confidence - 5 / 6) + (confidence - 4 / 6)) / 2, abs=1e-3)
    wrong = np.log((1 - confidence) / 2)
    assert pick.log_loss == pytest.approx(-(9 * np.log(confidence) + 3 * wrong) / 12, abs=1e-3)
    assert found.teacher is not None and found.teacher.agreement == 1.0
    assert found.teacher.divergence == pytest.approx(0.0)
    assert pick.divergence is not None and pick.divergence > 1.0
    assert found.counts.tolist() == [2, 2, 2]


def test_all_right_on_validation_makes_a_student_surer_but_not_certain(file: Path) -> None:
    found = learned(file, {"pick": 2})
    assert found is not None
    top = np.exp(SURE / found.arms["pick"].temperature)
    assert 2 / (top + 2) == pytest.approx(1 / 5, rel=0.01)  # three right, and one more, wrong


def test_a_class_is_called_out_where_chance_does_not_explain_it(tmp_path: Path) -> None:
    labels = [0] * 100 + [1] * 100 + [2] * 4
    answers = [0] * 95 + [1] * 5 + [1] * 70 + [0] * 30 + [2, 2, 0, 0]
    tensors = {
        "labels/test": np.array(labels),
        "labels/validation": np.array([0, 1, 2]),
        "alone/0/test": logits(answers),
        "alone/0/validation": logits([0, 1, 2]),
    }
    save_file(tensors, tmp_path / "answers.safetensors")
    found = learned(tmp_path / "answers.safetensors", {"alone": 1})
    assert found is not None and found.teacher is None and found.arms["alone"].agreement is None
    called = found.worst_class("alone")  # class 2 is worse, on four items: that is chance
    assert called is not None and called[0] == 1 and called[1] > 3


def test_nothing_kept_is_nothing_said(tmp_path: Path, file: Path) -> None:
    assert learned(tmp_path / "none.safetensors", {"pick": 1}) is None
    assert learned(file, {"kd": 1}) is None
    file.write_bytes(file.read_bytes()[:40])
    assert learned(file, {"pick": 2}) is None
