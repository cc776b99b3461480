"""Teachers whose classes are named otherwise than the data's, and lists of class names."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autokd import spec
from autokd.errors import TeacherError
from autokd.networks.class_list import read_class_names
from autokd.networks.class_names import ByName, outputs_of, teachers_task, whole
from autokd.networks.models import NetworkTeacher, seeded
from autokd.networks.reference import describe, given_fields, load_teacher
from autokd.types import BuildContext, Task

Saved = Callable[..., str]
FIVE = ("moon", "star", "disc", "sun", "ring")
"""Classes of a teacher that knows more than the data; the data's are disc, ring, star."""
PLACES = [2, 4, 1]


@pytest.fixture
def five(task: Task) -> nn.Module:
    """A network that tells five classes apart."""
    with seeded(7):
        module: nn.Module = spec.make("students", "cnn", {"layers": 2, "width": 8}).build(
            BuildContext(task=dataclasses.replace(task, classes=FIVE))
        )
    return module.eval()


def test_a_teacher_with_more_classes_answers_on_the_data_s(
    five: nn.Module, saved: Saved, task: Task, inputs: Tensor
) -> None:
    file = saved(five.state_dict())
    teacher = load_teacher(f"cnn@{file}", task, given_fields(FIVE))
    expected = five(inputs)
    with torch.no_grad():
        answer = teacher.predict(inputs)
    assert torch.equal(answer.logits, expected.logits[:, PLACES].detach())
    assert torch.equal(answer.features[-1], expected.features[-1].detach())
    assert answer.pooled is not None and torch.equal(answer.pooled, expected.pooled.detach())
    all_five = load_teacher(f"cnn@{file}", dataclasses.replace(task, classes=FIVE))
    assert teacher.offers == all_five.offers and teacher.params == all_five.params
    assert teacher.fingerprint not in (all_five.fingerprint, load_teacher(five, task, {"classes": FIVE}).fingerprint)
    assert isinstance(whole(teacher), NetworkTeacher) and whole(teacher).fingerprint == all_five.fingerprint
    assert teacher.to(torch.device("cpu")) is teacher
    assert teacher.origin == f"{all_five.origin}, 3 of its 5 classes by name"


def test_its_head_gives_the_logits_of_the_data_s_classes(
    five: nn.Module, saved: Saved, task: Task, inputs: Tensor
) -> None:
    teacher = load_teacher(f"cnn@{saved(five.state_dict())}", task, given_fields(FIVE))
    assert teacher.offers.head and teacher.head is not None
    weight, bias = teacher.head
    answer = teacher.predict(inputs)
    logits = nn.functional.linear(answer.features[-1].mean((2, 3)), weight, bias)
    assert weight.shape[0] == 3 and not weight.requires_grad
    torch.testing.assert_close(logits, answer.logits, atol=1e-5, rtol=1e-5)


def test_a_head_without_bias(five: nn.Module, task: Task) -> None:
    class Headed(NetworkTeacher):
        @property
        def head(self) -> tuple[Tensor, None]:
            return torch.arange(10.0).reshape(5, 2), None

    head = ByName(Headed([five], dataclasses.replace(task, classes=FIVE), origin="x"), PLACES).head
    assert head is not None and head[0].tolist() == [[4, 5], [8, 9], [2, 3]] and head[1] is None


@pytest.mark.parametrize("names", [("disc", "ring", "star"), ("Disc", "ring ", "STAR")])
def test_names_that_are_the_data_s_change_nothing(
    names: tuple[str, ...], student: Callable[..., nn.Module], task: Task
) -> None:
    network = student("cnn", layers=2, width=8)
    plain, named = load_teacher(network, task), load_teacher(network, task, {"classes": names})
    assert isinstance(named, NetworkTeacher) and named.fingerprint == plain.fingerprint


@pytest.mark.parametrize(
    ("names", "classes", "outputs"),
    [
        (["b", "a"], ["a", "b"], [1, 0]),
        (["Golden Retriever", "tabby-cat"], ["golden_retriever", "tabby_cat"], [0, 1]),
        (["A", "a"], ["a"], [1]),  # as it is written comes first
        (["1.0", "10", "2"], ["1", "2", "10"], [0, 2, 1]),
        (["caf\u00e9", "tea"], ["cafe\u0301", "tea"], [0, 1]),
        (["a-", "a+", "a"], ["a", "a+"], [2, 1]),
        (["n/a", "-"], ["-"], [1]),
    ],
)
def test_names_find_their_outputs(names: list[str], classes: list[str], outputs: list[int], task: Task) -> None:
    assert outputs_of(names, dataclasses.replace(task, classes=tuple(classes)), "t") == tuple(outputs)


