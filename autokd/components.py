"""What a component of each kind is to those who use it: what it declares, its `build`, and for a loss its weight.

A component is a frozen, keyword-only dataclass. Datasets have `autokd.data_types.DatasetComponent`, exports
`autokd.delivery.subject.ExportComponent`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from autokd import declarations
from autokd.types import Augment, BuildContext, PrepareContext, Proxy, Selection, Teacher, Term

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer


class TeacherComponent(Protocol):
    """A way to load a teacher."""

    @property
    def declares(self) -> declarations.Teacher:
        """What it declares."""
        ...

    def build(self, context: BuildContext) -> Teacher:
        """Return the frozen teacher."""
        ...


class StudentComponent(Protocol):
    """A student architecture."""

    def __hash__(self) -> int: ...

    @property
    def declares(self) -> declarations.Student:
        """What it declares."""
        ...

    def build(self, context: BuildContext) -> nn.Module:
        """Return a freshly initialised network, [B, *input_shape] -> `Output` or logits [B, C]."""
        ...


def is_blind(student: StudentComponent) -> bool:
    """Whether a student's answer does not depend on its input, as far as its component declares that."""
    name = student.declares.blind
    return bool(name) and bool(getattr(student, name))


class HeadComponent(Protocol):
    """What stands in the place of a student's classifier."""

    def __hash__(self) -> int: ...

    @property
    def declares(self) -> declarations.Head:
        """What it declares."""
        ...

    def build(self, context: BuildContext) -> Callable[[nn.Module], nn.Module]:
        """Return what makes of a student one with this head."""
        ...


class InitComponent(Protocol):
    """What a student's weights are when training begins."""

    def __hash__(self) -> int: ...

    @property
    def declares(self) -> declarations.Init:
        """What it declares."""
        ...

    def build(self, context: BuildContext) -> Callable[[nn.Module], str]:
        """Return what sets the weights of a freshly initialised student, and says what it left at random ("": nothing).

        What it returns raises ComponentError where the student is of another form.
        """
        ...


class AugmentComponent(Protocol):
    """An augmentation policy."""

    @property
    def declares(self) -> declarations.Augment:
        """What it declares."""
        ...

    def build(self, context: BuildContext) -> Augment:
        """Return the policy's two functions."""
        ...


class SelectionComponent(Protocol):
    """A choice of the samples that a run goes over."""

    @property
    def declares(self) -> declarations.Selection:
        """What it declares."""
        ...

    def build(self, context: BuildContext) -> Selection:
        """Return how the rows of a pass are drawn; draws nothing at random itself."""
        ...


class LossComponent(Protocol):
    """A loss; its effective weight is `weight` times `declares.scale.value`."""

    @property
    def declares(self) -> declarations.Loss:
        """What it declares."""
        ...

    @property
    def weight(self) -> float:
        """Weight of the term, relative to its scale."""
        ...

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step."""
        ...


class PreparedComponent(Protocol):
    """A component of any kind that declares `prepared_from`: it makes something of teacher and data before training."""

    @property
    def declares(self) -> declarations.InPipeline:
        """What it declares."""
        ...

    def prepare(self, context: PrepareContext) -> Mapping[str, Tensor]:
        """Return what `build` finds as `BuildContext.artefact`: tensors by name, on the CPU.

        It depends on teacher, data and the fields that `prepared_from` names, and on nothing else.
        """
        ...


class OptimizerComponent(Protocol):
    """An optimizer."""

    @property
    def declares(self) -> declarations.Optimizer:
        """What it declares."""
        ...

    def build(self, context: BuildContext) -> Callable[[Iterable[nn.Parameter]], Optimizer]:
        """Return a function from parameters to the optimizer, at its peak learning rate."""
        ...


class ScheduleComponent(Protocol):
    """A learning rate schedule."""

    @property
    def declares(self) -> declarations.Schedule:
        """What it declares."""
        ...

    def build(self, context: BuildContext) -> Callable[[float], float]:
        """Return the share of the peak learning rate at u in [0, 1], the share of training done."""
        ...


class ProxyComponent(Protocol):
    """A training-free proxy."""

    @property
    def declares(self) -> declarations.Proxy:
        """What it declares."""
        ...

    def build(self, context: BuildContext) -> Proxy:
        """Return a score."""
        ...
