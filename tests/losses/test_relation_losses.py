"""Losses on relations between samples to their published definitions: known values, identities, invariances.

The fixtures are given by formula; the expected values were worked out with numpy and scipy from the papers' equations.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autokd import catalog
from autokd.losses import cka, correlation_congruence, crd, mi_alpha, pkt, rkd
from autokd.losses._correlation_congruence import adjacent_congruence
from autokd.networks.models import seeded
from autokd.types import BuildContext, Output, Shapes, Step, Task

ROW = torch.arange(4, dtype=torch.float64)[:, None]
COLUMN = torch.arange(4, dtype=torch.float64)
STUDENT = torch.sin(1.3 * ROW + 0.7 * COLUMN[:3] + 0.2)
TEACHER = torch.cos(0.9 * ROW - 1.1 * COLUMN)
SCORES = torch.sin(ROW + 1.7 * COLUMN) + 2 * torch.eye(4, dtype=torch.float64)
LOG_BASELINE = torch.cos(COLUMN)
RELATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cka": cka,
    "correlation_congruence": correlation_congruence,
    "pkt": pkt,
    "rkd": rkd,
}


def normal(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(width: int) -> Tensor:
    return torch.linalg.qr(normal(width, width, seed=9))[0]


def close(found: Tensor, expected: Any, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=found.dtype), atol=tolerance, rtol=0)


def build(name: str, *, student: int = 3, teacher: int = 4, size: int = 100, **values: Any) -> Any:
    task = Task(dataset="synthetic", modality="table", input_shape=(4,), classes=tuple("abcde"), train_size=size)
    context = BuildContext(task=task, student=Shapes(pooled=student), teacher=Shapes(pooled=teacher))
    with seeded(0):
        return catalog.load("losses", name)(**values).build(context)


def step_of(student: Tensor, teacher: Tensor, *, labels: Tensor | None = None, index: Tensor | None = None) -> Step:
    batch = len(student)
    labels = torch.arange(batch) % 5 if labels is None else labels
    own, answer = (Output(torch.zeros(batch, 5), (), pooled) for pooled in (student, teacher))
    index = torch.arange(batch) if index is None else index
    return Step(own, answer, torch.eye(5)[labels], torch.ones(batch), index, 0.5)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (lambda: pkt(STUDENT, TEACHER), 0.03094171),
        (lambda: rkd(STUDENT, TEACHER), 1.05012451),
        (lambda: rkd(STUDENT, TEACHER, distance_weight=1.0, angle_weight=0.0), 0.005994508190),
        (lambda: rkd(STUDENT, TEACHER, distance_weight=0.0, angle_weight=1.0), 0.018005236029),
        (lambda: correlation_congruence(STUDENT, TEACHER), 0.010495177582),
        (lambda: adjacent_congruence(STUDENT, TEACHER[:, :3]), 1.60699292),
        (lambda: 1 - cka(STUDENT, TEACHER), 0.96433373),
        (lambda: -mi_alpha(SCORES, LOG_BASELINE, alpha=0.1), 1.38194432),
        (lambda: -mi_alpha(SCORES, LOG_BASELINE, alpha=0.5), 1.09293061),
        (lambda: -mi_alpha(SCORES, LOG_BASELINE, alpha=0.9), 0.85223012),
        (lambda: -mi_alpha(SCORES, LOG_BASELINE, alpha=1 / (1 + math.exp(-0.9))), 0.96962574),
        (lambda: -mi_alpha(SCORES, LOG_BASELINE, alpha=0.0), 1.58953434),  # TUBA
        (lambda: -mi_alpha(SCORES, torch.ones(4, dtype=torch.float64), alpha=0.0), 1.69035739),  # NWJ
    ],
    ids=[
        "pkt",
        "rkd",
        "distances",
        "angles",
        "cc",
        "cc adjacent",
        "cka",
        "mi .1",
        "mi .5",
        "mi .9",
        "mi .711",
        "tuba",
        "nwj",
    ],
)
def test_known_values(value: Callable[[], Tensor], expected: float) -> None:
    assert value().item() == pytest.approx(expected, abs=5.1e-9, rel=0)


@pytest.mark.parametrize("name", RELATIONS)
def test_relations_ignore_rotation_and_common_scale_of_either_side(name: str) -> None:
    student, teacher = normal(8, 6), normal(8, 12, seed=1)
    loss = RELATIONS[name](student, teacher)
    torch.testing.assert_close(RELATIONS[name](2.5 * student @ rotation(6), teacher), loss)
    torch.testing.assert_close(RELATIONS[name](student, 0.3 * teacher @ rotation(12)), loss)
    assert (RELATIONS[name](student @ normal(6, 6, seed=3), teacher) - loss).abs() > 1e-4  # other linear maps matter


@pytest.mark.parametrize(
    ("name", "shift", "scale"),
    [("cka", True, False), ("correlation_congruence", False, True), ("pkt", False, True), ("rkd", True, False)],
)
def test_relations_ignore_a_shift_or_the_scale_of_a_sample(name: str, shift: bool, scale: bool) -> None:
    student, teacher = normal(8, 6), normal(8, 12, seed=1)
    loss = RELATIONS[name](student, teacher)
    shifted = RELATIONS[name](student + 4, teacher)
    scaled = RELATIONS[name](student * torch.arange(1.0, 9.0, dtype=torch.float64)[:, None], teacher)
    assert torch.allclose(shifted, loss) == shift
    assert torch.allclose(scaled, loss) == scale


@pytest.mark.parametrize("name", [*RELATIONS, "mi_alpha"])
def test_a_batch_of_one_has_no_relations(name: str) -> None:
    if name == "mi_alpha":
        close(mi_alpha(SCORES[:1, :1], LOG_BASELINE[:1]), 0.0)
    else:
        close(RELATIONS[name](STUDENT[:1], TEACHER[:1]), 1.0 if name == "cka" else 0.0)


# pkt


def test_pkt_by_hand() -> None:
    """Two samples at a right angle: rows (2/3, 1/3); two alike: (1/2, 1/2)."""
    apart, alike = torch.eye(2, dtype=torch.float64), torch.ones(2, 3, dtype=torch.float64)
    expected = (2 / 3 * math.log(4 / 3) + 1 / 3 * math.log(2 / 3)) / 2
    close(pkt(alike, apart), expected, tolerance=1e-7)


def test_pkt_of_opposites_is_finite() -> None:
    """A neighbour's probability of almost 0 on one side: what is added keeps the logarithm finite."""
    opposite = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    far = (1 - (1 + 1e-7) ** -2) / 2
    expected = sum(0.5 * math.log((0.5 + 1e-7) / (p + 1e-7)) for p in (1 - far, far)) / 2
    close(pkt(opposite, torch.ones(2, 3, dtype=torch.float64)), expected, tolerance=1e-9)


