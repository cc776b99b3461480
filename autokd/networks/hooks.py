"""Features of a network that was not written for autokd: forward hooks on module paths, no edits to the network.

Queries, keys and values are read from three kinds of attention module, whatever the library: one that projects its
input to all three by one linear layer `qkv` (timm); one with a linear layer for each, named as in `_APART`
(transformers); and `torch.nn.MultiheadAttention`, where it is called and not replaced by its fused fast path.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from autokd.errors import TeacherError, nearest
from autokd.networks.models import as_output, classifier_of
from autokd.types import Output, Task


class Stage(NamedTuple):
    """A module whose output may serve as a feature.

    Args:
      path: dotted, as in `named_modules`.
      shape: of its output, without the batch dimension.
    """

    path: str
    shape: tuple[int, ...]


class Hooked(nn.Module):
    """A network that answers with logits, as one that also answers with features, tokens and the pooled embedding.

    Args:
      network: [B, *input_shape] -> logits [B, C].
      features: paths of the modules whose outputs [B, c, h, w] are the features, shallow to deep.
      tokens: paths of the modules whose outputs [B, N, d] are a transformer's hidden states, shallow to deep.
      attention: path of the attention module whose queries, keys and values are offered, as blocks.11.attn; "" for
        none. They are those of the projections, after a normalisation of queries and keys where the module has one,
        and before rotary position embeddings and any scale.
      classifier: path of the linear layer whose input [B, D] is the pooled embedding; "" for none.

    Raises:
      TeacherError: there is no module at one of the paths, or the one at `attention` is of no known kind.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        features: Sequence[str] = (),
        tokens: Sequence[str] = (),
        attention: str = "",
        classifier: str = "",
    ) -> None:
        super().__init__()
        self.network = network
        self._features, self._tokens, self._classifier = tuple(features), tuple(tokens), classifier
        self._attention = attention
        modules = dict(network.named_modules())
        for path in (*features, *tokens, *filter(None, [attention, classifier])):
            if path not in modules:
                raise TeacherError(f"the network has no module {path!r}; {nearest(path, modules)}")
        if attention and _watcher(modules[attention]) is None:
            known = [path for path, module in modules.items() if _watcher(module) is not None]
            raise TeacherError(f"the module {attention!r} is no attention whose parts can be read; those are {known}")

    def forward(self, x: Tensor) -> Output:
        states: States = []
        with (
            _caught(self.network, {*self._features, *self._tokens}, self._classifier) as outputs,
            _watched(self.network, {self._attention: states} if self._attention else {}),
        ):
            logits = as_output(self.network(x)).logits
        return Output(
            logits,
            tuple(outputs[path] for path in self._features),
            outputs.get(POOLED),
            tuple(outputs[path] for path in self._tokens),
            tuple(states),
        )


POOLED = ".pooled"
"""Key of the classifier's input; no path of a module begins with a dot."""


