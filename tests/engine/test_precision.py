"""In which precision and on how many threads a student trains."""

from __future__ import annotations

import dataclasses
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autokd.data import Dataset
from autokd.declarations import Loss, Scale, Student
from autokd.engine import precision
from autokd.engine.build import build_run, build_student
from autokd.engine.checkpoint import restore
from autokd.engine.precision import HALF_STEP, SMALL_STEP, cpu_has_bfloat16, threads_for, train_dtype
from autokd.networks.cost import student_cost
from autokd.networks.models import seeded
from autokd.spec import PipelineSpec, make
from autokd.types import IMAGE, BuildContext, Output, Task
from tests.engine.helpers import CPU, assert_same, context, losses_of, pipeline, teacher, through_a_file, trained

CUDA = torch.device("cuda")
KD = {"ce": make("losses", "ce", {}), "kd": make("losses", "kd", {})}
TASK = Task(dataset="made up", modality="image", input_shape=(3, 16, 16), classes=tuple("abcdefghij"), train_size=100)


def sized(macs: float, **parts: Any) -> tuple[PipelineSpec, nn.Module]:
    """A pipeline whose batch costs at least so many multiply-accumulates, but less if it had one sample less."""
    spec = pipeline(**parts)
    each = student_cost(spec.student, TASK).macs
    return dataclasses.replace(spec, batch_size=-int(-macs // each)), build_student(spec.student, TASK)


def macs_of(spec: PipelineSpec) -> int:
    return student_cost(spec.student, TASK).macs * spec.batch_size


def one_less(spec: PipelineSpec) -> PipelineSpec:
    return dataclasses.replace(spec, batch_size=spec.batch_size - 1)


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: True)


@pytest.mark.usefixtures("native")
def test_large_steps_on_a_cpu_with_bfloat16_use_it() -> None:
    spec, student = sized(HALF_STEP)
    assert train_dtype("auto", student, macs_of(spec), CPU) == torch.bfloat16
    assert train_dtype("auto", student, macs_of(one_less(spec)), CPU) == torch.float32
    assert train_dtype("float32", student, macs_of(spec), CPU) == torch.float32
    assert train_dtype("bfloat16", student, macs_of(one_less(spec)), CPU) == torch.bfloat16


@pytest.mark.usefixtures("native")
def test_depthwise_convolutions_stay_in_float32_on_a_cpu() -> None:
    spec, student = sized(10 * HALF_STEP, student=("mobilenet", {"depth": 2, "width": 4}))
    assert any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in student.modules())
    assert train_dtype("auto", student, macs_of(spec), CPU) == torch.float32


def test_a_cpu_without_bfloat16_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: False)
    spec, student = sized(10 * HALF_STEP)
    assert train_dtype("auto", student, macs_of(spec), CPU) == torch.float32


def test_a_gpu_computes_in_bfloat16_or_in_float16_with_scaling(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, student = sized(1)
    for has, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation, has=has: has and not including_emulation
        )
        assert train_dtype("auto", student, macs_of(spec), CUDA) == expected
        assert train_dtype("float32", student, macs_of(spec), CUDA) == torch.float32


