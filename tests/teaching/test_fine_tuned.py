"""A pretrained network as a teacher of other classes: from its file, by validation alone, once."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from autokd import batching, compat
from autokd.data import DataOptions, Dataset, load, load_again, with_finer
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict_teacher
from autokd.engine.loop import train_rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import to_device
from autokd.errors import TeacherError
from autokd.search.own_teacher import own_teacher
from autokd.search.prepare import prepare
from autokd.search.request import Progress, Request
from autokd.spec import from_plain
from autokd.teaching import best_epoch, fine_tuned
from autokd.teaching.best_epoch import train_best
from autokd.teaching.recipe import Effort
from autokd.teaching.taught import effort_of, is_taught, lengthened, load_described
from autokd.teaching.whole_network import RATES
from autokd.types import Split
from tests.search.spaces import CPU

CLASSES = 7


class Unread(Dataset):
    def read_test(self) -> Split:
        raise AssertionError("the test split was read")


class Fixed(nn.Module):
    """A network that has always 7 classes, whatever the data have."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU())
        self.out = nn.Linear(16, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.body(x))


def fixed() -> nn.Module:
    return Fixed()


def of_convolutions() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, CLASSES, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache and a work folder of this test's own."""
    monkeypatch.setenv("AUTOKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "teachers"


@pytest.fixture(scope="module")
def data() -> Dataset:
    loaded = load("digits", DataOptions(limit_train=320))
    return Unread(**{field.name: getattr(loaded, field.name) for field in dataclasses.fields(loaded)})


@pytest.fixture(scope="module")
def state(data: Dataset) -> dict[str, torch.Tensor]:
    """The weights of a small network that was trained on the first seven digits."""

    def known(split: Split) -> Split:
        rows = (split.labels < CLASSES).nonzero()[:, 0]
        return batching.take_split(split, rows)

    train = known(data.train)
    task = dataclasses.replace(data.task, classes=data.task.classes[:CLASSES], train_size=len(train))
    seven = dataclasses.replace(data, task=task, train=train, validation=known(data.validation))
    plain = {
        "format": 1,
        "student": {"use": "resnet", "depth": 8, "width": 4},
        "augment": {"use": "none"},
        "losses": {"ce": {"use": "ce"}},
        "optimizer": {"use": "sgd", "learning_rate": 0.1},
        "schedule": {"use": "one_cycle"},
        "batch_size": 32,
    }
    context = TrainContext(data=seven, teacher=None, device=CPU, bank=TeacherBank())
    return dict(train_best(context, from_plain(plain), 0, 6, lambda: None).state)


@pytest.fixture
def seven(state: dict[str, torch.Tensor]) -> str:
    """What `--teacher` takes for it."""
    torch.save(state, "seven.pt")
    return "resnet8:width=4@seven.pt"


def obtained(data: Dataset, teacher: Any, epochs: int = 4, **options: Any) -> tuple[Any, list[Progress]]:
    told: list[Progress] = []
    own = own_teacher(Request(teacher=teacher, fine_tune=True, **options), data, CPU)
    return own.obtain(data, Effort(epochs), CPU, told.append), told


def accuracy(found: Any, data: Dataset) -> float:
    seen = with_finer(load_again(data.reference), found.teacher).validation
    logits = predict_teacher(found.teacher, to_device(seen, data.task, CPU))
    return float((logits.argmax(1) == data.validation.labels).double().mean())


def killed_and_taken_up(data: Dataset, teacher: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Fine-tune, stop that in the full run, and do it again; return the rungs that were trained in all."""
    own = own_teacher(Request(teacher=teacher, fine_tune=True), data, CPU)
    rungs = []

    def counted(context: Any, spec: Any, rung: Any, **options: Any) -> Any:
        rungs.append(rung.until)
        return train_rung(context, spec, rung, **options)

    def stop(at: Progress) -> None:
        if at.stage == "teacher" and at.done == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(best_epoch, "train_rung", counted)
    with pytest.raises(KeyboardInterrupt):
        own.obtain(data, Effort(4), CPU, stop)
    own.obtain(data, Effort(4), CPU, lambda at: None)
    return len(rungs)


def test_the_head_first_then_the_whole_network_and_all_of_it_once(
    data: Dataset, cache: Path, seven: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    once, told = obtained(data, seven)
    shutil.rmtree(cache)
    trained = killed_and_taken_up(data, seven, monkeypatch)
    assert trained == len(RATES) + 1 + 3  # the full run has two rungs, and of these the second is trained again
    assert not list(cache.glob("*.part"))
    found, _ = obtained(data, seven)
    assert found.teacher.fingerprint == once.teacher.fingerprint
    counts = [at.done for at in told if at.stage == "teacher"]
    assert counts == list(range(5 + 4 + 1)) and told[-1].note == once.line  # five short runs, and the full one
    facts = json.loads(next(cache.glob("*/teacher.json")).read_text())
    assert facts["head"] > 0.5 and facts["epochs"] == 4
    assert accuracy(found, data) == pytest.approx(max(facts["head"], facts["whole"]))
    said = r"fine-tuned: head [\d.]+ %, whole [\d.]+ % on validation, (epoch \d of 4|the head alone is kept), "
    assert re.search(said + r"learning rate \de-\d, \d+ s$", found.line)
    again, told = obtained(data, seven)
    assert again.line == found.line and again.teacher.fingerprint == found.teacher.fingerprint
    assert [at.stage for at in told] == ["given"]
    Path("moved.pt").write_bytes(Path("seven.pt").read_bytes())
    assert obtained(data, "resnet8:width=4@moved.pt")[0].teacher.fingerprint == found.teacher.fingerprint
    next(cache.glob("*/teacher.safetensors")).write_bytes(b"")
    repaired, told = obtained(data, seven)
    assert len(told) > 1 and repaired.teacher.fingerprint == found.teacher.fingerprint
    assert is_taught(repaired.reference) and not is_taught({"use": "autokd"})


def test_whatever_made_the_teacher_makes_it_again(data: Dataset, seven: str) -> None:
    found, _ = obtained(data, seven, 1)
    described = json.loads(json.dumps(found.reference))
    assert load_described(described, data, CPU).fingerprint == found.teacher.fingerprint
    assert effort_of(described, 40) == Effort(1) and effort_of(lengthened(described, 9), 40) == Effort(9)
    torch.save({"other": torch.zeros(1)}, "seven.pt")
    with pytest.raises(TeacherError, match="has changed"):
        load_described(described, data, CPU)


def test_a_head_takes_the_place_of_whatever_head_there_was(
    data: Dataset, seven: str, state: dict[str, torch.Tensor]
) -> None:
    torch.save(Fixed().state_dict(), "fixed.pt")
    with_ten, _ = obtained(data, "tests.teaching.test_fine_tuned:fixed@fixed.pt", 1)
    assert accuracy(with_ten, data) > 0.5
    torch.save({name: value for name, value in state.items() if not name.startswith("fc.")}, "headless.pt")
    without = obtained(data, "resnet8:width=4@headless.pt", 1)[0]
    assert without.teacher.fingerprint == obtained(data, seven, 1)[0].teacher.fingerprint


def test_a_network_of_colours_sees_grey(data: Dataset, state: dict[str, torch.Tensor]) -> None:
    torch.save({**state, "conv1.weight": state["conv1.weight"].expand(-1, 3, -1, -1) / 3}, "colour.pt")
    found, _ = obtained(data, "resnet8:width=4@colour.pt", 1, teacher_size=12)
    assert accuracy(found, data) > 0.5 and "fed 12 px (the data have 8)" in found.line


def test_it_trains_on_the_samples_as_it_is_fed_them_later(
    seven: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fine_tuned, "fit_head", lambda *_: None)  # so that what is trained is kept
    small = load("digits", DataOptions(limit_train=320, image_size=4))
    found, _ = obtained(small, seven, 2, teacher_size=8)
    facts = json.loads(next(cache.glob("*/teacher.json")).read_text())
    assert "fed 8 px (read at that size; students see 4)" in found.line
    assert facts["head"] is None and "head not fitted alone" in found.line
    assert accuracy(found, small) == pytest.approx(facts["whole"])


@pytest.mark.parametrize(
    ("teacher", "options", "message"),
    [
        (None, {}, r"--fine-tune is about one pretrained network .* give it with --teacher"),
        (["resnet8@a.pt", "resnet8@b.pt"], {}, "2 are given"),
        ("predictions:seven.pt", {}, "a predictions teacher has no head"),
        (nn.Linear(2, 2), {}, r"save its state_dict\(\) to one"),
        ("resnet8:width=4@seven.pt", {"teacher_classes": ["a", "b"]}, "leave --teacher-classes out"),
        ("resnet8:width=8@seven.pt", {}, "does not fit this network; .* a file of its own weights"),
        ("tests.teaching.test_fine_tuned:of_convolutions@conv.pt", {}, "has no linear layer with one output a class"),
    ],
)
@pytest.mark.usefixtures("seven")
def test_what_cannot_be_fine_tuned(data: Dataset, teacher: Any, options: dict[str, Any], message: str) -> None:
    torch.save(of_convolutions().state_dict(), "conv.pt")
    with pytest.raises(TeacherError, match=message):
        own_teacher(Request(teacher=teacher, fine_tune=True, **options), data, CPU)


def test_beside_students_weights_the_largest_network_there_becomes_the_teacher(data: Dataset) -> None:
    timm = compat.timm()
    for name in ("test_resnet", "test_vit"):  # of 373 and 307 thousand parameters
        Path("weights", f"{name}.r160_in1k").mkdir(parents=True)
        state = timm.create_model(name, num_classes=9).state_dict()
        if name == "test_vit":
            save_file(state, f"weights/{name}.r160_in1k/model.safetensors")
        else:
            torch.save(state, f"weights/{name}.r160_in1k/pytorch_model.bin")
    Path("weights/larger.pt").write_bytes(bytes(3_000_000))  # of no network that timm knows
    own = own_teacher(Request(weights="weights"), data, CPU)
    assert own.base is not None and own.base["model"] == "test_resnet.r160_in1k" and own.base["input_size"] == 160
    assert own.reference(Effort(3))["fine_tune"] == {"epochs": 3}
    Path("empty").mkdir()
    assert own_teacher(Request(weights="empty"), data, CPU).base is None


def test_a_study_keeps_how_its_teacher_is_made(seven: str) -> None:
    asked: dict[str, Any] = {"dataset": "digits", "limit_train": 320, "teacher": seven}
    with pytest.raises(TeacherError, match=r"tells 7 classes apart, but digits has 10; .* with --fine-tune"):
        prepare(Request(**asked), lambda at: None, dry=True)
    setup = prepare(Request(**asked, fine_tune=True), lambda at: None, dry=True)
    described = setup.identity.teacher.reference
    assert described is not None and described["fine_tune"] == {"epochs": 15}  # few samples: as long as a default one
    assert setup.teacher is None and setup.budget.teacher_epochs == 15 and setup.offers.features
    assert not Path("cache/teachers").exists()
