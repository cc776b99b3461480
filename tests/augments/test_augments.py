"""Every augmentation policy keeps the contract of `autokd.types.Augment`, and does what its paper says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from autokd import catalog
from autokd.imaging.moves import OPS
from autokd.ranges import Choice
from autokd.spec import fields_of
from autokd.types import Augment, BuildContext, Rows, Task, View

N = 45
SHAPES = {"image": [(3, 32, 32), (1, 8, 8), (1, 9, 14)], "table": [(6,)]}
CASES = [
    pytest.param(name, modality, shape, id=f"{name}-{'x'.join(map(str, shape))}")
    for name in catalog.names("augments")
    for modality in sorted(catalog.load("augments", name).modalities)
    for shape in SHAPES[modality]
]


def context(modality: str, shape: tuple[int, ...], std: tuple[float, ...] = ()) -> BuildContext:
    classes = ("a", "b", "c")
    task = Task(dataset="d", modality=modality, input_shape=shape, classes=classes, train_size=N, mean=std, std=std)
    return BuildContext(task=task)


def build(name: str, shape: tuple[int, ...] = (3, 32, 32), modality: str = "image", **fields) -> Augment:
    return catalog.load("augments", name)(**fields).build(context(modality, shape))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data(modality: str, shape: tuple[int, ...], n: int = N) -> View:
    """Images with every level from 0 to 255 and smooth labels, or a table."""
    levels = torch.randint(0, 256, (n, *shape), generator=seeded(9)).float() / 255
    inputs = levels if modality == "image" else torch.randn(n, *shape, generator=seeded(9))
    return View(inputs, torch.rand(n, 3, generator=seeded(8)).softmax(1))


def at(rows: Rows, index: Tensor) -> Rows:
    return {key: value[index] for key, value in rows.items()}


def view(augment: Augment, rows: Rows, whole: View, index: Tensor) -> View:
    """The batch of these samples, as the engine makes it."""
    own, partner, partner_rows = at(rows, index), None, None
    if "partner" in rows:
        partner = View(whole.inputs[own["partner"]], whole.targets[own["partner"]])
        partner_rows = at(rows, own["partner"])
    return augment.apply(View(whole.inputs[index], whole.targets[index]), own, partner, partner_rows)


def same(one: View, other: View) -> bool:
    return torch.equal(one.inputs, other.inputs) and torch.equal(one.targets, other.targets)


def test_the_policies() -> None:
    for name in ("none", "crop_flip", "random_erasing", "randaugment", "trivial_augment", "mixup", "cutmix"):
        assert "image" in catalog.load("augments", name).modalities
    for name in ("none", "feature_noise", "mixup"):
        assert "table" in catalog.load("augments", name).modalities


@pytest.mark.parametrize("name", catalog.names("augments"))
def test_fields_are_coarse_grids_that_hold_their_defaults(name) -> None:
    for key, info in fields_of(catalog.load("augments", name)).items():
        assert isinstance(info.range, Choice), key
        assert info.range.contains(info.default), key
        assert info.comment, key


@pytest.mark.parametrize(("name", "modality", "shape"), CASES)
def test_views_keep_shape_type_and_range(name, modality, shape) -> None:
    augment, whole = build(name, shape, modality), data(modality, shape)
    for seed in range(3):
        rows = augment.draw(seeded(seed), N, 0.5)
        assert all(len(value) == N and value.device.type == "cpu" for value in rows.values())
        inputs, targets = view(augment, rows, whole, torch.arange(N))
        assert inputs.shape == whole.inputs.shape
        assert inputs.dtype == targets.dtype == torch.float32
        assert inputs.isfinite().all()
        assert modality != "image" or (inputs.min() >= 0 and inputs.max() <= 1)
        assert targets.min() >= 0
        torch.testing.assert_close(targets.sum(1), torch.ones(N))


@pytest.mark.parametrize(("name", "modality", "shape"), CASES)
def test_views_do_not_depend_on_the_batch(name, modality, shape) -> None:
    augment, whole = build(name, shape, modality), data(modality, shape)
    rows = augment.draw(seeded(1), N, 0.0)
    everything = view(augment, rows, whole, torch.arange(N))
    order = torch.randperm(N, generator=seeded(2))
    for index in (order, order[:17], order[17:24], torch.tensor([3, 3, 30]), *order[:6].split(1)):
        part = view(augment, rows, whole, index)
        assert same(part, View(everything.inputs[index], everything.targets[index]))


@pytest.mark.parametrize(("name", "modality", "shape"), CASES)
def test_apply_is_pure(name, modality, shape) -> None:
    augment, whole = build(name, shape, modality), data(modality, shape)
    rows = augment.draw(seeded(1), N, 0.0)
    before = {key: value.clone() for key, value in rows.items()}
    first, second = (view(augment, rows, whole, torch.arange(N)) for _ in range(2))
    assert same(first, second)
    assert same(whole, data(modality, shape))
    assert all(torch.equal(rows[key], value) for key, value in before.items())


@pytest.mark.parametrize(("name", "modality", "shape"), CASES)
def test_the_seed_decides(name, modality, shape) -> None:
    augment, whole, all_rows = build(name, shape, modality), data(modality, shape), torch.arange(N)
    first, again, other = (view(augment, augment.draw(seeded(s), N, 0.0), whole, all_rows) for s in (1, 1, 2))
    assert same(first, again)
    assert same(first, other) == (name == "none")


@pytest.mark.parametrize(("name", "modality", "shape"), CASES)
def test_global_random_state_is_left_alone(name, modality, shape) -> None:
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    augment = build(name, shape, modality)
    view(augment, augment.draw(seeded(), N, 0.0), data(modality, shape), torch.arange(N))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("name", "modality", "shape"), CASES)
def test_views_on_cuda_match_the_cpu(name, modality, shape) -> None:
    augment, whole = build(name, shape, modality), data(modality, shape)
    rows = augment.draw(seeded(1), N, 0.0)
    here = view(augment, rows, whole, torch.arange(N))
    moved = {key: value.cuda() for key, value in rows.items()}
    images, index = View(*(part.cuda() for part in whole)), torch.arange(N).cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        there = view(augment, moved, images, index)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    close = ((there.inputs.cpu() - here.inputs).abs() < 1e-5).float().mean()
    assert close > 0.999  # a pixel half-way between two may round either way
    torch.testing.assert_close(there.targets.cpu(), here.targets)


def test_none_returns_the_view_itself() -> None:
    whole = data("image", (1, 8, 8))
    assert build("none", (1, 8, 8)).apply(whole, {}, None, None) is whole


def test_crop_flip_draws_uniformly() -> None:
    rows = build("crop_flip", padding=0.0625).draw(seeded(), 5000, 0.0)
    share = rows["shift"].flatten().bincount() / 10000
    assert len(share) == 5  # two pixels of padding on each side
    torch.testing.assert_close(share, torch.full((5,), 0.2), atol=0.02, rtol=0)
    assert rows["flip"].float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_crop_flip_switched_off_changes_nothing() -> None:
    augment, whole = build("crop_flip", padding=0.0, flip=False), data("image", (3, 32, 32))
    assert same(view(augment, augment.draw(seeded(), N, 0.0), whole, torch.arange(N)), whole)


def test_random_erasing_fills_a_box_with_noise() -> None:
    augment = build("random_erasing", (1, 32, 32), padding=0.0, flip=False, probability=0.25, area=0.2)
    n = 4000
    rows = augment.draw(seeded(), n, 0.0)
    images = torch.full((n, 1, 32, 32), 2.0)
    result = augment.apply(View(images, torch.ones(n, 1)), rows, None, None).inputs
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
    assert inputs[0, 0, 0].tolist() == [0.25] + [0.0] * 7
    assert inputs[1, 0, 0].tolist() == [0.0] * 7 + [0.5]
    assert targets.tolist() == [[0.75, 0.25], [0.5, 0.5]]


def test_mixup_on_a_table_ignores_the_geometry() -> None:
    augment = build("mixup", (6,), "table", padding=0.25, flip=True)
    assert set(augment.draw(seeded(), N, 0.0)) == {"partner", "share"}
    own, partner = View(torch.zeros(1, 6), torch.eye(2)[:1]), View(torch.ones(1, 6), torch.eye(2)[1:])
    inputs, targets = augment.apply(own, {"share": torch.tensor([0.75])}, partner, {})
    assert inputs.tolist() == [[0.25] * 6]
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
    assert inputs[0, 0, :, 0].tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
    assert inputs[0, 0, :, 1:].sum() == 0
    assert targets.tolist() == [[0.75, 0.25], [1.0, 0.0]]  # 16 of 64 pixels; nothing
    flipped, _ = augment.apply(own, still([False, False], box=box), partner, still([True, False]))
    assert flipped.sum() == 0  # the partner's white column is now on the right, outside the box


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
    augment = component.build(context("table", (2,), std=(1.0, 5.0)))
    rows = augment.draw(seeded(), 20000, 0.0)
    inputs = torch.full((20000, 2), 3.0)
    change = augment.apply(View(inputs, torch.ones(20000, 1)), rows, None, None).inputs - inputs
    torch.testing.assert_close(change.std(0), torch.tensor([0.2, 1.0]), atol=0.0, rtol=0.03)
    assert change.mean(0).abs().max() < 0.03
    assert abs(torch.corrcoef(change.T)[0, 1].item()) < 0.03
