"""The conformance suites find what is wrong: a component with one fault fails the test that is about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from autokd import declarations
from autokd.batching import single
from autokd.declarations import Head, Loss, Scale, Schedule, Student
from autokd.losses import kd
from autokd.losses.common import teacher_of
from autokd.ranges import Choice, Real
from autokd.testing import (
    AugmentSuite,
    HeadSuite,
    LossSuite,
    OptimizerSuite,
    ProxySuite,
    ScheduleSuite,
    StudentSuite,
)
from autokd.testing.losses import IMAGES
from autokd.testing.suite import Suite, task_of
from autokd.types import Augment, BuildContext, Output, ScreenInput, Step, Term, View
from tests.processes import ANEW, run

ONE = Scale(1.0, "made up")
Weight = Annotated[float, Real(0.1, 10.0, log=True)]


@dataclass(frozen=True, kw_only=True)
class Leaky:
    """A gradient reaches the teacher."""

    declares = Loss(name="leaky", teacher="stored", scale=ONE)
    weight: Weight = 1.0  # of the term

    def build(self, context: BuildContext) -> Term:
        return lambda step: (step.student.logits - teacher_of(step).logits).float().square().sum(-1)


@dataclass(frozen=True, kw_only=True)
class Blind:
    """It says that it reads no teacher, and does."""

    declares = Loss(name="blind", teacher="none", scale=ONE)
    weight: Weight = 1.0  # of the term

    def build(self, context: BuildContext) -> Term:
        return lambda step: kd(step.student.logits, teacher_of(step).logits)


@dataclass(frozen=True, kw_only=True)
class Undeclared:
    """It reads the embeddings and does not say so, has a field that does nothing, and gives one number a batch."""

    declares = Loss(name="undeclared", teacher="stored", scale=ONE)
    weight: Weight = 1.0  # of the term
    idle: Annotated[float, Real(0.0, 1.0)] = 0.5  # does nothing

    def build(self, context: BuildContext) -> Term:
        def term(step: Step) -> Tensor:
            pooled = step.student.pooled
            assert pooled is not None
            return kd(step.student.logits, teacher_of(step).logits).mean() + 0 * pooled.sum()

        return term


@dataclass(frozen=True, kw_only=True)
class Naive:
    """Softmax, then a logarithm."""

    declares = Loss(name="naive", teacher="stored", scale=ONE)
    weight: Weight = 1.0  # of the term

    def build(self, context: BuildContext) -> Term:
        def term(step: Step) -> Tensor:
            teacher = teacher_of(step).logits.detach().float().softmax(-1)
            return (teacher * (teacher.log() - step.student.logits.float().softmax(-1).log())).sum(-1)

        return term


@dataclass(frozen=True, kw_only=True)
class Hiding:
    """A layer that the optimizer never sees."""

    declares = Loss(name="hiding", teacher="none", scale=ONE)
    weight: Weight = 1.0  # of the term

    def build(self, context: BuildContext) -> Term:
        layer = nn.Linear(5, 5)
        return lambda step: layer(step.student.logits.float()).square().sum(-1)


@dataclass(frozen=True, kw_only=True)
class Outside:
    """A default outside its range, and a field that says nothing."""

    declares = Loss(name="outside", teacher="none", scale=ONE)
    weight: Weight = 0.0  # of the term
    silent: bool = False

    def build(self, context: BuildContext) -> Term:
        return lambda step: step.student.logits.square().sum(-1)


@dataclass(kw_only=True)
class Thawed:
    """It can be changed, and excludes what is not there."""

    declares = Loss(name="thawed", teacher="none", scale=ONE, excludes={"kdd"})
    weight: Weight = 1.0  # of the term

    def build(self, context: BuildContext) -> Term:
        return lambda step: step.student.logits.square().sum(-1)


@dataclass(frozen=True, kw_only=True)
class Taking:
    """It has a field of a name that the engine has for its own key."""

    declares = Loss(name="taking", teacher="none", scale=ONE)
    weight: Weight = 1.0  # of the term
    begin: Annotated[float, Real(0.0, 1.0)] = 0.5  # something else

    def build(self, context: BuildContext) -> Term:
        return lambda step: self.begin * step.student.logits.square().sum(-1)


@pytest.mark.parametrize(
    ("component", "test", "arguments"),
    [
        (Leaky, "test_no_gradient_reaches_the_teacher", {}),
        (Blind, "test_reads_the_teacher_only_if_it_says_so", {}),
        (Undeclared, "test_reads_what_it_declares_and_nothing_else", {"task": IMAGES}),
        (Undeclared, "test_every_searched_field_matters", {}),
        (Undeclared, "test_one_loss_a_sample_unless_a_batch_statistic_and_finite", {"task": IMAGES, "device": "cpu"}),
        (Undeclared, "test_permuting_the_batch_permutes_the_loss", None),
        (Naive, "test_finite_at_a_logit_gap_of_1000", {}),
        (Hiding, "test_parameters_are_registered_and_learn", {}),
        (Outside, "test_fields_have_a_default_inside_their_range_and_a_comment", {}),
        (Thawed, "test_is_a_component_of_its_kind", {}),
        (Taking, "test_is_a_component_of_its_kind", {}),
        (Thawed, "test_what_it_excludes_and_requires_is_there", {}),
    ],
)
def test_the_suite_of_losses_finds_the_fault(component: Any, test: str, arguments: Mapping[str, Any] | None) -> None:
    class Tests(LossSuite):
        components = (component,)

    if arguments is None:  # no fault in this respect
        getattr(Tests(), test)(component)
        return
    with pytest.raises((AssertionError, ValueError)):
        getattr(Tests(), test)(component=component, **arguments)


@dataclass(frozen=True, kw_only=True)
class Chatty:
    """Answers differ from call to call, and part of the network does nothing."""

    declares = Student(name="chatty", modalities={"table"})

    def build(self, context: BuildContext) -> nn.Module:
        return _Chatty(context.task.num_classes)


class _Chatty(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.fc, self.idle = nn.LazyLinear(classes), nn.Linear(2, 2)
        self.fc(torch.zeros(1, 5))

    def forward(self, x: Tensor) -> Output:
        return Output(self.fc(x) + torch.randn(1))


@dataclass(frozen=True, kw_only=True)
class Wrapping:
    """Its form follows the teacher's weights, which it does not say that it needs."""

    declares = Head(name="wrapping")

    def build(self, context: BuildContext) -> Callable[[nn.Module], nn.Module]:
        assert context.teacher is not None
        return lambda student: student


