"""Ways to feed a network that another tool trained, tried on training samples.

The ways are compared where they are cheap: one axis, normalisation or size, is varied around the best way so far. What
is best there is compared with what was assumed on other samples (`autokd.teaching.checked`). How many samples are asked
about follows from multiply-accumulates, not from the clock, so that the same search does the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from autokd import batching
from autokd.errors import TeacherError
from autokd.input_values import UsualInputs
from autokd.networks.fed import Frozen, InputForm
from autokd.networks.freeze import foreign, resized_task
from autokd.networks.inputs import feed_of, kind_of
from autokd.networks.models import as_output
from autokd.teaching.orders import crossed
from autokd.types import Split, Task

SCREENED, DECIDED, LEAST = 256, 1024, 64
"""Samples that ways are screened on and decided on, at most, and the fewest that say anything."""
SCREEN_COST, DECIDE_COST, MOST_COST = 8e11, 4e11, 3e12
"""Bounds of screening and of deciding, in multiply-accumulates: together half a minute to a minute on two cores. The
screening of a network so slow that this allows few ways may cost the most."""
WAYS = 8
"""That are tried of a slow network, if the bounds allow it."""
PIXEL_COST = 5000.0
"""Multiply-accumulates that a pixel stands for: what small networks cost beside their own."""
HOPELESS = 0.15
"""A way that is worse by so much on the fewest samples is asked about no others."""
CHUNK = 64
ROUNDS = 4
NORMALISATION, SIZE = "normalisation", "size"
AXES = (NORMALISATION, SIZE)


class Way(NamedTuple):
    """A way to feed a network.

    Args:
      mean, std: per channel; () for samples that are not normalised per channel.
      size: side in pixels, 0 for the data's.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    size: int = 0


class Feeder:
    """Asks a network about training samples, fed in one way or another, within a bound on what that costs.

    Args:
      frozen: the network and what it is fed now; it is moved to no other device.
      task: the data's; the network answers with as many logits, in whatever order.
      samples: labelled ones to ask about, those to screen on first.
      outputs: [C] int64, the output that stands for each class now.
      at: side in pixels -> the samples as something that looks at that side sees them (`Split.finer`).
    """

    def __init__(
        self,
        frozen: Frozen,
        task: Task,
        samples: Split,
        outputs: Tensor,
        at: Callable[[int], Split] | None = None,
    ) -> None:
        self._frozen, self._task, self._samples, self._outputs = frozen, task, samples, outputs
        self._at = at or (lambda side: samples)
        self.left = 0.0
        """Cost that may still be caused, in multiply-accumulates; see `allow`."""
        self.labels = samples.labels
        self._network = frozen.network.eval()
        parameter = next(self._network.parameters(), None)
        self._device = torch.device("cpu") if parameter is None else parameter.device
        self._costs: dict[int, float | None] = {}
        self._answers: dict[Way, Tensor] = {}
        self._channels = len(task.mean) or 1
        self.assumed = Way(
            _filled(frozen.form.mean or task.mean, self._channels),
            _filled(frozen.form.std or task.std, self._channels),
            frozen.form.size,
        )

    def allow(self, *, screening: bool, share: float) -> None:
        """Allow the cost of screening or of deciding, a share of the bound, (0, 1]."""
        slow = WAYS * LEAST * (self.cost(self.assumed.size) or 0.0) if screening else 0.0
        self.left = share * min(MOST_COST, max(SCREEN_COST if screening else DECIDE_COST, slow))

    def cost(self, size: int) -> float | None:
        """Return what a sample costs at a size, by running one; None where the network does not take it."""
        if size not in self._costs:
            self._costs[size] = self._count(size)
        return self._costs[size]

    def affords(self, way: Way, samples: int) -> bool:
        """Whether asking about so many samples stays within the bound."""
        return samples * (self.cost(way.size) or 0.0) <= self.left

    def bearable(self, ways: Sequence[Way], samples: int) -> int:
        """Return how many samples, at most `samples`, may be asked about in each of some ways."""
        cost = max(self.cost(way.size) or 1.0 for way in ways)
        return min(samples, max(LEAST, int(self.left / (cost * len(ways)))))

    @torch.no_grad()
    def logits(self, way: Way, samples: int) -> Tensor:
        """Return the logits [n, C] about the first samples, in the order of the data's classes, on the CPU.

        Raises:
          TeacherError: the network fails.
        """
        known = self._answers.get(way)
        begin = 0 if known is None else len(known)
        if begin < samples:
            self.left -= (samples - begin) * (self.cost(way.size) or 0.0)
            parts = [self._asked(way, slice(at, min(at + CHUNK, samples))) for at in range(begin, samples, CHUNK)]
            self._answers[way] = torch.cat(([] if known is None else [known]) + parts)
        return self._answers[way][:samples]

    def _asked(self, way: Way, rows: slice) -> Tensor:
        feed = feed_of(replace(self._task, mean=way.mean, std=way.std) if way.mean else self._task)
        constants = {name: constant.to(self._device) for name, constant in feed.constants.items()}
        seen = self._at(way.size)
        inputs = seen.inputs if seen.finer is None else seen.finer
        stored = batching.to(batching.take(inputs, rows), self._device)
        with foreign(f"the teacher fails with its input at {way}"):
            answer = self._behind(way.size)(feed.to_network(feed.to_view(stored), constants))
        return as_output(answer).logits.float().cpu()[:, self._outputs]

    def _behind(self, size: int) -> nn.Module:
        return kind_of(self._task.modality).behind_resize(self._network, size) if size else self._network

    @torch.no_grad()
    def _count(self, size: int) -> float | None:
        try:
            resized = resized_task(self._task, size)
            example = batching.to(feed_of(self._task).example(2, None), self._device)
            with foreign("trying a size"), FlopCounterMode(display=False) as counter:
                logits = as_output(self._behind(size)(example)).logits
                fits = logits.ndim == 2 and logits.shape[0] == 2 and logits.shape[1] > int(self._outputs.max())
        except TeacherError:
            return None
        pixels = math.prod(resized.input_shape) / self._channels
        return counter.get_total_flops() / 4 + PIXEL_COST * pixels if fits else None