# rkd


def test_rkd_by_hand() -> None:
    """Three samples on a line at 0, 1, 3 against 0, 1, 2; the distances' means are 2 and 4/3."""
    student, teacher = (torch.tensor(x, dtype=torch.float64)[:, None] for x in ([0, 1, 3], [0, 1, 2]))
    differences = (1 / 2 - 3 / 4, 3 / 2 - 3 / 2, 2 / 2 - 3 / 4)
    expected = 2 * sum(0.5 * d**2 for d in differences) / 9
    close(rkd(student, teacher, distance_weight=1.0, angle_weight=1.0), expected)


def test_rkd_of_samples_at_one_place_is_finite() -> None:
    student = torch.zeros(3, 2, requires_grad=True)
    rkd(student, normal(3, 2).float()).backward()
    assert student.grad is not None and student.grad.abs().max() == 0
    twice = torch.cat([normal(2, 2), normal(2, 2)]).requires_grad_()
    rkd(twice, normal(4, 2, seed=1)).backward()
    assert twice.grad is not None and twice.grad.isfinite().all()


def test_rkd_takes_triplets_within_groups_of_a_large_batch() -> None:
    """130 samples make two groups of 65; within them angles are as in a batch of 65, distances are over all."""
    student, teacher = normal(130, 2), normal(130, 3, seed=1)
    angles = {"distance_weight": 0.0, "angle_weight": 1.0}
    halves = [rkd(student[part], teacher[part], **angles) for part in (slice(65), slice(65, 130))]
    torch.testing.assert_close(rkd(student, teacher, **angles), sum(halves) / 2)
    distances = {"distance_weight": 1.0, "angle_weight": 0.0}
    order = torch.randperm(130, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rkd(student[order], teacher[order], **distances), rkd(student, teacher, **distances))


# correlation congruence