@dataclass(frozen=True, kw_only=True)
class Batchwise:
    """A sample's view depends on the others of its batch, and on the global random state."""

    declares = declarations.Augment(name="batchwise", modalities={"table"})
    width: float = 0.1  # never searched

    def build(self, context: BuildContext) -> Augment:
        def apply(view: View, *_: Any) -> View:
            return view._replace(inputs=single(view.inputs) - single(view.inputs).mean(0) + torch.rand(1))

        return Augment(lambda generator, n, u: {}, apply)


@dataclass(frozen=True, kw_only=True)
class Forgetful:
    """Its momentum is in no state."""

    declares = declarations.Optimizer(name="forgetful")
    learning_rate: Annotated[float, Real(1e-3, 1.0, log=True)] = 0.1  # peak

    def build(self, context: BuildContext) -> Callable[[Any], torch.optim.Optimizer]:
        return lambda parameters: _Forgetful(parameters, self.learning_rate)


class _Forgetful(torch.optim.SGD):
    def __init__(self, parameters: Any, rate: float) -> None:
        super().__init__(parameters, rate, weight_decay=0.1)
        self.steps = 0

    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        for group in self.param_groups:
            group["lr"] *= self.steps
        return super().step(closure)


@dataclass(frozen=True, kw_only=True)
class Counting:
    """It counts how often it was asked, and rises above the peak."""

    declares = Schedule(name="counting")
    asked: ClassVar[list[float]] = []

    def build(self, context: BuildContext) -> Callable[[float], float]:
        def factor(u: float) -> float:
            self.asked.append(u)
            return 0.1 * len(self.asked)

        return factor


@dataclass(frozen=True, kw_only=True)
class Stirring:
    """It draws from the global random state."""

    declares = declarations.Proxy(name="stirring", higher_is_better=True)
    seeds: Annotated[int, Choice(1, 2)] = 1  # initialisations

    def build(self, context: BuildContext) -> Callable[[ScreenInput], float]:
        return lambda screen: float(torch.rand(()))


TABLE = task_of((5,), classes=7)


@pytest.mark.parametrize(
    ("suite", "component", "test", "arguments"),
    [
        (StudentSuite, Chatty, "test_output_has_the_declared_shapes", {"task": TABLE}),
        (StudentSuite, Chatty, "test_gradient_reaches_every_parameter", {"task": TABLE}),
        (StudentSuite, Chatty, "test_eval_mode_repeats_itself_and_keeps_samples_apart", {}),
        (HeadSuite, Wrapping, "test_its_form_needs_no_weights_of_the_teacher", {"task": task_of((6,), classes=3)}),
        (AugmentSuite, Batchwise, "test_fields_are_coarse_grids_that_hold_their_defaults", {}),
        (AugmentSuite, Batchwise, "test_views_do_not_depend_on_the_batch", {"task": task_of((6,))}),
        (AugmentSuite, Batchwise, "test_global_random_state_is_left_alone", {"task": task_of((6,))}),
        (AugmentSuite, Batchwise, "test_the_seed_decides", {"task": task_of((6,))}),
        (OptimizerSuite, Forgetful, "test_resumes_bit_for_bit_also_from_another_memory_layout", {}),
        (
            OptimizerSuite,
            Forgetful,
            "test_every_parameter_trains_at_the_learning_rate_and_weights_only_decay",
            {},
        ),
        (ScheduleSuite, Counting, "test_is_a_share_of_the_peak_at_every_share_of_training", {}),
        (ScheduleSuite, Counting, "test_is_a_function_of_the_share_of_training_alone", {}),
        (ProxySuite, Stirring, "test_leaves_random_state_teacher_and_batch_alone", {"task": ProxySuite.tasks[1]}),
        (
            ProxySuite,
            Stirring,
            "test_same_seed_same_score_and_the_order_of_students_does_not_matter",
            {"task": ProxySuite.tasks[1]},
        ),
    ],
)
def test_the_other_suites_find_the_fault(
    suite: type[Suite], component: Any, test: str, arguments: Mapping[str, Any]
) -> None:
    bound = type("Tests", (suite,), {"components": (component,)})()
    with pytest.raises(AssertionError):
        getattr(bound, test)(component=component, **arguments)


def test_a_suite_that_names_no_component_says_so() -> None:
    class Tests(LossSuite):
        pass

    with pytest.raises(
        pytest.UsageError, match=r"Tests tests nothing; say which, as in: components = \(MyComponent,\)"
    ):
        Tests.pytest_generate_tests(None)  # type: ignore[arg-type]


def test_without_pytest_it_says_how_to_get_it(tmp_path: Path) -> None:
    code = f"{ANEW}sys.modules['pytest'] = None\nimport autokd.testing"
    assert "pytest is not installed; get it with: pip install 'autokd[testing]'" in run(code, folder=tmp_path).said
