"""Each loss to its published definition: known values, identities, invariances.

The fixtures are given by formula; the expected values were worked out with numpy from the papers' equations.
"""

from __future__ import annotations

import ast
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import autokd.losses
from autokd import catalog
from autokd.errors import ComponentError
from autokd.losses import ce, dist, dkd, hint, kd, sp
from autokd.losses.projectors import Resize
from autokd.networks.models import seeded
from autokd.types import BuildContext, Output, Shapes, Step, Task
from tests import processes

ROW = torch.arange(4, dtype=torch.float64)[:, None]
COLUMN = torch.arange(5, dtype=torch.float64)
STUDENT = torch.sin(ROW + 2 * COLUMN + 1)
TEACHER = 2 * torch.cos(2 * ROW - COLUMN)
TARGETS = torch.tensor([0, 1, 2, 4])
LOG_3 = torch.tensor([[0.0, math.log(3)]], dtype=torch.float64)


def feature_map(channels: int, a: float, b: float, d: float) -> Tensor:
    i, k, h, w = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (4, channels, 4, 4)), indexing="ij")
    return torch.sin(a * i + b * k + d * h - 0.5 * w)


STUDENT_MAP = feature_map(2, 1.0, 0.6, 0.3)
TEACHER_MAP = feature_map(3, 0.8, 1.1, 0.4)


def normal(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradient(loss: Tensor, of: Tensor) -> Tensor:
    return torch.autograd.grad(loss.sum(), of)[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (lambda: kd(STUDENT, TEACHER, temperature=4.0).mean(), 1.34513534),
        (lambda: kd(STUDENT, TEACHER, temperature=1.0).mean(), 1.00758292),
        (lambda: dkd(STUDENT, TEACHER, TARGETS, temperature=4.0, alpha=1.0, beta=8.0).mean(), 11.47202424),
        (lambda: dkd(STUDENT, TEACHER, TARGETS, temperature=4.0, alpha=1.0, beta=0.0).mean(), 0.22544213),
        (lambda: dkd(STUDENT, TEACHER, TARGETS, temperature=4.0, alpha=0.0, beta=1.0).mean(), 1.40582276),
        (lambda: dist(STUDENT, TEACHER, temperature=4.0), 34.6883392018),
        (lambda: dist(STUDENT, TEACHER, temperature=1.0), 2.1700480475),
        (lambda: sp(STUDENT_MAP, TEACHER_MAP), 0.01874493),
        # by hand: softmax (1/4, 3/4), target 1; smoothed target (0.05, 0.95)
        (lambda: ce(LOG_3, torch.tensor([1])), math.log(4 / 3)),
        (
            lambda: ce(LOG_3, torch.tensor([1]), label_smoothing=0.1),
            0.05 * math.log(4) + 0.95 * math.log(4 / 3),
        ),
        # by hand: (1 + 4 + 0 + 9) / 4
        (lambda: hint(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([[[[0.0, 4.0], [3.0, 1.0]]]])), 3.5),
    ],
    ids=["kd T=4", "kd T=1", "dkd", "tckd", "nckd", "dist T=4", "dist T=1", "sp", "ce", "ce smoothed", "hint"],
)
def test_known_values(value: Callable[[], Tensor], expected: float) -> None:
    assert value().item() == pytest.approx(expected, abs=5.1e-9, rel=0)


# ce


def test_ce_takes_indices_or_probabilities() -> None:
    one_hot = F.one_hot(TARGETS, 5).double()
    torch.testing.assert_close(ce(STUDENT, TARGETS), ce(STUDENT, one_hot))
    mixed = 0.3 * one_hot + 0.7 * one_hot.roll(1, 0)
    torch.testing.assert_close(ce(STUDENT, mixed), 0.3 * ce(STUDENT, TARGETS) + 0.7 * ce(STUDENT, TARGETS.roll(1)))


def test_ce_is_least_at_the_targets_where_it_is_their_entropy() -> None:
    logits = torch.tensor([[0.0, math.log(3)]], dtype=torch.float64, requires_grad=True)
    loss = ce(logits, torch.tensor([[0.25, 0.75]]))
    assert loss.item() == pytest.approx(0.25 * math.log(4) + 0.75 * math.log(4 / 3), abs=1e-12)
    assert gradient(loss, logits).abs().max() < 1e-12


# kd


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_kd_gradient_is_temperature_times_the_difference_of_probabilities(temperature: float) -> None:
    student = STUDENT.clone().requires_grad_()
    found = gradient(kd(student, TEACHER, temperature=temperature), student)
    expected = temperature * ((STUDENT / temperature).softmax(-1) - (TEACHER / temperature).softmax(-1))
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


