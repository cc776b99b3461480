"""torch.export programs: equal to the student, in a process that has torch alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import autokd
from autokd.data import Dataset
from autokd.delivery.student import Student
from autokd.spec import make
from tests.exports.helpers import bundle_of

ALONE = """
import json, sys, torch
class NoAutokd:
    def find_spec(self, name, *_):
        assert name.partition(".")[0] != "autokd", name
sys.meta_path.insert(0, NoAutokd())
told = {}
for name in sys.argv[1:]:
    about = {"autokd.json": ""}
    run = torch.export.load(f"{name}.pt2", extra_files=about).module()
    inputs = torch.load(f"{name}.inputs", weights_only=True)
    torch.save([run(inputs[:n]) for n in (1, 3, len(inputs))], f"{name}.outputs")
    told[name] = json.loads(about["autokd.json"])
print(json.dumps(told))
"""


@pytest.mark.slow
def test_answers_as_the_student_does_in_a_process_with_torch_alone(
    digits: Dataset, mixed: Dataset, tmp_path: Path
) -> None:
    students: dict[str, Student] = {}
    vit = {"network": "timm:test_vit:img_size=8,patch_size=4", "importance": "none"}
    for name, data, student in (
        ("digits", digits, None),
        ("cut", digits, make("students", "cut_teacher", vit)),
        ("mixed", mixed, make("students", "ft_transformer", {})),
    ):
        bundle = bundle_of(tmp_path / name, data, student, temperature=2.0)
        written = autokd.export_model(bundle, format="pt2", output=tmp_path / f"{name}.pt2")
        assert written.files == (tmp_path / f"{name}.pt2",)
        students[name] = autokd.load_student(bundle)
        torch.save(torch.rand(500, *data.task.input_shape), tmp_path / f"{name}.inputs")
    command = [sys.executable, "-W", "ignore", "-c", ALONE, *students]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    for name, about in json.loads(done.stdout).items():
        student = students[name]
        assert about["classes"] == list(student.classes) and about["input"]["kind"] == student.task.modality
        expected = student.module(torch.load(tmp_path / f"{name}.inputs", weights_only=True)) / 2.0
        for found in torch.load(tmp_path / f"{name}.outputs", weights_only=True):
            torch.testing.assert_close(found, expected[: len(found)], atol=1e-4, rtol=0)
