"""What a kind of input gives and takes: values of `autokd.input_kind`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from autokd.errors import DataError
from autokd.types import Inputs

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

PREPROCESS_FORMAT = 1
"""Version of the JSON form of all preprocessings."""

RawInputs = Any
"""Samples as a dataset reads them, in the form of their kind: uint8 images, a DataFrame, …"""


class Feed(NamedTuple):
    """How samples of a task get from where they are kept to a network: pure functions, on the samples' device.

    Args:
      example: (n, generator) -> n made-up samples as a network takes them, on the CPU: drawn at random, or all alike
        (zeros, where those are possible) without a generator.
      constants: that `to_network` computes with; "mean" and "std" where samples are normalised per channel (dimension 1
        of a batch).
      to_view: stored samples -> samples as augmentation sees them; they may share memory with what is stored.
      to_network: (augmented samples, constants) -> samples as a network takes them; nothing that is stored shares their
        memory where a network may write to it.
      lay_out: network -> network, in the memory layout that suits such inputs.
    """

    example: Callable[[int, torch.Generator | None], Inputs]
    constants: Mapping[str, Tensor]
    to_view: Callable[[Inputs], Inputs]
    to_network: Callable[[Inputs, Mapping[str, Tensor]], Inputs]
    lay_out: Callable[[nn.Module], nn.Module]


class Preprocess(Protocol):
    """From raw samples to stored ones; fitted on the training rows."""

    @property
    def kind(self) -> str:
        """Name of the kind of input."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """What `Task.input_shape` says of one sample."""

    @property
    def mean(self) -> tuple[float, ...]:
        """What is subtracted per channel after augmentation; () for nothing."""

    @property
    def std(self) -> tuple[float, ...]:
        """What is divided by per channel after augmentation; () for nothing."""

    def apply(self, raw: RawInputs) -> Inputs:
        """Return stored samples.

        Raises:
          DataError: the raw ones do not fit.
        """

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `InputKind.restore` reads, with `format` and `kind`."""


class ReadInputs(NamedTuple):
    """New samples for prediction.

    Args:
      names: one a sample: the image file, table file and row ("new.csv:1"), index of a table, or number from 0.
      inputs: what `Preprocess.apply` takes.
      skipped: files left out because they cannot be read.
      remarks: what a user should know of how they were read, a sentence each.
    """

    names: Sequence[Any]
    inputs: RawInputs
    skipped: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


class OnnxForm(NamedTuple):
    """A preprocessing as ONNX nodes.

    Args:
      tensors: what they give a network, by the names of the inputs of its graph: "input" where it takes one tensor.
      takes: what each input of theirs takes, a phrase by its name.
      script: a file of Python that predicts with such a model, with onnxruntime, numpy and Pillow alone; it is copied
        beside one. None: there is no such script.
    """

    tensors: Mapping[str, str]
    takes: Mapping[str, str]
    script: Path | None = None


class TeacherRecipe(NamedTuple):
    """How a default teacher is trained.

    Args:
      name: of what the training loop trains, for people.
      pipelines: plain pipelines that differ in augmentation; the best on validation in short runs is trained in full.
      members: networks of the ensemble.
      trees: names of the ensembles of trees that are fitted beside; the teacher is the best of all on validation.
    """

    name: str
    pipelines: tuple[Mapping[str, Any], ...]
    members: int = 1
    trees: tuple[str, ...] = ()

    @property
    def compared(self) -> int:
        """How many short trainings come before the full ones."""
        return len(self.pipelines) if len(self.pipelines) > 1 else 0


class UsualInputs(NamedTuple):
    """What networks of other tools are usually fed with, in the order in which it is tried.

    Args:
      normalisations: mean and std per channel, of samples as augmentation sees them, by a name for people ("ImageNet").
      sizes, side: in pixels; what is tried, and the side of the data's samples, 0 where they have none.
    """

    normalisations: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {}
    sizes: tuple[int, ...] = ()
    side: int = 0


class Finer(Protocol):
    """Samples as they were read, an `autokd.lazy.Source`; see `InputKind.finer`."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    def read(self, rows: Tensor) -> Tensor:
        """Return a copy of some samples; see `autokd.lazy.Source`."""

    @property
    def about(self) -> Mapping[str, Any]:
        """How they are read, as plain data."""

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Yield all, one after the other, [1 or 3, side, side] each."""


class Files(NamedTuple):
    """Samples of files that are not read yet.

    Args:
      names: their paths.
      source: reads them; where a file cannot be read, `each` yields the error.
      remarks: what a user should know of them, a sentence each.
    """

    names: Sequence[str]
    source: UnreadFiles
    remarks: tuple[str, ...] = ()


class UnreadFiles(Finer, Protocol):
    """Files as samples; see `Finer`."""

    def each(self) -> Iterator[NDArray[np.uint8] | DataError]:
        """Yield all, one after the other, and in the place of one that cannot be read what is wrong with it."""


class Suspects(NamedTuple):
    """Inputs that are hardly what they should be.

    Args:
      constant: those that hold nothing, a phrase with their number each: "3 of 100 pictures are of one single colour".
      telling: by name the inputs each of which alone tells the class of nearly all held-out samples, with the share of
        these that it is right in; None where inputs have no names.
    """

    constant: tuple[str, ...] = ()
    telling: Mapping[str, float] | None = None


class Preview(NamedTuple):
    """What a student sees, for people to look at.

    Args:
      pictures: of samples, each a whole PNG file of at most 64 pixels a side, after all that is done to a sample but
        normalisation.
      columns: of a table, each with what it holds and what becomes of a gap, in words.
    """

    pictures: tuple[bytes, ...] = ()
    columns: tuple[tuple[str, str, str], ...] = ()