def test_correlation_congruence_tends_to_the_gaussian_kernel() -> None:
    """By hand: two samples at a right angle, squared distance 2 of their directions; two alike, distance 0."""
    apart, alike = 3 * torch.eye(2, dtype=torch.float64), torch.ones(2, 3, dtype=torch.float64)
    close(correlation_congruence(apart, alike, gamma=0.4, order=25), (1 - math.exp(-0.8)) ** 2 / 2)
    second = math.exp(-0.8) * (1 + 0.8 + 0.32)  # the series up to the square, at cosine 1
    close(correlation_congruence(apart, alike), (second - math.exp(-0.8)) ** 2 / 2)


def test_adjacent_congruence_depends_on_order_and_misses_what_gram_sees() -> None:
    student, teacher = normal(6, 4), normal(6, 4, seed=1)
    order = torch.tensor([0, 2, 4, 1, 3, 5])
    assert (adjacent_congruence(student[order], teacher[order]) - adjacent_congruence(student, teacher)).abs() > 0.01
    torch.testing.assert_close(
        correlation_congruence(student[order], teacher[order]), correlation_congruence(student, teacher)
    )
    student[::2] = teacher[::2]
    close(adjacent_congruence(student, teacher), 0.0)
    assert correlation_congruence(student, teacher) > 1e-4


def test_correlation_congruence_adjacent_trains_both_embeddings_at_its_published_weight() -> None:
    term = build("correlation_congruence", adjacent=True, width=8).double()
    embedded = term.student_embedding(STUDENT), term.teacher_embedding(TEACHER)
    scale = catalog.load("losses", "correlation_congruence").declares.scale.value
    loss = term(step_of(STUDENT, TEACHER))
    torch.testing.assert_close(scale * loss, 0.02 * adjacent_congruence(*embedded))
    loss.backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in term.parameters())


# cka


def test_cka_is_the_ratio_of_norms() -> None:
    student, teacher = normal(40, 6), normal(40, 9, seed=1)
    x, y = student - student.mean(0), teacher - teacher.mean(0)
    expected = 1 - torch.linalg.norm(y.T @ x) ** 2 / (torch.linalg.norm(x.T @ x) * torch.linalg.norm(y.T @ y))
    torch.testing.assert_close(cka(student, teacher), expected)
    assert cka(normal(8, 64), normal(8, 64, seed=1)) < 0.3  # unrelated, but fewer samples than channels
    assert cka(normal(800, 4), normal(800, 4, seed=1)) > 0.95


def test_cka_in_float32_at_any_scale() -> None:
    student, teacher = normal(8, 6).float(), normal(8, 9, seed=1).float()
    for scale in (1e-15, 1e15):
        torch.testing.assert_close(cka(scale * student, teacher), cka(student, teacher))


# mi_alpha


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9, 1.0])
def test_mi_alpha_of_constant_scores_at_their_baseline_is_zero(alpha: float) -> None:
    close(mi_alpha(torch.full((32, 32), 2.0).double(), torch.full((32,), 2.0).double(), alpha=alpha), 0.0)


def test_mi_alpha_of_a_perfect_critic_is_at_most_the_logarithm_of_the_others() -> None:
    scores = 60 * torch.eye(32, dtype=torch.float64)
    close(mi_alpha(scores, torch.zeros(32, dtype=torch.float64), alpha=1.0), -3.433987204485146)  # log 31, not log 32


def test_mi_alpha_at_1_ignores_a_constant_a_row() -> None:
    shifted = SCORES + 3 * ROW
    torch.testing.assert_close(mi_alpha(shifted, LOG_BASELINE, alpha=1.0), mi_alpha(SCORES, LOG_BASELINE, alpha=1.0))
    assert (mi_alpha(shifted, LOG_BASELINE, alpha=0.0) - mi_alpha(SCORES, LOG_BASELINE, alpha=0.0)).abs() > 0.1


def test_mi_alpha_is_exact_where_one_score_outweighs_all() -> None:
    """The log-mean without the largest score cannot come from a subtraction: the rest is lost in it."""
    scores = torch.zeros(3, 3, dtype=torch.float64)
    scores[0, 1] = 50.0
    zeros = torch.zeros(3, dtype=torch.float64)
    # by hand, alpha = 1: row 0 without column 1: log-mean 0; without column 0 or 2: 50 - log 2
    outweighed = math.log((math.exp(50) + 1) / 2)
    joint = -outweighed / 6
    marginal = (math.exp(50 - outweighed) + math.exp(-outweighed) + 4) / 6
    close(mi_alpha(scores, zeros, alpha=1.0), marginal - joint - 1, tolerance=1e-9)


