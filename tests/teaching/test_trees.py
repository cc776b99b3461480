"""Trees fitted by scikit-learn: the same answers without it, the same trees every time, small and rare classes too."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from autokd.batching import single
from autokd.data import DataOptions, Dataset, load
from autokd.files import write_tensors
from autokd.networks.models import state_fingerprint
from autokd.networks.trees import TreeEnsemble, arrays_of
from autokd.teaching import trees
from autokd.types import Split

LENGTH = 30


@pytest.fixture(scope="module", params=["breast_cancer", "wine"])
def data(request: pytest.FixtureRequest) -> Dataset:
    return load(request.param, DataOptions())


def rows_of(data: Dataset, count: int = 1000) -> Tensor:
    """Training rows and noisy ones between them, as augmentation makes them."""
    generator = torch.Generator().manual_seed(0)
    index = torch.randint(0, len(data.train), (2, count), generator=generator)
    mixed = single(data.train.inputs)[index].lerp(single(data.train.inputs)[index.flip(0)], 0.3)[0]
    return torch.cat([single(data.train.inputs), mixed + 0.1 * torch.randn(mixed.shape, generator=generator)])[-count:]


@pytest.mark.parametrize("name", trees.KINDS)
def test_the_arrays_answer_as_scikit_learn(data: Dataset, name: str) -> None:
    kind, split, rows = trees.KINDS[name], data.train, rows_of(data)
    model = kind.model(split, data.task.num_classes, LENGTH)
    model.fit(single(split.inputs).numpy(), split.labels.numpy())
    network = TreeEnsemble(arrays_of(*kind.trees(model)), kind.link)
    assert len(rows) == 1000
    np.testing.assert_allclose(network(rows).exp().numpy(), model.predict_proba(rows.numpy()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", trees.KINDS)
def test_the_same_rows_give_the_same_trees_also_from_a_file(data: Dataset, name: str, tmp_path: Path) -> None:
    first, again = (trees.fit_trees(name, data.train, data.task.num_classes, LENGTH) for _ in range(2))
    assert state_fingerprint(first.state_dict()) == state_fingerprint(again.state_dict())
    write_tensors(tmp_path / "trees.safetensors", first.state_dict())
    read = TreeEnsemble(load_file(tmp_path / "trees.safetensors"), trees.KINDS[name].link)
    assert torch.equal(read(rows_of(data)), first(rows_of(data)))


@pytest.mark.parametrize("name", trees.KINDS)
@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2], [0] * 40 + [1] * 40 + [2]])
def test_few_rows_and_rare_classes_are_fitted(name: str, labels: list[int]) -> None:
    inputs = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(0))
    classes = len(set(labels))
    network = trees.fit_trees(name, Split(inputs, torch.tensor(labels)), classes, 5)
    assert network(inputs).shape == (len(labels), classes) and bool(torch.isfinite(network(inputs)).all())


def test_the_work_is_bounded() -> None:
    boosting, forest = (trees.KINDS[name].length for name in ("gradient boosting", "forest"))
    assert boosting(1000, 2) == trees.ROUNDS
    assert [boosting(1000, classes) * classes <= trees.BOOSTED for classes in (3, 26, 100)] == [True] * 3
    assert boosting(1000, 10 * trees.BOOSTED) == 1
    assert (forest(1000, 2), forest(10**8, 2)) == (trees.TREES, trees.FEWEST)


def test_what_fitting_costs_is_told_from_a_few_trees(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first tree takes 5 s, binning included, and each further one 2 s; four trees answer in 0.5 s."""
    seconds = itertools.cycle([5.0 + 2 * (trees.FEW - 1), 5.0, 0.5])
    monkeypatch.setattr(trees, "_timed", lambda make: (make(), next(seconds)))
    rows, classes = len(data.train), data.task.num_classes
    lengths = [kind.length(rows, classes) for kind in trees.KINDS.values()]
    costs = trees.tree_costs(data.train, classes)
    assert costs.fit * rows == pytest.approx(sum(5 + 2 * (length - 1) for length in lengths))
    assert costs.answer * min(rows, trees.ASKED) == pytest.approx(0.5 * max(lengths) / trees.FEW)
