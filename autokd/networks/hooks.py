"""Features of a network that was not written for autokd: forward hooks on module paths, no edits to the network."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from autokd.errors import TeacherError, nearest
from autokd.networks.attention import States, find_watch, last_attention, remove_after, watch_attention
from autokd.networks.models import answer_example, as_output, classifier_of
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
        if attention and find_watch(modules[attention]) is None:
            known = [path for path, module in modules.items() if find_watch(module) is not None]
            raise TeacherError(f"the module {attention!r} is no attention whose parts can be read; those are {known}")

    def forward(self, x: Tensor) -> Output:
        """Return logits, and what was caught on the way to them."""
        states: States = []
        with (
            _caught(self.network, {*self._features, *self._tokens}, self._classifier) as outputs,
            watch_attention(self.network, {self._attention: states} if self._attention else {}),
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

    def catch_input(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        outputs[POOLED] = arguments[0]

    modules = dict(network.named_modules())
    handles = [modules[path].register_forward_hook(catch(path)) for path in paths]
    if classifier:
        handles.append(modules[classifier].register_forward_pre_hook(catch_input))
    with remove_after(handles):
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
        tokens=token_blocks(network, found),
        attention=last_attention(network, task),
        classifier=classifier_of(network, task),
    )


def trace(network: nn.Module, task: Task) -> tuple[Any, list[Stage]]:
    """Run two made-up samples; return the answer and all modules with a tensor as output, in the order they finish."""
    found: list[Stage] = []

    def catcher(path: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() >= 2 and output.shape[0] == 2:
                found.append(Stage(path, tuple(output.shape[1:])))

        return hook

    handles = [module.register_forward_hook(catcher(path)) for path, module in network.named_modules() if path]
    with remove_after(handles):
        answer = answer_example(network, task)
    return answer, found


def _spatial_stages(found: Sequence[Stage]) -> tuple[str, ...]:
    """The last module to finish at each spatial size above 1x1, where sizes only shrink."""
    last: dict[tuple[int, ...], str] = {}
    for stage in found:
        if len(stage.shape) == 3 and stage.shape[1] * stage.shape[2] > 1:
            last.pop(stage.shape[1:], None)
            last[stage.shape[1:]] = stage.path
    return tuple(last.values())


def token_blocks(network: nn.Module, found: Sequence[Stage]) -> tuple[str, ...]:
    """Return the largest family of learned siblings of one class with tokens [N, d] as outputs: a transformer's blocks.

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
