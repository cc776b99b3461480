"""Losses on logits to their published definitions: known values, identities, invariances, limits.

The fixtures are given by formula. The expected values were worked out with numpy, scipy and POT from the papers'
equations; none comes from this package.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autokd import catalog
from autokd.errors import ComponentError
from autokd.losses import camkd, ce, ctkd, dml, kd, lelp, mlkd, nkd, ofa, sinkhorn, tfkd, ttm, uskd, wttm
from autokd.losses._camkd import confidences
from autokd.losses._kd import standardised
from autokd.losses._lelp import subclass_projections
from autokd.losses._ofa import exit_stages
from autokd.losses._uskd import Weights
from autokd.losses.exits import exit_from
from autokd.networks.models import seeded
from autokd.types import BuildContext, Output, PrepareContext, Shapes, Step, Task

ROW = torch.arange(4, dtype=torch.float64)[:, None]
COLUMN = torch.arange(5, dtype=torch.float64)
STUDENT = torch.sin(ROW + 2 * COLUMN + 1)
TEACHER = 2 * torch.cos(2 * ROW - COLUMN)
MEMBERS = (TEACHER, 1.5 * torch.sin(0.5 * ROW + COLUMN), 3 * torch.cos(ROW * COLUMN + 1))  # an ensemble's
UNEVEN = TEACHER * (1 + 0.2 * ROW) + torch.sin(COLUMN)  # without ties in confidence or mass
TARGETS = torch.tensor([0, 1, 2, 4])
LABELS = F.one_hot(TARGETS, 5).double()
FEATURE = torch.sin(1.3 * ROW + 0.7 * torch.arange(3) + 0.2)
WEAK = FEATURE @ torch.sin(torch.arange(15, dtype=torch.float64).reshape(5, 3)).T  # a weak classifier's logits
SUBCLASSES = torch.arange(3, dtype=torch.float64)
SUBCLASS_LOGITS = torch.sin(ROW[..., None] + 2 * COLUMN[:, None] + 3 * SUBCLASSES)
SUBCLASS_TARGETS = torch.cos(ROW[..., None] * COLUMN[:, None] - SUBCLASSES).softmax(-1)
PUBLISHED_USKD: dict[str, Any] = {"alpha": 1.0, "beta": 0.1, "mu": 0.005}


def normal(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradient(loss: Tensor, of: Tensor) -> Tensor:
    return torch.autograd.grad(loss.sum(), of)[0]


def close(found: Tensor, expected: Tensor | float, tolerance: float = 1e-12) -> None:
    expected = torch.as_tensor(expected, dtype=found.dtype).expand_as(found)
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)


def context_of(classes: int = 5, *, student: Shapes | None = None, **rest: Any) -> BuildContext:
    names = tuple(f"class {i}" for i in range(classes))
    task = Task(dataset="synthetic", modality="image", input_shape=(3, 8, 8), classes=names, train_size=100)
    return BuildContext(task=task, student=student or Shapes(), teacher=Shapes(), **rest)


def step_of(student: Output, teacher: Output | None, u: float = 0.5) -> Step:
    rows = len(student.logits)
    return Step(student, teacher, LABELS, torch.ones(rows), torch.arange(rows), u)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (lambda: kd(standardised(STUDENT), standardised(TEACHER), temperature=2.0).mean(), 0.9117580196558609),
        (lambda: 0.9 * kd(standardised(STUDENT), standardised(TEACHER), temperature=1.0).mean(), 0.76468502160232),
        (lambda: nkd(STUDENT, TEACHER, TARGETS, gamma=1.5, temperature=1.0).mean(), 3.08554003),
        (lambda: nkd(STUDENT, TEACHER, TARGETS, gamma=3.5, temperature=3.0).mean(), 45.55071626),
        (lambda: ofa(STUDENT, TEACHER, TARGETS, gamma=1.0, temperature=1.0).mean(), 1.97051744),
        (lambda: ofa(STUDENT, TEACHER, TARGETS, gamma=1.5, temperature=1.0).mean(), 1.71916459),
        (lambda: ttm(STUDENT, TEACHER, gamma=0.1).mean(), 0.24252210),
        (lambda: wttm(STUDENT, TEACHER, gamma=0.1).mean(), 0.95692676),
        (lambda: 4 * sinkhorn(STUDENT, TEACHER, temperature=2.0, epsilon=0.1, iterations=20), 2.29053712),
        (lambda: mlkd(STUDENT, TEACHER, temperatures=(4.0,)), 1.34513534 + 0.00156294 + 0.00564793),
        (lambda: mlkd(STUDENT, TEACHER), 6.740983469937504),
        (lambda: mlkd(STUDENT, UNEVEN, temperatures=(4.0,), masked=True), 0.8018072287302804),
        (lambda: uskd(STUDENT, WEAK, TARGETS, weights=Weights(**PUBLISHED_USKD)).mean(), 1.87294087),
        (lambda: uskd(STUDENT, WEAK, TARGETS, weights=Weights(**PUBLISHED_USKD), legacy_rank=True).mean(), 1.86796107),
        (lambda: tfkd(STUDENT, TARGETS, temperature=20.0).mean(), 0.22461819973472885),
        # 0.1 times 100 on the mean over classes, as the authors' code has it
        (
            lambda: (0.9 * ce(STUDENT, TARGETS) + 10 * tfkd(STUDENT, TARGETS, softmax_twice=True) / 5).mean(),
            2.02257982,
        ),
        (
            lambda: (0.05 * ce(STUDENT, TARGETS) + 0.95 * 50 * kd(STUDENT, TEACHER, temperature=6.0) / 5).mean(),
            12.84093967,
        ),
        (
            lambda: lelp(STUDENT, SUBCLASS_LOGITS, TEACHER, SUBCLASS_TARGETS, temperature=2.0).mean(),
            2.0079608288326947,
        ),
        (lambda: ctkd(STUDENT, TEACHER, torch.tensor(4.0)).mean(), 1.34513534),
        (lambda: camkd(STUDENT, MEMBERS, LABELS).mean(), 1.10788858),
    ],
    ids=[
        "kd standardised",
        "kd over std",
        "nkd ImageNet",
        "nkd CIFAR",
        "ofa 1",
        "ofa 1.5",
        "ttm",
        "wttm",
        "sinkhorn",
        "mlkd T=4",
        "mlkd",
        "mlkd masked",
        "uskd",
        "uskd legacy",
        "tfkd",
        "tfkd legacy",
        "tfkd self",
        "lelp",
        "ctkd",
        "camkd",
    ],
)
def test_known_values(value: Callable[[], Tensor], expected: float) -> None:
    assert value().item() == pytest.approx(expected, abs=1.1e-8, rel=0)


@pytest.mark.parametrize("name", ["nkd", "ofa", "uskd", "tfkd"])
def test_the_likeliest_class_of_probabilities_is_the_target(name: str) -> None:
    loss = {
        "nkd": lambda targets: nkd(STUDENT, TEACHER, targets),
        "ofa": lambda targets: ofa(STUDENT, TEACHER, targets, gamma=1.5),
        "uskd": lambda targets: uskd(STUDENT, WEAK, targets),
        "tfkd": lambda targets: tfkd(STUDENT, targets),
    }[name]
    mixed = 0.6 * F.one_hot(TARGETS, 5).double() + 0.4 * F.one_hot(TARGETS.roll(1), 5)
    torch.testing.assert_close(loss(mixed), loss(TARGETS))
    assert (loss(TARGETS.roll(1)) - loss(TARGETS)).abs().max() > 1e-3


# kd with standardised logits


@pytest.mark.parametrize("which", ["student", "teacher"])
def test_standardised_kd_ignores_a_shift_and_a_positive_scale(which: str) -> None:
    moved = {"student": STUDENT, "teacher": TEACHER, which: 3 * {"student": STUDENT, "teacher": TEACHER}[which] + ROW}
    found = kd(standardised(moved["student"]), standardised(moved["teacher"]), temperature=2.0)
    close(found, kd(standardised(STUDENT), standardised(TEACHER), temperature=2.0), 1e-6)
    assert (kd(moved["student"], moved["teacher"]) - kd(STUDENT, TEACHER)).abs().max() > 0.01


def test_standardised_logits_reach_their_bound_at_a_lone_peak() -> None:
    found = standardised(1e6 * torch.eye(10, dtype=torch.float64)[:1])
    assert found.max().item() == pytest.approx(9 / math.sqrt(10), abs=1e-9)


def test_flat_logits_standardise_to_zero_without_gradient() -> None:
    logits = torch.full((2, 7), 0.1, requires_grad=True)
    loss = kd(standardised(logits), TEACHER[:2, :1].float() * torch.arange(7))
    assert gradient(loss, logits).abs().max() == 0
    assert standardised(logits).abs().max() == 0


def test_the_component_standardises() -> None:
    step = step_of(Output(STUDENT), Output(TEACHER))
    term = catalog.load("losses", "kd")(standardize=True, temperature=2.0).build(context_of())
    assert term(step).mean().item() == pytest.approx(0.9117580196558609, abs=1e-12)
    assert catalog.load("losses", "kd")(temperature=4.0).build(context_of())(step).mean() > 1.3


def test_standardising_too_few_classes_is_a_clear_error() -> None:
    catalog.load("losses", "kd")(standardize=True).build(context_of(5))
    with pytest.raises(ComponentError, match=r"'kd' with standardize needs at least 5 classes, synthetic has 4"):
        catalog.load("losses", "kd")(standardize=True).build(context_of(4))


# nkd


def test_nkd_others_part_ignores_the_students_target_logit() -> None:
    def others(student: Tensor) -> Tensor:
        return nkd(student, TEACHER, TARGETS, gamma=1.0) - nkd(student, TEACHER, TARGETS, gamma=0.0)

    shifted = STUDENT + 5 * F.one_hot(TARGETS, 5)
    close(others(shifted), others(STUDENT))
    assert (nkd(shifted, TEACHER, TARGETS) - nkd(STUDENT, TEACHER, TARGETS)).abs().max() > 0.01


def test_nkd_is_what_soft_cross_entropy_decomposes_into() -> None:
    """-Σ t log s = -t_y log s_y + (1 - t_y) (others' cross-entropy - log(1 - s_y)), with independent weights in nkd."""
    rows = torch.arange(4)
    t, s = TEACHER.softmax(-1), STUDENT.softmax(-1)
    t_y, s_y = t[rows, TARGETS], s[rows, TARGETS]
    others = nkd(STUDENT, TEACHER, TARGETS, gamma=1.0) - nkd(STUDENT, TEACHER, TARGETS, gamma=0.0)
    close(-t_y * s_y.log() + (1 - t_y) * (others - (1 - s_y).log()), -(t * s.log()).sum(-1))
    close(nkd(STUDENT, TEACHER, TARGETS, gamma=0.0), -t_y * s_y.log())


def test_nkd_of_two_classes_has_no_others_part() -> None:
    args = STUDENT[:, :2], TEACHER[:, :2], torch.tensor([0, 1, 1, 0])
    close(nkd(*args, gamma=8.0), nkd(*args, gamma=0.0))


def test_nkd_temperature_is_of_the_others_part_only() -> None:
    close(nkd(STUDENT, TEACHER, TARGETS, gamma=0.0, temperature=6.0), nkd(STUDENT, TEACHER, TARGETS, gamma=0.0))


def test_nkd_tends_to_its_infimum() -> None:
    """The teacher's own others and a target probability towards 1: gamma T² times the entropy of the others."""
    others = torch.stack([row[torch.arange(5) != y] for row, y in zip(TEACHER / 3, TARGETS, strict=True)]).softmax(-1)
    infimum = 1.5 * 9 * -(others * others.log()).sum(-1)
    sure = (TEACHER + 40 * F.one_hot(TARGETS, 5)).requires_grad_()
    loss = nkd(sure, TEACHER, TARGETS, gamma=1.5, temperature=3.0)
    close(loss.detach(), infimum)
    assert gradient(loss, sure).abs().max() < 1e-12
    assert (nkd(STUDENT, TEACHER, TARGETS, gamma=1.5, temperature=3.0) > infimum).all()


# ofa


def test_ofa_with_exponent_one_is_soft_cross_entropy() -> None:
    close(ofa(STUDENT, TEACHER, TARGETS, gamma=1.0), -(TEACHER.softmax(-1) * STUDENT.log_softmax(-1)).sum(-1))


def test_ofa_of_a_sure_teacher_and_a_flat_student() -> None:
    """By hand: the target's coefficient is 2^1.5 - 1, the others' are 0, and each -log p is log 10."""
    teacher = 60.0 * F.one_hot(torch.tensor([3]), 10).double()
    found = ofa(torch.zeros_like(teacher), teacher, torch.tensor([3]), gamma=1.5)
    assert found.item() == pytest.approx(4.21011, abs=5e-6)
    assert found.item() == pytest.approx((2**1.5 - 1) * math.log(10), abs=1e-9)


def test_ofa_coefficients_grow_at_the_target_and_shrink_elsewhere() -> None:
    """The gradient to flat logits is (sum of coefficients) / C - coefficient."""

    def coefficients(gamma: float) -> Tensor:
        student = torch.zeros_like(TEACHER, requires_grad=True)
        loss = ofa(student, TEACHER, TARGETS, gamma=gamma)
        return loss.detach()[:, None] / (5 * math.log(5)) - gradient(loss, student)

    plain, stressed, more = (coefficients(gamma) for gamma in (1.0, 1.5, 2.0))
    hit = F.one_hot(TARGETS, 5).bool()
    close(plain, TEACHER.softmax(-1))
    assert (stressed[hit] > plain[hit]).all()
    assert (more[hit] > stressed[hit]).all()
    assert (stressed[~hit] < plain[~hit]).all()
    order = plain[hit].argsort()
    assert stressed[hit][order].diff().min() > 0


def test_ofa_is_least_where_the_student_is_proportional_to_the_coefficients() -> None:
    hit = F.one_hot(TARGETS, 5)
    best = ((TEACHER.softmax(-1) + hit) ** 1.5 - hit).log().requires_grad_()
    assert gradient(ofa(best, TEACHER, TARGETS, gamma=1.5), best).abs().max() < 1e-12
    assert (ofa(best, TEACHER, TARGETS, gamma=1.5) < ofa(TEACHER, TEACHER, TARGETS, gamma=1.5)).all()


@pytest.mark.parametrize(
    ("which", "count", "expected"),
    [
        ("all", 4, (0, 1, 2, 3)),
        ("all", 3, (0, 1, 2)),
        ("all", 1, (0,)),
        ("all", 12, (2, 5, 8, 11)),
        ("skip", 4, (1, 3)),
        ("skip", 3, (0, 2)),
        ("last", 5, (4,)),
        ("none", 4, ()),
    ],
)
def test_ofa_exits_are_chosen_by_relative_depth(which: str, count: int, expected: tuple[int, ...]) -> None:
    assert exit_stages(which, count) == expected


FAMILIES = {
    "maps": ((4, 9, 9), (6, 4, 4), (8, 2, 2), (8, 1, 1)),
    "vectors": ((4,), (6,), (3,)),
    "tokens": ((5, 8), (5, 8), (5, 8), (5, 6)),
}


@pytest.mark.parametrize(("family", "stage"), [(f, i) for f, shapes in FAMILIES.items() for i in range(len(shapes))])
def test_an_exit_leads_from_every_stage_to_logits(family: str, stage: int) -> None:
    shapes = FAMILIES[family]
    exit_ = exit_from(shapes, stage, classes=5)
    for batch in (1, 3):
        assert exit_(normal(batch, *shapes[stage]).float()).shape == (batch, 5)


def test_earlier_exits_are_deeper() -> None:
    def depth(family: str, stage: int, kind: type[nn.Module]) -> int:
        network = exit_from(FAMILIES[family], stage, classes=5)
        return sum(isinstance(module, kind) for module in network.modules())

    assert [depth("maps", stage, nn.Conv2d) for stage in range(4)] == [12, 8, 4, 1]
    assert [depth("tokens", stage, nn.TransformerEncoderLayer) for stage in range(4)] == [3, 2, 1, 1]
    assert [depth("vectors", stage, nn.Linear) for stage in range(3)] == [3, 2, 1]


@pytest.mark.parametrize("family", ["maps", "tokens"])
def test_ofa_adds_its_exits(family: str) -> None:
    shapes = Shapes(FAMILIES[family])
    stages = tuple(normal(4, *shape, seed=i).float() for i, shape in enumerate(shapes.features))
    step = step_of(Output(STUDENT.float(), stages), Output(TEACHER.float()))
    with seeded(0):
        term = catalog.load("losses", "ofa")(gamma=1.5, stages="skip", exit_weight=2.0).build(
            context_of(student=shapes)
        )
    logits = [STUDENT.float(), *(term.exits[key](stages[int(key)]) for key in ("1", "3"))]
    last, *exits = (ofa(x, TEACHER.float(), TARGETS, gamma=1.5) for x in logits)
    torch.testing.assert_close(term(step), last + 2 * sum(exits))
    assert list(term.exits) == ["1", "3"]


def test_ofa_without_exits_needs_no_features() -> None:
    term = catalog.load("losses", "ofa")(stages="none", gamma=1.5).build(context_of())
    close(term(step_of(Output(STUDENT), Output(TEACHER))), ofa(STUDENT, TEACHER, TARGETS, gamma=1.5))
    with pytest.raises(ComponentError, match=r"'ofa' with stages: all .* student offers none; use stages: none"):
        catalog.load("losses", "ofa")(stages="all").build(context_of())


# camkd


def test_members_count_as_far_as_they_know_the_label() -> None:
    weights = confidences(MEMBERS, LABELS)
    close(weights[:, 0], torch.tensor([0.45419460, 0.19718426, 0.34862114]), 1e-8)
    close(weights[:, 3], torch.tensor([0.26919365, 0.25186553, 0.47894082]), 1e-8)
    close(weights.sum(0), 1.0)
    turned = confidences(MEMBERS[::-1], LABELS)
    close(turned, weights.flip(0))
    right, wrong = 50 * LABELS, -50 * LABELS  # one that is far off does not count, the others count alike
    close(confidences((right, wrong, right), LABELS), torch.tensor([[0.5], [0.0], [0.5]]))


def test_an_ensemble_of_equals_is_one_teacher() -> None:
    for members in ((TEACHER,), (TEACHER,) * 3):
        close(camkd(STUDENT, members, LABELS, temperature=2.0), kd(STUDENT, TEACHER, temperature=2.0))
    close(camkd(TEACHER, (TEACHER,) * 2, LABELS), 0.0)


# ttm and wttm


@pytest.mark.parametrize("loss", [ttm, wttm])
def test_matching_with_exponent_one_is_kd_at_temperature_one(loss: Callable[..., Tensor]) -> None:
    close(loss(STUDENT, TEACHER, gamma=1.0), kd(STUDENT, TEACHER, temperature=1.0))


@pytest.mark.parametrize("loss", [ttm, wttm])
def test_matching_is_zero_at_the_power_transform_and_not_at_the_teacher(loss: Callable[..., Tensor]) -> None:
    powers = TEACHER.softmax(-1) ** 0.3
    target = (powers / powers.sum(-1, keepdim=True)).log().requires_grad_()
    found = loss(target, TEACHER, gamma=0.3)
    close(found.detach(), 0.0)
    assert gradient(found, target).abs().max() < 1e-12
    assert loss(TEACHER, TEACHER, gamma=0.3).min() > 0.01


def test_dml_is_the_divergence_from_the_peer_and_the_peer_is_a_constant() -> None:
    close(
        dml(STUDENT, TEACHER), torch.tensor([0.51705835, 0.82215371, 1.31495461, 1.37616502], dtype=torch.float64), 1e-8
    )
    close(
        dml(TEACHER, STUDENT), torch.tensor([0.95697080, 0.94497353, 1.26623838, 1.65933755], dtype=torch.float64), 1e-8
    )
    close(ce(STUDENT, TARGETS).mean() + dml(STUDENT, TEACHER).mean(), 2.76396736, 1e-8)
    close(ce(TEACHER, TARGETS).mean() + dml(TEACHER, STUDENT).mean(), 3.28335541, 1e-8)
    one, other = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    dml(one, other).mean().backward()
    assert other.grad is None and one.grad is not None
    close(one.grad, (STUDENT.softmax(-1) - TEACHER.softmax(-1)) / 4)
    close(dml(STUDENT, TEACHER), kd(STUDENT, TEACHER, temperature=1.0))


def test_ttm_is_kd_with_only_the_teacher_softened() -> None:
    close(ttm(STUDENT, TEACHER, gamma=0.25), kd(4 * STUDENT, TEACHER, temperature=4.0) / 16)


def test_wttm_weights_lie_between_one_and_their_bound_and_favour_doubt() -> None:
    weights = wttm(STUDENT, TEACHER, gamma=0.1) / ttm(STUDENT, TEACHER, gamma=0.1)
    expected = [3.89107673826026, 4.05850904851202, 3.89107673826026, 3.90555079100375]
    close(weights, torch.tensor(expected, dtype=torch.float64), 1e-10)
    flat = torch.zeros_like(TEACHER)
    close(wttm(STUDENT, flat, gamma=0.1) / ttm(STUDENT, flat, gamma=0.1), 5**0.9)
    sure = 1000.0 * F.one_hot(TARGETS, 5)
    close(wttm(STUDENT, sure, gamma=0.1) / ttm(STUDENT, sure, gamma=0.1), 1.0)


# tfkd


@pytest.mark.parametrize(
    ("temperature", "twice", "target", "other"),
    [
        (2.0, False, 0.5, 0.00505050505051),
        (4.0, False, 0.09132524868435, 0.00917853284157),
        (20.0, False, 0.01574119266411, 0.00994200815491),
        (20.0, True, 0.01050207407196, 0.00999492854473),
        (1.0, False, 0.99, 0.01 / 99),
    ],
)
def test_tfkd_pulls_towards_the_made_up_teacher(temperature: float, twice: bool, target: float, other: float) -> None:
    """Its gradient is p_student - u; for flat logits p_student is 1 / C."""
    student = torch.zeros(1, 100, dtype=torch.float64, requires_grad=True)
    loss = tfkd(student, torch.tensor([7]), temperature=temperature, softmax_twice=twice)
    made_up = 0.01 - gradient(loss, student)[0]
    assert made_up[7].item() == pytest.approx(target, abs=1e-13)
    close(made_up[torch.arange(100) != 7], other, 1e-13)
    best = made_up.log()[None]
    close(tfkd(best, torch.tensor([7]), temperature=temperature, softmax_twice=twice), 0.0)


def test_tfkd_at_temperature_one_is_label_smoothing_up_to_a_constant() -> None:
    found = tfkd(STUDENT, TARGETS, temperature=1.0) - ce(STUDENT, TARGETS, label_smoothing=0.0125)
    close(found, found[0].item())


# sinkhorn


@pytest.mark.parametrize(("epsilon", "expected"), [(0.1, 0.5726342846333781), (0.5, 0.6166079813005751)])
def test_sinkhorn_agrees_with_pot(epsilon: float, expected: float) -> None:
    assert sinkhorn(STUDENT, TEACHER, epsilon=epsilon, iterations=500).item() == pytest.approx(expected, abs=1e-10)


def six_by_three() -> tuple[Tensor, Tensor]:
    i, j = torch.arange(6, dtype=torch.float64)[:, None], torch.arange(3)
    return torch.sin(3 * i + 5 * j), 2 * torch.cos(i - 2 * j)


def test_sinkhorn_tends_to_the_exact_assignment() -> None:
    student, teacher = six_by_three()
    found = sinkhorn(student, teacher, temperature=1.0, epsilon=0.002, iterations=2000)
    assert found.item() == pytest.approx(0.5860696426135843, abs=1e-4)
    entropic = sinkhorn(student, teacher, temperature=1.0, epsilon=0.2, iterations=500)
    assert entropic.item() == pytest.approx(0.6956424845236083, abs=1e-9)


def test_sinkhorn_of_two_classes_sorts() -> None:
    student, teacher = normal(16, 2), normal(16, 2, seed=1)
    p, q = (x.softmax(-1)[:, 0].sort().values for x in (student, teacher))
    found = sinkhorn(student, teacher, temperature=1.0, epsilon=0.002, iterations=3000)
    assert found.item() == pytest.approx(2 * (p - q).abs().mean().item(), abs=2e-4)


def test_sinkhorn_is_blind_to_the_order_of_samples() -> None:
    close(sinkhorn(STUDENT[[2, 0, 3, 1]], TEACHER), sinkhorn(STUDENT, TEACHER), 1e-5)
    assert "ce" in catalog.load("losses", "sinkhorn").declares.requires


def test_sinkhorn_of_one_sample_is_the_l1_distance() -> None:
    distance = ((STUDENT / 2).softmax(-1) - (TEACHER / 2).softmax(-1)).abs().sum(-1)
    close(sinkhorn(STUDENT[:1], TEACHER[:1]), distance[0])


def test_sinkhorn_debiased_is_zero_at_equal_batches_and_biased_is_not() -> None:
    assert sinkhorn(TEACHER, TEACHER).item() > 0.01
    assert sinkhorn(TEACHER, TEACHER, debiased=True).item() == 0
    student = TEACHER.clone().requires_grad_()
    loss = sinkhorn(student, TEACHER, epsilon=0.5, iterations=500, debiased=True)
    assert gradient(loss, student).abs().max() < 1e-9
    found = sinkhorn(STUDENT, TEACHER, epsilon=0.5, iterations=500, debiased=True)
    assert found.item() == pytest.approx(0.39547577643294146, abs=1e-12)


def test_sinkhorn_does_not_underflow() -> None:
    apart = 1000.0 * torch.eye(4, 5)
    found = sinkhorn(apart, apart.flip(1), epsilon=0.001)
    assert found.isfinite()
    assert found.item() == pytest.approx(2 / 4, abs=0.02)  # three of four answers have an equal on the other side


# mlkd


def relations(student: Tensor, teacher: Tensor) -> Tensor:
    return mlkd(student, teacher, temperatures=(1.0,)) - kd(student, teacher, temperature=1.0).mean()


def test_mlkd_batch_relations_ignore_a_permutation_of_classes_and_class_relations_one_of_samples() -> None:
    classes, samples = torch.tensor([2, 0, 1, 4, 3]), torch.tensor([3, 1, 0, 2])
    s, t = TEACHER[:, classes].softmax(-1), TEACHER.softmax(-1)
    close(relations(TEACHER[:, classes], TEACHER), (s.T @ s - t.T @ t).square().sum() / 5)
    s = TEACHER[samples].softmax(-1)
    close(relations(TEACHER[samples], TEACHER), (s @ s.T - t @ t.T).square().sum() / 4)
    assert relations(TEACHER[samples][:, classes], TEACHER) > 1e-3


def test_mlkd_sums_over_temperatures() -> None:
    parts = [mlkd(STUDENT, TEACHER, temperatures=(t,)) for t in (2.0, 4.0, 6.0)]
    close(mlkd(STUDENT, TEACHER, temperatures=(2.0, 4.0, 6.0)), float(sum(parts)))
    step = step_of(Output(STUDENT), Output(TEACHER))
    close(catalog.load("losses", "mlkd")(temperatures="2,4,6").build(context_of())(step), float(sum(parts)))


def test_mlkd_masked_ignores_sure_samples() -> None:
    """The surest sample's kd counts only in the plain loss; so do the relations it is in."""
    surest = UNEVEN.softmax(-1).amax(-1).argmax()
    other = STUDENT.clone()
    other[surest] += torch.tensor([3.0, 0.0, -1.0, 2.0, 0.0])
    plain = [mlkd(x, UNEVEN, temperatures=(4.0,)) - classes_part(x) for x in (STUDENT, other)]
    masked = [
        mlkd(x, UNEVEN, temperatures=(4.0,), masked=True) - classes_part(x, masked=True) for x in (STUDENT, other)
    ]
    assert (plain[0] - plain[1]).abs() > 0.01
    close(masked[0], masked[1].item())


def classes_part(student: Tensor, *, masked: bool = False) -> Tensor:
    s, t = (student / 4).softmax(-1), (UNEVEN / 4).softmax(-1)
    mass = UNEVEN.softmax(-1).sum(0)
    counted = torch.where(mass <= mass.median(), 1.0, 0.0) if masked else torch.ones(5)
    return (counted[:, None] * counted * (s.T @ s - t.T @ t).square()).sum() / 5


# uskd


def test_uskd_weights_of_the_target_have_mean_one() -> None:
    rows = torch.arange(4)
    found = uskd(STUDENT, WEAK, TARGETS, weights=Weights(alpha=1.0, beta=0.0, mu=0.0))
    log_target = STUDENT.log_softmax(-1)[rows, TARGETS]
    weights = found / -log_target
    assert weights.mean().item() == pytest.approx(1, abs=1e-12)
    close(weights.diff(), (2 * log_target).exp().diff())
    expected = torch.tensor([1.34987023775817, 2.68678263708165, 1.23017252258975, 2.22493807430754]).double()
    close(uskd(STUDENT, WEAK, TARGETS, weights=Weights(**PUBLISHED_USKD)), expected, 1e-7)


def test_uskd_labels_of_the_others_follow_zipfs_law() -> None:
    """By hand: the target ranks first, so the others share out 1/2, 1/3, 1/4, 1/5, in the order of their scores."""
    student = torch.tensor([[9.0, 1.0, 3.0, 0.0, 2.0]], dtype=torch.float64, requires_grad=True)
    loss = uskd(student, student.detach(), torch.tensor([0]), weights=Weights(alpha=0.0, beta=1.0, mu=0.0))
    others = student.detach()[:, 1:].softmax(-1)[0]
    labels = others - gradient(loss, student)[0, 1:]
    close(labels, torch.tensor([0.1948, 0.3896, 0.1558, 0.2597], dtype=torch.float64), 5e-5)
    assert labels.sum().item() == pytest.approx(1, abs=1e-12)
    of_others = uskd(student, student.detach(), torch.tensor([0]), weights=Weights(alpha=0.0, mu=0.0))
    assert gradient(of_others, student)[0, 0] == 0


def test_uskd_ranks_ties_by_class_index() -> None:
    student = torch.zeros(1, 5, dtype=torch.float64, requires_grad=True)
    loss = uskd(student, torch.zeros(1, 5), torch.tensor([4]), weights=Weights(alpha=0.0, beta=1.0, mu=0.0))
    labels = 0.25 - gradient(loss, student)[0, :4]
    close(labels, torch.tensor([1, 1 / 2, 1 / 3, 1 / 4], dtype=torch.float64) / (25 / 12))


def test_uskd_weak_part_is_label_smoothing_and_reaches_only_the_weak_classifier() -> None:
    weak, student = WEAK.clone().requires_grad_(), STUDENT.clone().requires_grad_()
    found = uskd(student, weak, TARGETS, weights=Weights(alpha=0.0, beta=0.0, mu=2.0))
    smoothed = 0.9 * F.one_hot(TARGETS, 5).double() + 0.1 / 5
    close(found.detach(), -2 * (smoothed * WEAK.log_softmax(-1)).sum(-1))
    close(gradient(found, weak), 2 * (WEAK.softmax(-1) - smoothed))
    only_others = uskd(student, weak, TARGETS, weights=Weights(alpha=1.0, beta=1.0, mu=0.0))
    assert torch.autograd.grad(only_others.sum(), weak, allow_unused=True)[0].abs().max() == 0


@pytest.mark.parametrize(
    ("features", "stage", "width"),
    [(((3, 4, 4), (6, 2, 2), (8, 1, 1)), 1, 6), (((5, 8), (5, 9)), 0, 8), (((4,),), 0, 4)],
)
def test_uskd_reads_the_last_stage_but_one(features: tuple[tuple[int, ...], ...], stage: int, width: int) -> None:
    with seeded(0):
        term = catalog.load("losses", "uskd")(**PUBLISHED_USKD).build(context_of(student=Shapes(features)))
    assert term.stage == stage
    assert term.classifier.in_features == width
    outputs = tuple(normal(4, *shape).float() for shape in features)
    mean = {4: (2, 3), 3: (1,)}.get(outputs[stage].ndim)
    feature = outputs[stage] if mean is None else outputs[stage].mean(mean)
    expected = uskd(STUDENT.float(), term.classifier(feature), TARGETS, weights=Weights(**PUBLISHED_USKD))
    torch.testing.assert_close(term(step_of(Output(STUDENT.float(), outputs), None)), expected)


def test_uskd_without_features_is_a_clear_error() -> None:
    with pytest.raises(ComponentError, match="'uskd' reads a feature of the student, which offers none"):
        catalog.load("losses", "uskd")().build(context_of())


# ctkd


@pytest.mark.parametrize("reversal", [0.0, 0.3, 1.0])
def test_ctkd_temperature_climbs_while_the_student_descends(reversal: float) -> None:
    temperature = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    student = STUDENT.clone().requires_grad_()
    loss = ctkd(student, TEACHER, temperature, reversal=reversal)
    uphill, own = torch.autograd.grad(loss.sum(), (temperature, student))
    above, below = (kd(STUDENT, TEACHER, temperature=3.0 + step).sum() for step in (1e-5, -1e-5))
    assert uphill.item() == pytest.approx(-reversal * (above - below).item() / 2e-5, abs=1e-7)
    close(own, gradient(kd(student, TEACHER, temperature=3.0), student))


def test_ctkd_starts_hot_and_reverses_along_half_a_cosine() -> None:
    term = catalog.load("losses", "ctkd")(span=20.0, curriculum=0.2).build(context_of()).double()
    assert term.temperature.item() == pytest.approx(15.621171572600097, abs=1e-12)
    step = step_of(Output(STUDENT), Output(TEACHER))
    pulls = [gradient(term(dataclasses.replace(step, u=u)), term.x).item() for u in (0.0, 0.1, 0.2, 0.9)]
    assert pulls[0] == 0
    assert pulls[1] == pytest.approx(pulls[2] / 2, rel=1e-9)
    assert pulls[2] == pulls[3] != 0


def test_ctkd_temperature_stays_in_its_range() -> None:
    term = catalog.load("losses", "ctkd")(span=5.0).build(context_of())
    for x, expected in ((-200.0, 1.0), (200.0, 6.0)):
        nn.init.constant_(term.x, x)
        assert term.temperature.item() == expected


# lelp


def test_lelp_with_one_subclass_is_kd() -> None:
    found = lelp(STUDENT, SUBCLASS_LOGITS[..., :1], TEACHER, torch.ones(4, 5, 1), temperature=3.0)
    close(found, kd(STUDENT, TEACHER, temperature=3.0))


def test_lelp_is_the_divergence_over_all_subclasses_and_its_classes_are_the_plain_students() -> None:
    targets = (TEACHER / 3).softmax(-1)[..., None] * SUBCLASS_TARGETS
    student = (STUDENT / 3).softmax(-1)[..., None] * (SUBCLASS_LOGITS / 3).softmax(-1)
    close(targets.sum(-1), (TEACHER / 3).softmax(-1))
    expected = 9 * (targets * (targets / student).log()).sum((1, 2))
    close(lelp(STUDENT, SUBCLASS_LOGITS, TEACHER, SUBCLASS_TARGETS, temperature=3.0), expected)


def test_lelp_is_zero_where_classes_and_subclasses_agree() -> None:
    logits = (3 * SUBCLASS_TARGETS.log()).requires_grad_()
    student = TEACHER.clone().requires_grad_()
    loss = lelp(student, logits, TEACHER, SUBCLASS_TARGETS, temperature=3.0)
    close(loss.detach(), 0.0)
    assert all(gradient(loss, x).abs().max() < 1e-12 for x in (student, logits))


def embedded(classes: int = 3, width: int = 8, samples: int = 300) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A teacher's embedding, its linear classifier, its logits, and labels."""
    labels = torch.arange(samples) % classes
    embedding = normal(samples, width) * torch.linspace(0.5, 3, width) + normal(classes, width, seed=1)[labels]
    weights = normal(classes, width, seed=2)
    return embedding, weights, embedding @ weights.T + 0.3, labels


def scores(embedding: Tensor, found: dict[str, Tensor]) -> Tensor:
    return torch.einsum("nd,cds->ncs", embedding, found["projection"]) + found["offset"]


def test_lelp_scores_by_hand() -> None:
    """Axis-parallel classes: deviations √2 and √½ about the mean, so scores are divided by 1.06066."""
    cross = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=torch.float64).repeat(20, 1)
    shifted = cross.flip(1) + 5
    embedding, labels = torch.cat([cross, shifted]), torch.arange(2).repeat_interleave(80)
    found = subclass_projections(embedding, embedding.clone(), labels, subclasses=3, null_space=False, rotate=False)
    unit = (math.sqrt(2) + math.sqrt(0.5)) / 2
    probe = torch.tensor([[2.0, 1.0]], dtype=torch.float64)
    expected = torch.tensor([[2.0, 1.0, 0.0], [-4.0, -3.0, 0.0]], dtype=torch.float64) / unit
    close(scores(probe, found)[0], expected)


