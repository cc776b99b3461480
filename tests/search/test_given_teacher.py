"""What a request says of a teacher: by options, by `autokd.Teacher`, and in a study that goes on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import autokd
from autokd.data import DataOptions, Dataset, load
from autokd.errors import TeacherError, UserError
from autokd.networks.class_names import ByName
from autokd.networks.ensemble import EnsembleTeacher, describe_together
from autokd.networks.reference import describe, load_teacher
from autokd.search.given_teacher import Obtained, load_again, named, obtain_given
from autokd.search.request import Request
from autokd.study.settings import TeacherFacts
from autokd.teaching.taught import load_described
from autokd.types import Samples, Shapes, Task, Teacher

CPU = torch.device("cpu")


class Raw(nn.Module):
    """Ten classes by brightness, of images from 0 to 255."""

    def __init__(self) -> None:
        super().__init__()
        self.centres = nn.Parameter(25.5 * (torch.arange(10) + 0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -(x.mean((1, 2, 3))[:, None] - self.centres).square()


@pytest.fixture(scope="module")
def data() -> Dataset:
    rng = np.random.default_rng(0)
    classes = np.arange(300) % 10
    images = (25.5 * (classes + rng.uniform(0.2, 0.8, 300)))[:, None, None].repeat(8, 1).repeat(8, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOKD_CACHE", "")
        return load((images.astype(np.uint8), classes))


def request_for(teacher: Any, **options: Any) -> Request:
    return Request(teacher=teacher, time=10.0, **options)


def study_of(reference: Any, facts: TeacherFacts | None) -> Any:
    return SimpleNamespace(identity=SimpleNamespace(teacher=SimpleNamespace(reference=reference)), teacher=facts)


def test_options_and_the_value_in_python_say_the_same() -> None:
    network = nn.Linear(2, 2)
    inside = autokd.Teacher(network, mean=0.5, std=[0.1, 0.2, 0.3], size=32, classes={"a": 0, "b": 1})
    beside: dict[str, Any] = {
        "teacher_mean": "0.5",
        "teacher_std": "0.1,0.2,0.3",
        "teacher_size": 32,
        "teacher_classes": ["a", "b"],
    }
    expected = {"mean": (0.5,), "std": (0.1, 0.2, 0.3), "input_size": 32, "classes": ("a", "b")}
    for request in (Request(teacher=inside), Request(teacher=network, **beside)):
        (found,) = named(request)
        assert found.reference is network and found.fields == expected and not found.open
    (half,) = named(Request(teacher=autokd.Teacher(network, mean=0.5), teacher_size=32))
    assert half.fields == {"mean": (0.5,), "input_size": 32}
    assert half.open == {"std", "classes"}
    assert named(Request()) == named(Request(teacher=[])) == ()
    assert named(Request(teacher=[inside])) == named(Request(teacher=inside))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher_mean": "0.5"}, "--teacher-mean is about a teacher that is given; give one with --teacher"),
        ({"teacher": nn.Identity(), "teacher_std": "half"}, "the teacher's std is a number, or one a channel"),
        ({"teacher": autokd.Teacher(nn.Identity(), size=8), "teacher_size": 9}, "size is given twice"),
        ({"teacher": [], "teacher_size": 9}, "--teacher-size is about a teacher that is given"),
        ({"teacher": ["a.pt", "b.pt"], "teacher_size": 9}, "--teacher-size is about one teacher, and 2 are given"),
    ],
)
def test_what_cannot_be_meant(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TeacherError, match=message):
        named(Request(**options))


def test_what_was_taken_is_in_the_reference_and_stays_in_a_study_that_goes_on(data: Dataset) -> None:
    told: list[Any] = []
    network = Raw()
    first = obtain_given(request_for(network), data, CPU, None, told.append)
    assert first is not None and first.reference["mean"] == [0.0] and "classes" not in first.reference
    assert [at.note for at in told if at.stage == "given"] == [first.line] and "1 px" not in first.line
    facts = TeacherFacts(
        origin="", fingerprint="", validation={}, params=1, may_have_seen_validation=True, offers=Shapes(),
        line=first.line, remarks=first.remarks,
    )  # fmt: skip
    assert TeacherFacts.from_plain(facts.to_plain()) == facts
    assert "tried" not in dataclasses.replace(facts, line="", remarks=()).to_plain()
    before = study_of(first.reference, facts)
    again = obtain_given(request_for(network), data, CPU, before, told.append)
    assert again is not None and again.reference == first.reference and again.line == first.line
    assert again.teacher.fingerprint == first.teacher.fingerprint
    other = obtain_given(request_for(network, teacher_mean=0.3), data, CPU, before, told.append)
    assert other is not None and other.reference != first.reference  # and the study refuses it


def test_a_study_of_before_goes_on_as_it_was(data: Dataset) -> None:
    plain = {"use": "module", "network": "", "fingerprint": ""}
    known = {**plain, **_described(Raw())}
    before = study_of(known, None)
    found = obtain_given(request_for(Raw()), data, CPU, before, lambda at: None)
    assert found is not None and found.reference == known and found.line == ""


TASK = Task(dataset="rows", modality="table", input_shape=(4,), classes=("a", "b"), train_size=9)


def loaded(request: Request, task: Task = TASK, samples: Samples | None = None) -> Teacher:
    (asked,) = named(request)
    return load_teacher(asked.reference, task, asked.fields, samples)


def test_names_of_classes_come_with_the_teacher(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("c\nb\na\n")
    network, inputs = nn.Linear(4, 3), torch.ones(2, 4)
    asked = Request(teacher=network, teacher_classes=names)
    teacher = loaded(asked)
    assert isinstance(teacher, ByName)
    assert torch.equal(teacher.predict(inputs).logits, network(inputs)[:, [2, 1]].detach())
    (found,) = named(asked)
    assert describe(found.reference, found.fields)["classes"] == ["c", "b", "a"]


def test_predictions_are_a_teacher_too(tmp_path: Path) -> None:
    file = tmp_path / "p.npy"
    np.save(file, np.full((9, 2), 0.5))
    teacher = loaded(Request(teacher_predictions=file), TASK, Samples(numbers=range(9), total=9))
    assert not teacher.offers.views
    with pytest.raises(UserError, match="--teacher and --teacher-predictions are two teachers; give one of them"):
        named(Request(teacher="resnet20@x.pt", teacher_predictions=file))


def _described(network: nn.Module) -> dict[str, Any]:
    return describe(network)


def test_a_described_teacher_is_fed_as_it_says(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(Raw().state_dict(), tmp_path / "raw.pt")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    text = f"tests.search.test_given_teacher:Raw@{tmp_path / 'raw.pt'}"
    first = obtain_given(request_for(text), data, CPU, None, lambda at: None)
    assert first is not None and first.reference["std"] == [1 / 255]
    again = obtain_given(request_for(first.reference), data, CPU, None, lambda at: None)
    assert again is not None and again.reference == first.reference
    assert again.teacher.fingerprint == first.teacher.fingerprint


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two teachers in files, of images from 0 to 255; one has its centres a little aside."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    files = [tmp_path / "raw.pt", tmp_path / "shifted.pt"]
    for file, shift in zip(files, (0.0, 4.0), strict=True):
        torch.save({"centres": Raw().centres.detach() + shift}, file)
    return [f"tests.search.test_given_teacher:Raw@{file}" for file in files]


def test_several_teachers_are_tried_each_and_together_and_stay_in_a_study(data: Dataset, two: list[str]) -> None:
    told: list[Any] = []
    first = obtain_given(request_for(two), data, CPU, None, told.append)
    assert first is not None and isinstance(first.teacher, EnsembleTeacher)
    assert first.line.startswith("ensemble of 2 (") and "20 parameters: right on" in first.line
    notes = [at.note for at in told if at.stage == "given"]
    assert notes == [*first.remarks[:2], first.line]
    assert all(
        ": tests." in note and ", a member of the ensemble" in note and "clearly better" in note for note in notes[:2]
    )
    assert all(remark.startswith("tests.") and "0 to 255" in remark for remark in first.remarks[2:4])
    assert [member["std"] for member in first.reference["members"]] == [[1 / 255]] * 2
    assert first.reference == json.loads(json.dumps(first.reference))
    facts = SimpleNamespace(line=first.line, remarks=first.remarks)
    for teachers in (two[::-1], first.reference):  # the order does not matter, and the plain reference is the same
        again = obtain_given(request_for(teachers), data, CPU, study_of(first.reference, facts), told.append)  # type: ignore[arg-type]
        assert again is not None and (again.reference, again.line) == (first.reference, first.line)
        assert again.teacher.fingerprint == first.teacher.fingerprint
    loaded_again = load_described(first.reference, data, CPU)
    inputs = torch.rand(3, 1, 16, 16)
    assert torch.equal(loaded_again.predict(inputs).logits, first.teacher.predict(inputs).logits)
    other = obtain_given(request_for(two[0]), data, CPU, study_of(first.reference, facts), told.append)  # type: ignore[arg-type]
    assert other is not None and other.reference != first.reference and other.line == ""


def test_one_in_a_list_is_that_teacher_and_the_same_twice_is_refused(data: Dataset, two: list[str]) -> None:
    only = obtain_given(request_for([two[0]]), data, CPU, None, lambda at: None)
    alone = obtain_given(request_for(two[0]), data, CPU, None, lambda at: None)
    assert only is not None and alone is not None and only.reference == alone.reference
    inputs = torch.rand(3, 1, 16, 16)
    assert torch.equal(only.teacher.predict(inputs).logits, alone.teacher.predict(inputs).logits)
    with pytest.raises(TeacherError, match="two teachers of the ensemble are the same"):
        obtain_given(request_for([two[0], two[0]]), data, CPU, None, lambda at: None)


class Even:
    """Finds both classes as likely."""

    def predict_proba(self, rows: Any) -> Any:
        return np.full((len(rows), 2), 0.5)


def test_members_handed_over_in_python_are_there_when_the_samples_change() -> None:
    data = load("breast_cancer")
    asked = request_for([Even(), autokd.Teacher(nn.Linear(30, 2), classes=["benign", "malignant"])])
    plain = describe_together([describe(one.reference, one.fields) for one in named(asked)])
    obtained = Obtained(None, plain)  # type: ignore[arg-type]
    few = load("breast_cancer", DataOptions(limit_train=50))
    again = load_again(asked, obtained, few, CPU)
    assert isinstance(again, EnsembleTeacher) and not again.offers.views
    assert few.train.ids is not None
    assert again.answer(few.train.ids, few.train.inputs).logits.shape == (len(few.train), 2)
    with pytest.raises(TeacherError, match="this pipeline's teacher was handed over in Python"):
        load_described(plain, data, CPU)


def test_a_teacher_that_knows_nothing_is_taken_where_that_is_asked_for(data: Dataset) -> None:
    class Nothing(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.new_zeros(len(images), data.task.num_classes)

    with pytest.raises(TeacherError, match=r"no more than guessing: .* --teacher-as-is"):
        obtain_given(request_for(Nothing()), data, CPU, None, lambda at: None)
    told: list[Any] = []
    found = obtain_given(request_for(Nothing(), teacher_as_is=True), data, CPU, None, told.append)
    assert found is not None and found.line.endswith("taken as it is, nothing of it was tried")
    assert [at.note for at in told] == [found.line] and found.remarks == ()