def test_small_steps_run_on_one_thread() -> None:
    spec, _ = sized(SMALL_STEP)
    assert (threads_for(spec, TASK, 8), threads_for(one_less(spec), TASK, 8), threads_for(spec, TASK, 1)) == (8, 1, 1)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu avx512_bf16 sse", True), ("fpu amx_bf16", True), ("asimd bf16 i8mm", True), ("fpu avx512f avx2", False)],
)
def test_the_processors_flags_tell_whether_it_has_bfloat16(
    flags: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(Path, "read_text", lambda self, **options: f"model name\t: made up\nflags\t\t: {flags}\n")
    assert cpu_has_bfloat16.__wrapped__() is expected
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert cpu_has_bfloat16.__wrapped__() is False


@dataclass(frozen=True, kw_only=True)
class Typed:
    """A small student that notes the type its classifier answers in, in training and otherwise."""

    declares = Student(name="t_typed", modalities=IMAGE)

    types: dict[bool, set[torch.dtype]] = field(default_factory=lambda: {True: set(), False: set()}, compare=False)

    def build(self, context: BuildContext) -> nn.Module:
        return _Typed(make("students", "cnn", {"layers": 2, "width": 4}).build(context), self.types)


class _Typed(nn.Module):
    def __init__(self, inner: nn.Module, types: dict[bool, set[torch.dtype]]) -> None:
        super().__init__()
        self.inner = inner
        self.types = types

    def forward(self, x: Tensor) -> Output:
        output: Output = self.inner(x)
        if not x.is_meta:
            self.types[self.training].add(output.logits.dtype)
        return output


def test_a_student_trains_in_bfloat16_and_is_evaluated_in_float32(digits: Dataset) -> None:
    student = Typed()
    spec = pipeline(student=student, losses=KD, augment=("crop_flip", {}))
    where = dataclasses.replace(context(digits, teacher(digits.task)), precision="bfloat16")
    result, checkpoint = trained(where, spec, epochs=3)
    assert student.types == {True: {torch.bfloat16}, False: {torch.float32}}
    assert {value.dtype for value in checkpoint["student"].values() if value.is_floating_point()} == {torch.float32}
    exact, _ = trained(context(digits, teacher(digits.task)), spec, epochs=3)
    losses, exact_losses = ([line["loss"] for line in r.curve] for r in (result, exact))
    assert losses != exact_losses and losses == pytest.approx(exact_losses, rel=0.05)
    again, at_end = trained(where, spec, epochs=3)
    assert losses_of(again) == losses_of(result)
    assert_same(at_end, checkpoint)


def test_losses_see_float32_whatever_the_student_computes_in(digits: Dataset) -> None:
    seen: set[torch.dtype] = set()

    @dataclass(frozen=True, kw_only=True)
    class Seeing:
        declares = Loss(teacher="none", scale=Scale(1.0, "that of cross-entropy"))

        weight: float = 1.0

        def build(self, context: BuildContext) -> Any:
            def term(step: Any) -> Tensor:
                seen.update(t.dtype for t in (step.student.logits, step.student.pooled, *step.student.features))
                return -(step.targets * step.student.logits.log_softmax(-1)).sum(-1)

            return term

    where = dataclasses.replace(context(digits), precision="bfloat16")
    trained(where, pipeline(losses={"ce": Seeing()}), epochs=1)
    assert seen == {torch.float32}


def test_the_scalers_state_goes_through_a_checkpoint(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autokd.engine.build.train_dtype", lambda *arguments: torch.float16)
    where = context(digits, teacher(digits.task))
    spec = pipeline(losses=KD)
    _, half_way = trained(where, spec, epochs=4, until=2)
    assert half_way["scaler"]["_growth_tracker"] == 10 and half_way["scaler"]["scale"] == 65536.0
    stored = through_a_file(half_way)
    stored["scaler"]["scale"] = 128.0
    with seeded(1):
        made = build_run(where, spec, 4 * 129)
    assert restore(made, stored) == 2 * 129
    assert (made.student.scaler.get_scale(), made.student.scaler.state_dict()["_growth_tracker"]) == (128.0, 10)
    rest, at_end = trained(where, spec, epochs=4, start=through_a_file(half_way))
    whole, at_end_too = trained(where, spec, epochs=4)
    assert_same(at_end, at_end_too)
    assert losses_of(whole)[2:] == losses_of(rest)


def test_a_checkpoint_moves_between_machines_with_and_without_scaling(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, spec = context(digits), pipeline()
    _, plain = trained(where, spec, until=1)
    assert plain["scaler"] == {}
    with monkeypatch.context() as patch:
        patch.setattr("autokd.engine.build.train_dtype", lambda *arguments: torch.float16)
        _, scaled = trained(where, spec, start=through_a_file(plain))
        assert scaled["scaler"]["scale"] > 0
        _, scaled = trained(where, spec, until=1)
    _, back = trained(where, spec, start=through_a_file(scaled))
    assert back["scaler"] == {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_student_trains_on_a_gpu(digits: Dataset) -> None:
    student = Typed()
    where = dataclasses.replace(context(digits, teacher(digits.task).to(CUDA)), device=CUDA)
    result, _ = trained(where, pipeline(student=student, losses=KD), epochs=3)
    assert student.types[True] <= {torch.bfloat16, torch.float16} and student.types[False] == {torch.float32}
    assert result.curve[-1]["loss"] < result.curve[0]["loss"]
