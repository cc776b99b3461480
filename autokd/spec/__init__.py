"""A pipeline as a value: `PipelineSpec`, its components, and their translation to and from plain data."""

from __future__ import annotations

from autokd.spec.answers import (
    TEACHER,
    is_teacher,
    member_of,
    members_read,
    offered_by,
    read_by,
    read_by_plain,
    refused_teacher,
)
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
from autokd.spec.pipeline import (
    Number,
    PipelineSpec,
    Slot,
    Slots,
    beside_slots,
    component_at,
    components,
    network_slot,
    slots,
)
from autokd.spec.placed import PlacedLoss, bare, counting, gap_in, key_defaults, keys_of, trimmed
from autokd.spec.plain import FORMAT, converted, fingerprint, from_plain, problems, to_plain, without_idle
from autokd.spec.replace import replaced

__all__ = [
    "FORMAT",
    "TEACHER",
    "FieldInfo",
    "Number",
    "PipelineSpec",
    "PlacedLoss",
    "Slot",
    "Slots",
    "bare",
    "beside_slots",
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
    "is_teacher",
    "key_defaults",
    "keys_of",
    "make",
    "member_of",
    "members_read",
    "network_slot",
    "offered_by",
    "problems",
    "read_by",
    "read_by_plain",
    "refused_teacher",
    "replaced",
    "slots",
    "to_plain",
    "trimmed",
    "without_idle",
]
