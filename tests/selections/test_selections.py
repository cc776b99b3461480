"""What every selection must do, and known values of each."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from autokd import catalog
from autokd.errors import ComponentError
from autokd.selections._difference_sampling import answer_difference, kept_rows, label_difference, soft_weights
from autokd.spec import make
from autokd.testing import SelectionSuite
from autokd.testing.selections import draw
from autokd.types import BuildContext, Output, PrepareContext, Selection, Task

ROW = torch.arange(12, dtype=torch.float64)[:, None]
COLUMN = torch.arange(4, dtype=torch.float64)
TEACHER = 2 * torch.cos(2 * ROW - COLUMN)
REFERENCE = torch.sin(0.5 * ROW + COLUMN)
LABELS = torch.tensor([0, 2, 0, 0, 2, 0, 0, 1, 3, 1, 1, 3])
TASK = Task(dataset="made up", modality="table", input_shape=(3,), classes=tuple("abcd"), train_size=12)


class TestShipped(SelectionSuite):
    components = tuple(catalog.load("selections", name) for name in catalog.names("selections"))


def scores() -> torch.Tensor:
    return label_difference(TEACHER, REFERENCE, LABELS)


def prepared(**changed: Any) -> dict[str, torch.Tensor]:
    context = {"task": TASK, "labels": LABELS, "teacher": Output(TEACHER), "reference": lambda rows, seed: REFERENCE}
    found: dict[str, torch.Tensor] = make("selections", "difference_sampling", {}).prepare(
        PrepareContext(**{**context, **changed})
    )
    return found


def selection(name: str, **fields: Any) -> Selection:
    component = make("selections", name, fields)
    artefact = prepared() if component.declares.prepared_from is not None else None
    built: Selection = component.build(BuildContext(task=TASK, artefact=artefact))
    return built


def test_difference_of_labels_as_computed_by_hand() -> None:
    expected = [1.549750, 0.707153, -1.621262, 0.450890, 1.549873, -2.779769]
    expected += [0.650247, 1.197318, 0.364550, 0.150138, 1.382142, 0.754270]
    torch.testing.assert_close(scores(), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-6)
    assert scores().argsort(descending=True).tolist() == [4, 0, 10, 7, 11, 1, 6, 3, 8, 9, 2, 5]


def test_the_half_on_which_teacher_and_reference_differ_most_is_kept_in_order() -> None:
    assert kept_rows(scores(), LABELS, 6).tolist() == [0, 1, 4, 7, 10, 11]
    assert draw(selection("difference_sampling", share=0.5), 3).rows.tolist() == [0, 1, 4, 7, 10, 11]


def test_difference_of_answers_ranks_where_the_teacher_contradicts_the_label_first() -> None:
    found = answer_difference(TEACHER, REFERENCE)
    assert found.argsort(descending=True).tolist() == [9, 2, 5, 0, 4, 10, 7, 6, 1, 11, 3, 8]
    assert found[9].item() == pytest.approx(1.668389, abs=1e-6)
    each = torch.stack([label_difference(TEACHER, REFERENCE, torch.full((12,), label)) for label in range(4)], 1)
    torch.testing.assert_close((TEACHER.softmax(-1) * each).sum(1), found)


def test_a_constant_added_to_a_row_of_logits_changes_nothing() -> None:
    shift = torch.randn(12, 1, dtype=torch.float64)
    torch.testing.assert_close(label_difference(TEACHER + shift, REFERENCE, LABELS), scores())
    torch.testing.assert_close(label_difference(TEACHER, REFERENCE - shift, LABELS), scores())


def test_with_the_teacher_as_reference_the_first_rows_are_kept() -> None:
    zeros = label_difference(TEACHER, TEACHER, LABELS)
    assert zeros.abs().max() == 0
    assert kept_rows(zeros, torch.zeros(12, dtype=torch.int64), 6).tolist() == list(range(6))


def test_every_class_keeps_its_best_row() -> None:
    classes = torch.tensor([0] * 10 + [1, 1])
    ranked = torch.arange(12.0).flip(0)  # the rows of class 1 are last
    assert kept_rows(ranked, classes, 4).tolist() == [0, 1, 2, 10]
    assert kept_rows(ranked, classes, 1).tolist() == [0, 10]


def test_a_share_of_each_class() -> None:
    classes = torch.tensor([0] * 8 + [1] * 4)
    ranked = torch.arange(12.0).flip(0)
    assert kept_rows(ranked, classes, 6).tolist() == [0, 1, 2, 3, 4, 8]
    assert kept_rows(ranked, classes, 6, per_class=True).tolist() == [0, 1, 2, 3, 8, 9]


def test_soft_weights_are_twice_the_logistic_of_the_standard_score() -> None:
    found = soft_weights(torch.tensor([-1.0, 1.0]))  # standard scores -1 and 1: the logistics add up to 1
    assert found.tolist() == pytest.approx([2 / (1 + math.e), 2 * math.e / (1 + math.e)])
    assert soft_weights(torch.zeros(5)).tolist() == [1.0] * 5
    drawn = draw(selection("difference_sampling", soft=True), 0)
    assert drawn.weights is not None and drawn.rows.tolist() == list(range(12))
    assert drawn.weights.mean().item() == pytest.approx(1.0)
    assert drawn.weights.argsort(descending=True)[:3].tolist() == [4, 0, 10]


def constant(first: float, others: float) -> torch.Tensor:
    return torch.tensor([[first, others, others, others]], dtype=torch.float64).expand(12, 4)


def test_each_half_is_judged_by_a_network_that_has_not_seen_it() -> None:
    asked: list[tuple[set[int], int]] = []

    def reference(rows: torch.Tensor, seed: int) -> torch.Tensor:
        asked.append(({*rows.tolist()}, seed))
        own = torch.full((12, 4), float(len(asked)), dtype=torch.float64)
        own[:, 0] += len(asked)
        return own

    found = prepared(reference=reference)
    (first, _), (second, _) = asked
    assert len(first) == len(second) == 6 and first | second == set(range(12))
    by_first = label_difference(TEACHER, constant(2, 1), LABELS)
    by_second = label_difference(TEACHER, constant(4, 2), LABELS)
    expected = torch.tensor([by_first[i] if i in second else by_second[i] for i in range(12)], dtype=torch.float64)
    torch.testing.assert_close(found["label"], expected)


def test_samples_without_a_label_count_by_what_the_teacher_expects_and_train_no_reference() -> None:
    known = torch.arange(12) % 3 > 0
    asked: list[int] = []

    def reference(rows: torch.Tensor, seed: int) -> torch.Tensor:
        asked.extend(rows.tolist())
        return REFERENCE

    found, other = (
        prepared(labelled=known, reference=reference, labels=torch.where(known, LABELS, junk)) for junk in (0, 3)
    )
    assert set(asked) == set(known.nonzero().squeeze(1).tolist())
    assert all(torch.equal(found[name], other[name]) for name in found)
    torch.testing.assert_close(found["label"], torch.where(known, scores(), answer_difference(TEACHER, REFERENCE)))
    assert torch.equal(found["classes"], torch.where(known, LABELS, TEACHER.argmax(-1)))


def test_without_a_teacher_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(ComponentError, match="compares with a teacher, and there is none"):
        prepared(teacher=None)


def test_a_random_share_is_drawn_anew_or_kept() -> None:
    new, kept = (selection("random_fraction", share=0.5, redraw=redraw) for redraw in (True, False))
    assert (new.size, kept.size) == (6, 6)
    passes = [draw(new, number).rows for number in range(40)]
    counts = torch.cat(passes).bincount(minlength=12)
    assert counts.sum() == 240 and counts.min() >= 10  # 20 expected of each, with a deviation of 3.2
    assert {tuple(draw(kept, number, seed).rows.tolist()) for number in range(5) for seed in range(3)} == {
        tuple(draw(kept, 0).rows.tolist())
    }


def test_a_balanced_pass_has_every_class_with_the_same_weight_in_all() -> None:
    labels = torch.tensor([0] * 300 + [1] * 80 + [2] * 20)
    task = Task(dataset="made up", modality="table", input_shape=(3,), classes=tuple("abc"), train_size=400)
    component = make("selections", "balanced", {"most": 2.0})
    context = PrepareContext(task=task, labels=labels, reference=lambda rows, seed: REFERENCE)
    balanced = component.build(BuildContext(task=task, artefact=component.prepare(context)))
    first, second = draw(balanced, 0), draw(balanced, 1)
    assert first.weights is not None and len(first.rows) == balanced.size == 100
    totals = torch.stack([first.weights[labels[first.rows] == each].sum() for each in range(3)])
    torch.testing.assert_close(totals, torch.full((3,), 100 / 3), rtol=0.03, atol=0.0)
    assert labels[first.rows].bincount().tolist() == [40, 40, 20]  # of the rarest all, which count for twice as many
    assert not torch.equal(first.rows, second.rows)


def test_a_balanced_pass_leaves_samples_without_a_label_their_share() -> None:
    labels = torch.tensor([0] * 90 + [1] * 10)
    known = torch.arange(100) % 2 == 0
    task = Task(dataset="made up", modality="table", input_shape=(3,), classes=tuple("ab"), train_size=100)
    component = make("selections", "balanced", {})
    context = PrepareContext(task=task, labels=labels, labelled=known, reference=lambda rows, seed: REFERENCE)
    drawn = draw(component.build(BuildContext(task=task, artefact=component.prepare(context))), 0)
    assert drawn.weights is not None
    unlabelled = ~known[drawn.rows]
    assert abs(int(unlabelled.sum()) - len(drawn.rows) / 2) <= 1 and drawn.weights[unlabelled].unique().tolist() == [1]
