"""Augmentation policies as plain code: the lines that augment a batch of inputs and targets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from autokd.errors import ComponentError
from autokd.exports.code import plain
from autokd.exports.code.source import Code, place_of
from autokd.spec import component_to_plain
from autokd.types import IMAGE, Task

Lines = list[str]


def write_augment(code: Code, component: Any, task: Task) -> Lines:
    """Add to the code what a policy needs.

    Args:
      code: is added to.
      component: the policy.
      task: whose samples it changes.
    Returns:
      The lines that change `inputs`, samples as the policy sees them (images in [0, 1]), and `targets` [B, C]; none
      where nothing changes.

    Raises:
      ComponentError: it cannot be written down.
    """
    fields = component_to_plain(component)
    write = _POLICIES.get(fields["use"])
    if write is None:
        raise ComponentError(f"it has no plain form; {', '.join(_POLICIES)} have one")
    return write(code, fields, task)


def _nothing(code: Code, fields: Mapping[str, Any], task: Task) -> Lines:
    return []


def _crop_flip(code: Code, fields: Mapping[str, Any], task: Task) -> Lines:
    """The crop and flip with which the policies for images begin."""
    if task.modality not in IMAGE:
        return []
    height, width = task.input_shape[1:]
    down, right = math.ceil(fields["padding"] * height), math.ceil(fields["padding"] * width)
    if down == right == 0 and not fields["flip"]:
        return []
    return [f"inputs = {code.require(place_of(plain.crop_flip))}(inputs, {down}, {right}, flip={fields['flip']})"]


def _mixup(code: Code, fields: Mapping[str, Any], task: Task) -> Lines:
    call = f"{code.require(place_of(plain.mixup))}(inputs, targets, {fields['alpha']!r})"
    return [*_crop_flip(code, fields, task), f"inputs, targets = {call}"]


def _cutmix(code: Code, fields: Mapping[str, Any], task: Task) -> Lines:
    given = f"inputs, targets, {fields['alpha']!r}, {fields['probability']!r}"
    return [
        *_crop_flip(code, fields, task),
        f"inputs, targets = {code.require(place_of(plain.cutmix))}({given})",
    ]


def _random_erasing(code: Code, fields: Mapping[str, Any], task: Task) -> Lines:
    given = f"inputs, {fields['probability']!r}, {fields['area']!r}, {fields['aspect']!r}"
    return [*_crop_flip(code, fields, task), f"inputs = {code.require(place_of(plain.random_erasing))}({given})"]


def _feature_noise(code: Code, fields: Mapping[str, Any], task: Task) -> Lines:
    code.imports.setdefault("torch", "import torch")
    spread = f"{fields['std']!r} * data['std']" if task.std else repr(fields["std"])
    return [f"inputs = inputs + {spread} * torch.randn_like(inputs)".replace("'", '"')]


_POLICIES: Mapping[str, Callable[[Code, Mapping[str, Any], Task], Lines]] = {
    "none": _nothing,
    "crop_flip": _crop_flip,
    "mixup": _mixup,
    "cutmix": _cutmix,
    "random_erasing": _random_erasing,
    "feature_noise": _feature_noise,
}