def test_lelp_scores_have_unit_size_whatever_the_embeddings_scale() -> None:
    embedding, _, logits, labels = embedded()
    options: dict[str, Any] = {"subclasses": 4, "rotate": False}
    found = scores(embedding, subclass_projections(embedding, logits, labels, **options))
    own = torch.stack([found[labels == c, c] for c in range(3)])
    close(own.mean(1), 0.0, 1e-9)
    close(own.std(1, correction=0).mean(-1), 1.0, 1e-9)
    larger = scores(50 * embedding, subclass_projections(50 * embedding, logits, labels, **options))
    close(larger, found, 1e-8)


def test_lelp_rotation_keeps_the_length_of_scores() -> None:
    embedding, _, logits, labels = embedded()
    plain, turned = (
        scores(embedding, subclass_projections(embedding, logits, labels, subclasses=4, rotate=rotate))
        for rotate in (False, True)
    )
    close(turned.square().sum(-1), plain.square().sum(-1), 1e-9)
    assert (turned - plain).abs().max() > 0.1


def test_lelp_does_not_read_what_the_teachers_classifier_reads() -> None:
    embedding, weights, logits, labels = embedded()
    moved = embedding + 3 * normal(300, 3, seed=5) @ weights
    blind = subclass_projections(embedding, logits, labels, subclasses=4)
    close(scores(moved, blind), scores(embedding, blind), 1e-6)
    sighted = subclass_projections(embedding, logits, labels, subclasses=4, null_space=False)
    assert (scores(moved, sighted) - scores(embedding, sighted)).abs().max() > 1


