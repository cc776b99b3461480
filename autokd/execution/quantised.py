"""A full-length run scored by what its student answers in 8 bits, where the study's metric is of that."""

from __future__ import annotations

import dataclasses

from torch.nn.functional import cross_entropy

from autokd.engine.build import build_student
from autokd.engine.checkpoint import delivered_state
from autokd.engine.context import TrainContext
from autokd.graphs.answers import int8_graph, predict_graph
from autokd.metrics import METRICS, predictions
from autokd.networks.models import seeded
from autokd.spec import PipelineSpec, component_to_plain
from autokd.types import Checkpoint, RungResult


def score_in_int8(context: TrainContext, spec: PipelineSpec, result: RungResult, state: Checkpoint) -> RungResult:
    """Return a run's result with score and loss of its student in 8 bits; the other metrics stay those in float.

    Args:
      context: of the run; its training split calibrates.
      spec: the pipeline.
      result: of the float student.
      state: at the end of the run.

    Raises:
      ComponentError: the student has no int8 form.
    """
    data, teacher = context.data, context.teacher
    with seeded(0, context.device):
        network = build_student(
            spec.student,
            data.task,
            context.device,
            head=spec.head,
            teacher=None if teacher is None else teacher.offers,
        )
    network.load_state_dict(delivered_state(state))
    name = f"the student {component_to_plain(spec.student)['use']}"
    graph = int8_graph(network, data.task, data.train, name=name)
    logits, labels = predict_graph(graph, context.validation_data), context.validation_data.labels.cpu()
    metric = METRICS[context.metric]
    value = metric.of(predictions(logits, labels))
    return dataclasses.replace(
        result,
        score=metric.score(value),
        loss=float(cross_entropy(logits, labels)),
        metrics={**result.metrics, metric.name: value},
    )
