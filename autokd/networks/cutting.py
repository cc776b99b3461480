"""A network cut down: blocks left out, and of the channels inside blocks the most important kept."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from autokd import batching
from autokd.errors import ComponentError
from autokd.networks.bare import Bare
from autokd.networks.blocks import Blocks, find_blocks, leave_out
from autokd.networks.channels import Score, find_channels, first_ones, prune
from autokd.networks.entrance import Entrance
from autokd.networks.fed import InputForm
from autokd.networks.freeze import foreign, normalisation, resized_task
from autokd.networks.hooks import hooked
from autokd.networks.inputs import feed_of, kind_of
from autokd.networks.models import as_output
from autokd.networks.remade import remake
from autokd.seeds import generator
from autokd.types import Inputs, Output, Task


class Cut(NamedTuple):
    """What is left of a network.

    Args:
      depth: share of the blocks of each run that stay, in (0, 1].
      width: share of the channels inside blocks that stay, in (0, 1].
    """

    depth: float
    width: float


class Fed(nn.Module):
    """A network behind what brings a student's input to the one that the network was trained on.

    Args:
      network: takes its own input.
      entrance: to that, from the student's.
    """

    def __init__(self, network: nn.Module, entrance: Entrance) -> None:
        super().__init__()
        self.network = network
        self.entrance = entrance

    def forward(self, inputs: Tensor) -> Output:
        """Return the network's answer."""
        return as_output(self.network(self.entrance(inputs)))


def cut_down(network: nn.Module, name: str, task: Task, cut: Cut, score: Score = first_ones) -> nn.Module:
    """Leave out blocks and channels of a network, in place; return it, in train mode.

    Args:
      network: of this name, with any weights; without what feeds it.
      name: by which it is made again; see `autokd.networks.remade`.
      task: whose samples students take.
      cut: what stays.
      score: says how important channels are.
    Raises:
      ComponentError: it has nothing that could be left out, or does not work without.
      MissingDependency: Torch-Pruning is not installed, and channels are to go.
    """
    found = _anatomy(name, task)
    inputs = batching.to(found.inputs, next(network.parameters()).device)
    with foreign(f"the network {name} cannot be cut down", CannotBeCut):
        leave_out(network.eval(), found.blocks, cut.depth)
        if cut.width < 1:
            channels = find_channels(network, inputs, found.blocks.paths(network))
            if not channels and not found.blocks.runs:
                raise ComponentError(f"the network {name} has no blocks and no channels that could be left out")
            prune(network, channels, cut.width, score)
        with torch.no_grad():
            network(inputs)
    return network.requires_grad_(True).train()


class CannotBeCut(ComponentError):
    """A network does not work once parts of it are gone."""


def fed(remade: Bare, task: Task) -> nn.Module:
    """Return a network that takes a student's input, and offers features, as a teacher of its form does.

    Args:
      remade: the network, cut or whole, with what it is fed.
      task: what students take.
    """
    network, modules = remade.network.eval(), dict(remade.network.named_modules())
    inner = hooked(_resized(network, task, remade.form), task, [p for p in remade.features if p in modules])
    return _renormalised(inner, task, remade.form).train()


def as_it_is_fed(network: nn.Module, task: Task, form: InputForm) -> nn.Module:
    """Return a network that takes a student's input, and offers what it offers by itself."""
    return _renormalised(_resized(network, task, form), task, form)


def form_of(name: str, task: Task, cut: Cut) -> Bare:
    """Return a cut network in shapes alone; called where tensors are made without memory (`shapes_alone`).

    Raises:
      ComponentError: see `cut_down`.
    """
    return _form(name, task, cut)


@functools.lru_cache(maxsize=128)
def _form(name: str, task: Task, cut: Cut) -> Bare:
    with torch.device("meta"):
        remade = remake(name, task)
        return remade._replace(network=cut_down(remade.network, name, task, cut))


def expect_form(state: Mapping[str, Tensor], name: str, task: Task, cut: Cut) -> None:
    """Check that weights fit a cut network.

    Raises:
      ComponentError: the network that they are from has another form.
    """
    expected = {key: tensor.shape for key, tensor in _form(name, task, cut).network.state_dict().items()}
    if {key: tensor.shape for key, tensor in state.items()} != expected:
        raise ComponentError(f"the student is cut from the network {name}, and the teacher is another one")


class _Anatomy(NamedTuple):
    """What is known of a network: its residual blocks, and two samples that it takes."""

    blocks: Blocks
    inputs: Inputs


@functools.lru_cache(maxsize=32)
def _anatomy(name: str, task: Task) -> _Anatomy:
    """What a network of this name is made of, found on made-up weights."""
    drawn = generator(0, "anatomy")
    with torch.device("cpu"), torch.no_grad():
        bare = remake(name, task)
        network, form = bare.network, bare.form
        for parameter in network.parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 4
            parameter.copy_(torch.randn(parameter.shape, generator=drawn) / math.sqrt(fan_in))
        seen = resized_task(task, form.size)
        inputs = batching.each(
            feed_of(seen).example(2, None), lambda tensor: torch.randn(tensor.shape, generator=drawn).to(tensor)
        )
        with foreign(f"the network {name} does not take samples of shape {list(seen.input_shape)}", CannotBeCut):
            return _Anatomy(find_blocks(network.eval(), inputs), inputs)


def _resized(network: nn.Module, task: Task, form: InputForm) -> nn.Module:
    if not form.size:
        return network
    resized_task(task, form.size)
    return kind_of(task.modality).behind_resize(network, form.size)


def _renormalised(network: nn.Module, task: Task, form: InputForm) -> nn.Module:
    mean, std = normalisation(task, form, "of the cut network")
    entrance = Entrance(task, InputForm(mean=mean or (), std=std or ()))
    return Fed(network, entrance) if entrance.normalises else network
