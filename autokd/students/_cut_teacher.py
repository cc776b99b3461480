"""The teacher cut down: some of its blocks left out, the least important channels of the others too, its weights kept.

Sources: Sanh et al., DistilBERT, 2019, arXiv 1910.01108, section 3 (every other layer of the teacher's); Li et al.,
Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv 1608.08710 (channels by the size of their weights); Molchanov
et al., Importance Estimation for Neural Network Pruning, CVPR 2019, arXiv 1906.10771 (by what they do to the loss).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from autokd.declarations import Student
from autokd.errors import ComponentError
from autokd.networks.channels import Score, magnitude, taylor
from autokd.networks.cutting import Cut, as_it_is_fed, cut_down, expect_form, fed, form_of
from autokd.networks.models import as_output
from autokd.networks.remade import remake
from autokd.ranges import Choice, Integer
from autokd.seeds import generator
from autokd.types import IMAGE, TABLE, BuildContext, PrepareContext

SAMPLES, BATCH = 1024, 64
"""Training samples, and samples of a batch, that gradients are taken on."""


@dataclass(frozen=True, kw_only=True)
class CutTeacher:
    """The teacher's network with fewer blocks and channels; it begins with the teacher's weights for what is left.

    It takes the students' pictures and brings them to the teacher's input, as the teacher does: to its mean and
    standard deviation, and to the side that it looks at.
    """

    declares = Student(
        modalities=IMAGE | TABLE, copies="network", prepared_from=("network", "depth", "width", "importance")
    )

    network: str = ""  # name of the network, as before the @ of --teacher; filled in with the teacher's
    depth: Annotated[int, Integer(25, 100, step=25, unit="%")] = 50  # of the blocks of one form that stay; 1 at least
    width: Annotated[int, Integer(10, 100, step=10, unit="%")] = 50  # of the channels inside blocks that stay
    importance: Annotated[str, Choice("magnitude", "taylor", "none")] = "magnitude"  # none: random weights

    def prepare(self, context: PrepareContext) -> Mapping[str, Tensor]:
        """Return the weights that the network begins with; {} for random ones.

        Raises:
          ComponentError: there is no copy of the teacher, or its form is not the one that the student is cut from.
        """
        scores = _SCORES[self.importance]
        if scores is None:
            return {}
        if context.network is None:
            raise ComponentError("student 'cut_teacher' begins with a teacher's weights, and there is no such teacher")
        network = cut_down(context.network(), self.network, context.task, self._cut, scores(self, context))
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
        expect_form(state, self.network, context.task, self._cut)
        return state

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, *input_shape] to `Output`; without an artefact it has the form alone.

        Raises:
          ComponentError: there is no network of this name, or it cannot be cut down.
          MissingDependency: Torch-Pruning, or the library of the network, is not installed.
        """
        if torch.get_default_device().type == "meta":
            form = form_of(self.network, context.task, self._cut)
            return fed(form._replace(network=copy.deepcopy(form.network)), context.task)
        remade = remake(self.network, context.task)
        network = cut_down(remade.network, self.network, context.task, self._cut)
        if context.artefact:
            network.load_state_dict(context.artefact)
        return fed(remade._replace(network=network), context.task)

    @property
    def _cut(self) -> Cut:
        return Cut(self.depth / 100, self.width / 100)


def _by_magnitude(student: CutTeacher, context: PrepareContext) -> Score:
    return magnitude


def _by_taylor(student: CutTeacher, context: PrepareContext) -> Score:
    return partial(taylor, partial(_losses, student, context))


def _losses(student: CutTeacher, context: PrepareContext, network: nn.Module) -> Iterator[Tensor]:
    """The cross-entropy on batches of labelled training samples, drawn once."""
    assert context.inputs is not None
    form = remake(student.network, context.task).form
    module = as_it_is_fed(network, context.task, form).eval()
    known = torch.arange(len(context.labels)) if context.labelled is None else context.labelled.nonzero().flatten()
    drawn = known[torch.randperm(len(known), generator=generator(0, "importance"))[:SAMPLES]]
    for rows in torch.split(drawn, BATCH):
        logits = as_output(module(context.inputs(rows))).logits
        yield cross_entropy(logits, context.labels[rows].to(logits.device))


_SCORES: Mapping[str, Callable[[CutTeacher, PrepareContext], Score] | None] = {
    "magnitude": _by_magnitude,
    "taylor": _by_taylor,
    "none": None,
}
