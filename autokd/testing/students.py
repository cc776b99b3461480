"""What every student must do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autokd import batching, spec
from autokd.engine.qat import QuantisationAware
from autokd.networks import cost
from autokd.networks.inputs import feed_of
from autokd.networks.models import as_output, classifier_of, seeded, shapes_of
from autokd.testing.suite import Suite, task_of
from autokd.types import BuildContext, Inputs, Task


class StudentSuite(Suite):
    """What every student must do."""

    kind = "students"
    tasks = (
        *(task_of(shape, classes=7) for shape in ((1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 21, 70), (5,), (30,))),
        task_of((21,), classes=7, groups=(1, 4, 1, 2, 9, 4)),
    )

    def test_output_has_the_declared_shapes(self, component: Any, task: Task) -> None:
        network = build(component, task)
        output = as_output(network(inputs_of(task, 3)))
        offers = shapes_of(network, task)
        assert output.logits.shape == (3, 7)
        assert output.logits.dtype == torch.float32
        assert tuple(tuple(feature.shape[1:]) for feature in output.features) == offers.features
        assert output.pooled is None or output.pooled.shape == (3, offers.pooled)
        for part in component.declares.offers:
            assert getattr(offers, part), f"it declares that it offers {part}"

    def test_features_run_from_shallow_to_deep(self, component: Any, task: Task) -> None:
        sides = [feature[1:] for feature in shapes_of(build(component, task), task).features]
        assert sides == sorted(sides, reverse=True)

    def test_gradient_reaches_every_parameter(self, component: Any, task: Task) -> None:
        network = build(component, task)
        torch.autograd.backward(as_output(network(inputs_of(task, 8))).logits.logsumexp(1).sum())
        unreached = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert unreached == []

    def test_gradient_reaches_every_parameter_where_it_computes_quantised(self, component: Any, task: Task) -> None:
        network, inputs, quantised = build(component, task), inputs_of(task, 8), QuantisationAware(0.0)
        network(inputs)  # running statistics
        torch.autograd.backward(quantised.answer(network, inputs).logits.logsumexp(1).sum())
        assert [key for key, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
        tensors = len(quantised.ranges)
        assert torch.isfinite(quantised.answer(network.eval(), inputs).logits).all()
        assert len(quantised.ranges) == tensors >= 2, "it computes other things in another pass, or nothing quantised"

    def test_pooled_is_what_the_classifier_reads(self, component: Any) -> None:
        task = self.any_task(component)
        network = build(component, task).eval()
        output, classifier = as_output(network(inputs_of(task, 4))), network.get_submodule(classifier_of(network, task))
        if output.pooled is None or not isinstance(classifier, nn.Linear):
            pytest.skip("it offers no embedding, or its classifier is no linear layer")
        torch.testing.assert_close(classifier(output.pooled), output.logits)

    def test_eval_mode_repeats_itself_and_keeps_samples_apart(self, component: Any) -> None:
        task = self.any_task(component)
        network, inputs = build(component, task).eval(), inputs_of(task, 5)
        whole = as_output(network(inputs)).logits
        assert torch.equal(whole, as_output(network(inputs)).logits)
        torch.testing.assert_close(
            as_output(network(batching.take(inputs, slice(2, 3)))).logits, whole[2:3], rtol=1e-4, atol=1e-5
        )

    def test_trains_on_a_batch_of_one(self, component: Any) -> None:
        task = self.any_task(component)
        assert as_output(build(component, task).train()(inputs_of(task, 1))).logits.isfinite().all()

    def test_same_seed_same_weights(self, component: Any) -> None:
        task = self.any_task(component)
        first, second = build(component, task).state_dict(), build(component, task).state_dict()
        assert all(torch.equal(first[key], second[key]) for key in first)

    def test_signal_keeps_its_size_at_initialisation(self, component: Any) -> None:
        task = self.any_task(component)
        logits = as_output(build(component, task).eval()(inputs_of(task, 64))).logits
        assert 0.01 < float(logits.detach().std()) < 30

    @pytest.mark.parametrize("end", ["low", "high"])
    def test_builds_at_both_ends_of_every_range(self, component: Any, end: str) -> None:
        for field, info in spec.fields_of(component).items():
            if info.range is not None:
                options = getattr(info.range, "options", None)
                value = options[0 if end == "low" else -1] if options else getattr(info.range, end)
                assert cost.student_cost(component(**{field: value}), self.any_task(component)).params > 0, field


def build(component: type[Any], task: Task, **fields: Any) -> nn.Module:
    """Return a student's network, initialised from a fixed seed."""
    with seeded(0):
        network: nn.Module = component(**fields).build(BuildContext(task=task))
    return network


def inputs_of(task: Task, batch: int) -> Inputs:
    """Return random inputs, the same every time: around zero where they are real numbers."""
    generator = torch.Generator().manual_seed(1)

    def drawn(made: Tensor) -> Tensor:
        return torch.randn(made.shape, generator=generator) if made.is_floating_point() else made

    return batching.each(feed_of(task).example(batch, torch.Generator().manual_seed(2)), drawn)