@pytest.mark.parametrize(
    ("names", "classes", "message"),
    [
        (["disc", "ring"], ["disc", "rang", "star"], r"2 of the 3 classes of shapes: rang, star \(did you mean 'ring'"),
        (["a", "a+"], ["a", "a-"], "does not know 1 of the 2 classes of shapes: a-"),
        (["A B", "ab"], ["a_b"], r"has 2 outputs called 'a_b' \(numbers 0, 1, from 0\)"),
        (["crane", "crane", "x"], ["crane"], r"2 outputs called 'crane'"),
        (["x1"], ["a b", "A B"], "2 of the 2 classes"),
        (list(map(str, range(1000))), ["cat"], r"cat \(it knows 0, 1, 2, 3, 4, …\)"),
    ],
)
def test_names_that_do_not_do(names: list[str], classes: list[str], message: str, task: Task) -> None:
    with pytest.raises(TeacherError, match=message) as caught:
        outputs_of(names, dataclasses.replace(task, classes=tuple(classes)), "t")
    assert "\n" not in str(caught.value) and "--teacher-classes" in str(caught.value)


def test_names_of_a_file_in_other_words_are_told_and_passed_over(task: Task, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert teachers_task(task, (), ("0", "1", "2"), "t") is task
    assert "names its classes 0, 1, 2, not disc, ring, star like shapes" in caplog.text
    with pytest.raises(TeacherError, match="does not know 3 of the 3"):
        teachers_task(task, (), ("0", "1"), "t")
    with pytest.raises(TeacherError, match="does not know 1 of the 3 classes of shapes: star"):
        teachers_task(task, (), ("ring", "disc", "square"), "t")
    with pytest.raises(TeacherError, match="does not know 3 of the 3"):
        teachers_task(task, ("0", "1", "2"), (), "t")


def test_as_many_names_as_outputs(five: nn.Module, saved: Saved, task: Task) -> None:
    with pytest.raises(TeacherError, match="tells 5 classes apart, but the list of its classes has 4"):
        load_teacher(f"cnn:layers=2,width=8@{saved(five.state_dict())}", task, given_fields(FIVE[1:]))
    with pytest.raises(TeacherError, match=r"tells 5 classes apart, but shapes has 3; .*--teacher-classes FILE"):
        load_teacher(f"cnn:layers=2,width=8@{saved(five.state_dict())}", task)
    with pytest.raises(TeacherError, match="tells 5 classes apart, but the list of its classes has 6"):
        load_teacher(five, task, given_fields((*FIVE, "sixth")))


def test_a_description_has_the_names_only_where_they_were_given(
    five: nn.Module, saved: Saved, task: Task, inputs: Tensor
) -> None:
    text = f"cnn@{saved(five.state_dict())}"
    assert "classes" not in describe(text) and "classes" not in describe(five)
    assert describe(five, {"classes": FIVE})["classes"] == list(FIVE)
    plain = json.loads(json.dumps(describe(text, given_fields(list(FIVE)))))
    assert plain["classes"] == list(FIVE)
    by_option, again = load_teacher(text, task, given_fields(FIVE)), load_teacher(plain, task)
    in_text = load_teacher(text.replace("cnn@", f"cnn:classes={','.join(FIVE)}@"), task)
    assert by_option.fingerprint == again.fingerprint == in_text.fingerprint
    assert torch.equal(by_option.predict(inputs).logits, again.predict(inputs).logits)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat\ndog\n", ("cat", "dog")),
        ("\ufeffcat \r\n  big dog\r\n\r\n", ("cat", "big dog")),
        ('["cat", 7]', ("cat", "7")),
        ('{"dog": 1, "cat": 0}', ("cat", "dog")),
        ('{"0": "cat", "1": "dog"}', ("cat", "dog")),
        ('{"id2label": {"1": "dog", "0": "cat"}, "model_type": "vit"}', ("cat", "dog")),
        ('{"class_to_idx": {"dog": 1, "cat": 0}, "epoch": 3}', ("cat", "dog")),
        ('{"1": 0, "0": 1}', ("1", "0")),  # class_to_idx of classes that are numbers
    ],
)
def test_lists_of_names(text: str, names: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "names").write_bytes(text.encode())
    assert read_class_names(tmp_path / "names") == read_class_names(str(tmp_path / "names")) == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no list of class names"),
        (b"cat\n\ndog\n", "line 2 is empty"),
        (b"{", "is not JSON"),
        (b'{"cat": 1, "dog": 2}', "no list of class names"),
        (b'{"cat": 0, "dog": 0}', "no list of class names"),
        (b'{"cat": true, "dog": 0}', "no list of class names"),
        (b'[["n01440764", "tench"]]', "no list of class names"),
        (b"3", ""),
        (b"\xff\xfe\x00", "no text in UTF-8"),
    ],
)
def test_lists_that_are_none(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    if not message:
        assert read_class_names(path) == (content.decode(),)
        return
    with pytest.raises(TeacherError, match=message) as caught:
        read_class_names(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [[], {}, 3, {"a": 1}, [1.5]])
def test_names_given_in_python_that_are_none(given: Any) -> None:
    with pytest.raises(TeacherError, match="the classes of the teacher: no list of class names"):
        read_class_names(given)


def test_names_given_in_python() -> None:
    assert read_class_names({"dog": 1, "cat": 0}) == read_class_names(["cat", "dog"]) == ("cat", "dog")
    with pytest.raises(TeacherError, match=r"cannot read nowhere\.txt"):
        read_class_names("nowhere.txt")