class Tried(NamedTuple):
    """What screening found.

    Args:
      best: the way with the best score, the earliest of equals; what was assumed comes first.
      scores: of each way that was tried; see `score`.
      untried: sizes that the bound left no room for.
    """

    best: Way
    scores: Mapping[Way, float]
    untried: tuple[int, ...]


def candidates(usual: UsualInputs, frozen: Frozen, task: Task) -> tuple[list[Way], tuple[int, ...]]:
    """Return the normalisations, as ways at the data's size, and the sizes that may be tried."""
    sizes = sorted({*usual.sizes, frozen.form.own_size} - {0, usual.side}) if usual.sizes else []
    return [Way(mean, std) for mean, std in usual.normalisations.values()], (0, *sizes) if sizes else ()


def screen(
    feeder: Feeder, usual: UsualInputs, frozen: Frozen, task: Task, axes: Sequence[str], tell: Callable[[int], None]
) -> Tried:
    """Vary one axis after the other around the best way so far, from what is assumed, until nothing is better.

    Args:
      feeder: asks the network.
      usual: what is tried.
      frozen, task: the network's own form, and the data's.
      axes: of `AXES`, those that may change.
      tell: called before each way is tried, with the number of those before it.
    """
    normalisations, sizes = candidates(usual, frozen, task)
    best, scores = feeder.assumed, dict[Way, float]()
    untried: set[int] = set()
    samples = screened(len(feeder.labels))

    def around(way: Way) -> list[Way]:
        other = [each._replace(size=way.size) for each in normalisations] if NORMALISATION in axes else []
        return other + ([way._replace(size=size) for size in sizes] if SIZE in axes else [])

    def scored(way: Way, count: int) -> float:
        return score(feeder.logits(way, count), feeder.labels[:count])

    def look_at(way: Way) -> None:
        if way in scores or feeder.cost(way.size) is None:
            return
        if way != feeder.assumed and not feeder.affords(way, LEAST):
            untried.add(way.size)
            return
        tell(len(scores))
        few = min(samples, LEAST)
        scores[way] = scored(way, few)
        hopeless = scores[way] < scored(best, few) - HOPELESS
        if not hopeless and feeder.affords(way, samples):
            scores[way] = scored(way, samples)

    look_at(best)
    for _ in range(ROUNDS):
        before = best
        for way in around(before):
            look_at(way)
            best = max(scores, key=scores.__getitem__)
        if best == before:
            break
    return Tried(best, scores, tuple(sorted(untried)))


def screened(samples: int) -> int:
    """Return how many of so many samples ways are screened on; the others decide."""
    return min(SCREENED, samples // 2)


def score(logits: Tensor, labels: Tensor) -> float:
    """Return the share of right answers, with the outputs in the data's order or in one fitted on other samples."""
    own = float((logits.argmax(1) == labels).double().mean())
    return max(own, crossed(logits, labels))


def changed_form(form: InputForm, assumed: Way, way: Way) -> dict[str, object]:
    """Return the fields of a teacher's component that feed it in a way, where this is not what is assumed."""
    changed: dict[str, object] = {}
    if (way.mean, way.std) != (assumed.mean, assumed.std):
        changed |= {"mean": _shortest(way.mean), "std": _shortest(way.std)}
    if way.size != form.size:
        changed["input_size"] = way.size
    return changed


def _filled(values: Sequence[float], channels: int) -> tuple[float, ...]:
    return tuple(values) * channels if len(values) == 1 else tuple(values)


def _shortest(values: tuple[float, ...]) -> tuple[float, ...]:
    return values[:1] if len(set(values)) == 1 else values
