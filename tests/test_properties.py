"""What holds for all values, tried on values that hypothesis makes up."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autokd import catalog, objective
from autokd.errors import ComponentError, nearest
from autokd.files import from_yaml, to_yaml
from autokd.metrics import METRICS, Predictions, measure, predictions
from autokd.ranges import Choice, Integer, Range, Real
from autokd.seeds import derive
from autokd.spec import component_from_plain, component_to_plain, convert, fields_of, fingerprint, make
from autokd.tables import escape_cell

COMPONENTS = [
    (kind, name)
    for kind in ("students", "heads", "inits", "augments", "losses", "optimizers", "schedules")
    for name in catalog.names(kind)
]
WHOLE = st.integers(-(2**53), 2**53)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=6)
"""Without control characters, of which PyYAML loses some."""
PLAIN = st.recursive(
    st.none() | st.booleans() | WHOLE | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)


def values_in(span: Range) -> st.SearchStrategy[Any]:
    """Any value of a range."""
    match span:
        case Real():
            return st.floats(span.low, span.high)
        case Integer():
            return st.integers(0, (span.high - span.low) // span.step).map(lambda k: span.low + k * span.step)
        case Choice():
            return st.sampled_from(span.options)


@st.composite
def made_up(draw: st.DrawFn) -> tuple[str, Any]:
    """A kind and a component of it, each searched field drawn from its range."""
    kind, name = draw(st.sampled_from(COMPONENTS))
    fields = fields_of(catalog.load(kind, name))
    spans = {key: info.range for key, info in fields.items() if info.range is not None}
    try:
        return kind, make(kind, name, {key: draw(values_in(span)) for key, span in spans.items()})
    except ComponentError:  # some fields exclude one another's values
        assume(False)
        raise


@st.composite
def answers(draw: st.DrawFn) -> Predictions:
    """Logits and labels of a few items."""
    classes, items = draw(st.integers(2, 5)), draw(st.integers(1, 12))
    number = st.floats(-50, 50, width=32)
    logits = draw(st.lists(st.lists(number, min_size=classes, max_size=classes), min_size=items, max_size=items))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=items, max_size=items))
    return predictions(torch.tensor(logits), torch.tensor(labels))


@given(made_up())
def test_a_component_with_any_values_survives_as_plain_data(made: tuple[str, Any]) -> None:
    kind, component = made
    plain = component_to_plain(component)
    assert component_from_plain(kind, json.loads(json.dumps(plain))) == component
    assert component_from_plain(kind, from_yaml(to_yaml(plain))) == component
    assert dataclasses.replace(component) == component


@given(WHOLE)
def test_a_whole_number_is_read_in_every_spelling(number: int) -> None:
    assert [convert(value, int) for value in (number, float(number), str(number))] == [number] * 3


@given(FINITE)
def test_a_number_is_read_in_every_spelling(number: float) -> None:
    assert convert(number, float) == convert(repr(number), float) == convert([number], tuple[float, ...])[0] == number


@given(FINITE.filter(lambda number: not number.is_integer()))
def test_a_fraction_is_no_whole_number(number: float) -> None:
    with pytest.raises(ValueError, match="expected int"):
        convert(number, int)


@settings(max_examples=20)
@given(PLAIN)
def test_plain_data_survive_as_yaml_and_have_one_fingerprint(plain: Any) -> None:
    assert from_yaml(to_yaml(plain)) == plain
    assert fingerprint(json.loads(json.dumps(plain))) == fingerprint(plain)


@given(st.integers(0, 2**62), st.lists(st.text(max_size=5) | WHOLE, max_size=3))
def test_a_seed_lies_in_range_and_that_of_another_purpose_is_another(seed: int, labels: list[str | int]) -> None:
    assert 0 <= derive(seed, *labels) < 2**63
    assert derive(seed, *labels) != derive(seed, *labels, "more") != derive(seed + 1, *labels, "more")


@given(answers())
def test_every_metric_lies_within_its_bounds(found: Predictions) -> None:
    for name, value in measure(found).items():
        assert METRICS[name].low - 1e-12 <= value <= METRICS[name].high + 1e-12


@given(answers(), st.randoms(use_true_random=False))
def test_metrics_do_not_depend_on_the_order_of_the_items(found: Predictions, random: Any) -> None:
    order = list(range(len(found.labels)))
    random.shuffle(order)
    assert measure(found.take(torch.tensor(order))) == pytest.approx(measure(found), abs=1e-12)


@given(answers())
def test_no_answers_are_better_than_the_right_ones(found: Predictions) -> None:
    right = predictions(200 * torch.eye(found.classes)[found.labels], found.labels)
    for name, best in measure(right).items():
        assert METRICS[name].score(best) >= METRICS[name].score(METRICS[name].of(found)) - 1e-12


@given(st.sampled_from(sorted(METRICS)), st.floats(-1, 1))
def test_a_score_is_its_own_inverse(name: str, value: float) -> None:
    assert METRICS[name].value(METRICS[name].score(value)) == value


@given(st.sampled_from(sorted(objective.UNITS)), st.floats(1e-3, 1e6), st.booleans())
def test_an_amount_is_its_number_times_its_unit(cost: str, number: float, spaced: bool) -> None:
    for unit, factor in objective.UNITS[cost].items():
        written = f"{number!r}{' ' if spaced else ''}{unit.upper()}"
        assert math.isclose(objective.amount(cost, written), number * factor)


@given(st.text(max_size=6), st.lists(st.text("abcdef", min_size=1, max_size=6), min_size=1, max_size=4, unique=True))
def test_a_hint_names_only_what_would_be_accepted(name: str, valid: list[str]) -> None:
    hint = nearest(name, valid)
    assert hint in {f"did you mean {option!r}?" for option in valid} | {f"one of: {', '.join(sorted(valid))}"}


@given(st.text(max_size=6))
def test_no_cell_of_a_table_is_read_as_a_formula(text: str) -> None:
    shown = escape_cell(text)
    assert shown.removeprefix("'") == text.removeprefix("'") and not shown.startswith(("=", "+", "-", "@", "\t", "\r"))
