"""Preprocessing as ONNX nodes: pixels as Pillow's, and the parts of dates as pandas has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper
from PIL import Image
from sklearn.datasets import load_sample_images

from autokd.errors import ComponentError
from autokd.graphs import running
from autokd.modalities import dates
from autokd.modalities.columns import DateColumn
from autokd.modalities.images import ImagePreprocess, Reading, conform
from autokd.modalities.picture_graph import picture_nodes
from autokd.modalities.rows import TablePreprocess
from autokd.modalities.table_graph import table_nodes
from autokd.nodes import ML, ML_VERSION, Nodes

PHOTO = Image.fromarray(load_sample_images().images[0])


def session_of(nodes: Nodes, output: str) -> Any:
    shown = [helper.make_tensor_value_info(output, helper.np_dtype_to_tensor_dtype(np.dtype("f4")), None)]
    graph = helper.make_graph(nodes.nodes, "nodes", nodes.entries, shown, nodes.constants)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(ML, ML_VERSION)]
    return running.session(helper.make_model(graph, opset_imports=opsets, ir_version=8), threads=1)


def differences(size: tuple[int, int], rule: str, channels: int, pictures: Sequence[Image.Image]) -> NDArray[np.int64]:
    """By how many levels the graph's pixels differ at most from Pillow's, for each picture."""
    moments = {"mean": (0.25,) * channels, "std": (0.5,) * channels}
    preprocess = ImagePreprocess(
        classes=("a", "b"), channels=channels, size=size, reading=Reading(resize=rule), **moments
    )
    nodes = Nodes("prepare")
    session = session_of(nodes, picture_nodes(nodes, preprocess))
    found = []
    for picture in pictures:
        pixels = np.atleast_3d(np.asarray(picture))
        expected = conform(torch.tensor(pixels).permute(2, 0, 1)[None], size, channels, rule).numpy()
        levels = 255 * (0.5 * session.run(None, {"image": pixels[None]})[0] + 0.25)
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
        found.append(np.abs(np.rint(levels) - expected).max())
    return np.array(found, dtype=np.int64)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("rule", ["crop", "pad", "squash"])
def test_wide_pictures_have_the_pixels_of_pillow(rule: str, channels: int) -> None:
    sizes = ((640, 427), (301, 211), (64, 48), (49, 32), (31, 9), (33, 32), (1, 1))
    pictures = [PHOTO.resize(size).convert(mode) for size in sizes for mode in ("RGB", "L")]
    assert differences((32, 32), rule, channels, pictures).max() == 0
    assert differences((20, 36), rule, channels, pictures[:6]).max() <= 1


@pytest.mark.parametrize("rule", ["crop", "pad", "squash"])
def test_tall_pictures_have_the_pixels_of_pillow_but_for_a_level(rule: str) -> None:
    pictures = [PHOTO.crop((0, 0, *size)) for size in ((200, 400), (9, 31), (32, 47), (3, 200))]
    assert differences((32, 32), rule, 3, pictures).max() <= 1


def test_the_parts_of_dates() -> None:
    texts = ["1970-01-01", "1969-12-31 23:59:59", "2000-02-29 12:00", "1900-03-01 00:00", "2024-12-31 23:59:59.999999"]
    texts += [str(np.datetime64("1901-01-01T05:30") + np.timedelta64(173 * day, "h")) for day in range(0, 9000, 7)]
    parsed = dates.parse(texts, dates.ISO)
    expected = dates.parts(parsed)
    column = DateColumn(
        name="when",
        pattern=dates.ISO,
        parts=dates.PARTS,
        medians=(0.0, 2000.0, 6.0, 15.0, 3.0, 12.0),
        means=(0.0,) * 6,
        scales=(1.0,) * 6,
        missing=True,
    )
    nodes = Nodes("prepare")
    preprocess = TablePreprocess(classes=("a", "b"), columns=(column,))
    session = session_of(nodes, table_nodes(nodes, preprocess))
    seconds = [*(each.timestamp() for each in parsed), np.nan]
    found = session.run(None, {"when": np.array(seconds)[:, None]})[0]
    np.testing.assert_array_equal(found[:-1, 1:-1], expected[:, 1:])
    np.testing.assert_allclose(found[:-1, 0], expected[:, 0], rtol=1e-6)
    assert found[-1].tolist() == [0, 2000, 6, 15, 3, 12, 1] and not found[:-1, -1].any()


def test_a_column_without_a_name_is_refused() -> None:
    column = DateColumn(
        name="", pattern=dates.ISO, parts=("days",), medians=(0.0,), means=(0.0,), scales=(1.0,), missing=False
    )
    with pytest.raises(ComponentError, match="a column has no name"):
        table_nodes(Nodes("prepare"), TablePreprocess(classes=("a", "b"), columns=(column,)))
