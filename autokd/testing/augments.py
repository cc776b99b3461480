"""What every augmentation policy must do: the contract of `autokd.types.Augment`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from autokd import batching
from autokd.networks.inputs import feed_of
from autokd.ranges import Choice
from autokd.spec import fields_of
from autokd.testing.suite import Suite, task_of
from autokd.types import ANY, Augment, BuildContext, Inputs, Rows, Task, View

N = 45


class AugmentSuite(Suite):
    """What every augmentation policy must do."""

    kind = "augments"
    tasks = tuple(task_of(shape, classes=3, train_size=N) for shape in ((3, 32, 32), (1, 8, 8), (1, 9, 14), (6,)))

    def test_fields_are_coarse_grids_that_hold_their_defaults(self, component: Any) -> None:
        """The teacher's answers are kept by policy: a policy that nearly agrees is another one."""
        for key, info in fields_of(component).items():
            assert isinstance(info.range, Choice), key
            assert info.range.contains(info.default), key

    def test_views_keep_shape_type_and_range(self, component: Any, task: Task) -> None:
        augment, whole = build(component, task), data(task)
        for seed in range(3):
            rows = augment.draw(seeded(seed), N, 0.5)
            assert all(len(value) == N and value.device.type == "cpu" for value in rows.values())
            inputs, targets = view(augment, rows, whole, torch.arange(N))
            for before, after in zip(batching.tensors(whole.inputs), batching.tensors(inputs), strict=True):
                assert (after.shape, after.dtype) == (before.shape, before.dtype)
                assert after.isfinite().all()
                assert task.modality != "image" or (after.min() >= 0 and after.max() <= 1)
            assert targets.dtype == torch.float32
            assert targets.min() >= 0
            torch.testing.assert_close(targets.sum(1), torch.ones(N))

    def test_one_for_any_kind_of_input_changes_nothing(self, component: Any, task: Task) -> None:
        """What changes samples says which kinds it changes sensibly: an average of token ids means nothing."""
        augment, whole = build(component, task), data(task)
        rows = augment.draw(seeded(1), N, 0.5)
        unchanged = same(view(augment, rows, whole, torch.arange(N)), whole)
        assert unchanged or component.declares.modalities != ANY

    def test_views_do_not_depend_on_the_batch(self, component: Any, task: Task) -> None:
        augment, whole = build(component, task), data(task)
        rows = augment.draw(seeded(1), N, 0.0)
        everything = view(augment, rows, whole, torch.arange(N))
        order = torch.randperm(N, generator=seeded(2))
        for index in (order, order[:17], order[17:24], torch.tensor([3, 3, 30]), *torch.split(order[:6], 1)):
            part = view(augment, rows, whole, index)
            assert same(part, View(batching.take(everything.inputs, index), everything.targets[index]))

    def test_what_takes_any_size_changes_finer_samples_alike(self, component: Any, task: Task) -> None:
        """A teacher that looks at larger pictures sees the student's view: the same places, the same blend."""
        if not component.declares.any_size or task.modality != "image" or min(task.input_shape[1:]) < 32:
            pytest.skip("it is asked about samples of the task's size alone, or their histograms say nothing")
        augment, rows = build(component, task), build(component, task).draw(seeded(1), N, 0.5)
        seen = torch.nn.functional.interpolate(torch.rand(N, *task.input_shape, generator=seeded(3)), scale_factor=0.5)
        coarse = torch.nn.functional.interpolate(seen, size=task.input_shape[1:], mode="bilinear")
        whole = View(coarse, data(task).targets)
        finer = whole._replace(inputs=_enlarged(coarse))
        expected, found = (view(augment, rows, each, torch.arange(N)) for each in (whole, finer))
        assert torch.equal(found.targets, expected.targets)
        images = batching.single(found.inputs)
        assert images.shape == _enlarged(coarse).shape
        apart = (images - _enlarged(batching.single(expected.inputs))).abs().mean((1, 2, 3))
        assert apart.median() < 0.03 and apart.mean() < 0.06  # edges of turned and sharpened images may differ

    def test_apply_is_pure(self, component: Any, task: Task) -> None:
        augment, whole = build(component, task), data(task)
        rows = augment.draw(seeded(1), N, 0.0)
        before = {key: value.clone() for key, value in rows.items()}
        first, second = (view(augment, rows, whole, torch.arange(N)) for _ in range(2))
        assert same(first, second)
        assert same(whole, data(task))
        assert all(torch.equal(rows[key], value) for key, value in before.items())

    def test_the_seed_decides(self, component: Any, task: Task) -> None:
        augment, whole, all_rows = build(component, task), data(task), torch.arange(N)
        tables = [augment.draw(seeded(seed), N, 0.0) for seed in (1, 1, 2)]
        first, again, other = (view(augment, rows, whole, all_rows) for rows in tables)
        assert same(first, again)
        assert same(first, other) == (not tables[0]), "a policy that draws something shows it"

    def test_global_random_state_is_left_alone(self, component: Any, task: Task) -> None:
        before, numpy_before = torch.get_rng_state(), _numpy_state()
        augment = build(component, task)
        view(augment, augment.draw(seeded(), N, 0.0), data(task), torch.arange(N))
        assert torch.equal(torch.get_rng_state(), before)
        assert np.array_equal(_numpy_state(), numpy_before)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
    def test_views_on_cuda_match_the_cpu(self, component: Any, task: Task) -> None:
        augment, whole = build(component, task), data(task)
        rows = augment.draw(seeded(1), N, 0.0)
        here = view(augment, rows, whole, torch.arange(N))
        moved = {key: value.cuda() for key, value in rows.items()}
        cuda = torch.device("cuda")
        images, index = View(batching.to(whole.inputs, cuda), whole.targets.cuda()), torch.arange(N).cuda()
        torch.cuda.set_sync_debug_mode("error")
        try:
            there = view(augment, moved, images, index)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        for one, other in zip(batching.tensors(here.inputs), batching.tensors(there.inputs), strict=True):
            close = ((other.cpu() - one).abs() < 1e-5).float().mean()
            assert close > 0.999  # a pixel half-way between two may round either way
        torch.testing.assert_close(there.targets.cpu(), here.targets)


