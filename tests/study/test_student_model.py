"""What a study's own trials say of students: a ridge regression, checked on students that it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from autokd.study.choice import ScreenedStudent
from autokd.study.proxies import LEARNED, learned_model, with_learned
from autokd.study.student_model import fit
from tests.study.test_proxies import by_name, made_up


def student(place: int, width: int, depth: int, use: str = "cnn") -> ScreenedStudent:
    plain = {"use": use, "width": width, "depth": depth, "kernel": "3x3" if place % 2 else "5x5", "blocks": [1, depth]}
    return ScreenedStudent(student=plain, params=10_000, macs=10_000, proxies={"nwot": None}, score=0.5)


def test_it_learns_a_field_and_a_choice_and_predicts_what_it_has_not_seen() -> None:
    rng = np.random.default_rng(0)
    students = [student(place, int(rng.integers(4, 64)), int(rng.integers(2, 9))) for place in range(40)]
    worth = [np.log1p(s.student["width"]) - 0.5 * (s.student["kernel"] == "3x3") for s in students]
    fitted = fit(students[:30], worth[:30], [1] * 30)
    new = fitted.model.predict(students[30:])
    assert np.corrcoef(new, worth[30:])[0, 1] > 0.95 and np.corrcoef(fitted.left_out, worth[:30])[0, 1] > 0.95


def test_what_is_left_out_is_predicted_without_it() -> None:
    """The shortcut equals fitting anew without the student, at the same columns, centre and penalty."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(12, 5)), rng.normal(size=12)
    from autokd.study.student_model import _ridge

    _, left_out = _ridge(x, y, 3.0)
    for place in range(12):
        rest = np.arange(12) != place
        weights = np.linalg.solve(x[rest].T @ x[rest] + 3.0 * np.eye(5), x[rest].T @ y[rest])
        assert left_out[place] == pytest.approx(x[place] @ weights)


def test_without_evidence_all_predictions_are_nearly_equal() -> None:
    rng = np.random.default_rng(3)
    students = [student(place, int(rng.integers(4, 64)), int(rng.integers(2, 9))) for place in range(30)]
    scores = rng.normal(0.7, 0.1, size=30)
    said = fit(students, scores.tolist(), [1] * 30).model.predict(students)
    assert np.std(said) < 0.5 * np.std(scores) and abs(np.mean(said) - np.mean(scores)) < 0.02


def test_a_family_and_a_field_that_were_never_seen_count_as_the_mean() -> None:
    model = fit([student(k, 4 + k, 2) for k in range(9)], [0.1 * k for k in range(9)], [1] * 9).model
    other = ScreenedStudent(student={"use": "vit", "heads": 3}, params=10_000, macs=10_000, proxies={}, score=0.5)
    assert np.isfinite(model.predict([other])).all()


def test_the_model_decides_under_the_same_rule_as_a_proxy() -> None:
    """Made of a proxy that says something beyond size it does, too; of noise it does not."""
    useful = made_up(40, knows=lambda size, quality, rng: quality + rng.normal(scale=0.3, size=len(size)))
    assert by_name(useful)[LEARNED].decides and by_name(useful)["knows"].decides
    said = with_learned(learned_model(useful), useful.screen)
    assert all(LEARNED in row.proxies for row in said) and LEARNED not in useful.screen[0].proxies
    noise = made_up(40, seed=4, noise=lambda size, quality, rng: rng.normal(size=len(size)))
    assert not by_name(noise)[LEARNED].decides
    few = made_up(19, knows=lambda size, quality, rng: quality)
    assert learned_model(few) is None and LEARNED not in by_name(few)
    assert with_learned(None, few.screen) == few.screen