def test_mi_alpha_bounds_the_information_of_gaussians() -> None:
    """The optimal critic of correlated normal variables, up to a constant a row: the bound lies below the truth."""
    rho, dims, count = 0.8, 3, 256
    x, noise = normal(count, dims), normal(count, dims, seed=1)
    y = rho * x + math.sqrt(1 - rho**2) * noise
    truth = -dims / 2 * math.log(1 - rho**2)

    def scores(a: Tensor, b: Tensor) -> Tensor:
        return -(b - rho * a[:, None]).square().sum(-1) / (2 * (1 - rho**2)) + b.square().sum(-1) / 2

    zeros = torch.zeros(count, dtype=torch.float64)
    found = -mi_alpha(scores(x, y) + dims * 0.5 * -math.log(1 - rho**2), zeros, alpha=0.9)
    assert 0.7 * truth < found < 1.1 * truth
    assert -mi_alpha(scores(x, normal(count, dims, seed=2)), zeros, alpha=1.0) < 0.05  # unrelated


def test_mi_alpha_legacy_takes_alpha_for_a_logit() -> None:
    found = build("mi_alpha", alpha=0.9, legacy_logit=True), build("mi_alpha", alpha=0.7109495026250039)
    assert found[0].alpha == pytest.approx(found[1].alpha)
    step = step_of(STUDENT.float(), TEACHER.float())
    torch.testing.assert_close(found[0](step), found[1](step))


def test_mi_alpha_learns_to_tell_partners_apart() -> None:
    term = build("mi_alpha", student=4, teacher=4)
    teacher = normal(64, 4).float()
    step = step_of(teacher @ rotation(4).float(), teacher)
    optimizer = torch.optim.Adam(term.parameters(), 0.01)
    first = term(step).item()
    for _ in range(100):
        optimizer.zero_grad()
        term(step).backward()
        optimizer.step()
    assert abs(first) < 0.5
    assert term(step).item() < -1.5


# contrastive representation distillation


@pytest.mark.parametrize(("samples", "negatives"), [(50000, 16384), (100, 25)])
def test_crd_where_all_scores_are_equal(samples: int, negatives: int) -> None:
    uniform = torch.full((1, samples), -math.log(samples), dtype=torch.float64)
    others = torch.arange(samples)[None] > 0
    expected = math.log1p(negatives) + negatives * math.log1p(1 / negatives)
    close(crd(uniform[:, 0], uniform, others, negatives=negatives), [expected], tolerance=1e-8)
    assert samples < 1000 or expected == pytest.approx(10.7041, abs=5e-5)


def test_crd_known_values() -> None:
    """Four anchors, a memory of six, on a circle; two negatives' worth of the samples of other classes."""
    at, of = 0.7 * COLUMN, 1.1 * torch.arange(6, dtype=torch.float64) + 0.3
    anchors, memory = (torch.stack([x.cos(), x.sin()], 1) for x in (at, of))
    scores = anchors @ memory.T / 0.5 - math.log(20)
    labels = torch.tensor([0, 1, 0, 1, 2, 2])
    found = crd(scores[:, :4].diagonal(), scores, labels != labels[:4, None], negatives=2)
    close(found, [1.178658154179, 1.430636369400, 1.750760745791, 2.320430519165], tolerance=1e-11)


def test_crd_is_the_expectation_of_the_loss_with_drawn_negatives() -> None:
    """One negative, drawn uniformly from three: the mean over the three draws."""
    scores = torch.tensor([[-1.0, -2.0, 0.5, -3.0]], dtype=torch.float64)

    def drawn(negative: int) -> float:
        noise = 1 / 4
        hit, miss = (math.exp(scores[0, i]) / (math.exp(scores[0, i]) + noise) for i in (0, negative))
        return -math.log(hit) - math.log(1 - miss)

    others = torch.tensor([[False, True, True, True]])
    close(crd(scores[:, 0], scores, others, negatives=1), [(drawn(1) + drawn(2) + drawn(3)) / 3])


def crd_step(seed: int, index: list[int]) -> Step:
    labels = torch.tensor(index) % 5
    return step_of(
        normal(len(index), 3, seed=seed).float(),
        normal(len(index), 4, seed=seed + 1).float(),
        labels=labels,
        index=torch.tensor(index),
    )