def test_lelp_keeps_the_embedding_where_the_classifier_reads_all_of_it() -> None:
    embedding, _, logits, labels = embedded(classes=4, width=3)
    found, plain = (
        subclass_projections(embedding, logits, labels, subclasses=2, null_space=null_space)
        for null_space in (True, False)
    )
    close(found["projection"], plain["projection"])
    assert found["projection"].abs().max() > 0.1


def test_lelp_has_no_more_directions_than_a_class_can_show() -> None:
    embedding, _, logits, labels = embedded(samples=300)
    labels = torch.where(torch.arange(300) < 45, 0, 1)  # 45, 255 and no samples
    found = subclass_projections(embedding, logits, labels, subclasses=8, rotate=False)["projection"]
    used = (found.abs().amax(1) > 0).sum(-1)
    assert used.tolist() == [2, 5, 0]  # 45 // 20, then eight directions less three of the classifier, then none


def prepare_context(teacher: Output, labels: torch.Tensor) -> PrepareContext:
    task = context_of().task
    return PrepareContext(task=task, labels=labels, teacher=teacher, reference=lambda rows, seed: teacher.logits)


def lelp_term(**fields: Any) -> Any:
    embedding, _, logits, labels = embedded(classes=5)
    component = catalog.load("losses", "lelp")(**fields)
    artefact = component.prepare(prepare_context(Output(logits.float(), (), embedding.float()), labels))
    with seeded(0):
        return component.build(context_of(student=Shapes(pooled=6), artefact=artefact))


