"""An ONNX model in 8 bits answers about raw samples, and what that costs is told and kept."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

import autokd
from autokd.batching import single
from autokd.data import Dataset
from autokd.errors import UserError
from autokd.graphs import running
from autokd.spec import make
from autokd.study.int8 import measured_int8
from tests.exports.helpers import bundle_of


def test_it_takes_raw_samples_and_its_cost_is_that_of_the_file(digits: Dataset, tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "student", digits, make("students", "cnn", {"width": 32, "layers": 3}))
    in_float = autokd.export_model(bundle, format="onnx", output=tmp_path / "it.onnx", dataset=digits)
    written = autokd.export_model(bundle, format="onnx", int8=True, output=tmp_path / "it-int8.onnx", dataset=digits)
    found = measured_int8(bundle)
    assert found is not None and found.validation.n == len(digits.validation)
    assert (found.size, found.float_size) == tuple(each.files[0].stat().st_size for each in (written, in_float))
    assert found.size < 0.5 * found.float_size
    assert any(remark.startswith("accuracy on validation: ") for remark in written.remarks)
    session = running.session(written.files[0], threads=1)
    pixels = single(digits.validation.inputs).numpy().transpose(0, 2, 3, 1)
    labels = np.array(session.run(["label"], {"image": pixels})[0])
    expected = np.array(digits.task.classes)[digits.validation.labels.numpy()]
    assert (labels == expected).mean() == pytest.approx(found.validation.accuracy)
    nodes = Counter(node.op_type for node in onnx.load(written.files[0]).graph.node)
    assert nodes["QuantizeLinear"] >= 4 and nodes["Conv"] == 3


def test_a_transformer_cut_down_whose_norms_are_all_alike(digits: Dataset, tmp_path: Path) -> None:
    vit = {"network": "timm:test_vit:img_size=8,patch_size=4", "importance": "none"}
    bundle = bundle_of(tmp_path / "student", digits, make("students", "cut_teacher", vit))
    written = autokd.export_model(bundle, format="onnx", int8=True, output=tmp_path / "it.onnx", dataset=digits)
    pixels = single(digits.validation.inputs)[:64]
    logits = running.session(written.files[0], threads=1).run(
        ["logits"], {"image": pixels.numpy().transpose(0, 2, 3, 1)}
    )
    expected = autokd.load_student(bundle).module(pixels / 255).detach().numpy()
    assert np.abs(logits[0] - expected).mean() < 0.5 * expected.std()


def test_a_form_without_8_bits_says_which_has_them(digits: Dataset, tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "student", digits)
    with pytest.raises(UserError, match=r"^--int8 is not for --format pt2; it is for onnx, runtime$"):
        autokd.export_model(bundle, format="pt2", int8=True, output=tmp_path / "it.pt2")
