"""No place outside the kinds of input, and the components for some of them, knows what an image or a table is."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

import autokd

PACKAGE = Path(autokd.__file__).parent
HOME = frozenset({"modalities", "datasets", "augments", "students", "imaging", "testing"})
"""Folders that may know: the kinds themselves, the components that are for some of them, what augmentations of images
share, and the conformance suites, which are tests."""
ALLOWED: frozenset[tuple[str, str]] = frozenset(
    {
        ("types.py", "names 'image'"),  # IMAGE, which components declare
        ("types.py", "names 'table'"),  # TABLE
        ("teachers/_timm.py", "reads input_shape"),  # loads models of images, as it declares
        ("teachers/_torchvision.py", "reads input_shape"),
        ("teachers/row_models.py", "asks for the type of samples"),  # of answers, which may name their classes
        ("teachers/prediction_file.py", "names 'image'"),  # a heading of a column, as people write it
    }
)
"""(file, what it does) that is known to be left."""
INPUTS = frozenset({"inputs", "raw", "stored", "images", "pixels", "batch", "rows", "frame", "table"})
"""What a variable or an attribute with samples in it is called."""


def findings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line, and what it does, of each place that knows one kind of input from another."""
    tree = ast.parse(source)
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and _is_text(node.value)}
    for node in ast.walk(tree):
        if id(node) not in texts and (found := _finding(node)):
            yield node.lineno, found  # type: ignore[attr-defined]


def _finding(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value="image" | "table" as kind):
            return f"names {kind!r}"
        case ast.Constant(value=255):
            return "knows the levels of pixels"
        case ast.Attribute(attr="channels_last"):
            return "lays out images"
        case ast.Compare() if _compares_modality([node.left, *node.comparators]):
            return "compares a kind of input"
        case ast.Compare() if any(_is_attribute(part, "uint8") for part in [node.left, *node.comparators]):
            return "compares with uint8"
        case ast.Subscript(value=ast.Attribute(attr="modality")) | ast.Subscript(slice=ast.Attribute(attr="modality")):
            return "looks up a kind of input"
        case ast.Match(subject=ast.Attribute(attr="modality")):
            return "matches a kind of input"
        case ast.Subscript(value=ast.Attribute(attr="inputs") | ast.Name(id="inputs")):
            return "looks inside inputs"
        case ast.Attribute(value=ast.Attribute(attr="inputs")):
            return "looks inside inputs"
        case ast.Subscript(value=ast.Attribute(attr="input_shape")):
            return "reads input_shape"
        case ast.Assign(targets=[ast.Tuple()], value=ast.Attribute(attr="input_shape")):
            return "reads input_shape"
        case ast.Call(func=ast.Name(id="len"), args=[ast.Attribute(attr="input_shape")]):
            return "reads input_shape"
        case ast.Call(func=ast.Name(id="isinstance"), args=[value, cls]) if _holds_samples(value) or _names_frame(cls):
            return "asks for the type of samples"
        case ast.Attribute(attr="ndim" | "dim", value=value) if _holds_samples(value):
            return "asks for the dimensions of samples"
    return None


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _compares_modality(parts: list[ast.expr]) -> bool:
    """Whether a kind of input is compared with what is written down, not with another variable."""
    known = any(isinstance(part, ast.Constant) or (isinstance(part, ast.Name) and part.id.isupper()) for part in parts)
    return known and any(_is_attribute(part, "modality") for part in parts)


def _is_attribute(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == name


def _holds_samples(node: ast.expr) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr in INPUTS) or (
        isinstance(node, ast.Name) and node.id in INPUTS
    )


def _names_frame(node: ast.expr) -> bool:
    return any(isinstance(part, ast.Name) and part.id == "DataFrame" for part in ast.walk(node))


@functools.cache
def found_in_package() -> frozenset[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for path in PACKAGE.rglob("*.py"):
        inside = path.relative_to(PACKAGE)
        if inside.parts[0] not in HOME and inside.name != "batching.py":
            found |= {(inside.as_posix(), what) for _, what in findings(path.read_text(encoding="utf-8"))}
    return frozenset(found)


def test_nobody_else_knows_an_image_or_a_table() -> None:
    assert found_in_package() - ALLOWED == set()


def test_what_is_allowed_is_there() -> None:
    assert ALLOWED - found_in_package() == set()


@pytest.mark.parametrize(
    "code",
    [
        "if task.modality == 'image': ...",
        "SIZES[task.modality]",
        "task.modality in IMAGE",
        "{'image': 1}",
        "if isinstance(raw.inputs, Tensor): ...",
        "if inputs.dim() == 4: ...",
        "x = batch.inputs.ndim",
        "few = batch.inputs[:3]",
        "x = split.inputs.to(device)",
        "stored.float().div_(255)",
        "if stored.dtype == torch.uint8: ...",
        "channels, height, width = task.input_shape",
        "len(task.input_shape) == 3",
        "student.to(memory_format=torch.channels_last)",
        "index = x.index if isinstance(x, DataFrame) else None",
        "match task.modality:\n    case _: ...",
    ],
)
def test_what_counts(code: str) -> None:
    assert list(findings(code))


@pytest.mark.parametrize(
    "code",
    [
        '"""An image, or a table."""',
        '"""image"""',
        "kind_of(task.modality).fit(raw)",
        "raw.modality != declared",
        "declares = Loss(modalities=IMAGE)",
        "torch.zeros(2, *task.input_shape)",
        "tensor.view(torch.uint8)",
        "feature.ndim == 4",
    ],
)
def test_what_does_not_count(code: str) -> None:
    assert not list(findings(code))
