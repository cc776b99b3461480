"""A network of another library as a student: fed as that library feeds it, what it offers caught on the way.

Once trained it is simpler: without hooks, and with the branches of a re-parameterisable network put into one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from autokd.errors import ComponentError
from autokd.networks.attention import last_attention
from autokd.networks.entrance import Entrance
from autokd.networks.hooks import Hooked, Stage, token_blocks, trace
from autokd.networks.models import classifier_of
from autokd.types import Output, Task

COLOURS = 3
"""Channels of the pictures that libraries train on."""


class Offered(NamedTuple):
    """Paths in a network to what it offers; see `autokd.networks.hooks.Hooked`."""

    features: tuple[str, ...]
    tokens: tuple[str, ...]
    attention: str
    classifier: str


class Ways(NamedTuple):
    """What a library does with its networks.

    Args:
      simplify: a network in eval mode -> one that computes the same with fewer parts; it may change the one given.
      convert: (state dict of another form of a network, the network) -> its state dict in this form.
    """

    simplify: Callable[[nn.Module], nn.Module] = lambda network: network
    convert: Callable[[Mapping[str, Tensor], nn.Module], Mapping[str, Tensor]] = lambda state, network: state


class LibraryNetwork(Hooked):
    """A library's network as a student.

    Args:
      network: [B, c, h, w] -> logits [B, C].
      entrance: what its pictures go through first.
      offered: where in the network is what it offers.
      ways: what its library does with it.
    """

    def __init__(self, network: nn.Module, entrance: Entrance, offered: Offered, ways: Ways) -> None:
        super().__init__(network, **offered._asdict())
        self.entrance = entrance
        self._ways = ways

    def forward(self, x: Tensor) -> Output:
        """Return logits, and what was caught on the way to them."""
        return super().forward(self.entrance(x))

    def fuse(self) -> nn.Module:
        """Return what computes the same in eval mode, and offers features and pooled embedding at most."""
        network = self._ways.simplify(self.network)
        there = dict(network.named_modules())
        features = tuple(path for path in self._features if path in there)
        classifier = self._classifier if self._classifier in there else ""
        return LibraryNetwork(network, self.entrance, Offered(features, (), "", classifier), Ways())

    def converted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a state dict of the library's network with the shapes of this one, as far as the library knows how.

        The first convolutions take the data's channels: their weights for red, green and blue are added up for grey,
        and otherwise repeated and scaled (as timm.models.adapt_input_conv does).
        """
        expected = self.network.state_dict()
        changed = {
            key: _for_channels(tensor, expected[key].shape[1]) if _is_stem(tensor, expected.get(key)) else tensor
            for key, tensor in state.items()
        }
        if all(key in changed and changed[key].shape == tensor.shape for key, tensor in expected.items()):
            return changed
        return dict(self._ways.convert(changed, self.network))


def offered_by(network: nn.Module, task: Task, known: Sequence[tuple[str, int]] = ()) -> Offered:
    """Find what a network offers by running two made-up samples through it.

    Args:
      network: in eval mode.
      task: whose samples it takes.
      known: paths of its stages, shallow to deep, with their channels; those whose output is a map become features. By
        default, and where none is, the features are the outermost modules at each spatial size, the last of each.

    Raises:
      ComponentError: it does not answer with logits [2, C].
    """
    answer, found = trace(network, task)
    if not isinstance(answer, Tensor) or answer.shape != (2, task.num_classes):
        seen = list(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        raise ComponentError(f"it answers 2 pictures with {seen} in place of logits [2, {task.num_classes}]")
    maps = {stage.path: stage.shape for stage in found if len(stage.shape) == 3}
    stages = tuple(path for path, channels in known if path in maps and maps[path][0] == channels)
    return Offered(
        features=_with_area(stages, maps) or _outermost(found),
        tokens=token_blocks(network, found),
        attention=last_attention(network, task),
        classifier=classifier_of(network, task),
    )


def _with_area(paths: Sequence[str], maps: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    """The paths of maps of more than one pixel; all, where that is none."""
    return tuple(path for path in paths if maps[path][1] * maps[path][2] > 1) or tuple(paths)


def _outermost(found: Sequence[Stage]) -> tuple[str, ...]:
    """The module that holds the most, at each spatial size, the last of several; sizes only shrink."""
    best: dict[tuple[int, ...], str] = {}
    for stage in found:
        size = stage.shape[1:]
        if len(stage.shape) == 3 and (_shrinks(size, best) if size not in best else _holds(stage.path, best[size])):
            best[size] = stage.path
    return tuple(path for size, path in best.items() if size[0] * size[1] > 1) or tuple(best.values())


def _holds(path: str, other: str) -> bool:
    """Whether a module lies no deeper in the network than another one."""
    return path.count(".") <= other.count(".")


def _shrinks(size: tuple[int, ...], before: Iterable[tuple[int, ...]]) -> bool:
    """Whether no side is longer than one of those before."""
    return all(side <= other for sizes in before for side, other in zip(size, sizes, strict=True))


def _is_stem(found: Tensor, expected: Tensor | None) -> bool:
    """Whether a tensor is a convolution's on colours, where the network's takes another number of channels."""
    if expected is None or found.ndim != 4 or expected.ndim != 4 or found.shape[1] != COLOURS:
        return False
    apart = [a != b for a, b in zip(found.shape, expected.shape, strict=True)]
    return apart == [False, True, False, False]


def _for_channels(weight: Tensor, channels: int) -> Tensor:
    if channels == 1:
        return weight.sum(1, keepdim=True)
    repeated = weight.repeat(1, -(-channels // COLOURS), 1, 1)[:, :channels]
    return repeated * (COLOURS / channels)


def with_channels(network: nn.Module, channels: int) -> nn.Module:
    """Give the first convolution another number of input channels, where it has not got that number already."""
    name, first = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    if first.in_channels != channels:
        stem = nn.Conv2d(
            channels,
            first.out_channels,
            first.kernel_size,  # type: ignore[arg-type]
            first.stride,  # type: ignore[arg-type]
            first.padding,  # type: ignore[arg-type]
            bias=first.bias is not None,
        )
        network.set_submodule(name, stem)
    return network
