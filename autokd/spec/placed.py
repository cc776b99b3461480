"""A loss as it stands in a pipeline: with the engine's keys, where they are not the defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autokd.components import LossComponent
from autokd.declarations import Loss
from autokd.loss_keys import KEYS, LossKeys
from autokd.types import BuildContext, Term


@dataclass(frozen=True, kw_only=True)
class PlacedLoss:
    """A loss with keys of its own; to whoever trains with it a loss like any other.

    Args:
      loss: the component.
      keys: what the engine is to do with it.
    """

    loss: LossComponent
    keys: LossKeys

    @property
    def declares(self) -> Loss:
        """What the loss declares."""
        return self.loss.declares

    @property
    def weight(self) -> float:
        """Weight of the term, relative to its scale."""
        return self.loss.weight

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step."""
        return self.loss.build(context)


def place(component: LossComponent, keys: LossKeys) -> LossComponent:
    """Return a component with its keys; the component itself where they are the defaults."""
    return component if keys == type(keys)() else PlacedLoss(loss=component, keys=keys)


def bare(component: Any) -> Any:
    """Return a component without the engine's keys."""
    return component.loss if isinstance(component, PlacedLoss) else component


def keys_of(loss: LossComponent) -> LossKeys:
    """Return the engine's keys of a loss in a pipeline."""
    return loss.keys if isinstance(loss, PlacedLoss) else LossKeys()


def key_defaults(kind: str) -> dict[str, Any]:
    """Return the keys that components of a kind have in a pipeline, with their defaults.

    >>> key_defaults("losses"), key_defaults("students")
    ({'begin': 0.0, 'end': 1.0, 'teacher': ''}, {})
    """
    return dataclasses.asdict(KEYS[kind]()) if kind in KEYS else {}


def trimmed(kind: str, plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plain component without the keys that have their defaults: the form in which pipelines are compared.

    >>> trimmed("losses", {"use": "kd", "begin": 0.0, "end": 0.3})
    {'use': 'kd', 'end': 0.3}
    """
    defaults = key_defaults(kind)
    return {key: value for key, value in plain.items() if key not in defaults or value != defaults[key]}


def gap(windows: Iterable[LossKeys]) -> tuple[float, float] | None:
    """Return the first stretch of training in which no term counts, or None where there is none.

    >>> gap([LossKeys(end=0.3), LossKeys(begin=0.5)]), gap([LossKeys(end=0.3), LossKeys(begin=0.2)])
    ((0.3, 0.5), None)
    """
    done = 0.0
    for window in sorted(windows, key=lambda window: window.begin):
        if window.begin > done:
            return done, window.begin
        done = max(done, window.end)
    return (done, 1.0) if done < 1 else None


def counting(losses: Iterable[LossComponent]) -> list[LossKeys]:
    """Return the keys of those losses that count: one of weight 0 never does."""
    return [keys_of(loss) for loss in losses if loss.weight]


def gap_in(windows: Iterable[LossKeys]) -> str | None:
    """Say in which stretch of training no term counts; None where there is none."""
    found = gap(windows)
    if found is None:
        return None
    return f"no term counts from {found[0]:g} to {found[1]:g} of training; their begin and end must cover all of it"
