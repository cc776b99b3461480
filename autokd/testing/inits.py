"""What every start of a student's weights must do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from autokd.engine.build import build_student
from autokd.engine.start import Started
from autokd.errors import ComponentError
from autokd.files import write_tensors
from autokd.networks.located import located
from autokd.networks.models import as_output, seeded
from autokd.spec import component_to_plain, make
from autokd.testing.suite import Suite, task_of
from autokd.types import BuildContext, Task


class InitSuite(Suite):
    """What every start must do, on a small student; one that reads a file is given that student's trained weights."""

    kind = "inits"
    tasks = (task_of((3, 16, 16)), task_of((6,), classes=3))

    @classmethod
    def start_of(cls, component: type[Any], task: Task, folder: Path) -> Any:
        """Return the start that is tested; override it for one that reads another kind of file."""
        declares = component.declares
        if not declares.file:
            return component()
        write_tensors(folder / "start.safetensors", dict(student_on(task, 7).state_dict()))
        return component(**located({declares.file: "start.safetensors"}, declares, folder))

    def test_gives_whole_weights_of_the_same_form_every_time(self, component: Any, task: Task, tmp_path: Path) -> None:
        start, notes = self.start_of(component, task, tmp_path), list[str]()
        form = student_on(task, 1).state_dict()
        one, other = (student_on(task, 1, Started(_student(task), start, notes)).state_dict() for _ in range(2))
        assert {key: value.shape for key, value in one.items()} == {key: value.shape for key, value in form.items()}
        assert all(torch.equal(one[key], other[key]) and one[key].isfinite().all() for key in one)
        assert all("\n" not in note for note in notes)

    def test_the_student_trains_from_it(self, component: Any, task: Task, tmp_path: Path) -> None:
        student = student_on(task, 1, Started(_student(task), self.start_of(component, task, tmp_path))).train()
        inputs = torch.randn(8, *task.input_shape, generator=torch.Generator().manual_seed(3))
        torch.autograd.backward(as_output(student(inputs)).logits.logsumexp(1).sum())
        assert [key for key, p in student.named_parameters() if not p.requires_grad or p.grad is None] == []

    def test_a_file_that_is_gone_or_has_changed_is_one_line(self, component: Any, tmp_path: Path) -> None:
        task, declares = self.any_task(component), component.declares
        if not declares.file:
            return
        start = self.start_of(component, task, tmp_path)
        plain = {key: value for key, value in component_to_plain(start).items() if key != "use"}
        path = Path(plain[declares.file])
        for change in (lambda: path.write_bytes(path.read_bytes() + b" "), path.unlink):
            change()
            with pytest.raises(ComponentError) as error:
                start.build(BuildContext(task=task))(student_on(task, 1))
            assert str(path) in str(error.value) and "\n" not in str(error.value)
        with pytest.raises(ComponentError, match=str(path)):
            located({declares.file: str(path)}, declares, tmp_path)


def student_on(task: Task, seed: int, student: Any = None) -> nn.Module:
    """Return the small student that starts are tried on, or another one, from a seed."""
    with seeded(seed):
        return build_student(_student(task) if student is None else student, task)


def _student(task: Task) -> Any:
    return make("students", "cnn" if task.modality == "image" else "mlp", {"width": 8})
