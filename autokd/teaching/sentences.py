"""What is said of a given teacher: what it is fed, what was taken, what is proposed, why it is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autokd.networks.fed import Frozen
from autokd.networks.inputs import kind_of
from autokd.teaching.decided import Better, Ordered, Verdict
from autokd.teaching.evidence import Gain, Guess
from autokd.teaching.feeding import Tried, Way
from autokd.teaching.orders import output_names
from autokd.types import Task, Teacher

_SHOWN = 12
TAKEN = "taken, since it is clearly better"


def line(
    teacher: Teacher, task: Task, frozen: Frozen | None, changed: Mapping[str, Any], right: str, *, finer: bool = False
) -> str:
    """Return what a teacher is, what it is fed and how often it is right, in one line.

    Args:
      teacher, task: the teacher and what it answers on.
      frozen: what it is fed; None where nothing is known of that.
      changed: fields of its component that were taken.
      right: how often it is right, in words.
      finer: whether its samples are read at its own size.
    """
    fed = "" if frozen is None else _fed(frozen, task, changed, finer=finer)
    size = f", {teacher.params:,} parameters" if teacher.params else ""
    return f"{teacher.origin}{size}{fed}: {right}"


def _fed(frozen: Frozen, task: Task, changed: Mapping[str, Any], *, finer: bool) -> str:
    usual, form = kind_of(task.modality).usual_inputs(task), frozen.form
    if not usual.sizes:
        return ", fed as the students are"
    side = usual.side
    size = changed.get("input_size", form.size)
    own = f"read at that size; students see {side}" if finer else f"the data have {side}"
    at = f"{size} px ({own})" if size and size != side else f"{side} px, as the data have"
    mean, std = (changed.get(name) or getattr(form, name) or getattr(task, name) for name in ("mean", "std"))
    source = TAKEN if "mean" in changed else form.source
    whole = f", whole (crop_pct {form.own_crop:g} of its configuration is not followed)" if form.own_crop < 1 else ""
    return f", fed {at}{whole}, mean {numbers(mean or (0.0,))} and std {numbers(std or (1.0,))} ({source})"


def numbers(values: Sequence[float]) -> str:
    """Return values of channels in a few digits, one where all are alike: "0.485, 0.456, 0.406"."""
    shown = values[:1] if len(set(values)) == 1 else values
    return ", ".join(f"{value:.4g}" for value in shown)


def refused_size(fitted: Mapping[str, Any], task: Task) -> Iterator[str]:
    """Say that a network does not take the data's size, where another was found."""
    if "input_size" in fitted:
        side = kind_of(task.modality).usual_inputs(task).side
        yield f"the teacher does not take samples of {side} px; they are resized to {fitted['input_size']} px for it"


class Words:
    """Sentences on what is better than what was assumed.

    Args:
      task: the data's.
      assumed: how the teacher was fed.
    """

    def __init__(self, task: Task, assumed: Way) -> None:
        self._task, self._assumed = task, assumed

    def taken(self, verdict: Verdict) -> Iterator[str]:
        """Say what is taken."""
        if verdict.way is not None:
            way, gain = verdict.way
            what, options = self._what(way, self._assumed), _options(way, self._assumed)
            yield f"the teacher is fed {what}: {_figures(gain)}; to fix it: {options}"
        if verdict.order is not None:
            yield (
                f"the teacher's outputs are taken in {verdict.order.name} ({self._names(verdict.order)}): "
                f"{_figures(verdict.order.gain)}; to fix it, give the names in their order with --teacher-classes FILE"
            )

    def proposed_order(self, order: Ordered | None) -> Iterator[str]:
        """Say which order of the outputs would be better than that of the names."""
        if order is not None:
            yield (
                f"the teacher's class names put its outputs in the order of the data's classes, and yet {order.name} "
                f"({self._names(order)}) would be better: {_figures(order.gain)}; it is left as named: look at the "
                "labels, or give the names in another order with --teacher-classes FILE"
            )

    def proposed_way(self, better: Better | None, now: Way) -> Iterator[str]:
        """Say what would be better than what was given."""
        if better is not None:
            way, gain = better
            yield (
                f"the teacher is fed as you said, and yet it would be better {self._what(way, now)}: {_figures(gain)}; "
                f"leave it out, or say {_options(way, now)}"
            )

    def _what(self, way: Way, before: Way) -> str:
        parts = []
        if (way.mean, way.std) != (before.mean, before.std):
            usual = kind_of(self._task.modality).usual_inputs(self._task).normalisations
            name = next((name for name, pair in usual.items() if pair == (way.mean, way.std)), "its own")
            parts.append(f"with another normalisation ({name})")
        if way.size != before.size:
            side = kind_of(self._task.modality).usual_inputs(self._task).side
            parts.append(f"at {way.size or side} px instead of {before.size or side}")
        return " and ".join(parts)

    def _names(self, order: Ordered) -> str:
        names = output_names(order.order, self._task.classes)
        return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _options(way: Way, before: Way) -> str:
    options = []
    if (way.mean, way.std) != (before.mean, before.std):
        options += [f"--teacher-mean {_compact(way.mean)}", f"--teacher-std {_compact(way.std)}"]
    if way.size != before.size:
        options.append(f"--teacher-size {way.size}")
    return " ".join(options)


def _compact(values: Sequence[float]) -> str:
    return numbers(values).replace(" ", "")


def _figures(gain: Gain) -> str:
    return (
        f"{100 * gain.after:.1f} % of {gain.n:,} training samples are right, not {100 * gain.before:.1f} % (95 % "
        f"interval of the gain {100 * gain.low:+.1f} to {100 * gain.high:+.1f} points)"
    )


def tried(found: Tried, task: Task) -> str:
    """Return what was tried, in words, with the best of it."""
    orders = "the order of its outputs (as they are, by text, by number, the best assignment)"
    if len(found.scores) < 2:
        return orders
    usual = kind_of(task.modality).usual_inputs(task)
    normalisations = ", ".join(usual.normalisations)
    sizes = sorted({way.size or usual.side for way in found.scores})
    pixels = f"sizes of {', '.join(map(str, sizes))} px; " if len(sizes) > 1 else ""
    untried = f" ({', '.join(map(str, found.untried))} px would have taken too long)" if found.untried else ""
    best = 100 * max(found.scores.values())
    return f"normalisations ({normalisations}); {pixels}{orders}{untried}; the best of them {best:.1f} %"


def refusal(teacher: Teacher, right: str, guess: Guess, tried: str) -> str:
    """Return why a teacher is refused."""
    return (
        f"the teacher {teacher.origin} knows no more than guessing: {right} samples are right, and guessing reaches "
        f"{100 * guess.share:.1f} %. Tried: {tried}. Say what it was trained on (--teacher-mean, --teacher-std, "
        "--teacher-size), give the names of its classes in the order of its outputs (--teacher-classes FILE), or give "
        "another teacher. To go on with this one all the same: --teacher-as-is."
    )