def standardised(logits: Tensor) -> Tensor:
    return (logits - logits.mean(-1, keepdim=True)) / logits.std(-1, keepdim=True, unbiased=False)


def test_kd_gradient_keeps_its_size_over_temperatures() -> None:
    student, teacher = standardised(normal(64, 10)).requires_grad_(), standardised(normal(64, 10, seed=1))
    norms = [gradient(kd(student, teacher, temperature=t), student).norm().item() for t in (1, 2, 4, 8, 12, 20)]
    assert max(norms) < 2 * min(norms)


def test_kd_gradient_tends_to_the_difference_of_centred_logits() -> None:
    student, teacher = normal(8, 10).requires_grad_(), normal(8, 10, seed=1)
    found = gradient(kd(student, teacher, temperature=1000.0), student)
    limit = ((student - student.mean(-1, keepdim=True)) - (teacher - teacher.mean(-1, keepdim=True))).detach() / 10
    assert (found - limit).norm() < 0.01 * limit.norm()


def test_kd_ignores_a_constant_a_sample_but_not_a_scale() -> None:
    torch.testing.assert_close(kd(STUDENT + 7 * ROW, TEACHER - ROW), kd(STUDENT, TEACHER))
    assert (kd(2 * STUDENT, TEACHER) - kd(STUDENT, TEACHER)).abs().max() > 0.01


# dkd


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_dkd_with_the_teachers_own_doubt_as_beta_is_kd(temperature: float) -> None:
    doubt = 1 - (TEACHER / temperature).softmax(-1).gather(1, TARGETS[:, None])[:, 0]
    target_term = dkd(STUDENT, TEACHER, TARGETS, temperature=temperature, alpha=1.0, beta=0.0)
    others_term = dkd(STUDENT, TEACHER, TARGETS, temperature=temperature, alpha=0.0, beta=1.0)
    torch.testing.assert_close(target_term + doubt * others_term, kd(STUDENT, TEACHER, temperature=temperature))


def test_dkd_others_term_ignores_the_target_logit() -> None:
    shifted = STUDENT + 5 * F.one_hot(TARGETS, 5)
    others_only = dkd(STUDENT, TEACHER, TARGETS, alpha=0.0, beta=1.0)
    torch.testing.assert_close(dkd(shifted, TEACHER, TARGETS, alpha=0.0, beta=1.0), others_only)
    assert (dkd(shifted, TEACHER, TARGETS) - dkd(STUDENT, TEACHER, TARGETS)).abs().max() > 0.01


def test_dkd_with_two_classes_is_kd() -> None:
    found = dkd(STUDENT[:, :2], TEACHER[:, :2], torch.tensor([0, 1, 1, 0]), alpha=1.0, beta=8.0)
    torch.testing.assert_close(found, kd(STUDENT[:, :2], TEACHER[:, :2], temperature=4.0))


def test_dkd_takes_the_likeliest_class_of_probabilities() -> None:
    soft = 0.6 * F.one_hot(TARGETS, 5) + 0.4 * F.one_hot(TARGETS.roll(1), 5)
    torch.testing.assert_close(dkd(STUDENT, TEACHER, soft), dkd(STUDENT, TEACHER, TARGETS))


def test_dkd_in_float32_where_both_are_sure() -> None:
    """By hand: margins +1000 and -1000 at T = 1, so the target term is 1000; the others are alike."""
    sure = torch.tensor([[1000.0, 0.0, 0.0]])
    assert dkd(-sure, sure, torch.tensor([0]), temperature=1.0).item() == pytest.approx(1000 + math.log(2), abs=1)
    assert dkd(sure, sure, torch.tensor([0]), temperature=1.0).item() == 0


def test_dkd_ramps_up() -> None:
    step = Step(Output(STUDENT), Output(TEACHER), F.one_hot(TARGETS, 5).double(), torch.ones(4), torch.arange(4), 0.05)
    term = catalog.load("losses", "dkd")(warmup=0.2).build(context_of((8, 4, 4), (8, 4, 4)))
    full = dkd(STUDENT, TEACHER, TARGETS)
    torch.testing.assert_close(term(step), 0.25 * full)
    torch.testing.assert_close(term(dataclasses.replace(step, u=0.2)), full)
    torch.testing.assert_close(term(dataclasses.replace(step, u=0.9)), full)
    assert term(dataclasses.replace(step, u=0.0)).abs().max() == 0
    at_once = catalog.load("losses", "dkd")(warmup=0.0).build(context_of((8, 4, 4), (8, 4, 4)))
    torch.testing.assert_close(at_once(dataclasses.replace(step, u=0.0)), full)
    briefly = catalog.load("losses", "dkd")(warmup=0.05).build(context_of((8, 4, 4), (8, 4, 4)))
    torch.testing.assert_close(briefly(dataclasses.replace(step, u=0.04)), 0.8 * full)


