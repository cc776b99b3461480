"""The networks of NAS-Bench-201 (Dong and Yang, ICLR 2020, arXiv 2001.00326, section 2).

One cell, repeated: four nodes, an operation on each of the six edges between them, and a node is the sum of what
reaches it. Three stages of w, 2w and 4w channels have `cells` of it each, and a residual block with a stride of 2
stands between them. As in the authors' code the operations are ReLU, convolution, batch normalisation, in this order;
the average of a border pixel is over the pixels that there are; the shortcut of a residual block is an average of 2x2
and a 1x1 convolution. Weights begin as PyTorch makes them, as the authors' do. Up to 64 pixels the network is theirs;
larger images enter through a stride of 2, and over 128 pixels also through a max-pooling.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from autokd.declarations import Student
from autokd.errors import ComponentError
from autokd.ranges import Choice, Integer
from autokd.students.layers import stem_stride
from autokd.types import IMAGE, BuildContext, Output, Task

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""What an edge may do, as the benchmark calls it."""
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""From which node to which an edge leads, in the order in which a cell is written."""
_Operation = Choice(*OPERATIONS)
_WRITTEN = re.compile(r"(\w+)~(\d)")


class _Nothing(nn.Module):
    """Zeros in the shape of what comes in."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


def _convolution(in_channels: int, channels: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, channels, kernel_size, stride, kernel_size // 2, bias=False),
        nn.BatchNorm2d(channels),
    )


def _operation(name: str, channels: int) -> nn.Module:
    if name.startswith("nor_conv"):
        return _convolution(channels, channels, int(name[-1]))
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    return nn.Identity() if name == "skip_connect" else _Nothing()


class _Cell(nn.Module):
    def __init__(self, operations: tuple[str, ...], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(_operation(name, channels) for name in operations)

    def forward(self, x: Tensor) -> Tensor:
        nodes: list[Tensor] = [x]
        edges = iter(self.edges)
        for _ in range(3):
            nodes.append(functools.reduce(torch.add, [next(edges)(node) for node in nodes]))
        return nodes[-1]


class _Reduction(nn.Module):
    """Residual block that halves the maps."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv_a = _convolution(in_channels, channels, 3, 2)
        self.conv_b = _convolution(channels, channels, 3)
        # of an odd side the last pixel has no neighbour: it is kept, since the convolutions keep it
        self.downsample = nn.Sequential(
            nn.AvgPool2d(2, 2, ceil_mode=True), nn.Conv2d(in_channels, channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(self.downsample(x), self.conv_b(self.conv_a(x)))


class _NASBench201(nn.Module):
    def __init__(self, task: Task, operations: tuple[str, ...], channels: int, cells: int) -> None:
        super().__init__()
        side = min(task.input_shape[1:])
        self.stem = nn.Sequential(
            nn.Conv2d(task.input_shape[0], channels, 3, stem_stride(side), 1, bias=False), nn.BatchNorm2d(channels)
        )
        self.maxpool = nn.MaxPool2d(3, 2, 1) if side > 128 else nn.Identity()
        widths = (channels, 2 * channels, 4 * channels)
        self.reductions = nn.ModuleList(_Reduction(width, 2 * width) for width in widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Cell(operations, width) for _ in range(cells))) for width in widths
        )
        self.last = nn.Sequential(nn.BatchNorm2d(widths[-1]), nn.ReLU())
        self.fc = nn.Linear(widths[-1], task.num_classes)

    def forward(self, x: Tensor) -> Output:
        first = self.stages[0](self.maxpool(self.stem(x)))
        second = self.stages[1](self.reductions[0](first))
        third = self.last(self.stages[2](self.reductions[1](second)))
        pooled = third.mean((2, 3))
        return Output(self.fc(pooled), (first, second, third), pooled)


@dataclass(frozen=True, kw_only=True)
class NASBench201:
    """A network of NAS-Bench-201; features are the three stages' outputs, the last one after the network's last ReLU.

    The default is the cell that is best on CIFAR-10 after 200 epochs. Cells whose output no path reaches are part of
    the benchmark (341 of 15,625). Such a network answers the same about every image; no search draws one.

    Raises:
      ComponentError: an operation is not one of the benchmark's.
    """

    declares = Student(modalities=IMAGE, blind="is_unconnected")

    OPERATION_FIELDS: ClassVar[tuple[str, ...]] = tuple(f"edge{source}{target}" for source, target in EDGES)

    edge01: Annotated[str, _Operation] = "nor_conv_3x3"  # operation between the cell's input and its node 1
    edge02: Annotated[str, _Operation] = "nor_conv_3x3"  # input and node 2
    edge12: Annotated[str, _Operation] = "nor_conv_3x3"  # nodes 1 and 2
    edge03: Annotated[str, _Operation] = "skip_connect"  # input and node 3, the cell's output
    edge13: Annotated[str, _Operation] = "nor_conv_3x3"  # nodes 1 and 3
    edge23: Annotated[str, _Operation] = "nor_conv_3x3"  # nodes 2 and 3
    channels: Annotated[int, Integer(4, 32, step=4, unit="channels")] = 16  # of the first stage; 16 in the paper
    cells: Annotated[int, Integer(1, 5, unit="cells")] = 1  # of a stage; 5 in the paper

    def __post_init__(self) -> None:
        for field, operation in zip(self.OPERATION_FIELDS, self.operations, strict=True):
            if operation not in OPERATIONS:
                raise ComponentError(f"{field} must be {_Operation}, got {operation!r}")

    @property
    def operations(self) -> tuple[str, ...]:
        """The operations of the six edges, in the order in which a cell is written."""
        return (self.edge01, self.edge02, self.edge12, self.edge03, self.edge13, self.edge23)

    @property
    def is_unconnected(self) -> bool:
        """Whether no path leads from the cell's input to its output."""
        reached = {0}
        for (source, target), operation in zip(EDGES, self.operations, strict=True):
            if source in reached and operation != "none":
                reached.add(target)
        return 3 not in reached

    @property
    def cell(self) -> str:
        """The cell as the benchmark writes it: `|nor_conv_3x3~0|+|skip_connect~0|none~1|+|…~0|…~1|…~2|`."""
        edges = iter(self.operations)
        return "+".join("|" + "".join(f"{next(edges)}~{source}|" for source in range(node)) for node in (1, 2, 3))

    @classmethod
    def of_cell(cls, written: str, *, channels: int = 16, cells: int = 5) -> NASBench201:
        """Return the network of a cell as the benchmark writes it, of the paper's size: the inverse of `cell`.

        Raises:
          ComponentError: it is no such cell.
        """
        found = [(name, int(source)) for name, source in _WRITTEN.findall(written)]
        if [source for _, source in found] != [source for source, _ in EDGES]:
            raise ComponentError(f"{written!r} is no cell of NAS-Bench-201, such as {cls().cell}")
        fields = {field: name for field, (name, _) in zip(cls.OPERATION_FIELDS, found, strict=True)}
        component = cls(**fields, channels=channels, cells=cells)
        if component.cell != written:
            raise ComponentError(f"{written!r} is no cell of NAS-Bench-201, such as {cls().cell}")
        return component

    def build(self, context: BuildContext) -> nn.Module:
        """Return a network from [B, channels, height, width] to `Output`, initialised as PyTorch does."""
        return _NASBench201(context.task, self.operations, self.channels, self.cells)
