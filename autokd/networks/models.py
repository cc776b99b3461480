"""What a network offers, and the frozen teacher around one."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autokd import batching, lazy
from autokd.networks.fed import Frozen
from autokd.networks.inputs import feed_of
from autokd.seeds import seed_torch
from autokd.types import Inputs, Output, Shapes, Task, TeacherHead


def as_output(value: Output | Tensor) -> Output:
    """Return a network's answer as an `Output`; a bare tensor is taken as logits [B, C]."""
    return value if isinstance(value, Output) else Output(value)


@contextlib.contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Run a block under a seed and give the caller's random state back afterwards.

    Args:
      seed: any non-negative integer below 2**63.
      device: also fork this CUDA device's generator.
    """
    devices = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        seed_torch(seed)
        yield


@torch.no_grad()
def shapes_of(module: nn.Module, task: Task) -> Shapes:
    """Return what a network offers, by running two made-up samples through it in eval mode."""
    was_training = module.training
    module.eval()
    output = as_output(answer_example(module, task))
    module.train(was_training)
    pooled = None if output.pooled is None else int(output.pooled.shape[1])
    features, tokens, attention = (
        tuple(tuple(tensor.shape[1:]) for tensor in group)
        for group in (output.features, output.tokens, output.attention)
    )
    return Shapes(features, pooled, tokens, attention)


@torch.no_grad()
def answer_example(network: nn.Module, task: Task) -> Any:
    """Return a network's answer to two made-up samples, all zeros as a rule, in the mode that it is in."""
    parameter = next(network.parameters(), None)
    device = parameter.device if parameter is not None else torch.device("cpu")
    return network(batching.to(feed_of(task).example(2, None), device))


def classifier_of(network: nn.Module, task: Task) -> str:
    """Return the path of the last linear layer with one output a class, or "" where there is none."""
    linear = classifiers_of(network, task)
    return linear[-1] if linear else ""


def classifiers_of(network: nn.Module, task: Task) -> list[str]:
    """Return the paths of all linear layers with one output a class: some networks answer with the mean of two."""
    return [
        path
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == task.num_classes and path
    ]


@torch.no_grad()
def head_of(module: nn.Module, task: Task) -> nn.Linear | None:
    """Return the classifier of a network, or None where its logits are not just this layer of the last feature's mean.

    Args:
      module: the network, in eval mode; it is asked about random inputs.
      task: what it answers on.
    """
    classifier = module.get_submodule(classifier_of(module, task))
    if not isinstance(classifier, nn.Linear):
        return None
    inputs = feed_of(task).example(2, torch.Generator().manual_seed(0))
    output = as_output(module(batching.to(inputs, classifier.weight.device)))
    if not output.features or output.features[-1].shape[1] != classifier.in_features:
        return None
    logits = F.linear(as_map(output.features[-1]).mean((2, 3)), classifier.weight, classifier.bias)
    return classifier if torch.allclose(logits, output.logits, rtol=1e-3, atol=1e-4) else None


def as_map(feature: Tensor) -> Tensor:
    """Return [B, c, h, w]: maps as they are, vectors [B, c] as maps of one pixel."""
    return feature if feature.ndim == 4 else feature[:, :, None, None]


def shapes_to_plain(shapes: Shapes) -> dict[str, Any]:
    """Return what a network offers as JSON- and YAML-able data."""
    groups = {name: [list(shape) for shape in getattr(shapes, name)] for name in ("features", "tokens", "attention")}
    members = {"members": list(map(shapes_to_plain, shapes.members))} if shapes.members else {}
    plain = {**groups, "pooled": shapes.pooled, "head": shapes.head, **members}
    return plain if shapes.views else {**plain, "views": False}


def shapes_from_plain(plain: Mapping[str, Any]) -> Shapes:
    """Inverse of `shapes_to_plain`; earlier studies know of an ensemble's members no more than their number."""
    groups = {name: tuple(tuple(shape) for shape in plain[name]) for name in ("features", "tokens", "attention")}
    rest: dict[str, Any] = {name: plain[name] for name in ("head", "views") if name in plain}
    listed = plain.get("members", [])
    members = (Shapes(),) * listed if isinstance(listed, int) else tuple(map(shapes_from_plain, listed))
    return Shapes(**{**rest, **groups}, pooled=plain["pooled"], members=members)


