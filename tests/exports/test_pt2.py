"""torch.export programs: equal to the student, in a process that has torch alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import autokd
from autokd.delivery.student import Student
from tests.exports.helpers import bundle_of

ALONE = """
import json, sys, torch
class NoAutokd:
    def find_spec(self, name, *_):
        assert name.partition(".")[0] != "autokd", name
sys.meta_path.insert(0, NoAutokd())
about = {"autokd.json": ""}
run = torch.export.load(sys.argv[1], extra_files=about).module()
inputs = torch.load(sys.argv[2], weights_only=True)
torch.save([run(inputs[:n]) for n in (1, 3, len(inputs))], sys.argv[3])
print(about["autokd.json"])
"""


@pytest.mark.parametrize("name", ["digits", "cancer"])
def test_answers_as_the_student_does_in_a_process_with_torch_alone(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    bundle = bundle_of(tmp_path / "student", request.getfixturevalue(name), temperature=2.0)
    written = autokd.export_model(bundle, format="pt2", output=tmp_path / "it.pt2")
    assert written.files == (tmp_path / "it.pt2",)
    student: Student = autokd.load_student(bundle)
    inputs = torch.rand(500, *student.task.input_shape)
    torch.save(inputs, tmp_path / "inputs.pt")
    paths = [str(tmp_path / file) for file in ("it.pt2", "inputs.pt", "outputs.pt")]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ALONE, *paths], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    about = json.loads(done.stdout)
    assert about["classes"] == list(student.classes) and about["input"]["kind"] == student.task.modality
    expected = student.module(inputs) / 2.0
    for found in torch.load(tmp_path / "outputs.pt", weights_only=True):
        torch.testing.assert_close(found, expected[: len(found)], atol=1e-4, rtol=0)
