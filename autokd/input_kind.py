"""A kind of input: all that autokd has to know of images, of tables, or of another kind.

Components of the kind `modalities` are classes that derive from `InputKind`. Only what is abstract must be written;
everything else says of itself that this kind has no such thing, or does what most kinds do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from autokd.declarations import Dataset, Declaration, Modality
from autokd.errors import ComponentError, DataError, TeacherError
from autokd.types import ANY, BuildContext, Inputs, Split, Task

if TYPE_CHECKING:
    import torch
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


class InputKind(ABC):
    """A kind of input; abstract. A component of it has no fields.

    Args:
      declares: what it declares.
      teacher_networks: names of the sizes of a default teacher's network, the largest, "large", first; () for none.
      as_table: raw samples, part after part -> a DataFrame, as others who read their file see it; None: no such thing.
    """

    declares: ClassVar[Modality]
    teacher_networks: ClassVar[tuple[str, ...]] = ()
    as_table: ClassVar[Any] = None

    @abstractmethod
    def fit(self, raw: RawInputs, classes: tuple[str, ...]) -> tuple[Preprocess, dict[str, str]]:
        """Fit the preprocessing on training samples.

        Returns:
          It, and what was left out of the samples (columns of a table), each with the reason.
        """

    @abstractmethod
    def restore(self, plain: dict[str, Any]) -> Preprocess:
        """Return a preprocessing from what its `to_json` returned, `format` and `kind` taken out.

        Raises:
          DataError, KeyError, TypeError: it is no such thing.
        """

    @abstractmethod
    def build(self, context: BuildContext) -> Feed:
        """Return how samples of a task get to a network."""

    def take(self, raw: RawInputs, rows: Any) -> RawInputs:
        """Return the raw samples at some positions, [n] int64 of numpy."""
        return raw[rows]

    def describe(self, preprocess: Any) -> Mapping[str, Any]:
        """Return what a preprocessing of this kind takes, in plain words and numbers; "form" is a phrase for it."""
        return {}

    def reading(self, raw: RawInputs, resize: str | None, size: int | None, name: str) -> tuple[Any, tuple[str, ...]]:
        """Return how samples that do not come from files are resized, and files of the like read.

        Args:
          raw: training samples.
          resize: crop, pad or squash, where one was asked for.
          size: side in pixels that they are to have, where one was asked for.
          name: of the dataset, for the message.
        Returns: it, in a form of this kind's own (None for no way), and what a user should know of it, a sentence each.

        Raises:
          DataError: such samples are not resized.
        """
        if resize is not None:
            raise DataError(f"resize does not apply to {name}, which is a {self.declares.noun}")
        return None, ()

    def kept(self, preprocess: Any, reading: Any) -> Any:
        """Return a preprocessing that reads files as those of its dataset were read."""
        return preprocess

    def resize(self, raw: RawInputs, size: int, name: str, reading: Any = None) -> RawInputs:
        """Return raw samples brought to a side of `size` pixels.

        Args:
          raw: samples of one part of a dataset.
          size: in pixels, at least 1.
          name: of the dataset, for the message.
          reading: how; what `Raw.reading` or `reading` gave.

        Raises:
          DataError: such samples have no side.
        """
        raise DataError(f"image_size does not apply to {name}, which is a {self.declares.noun}")

    def doubts(self, raw: RawInputs, labels: Any, classes: tuple[str, ...]) -> Sequence[str]:
        """Return what is odd about samples, such as a class that is all the same, a sentence each.

        Args:
          raw: samples to train on and to split.
          labels: [N] their class indices, int64 of numpy.
          classes: class names, by index.

        Raises:
          DataError: nothing can be learned from them.
        """
        return ()

    def near_copies(self, held: Split, train: Split) -> tuple[int, int]:
        """Count held-out samples that are nearly a training sample; return that, and how many were looked at."""
        return 0, 0

    def read(self, preprocess: Any, paths: Sequence[Path], *, skip_bad: bool) -> ReadInputs:
        """Read samples that are not part of a dataset.

        Args:
          preprocess: of the model that is to see them, of this kind.
          paths: files and folders that exist, at least one.
          skip_bad: leave out, or take as the preprocessing says, what is unreadable or unknown.

        Raises:
          DataError: a file is unreadable, or this kind is not read from files.
        """
        raise DataError(f"{paths[0]}: a {self.declares.noun} is not read from files")

    def given(self, preprocess: Any, samples: Any, *, skip_bad: bool) -> ReadInputs:
        """Take samples that were given in Python, in the forms in which people have them.

        Args:
          preprocess: of the model that is to see them, of this kind.
          samples: raw samples, or what this kind makes such of; no paths.
          skip_bad: as for `read`.

        Raises:
          DataError: they do not fit, or there are none.
        """
        return ReadInputs(range(len(samples)), samples)

    def teacher_recipe(self, task: Task, network: str) -> TeacherRecipe:
        """Return how a default teacher is trained.

        Args:
          task: what it is to answer on.
          network: one of `teacher_networks`.

        Raises:
          TeacherError: this kind has no default teacher.
        """
        raise TeacherError(f"for a {self.declares.noun} there is no default teacher; name one with --teacher")

    def reference_pipeline(self, task: Task) -> Mapping[str, Any]:
        """Return the plain pipeline of a small network that is trained in seconds, on labels alone.

        Args:
          task: what it is to answer on.

        Raises:
          ComponentError: this kind has no such network.
        """
        raise ComponentError(f"for a {self.declares.noun} there is no small network to compare the teacher with")

    def usual_inputs(self, task: Task) -> UsualInputs:
        """Return what a teacher may have been trained on, where that is not known."""
        return UsualInputs()

    def resized_task(self, task: Task, size: int) -> Task:
        """Return the task as a network behind a resize to `size` pixels sees it.

        Raises:
          TeacherError: such samples are not resized.
        """
        raise TeacherError(f"input_size is for images and positive, got {size} for {task.modality} data")

    def behind_resize(self, network: nn.Module, size: int) -> nn.Module:
        """Return a network behind a resize of its inputs to `size` pixels; called after `resized_task`."""
        raise NotImplementedError


def takes(modalities: AbstractSet[str], modality: str) -> bool:
    """Whether what declares some kinds of input takes one of them."""
    return modalities == ANY or modality in modalities


def kinds_of(declaration: Declaration) -> AbstractSet[str]:
    """Return the kinds of input that a declaration names."""
    if isinstance(declaration, Dataset):
        return {declaration.modality}
    named: AbstractSet[str] = getattr(declaration, "modalities", frozenset())
    return named - ANY
