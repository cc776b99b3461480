"""Starts of a student's weights: what they load, what they leave at random, and what they refuse."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from autokd import catalog
from autokd.data import Dataset
from autokd.data import load as load_data
from autokd.delivery import pipeline_file
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.errors import BundleError, ComponentError, SpaceError
from autokd.networks.state_file import file_fingerprint
from autokd.space import Space, parse
from autokd.spec import PipelineSpec, fingerprint, from_plain, make, to_plain
from autokd.testing import InitSuite
from autokd.testing.inits import student_on
from autokd.testing.suite import task_of
from autokd.types import BuildContext
from tests.engine.helpers import assert_same, context, pipeline, teacher, through_a_file, trained

IMAGES = task_of((3, 16, 16))


class TestInits(InitSuite):
    components = tuple(catalog.load("inits", name) for name in catalog.names("inits"))


@pytest.fixture(scope="session")
def digits() -> Dataset:
    from autokd.data import DataOptions

    return load_data("digits", DataOptions(limit_train=129))


def weights(folder: Path, *, classes: int = 10, width: int = 4, seed: int = 11, name: str = "start.pt") -> Path:
    """A file of weights of the engine tests' usual student."""
    task = dataclasses.replace(task_of((1, 8, 8)), classes=tuple(map(str, range(classes))))
    network = student_on(task, seed, make("students", "cnn", {"layers": 2, "width": width}))
    torch.save(network.state_dict(), folder / name)
    return folder / name


def started(path: Path | str, **parts: Any) -> PipelineSpec:
    return dataclasses.replace(pipeline(**parts), init=make("inits", "pretrained", {"path": str(path)}))


def begin(data: Dataset, spec: PipelineSpec) -> dict[str, Any]:
    """The weights of the student as training begins."""
    from autokd.engine.build import build_run
    from autokd.networks.models import seeded

    with seeded(0):
        return dict(build_run(context(data), spec, len(data.train)).student.network.state_dict())


def test_training_begins_with_the_files_weights(digits: Dataset, tmp_path: Path) -> None:
    path = weights(tmp_path)
    assert_same(begin(digits, started(path)), dict(torch.load(path, weights_only=True)))
    result, _ = trained(context(digits), started(path))
    assert "notes" not in result.curve[0]
    assert result.curve[0]["loss"] != trained(context(digits), pipeline())[0].curve[0]["loss"]


def test_a_start_at_random_is_none_at_all(digits: Dataset) -> None:
    spec = dataclasses.replace(pipeline(), init=make("inits", "random", {}))
    assert_same(trained(context(digits), spec)[1], trained(context(digits), pipeline())[1])
    assert "init" not in to_plain(pipeline()) and from_plain(to_plain(spec)) == spec


def test_a_classifier_of_another_size_begins_at_random_and_that_is_said(digits: Dataset, tmp_path: Path) -> None:
    path = weights(tmp_path, classes=7)
    state, other = begin(digits, started(path)), begin(digits, pipeline())
    file = torch.load(path, weights_only=True)
    left = [key for key in state if state[key].shape != file[key].shape]
    assert len(left) == 2
    for key in state:
        assert torch.equal(state[key], other[key] if key in left else file[key]), key
    result, _ = trained(context(digits), started(path))
    assert result.curve[0]["notes"] == [f"{path} tells 7 classes apart, not 10: {', '.join(left)} begin at random"]
    assert "notes" not in result.curve[1]


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(digits: Dataset, tmp_path: Path) -> None:
    where, spec = context(digits), started(weights(tmp_path))
    _, whole = trained(where, spec, epochs=2)
    _, half = trained(where, spec, epochs=2, until=1)
    _, rest = trained(where, spec, epochs=2, start=through_a_file(half))
    assert_same(rest, whole)


def test_under_a_head_it_is_the_student_that_begins_so(digits: Dataset, tmp_path: Path) -> None:
    path = weights(tmp_path)
    simkd = {"head": make("heads", "simkd", {}), "losses": {"simkd": make("losses", "simkd", {})}}
    where, spec = context(digits, teacher(digits.task)), started(path, **simkd)
    size = len(digits.train)
    _, checkpoint = train_rung(where, spec, Rung(seed=1, view_seed=1, horizon=size, until=size))
    assert checkpoint["student"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda f: weights(f, width=8), r"does not fit this student; tensors: \d+ of another shape or type \(.*, …\)"),
        (lambda f: weights(f, classes=10, width=8).write_bytes(b"PK no") and f / "start.pt", "damaged"),
        (lambda f: f / "nowhere.pt", r"there is no file of weights '.*nowhere.pt'"),
    ],
)
def test_what_cannot_be_begun_with_is_one_line(digits: Dataset, tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ComponentError, match=message) as error:
        begin(digits, started(content(tmp_path)))
    assert "\n" not in str(error.value)


