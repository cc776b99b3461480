"""Each operation against torchvision's, sample by sample, and against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from autokd.compat import torchvision
from autokd.errors import ComponentError
from autokd.imaging.colour import (
    PHOTOMETRIC,
    auto_contrast,
    brightness,
    color,
    contrast,
    equalize,
    gray,
    posterize,
    sharpness,
    solarize,
)
from autokd.imaging.geometry import GEOMETRIC, NOTHING, affine, crop_flip, random_crop_flip
from autokd.imaging.mixing import draw_beta, inside, mix, noise_like
from autokd.imaging.moves import OPS, Maxima, apply_moves, tabulate_moves, where
from autokd.types import Task

F = torchvision().transforms.v2.functional
FACTORS = [0.01, 0.1, 0.73, 1.0, 1.27, 1.99]


def task(*shape: int) -> Task:
    return Task(dataset="noise", modality="image", input_shape=shape, classes=("a", "b"), train_size=10)


def bytes_like(*shape: int, seed: int = 0) -> Tensor:
    """Random 8-bit images of different contrast: the first is flat, later ones use more and more of the levels."""
    generator = torch.Generator().manual_seed(seed)
    top = torch.linspace(1, 256, shape[0]).view(-1, 1, 1, 1)
    return (torch.rand(shape, generator=generator) * top).floor().to(torch.uint8)


def unit(images: Tensor) -> Tensor:
    return images.float() / 255


def per_sample(values: list[float]) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (brightness, F.adjust_brightness),
        (color, F.adjust_saturation),
        (contrast, F.adjust_contrast),
        (sharpness, F.adjust_sharpness),
    ],
)
def test_blends_match_torchvision(ours, theirs, channels) -> None:
    images = unit(bytes_like(6, channels, 20, 24))
    expected = torch.stack([theirs(image, factor) for image, factor in zip(images, FACTORS, strict=True)])
    torch.testing.assert_close(ours(images, per_sample(FACTORS)), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_auto_contrast_matches_torchvision(channels) -> None:
    images = unit(bytes_like(6, channels, 20, 24))
    torch.testing.assert_close(auto_contrast(images, images), F.autocontrast(images), atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [(8, 8), (20, 24), (32, 32)])
def test_equalize_matches_torchvision_exactly(size) -> None:
    images = bytes_like(6, 3, *size)
    images[1, :, :1] = 255  # nearly flat
    assert torch.equal(equalize(unit(images), images), unit(F.equalize(images)))


def test_equalize_changes_something() -> None:
    images = unit(bytes_like(6, 1, 32, 32))
    changed = (equalize(images, images) != images).flatten(1).any(1)
    assert changed.tolist() == [False, True, True, True, True, True]


def test_posterize_matches_torchvision_exactly() -> None:
    images, bits = bytes_like(7, 3, 16, 16), [2, 3, 4, 5, 6, 7, 8]
    expected = torch.stack([F.posterize(image, b) for image, b in zip(images, bits, strict=True)])
    assert torch.equal(posterize(unit(images), per_sample([2.0 ** (8 - b) for b in bits])), unit(expected))


def test_solarize_matches_torchvision_exactly() -> None:
    images, thresholds = bytes_like(6, 3, 16, 16), [0.0, 17.0, 34.0, 178.5, 250.0, 255.0]
    images[5, 0, 0, 0] = 255
    expected = torch.stack([F.solarize(image, level) for image, level in zip(images, thresholds, strict=True)])
    result = solarize(unit(images), per_sample(thresholds))
    assert torch.equal((result * 255).round().to(torch.uint8), expected)
    assert result[5, 0, 0, 0] == 0


def affine_of(name: str, images: Tensor, strengths: list[float]) -> Tensor:
    matrices = [GEOMETRIC[name](strength, *images.shape[-2:]) for strength in strengths]
    return affine(images, torch.tensor(matrices, dtype=torch.float32))


def shear(image: Tensor, x: float, y: float) -> Tensor:
    degrees = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
    return F.affine(image, angle=0.0, translate=[0, 0], scale=1.0, shear=degrees, center=[0, 0])


def translate(image: Tensor, x: int, y: int) -> Tensor:
    return F.affine(image, angle=0.0, translate=[x, y], scale=1.0, shear=[0.0, 0.0])


@pytest.mark.parametrize("shape", [(6, 3, 32, 32), (6, 1, 20, 27)])
@pytest.mark.parametrize(
    ("name", "strengths", "theirs"),
    [
        ("shear_x", [0.09, -0.09, 0.31, -0.66, 0.95, 0.0], lambda image, s: shear(image, s, 0.0)),
        ("shear_y", [0.09, -0.09, 0.31, -0.66, 0.95, 0.0], lambda image, s: shear(image, 0.0, s)),
        ("translate_x", [4.0, -4.0, 13.0, -19.0, 1.0, 0.0], lambda image, s: translate(image, int(s), 0)),
        ("translate_y", [4.0, -4.0, 13.0, -19.0, 1.0, 0.0], lambda image, s: translate(image, 0, int(s))),
        ("rotate", [9.0, -9.0, 31.0, -77.0, 135.0, 0.0], F.rotate),
    ],
)
def test_geometry_matches_torchvision(shape, name, strengths, theirs) -> None:
    images = unit(bytes_like(*shape, seed=1)) * 0.9 + 0.1
    expected = torch.stack([theirs(image, s) for image, s in zip(images, strengths, strict=True)])
    differs = (affine_of(name, images, strengths) != expected).float().mean()
    assert differs < 0.002  # pixels that fall half-way between two may round either way


def test_directions() -> None:
    image = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]]) / 9
    right, down = affine_of("translate_x", image, [1.0]), affine_of("translate_y", image, [1.0])
    quarter = affine_of("rotate", image, [90.0])
    assert (right * 9).round().flatten().tolist() == [0, 1, 2, 0, 4, 5, 0, 7, 8]
    assert (down * 9).round().flatten().tolist() == [0, 0, 0, 1, 2, 3, 4, 5, 6]
    assert (quarter * 9).round().flatten().tolist() == [3, 6, 9, 2, 5, 8, 1, 4, 7]


@pytest.mark.parametrize("name", PHOTOMETRIC)
@pytest.mark.parametrize("shape", [(19, 3, 32, 32), (19, 1, 9, 13)])
def test_operations_treat_each_sample_on_its_own(name, shape) -> None:
    images = torch.rand(shape, generator=torch.Generator().manual_seed(3))
    strength = torch.linspace(0.4, 1.7, 19).view(-1, 1, 1, 1)
    whole = PHOTOMETRIC[name](images, strength)
    alone = torch.cat([PHOTOMETRIC[name](images[i : i + 1], strength[i : i + 1]) for i in range(19)])
    assert torch.equal(whole, alone)


def test_gray_uses_luminance_weights() -> None:
    image = torch.tensor([1.0, 0.5, 0.25]).view(1, 3, 1, 1)
    assert gray(image).item() == pytest.approx(0.2989 + 0.2935 + 0.0285)


def test_crop_flip_matches_a_loop() -> None:
    images = torch.rand(5, 2, 6, 7, generator=torch.Generator().manual_seed(0))
    shift, flip = torch.tensor([[0, 0], [4, 2], [2, 1], [1, 0], [3, 2]]), torch.tensor([False, True, False, True, True])
    result = crop_flip(images, shift, flip, (2, 1))
    for i in range(5):
        padded = torch.zeros(2, 10, 9)
        padded[:, 2:8, 1:8] = images[i]
        top, left = shift[i].tolist()
        crop = padded[:, top : top + 6, left : left + 7]
        assert torch.equal(result[i], crop.flip(-1) if flip[i] else crop)


def test_margins_are_rounded_up() -> None:
    rows = random_crop_flip(task(1, 8, 28), 0.0625, True).draw(torch.Generator().manual_seed(0), 400)
    assert rows["shift"].amin(0).tolist() == [0, 0]
    assert rows["shift"].amax(0).tolist() == [2, 4]  # twice ceil(0.5) and ceil(1.75)


def test_nothing_changes_nothing() -> None:
    inputs = torch.rand(3, 4)
    assert NOTHING.draw(torch.Generator(), 3) == {}
    assert NOTHING.apply(inputs, {}) is inputs


def test_mix() -> None:
    result = mix(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 1.0]] * 2), torch.tensor([0.25, 1]))
    assert result.tolist() == [[0.25, 0.75], [1.0, 0.0]]


def test_draw_beta_has_the_distribution() -> None:
    generator = torch.Generator().manual_seed(0)
    flat, edges = draw_beta(generator, 20000, 1.0), draw_beta(generator, 20000, 0.1)
    assert flat.dtype == torch.float32
    assert flat.mean().item() == pytest.approx(0.5, abs=0.01)
    assert flat.var().item() == pytest.approx(1 / 12, abs=0.003)
    assert edges.var().item() == pytest.approx(1 / 4.8, abs=0.003)  # 1 / (4 (2 alpha + 1))


def test_inside() -> None:
    result = inside(torch.tensor([[1, 3, 0, 2], [0, 0, 0, 0]]), 4, 3)
    assert result.shape == (2, 1, 4, 3)
    assert result[0, 0].int().tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert not result[1].any()


def test_noise_is_uniform_and_independent() -> None:
    images, seed = torch.zeros(40, 3, 16, 16), torch.arange(40) * 100_003
    noise = noise_like(images, seed)
    counts = (noise * 255).round().long().flatten().bincount(minlength=256)
    assert torch.equal(noise, (noise * 255).round() / 255)
    assert ((counts - 120).square() / 120).sum() < 350  # chi-square with 255 degrees: mean 255, sd 23
    centred = noise.flatten(1) - 0.5
    samples, places = torch.corrcoef(centred) - torch.eye(40), (centred[:, 1:] * centred[:, :-1]).mean() * 12
    assert samples.abs().max() < 0.2
    assert abs(places.item()) < 0.02
    assert torch.equal(noise[7:9], noise_like(images[7:9], seed[7:9]))


def test_where_replaces_the_masked_samples_only() -> None:
    images, offset = torch.zeros(3, 1, 1, 1), per_sample([1.0, 2.0, 3.0])
    result = where(torch.tensor([True, False, True]), torch.add, images, offset)
    assert result.flatten().tolist() == [1.0, 0.0, 3.0]
    assert images.abs().sum() == 0


def strengths(table: Tensor, name: str) -> list[float]:
    return sorted(round(value, 4) for value in table[table[:, 0] == OPS.index(name), 1].tolist())


def test_moves_at_one_level() -> None:
    maxima = Maxima(0.3, (150 / 331 * 32, 150 / 331 * 16), rotate=30, enhance=0.9, bits=4)
    table = tabulate_moves(task(3, 32, 16), maxima, 9)
    assert table.shape == (28, 8)
    assert table[:, 0].long().bincount().tolist() == [2] * 14
    assert strengths(table, "shear_x") == strengths(table, "shear_y") == [-0.09, 0.09]
    assert strengths(table, "translate_y") == [-4, 4]  # 14.5 * 0.3 = 4.35
    assert strengths(table, "translate_x") == [-2, 2]  # 7.25 * 0.3 = 2.175
    assert strengths(table, "rotate") == [-9, 9]
    for name in ("brightness", "color", "contrast", "sharpness"):
        assert strengths(table, name) == [0.73, 1.27]
    assert strengths(table, "posterize") == [2, 2]  # 8 - 1.2 bits, rounded: 7
    assert strengths(table, "solarize") == [178.5, 178.5]


@pytest.mark.parametrize(("level", "shift"), [(0, 0), (15, 16), (29, 30), (30, 32)])
def test_translations_are_whole_pixels(level, shift) -> None:
    table = tabulate_moves(task(1, 32, 32), Maxima(1, (32, 32), rotate=1, enhance=0.9, bits=4), level)
    assert strengths(table, "translate_x") == [-shift, shift]


def test_moves_need_gray_or_colour() -> None:
    with pytest.raises(ComponentError, match="1 or 3 channels, noise has 4"):
        tabulate_moves(task(4, 8, 8), Maxima(0.3, (1, 1), rotate=30, enhance=0.9, bits=4), 9)


def test_apply_moves_in_sequence() -> None:
    images = torch.tensor([0.4, 0.4, 0.4]).view(3, 1, 1, 1).expand(3, 1, 8, 8)
    codes = [[OPS.index(name) for name in pair] for pair in
             (("brightness", "solarize"), ("solarize", "brightness"), ("identity", "translate_y"))]  # fmt: skip
    strength = torch.tensor([[2.0, 128.0], [128.0, 2.0], [0.0, 3.0]])
    matrix = torch.tensor([1.0, 0, 0, 0, 1, -3]).expand(3, 2, 6)
    result = apply_moves(
        images, {"op": torch.tensor(codes), "strength": strength, "matrix": matrix}, *images.shape[-2:]
    )
    assert result[0].unique().item() == pytest.approx(0.2)  # 0.8, inverted
    assert result[1].unique().item() == pytest.approx(0.8)
    assert (result[2, 0, :, 0] > 0).tolist() == [False] * 3 + [True] * 5
