"""Losses on feature maps to their published definitions: known values, identities, invariances.

The fixtures are given by formula; the expected values were worked out with numpy from the papers' equations.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autokd import catalog
from autokd.losses import attention_transfer, nst, reviewkd, vid
from autokd.losses._diffkd import DiffusionStage, denoise, diffkd, signal_kept
from autokd.losses._reviewkd import Fusion
from autokd.losses.pairing import Match
from autokd.networks.models import seeded
from autokd.types import BuildContext, Output, Shapes, Step, Task


def feature_map(channels: int, a: float, b: float, d: float) -> Tensor:
    i, k, h, w = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (4, channels, 4, 4)), indexing="ij")
    return torch.sin(a * i + b * k + d * h - 0.5 * w)


STUDENT = feature_map(2, 1.0, 0.6, 0.3)
TEACHER = feature_map(3, 0.8, 1.1, 0.4)
WIDER_STUDENT = feature_map(3, 1.0, 0.6, 0.3)
VARIANCE = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
SAMPLES = torch.arange(1.0, 5.0, dtype=torch.float64)[:, None, None, None]


def normal(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def close(found: Tensor, expected: list[float] | float, tolerance: float = 1e-11) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=found.dtype), atol=tolerance, rtol=0)


def build(name: str, student: Shapes, teacher: Shapes, **values: Any) -> Any:
    task = Task(dataset="synthetic", modality="image", input_shape=(3, 8, 8), classes=tuple("abcde"), train_size=100)
    with seeded(0):
        return catalog.load("losses", name)(**values).build(BuildContext(task=task, student=student, teacher=teacher))


def step_of(student: tuple[Tensor, ...], teacher: tuple[Tensor, ...], *, u: float = 0.5) -> Step:
    batch = len(student[0])
    own, answer = (Output(torch.zeros(batch, 5), maps, maps[-1].mean((2, 3))) for maps in (student, teacher))
    return Step(own, answer, torch.eye(batch, 5), torch.ones(batch), torch.arange(batch), u)


def shapes_of(maps: tuple[Tensor, ...]) -> Shapes:
    return Shapes(tuple(tuple(x.shape[1:]) for x in maps), maps[-1].shape[1])


# attention transfer


@pytest.mark.parametrize(("power", "expected"), [(1, 0.029822075976), (2, 0.017845416506), (4, 0.029558920634)])
def test_attention_transfer_known_values(power: int, expected: float) -> None:
    close(attention_transfer(STUDENT, TEACHER, power=power).mean(), expected)


def test_attention_transfer_by_hand() -> None:
    """Energies (9, 16) and (16, 9) over two places, length √337: squares of the differences 2 · 49 / 337 / 2."""
    student, teacher = torch.tensor([[[[3.0, 4.0]]]]), torch.tensor([[[[4.0, -3.0]]]])
    assert attention_transfer(student, teacher).item() == pytest.approx(49 / 337, abs=1e-6)


def test_attention_transfer_ignores_what_channels_mean_and_the_scale_of_a_sample() -> None:
    loss = attention_transfer(STUDENT, TEACHER)
    torch.testing.assert_close(attention_transfer(-STUDENT.flip(1) * SAMPLES, TEACHER), loss)
    torch.testing.assert_close(attention_transfer(STUDENT, TEACHER.roll(1, 1) * SAMPLES), loss)
    assert (attention_transfer(STUDENT.flip(-1), TEACHER) - loss).abs().max() > 1e-3
    assert (attention_transfer(-STUDENT, TEACHER, power=1) - attention_transfer(STUDENT, TEACHER, power=1)).max() > 1e-3


def test_attention_transfer_is_bounded() -> None:
    """Opposite attention at p = 1: squared distance 4 of two unit vectors, over 16 places; attention apart: 2."""
    close(attention_transfer(TEACHER, -TEACHER, power=1), [4 / 16] * 4)
    left, right = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    left[..., 0], right[..., 3] = 1.0, 1.0
    assert attention_transfer(left, right).item() == pytest.approx(2 / 16, abs=1e-6)


def test_attention_transfer_pools_the_larger_map_and_survives_large_powers() -> None:
    large = normal(2, 3, 8, 8)
    small = F.avg_pool2d(large, 2)
    torch.testing.assert_close(attention_transfer(large, small), torch.zeros(2, dtype=torch.float64))
    huge = attention_transfer(1e15 * large.float(), normal(2, 3, 8, 8, seed=1).float(), power=4)
    torch.testing.assert_close(huge, attention_transfer(large.float(), normal(2, 3, 8, 8, seed=1).float(), power=4))


def test_attention_transfer_of_nothing_is_the_teachers_attention() -> None:
    """A zero map against a unit vector over 16 places; no gradient where there is no direction."""
    nothing = torch.zeros(4, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    loss = attention_transfer(nothing, TEACHER)
    close(loss.detach(), [1 / 16] * 4)
    assert torch.autograd.grad(loss.sum(), nothing)[0].abs().max() == 0


@pytest.mark.parametrize(("stages", "pairs"), [("all", [(0, 0), (1, 1), (2, 2)]), ("skip", [(0, 0), (2, 2)])])
def test_stages_losses_are_added_up(stages: str, pairs: list[tuple[int, int]]) -> None:
    student = tuple(normal(2, 3, size, size, seed=size) for size in (8, 4, 2))
    teacher = tuple(normal(2, 5, size, size, seed=size + 1) for size in (8, 4, 2))
    for name, loss in (("attention_transfer", attention_transfer), ("nst", nst)):
        term = build(name, shapes_of(student), shapes_of(teacher), stages=stages)
        expected = sum(loss(student[i], teacher[j]) for i, j in pairs)
        torch.testing.assert_close(term(step_of(student, teacher)), expected)


# neuron selectivity transfer


def test_nst_known_values() -> None:
    close(nst(STUDENT, TEACHER), [0.3289300314719821, 0.3390137795102808, 0.30677895845867575, 0.3733573626014107])


def test_nst_by_hand() -> None:
    """Two channels at different places against one at the first: kernels 1/2, 1 and 1/2 on average."""
    student = torch.tensor([[[[2.0, 0.0]], [[0.0, 5.0]]]])
    assert nst(student, torch.tensor([[[[3.0, 0.0]]]])).item() == pytest.approx(0.5 + 1 - 2 * 0.5, abs=1e-6)
    assert nst(torch.tensor([[[[0.0, 1.0]]]]), torch.tensor([[[[3.0, 0.0]]]])).item() == pytest.approx(2, abs=1e-6)


def test_nst_ignores_order_and_scale_of_channels_but_not_places() -> None:
    loss = nst(STUDENT, TEACHER)
    scaled = STUDENT.flip(1) * torch.tensor([0.5, 3.0], dtype=torch.float64)[:, None, None]
    torch.testing.assert_close(nst(scaled, TEACHER), loss)
    torch.testing.assert_close(nst(torch.cat([STUDENT, STUDENT], 1), TEACHER), loss)
    assert (nst(STUDENT.flip(-1), TEACHER) - loss).abs().max() > 1e-3


# variational information distillation


def test_vid_known_values() -> None:
    expected = [0.07584068, 0.05260534, 0.04585386, 0.04373959]
    close(vid(WIDER_STUDENT, TEACHER, VARIANCE), expected, tolerance=5.1e-9)


def test_vid_is_least_where_the_variance_is_the_residuals_square() -> None:
    residual = torch.tensor([math.sqrt(0.37)], dtype=torch.float64).expand(1, 1, 2, 2)
    grid = torch.linspace(0.01, 3, 1000, dtype=torch.float64)
    losses = torch.stack([vid(residual, torch.zeros_like(residual), v[None])[0] for v in grid])
    assert grid[losses.argmin()].item() == pytest.approx(0.37, abs=2e-3)
    least = vid(residual, torch.zeros_like(residual), torch.tensor([0.37], dtype=torch.float64))
    close(least, [0.5 * (1 + math.log(0.37))])
    assert least.item() == pytest.approx(0.002874, abs=5e-7)


def test_vid_with_variance_1_is_half_the_mean_square() -> None:
    ones = torch.ones(3, dtype=torch.float64)
    expected = (WIDER_STUDENT - TEACHER).square().mean((1, 2, 3)) / 2
    torch.testing.assert_close(vid(WIDER_STUDENT, TEACHER, ones), expected)


def test_vid_starts_at_its_variance_and_trains_it() -> None:
    student, teacher = (normal(3, 2, 8, 8).float(),), (normal(3, 5, 4, 4, seed=1).float(),)
    term = build("vid", shapes_of(student), shapes_of(teacher))
    stage = term.stages[0]
    assert torch.allclose(F.softplus(stage.spread) + 1e-5, torch.full((5,), 5.0), atol=1e-5)
    mean = stage.regressor(F.avg_pool2d(student[0], 2))
    torch.testing.assert_close(term(step_of(student, teacher)), vid(mean, teacher[0], torch.full((5,), 5.0)))
    term(step_of(student, teacher)).sum().backward()
    assert stage.spread.grad.abs().min() > 0
    assert [key for key, _ in term.named_parameters() if key.endswith("bias")] == []


# review


def test_reviewkd_known_value() -> None:
    close(reviewkd(STUDENT, TEACHER[:, :2]).mean(), 0.05558401, tolerance=5.1e-9)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 16])
def test_reviewkd_of_a_constant_difference_is_its_square(size: int) -> None:
    maps = normal(2, 3, size, size)
    close(reviewkd(maps + 0.7, maps), [0.49] * 2)


@pytest.mark.parametrize(("size", "levels"), [(8, 1.875), (4, 1.75), (2, 1.5)])
def test_reviewkd_of_a_checkerboard_counts_at_full_size_only(size: int, levels: float) -> None:
    board = torch.ones(1, 2, size, size, dtype=torch.float64)
    board[..., ::2, ::2] = board[..., 1::2, 1::2] = -1
    close(reviewkd(0.5 * board, torch.zeros_like(board)), [0.25 / levels])


def test_fusion_without_deeper_stages_ignores_them() -> None:
    with seeded(0):
        alone, fused = (Fusion(4, 6, (5, 4, 4), fuse=fuse).eval() for fuse in (False, True))
    x, deeper = normal(2, 4, 8, 8).float(), normal(2, 6, 1, 1).float()
    found, passed = alone(x, None)
    assert found.shape == (2, 5, 4, 4)
    assert passed.shape == (2, 6, 4, 4)
    assert torch.equal(found, alone(x, deeper)[0])
    assert not torch.allclose(fused(x, deeper)[0], fused(x, 2 * deeper)[0])


def test_reviewkd_goes_deepest_first_and_ramps_up() -> None:
    student = tuple(normal(4, c, size, size).float() for c, size in ((3, 8), (6, 4)))
    teacher = tuple(normal(4, c, size, size, seed=1).float() for c, size in ((5, 8), (7, 2)))
    term = build("reviewkd", shapes_of(student), shapes_of(teacher), warmup=0.2)
    assert [(pair.student, pair.teacher) for pair in term.matches] == [(1, 1), (0, 0)]
    assert term.first.enter[0].weight.shape == (6, 6, 1, 1)  # channels passed on: at most the last features have
    step = step_of(student, teacher)
    full = term(step)
    torch.testing.assert_close(term(dataclasses.replace(step, u=0.05)), 0.25 * full)
    # what is passed on reaches the shallowest stage: the pooled embedding's gradient goes through it
    pooled = step.student.pooled
    assert pooled is not None
    pooled.requires_grad_()
    shallow = build("reviewkd", shapes_of(student), shapes_of(teacher), stages="1-1")
    zeroed = [nn.init.zeros_(parameter) for parameter in shallow.first.leave.parameters()]
    assert zeroed
    shallow(step).sum().backward()
    assert pooled.grad is not None and pooled.grad.abs().max() > 0


# diffusion


def test_diffkd_adds_up_three_mean_squares() -> None:
    """By hand: (1 + 4) / 2 + (9 + 0) / 2 + 16."""
    refined, latent = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0]])
    predicted, noise = torch.tensor([[3.0, 1.0]]), torch.tensor([[0.0, 1.0]])
    assert diffkd(refined, latent, predicted, noise, torch.tensor([[4.0]]), torch.tensor([[0.0]])).item() == 23


def test_the_signal_kept_falls_as_published() -> None:
    kept = signal_kept()
    assert len(kept) == 1000
    assert kept[[0, 400, 999]].tolist() == pytest.approx([0.9999, 0.19357200966664662, 4.035829765375676e-05], rel=1e-5)


@pytest.mark.parametrize("steps", [1, 3, 5, 8])
def test_denoising_with_the_true_noise_gives_the_clean_features(steps: int) -> None:
    kept = signal_kept().double()
    clean, noise = normal(2, 3, 4, 4), normal(2, 3, 4, 4, seed=1)
    times: list[int] = []

    def exact(x: Tensor, time: Tensor) -> Tensor:
        times.append(int(time))
        return noise

    start = (steps - 1) * (1000 // (2 * steps))
    noisy = kept[start].sqrt() * clean + (1 - kept[start]).sqrt() * noise
    torch.testing.assert_close(denoise(noisy, exact, kept, steps=steps), clean)
    assert times == [number * (1000 // (2 * steps)) for number in reversed(range(steps))]


def test_diffkd_trains_the_student_through_all_denoising_steps() -> None:
    with seeded(0):
        stage = DiffusionStage(Match(0, 0, (4, 4, 4), (6, 4, 4)), 0.5, 5).double()
    student = normal(4, 4, 4, 4).requires_grad_()
    calls: list[Tensor] = []
    stage.denoiser.register_forward_hook(lambda module, given, result: calls.append(result))
    with seeded(1):
        refined = stage._refined(student)
    assert len(calls) == 5
    for result in calls:
        assert torch.autograd.grad(refined.sum(), result, retain_graph=True)[0].abs().max() > 0
    assert torch.autograd.grad(refined.square().sum(), student)[0].abs().max() > 0


def test_diffkd_keeps_the_student_where_it_takes_it_for_clean() -> None:
    with seeded(0):
        stage = DiffusionStage(Match(0, 0, (4, 4, 4), (6, 4, 4)), 0.5, 5)
    nn.init.zeros_(stage.mixture.weight)
    stage.mixture.bias.data = torch.tensor([1000.0, -1000.0])
    student = normal(4, 4, 4, 4).float()
    with seeded(1):
        one = stage._refined(student)
    with seeded(2):
        torch.testing.assert_close(stage._refined(student), one)
    stage.mixture.bias.data = torch.zeros(2)
    with seeded(3):
        assert not torch.allclose(stage._refined(student), one)


def test_diffkd_learns_to_rebuild_the_teacher_without_its_latent_features_being_pulled() -> None:
    student, teacher = (normal(8, 4, 4, 4).float(),), (normal(8, 6, 4, 4, seed=1).float(),)
    term = build("diffkd", shapes_of(student), shapes_of(teacher), share=1.0)
    optimizer = torch.optim.Adam(term.parameters(), 0.01)
    with seeded(0):
        losses = [_descend(term, optimizer, step_of(student, teacher)) for _ in range(60)]
        stage = term.stages[0]
        rebuilt = stage.decode(stage.encode(teacher[0]))
    assert (rebuilt - teacher[0]).square().mean() < 0.2
    assert losses[-1] < 0.7 * losses[0]


def _descend(term: nn.Module, optimizer: torch.optim.Optimizer, step: Step) -> float:
    optimizer.zero_grad()
    loss = term(step).mean()
    loss.backward()
    optimizer.step()
    return loss.item()
