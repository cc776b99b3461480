"""Losses on tokens and attention of transformers: known values, identities, and a small transformer that trains.

The fixtures are given by formula; the expected values were worked out with numpy from the equations.
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
from autokd.errors import ComponentError
from autokd.losses import attention_relation, communication, rdist
from autokd.losses._communication import Coders
from autokd.networks.models import seeded, shapes_of
from autokd.spec import make
from autokd.types import BuildContext, Output, Shapes, Step, Task

TASK = Task(dataset="synthetic", modality="image", input_shape=(3, 8, 8), classes=tuple("abcde"), train_size=100)


def grid(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    ranges = (torch.arange(n, dtype=torch.float64) for n in (rows, columns))
    return torch.meshgrid(*ranges, indexing="ij")  # type: ignore[return-value]


def feature_map(channels: int, a: float, b: float, d: float) -> Tensor:
    i, k, h, w = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (4, channels, 4, 4)), indexing="ij")
    return torch.sin(a * i + b * k + d * h - 0.5 * w)


def states(heads: int, width: int, a: float, b: float, c: float, d: float) -> Tensor:
    i, h, n, k = torch.meshgrid(*(torch.arange(m, dtype=torch.float64) for m in (2, heads, 3, width)), indexing="ij")
    return 2 * torch.sin(a * i + b * h + c * n + d * k)


STUDENT = feature_map(2, 1.0, 0.6, 0.3).flatten(2).transpose(1, 2)
TEACHER = feature_map(3, 0.8, 1.1, 0.4).flatten(2).transpose(1, 2)
STUDENT_STATES = states(2, 2, 1.0, 0.7, 1.3, 0.4)
TEACHER_STATES = states(3, 3, 0.5, 0.9, 1.1, 0.6)


def normal(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(width: int) -> Tensor:
    return torch.linalg.qr(normal(width, width, seed=9))[0]


def close(found: Tensor, expected: Any, tolerance: float = 1e-11) -> None:
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=found.dtype), atol=tolerance, rtol=0)


# relations of queries, keys and values


@pytest.mark.parametrize(
    ("heads", "form", "expected"),
    [
        (2, "kl", [0.269571219464, 0.085102543116]),
        (2, "mse", [6.027550703839, 2.205119274237]),
        (3, "kl", [0.723250966558, 0.203397158354]),
        (3, "mse", [6.086099468645, 3.355011974407]),
        (None, "kl", [0.723250966558, 0.203397158354]),  # as many as the teacher has heads
    ],
)
def test_attention_relation_known_values(heads: int | None, form: str, expected: list[float]) -> None:
    close(attention_relation(STUDENT_STATES, TEACHER_STATES, heads=heads, form=form), expected)


@pytest.mark.parametrize("form", ["kl", "mse"])
def test_attention_relation_ignores_a_rotation_within_each_relation_head(form: str) -> None:
    student, teacher = normal(2, 2, 5, 6), normal(2, 3, 5, 4, seed=1)
    loss = attention_relation(student, teacher, form=form)
    turned = normal(3, 4, 4, seed=2)
    turned = torch.linalg.qr(turned)[0]
    torch.testing.assert_close(attention_relation(student, teacher @ turned, form=form), loss)
    joined = (teacher.transpose(1, 2).flatten(2) @ rotation(12)).unflatten(-1, (3, 4)).transpose(1, 2)
    assert (attention_relation(student, joined, form=form) - loss).abs().max() > 1e-3


@pytest.mark.parametrize("form", ["kl", "mse"])
def test_attention_relation_of_a_copy_is_stationary_at_zero(form: str) -> None:
    student = TEACHER_STATES.clone().requires_grad_()
    loss = attention_relation(student, TEACHER_STATES, form=form)
    close(loss.detach(), [0.0, 0.0])
    assert torch.autograd.grad(loss.sum(), student)[0].abs().max() < 1e-12


def test_attention_relation_adds_up_queries_keys_and_values() -> None:
    student, teacher = (tuple(normal(2, heads, 5, 4, seed=seed) for seed in range(3)) for heads in (2, 4))
    offers = (Shapes(attention=tuple(tuple(x.shape[1:]) for x in group)) for group in (student, teacher))
    term = catalog.load("losses", "attention_relation")().build(context_of(*offers))
    own, answer = (Output(torch.zeros(2, 5), attention=group) for group in (student, teacher))
    found = term(Step(own, answer, torch.eye(2, 5), torch.ones(2), torch.arange(2), 0.5))
    torch.testing.assert_close(found, sum(attention_relation(a, b) for a, b in zip(student, teacher, strict=True)))


@pytest.mark.parametrize(
    ("student", "values", "message"),
    [((2, 8, 4), {}, "equally many tokens"), ((2, 9, 4), {"heads": 9}, "8 channels into 9 heads")],
)
def test_attention_relation_that_cannot_be_is_a_clear_error(
    student: tuple[int, ...], values: dict[str, int], message: str
) -> None:
    context = context_of(Shapes(attention=(student,) * 3), Shapes(attention=((4, 9, 4),) * 3))
    with pytest.raises(ComponentError, match=message):
        catalog.load("losses", "attention_relation")(**values).build(context)


# relations of tokens


@pytest.mark.parametrize(
    ("center", "normalize", "expected"),
    [
        (False, False, 0.26038788),
        (False, True, 0.17014135),
        (True, False, 0.10914049),
        (True, True, 0.13379822),
    ],
)
def test_rdist_known_values(center: bool, normalize: bool, expected: float) -> None:
    found = rdist(STUDENT, TEACHER, center=center, normalize=normalize)
    close(found.mean(), expected, tolerance=5.1e-9)
    if not (center or normalize):
        close(found, [0.35777549, 0.15552349, 0.14343221, 0.38482032], tolerance=5.1e-9)


def test_rdist_gradient_known_value() -> None:
    student = STUDENT.clone().requires_grad_()
    gradient = torch.autograd.grad(rdist(student, TEACHER).mean(), student)[0]
    close(gradient[1, 5, 0], 0.01877558, tolerance=5.1e-9)


def test_rdist_is_the_cosine_of_the_matrices_of_inner_products() -> None:
    a, b = ((x @ x.mT).flatten(1) for x in (STUDENT, TEACHER))
    torch.testing.assert_close(rdist(STUDENT, TEACHER, center=False), 1 - torch.cosine_similarity(a, b))


def test_rdist_ignores_rotation_and_scale_and_a_shift_only_if_centred() -> None:
    loss = rdist(STUDENT, TEACHER, center=False)
    torch.testing.assert_close(rdist(7 * STUDENT @ rotation(2), TEACHER, center=False), loss)
    close(rdist(STUDENT + 1, TEACHER, center=False).mean(), 0.21454645, tolerance=5.1e-9)
    torch.testing.assert_close(rdist(STUDENT + 1, TEACHER), rdist(STUDENT, TEACHER))
    alike = 1 + 0.01 * normal(4, 16, 2), 1 + 0.01 * normal(4, 16, 3, seed=1)
    assert rdist(*alike, center=False).max() < 1e-3  # a shared mean hides the rest
    assert rdist(*alike).min() > 0.1


def test_rdist_lies_between_0_and_1() -> None:
    close(rdist(TEACHER @ rotation(3), TEACHER), [0.0] * 4)
    nothing = torch.zeros(4, 16, 2, dtype=torch.float64, requires_grad=True)
    loss = rdist(nothing, TEACHER)
    close(loss.detach(), [1.0] * 4)
    assert torch.autograd.grad(loss.sum(), nothing)[0].abs().max() == 0


def test_rdist_pools_the_larger_grid() -> None:
    image = normal(2, 5, 4, 4)
    tokens = image.flatten(2).transpose(1, 2)
    fewer = image.unflatten(2, (2, 2)).unflatten(-1, (2, 2)).mean((3, 5)).flatten(2).transpose(1, 2)
    with_class = torch.cat([torch.full((2, 1, 5), 9.0, dtype=torch.float64), tokens], 1)
    term = catalog.load("losses", "rdist")().build(context_of(Shapes(tokens=((4, 5),)), Shapes(tokens=((17, 5),))))
    own, answer = (Output(torch.zeros(2, 5), tokens=(group,)) for group in (fewer, with_class))
    found = term(Step(own, answer, torch.eye(2, 5), torch.ones(2), torch.arange(2), 0.5))
    close(found, [0.0, 0.0])
    with pytest.raises(ComponentError, match="12 tokens form no square grid"):
        catalog.load("losses", "rdist")().build(context_of(Shapes(tokens=((12, 5),)), Shapes(tokens=((16, 5),))))


# communication


def linear(matrix: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: x @ matrix.T


def coders_and_middle() -> tuple[Coders, Callable[[Tensor], Tensor]]:
    i, j = grid(4, 4)
    middle = torch.sin(i - j) + torch.eye(4, dtype=torch.float64)
    coders = Coders(
        student_encoder=linear(torch.sin(i + 2 * j)[:, :3]),
        student_decoder=linear(torch.cos(2 * i - j)[:3]),
        teacher_encoder=linear(torch.sin(2 * i - j)),
        teacher_decoder=linear(torch.cos(i + j)),
        reply_encoder=linear(torch.cos(i - 2 * j)),
        reply_decoder=linear(torch.sin(i + j + 1)[:3]),
    )
    return coders, lambda x: torch.tanh(x @ middle.T)


ROW = torch.arange(4, dtype=torch.float64)[:, None]
COLUMN = torch.arange(4, dtype=torch.float64)
LOW = torch.sin(1.3 * ROW + 0.7 * COLUMN[:3] + 0.2)
TEACHER_LOW = torch.cos(0.9 * ROW - 1.1 * COLUMN)


@pytest.mark.parametrize(
    ("rounds", "interaction"), [(0, 3.373636476448), (1, 3.85090533), (2, 2.565654170633)], ids=str
)
def test_communication_known_values(rounds: int, interaction: float) -> None:
    coders, middle = coders_and_middle()
    found = communication((LOW, LOW), (TEACHER_LOW, TEACHER_LOW), coders, rounds=rounds, middle=middle)
    close(found.interaction.mean(), interaction, tolerance=5.1e-9)
    close(found.message.mean(), 1.71780109, tolerance=5.1e-9)
    close(found.state.mean(), 1.14268042 + 1.79318565, tolerance=1.1e-8)


def test_messages_of_zeros_agree_and_tell_nothing() -> None:
    coders, _ = coders_and_middle()
    nothing = torch.zeros(4, 4, dtype=torch.float64)
    silent = coders._replace(student_encoder=lambda x: nothing, teacher_encoder=lambda x: nothing)
    found = communication((LOW, LOW), (TEACHER_LOW, TEACHER_LOW), silent)
    close(found.message, [0.0] * 4)
    torch.testing.assert_close(found.state, LOW.square().mean(1) + TEACHER_LOW.square().mean(1))
    with pytest.raises(ComponentError, match=r"message_weight 0\.1 needs a state_weight above 0"):
        make("losses", "communication", {"state_weight": 0.0})


def test_rounds_reach_the_students_low_state_through_the_teacher_and_one_way_does_not() -> None:
    coders, middle = coders_and_middle()
    low, high = LOW.clone().requires_grad_(), LOW.clone().requires_grad_()
    teacher = TEACHER_LOW.clone().requires_grad_()
    for rounds, reached in ((0, False), (1, True)):
        loss = communication((low, high), (teacher, teacher), coders, rounds=rounds, middle=middle).interaction.sum()
        to_low, to_high, to_teacher = torch.autograd.grad(loss, (low, high, teacher), allow_unused=True)
        assert (to_low is not None and to_low.abs().max() > 0) == reached
        assert to_high.abs().max() > 0
        assert to_teacher is None
    with pytest.raises(ValueError, match="middle layers"):
        communication((low, high), (teacher, teacher), coders, rounds=1)


@pytest.mark.parametrize("width", range(1, 6))
def test_a_message_keeps_no_more_than_its_width(width: int) -> None:
    """The best linear coders of 64 samples leave what principal components leave, and the state loss is just that."""
    i, k = grid(64, 6)
    x = torch.sin(0.37 * i**2 + 0.7 * k * i + 0.2)
    x = x - x.mean(0)
    basis = torch.linalg.svd(x)[2][:width]
    coders = Coders(linear(basis), linear(basis.T), linear(basis), linear(basis.T), lambda a: a, lambda a: a)
    found = communication((x, x), (x, x), coders)
    floor = [0.39720970, 0.29971134, 0.21084959, 0.12705768, 0.05247501][width - 1]
    close(found.state.mean() / 2, floor, tolerance=5.1e-9)


# a transformer


class Transformer(nn.Module):
    """Sixteen patches of an 8x8 image through a few layers; it offers tokens and its last layer's attention."""

    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, 2, 2)
        self.position = nn.Parameter(0.1 * torch.randn(16, width))
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False).layers
        self.fc = nn.Linear(width, 5)

    def forward(self, images: Tensor) -> Output:
        x = self.embed(images).flatten(2).transpose(1, 2) + self.position
        tokens, before = [], x
        for layer in self.layers:
            before, x = x, layer(x)
            tokens.append(x)
        last = self.layers[-1]
        attention = last.self_attn
        joint = nn.functional.linear(last.norm1(before), attention.in_proj_weight, attention.in_proj_bias)
        split = (part.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for part in joint.chunk(3, -1))
        return Output(self.fc(x.mean(1)), (), x.mean(1), tuple(tokens), tuple(split))