@contextlib.contextmanager
def _caught(network: nn.Module, paths: Collection[str], classifier: str) -> Iterator[dict[str, Tensor]]:
    """Catch the outputs of modules, and the classifier's input, during one forward pass.

    The hooks live for one pass only, so a copy of the network never writes into the original's catch.
    """
    outputs: dict[str, Tensor] = {}

    def catch(path: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            outputs[path] = output

        return hook

    def catch_input(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        outputs[POOLED] = inputs[0]

    modules = dict(network.named_modules())
    handles = [modules[path].register_forward_hook(catch(path)) for path in paths]
    if classifier:
        handles.append(modules[classifier].register_forward_pre_hook(catch_input))
    with _removing(handles):
        yield outputs


def hooked(network: nn.Module, task: Task, features: Sequence[str] = ()) -> nn.Module:
    """Return a network that offers features; one that already answers with an `Output` stays as it is.

    Args:
      network: the network, in eval mode.
      task: what it answers on.
      features: paths of feature stages; by default the last module at each spatial size.

    Raises:
      TeacherError: a given path does not exist, or its module's output is no feature map.
    """
    answer, found = trace(network, task)
    if isinstance(answer, Output):
        return network
    shapes = {stage.path: stage.shape for stage in found}
    for path in features:
        if path in dict(network.named_modules()) and len(shapes.get(path, ())) not in (1, 3):
            raise TeacherError(f"the output of {path!r} is no feature map: {shapes.get(path, 'not a tensor')}")
    return Hooked(
        network,
        features=features or _spatial_stages(found),
        tokens=_blocks(network, found),
        attention=_last_attention(network, task),
        classifier=classifier_of(network, task),
    )


def trace(network: nn.Module, task: Task) -> tuple[Any, list[Stage]]:
    """Run two zero samples; return the answer and all modules with a tensor as output, in the order they finish."""
    found: list[Stage] = []

    def catcher(path: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() >= 2 and output.shape[0] == 2:
                found.append(Stage(path, tuple(output.shape[1:])))

        return hook

    handles = [module.register_forward_hook(catcher(path)) for path, module in network.named_modules() if path]
    with _removing(handles):
        answer = _two_zeros(network, task)
    return answer, found


@torch.no_grad()
def _two_zeros(network: nn.Module, task: Task) -> Any:
    """The answer to two samples of zeros."""
    parameter = next(network.parameters(), torch.zeros(0))
    return network(torch.zeros(2, *task.input_shape, device=parameter.device))


@contextlib.contextmanager
def _removing(handles: Collection[RemovableHandle]) -> Iterator[None]:
    """Remove hooks after a block."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _spatial_stages(found: Sequence[Stage]) -> tuple[str, ...]:
    """The last module to finish at each spatial size above 1x1, where sizes only shrink."""
    last: dict[tuple[int, ...], str] = {}
    for stage in found:
        if len(stage.shape) == 3 and stage.shape[1] * stage.shape[2] > 1:
            last.pop(stage.shape[1:], None)
            last[stage.shape[1:]] = stage.path
    return tuple(last.values())


def _blocks(network: nn.Module, found: Sequence[Stage]) -> tuple[str, ...]:
    """The largest family of learned siblings of one class whose outputs are tokens [N, d]: a transformer's blocks.

    Of families equally large, the one nearest to the root.
    """
    modules = dict(network.named_modules())
    families: dict[tuple[str, type], list[str]] = {}
    for stage in found:
        if len(stage.shape) == 2 and any(True for _ in modules[stage.path].parameters()):
            parent = stage.path.rpartition(".")[0]
            families.setdefault((parent, type(modules[stage.path])), []).append(stage.path)
    largest = max(families.values(), key=lambda paths: (len(paths), -paths[0].count(".")), default=[])
    return tuple(largest) if len(largest) > 1 else ()


States = list[Tensor]
"""Queries, keys and values that a watched module computed, [B, heads, N, d] each; [] before it ran."""

_APART = (("query", "key", "value"), ("q_proj", "k_proj", "v_proj"), ("q", "k", "v"), ("to_q", "to_k", "to_v"))
"""Names that linear layers of an attention module have, one for queries, one for keys and one for values."""

_COUNTS = ("num_heads", "num_attention_heads", "n_heads", "heads")
"""Names that an attention module may keep its number of heads under."""


@contextlib.contextmanager
def _watched(network: nn.Module, caught: dict[str, States]) -> Iterator[None]:
    """Fill in the states of the attention modules at some paths, in the order they run, during one forward pass."""
    handles: list[RemovableHandle] = []
    for path, states in caught.items():
        module = network.get_submodule(path)
        watch = _watcher(module)
        assert watch is not None
        handles += watch(module, states)
    with _removing(handles):
        yield


def _last_attention(network: nn.Module, task: Task) -> str:
    """Path of the last module to attend from all tokens of a sample to all of them, or "" where none can be read."""
    caught: dict[str, States] = {path: [] for path, m in network.named_modules() if path and _watcher(m) is not None}
    ended: list[str] = []

    def noting(path: str) -> Any:
        return lambda module, inputs, output: ended.append(path)

    handles = [network.get_submodule(path).register_forward_hook(noting(path)) for path in caught]
    with _removing(handles), _watched(network, caught):
        if caught:
            _two_zeros(network, task)
    whole = [path for path in ended if [tuple(s.shape[:1]) for s in caught[path]] == [(2,)] * 3]
    alike = [path for path in whole if len({state.shape for state in caught[path]}) == 1]
    return alike[-1] if alike else ""


Watch = Callable[[nn.Module, States], list[RemovableHandle]]


def _watcher(module: nn.Module) -> Watch | None:
    """What puts hooks on an attention module of a known kind; None for any other module."""
    if isinstance(module, nn.MultiheadAttention):
        return _watch_multihead
    if _heads(module) == 0:
        return None
    joint = dict(module.named_children()).get("qkv")
    if isinstance(joint, nn.Linear) and joint.out_features % (3 * _heads(module)) == 0:
        return _watch_joint
    return _watch_apart if _apart(module) else None


def _heads(module: nn.Module) -> int:
    """Number of heads that a module says it has; 0 where it says nothing."""
    counts = [vars(module)[name] for name in _COUNTS if isinstance(vars(module).get(name), int)]
    return counts[0] if counts else 0


def _apart(module: nn.Module) -> tuple[nn.Linear, ...]:
    """The linear layers for queries, keys and values, all equally wide; () where there are no such three."""
    parts = dict(module.named_children())
    for names in _APART:
        found = tuple(part for name in names if isinstance(part := parts.get(name), nn.Linear))
        if len(found) == 3 and {layer.out_features for layer in found} == {found[0].out_features}:
            return found if found[0].out_features % _heads(module) == 0 else ()
    return ()


def _split(joined: Tensor, heads: int) -> Tensor:
    """Bring [B, …, heads * d] to [B, heads, N, d], all positions one after the other; N is 1 where there are none."""
    return joined.reshape(len(joined), -1, heads, joined.shape[-1] // heads).transpose(1, 2)


def _watch_joint(module: nn.Module, states: States) -> list[RemovableHandle]:
    """Queries, keys and values are the thirds of one layer's output, each head after head."""
    layers = dict(module.named_children())
    norms = [layers.get(name, nn.Identity()) for name in ("q_norm", "k_norm", "")]

    def hook(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        split = (_split(part, _heads(module)) for part in output.chunk(3, dim=-1))
        states[:] = [norm(part) for norm, part in zip(norms, split, strict=True)]

    return [layers["qkv"].register_forward_hook(hook)]


def _watch_apart(module: nn.Module, states: States) -> list[RemovableHandle]:
    """Queries, keys and values are the outputs of a layer each."""
    caught: dict[nn.Module, Tensor] = {}
    layers = _apart(module)

    def hook(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        caught[layer] = _split(output, _heads(module))
        states[:] = [caught[layer] for layer in layers if layer in caught]

    return [layer.register_forward_hook(hook) for layer in layers]


def _watch_multihead(module: nn.Module, states: States) -> list[RemovableHandle]:
    """Queries, keys and values are computed once more from the module's arguments, as it computes them within."""
    assert isinstance(module, nn.MultiheadAttention)

    def hook(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = dict(zip(("query", "key", "value"), args, strict=False)) | kwargs
        inputs = (given[name] for name in ("query", "key", "value"))
        states[:] = [
            _split(F.linear(x if module.batch_first else x.transpose(0, 1), weight, bias), module.num_heads)
            for x, (weight, bias) in zip(inputs, _projections(module), strict=True)
        ]

    return [module.register_forward_pre_hook(hook, with_kwargs=True)]


def _projections(module: nn.MultiheadAttention) -> list[tuple[Tensor, Tensor | None]]:
    """Weight and bias for queries, keys and values."""
    joint = module.in_proj_weight
    weights = [module.q_proj_weight, module.k_proj_weight, module.v_proj_weight] if joint is None else joint.chunk(3)
    biases = [None] * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
    return list(zip(weights, biases, strict=True))
