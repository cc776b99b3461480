"""A trained network as an ONNX graph in float32, from the network's own input to its logits.

It is written with PyTorch's exporter by tracing: that needs no package beside onnx, is in every PyTorch from 2.6 on,
takes a twentieth of the time of the other one on networks as small as students, folds batch normalisation into
convolutions, and knows fake quantisation. The exporter on top of `torch.export`, which needs onnxscript, is asked where
that one does not know an operator.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from autokd import batching, compat
from autokd.errors import ComponentError, one_line
from autokd.networks.fusing import fused
from autokd.networks.inputs import feed_of
from autokd.networks.models import as_output
from autokd.types import Inputs, Task

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR_VERSION = 18, 8
"""Of all files that are written here, so that versions of onnxruntime from 2024 on read them."""
INPUT, LOGITS, BATCH = "input", "logits", "batch"
"""Names of a network's only input, of its output, and of the dimension of samples."""
_UNSUPPORTED = re.compile(r"operator '?(?P<name>[\w:.]+)'?")


def network_graph(network: nn.Module, task: Task, *, name: str = "network") -> ModelProto:
    """Return a network in eval mode as an ONNX model, operator set 18, IR version 8, with a batch of any size.

    Modules with a `fuse` are fused, and batch normalisation behind a convolution becomes part of it. The network stays
    as it is.

    Args:
      network: normalised inputs -> Output, or logits [B, C].
      task: whose samples it takes.
      name: of its component, for messages.
    Returns:
      A model with the input "input" [batch, *input_shape] float32, or several by name where the kind of input has such,
      and the output "logits" [batch, C] float32.

    Raises:
      MissingDependency: onnx is not installed.
      ComponentError: the network computes with something that ONNX has no operator for.
    """
    onnx = compat.import_module("onnx", "onnx")
    example = feed_of(task).example(2, torch.Generator().manual_seed(0))
    module = _Logits(fused(network).float().cpu().eval(), example)
    with _quiet(), torch.no_grad():
        try:
            model = onnx.load_from_string(_traced(module, example))
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            model = _exported(module, example, name, error)
    model.ir_version = IR_VERSION
    return cast("ModelProto", model)


class _Logits(nn.Module):
    """A network that takes its tensors one by one, and answers with the logits alone.

    Args:
      network: what answers.
      form: inputs of the form that it takes.
    """

    def __init__(self, network: nn.Module, form: Inputs) -> None:
        super().__init__()
        self.network, self._form = network, form

    def forward(self, *tensors: Tensor) -> Tensor:
        return as_output(self.network(batching.like(self._form, tensors))).logits


def _traced(module: nn.Module, example: Inputs) -> bytes:
    """A module as a model, its bytes, by PyTorch's exporter that traces."""
    file, names = io.BytesIO(), list(batching.by_own_name(example, INPUT))
    torch.onnx.export(
        module,
        tuple(batching.tensors(example)),
        cast(Any, file),
        dynamo=False,
        input_names=names,
        output_names=[LOGITS],
        dynamic_axes={key: {0: BATCH} for key in [*names, LOGITS]},
        opset_version=OPSET,
    )
    return file.getvalue()


def _exported(module: nn.Module, example: Inputs, name: str, first: Exception) -> Any:
    """A module as a model by PyTorch's exporter on top of `torch.export`, after what the other one said."""
    found = _UNSUPPORTED.search(str(first))
    lacks = f"there is no ONNX operator for {found['name']}" if found else one_line(first)
    if importlib.util.find_spec("onnxscript") is None:
        hint = "PyTorch's other exporter may have one: pip install onnxscript"
        raise ComponentError(f"{name} cannot be written as ONNX: {lacks}; {hint}") from first
    try:
        program: Any = torch.onnx.export(
            module,
            tuple(batching.tensors(example)),
            dynamo=True,
            input_names=list(batching.by_own_name(example, INPUT)),
            output_names=[LOGITS],
            dynamic_shapes=(tuple({0: torch.export.Dim(BATCH)} for _ in batching.tensors(example)),),
            opset_version=OPSET,
            verbose=False,
        )
    except Exception as error:  # of many kinds, and what it says is about itself
        raise ComponentError(f"{name} cannot be written as ONNX: {lacks}; take another student") from error
    return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Run a block in which PyTorch exports without words of its own; what goes wrong is said in ours."""
    printing = torch._C._jit_onnx_log  # of graphs that cannot be exported, to the standard output, verbose or not
    torch._C._jit_onnx_log = lambda *graph: None
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch._C._jit_onnx_log = printing
        logger.setLevel(level)
