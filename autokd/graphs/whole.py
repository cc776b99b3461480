"""The graph that is deployed: preprocessing, network, calibration and class names in one ONNX model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from autokd import compat
from autokd._version import __version__
from autokd.graphs.network import BATCH, IR_VERSION, LOGITS, OPSET
from autokd.input_values import OnnxForm, Preprocess
from autokd.networks.inputs import kind_of
from autokd.nodes import ML, ML_VERSION, Nodes
from autokd.types import Task

if TYPE_CHECKING:
    from onnx import ModelProto

OUTPUTS = ("logits", "probabilities", "label")
"""Outputs in their order: [batch, C] and [batch, C] float32, [batch] text; with a _ where a column has that name."""


class Whole(NamedTuple):
    """A model that takes raw samples, and what is to be known of it.

    Args:
      model: with the outputs `OUTPUTS`; its metadata hold all that follows.
      form: what its inputs take, by name.
    """

    model: ModelProto
    form: OnnxForm


def whole_graph(network: ModelProto, task: Task, preprocess: Preprocess, *, temperature: float = 1.0) -> Whole:
    """Return a network's graph with the preprocessing before it, and probabilities and labels behind it.

    Args:
      network: as `network_graph` returns it, or the same with quantised weights.
      task: whose samples the network takes.
      preprocess: from raw samples to the network's, before normalisation.
      temperature: above 0; what logits are divided by before they become probabilities.

    Raises:
      MissingDependency: onnx is not installed.
      ComponentError: this kind of input cannot be preprocessed in a graph.
    """
    helper = compat.import_module("onnx.helper", "onnx")
    before, behind = Nodes("prepare"), Nodes("answer")
    form = kind_of(task.modality).onnx_form(preprocess, before)
    inside, logits = _placed(network, form.tensors)
    outputs = _outputs(behind, logits, task.classes, temperature)
    free = _free_names([each.name for each in before.entries])
    ends = [helper.make_node("Identity", [output], [name]) for output, name in zip(outputs, free, strict=True)]
    types = (("FLOAT", [BATCH, len(task.classes)]), ("FLOAT", [BATCH, len(task.classes)]), ("STRING", [BATCH]))
    graph = helper.make_graph(
        [*before.nodes, *inside.node, *behind.nodes, *ends],
        "autokd",
        before.entries,
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(_TYPES[kind])), shape)
            for name, (kind, shape) in zip(free, types, strict=True)
        ],
        [*before.constants, *inside.initializer, *behind.constants],
    )
    others = {each.domain: each.version for each in network.opset_import}
    opsets = {**others, "": OPSET, **({ML: ML_VERSION} if _uses(graph.node, ML) else {})}
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in sorted(opsets.items())],
        ir_version=IR_VERSION,
        producer_name="autokd",
        producer_version=__version__,
        doc_string=f"a classifier of {task.dataset}; the metadata say what its inputs take",
    )
    helper.set_model_props(model, _about(task, preprocess, temperature, form))
    return Whole(cast("ModelProto", model), form)


_TYPES: Mapping[str, Any] = {"FLOAT": np.float32, "STRING": object}


def _about(task: Task, preprocess: Preprocess, temperature: float, form: OnnxForm) -> dict[str, str]:
    """The metadata of a model: JSON by key."""
    told = {
        "autokd": __version__,
        "dataset": task.dataset,
        "classes": list(task.classes),
        "temperature": temperature,
        "inputs": dict(form.takes),
        "preprocess": preprocess.to_json(),
    }
    return {key: json.dumps(value, ensure_ascii=False) for key, value in told.items()}


def _placed(network: ModelProto, tensors: Mapping[str, str]) -> tuple[Any, str]:
    """A copy of a network's graph that reads other tensors as its inputs, and the name that its logits have in it."""
    graph = type(network.graph)()
    graph.CopyFrom(network.graph)
    logits = f"network/{LOGITS}"
    renamed = {**tensors, LOGITS: logits}
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    return graph, logits


def _outputs(nodes: Nodes, logits: str, classes: Sequence[str], temperature: float) -> tuple[str, str, str]:
    """What a model answers, in the order of `OUTPUTS`."""
    probabilities = nodes.add("Softmax", nodes.add("Div", logits, np.float32(temperature)), axis=-1)
    best = nodes.add("ArgMax", probabilities, axis=1, keepdims=0)
    return logits, probabilities, nodes.add("Gather", np.array(classes, dtype=object), best)


def _free_names(taken: Iterable[str]) -> list[str]:
    """The names of the outputs, with a _ behind those that an input has."""
    found, taken = [], set(taken)
    for name in OUTPUTS:
        while name in taken:
            name += "_"
        found.append(name)
    return found


def _uses(nodes: Iterable[Any], domain: str) -> bool:
    return any(node.domain == domain for node in nodes)