# dist


def test_dist_rows_ignore_a_positive_affine_map_of_probabilities() -> None:
    """Mixing the student's probabilities with uniform leaves the row term alone, and scaling its logits does not."""
    probabilities = STUDENT.softmax(-1)
    mixed = (0.5 * probabilities + 0.1).log()
    rows = dist(STUDENT, TEACHER, temperature=1.0, gamma=0.0)
    torch.testing.assert_close(dist(mixed, TEACHER, temperature=1.0, gamma=0.0), rows)
    assert (dist(3 * STUDENT, TEACHER, temperature=1.0, gamma=0.0) - rows).abs() > 0.01


def test_dist_of_opposites_reaches_its_bound() -> None:
    """By hand: two classes, student and teacher swapped, so each row and column correlates by -1."""
    logits = torch.tensor([[2.0, -2.0], [-1.0, 1.0]], dtype=torch.float64)
    found = dist(logits, -logits, temperature=4.0, beta=1.0, gamma=2.0)
    assert found.item() == pytest.approx(2 * (1 + 2) * 16, abs=1e-9)


def test_dist_flat_columns_count_nothing_where_both_are_flat() -> None:
    one = dist(STUDENT[:1], TEACHER[:1], beta=0.0, gamma=1.0)
    assert one.item() == 0
    rows = dist(STUDENT[:1], TEACHER[:1], beta=1.0, gamma=0.0)
    torch.testing.assert_close(dist(STUDENT[:1], TEACHER[:1]), rows)
    half = dist(torch.zeros_like(STUDENT), TEACHER, temperature=1.0, beta=1.0, gamma=0.0)
    assert half.item() == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("classes", range(3, 40))
def test_dist_takes_rounding_noise_for_flat(classes: int) -> None:
    """Equal float32 probabilities may differ from their own mean in the last digit; that is no direction to follow."""
    student = torch.zeros(4, classes, requires_grad=True)
    found = gradient(dist(student, normal(4, classes).float(), temperature=1.0), student)
    assert found.abs().max() == 0


# sp


def test_sp_ignores_rotation_and_common_scale_but_not_a_scale_a_sample() -> None:
    student, teacher = normal(8, 6), normal(8, 12, seed=1)
    rotation = torch.linalg.qr(normal(6, 6, seed=2))[0]
    torch.testing.assert_close(sp(3 * student @ rotation, teacher), sp(student, teacher))
    scaled = student * (1 + torch.arange(8)[:, None])
    assert (sp(scaled, teacher) - sp(student, teacher)).abs() > 1e-3


def test_sp_of_one_sample_is_zero() -> None:
    assert sp(STUDENT_MAP[:1], TEACHER_MAP[:1]).item() == 0


def test_sp_by_hand() -> None:
    """Orthogonal samples (similarities: the identity) against two equal ones (all 1/sqrt 2)."""
    apart, alike = torch.eye(2), torch.ones(2, 3)
    expected = (2 * (1 - math.sqrt(0.5)) ** 2 + 2 * 0.5) / 4
    assert sp(apart, alike).item() == pytest.approx(expected, abs=1e-6)


def test_sp_keeps_float32_under_autocast() -> None:
    student, teacher = normal(8, 6).float(), normal(8, 12, seed=1).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = sp(student, teacher)
    assert torch.equal(inside, sp(student, teacher))


# hint


def context_of(student: tuple[int, ...], teacher: tuple[int, ...]) -> BuildContext:
    task = Task(dataset="synthetic", modality="image", input_shape=(3, 8, 8), classes=tuple("abcde"), train_size=100)
    return BuildContext(task=task, student=Shapes((student,)), teacher=Shapes((teacher,)))


def hint_term(student: tuple[int, ...], teacher: tuple[int, ...], **values: object) -> nn.Module:
    with seeded(0):
        term: nn.Module = catalog.load("losses", "hint")(**values).build(context_of(student, teacher))
    return term


def test_hint_is_zero_at_equal_maps_and_grows_with_the_square_of_a_scale() -> None:
    assert hint(TEACHER_MAP, TEACHER_MAP).abs().max() == 0
    other = TEACHER_MAP.flip(0)
    torch.testing.assert_close(hint(3 * TEACHER_MAP, 3 * other), 9 * hint(TEACHER_MAP, other))


