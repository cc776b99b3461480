"""A trained student in use: labels and probabilities for new inputs, and a network that others can run."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, final

from pandas import DataFrame
from torch import Tensor, device, int64, nn, zeros

from autokd import batching
from autokd.data import Preprocess, read_inputs
from autokd.engine.evaluate import predict
from autokd.engine.views import to_device
from autokd.errors import DataError
from autokd.files import printable
from autokd.input_values import ReadInputs
from autokd.networks.inputs import feed_of, kind_of
from autokd.networks.models import as_output
from autokd.types import Inputs, Split, Task

_log = logging.getLogger("autokd")
_SHOWN = 5
"""Classes that are named where there are many."""


@final
class Student:
    """A trained student, ready for new inputs; `autokd.load_student` loads one.

    Args:
      network: [B, *input_shape] normalised -> Output; put in eval mode and frozen.
      task: the task, with class names and normalisation.
      preprocess: what turns raw inputs into the network's, before normalisation.
      device: where the network is.
      name: of its architecture.
      temperature: above 0; what logits are divided by before they become probabilities. It was fitted on validation
        samples, so that a probability says how often such an answer is right; labels do not depend on it.
    """

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        preprocess: Preprocess,
        device: device,
        name: str = "network",
        temperature: float = 1.0,
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.task = task
        self.preprocess = preprocess
        self.device = device
        self.name = name
        self.temperature = temperature

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, by index."""
        return self.task.classes

    @property
    def input(self) -> dict[str, Any]:
        """What it takes, as plain data: kind, shape of one sample, and what the kind says (columns, size, …)."""
        described = kind_of(self.task.modality).describe(self.preprocess)
        return {"kind": self.task.modality, "shape": tuple(self.task.input_shape), **described}

    @cached_property
    def module(self) -> nn.Module:
        """The network with the normalisation inside, in eval mode and frozen: stored samples -> logits [B, C].

        Divided by `temperature` they are the logits of the probabilities that `predict` gives.

        It takes what the preprocessing gives: images [B, *shape] as uint8, or as floats from 0 to 1; of a table the
        float32 rows [B, *shape] of `preprocess.apply(frame)`. It shares its weights with `network`.
        """
        return Normalised(self.network, self.task).to(self.device).eval()

    def predict(self, inputs: Any, *, skip_bad: bool = False, encoding: str | None = None) -> DataFrame:
        """Return label and probabilities, one row a sample.

        Args:
          inputs: one or a list of paths (image files, folders of them, table files), of PIL images, of arrays or
            tensors; arrays or tensors of many images, [N, H, W] (grey), [N, H, W, C] or [N, C, H, W], uint8 or floats
            from 0 to 1, or of one; for a table a DataFrame, a row as a Series or a dict, or a list of such. Images of
            another size are resized as those were that the student was trained on.
          skip_bad: leave unreadable files out with a warning, and take unknown categories as none of the known ones.
          encoding: of table files that have no mark, as Python names it; None: that of the training table where it was
            named, else found by looking.
        Returns:
          Columns `label`, `probability` (of the label) and `probability of <class>` for each class; the index is that
          of the table, the path (of a table file with its row: "new.csv:1"), or the number of the sample from 0.

        Raises:
          DataError: an input is missing, unreadable, or does not fit, or there is none.
        """
        found = self.probabilities(inputs, skip_bad=skip_bad, encoding=encoding)
        values = found.to_numpy()
        labels = [self.classes[i] for i in values.argmax(1)]
        by_class = {f"probability of {name}": values[:, i] for i, name in enumerate(self.classes)}
        return DataFrame({"label": labels, "probability": values.max(1), **by_class}, index=found.index)

    def probabilities(self, inputs: Any, *, skip_bad: bool = False, encoding: str | None = None) -> DataFrame:
        """Return the probability of each class, one row a sample and one column a class; see `predict`."""
        read = self._read(inputs, skip_bad=skip_bad, encoding=encoding)
        if len(read.names) == 0:
            raise DataError("no inputs are given")
        if read.skipped:
            first = printable(read.skipped[0])
            _log.warning("%d unreadable file(s) left out, the first is %s", len(read.skipped), first)
        for remark in read.remarks:
            _log.warning("%s", remark)
        names = [printable(name) if isinstance(name, str) else name for name in read.names]
        probabilities = (self.logits(self.preprocess.apply(read.inputs)) / self.temperature).softmax(-1)
        return DataFrame(probabilities.numpy(), columns=list(self.classes), index=names)

    def logits(self, inputs: Inputs) -> Tensor:
        """Return logits [N, C], float32, on the CPU.

        Args:
          inputs: N samples as `preprocess` gives them: uint8 images or float32 rows.
        """
        count = batching.count(inputs)
        if count == 0:
            return zeros(0, len(self.classes))
        return predict(self.network, to_device(Split(inputs, zeros(count, dtype=int64)), self.task, self.device))

    def _read(self, given: Any, *, skip_bad: bool, encoding: str | None = None) -> ReadInputs:
        kind, preprocess = kind_of(self.task.modality), self.preprocess
        if encoding is not None:
            preprocess = kind.in_encoding(preprocess, encoding)
        given = list(given) if isinstance(given, Iterator) else given
        paths = [given] if isinstance(given, str | Path) else given
        if isinstance(paths, list | tuple) and all(isinstance(path, str | Path) for path in paths):
            return read_inputs(preprocess, paths, skip_bad=skip_bad)
        return kind.given(preprocess, given, skip_bad=skip_bad)

    def __repr__(self) -> str:
        takes = self.input.get("form") or f"{self.task.modality} {' × '.join(map(str, self.task.input_shape))}"
        count = sum(parameter.numel() for parameter in self.network.parameters())
        classes = ", ".join(self.classes[:_SHOWN]) + (", …" if len(self.classes) > _SHOWN else "")
        return f"Student({self.name}, {count:,} parameters: {takes} → {len(self.classes)} classes: {classes})"


class Normalised(nn.Module):
    """A network behind the normalisation of its inputs: samples as they are kept -> logits [B, C].

    Args:
      network: [B, *input_shape] normalised -> Output, or logits.
      task: whose samples it takes.
    """

    def __init__(self, network: nn.Module, task: Task) -> None:
        super().__init__()
        feed = feed_of(task)
        self.network = network
        self._to_view, self._to_network, self._constants = feed.to_view, feed.to_network, tuple(feed.constants)
        for name, value in feed.constants.items():
            self.register_buffer(name, value)

    def forward(self, inputs: Inputs) -> Tensor:
        """Return logits [B, C]."""
        constants: Mapping[str, Tensor] = {name: self.get_buffer(name) for name in self._constants}
        return as_output(self.network(self._to_network(self._to_view(inputs), constants))).logits