def state_fingerprint(state: Mapping[str, Tensor]) -> str:
    """Return 16 hex digits that identify the names, shapes and bytes of a state dict."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name]
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        for piece in lazy.pieces(tensor) if tensor.ndim else [tensor]:
            digest.update(piece.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


class _Frozen(nn.ModuleList):
    """Modules that stay in eval mode, whatever a parent module asks."""

    def train(self, mode: bool = True) -> _Frozen:
        super().train(False)
        return self


class NetworkTeacher:
    """One network, or the ensemble of several, as a frozen teacher in eval mode.

    An ensemble answers with the logarithm of its members' mean probability; features come from a single network only.

    Args:
      modules: at least one network, [B, *input_shape] -> Output or logits [B, C].
      task: what it answers on.
      origin: where it came from, for people.
      mean, std: per channel, of the input the network was trained on; given only where they differ from the task's.
      identity: what else than weights, mean and std tells the networks apart from others; part of the fingerprint.
    """

    def __init__(
        self,
        modules: list[nn.Module],
        task: Task,
        *,
        origin: str,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
        identity: str = "",
    ) -> None:
        self.modules: nn.ModuleList = _Frozen(modules).eval().requires_grad_(False)
        self.origin = origin
        self.task = task
        self.frozen: Frozen | None = None
        """The single network as it was handed over, and what it is fed; None where it cannot be fed otherwise."""
        weights = state_fingerprint(self.modules.state_dict())
        beside = f"{identity}{mean or ''}{std or ''}"
        self.fingerprint = hashlib.sha256(f"{weights}{beside}".encode()).hexdigest()[:16] if beside else weights
        self._head = head_of(self.modules[0], task) if len(modules) == 1 else None
        self.offers = shapes_of(modules[0], task) if len(modules) == 1 else Shapes()
        self.offers = self.offers._replace(head=self._head is not None)
        self._renormalise = renormalisation(task, mean, std)

    @property
    def params(self) -> int:
        """Number of parameters, over all members."""
        return sum(parameter.numel() for parameter in self.modules.parameters())

    @property
    def head(self) -> TeacherHead | None:
        """Weight [C, D] and bias of its classifier, or None; see `autokd.types.Teacher`."""
        return None if self._head is None else (self._head.weight, self._head.bias)

    def to(self, device: torch.device) -> NetworkTeacher:
        """Move it to a device; return it."""
        self.modules.to(device)
        if self._renormalise is not None:
            scale, offset = self._renormalise
            self._renormalise = (scale.to(device), offset.to(device))
        return self

    @torch.no_grad()
    def predict(self, inputs: Inputs) -> Output:
        """Answer a batch; see `autokd.types.Teacher`."""
        if self._renormalise is not None:
            scale, offset = self._renormalise
            inputs = batching.single(inputs) * scale + offset
        outputs = [as_output(module(inputs)) for module in self.modules]
        if len(outputs) == 1:
            return outputs[0]
        return Output(mean_logits([output.logits for output in outputs]))


def mean_logits(logits: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of the mean of several networks' probabilities, given their logits [B, C]; >= -27.7."""
    probabilities = torch.stack([each.softmax(-1) for each in logits]).mean(0)
    return probabilities.clamp_min(1e-12).log()


def renormalisation(
    task: Task, mean: tuple[float, ...] | None, std: tuple[float, ...] | None
) -> tuple[Tensor, Tensor] | None:
    """Return scale and offset that turn the task's normalised inputs into a network's own, or None where they agree."""
    if mean is None or std is None or (mean == task.mean and std == task.std):
        return None
    here, there = (feed_of(each).constants for each in (task, dataclasses.replace(task, mean=mean, std=std)))
    return here["std"] / there["std"], (here["mean"] - there["mean"]) / there["std"]
