"""A pipeline as a value: `PipelineSpec`, its components, and their translation to and from plain data."""

from __future__ import annotations

from autokd.spec.component import (
    FieldInfo,
    comments_of,
    component_from_plain,
    component_to_plain,
    convert,
    fields_in,
    fields_of,
    make,
)
from autokd.spec.pipeline import Number, PipelineSpec, Slot, Slots, component_at, components, network_slot, slots
from autokd.spec.placed import PlacedLoss, bare, counting, gap_in, key_defaults, keys_of, trimmed
from autokd.spec.plain import FORMAT, converted, fingerprint, from_plain, problems, to_plain
from autokd.spec.replace import replaced

__all__ = [
    "FORMAT",
    "FieldInfo",
    "Number",
    "PipelineSpec",
    "PlacedLoss",
    "Slot",
    "Slots",
    "bare",
    "comments_of",
    "component_at",
    "component_from_plain",
    "component_to_plain",
    "components",
    "convert",
    "converted",
    "counting",
    "fields_in",
    "fields_of",
    "fingerprint",
    "from_plain",
    "gap_in",
    "key_defaults",
    "keys_of",
    "make",
    "network_slot",
    "problems",
    "replaced",
    "slots",
    "to_plain",
    "trimmed",
]
