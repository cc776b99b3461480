"""A pipeline with a peer at full length: it goes on as it was, needs no teacher, and delivers the student alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from autokd.data import Dataset
from autokd.delivery import pipeline_file
from autokd.delivery.full_training import Given, train
from autokd.delivery.pipeline_file import PipelineFile
from autokd.delivery.teller import Listeners
from autokd.spec import make
from tests.delivery.helpers import CPU, pipeline_for


def mutual(data: Dataset) -> PipelineFile:
    file = pipeline_for(data, distil=False)
    losses = {"ce": make("losses", "ce", {}), "soft": make("losses", "kd", {"teacher": "peer"})}
    peer = make("students", "cnn", {"layers": 2, "width": 8})
    return dataclasses.replace(file, spec=dataclasses.replace(file.spec, losses=losses, peer=peer))


def test_it_is_resumed_and_delivers_the_student_alone(digits: Dataset, tmp_path: Path) -> None:
    def stop(line: Mapping[str, Any]) -> None:
        if line["epoch"] == 2:
            raise KeyboardInterrupt

    pipeline_file.write(tmp_path / "pipeline.yaml", mutual(digits).to_plain())
    file = pipeline_file.read(tmp_path / "pipeline.yaml")
    assert file.spec == mutual(digits).spec
    whole = train(file, tmp_path / "whole", Given(digits), device=CPU)
    with pytest.raises(KeyboardInterrupt):
        train(file, tmp_path / "cut", Given(digits), device=CPU, listeners=Listeners(on_epoch=stop))
    rest = train(file, tmp_path / "cut", Given(digits), device=CPU)
    assert rest | {"seconds": 0} == whole | {"seconds": 0}
    assert set(whole["curve"][-1]["peer"]["terms"]) == {"ce", "soft"}
    bytes_of = [(tmp_path / name / "student.safetensors").read_bytes() for name in ("whole", "cut")]
    assert bytes_of[0] == bytes_of[1]
    state = load_file(tmp_path / "whole" / "student.safetensors")
    assert sum(tensor.numel() for name, tensor in state.items() if "running" not in name) < 2 * whole["params"]