def test_lelp_targets_flatten_with_their_temperature() -> None:
    embedding = embedded(classes=5)[0][:4].float()
    found = [lelp_term(subclass_temperature=t).subclasses_of(embedding) for t in (0.05, 1.0, 5.0)]
    assert all(x.shape == (4, 5, 4) for x in found)
    entropies = [torch.special.entr(x).sum(-1).mean().item() for x in found]
    assert entropies == sorted(entropies)
    flat = lelp_term(subclass_temperature=1e6).subclasses_of(embedding)
    close(flat, 0.25, 1e-5)


def test_lelp_trains_the_students_own_classifier_and_the_one_beside_it() -> None:
    term = lelp_term(subclasses=2, temperature=3.0)
    pooled, student = normal(4, 6).float(), STUDENT.float().requires_grad_()
    teacher = Output(TEACHER.float(), (), embedded(classes=5)[0][:4].float())
    loss = term(step_of(Output(student, (), pooled), teacher))
    subclass_logits = term.classifier(pooled).reshape(4, 5, 2)
    expected = lelp(student, subclass_logits, teacher.logits, term.subclasses_of(teacher.pooled), temperature=3.0)
    torch.testing.assert_close(loss, expected)
    plain = gradient(kd(student, teacher.logits, temperature=3.0), student)
    torch.testing.assert_close(gradient(loss, student), plain)
    assert set(term.state_dict()) == {"classifier.weight", "classifier.bias"}


def test_lelp_without_what_it_needs_is_a_clear_error() -> None:
    component = catalog.load("losses", "lelp")()
    with pytest.raises(ComponentError, match="teacher's embedding, and it offers none"):
        component.prepare(prepare_context(Output(TEACHER), TARGETS))
    with pytest.raises(ComponentError, match="needs what its `prepare` returns"):
        component.build(context_of(student=Shapes(pooled=6)))
    with pytest.raises(ComponentError, match="student's embedding, and it offers none"):
        component.build(context_of(artefact={"projection": torch.zeros(5, 8, 4), "offset": torch.zeros(5, 4)}))
