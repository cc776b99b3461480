"""The nouns that flow through autokd. This file imports nothing of ours.

Shapes: B samples, C classes, D embedding width, N samples of a split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Modality = str
"""A kind of input: the name of a component in `autokd/modalities`."""
ANY: frozenset[Modality] = frozenset({"any"})
"""What a component declares that looks at no input: it takes every kind, those to come too."""
IMAGE: frozenset[Modality] = frozenset({"image"})
TABLE: frozenset[Modality] = frozenset({"table"})

Inputs: TypeAlias = "Tensor | Mapping[str, Tensor]"
"""Samples as a network takes them: one tensor, or several by name, samples first; see `autokd.batching`."""


class Output(NamedTuple):
    """What a network says of a batch.

    Args:
      logits: [B, C].
      features: intermediate activations, shallow to deep; [B, c, h, w] for images, [B, d] for tables; may be empty.
      pooled: [B, D], the embedding that the classifier reads, or None.
      tokens: hidden states of a transformer's layers, shallow to deep, [B, N, d] each; may be empty.
      attention: queries, keys and values of its last layer, [B, heads, N, d] each; may be empty.
      mask: [B, N] bool, false at tokens that only fill up a sample (padding); None: all tokens are real.
      taught: [B, C], logits of a second classifier, for losses that read answers; None: these read `logits`, too.
    """

    logits: Tensor
    features: tuple[Tensor, ...] = ()
    pooled: Tensor | None = None
    tokens: tuple[Tensor, ...] = ()
    attention: tuple[Tensor, ...] = ()
    mask: Tensor | None = None
    taught: Tensor | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> Output:
        """Return the output with every tensor of it changed."""

        def of(part: Any) -> Any:
            return part if part is None else tuple(map(change, part)) if isinstance(part, tuple) else change(part)

        return Output._make(map(of, self))


class Shapes(NamedTuple):
    """What a network offers, without the batch dimension.

    Args:
      features: one shape a stage, shallow to deep; () where it offers none.
      pooled: width of the embedding before the classifier, or None.
      tokens: one shape (N, d) a layer; () where it offers none.
      attention: shapes (heads, N, d) of queries, keys and values; () where it offers none.
      head: whether its logits are a linear function of the mean over space of the last feature, which may be borrowed.
      views: whether it answers about any view of a sample; if not, about the samples as they are, and by their ids.
      members: what each member offers of an ensemble whose members may be asked by themselves; (): it is none.
      network: the name by which a network of its form is made again, see `autokd.networks.remade`; "": it has none.
    """

    features: tuple[tuple[int, ...], ...] = ()
    pooled: int | None = None
    tokens: tuple[tuple[int, ...], ...] = ()
    attention: tuple[tuple[int, ...], ...] = ()
    head: bool = False
    views: bool = True
    members: tuple[Shapes, ...] = ()
    network: str = ""


@dataclass(frozen=True, kw_only=True)
class Task:
    """All that the engine and the models know of a dataset.

    Args:
      dataset: its name, for people.
      modality: kind of input that components declare they take, such as "image" or "table".
      input_shape: of one sample as a model sees it, as its kind of input has it: (channels, height, width), (columns,).
      classes, train_size: class names, by index, and number of training samples.
      mean, std: per channel (dimension 1 of a batch), subtracted and divided after augmentation; () for none.
      fingerprint: content hash of data, split and preprocessing.
      unlabelled: number of samples without labels that may be distilled on.
      groups: how many columns stand for one thing each: 1 for a number, k for a category; (): not known, or no columns.
    """

    dataset: str
    modality: str
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    train_size: int
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    fingerprint: str = ""
    unlabelled: int = 0
    groups: tuple[int, ...] = ()

    @property
    def num_classes(self) -> int:
        """Number of classes, C."""
        return len(self.classes)


@dataclass(frozen=True)
class Split:
    """Samples of one split, in memory.

    Args:
      inputs: N samples as preprocessing gives them: uint8 (0 to 255) for images, float32 for tables.
      labels: [N] int64 class indices.
      labelled: [N] bool, false at samples whose label is not known, whatever stands in `labels`; None: all are known.
      ids: [N] int64, which of the dataset's `Samples` these are; None: of none, for they are made up.
      finer: the same samples as the teacher sees them where that is more than the student does; None: it is not.
    """

    inputs: Inputs
    labels: Tensor
    labelled: Tensor | None = None
    ids: Tensor | None = None
    finer: Inputs | None = None

    def __len__(self) -> int:
        return int(self.labels.shape[0])


@dataclass(frozen=True)
class Samples:
    """All samples of a dataset as they were read, by id: training, validation, test, then those without labels.

    Args:
      numbers, total: [N] where each stood in what was read, from 0, part after part; and how many were read.
      names: [N] paths of the files that they are from, or None where they are not from files of their own.
      table: () -> their cells as a DataFrame of N rows, numbers as numbers; None where they are no rows of a table.
      whole: what was read, by part, as `numbers` count it, where students see it resized; () where they do not.
    """

    numbers: Sequence[int]
    total: int
    names: Sequence[str] | None = None
    table: Callable[[], Any] | None = None
    whole: Sequence[Inputs] = ()


class View(NamedTuple):
    """A batch as augmentation sees and returns it.

    Args:
      inputs: B samples, not yet normalised: images as float32 in [0, 1], tables as preprocessed.
      targets: [B, C] class probabilities.
    """

    inputs: Inputs
    targets: Tensor


Rows = Mapping[str, "Tensor"]


class Augment(NamedTuple):
    """An augmentation policy: `draw` on the CPU decides everything at random, `apply` is a pure function of it.

    A view depends on (view seed, epoch, sample) only, never on batch composition, device or order.

    Args:
      draw: (generator, n, u) -> table of parameters for one epoch of the whole set, tensors with first dimension n,
        on the CPU. `u` in [0, 1] is the share of training done. A key "partner" ([n] int64, indices into the set)
        asks the engine to fetch each sample's partner.
      apply: (view, rows, partner, partner_rows) -> view. `rows` are the batch's of the table, on the batch's device;
        the partners' raw view and rows are None where the table has no "partner". Sample i of the result depends on
        sample i of the arguments only.
    """

    draw: Callable[[torch.Generator, int, float], Rows]
    apply: Callable[[View, Rows, View | None, Rows | None], View]


class DrawnRows(NamedTuple):
    """What a selection takes of the training set for one pass; on the CPU.

    Args:
      rows: [n] int64, distinct rows of the training set, in ascending order.
      weights: [n] float32, above 0, of these samples in every loss; None: all count alike.
    """

    rows: Tensor
    weights: Tensor | None = None


class Selection(NamedTuple):
    """Which samples a run is trained on. It goes over those that were drawn, then draws again: one such go is a pass.

    Args:
      size: n, samples of every pass, 1 to N.
      draw: (number of the pass, generator, u) -> rows and weights; a pure function of these. `u` in [0, 1) is the share
        of training done before the pass. None: all N samples, all alike.
      redraws: whether the rows may differ from pass to pass.
    """

    size: int
    draw: Callable[[int, torch.Generator, float], DrawnRows] | None = None
    redraws: bool = False


@dataclass(frozen=True)
class Batch:
    """One training batch.

    Args:
      inputs: B samples as a network takes them, augmented and normalised.
      targets: [B, C] class probabilities.
      weight, index: [B], the samples' weights in every loss, and their rows of the training split, int64.
      labelled: [B] bool on the CPU, whether a label is known (of a mixed sample: both labels); None: all are.
    """

    inputs: Inputs
    targets: Tensor
    weight: Tensor
    index: Tensor
    labelled: Tensor | None = None


@dataclass(frozen=True)
class Step:
    """What a loss term sees of one training step; a loss that reads labels, of the labelled samples of it.

    Args:
      student, teacher: outputs on the identical view; the teacher's detached, None where no loss asked for one.
      targets: [B, C] class probabilities.
      weight, index: [B]; the index int64, rows of the training split.
      u: share of training done, in [0, 1).
      labelled: [B] bool, whether a sample's label is known; None: all are.
      members: of a loss that reads each member of an ensemble, their outputs in place of `teacher`; () for all others.
    """

    student: Output
    teacher: Output | None
    targets: Tensor
    weight: Tensor
    index: Tensor
    u: float
    labelled: Tensor | None = None
    members: tuple[Output, ...] = ()


TeacherHead = tuple["Tensor", "Tensor | None"]


class Term(Protocol):
    """A loss ready to train with: a plain callable, or an nn.Module whose parameters train with the student.

    Returns [B] (one loss a sample; the engine takes the weighted mean) or a scalar where the loss is a batch statistic.
    """

    def __call__(self, step: Step) -> Tensor:
        """Return the loss on a step."""


@dataclass(frozen=True, kw_only=True)
class BuildContext:
    """What a component may look at when it builds its live object.

    Args:
      task: the task.
      student: what the student offers; None while the student itself is built.
      teacher: what the teacher offers; None without a teacher.
      teacher_head: weight [C, D] and bias [C] or None of the teacher's classifier; None without one, or for form alone.
      horizon_steps: optimisation steps of the whole training run; 0 where not known.
      artefact: what the component's own `prepare` returned, or None where it has none.
      samples: of the task's dataset, for teachers that answer about samples; None for all other components.
    """

    task: Task
    student: Shapes | None = None
    teacher: Shapes | None = None
    teacher_head: TeacherHead | None = None
    horizon_steps: int = 0
    artefact: Any = None
    samples: Samples | None = None


@dataclass(frozen=True, kw_only=True)
class PrepareContext:
    """What a component may look at when it prepares an artefact, before anything is trained.

    Args:
      task: the task.
      labels, labelled: [N] class indices of the training set, and whether they are known; None: all are.
      teacher: the teacher's outputs on the training set, not augmented, float32, on the CPU; None: it reads none.
      reference: (rows [n] int64, seed) -> logits [N, C] on the whole training set without augmentation, float32, on the
        CPU, of a small network that is trained on the labels of these rows alone, in seconds.
      network: () -> a copy of the teacher's network for the task's classes, without what feeds it; None: there is none.
      inputs: rows [n] int64 -> these samples of the training set as students take them, not augmented, on the device.
    """

    task: Task
    labels: Tensor
    labelled: Tensor | None = None
    teacher: Output | None = None
    reference: Callable[[Tensor, int], Tensor]
    network: Callable[[], nn.Module] | None = None
    inputs: Callable[[Tensor], Inputs] | None = None


class Teacher(Protocol):
    """A frozen model that answers with outputs; bit-identical before and after any use."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits that tell it apart from every other teacher."""

    @property
    def offers(self) -> Shapes:
        """What its outputs hold, beside logits."""

    @property
    def head(self) -> TeacherHead | None:
        """Weight [C, D] and bias of its classifier, which reads the last feature's mean over space; None: no such."""

    @property
    def origin(self) -> str:
        """Where it comes from, for people."""

    @property
    def params(self) -> int:
        """Number of its parameters; 0 where nobody knows."""

    def predict(self, inputs: Inputs) -> Output:
        """Answer a batch.

        Args:
          inputs: B samples, exactly what the student sees (augmented and normalised).
        """

    def to(self, device: torch.device) -> Teacher:
        """Move it to a device; return it."""


