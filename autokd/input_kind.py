"""A kind of input: all that autokd has to know of images, of tables, or of another kind.

Components of the kind `modalities` are classes that derive from `InputKind`. Only what is abstract must be written;
everything else says of itself that this kind has no such thing, or does what most kinds do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from autokd.declarations import Dataset, Declaration, Modality
from autokd.errors import ComponentError, DataError, TeacherError
from autokd.input_values import (
    Feed,
    Files,
    Finer,
    OnnxForm,
    Preprocess,
    Preview,
    RawInputs,
    ReadInputs,
    Suspects,
    TeacherRecipe,
    UsualInputs,
)
from autokd.types import ANY, BuildContext, Inputs, Samples, Split, Task

if TYPE_CHECKING:
    from torch import Tensor, nn

    from autokd.nodes import Nodes


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

    def groups(self, preprocess: Any) -> tuple[int, ...]:
        """Return how many numbers of a preprocessed sample stand for one thing each, in their order; () for no such."""
        return ()

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

    def in_encoding(self, preprocess: Any, encoding: str) -> Any:
        """Return a preprocessing that reads text files in an encoding, as Python names it.

        Raises:
          DataError: such samples are not read from text.
        """
        raise DataError(f"encoding does not apply to a {self.declares.noun}, which is not read from text")

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

    def suspects(self, preprocess: Any, train: Split, held: Split) -> Suspects | None:
        """Return the inputs that hold nothing, or that give the class away; None where this kind has no such thing.

        Args:
          preprocess: of this kind.
          train, held: samples to train on, and others.
        """
        return None

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

    def read_unlabelled(self, preprocess: Any, path: Path, like: RawInputs) -> ReadInputs:
        """Read samples without labels that are to be distilled on; what is unknown counts as the preprocessing says.

        Args:
          preprocess: of the dataset, of this kind.
          path: a file or folder that exists.
          like: training samples.
        Returns:
          Raw samples, with all that a teacher may read of them.

        Raises:
          DataError: a file is unreadable, or this kind is not read from files.
        """
        return self.read(preprocess, [path], skip_bad=True)

    def unlabelled_files(self, preprocess: Any, path: Path) -> Files | None:
        """Return the same where they are files of their own, not read yet; None where they are read at once."""
        return None

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

    def onnx_form(self, preprocess: Any, nodes: Nodes) -> OnnxForm:
        """Write a preprocessing, and the normalisation that follows, as ONNX nodes.

        Args:
          preprocess: of this kind.
          nodes: without inputs yet; the graph's inputs take raw samples.

        Raises:
          ComponentError: this kind is not preprocessed in a graph, or a preprocessing cannot be.
        """
        raise ComponentError(f"a {self.declares.noun} has no form in ONNX: its kind of input writes none")

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

    def finer(self, preprocess: Any, samples: Samples, side: int) -> Finer | None:
        """Return a dataset's samples as something that looks at more of them sees them, by id, not read yet.

        Args:
          preprocess: of this kind.
          samples: of the dataset; their `names` are paths of files, `whole` are they as they were given.
          side: that it looks at, in pixels.
        Returns:
          None where a student sees as much, or there is no more to see.
        """
        return None

    def own_side(self, samples: Samples) -> float:
        """Return the usual side of a dataset's samples as they were read, in pixels; 0 where students see them so."""
        return 0

    def preview(self, preprocess: Any, inputs: Inputs) -> Preview:
        """Return what a student sees, for people to look at.

        Args:
          preprocess: of this kind.
          inputs: a few stored samples.
        """
        return Preview()

    def numbers(self, inputs: Inputs) -> Tensor | None:
        """Return some hundred numbers of each stored sample, for models that take rows of numbers.

        Returns:
          [N, F] float32, on the CPU; None where this kind has no such thing.
        """
        return None

    def usual_inputs(self, task: Task) -> UsualInputs:
        """Return what a teacher may have been trained on, where that is not known."""
        return UsualInputs()

    def side(self, task: Task) -> int:
        """Return the side in pixels of a task's samples; 0 where they have none."""
        return 0

    def space_for(self, input_shape: tuple[int, ...]) -> str:
        """Return the name of the search space for samples of this shape, as `Task.input_shape` has it."""
        return self.declares.default_space

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
