"""What every kind of input must do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from autokd import batching, catalog
from autokd.errors import ComponentError
from autokd.input_kind import InputKind
from autokd.input_values import Feed, Preprocess
from autokd.nodes import Nodes
from autokd.testing.suite import Suite
from autokd.types import BuildContext, Inputs, Task

CLASSES = ("a", "b")


class ModalitySuite(Suite):
    """What every kind of input must do.

    Args:
      samples: at least three raw samples of each kind, by the name of the component; for a subclass to say.
    """

    kind = "modalities"

    samples: ClassVar[Mapping[str, Any]] = {}

    def test_is_a_kind_of_input_without_fields(self, component: Any) -> None:
        assert issubclass(component, InputKind)
        assert component() == component()
        assert component.declares.noun and component.declares.default_space

    def test_a_preprocessing_survives_as_json_and_gives_the_same_samples(self, component: Any) -> None:
        preprocess, raw = self._fitted(component), self._raw(component)
        plain = json.loads(json.dumps(preprocess.to_json(), allow_nan=False))
        assert plain.pop("format") == 1
        assert plain.pop("kind") == preprocess.kind == catalog.name_of(component)
        again = component().restore(plain)
        assert again.to_json() == preprocess.to_json()
        assert again.input_shape == preprocess.input_shape
        assert same(again.apply(raw), preprocess.apply(raw))

    def test_samples_are_preprocessed_one_by_one(self, component: Any) -> None:
        preprocess, raw = self._fitted(component), self._raw(component)
        rows = np.array([2, 0])
        some = preprocess.apply(component().take(raw, rows))
        assert same(some, batching.take(preprocess.apply(raw), torch.from_numpy(rows)))

    def test_made_up_samples_are_like_real_ones(self, component: Any) -> None:
        feed, real = self._feed(component), self._real(component)
        for generator in (None, torch.Generator().manual_seed(0)):
            made = feed.example(5, generator)
            assert batching.count(made) == 5 and batching.device_of(made).type == "cpu"
            for one, other in zip(batching.tensors(made), batching.tensors(real), strict=True):
                assert (one.shape[1:], one.dtype) == (other.shape[1:], other.dtype)

    def test_made_up_samples_are_alike_without_a_generator_and_drawn_by_one(self, component: Any) -> None:
        example = self._feed(component).example
        assert same(example(4, None), example(4, None))
        assert same(batching.take(example(4, None), slice(1)), batching.take(example(4, None), slice(3, 4)))
        first, again, other = (example(4, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
        assert same(first, again) and not same(first, other)

    def test_a_form_in_onnx_gives_what_a_network_takes(self, component: Any) -> None:
        pytest.importorskip("onnx", reason="onnx is not installed")
        nodes, example = Nodes("prepare"), self._feed(component).example(1, None)
        try:
            form = component().onnx_form(self._fitted(component), nodes)
        except ComponentError:
            return  # it has none, and says so
        assert set(form.tensors) == set(batching.by_own_name(example, "input"))
        assert set(form.takes) == {each.name for each in nodes.entries} and all(form.takes.values())

    def test_stored_samples_stay_as_they_are(self, component: Any) -> None:
        preprocess, feed = self._fitted(component), self._feed(component)
        stored = preprocess.apply(self._raw(component))
        before = batching.each(stored, torch.Tensor.clone)
        for tensor in batching.tensors(feed.to_network(feed.to_view(stored), feed.constants)):
            if tensor.is_floating_point():
                tensor.add_(1)  # as a network's first layer may do in place
        assert same(stored, before)

    def test_a_network_keeps_its_weights_in_any_layout(self, component: Any) -> None:
        network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Linear(4, 5))
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        after = self._feed(component).lay_out(network).state_dict()
        assert all(torch.equal(after[name], tensor) for name, tensor in before.items())

    def _raw(self, component: Any) -> Any:
        return self.samples[catalog.name_of(component)]

    def _fitted(self, component: Any) -> Preprocess:
        preprocess: Preprocess = component().fit(self._raw(component), CLASSES)[0]
        return preprocess

    def _feed(self, component: Any) -> Feed:
        preprocess = self._fitted(component)
        task = Task(
            dataset="made up",
            modality=preprocess.kind,
            input_shape=preprocess.input_shape,
            classes=CLASSES,
            train_size=3,
            mean=preprocess.mean,
            std=preprocess.std,
        )
        feed: Feed = component().build(BuildContext(task=task))
        return feed

    def _real(self, component: Any) -> Inputs:
        """The raw samples as a network gets them."""
        feed = self._feed(component)
        return feed.to_network(feed.to_view(self._fitted(component).apply(self._raw(component))), feed.constants)


def same(one: Inputs, other: Inputs) -> bool:
    """Return whether two inputs are equal bit for bit."""
    return all(map(torch.equal, batching.tensors(one), batching.tensors(other)))