class SampleTeacher(Teacher, Protocol):
    """A teacher that answers about samples as they are (`Shapes.views` is false), and never to `predict`."""

    def answer(self, ids: Tensor, inputs: Inputs) -> Output:
        """Answer about samples by ids [B] int64, on its device; `inputs` are they, not augmented, normalised."""


@dataclass(frozen=True, kw_only=True)
class ScreenInput:
    """What a training-free proxy may look at.

    Args:
      build: makes a freshly and deterministically initialised student (same weights at every call with the same seed).
      task, teacher: the task, and the teacher or None.
      inputs, labels: one normalised training batch, the same for all students, and its labels, [B] int64.
      seed: of the initialisation, and of whatever else a proxy draws at random.
      more: further training batches, inputs and labels, for proxies that train or fit; the same for all students.
    """

    build: Callable[[int], nn.Module]
    task: Task
    inputs: Inputs
    labels: Tensor
    teacher: Teacher | None
    seed: int = 0
    more: Sequence[tuple[Inputs, Tensor]] = ()


Proxy = Callable[[ScreenInput], float]
"""A proxy ready to score one initialisation on one batch; its class declares which way is up. Not always finite."""


@dataclass(frozen=True)
class RungResult:
    """What one rung of training yielded.

    Args:
      score: of the study's first objective on validation (of the side branch, where there is one): more is better.
      loss: validation cross-entropy, nats.
      seen, seconds: samples seen so far, and wall time of this rung.
      curve: a mapping an epoch: epoch, learning rate, training loss, loss terms, validation score where it was taken.
      metrics: value of every metric on validation, by name; see `autokd.metrics`.
    """

    score: float
    loss: float
    seen: int
    seconds: float
    curve: tuple[Mapping[str, Any], ...]
    metrics: Mapping[str, float] = field(default_factory=dict)


Checkpoint = dict[str, Any]
"""Named stateful parts (student, losses, optimizer, seen): tensors and plain data only, loadable with weights_only."""
