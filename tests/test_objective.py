"""What a study is to be good at: names, directions, amounts with units."""

from __future__ import annotations

import pytest

from autokd.errors import UserError
from autokd.objective import ACCURACY, amount, of_names, of_plain, shown_limit


def test_values_are_told_so_that_more_is_better_and_shown_as_they_are() -> None:
    objective = of_names(["log_loss", "macro_f1", "latency"])
    told = objective.values(-0.3, {"log_loss": 0.3, "macro_f1": 0.8, "mcc": 0.1}, {"params": 10, "latency": 2.5})
    assert told == (-0.3, 0.8, -2.5)
    assert objective.shown(told) == {"log_loss": 0.3, "macro_f1": 0.8, "latency": 2.5}
    assert objective.as_plain() == {"log_loss": "minimize", "macro_f1": "maximize", "latency": "minimize"}
    assert of_plain(objective.as_plain()) == objective and objective.several and not ACCURACY.several


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["accurcy"], "there is no objective called 'accurcy'; did you mean 'accuracy'?"),
        (
            ["accuracy", "weight"],
            "one of: accuracy, accuracy_int8, balanced_accuracy, latency, log_loss, macro_f1, macs, mcc, params",
        ),
        (["latency", "accuracy"], "the first objective must be a metric (accuracy, macro_f1"),
        (["accuracy", "accuracy"], "an objective stands twice"),
        ([], "the first objective must be a metric"),
        ([""], "there is no objective called ''"),
    ],
)
def test_a_bad_name_is_one_line_with_those_that_exist(names: list[str], message: str) -> None:
    with pytest.raises(UserError) as refused:
        of_names(names)
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("cost", "text", "value"),
    [
        ("latency", "5ms", 5.0),
        ("latency", "0.8ms", 0.8),
        ("latency", "1s", 1000.0),
        ("latency", "300us", 0.3),
        ("latency", " 5 ms ", 5.0),
        ("latency", "2.5", 2.5),
        ("size", "200KB", 200e3),
        ("size", "1.5MB", 1.5e6),
        ("size", "2KiB", 2048.0),
        ("size", "2e5", 2e5),
    ],
)
def test_amounts(cost: str, text: str, value: float) -> None:
    assert amount(cost, text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["5m", "ms", "", "-1ms", "0ms", "nan", "inf", "1e999ms", "5 KB", "1.2.3ms"])
def test_what_is_no_latency_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a latency; write for instance 5ms"):
        amount("latency", text)


def test_limits_in_words() -> None:
    limits = {"params": 640.0, "size": 2.5e5, "latency": 0.25}
    assert [shown_limit(*item) for item in limits.items()] == [
        "params <= 640",
        "size <= 250,000 bytes",
        "latency <= 0.25 ms",
    ]
