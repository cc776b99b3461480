"""What the components of a study's pipelines will prepare before they are trained, foreseen from the space."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autokd import batching
from autokd.components import PreparedComponent
from autokd.data import Dataset
from autokd.engine.prepare import reference_epochs
from autokd.engine.rung import FORWARD, run_samples
from autokd.errors import ComponentError
from autokd.search.timing.clock import TIMED_SAMPLES
from autokd.spec import bare, component_to_plain, components, fingerprint, from_plain
from autokd.types import Output, PrepareContext, Shapes


class Rates(NamedTuple):
    """Seconds of a sample: of the teacher's answer, and of training the reference network of the kind of input."""

    answer: float
    reference: Callable[[], float]


def preparing_seconds(
    pipelines: Sequence[Mapping[str, Any]], data: Dataset, offers: Shapes | None, rates: Rates
) -> tuple[float, ...]:
    """Return the seconds of making what the first n pipelines prepare, for n = 1, 2, …; each artefact once.

    Counted are the teacher's answers to the training set, once, and the training of reference networks; what a
    component computes from them takes no time beside that.

    Args:
      pipelines: plain, as a study may draw them.
      data: the dataset.
      offers: what the teacher offers; None: there is none.
      rates: what a sample takes; that of the reference network is asked for where one is trained.
    """
    known: set[str] = set()
    trained: dict[type[Any], float] = {}  # by component: its fields are taken to change nothing in it
    total, asked, seconds = 0.0, False, []
    for plain in pipelines:
        for component in _preparing(plain):
            key, cls = _key(component), type(bare(component))
            if key in known:
                continue
            known.add(key)
            if cls not in trained:
                trained[cls] = reference_samples(component, data, offers)
            total += trained[cls] * rates.reference() if trained[cls] else 0.0
            if not asked and _reads_teacher(component):
                asked, total = True, total + rates.answer * len(data.train)
        seconds.append(total)
    return tuple(seconds)


def reference_samples(component: Any, data: Dataset, offers: Shapes | None) -> float:
    """Return on how many samples a component trains reference networks when it prepares, their answers included.

    It prepares on a few samples, with random answers; nothing is trained. 0 where it cannot be prepared.
    """
    few = batching.take_split(data.train, slice(min(TIMED_SAMPLES, len(data.train))))
    generator = torch.Generator().manual_seed(0)
    shares: list[float] = []

    def random(*size: int) -> Tensor:
        return torch.randn(len(few), *size, generator=generator)

    def reference(rows: Tensor, seed: int) -> Tensor:
        shares.append(len(rows) / len(few))
        return random(data.task.num_classes)

    if getattr(component.declares, "copies", ""):  # it asks the teacher, about some samples, and trains nothing
        return 0.0
    pooled = None if offers is None or offers.pooled is None else random(offers.pooled)
    teacher = Output(random(data.task.num_classes), pooled=pooled) if _reads_teacher(component) else None
    context = PrepareContext(
        task=data.task, labels=few.labels, labelled=few.labelled, teacher=teacher, reference=reference
    )
    with contextlib.suppress(ComponentError):
        _prepare(component, context)
    return sum(_trained(share * len(data.train), data) for share in shares)


def _trained(rows: float, data: Dataset) -> float:
    epochs = reference_epochs(max(1, round(rows)))
    return run_samples(epochs, epochs, round(rows), len(data.validation)) + FORWARD * len(data.train)


def _prepare(component: PreparedComponent, context: PrepareContext) -> None:
    bare(component).prepare(context)


def _preparing(plain: Mapping[str, Any]) -> Iterator[Any]:
    yield from (one for _, one in components(from_plain(plain)) if one.declares.prepared_from is not None)


def _reads_teacher(component: Any) -> bool:
    declares = component.declares
    return getattr(declares, "teacher", "none") != "none" or bool(getattr(declares, "copies", ""))


def _key(component: Any) -> str:
    """What pipelines share an artefact by; teacher and data are the study's."""
    plain = component_to_plain(component)
    return fingerprint([component.declares.kind, plain["use"], {n: plain[n] for n in component.declares.prepared_from}])