def test_crd_remembers_the_batch_and_nothing_else() -> None:
    term = build("crd", size=20)
    before = {name: buffer.clone() for name, buffer in term.named_buffers()}
    places = {name: buffer.data_ptr() for name, buffer in term.named_buffers()}
    index = [3, 7, 12]
    step = crd_step(0, index)
    term(step)
    for name in ("student_memory", "teacher_memory"):
        memory = getattr(term, name)
        torch.testing.assert_close(memory.norm(dim=1), torch.ones(20))
        assert (memory != before[name]).any(1).nonzero().flatten().tolist() == index
    assert term.labels.tolist() == [i % 5 if i in index else -1 for i in range(20)]
    embedded = nn.functional.normalize(term.student_embedding(step.student.pooled), dim=1)
    expected = nn.functional.normalize(0.5 * before["student_memory"][index] + 0.5 * embedded, dim=1)
    torch.testing.assert_close(term.student_memory[index], expected)
    # in place: whoever holds a buffer, to put it back or to save it, holds the current one
    assert all(buffer.data_ptr() == places[name] for name, buffer in term.named_buffers())
    term.eval()
    held = term.student_memory.clone()
    term(crd_step(2, [0, 1]))
    assert torch.equal(term.student_memory, held)


def test_crd_contrasts_with_the_other_networks_memory_of_other_classes() -> None:
    """Recomputed from the buffers: anchors of one side, memory of the other, scores over the first batch's mean."""
    term = build("crd", size=20, negatives=0.25, temperature=0.1)
    memories = term.teacher_memory.clone(), term.student_memory.clone()
    index = [3, 7, 12]
    step = crd_step(0, index)
    found = term(step)
    assert step.teacher is not None
    embeddings = (
        nn.functional.normalize(term.student_embedding(step.student.pooled), dim=1),
        nn.functional.normalize(term.teacher_embedding(step.teacher.pooled), dim=1),
    )
    expected = torch.zeros(3)
    for side, (anchor, memory) in enumerate(zip(embeddings, memories, strict=True)):
        raw = (anchor @ memory.T / 0.1).exp()
        constant = raw.mean() * 20
        torch.testing.assert_close(term.log_normalisers[side], constant.log().detach())
        belief = (raw / constant) / (raw / constant + 5 / 20)
        others = torch.tensor([[not (j in index and j % 5 == i % 5) for j in range(20)] for i in index])
        misses = torch.stack([torch.log(1 - belief[row][others[row]]).mean() for row in range(3)])
        expected = expected - belief[range(3), index].log() - 5 * misses
    torch.testing.assert_close(found, expected)
    settled = term.log_normalisers.clone()
    term(crd_step(4, [0, 1, 2]))
    assert torch.equal(term.log_normalisers, settled)


def test_crd_goes_on_from_its_state_bit_by_bit() -> None:
    steps = [crd_step(seed, [seed % 20, (seed + 3) % 20, (seed + 7) % 20]) for seed in range(0, 12, 2)]
    whole, half = build("crd", size=20), build("crd", size=20)
    losses = [whole(step) for step in steps]
    for step in steps[:3]:
        half(step)
    rest = build("crd", size=20)
    rest.load_state_dict(half.state_dict())
    assert all(torch.equal(rest(step), loss) for step, loss in zip(steps[3:], losses[3:], strict=True))
    assert all(torch.equal(a, b) for a, b in zip(rest.buffers(), whole.buffers(), strict=True))


@pytest.mark.parametrize(("share", "size", "expected"), [(0.25, 100, 25), (0.25, 1_000_000, 16384), (1 / 64, 20, 1)])
def test_crd_takes_a_share_of_the_set_as_negatives(share: float, size: int, expected: int) -> None:
    assert build("crd", size=size, negatives=share, width=1).negatives == expected


def test_crd_does_not_go_with_mixed_inputs() -> None:
    assert catalog.load("losses", "crd").declares.excludes == {"augment.mixup", "augment.cutmix"}


def test_crd_where_all_are_of_one_class_has_no_negatives() -> None:
    term = build("crd", size=3)
    step = dataclasses.replace(crd_step(0, [0, 1, 2]), targets=torch.eye(5)[[1, 1, 1]])
    assert term(step).isfinite().all()