def context_of(student: Shapes, teacher: Shapes, **rest: Any) -> BuildContext:
    return BuildContext(task=TASK, student=student, teacher=teacher, **rest)


def transformers() -> tuple[Transformer, Transformer]:
    with seeded(0):
        return Transformer(8, 2, 2), Transformer(12, 3, 4).eval().requires_grad_(False)


@pytest.mark.parametrize("name", ["attention_relation", "communication", "rdist"])
def test_a_transformer_learns_from_another(name: str) -> None:
    student, teacher = transformers()
    with seeded(1):
        term = catalog.load("losses", name)().build(context_of(shapes_of(student, TASK), shapes_of(teacher, TASK)))
    images = normal(8, 3, 8, 8).float()
    learned = [*student.parameters(), *(term.parameters() if isinstance(term, nn.Module) else ())]
    optimizer, losses, answer = torch.optim.Adam(learned, 0.01), [], teacher(images)
    for _ in range(30):
        optimizer.zero_grad()
        step = Step(student(images), answer, torch.eye(8, 5), torch.ones(8), torch.arange(8), 0.5)
        loss = term(step).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_rounds_go_through_the_teachers_own_layers() -> None:
    student, teacher = transformers()
    shapes = shapes_of(student, TASK), shapes_of(teacher, TASK)
    low = int(0.5 * 3)  # of the teacher's four layers
    middle = nn.Sequential(*list(teacher.layers)[low + 1 :])
    images = normal(8, 3, 8, 8).float()
    answer = teacher(images)
    torch.testing.assert_close(middle(answer.tokens[low]), answer.tokens[-1])
    with seeded(1):
        term = catalog.load("losses", "communication")(rounds=1).build(context_of(*shapes, artefact=middle))
    kept = {id(parameter) for parameter in term.parameters()}
    assert kept.isdisjoint({id(parameter) for parameter in teacher.parameters()})
    assert not any("middle" in key for key in term.state_dict())
    step = Step(student(images), answer, torch.eye(8, 5), torch.ones(8), torch.arange(8), 0.5)
    term(step).sum().backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.grad.abs().max() > 0 for parameter in term.parameters())
    reached = student.embed.weight.grad
    assert reached is not None and reached.abs().max() > 0
    with pytest.raises(ComponentError, match="rounds 1 needs the teacher's middle layers"):
        catalog.load("losses", "communication")(rounds=1).build(context_of(*shapes))