def build(component: type[Any], task: Task, **fields: Any) -> Augment:
    """Return a policy's two functions."""
    augment: Augment = component(**fields).build(BuildContext(task=task))
    return augment


def seeded(seed: int = 0) -> torch.Generator:
    """Return a generator."""
    return torch.Generator().manual_seed(seed)


def data(task: Task, n: int = N) -> View:
    """Return samples with smooth labels: images with every level from 0 to 255, a table, or made-up ones."""
    return View(_samples(task, n), torch.rand(n, task.num_classes, generator=seeded(8)).softmax(1))


def view(augment: Augment, rows: Rows, whole: View, index: Tensor) -> View:
    """Return the batch of these samples, as the engine makes it."""
    own, partner, partner_rows = _at(rows, index), None, None
    if "partner" in rows:
        partner = View(batching.take(whole.inputs, own["partner"]), whole.targets[own["partner"]])
        partner_rows = _at(rows, own["partner"])
    return augment.apply(View(batching.take(whole.inputs, index), whole.targets[index]), own, partner, partner_rows)


def _enlarged(images: Tensor) -> Tensor:
    return images.repeat_interleave(2, 2).repeat_interleave(2, 3)


def same(one: View, other: View) -> bool:
    """Return whether two views are equal bit for bit."""
    pairs = zip(batching.tensors(one.inputs), batching.tensors(other.inputs), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and torch.equal(one.targets, other.targets)


def _samples(task: Task, n: int) -> Inputs:
    made = feed_of(task).example(n, seeded(9))
    if task.modality == "image":
        return torch.randint(0, 256, (n, *task.input_shape), generator=seeded(9)).float() / 255
    return torch.randn(n, *task.input_shape, generator=seeded(9)) if task.modality == "table" else made


def _at(rows: Rows, index: Tensor) -> Rows:
    return {key: value[index] for key, value in rows.items()}


def _numpy_state() -> Any:
    return np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
