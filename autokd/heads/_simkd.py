"""SimKD: the teacher's classifier on a projection of the student (Chen et al., CVPR 2022, arXiv 2203.14001)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from autokd.declarations import Head
from autokd.errors import ComponentError
from autokd.networks.models import as_map, as_output, classifier_of, shapes_of
from autokd.networks.pooling import average_pool
from autokd.ranges import Choice
from autokd.types import BuildContext, Output, TeacherHead

Shape = tuple[int, ...]


class SimKDStudent(nn.Module):
    """A student that answers with the teacher's classifier, through a projector from its last feature to the teacher's.

    Args:
      student: [B, *input_shape] -> Output; its own classifier is taken out.
      projector: maps [B, c, h, w] of the student's last feature -> [B, t, h, w].
      size: (height, width) to which the student's map is pooled first.
      teacher_shape: of the teacher's last feature, (t, h, w) or (t,).
      classifier: the teacher's; frozen.
    """

    def __init__(
        self, student: nn.Module, projector: nn.Module, size: Shape, teacher_shape: Shape, classifier: nn.Linear
    ) -> None:
        super().__init__()
        self.student = student
        self.projector = projector
        self.classifier = classifier.requires_grad_(False)
        self._size, self._maps = size, len(teacher_shape) == 3

    def forward(self, x: Tensor) -> Output:
        """Return the teacher's classifier's logits; the projected map is one more feature, its mean the embedding."""
        output = as_output(self.student(x))
        projected = self.projector(average_pool(as_map(output.features[-1]), self._size))
        pooled = projected.mean((2, 3))
        feature = projected if self._maps else pooled
        return output._replace(logits=self.classifier(pooled), features=(*output.features, feature), pooled=pooled)


@dataclass(frozen=True, kw_only=True)
class SimKDHead:
    """A projector and the teacher's classifier, in the place of the student's own; both are part of the student.

    The projector is a bottleneck of three convolutions (1x1, 3x3, 1x1), each with batch normalisation and ReLU; for
    vectors and maps of one pixel the middle one is 1x1 too. It trains by the loss `simkd`; the classifier stays the
    teacher's, bit by bit. The last ReLU takes a teacher whose last feature is not negative. The larger of the two last
    maps is pooled to the smaller one.
    """

    declares = Head(
        teacher="live",
        reads={"features", "head"},
        student_reads={"features"},
        excludes={  # the student has no logits but the frozen classifier's
            "losses.camkd",
            "losses.ctkd",
            "losses.dist",
            "losses.dkd",
            "losses.kd",
            "losses.lelp",
            "losses.mlkd",
            "losses.nkd",
            "losses.ofa",
            "losses.sinkhorn",
            "losses.tfkd",
            "losses.ttm",
            "losses.uskd",
            "losses.wttm",
        },
        requires={"losses.simkd"},
    )

    factor: Annotated[int, Choice(2, 4, 8)] = 2  # the teacher's channels over those between the convolutions

    def build(self, context: BuildContext) -> Callable[[nn.Module], nn.Module]:
        """Return what makes of a student one that answers with the teacher's classifier.

        Raises:
          ComponentError: the teacher offers no head, or (when it is called) the student no features.
        """
        teacher = context.teacher
        if teacher is None or not teacher.head or not teacher.features:
            raise ComponentError(
                "head 'simkd' needs a teacher whose classifier is one linear layer on its last feature's mean; "
                "use head: plain"
            )
        shape = teacher.features[-1]

        def wrap(student: nn.Module) -> nn.Module:
            offered = shapes_of(student, context.task).features
            if not offered:
                raise ComponentError("head 'simkd' reads features, and the student offers none; use head: plain")
            size = tuple(min(pair) for pair in zip(_side(offered[-1]), _side(shape), strict=True))
            projector = bottleneck(offered[-1][0], shape[0], self.factor, kernel_size=3 if max(size) > 1 else 1)
            classifier = _classifier(shape[0], context.task.num_classes, context.teacher_head)
            return SimKDStudent(
                _headless(student, classifier_of(student, context.task)), projector, size, shape, classifier
            )

        return wrap


def bottleneck(inputs: int, outputs: int, factor: int, *, kernel_size: int = 3) -> nn.Sequential:
    """Return the projector from a student's channels to a teacher's.

    Args:
      inputs, outputs: channels of the student's and of the teacher's map.
      factor: `outputs` over the channels between the convolutions.
      kernel_size: of the convolution in the middle.
    Source: Chen et al. 2022, section 3.2.
    """
    between = max(1, outputs // factor)
    return nn.Sequential(
        *_layer(inputs, between, 1), *_layer(between, between, kernel_size), *_layer(between, outputs, 1)
    )


def _layer(inputs: int, outputs: int, kernel_size: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


def _side(shape: Shape) -> Shape:
    """Height and width of a feature; a vector is a map of one pixel."""
    return shape[1:] or (1, 1)


def _classifier(width: int, classes: int, head: TeacherHead | None) -> nn.Linear:
    """The teacher's classifier; without its weights, one of its form for them to be loaded into."""
    classifier = nn.Linear(width, classes)
    if head is not None:
        weight, bias = head
        with torch.no_grad():
            classifier.weight.copy_(weight)
            classifier.bias.copy_(torch.zeros(classes) if bias is None else bias)
    return classifier


def _headless(student: nn.Module, path: str) -> nn.Module:
    """Take the classifier at a path out of a student; "" is none."""
    if path:
        parent, _, name = path.rpartition(".")
        setattr(student.get_submodule(parent), name, nn.Identity())
    return student