def test_communication_between_different_numbers_of_tokens_is_a_clear_error() -> None:
    context = context_of(Shapes(tokens=((9, 4), (9, 4))), Shapes(tokens=((16, 4), (16, 4))))
    with pytest.raises(ComponentError, match="all equally many"):
        catalog.load("losses", "communication")().build(context)


def test_coders_messages_have_the_width_that_is_asked_for() -> None:
    shapes = Shapes(tokens=((9, 4), (9, 6), (9, 8)))
    term = catalog.load("losses", "communication")(width=32, low=0.0).build(context_of(shapes, shapes))
    assert term.student_encoder(torch.zeros(1, 9, 4)).shape == (1, 9, 32)
    assert term.reply_decoder(torch.zeros(1, 9, 32)).shape == (1, 9, 8)
    assert (term.student_layers, term.teacher_layers) == ((0, 2), (0, 2))
    assert math.isclose(term.component.message_weight, 0.1)


@pytest.mark.parametrize("name", ["ofa", "uskd"])
def test_features_that_are_tokens_count_where_they_are_real(name: str) -> None:
    """Exits and a weak classifier behind a stage of tokens: more padding changes nothing."""
    shapes = Shapes(((5, 8), (5, 8)), 8)
    generator = torch.Generator().manual_seed(0)

    def normal(*size: int) -> Tensor:
        return torch.randn(4, *size, generator=generator, dtype=torch.float64)

    context = BuildContext(task=TASK, student=shapes, teacher=shapes, horizon_steps=10)
    with seeded(0):
        term = make("losses", name, {}).build(context)
    student = Output(normal(5), (normal(5, 8), normal(5, 8)), normal(8))
    step = Step(student, Output(normal(5)), normal(5).softmax(-1), torch.ones(4), torch.arange(4), 0.5)
    mask = (torch.arange(8) < 5).expand(4, -1)
    longer = tuple(torch.cat([feature, normal(3, 8)], 1) for feature in student.features)
    padded = step.student._replace(features=longer, mask=mask)
    whole = term.double()(step)
    torch.testing.assert_close(term(dataclasses.replace(step, student=padded)), whole, rtol=0, atol=1e-12)
    assert not torch.allclose(term(dataclasses.replace(step, student=padded._replace(mask=None))), whole)
