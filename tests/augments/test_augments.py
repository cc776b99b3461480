"""Every augmentation policy keeps the contract of `autokd.types.Augment`, and does what its paper says."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from autokd import catalog
from autokd.batching import single
from autokd.imaging.moves import OPS
from autokd.input_kind import takes
from autokd.testing import AugmentSuite
from autokd.testing import augments as suite
from autokd.testing.augments import N, same, seeded, view
from autokd.testing.suite import task_of
from autokd.types import Augment, BuildContext, Rows, View


class TestAugments(AugmentSuite):
    components = tuple(catalog.load("augments", name) for name in catalog.names("augments"))


def build(name: str, shape: tuple[int, ...] = (3, 32, 32), **fields) -> Augment:
    return suite.build(catalog.load("augments", name), task_of(shape, classes=3, train_size=N), **fields)


def images(shape: tuple[int, ...]) -> View:
    return suite.data(task_of(shape, classes=3))


def test_the_policies() -> None:
    for name in ("none", "crop_flip", "random_erasing", "randaugment", "trivial_augment", "mixup", "cutmix"):
        assert takes(catalog.load("augments", name).declares.modalities, "image")
    for name in ("none", "feature_noise", "mixup"):
        assert takes(catalog.load("augments", name).declares.modalities, "table")


@pytest.mark.parametrize("name", catalog.names("augments"))
def test_every_policy_but_none_draws_something(name) -> None:
    shape = (3, 32, 32) if takes(catalog.load("augments", name).declares.modalities, "image") else (6,)
    assert bool(build(name, shape).draw(seeded(), N, 0.0)) == (name != "none")


def test_none_returns_the_view_itself() -> None:
    whole = images((1, 8, 8))
    assert build("none", (1, 8, 8)).apply(whole, {}, None, None) is whole


def test_crop_flip_draws_uniformly() -> None:
    rows = build("crop_flip", padding=0.0625).draw(seeded(), 5000, 0.0)
    share = rows["shift"].flatten().bincount() / 10000
    assert len(share) == 5  # two pixels of padding on each side
    torch.testing.assert_close(share, torch.full((5,), 0.2), atol=0.02, rtol=0)
    assert rows["flip"].float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_crop_flip_switched_off_changes_nothing() -> None:
    augment, whole = build("crop_flip", padding=0.0, flip=False), images((3, 32, 32))
    assert same(view(augment, augment.draw(seeded(), N, 0.0), whole, torch.arange(N)), whole)


def test_random_erasing_fills_a_box_with_noise() -> None:
    augment = build("random_erasing", (1, 32, 32), padding=0.0, flip=False, probability=0.25, area=0.2)
    n = 4000
    rows = augment.draw(seeded(), n, 0.0)
    images = torch.full((n, 1, 32, 32), 2.0)
    result = single(augment.apply(View(images, torch.ones(n, 1)), rows, None, None).inputs)
    erased = (result != 2).flatten(1)
    touched = erased.any(1)
    area = erased.float().mean(1)[touched]
    tall = (rows["box"][:, 1] - rows["box"][:, 0])[touched].float()
    wide = (rows["box"][:, 3] - rows["box"][:, 2])[touched].float()
    assert touched.float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert 0.015 < area.min() < 0.03
    assert 0.19 < area.max() < 0.22  # the sides are rounded
    assert area.mean().item() == pytest.approx(0.11, abs=0.005)
    torch.testing.assert_close(area, tall * wide / 1024)
    assert 0.25 < (tall / wide).min() < 0.4 < 2.5 < (tall / wide).max() < 4
    values = result[result != 2]
    assert values.mean().item() == pytest.approx(0.5, abs=0.01)
    assert values.min() == 0
    assert values.max() == 1


def test_random_erasing_tries_again_while_the_box_does_not_fit() -> None:
    rows = build("random_erasing", (3, 32, 16), probability=0.75, area=0.4, aspect=0.3).draw(seeded(), 6000, 0.0)
    top, bottom, left, right = rows["box"].unbind(1)
    assert (bottom > top).float().mean().item() == pytest.approx(0.75, abs=0.02)
    assert top.min() == left.min() == 0
    assert bottom.max() == 32
    assert right.max() == 16
    assert 24 <= (bottom - top).max() <= 26  # sqrt(0.4 * 512 / 0.3) = 26.1
    assert (right - left).max() == 15


@pytest.mark.parametrize("num_ops", [1, 3])
def test_randaugment_draws_operations_uniformly(num_ops) -> None:
    rows = build("randaugment", num_ops=num_ops, magnitude=15).draw(seeded(), 7000, 0.0)
    share = rows["op"].flatten().bincount() / rows["op"].numel()
    assert rows["op"].shape == (7000, num_ops)
    torch.testing.assert_close(share, torch.full((14,), 1 / 14), atol=0.015, rtol=0)
    angle = rows["strength"][rows["op"] == OPS.index("rotate")]
    assert sorted(angle.unique().tolist()) == [-15, 15]
    assert angle.mean().abs() < 3
    shift = rows["strength"][rows["op"] == OPS.index("translate_x")]
    assert sorted(shift.unique().tolist()) == [-7, 7]  # 150 / 331 * 32 / 2 = 7.25


def test_trivial_augment_draws_operations_and_strengths_uniformly() -> None:
    rows = build("trivial_augment").draw(seeded(), 14000, 0.0)
    share = rows["op"].flatten().bincount() / 14000
    assert rows["op"].shape == (14000, 1)
    torch.testing.assert_close(share, torch.full((14,), 1 / 14), atol=0.01, rtol=0)

    def drawn(name: str) -> Tensor:
        return rows["strength"][rows["op"] == OPS.index(name)]

    assert drawn("rotate").abs().max() == 135
    assert drawn("rotate").abs().mean().item() == pytest.approx(67.5, abs=5)
    assert drawn("translate_y").unique().tolist()[::60] == [-32, 32]
    assert drawn("shear_x").unique().numel() == 61  # 31 magnitudes, two directions, one zero
    assert drawn("brightness").min().item() == pytest.approx(0.01)
    assert drawn("brightness").max().item() == pytest.approx(1.99)
    assert drawn("posterize").unique().tolist() == [1, 2, 4, 8, 16, 32, 64]  # 8 to 2 bits
    assert drawn("solarize").min() == 0


def test_trivial_augment_keeps_small_images_in_sight() -> None:
    rows = build("trivial_augment", (1, 8, 8)).draw(seeded(), 5000, 0.0)
    shift = rows["strength"][rows["op"] == OPS.index("translate_x")]
    assert shift.unique().tolist() == list(range(-8, 9))


def handmade(shape: tuple[int, ...]) -> tuple[View, View]:
    """Two black images with class 0, and their partners, white in the left column, with class 1."""
    own, partner = torch.zeros(2, *shape), torch.zeros(2, *shape)
    partner[..., 0] = 1.0
    return View(own, torch.tensor([[1.0, 0.0]] * 2)), View(partner, torch.tensor([[0.0, 1.0]] * 2))


def still(flip: list[bool], **rows: Tensor) -> Rows:
    return {"shift": torch.zeros(2, 2, dtype=torch.int64), "flip": torch.tensor(flip), **rows}


def test_mixup_mixes_images_and_labels_after_each_ones_own_flip() -> None:
    own, partner = handmade((1, 8, 8))
    augment = build("mixup", (1, 8, 8), padding=0.0)
    rows, partner_rows = still([False, False], share=torch.tensor([0.75, 0.5])), still([False, True])
    inputs, targets = augment.apply(own, rows, partner, partner_rows)
    pixels = single(inputs)
    assert pixels[0, 0, 0].tolist() == [0.25] + [0.0] * 7
    assert pixels[1, 0, 0].tolist() == [0.0] * 7 + [0.5]
    assert targets.tolist() == [[0.75, 0.25], [0.5, 0.5]]


def test_mixup_on_a_table_ignores_the_geometry() -> None:
    augment = build("mixup", (6,), padding=0.25, flip=True)
    assert set(augment.draw(seeded(), N, 0.0)) == {"partner", "share"}
    own, partner = View(torch.zeros(1, 6), torch.eye(2)[:1]), View(torch.ones(1, 6), torch.eye(2)[1:])
    inputs, targets = augment.apply(own, {"share": torch.tensor([0.75])}, partner, {})
    assert single(inputs).tolist() == [[0.25] * 6]
    assert targets.tolist() == [[0.75, 0.25]]


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_each_sample_is_a_partner_once(name) -> None:
    partner = build(name).draw(seeded(), 100, 0.0)["partner"]
    assert partner.dtype == torch.int64
    assert sorted(partner.tolist()) == list(range(100))


def test_mixup_alpha() -> None:
    flat, edges = (build("mixup", alpha=alpha).draw(seeded(), 5000, 0.0)["share"] for alpha in (1.0, 0.1))
    assert ((flat > 0.1) & (flat < 0.9)).float().mean().item() == pytest.approx(0.8, abs=0.03)
    assert ((edges > 0.1) & (edges < 0.9)).float().mean() < 0.3


def test_cutmix_pastes_the_box_and_mixes_labels_by_its_area() -> None:
    own, partner = handmade((1, 8, 8))
    augment = build("cutmix", (1, 8, 8), padding=0.0)
    box = torch.tensor([[2, 6, 0, 4], [0, 0, 0, 0]])
    inputs, targets = augment.apply(own, still([False, False], box=box), partner, still([False, False]))
    pixels = single(inputs)
    assert pixels[0, 0, :, 0].tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
    assert pixels[0, 0, :, 1:].sum() == 0
    assert targets.tolist() == [[0.75, 0.25], [1.0, 0.0]]  # 16 of 64 pixels; nothing
    flipped, _ = augment.apply(own, still([False, False], box=box), partner, still([True, False]))
    assert single(flipped).sum() == 0  # the partner's white column is now on the right, outside the box


def test_cutmix_draws_boxes_inside_the_image() -> None:
    rows = build("cutmix", (3, 32, 24), probability=0.5).draw(seeded(), 6000, 0.0)
    top, bottom, left, right = rows["box"].unbind(1)
    chosen = bottom > top
    assert rows["box"].min() >= 0
    assert bottom.max() <= 32
    assert right.max() <= 24
    assert chosen.float().mean().item() == pytest.approx(0.49, abs=0.03)  # half, less a few empty boxes
    # before clipping the area is uniform (mean 1/2); the mean of the clipped share, E[(w - w²/4)²] with w² = area
    # uniform and centre uniform, is 1/2 - 1/5 + 1/48 = 0.321
    area = ((bottom - top) * (right - left)).float()[chosen] / (32 * 24)
    assert area.mean().item() == pytest.approx(0.32, abs=0.03)


def test_feature_noise_is_a_share_of_the_columns_deviation() -> None:
    component = catalog.load("augments", "feature_noise")(std=0.2)
    augment = component.build(BuildContext(task=dataclasses.replace(task_of((2,)), std=(1.0, 5.0))))
    rows = augment.draw(seeded(), 20000, 0.0)
    inputs = torch.full((20000, 2), 3.0)
    change = augment.apply(View(inputs, torch.ones(20000, 1)), rows, None, None).inputs - inputs
    torch.testing.assert_close(change.std(0), torch.tensor([0.2, 1.0]), atol=0.0, rtol=0.03)
    assert change.mean(0).abs().max() < 0.03
    assert abs(torch.corrcoef(change.T)[0, 1].item()) < 0.03