# ---- in a space


def space(folder: Path, init: str, student: str = "cnn: {layers: 2, width: 4}", **more: Any) -> Space:
    text = (
        f"student: {{one_of: {{{student}}}}}\ninit: {init}\naugment: {{always: {{none: {{}}}}}}\n"
        "losses: {always: {ce: {}}}\noptimizer: {always: {sgd: {}}}\nschedule: {always: {cosine: {}}}\n"
    )
    (folder / "space.yaml").write_text(text)
    return parse(text, str(folder / "space.yaml"))


def test_a_path_is_relative_to_the_file_and_the_content_is_part_of_the_identity(
    digits: Dataset, tmp_path: Path
) -> None:
    path = weights(tmp_path)
    found = space(tmp_path, "{one_of: {random: {}, pretrained: {path: start.pt}}}").resolve(digits.task, None)
    [_, candidate] = found.parts["init"].candidates
    assert candidate.fixed == {"path": str(path), "digest": file_fingerprint(path)}
    assert found.default().plain["init"] == {"use": "random"}
    plain = found.complete({"init": {"use": "pretrained"}})
    assert found.misfits(plain) == []
    assert_same(begin(digits, from_plain(plain)), dict(torch.load(path, weights_only=True)))
    weights(tmp_path, seed=12)
    again = space(tmp_path, "{one_of: {random: {}, pretrained: {path: start.pt}}}").resolve(digits.task, None)
    assert again.identity() != found.identity()
    assert fingerprint(again.complete({"init": {"use": "pretrained"}})) != fingerprint(plain)
    with pytest.raises(ComponentError, match="have changed"):
        from_plain(plain).init.build(BuildContext(task=digits.task))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ("{path: nowhere.pt}", "init.always.pretrained.path: there is no file "),
        ("{}", "init.always.pretrained.path: name one file, got None"),
        ("{path: {choice: [a.pt, b.pt]}}", "init.always.pretrained.path: name one file, got {'choice': "),
    ],
)
def test_a_space_whose_file_is_missing_is_refused(tmp_path: Path, fields: str, line: str) -> None:
    with pytest.raises(SpaceError) as error:
        space(tmp_path, f"{{always: {{pretrained: {fields}}}}}")
    assert len(error.value.problems) == 1 and error.value.problems[0].startswith(line)


def test_what_does_not_fit_every_student_is_left_out_or_refused_before_any_trial(
    digits: Dataset, tmp_path: Path
) -> None:
    weights(tmp_path)
    students = "cnn: {layers: 2, width: {int: [4, 8], step: 4}}"
    both = space(tmp_path, "{one_of: {random: {}, pretrained: {path: start.pt}}}", students)
    left = both.resolve(digits.task, None)
    assert [candidate.use for candidate in left.parts["init"].candidates] == ["random"]
    assert any("does not fit this student" in line for line in left.dropped)
    with pytest.raises(SpaceError, match="does not fit this student"):
        space(tmp_path, "{always: {pretrained: {path: start.pt}}}", students).resolve(digits.task, None)


# ---- in a pipeline file


def test_a_pipeline_file_finds_its_weights_beside_it(tmp_path: Path) -> None:
    path = weights(tmp_path)
    content = {
        "format": 1,
        "pipeline": {**to_plain(pipeline()), "init": {"use": "pretrained", "path": "start.pt"}},
        "data": {},
        "train": {"epochs": 1, "seed": 0},
    }
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(content))
    file = pipeline_file.read(tmp_path / "pipeline.yaml")
    assert to_plain(file.spec)["init"] == {"use": "pretrained", "path": str(path), "digest": file_fingerprint(path)}
    path.unlink()
    with pytest.raises(BundleError, match=r"pipeline.init.path: there is no file .*start.pt"):
        pipeline_file.read(tmp_path / "pipeline.yaml")
    assert pipeline_file.parse(file.to_plain(), "elsewhere").spec == file.spec  # its content is known


def test_weights_of_two_networks_of_the_student_s_architecture(digits: Dataset, tmp_path: Path) -> None:
    one = torch.load(weights(tmp_path, classes=10), weights_only=True)
    torch.save({f"{name}.{key}": tensor for name in ("a", "b") for key, tensor in one.items()}, tmp_path / "two.pt")
    with pytest.raises(ComponentError, match=r"holds 2 networks .*begin with a\., b\.; save the one"):
        begin(digits, started(tmp_path / "two.pt"))
