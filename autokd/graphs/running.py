"""ONNX models run by onnxruntime on the CPU: their answers, and how long they take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from autokd import batching, compat
from autokd.errors import BundleError, ComponentError, one_line
from autokd.graphs.network import INPUT, LOGITS
from autokd.networks.inputs import feed_of
from autokd.networks.models import as_output
from autokd.types import Inputs, Task

if TYPE_CHECKING:
    from onnx import ModelProto

Arrays = Mapping[str, NDArray[Any]]
"""What a model takes, by the names of its inputs."""
BATCH_SIZE = 256
"""Samples that are asked about at a time."""
_EXACT_SUMS = ("session.x64quantprecision", "1")
"""A setting with which sums of 8-bit products do not overflow on x86 processors without VNNI; others ignore it."""
_WARM_UP = 5
_ERRORS_ONLY = 3
_CHECKED = (1, 5)
"""Sizes of batches on which a graph is compared with its network, and what they may differ by, of 1 or of the value."""
_TOLERANCE = 1e-3


def session(model: ModelProto | bytes | Path | str, *, threads: int | None = None) -> Any:
    """Return an `onnxruntime.InferenceSession` on the CPU.

    Args:
      model: a model, its bytes, or the path of its file.
      threads: that it may use; None: as many as PyTorch does.

    Raises:
      MissingDependency: onnxruntime is not installed.
      BundleError: it is no model that onnxruntime runs.
    """
    runtime = compat.import_module("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry(*_EXACT_SUMS)
    given = str(model) if isinstance(model, Path | str) else model
    given = given if isinstance(given, bytes | str) else given.SerializeToString()
    try:
        return runtime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors derive from nothing else
        where = given if isinstance(given, str) else "the model"
        raise BundleError(f"{where} is no ONNX model that onnxruntime runs: {one_line(error)}") from error


def logits(running: Any, inputs: Inputs, *, batch_size: int = BATCH_SIZE) -> NDArray[np.float32]:
    """Return the logits [N, C] of a network's graph, as `network_graph` returns it.

    Args:
      running: a session.
      inputs: N samples as the network takes them, normalised.
      batch_size: samples at a time, at least 1.
    """
    count = batching.count(inputs)
    rows = (torch.arange(count)[start : start + batch_size] for start in range(0, max(count, 1), batch_size))
    parts: Iterable[Any] = (running.run([LOGITS], arrays(batching.take(inputs, some)))[0] for some in rows)
    return np.concatenate(list(parts))


def expect_same(model: ModelProto, network: nn.Module, task: Task, *, name: str) -> None:
    """Check that a network's graph says what the network says, on made-up samples: one, and several.

    Raises:
      MissingDependency: onnxruntime is not installed.
      ComponentError: it does not.
    """
    running, device = session(model, threads=1), next((each.device for each in network.parameters()), None)
    for size in _CHECKED:
        inputs = feed_of(task).example(size, torch.Generator().manual_seed(size))
        with torch.no_grad():
            said = as_output(network(batching.to(inputs, device or torch.device("cpu")))).logits.float().cpu().numpy()
        found = logits(running, inputs)
        if found.shape != said.shape or not np.allclose(found, said, rtol=_TOLERANCE, atol=_TOLERANCE):
            raise ComponentError(
                f"{name} says something else as ONNX than in PyTorch, on {size} sample(s): its computation depends on "
                "the values or the number of the samples that it sees, which a graph cannot; take another student"
            )


def arrays(inputs: Inputs) -> dict[str, NDArray[Any]]:
    """Return samples as a network takes them by the names of its graph's inputs."""
    named = batching.by_own_name(inputs, INPUT)
    return {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in named.items()}


def latency(running: Any, given: Arrays, *, repeats: int = 50) -> float:
    """Return the time of one run in milliseconds: the median of `repeats`, warm-up excluded.

    Args:
      running: a session, with as many threads as are meant.
      given: one sample, by the names of the model's inputs; see `example`.
      repeats: runs that are timed, at least 1.
    """
    taken = []
    for _ in range(_WARM_UP + repeats):
        start = time.perf_counter()
        running.run(None, given)
        taken.append(time.perf_counter() - start)
    return 1000.0 * statistics.median(taken[_WARM_UP:])


def example(task: Task, batch_size: int = 1) -> dict[str, NDArray[Any]]:
    """Return made-up samples of a task for its network's graph, the same at every call."""
    return arrays(feed_of(task).example(batch_size, torch.Generator().manual_seed(0)))