@pytest.mark.parametrize(
    "teacher_size", [(1, 1), (3, 5), (4, 4), (7, 7), (8, 8), (14, 14), (16, 16), (16, 8), (20, 20)]
)
def test_hint_regressor_reaches_every_size(teacher_size: tuple[int, int]) -> None:
    term = hint_term((4, 8, 8), (6, *teacher_size))
    student, teacher = normal(3, 4, 8, 8).float(), normal(3, 6, *teacher_size).float()
    assert term.get_submodule("regressors.0")(student).shape == teacher.shape
    assert term.get_submodule("regressors.0")(student[:1]).shape == teacher[:1].shape


def test_hint_resize_is_average_pooling() -> None:
    x = normal(2, 3, 8, 6).float()
    for after in ((4, 3), (5, 4), (16, 7)):
        torch.testing.assert_close(Resize((8, 6), after)(x), F.adaptive_avg_pool2d(x, after))


def test_hint_without_relu_reaches_negative_targets() -> None:
    student = normal(3, 4, 8, 8).float()
    assert hint_term((4, 8, 8), (6, 8, 8)).get_submodule("regressors.0")(student).min() >= 0
    assert hint_term((4, 8, 8), (6, 8, 8), relu=False).get_submodule("regressors.0")(student).min() < 0


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ("middle", [(1, 1)]),
        ("last", [(3, 2)]),
        ("all", [(0, 0), (1, 0), (2, 1), (3, 2)]),
        ("2-3", [(1, 2)]),
    ],
)
def test_hint_adds_up_its_pairs_of_stages(stages: str, expected: list[tuple[int, int]]) -> None:
    student, teacher = tuple((c + 1, 4, 4) for c in range(4)), tuple((c + 5, 4, 4) for c in range(3))
    context = BuildContext(task=context_of((1,), (1,)).task, student=Shapes(student), teacher=Shapes(teacher))
    with seeded(0):
        term = catalog.load("losses", "hint")(stages=stages).build(context)
    assert [(pair.student, pair.teacher) for pair in term.matches] == expected
    own, answer = (
        Output(STUDENT, tuple(normal(3, *shape).float() for shape in shapes)) for shapes in (student, teacher)
    )
    step = Step(own, answer, torch.eye(3, 5), torch.ones(3), torch.arange(3), 0.5)
    found = [
        hint(regress(own.features[i]), answer.features[j])
        for (i, j), regress in zip(expected, term.regressors, strict=True)
    ]
    torch.testing.assert_close(term(step), sum(found))


@pytest.mark.parametrize("name", ["hint", "sp"])
@pytest.mark.parametrize("who", ["student", "teacher"])
def test_features_that_are_not_there_are_a_clear_error(name: str, who: str) -> None:
    shapes = {"student": Shapes(((4, 8, 8),)), "teacher": Shapes(((4, 8, 8),)), who: Shapes()}
    context = BuildContext(task=context_of((1,), (1,)).task, student=shapes["student"], teacher=shapes["teacher"])
    with pytest.raises(ComponentError, match=f"{name}.*the {who} offers none"):
        catalog.load("losses", name)().build(context)


def test_hint_of_maps_to_vectors_is_a_clear_error() -> None:
    with pytest.raises(ComponentError, match="both vectors"):
        hint_term((4, 8, 8), (6,))


# the package


def test_the_stub_lists_what_the_folder_holds_and_the_second_names() -> None:
    folder = Path(autokd.losses.__file__).parent
    stub = ast.parse((folder / "__init__.pyi").read_text()).body
    imports = [node for node in stub if isinstance(node, ast.ImportFrom)]
    second = dict(ast.unparse(node).split(" = ") for node in stub if isinstance(node, ast.Assign))
    exported = {(node.module, alias.name, alias.asname) for node in imports for alias in node.names}
    found = sorted(path.stem[1:] for path in folder.glob("_[a-z]*.py"))
    assert exported == {(f"autokd.losses._{name}", name, name) for name in found}
    assert second == vars(autokd.losses)["ALIASES"]
    assert dir(autokd.losses) == sorted([*found, *second])


def test_a_second_name_is_the_same_function() -> None:
    assert autokd.losses.similarity_preserving is sp


ORDERS = (
    "import autokd.losses._dkd; from autokd.losses import dkd",
    "from autokd.losses import dkd; import autokd.losses._dkd",
    "from autokd import catalog; catalog.load('losses', 'dkd'); import autokd.losses; dkd = autokd.losses.dkd",
)


def test_a_loss_name_is_the_function_in_either_order(tmp_path: Path) -> None:
    asserted = "; import autokd.losses; assert autokd.losses.dkd is dkd; assert dkd.__name__ == 'dkd'\n"
    code = "".join(f"{processes.ANEW}{imports}{asserted}" for imports in ORDERS)
    assert processes.run(code, folder=tmp_path) == (0, "")


def test_an_unknown_loss_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'kdd'"):
        autokd.losses.kdd  # type: ignore[attr-defined]  # noqa: B018
