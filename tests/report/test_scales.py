"""Axes of the small pictures: where values lie and which are named."""

from __future__ import annotations

import itertools

import pytest

from autokd.metrics import METRICS
from autokd.report.page import templates
from autokd.report.scales import APART, linear, logarithmic, of_difference, of_metric
from autokd.report.words import compact


def test_a_linear_axis_places_values_and_names_round_ones() -> None:
    scale = linear([0.0, 10.0], "{:g}".format, room=0.0)
    assert [scale.at(value) for value in (0.0, 5.0, 10.0, 12.0)] == [0.0, 50.0, 100.0, 100.0]
    assert [tick.text for tick in scale.ticks] == ["0", "2", "4", "6", "8", "10"]
    assert [tick.at for tick in scale.ticks] == [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]


def test_an_axis_of_a_metric_stays_within_its_bounds() -> None:
    scale = of_metric([0.97, 1.0], METRICS["accuracy"])
    assert scale.high == 1.0
    assert scale.at(1.0) == 100.0
    assert {"97", "98", "99", "100"} <= {tick.text for tick in scale.ticks}


def test_an_axis_of_differences_has_zero_and_signs() -> None:
    scale = of_difference([0.012, 0.034], METRICS["accuracy"])
    assert scale.low < 0.0 < scale.high
    assert {"0", "+1", "+2", "+3"} <= {tick.text for tick in scale.ticks}
    negative = of_difference([-0.012], METRICS["accuracy"])
    assert "−1" in {tick.text for tick in negative.ticks}


@pytest.mark.parametrize("values", [[612.0, 635.0, 640.0], [272_000.0, 308_000.0], [500.0]])
def test_a_logarithmic_axis_without_round_numbers_names_the_values(values: list[float]) -> None:
    scale = logarithmic(values)
    texts = [tick.text for tick in scale.ticks]
    assert texts
    assert texts[0] == compact(values[0])
    places = [scale.at(value) for value in values]
    assert places == sorted(set(places))
    assert all(0.0 < place < 100.0 for place in places)


def test_names_of_ticks_never_touch() -> None:
    for scale in (
        logarithmic([1.0, 1e6]),
        linear([0.0, 1.0], "{:g}".format),
        logarithmic([100.0, 101.0, 102.0, 250.0]),
    ):
        places = [tick.at for tick in scale.ticks]
        assert all(after - before >= APART for before, after in itertools.pairwise(places))


def test_equal_values_are_stacked_and_none_moves_aside() -> None:
    scale = linear([0.0, 1.0], str, room=0.0)
    assert scale.stacked([0.5, 0.5, 0.9]) == [(50.0, 0), (50.0, 1), (90.0, 0)]


def test_a_picture_has_its_marks_where_the_scale_says_and_says_what_it_shows() -> None:
    source = (
        '{% from "svg.html.jinja" import picture, mark, interval, axis %}'
        '{% call picture(scale, "a < b") %}{{ interval(scale, 2, 6, "kd") }}{{ mark(scale, 4, "pick") }}{% endcall %}'
        "{{ axis(scale) }}"
    )
    html = templates().from_string(source).render(scale=linear([0.0, 8.0], "{:g}".format, room=0.0))
    assert 'aria-label="a &lt; b"' in html
    assert 'class="interval kd" x1="25.0%" x2="75.0%"' in html
    assert '<svg x="50.0%"' in html
    assert '<span style="left: 25.0%">2</span>' in html
