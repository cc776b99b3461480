"""What is recommended without a search: ranked, inside the limits, and plain about what is not known."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

import autokd
from autokd.cli.console.recommended import recommended, signed
from autokd.delivery import pipeline_file
from autokd.delivery.recommend import Recommendations
from autokd.delivery.recommended_files import Trained, difference, write_files
from autokd.errors import BundleError, NothingFeasible
from autokd.metrics import METRICS
from autokd.search.prepare import prepare
from autokd.search.recommend import Recommended
from autokd.search.request import Request
from autokd.spec import fingerprint
from tests.search.past import write_past
from tests.search.test_past import SPACE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Past studies on a space, and the space."""
    place = tmp_path_factory.mktemp("recommend")
    (place / "space.yaml").write_text(SPACE)
    asked = Request(dataset="wine", space=place / "space.yaml", studies_dir=place, device="cpu", cold=True)
    write_past(place / "past.parquet", prepare(asked, lambda at: None, dry=True))
    return place


@pytest.fixture(scope="module")
def found(folder: Path) -> Iterator[Recommendations]:
    """Four pipelines at two epochs, with their files, and the first one trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield autokd.recommend(
            "wine",
            space=folder / "space.yaml",
            knowledge=[folder / "past.parquet"],
            device="cpu",
            epochs=2,
            top=4,
            out=folder / "files",
            train=True,
            seeds=2,
        )


def shown(found: Recommendations) -> str:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(recommended(found, as_json=False))
    return captured.get()


def test_what_past_studies_found_best_is_recommended_with_its_gain(found: Recommendations) -> None:
    said = found.recommendation
    assert len(said.pipelines) == 4 and len(said.neighbours) == 4 == said.known
    assert sum(each.weight for each in said.neighbours) == pytest.approx(1.0)
    taught = next(each for each in said.pipelines if each.name.startswith("past-"))
    assert taught.pipeline["losses"]["kd"]["temperature"] == 9.0
    assert taught.gain is not None and taught.gain > 0.1 and (taught.studies, taught.better) == (4, 4)
    assert all(each.seconds is not None and each.seconds > 0 and each.params > 0 for each in said.pipelines)


def test_each_pipeline_has_a_file_that_train_takes(found: Recommendations, folder: Path) -> None:
    said = found.recommendation
    assert [path.name for path in found.files] == [f"{n}-{each.name}.yaml" for n, each in enumerate(said.pipelines, 1)]
    file = pipeline_file.read(found.files[0])
    assert file.epochs == 2 and fingerprint(file.to_plain()["pipeline"]) == fingerprint(
        dict(said.pipelines[0].pipeline)
    )
    assert file.provenance is not None and file.provenance["recommended_from"]["studies"] == 4
    found.files[0].write_text("format: 1\n")
    with pytest.raises(BundleError, match="is already there"):
        write_files(said, folder / "files")
    write_files(said, folder / "files", overwrite=True)
    assert pipeline_file.read(found.files[0]).epochs == 2


def test_the_first_is_compared_with_the_recipes_by_hand_on_validation(found: Recommendations) -> None:
    arms = {each.name: each for each in found.trained}
    assert {*arms} <= {"recommended", "kd", "alone"} and {"kd", "alone"} <= {*arms}
    assert all(len(each.scores) == 2 and each.seconds > 0 for each in found.trained)
    text = shown(found)
    assert "KD by hand: validation accuracy" in text and "autokd train" in text
    if "recommended" in arms:
        assert "2 seeds and validation alone: such a difference may be chance" in text


def test_what_is_not_known_is_said(found: Recommendations, folder: Path) -> None:
    text = shown(found)
    assert "tried it beside KD by hand" in text and "% of what is said: table" in text
    bare = autokd.recommend("wine", space=folder / "space.yaml", device="cpu", top=3)
    names = [each.name for each in bare.recommendation.pipelines]
    assert names[:2] == ["kd", "alone"] and [each.gain for each in bare.recommendation.pipelines] == [0.0, None, None]
    assert "No past study is about this kind of input" in shown(bare)
    assert bare.files == [] and bare.trained == []


def test_limits_hold_and_what_none_meets_is_refused(folder: Path) -> None:
    given = {"space": folder / "space.yaml", "device": "cpu", "top": 2}
    small = autokd.recommend("wine", max_params=100, **given)  # type: ignore[arg-type]
    assert all(each.params <= 100 for each in small.recommendation.pipelines)
    with pytest.raises(NothingFeasible, match="smallest"):
        autokd.recommend("wine", max_params=5, **given)  # type: ignore[arg-type]


def test_what_lies_outside_of_past_studies_is_named(folder: Path, tmp_path: Path) -> None:
    asked = Request(dataset="wine", space=folder / "space.yaml", studies_dir=tmp_path, device="cpu", cold=True)
    cold = prepare(asked, lambda at: None, dry=True)
    base = write_past(tmp_path / "large.parquet", cold, studies=2, train=5000, objective="macro_f1")
    said = autokd.recommend("wine", space=folder / "space.yaml", device="cpu", knowledge=[base], top=2).recommendation
    assert any("114 training samples lie outside of what past studies had (5,000 to 5,000)" in x for x in said.unknown)
    assert any("too few for an interval" in text for text in said.unknown)
    assert any("Past studies were about macro F1" in text or "no gain in accuracy" in text for text in said.unknown)


def test_a_difference_has_an_interval_from_three_seeds_on() -> None:
    first, other = (
        Trained(name, name, scores, 1.0) for name, scores in (("a", (0.5, 0.7, 0.6)), ("b", (0.4, 0.5, 0.5)))
    )
    mean, interval = difference(first, other)
    assert mean == pytest.approx(0.4 / 3) and interval is not None
    assert interval[0] == pytest.approx(0.1333 - 4.3027 * 0.057735 / 3**0.5, abs=1e-3)
    assert difference(*(each._replace(scores=each.scores[:2]) for each in (first, other)))[1] is None
    assert signed(0.012, (-0.003, 0.027), METRICS["accuracy"]) == "+1.2 [-0.3, +2.7] points"


def test_json_has_all_of_it(found: Recommendations) -> None:
    plain = json.loads(str(recommended(found, as_json=True)))
    assert len(plain["pipelines"]) == 4 and set(Recommended._fields) == set(plain["pipelines"][0])
    assert plain["past_studies"][0]["facts"]["modality"] == "table" and len(plain["trained"]) == len(found.trained)
    assert dataclasses.is_dataclass(found.recommendation.facts)
