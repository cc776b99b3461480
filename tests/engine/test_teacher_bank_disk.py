"""The teacher bank on disk: what it yields is the same whatever happens to it, and bounded in size."""

from __future__ import annotations

import errno
import functools
import json
import logging
import math
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors import SafetensorError
from torch import Tensor

from autokd.data import DataOptions, Dataset, load
from autokd.declarations import Loss, Part, Scale
from autokd.engine import teacher_bank
from autokd.engine.teacher_bank import TOP, Group, TeacherBank, block_bytes, groups_in_use
from autokd.networks.models import NetworkTeacher
from autokd.spec import PipelineSpec, make
from autokd.types import BuildContext, Output, Shapes, Step, Term
from tests.engine.helpers import (
    CPU,
    NotingLoss,
    NotingTeacher,
    assert_same,
    context,
    pipeline,
    teacher,
    through_a_file,
    trained,
)
from tests.processes import start
from tests.search.processes import wait_until

KD = {"ce": make("losses", "ce", {}), "kd": make("losses", "kd", {})}
SPEC = pipeline(augment=("crop_flip", {}), losses=KD)
NONE: frozenset[str] = frozenset()
ROOM = 2000
"""Bytes left in a full bank: too few for a block of `fill`, enough for a header."""


def asking(data: Dataset, bank: TeacherBank, spec: PipelineSpec = SPEC, **options: Any) -> tuple[int, Any]:
    """Train, and return how many samples the teacher was asked about, and final weights and curve."""
    noting = NotingTeacher(teacher(data.task))
    result, checkpoint = trained(context(data, noting, bank), spec, **options)
    return sum(len(inputs) for inputs in noting.inputs), (result.curve, checkpoint)


def blocks(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


def outputs(*values: float, num_classes: int = 4) -> Iterator[Output]:
    """A teacher's answer whose logits are told by one value a sample."""
    yield Output(torch.tensor(values).unsqueeze(1) * torch.arange(1.0, num_classes + 1))


def fill(bank: TeacherBank, group: str, view: str = "v", samples: int = 1000, value: float = 1.0) -> Tensor:
    """Ask a bank for a block of a group; return its logits."""
    block = bank.block(Group(group, {"group": group}), view, lambda: outputs(*[value] * samples), CPU, NONE)
    return block.output(torch.arange(samples)).logits


@pytest.fixture(scope="module")
def cold(digits: Dataset) -> Any:
    """Weights and curve of a run with a bank that was empty and in memory only."""
    asked, found = asking(digits, TeacherBank())
    assert asked == 2 * 129
    return found


def test_a_cold_and_a_warm_folder_give_what_memory_gives(digits: Dataset, tmp_path: Path, cold: Any) -> None:
    for expected in (2 * 129, 0):
        asked, found = asking(digits, TeacherBank(tmp_path))
        assert asked == expected
        assert_same(found, cold)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("I/O error: No space left on device")],
    ids=["from the system", "from safetensors"],
)
def test_a_full_disk_is_said_once_and_changes_nothing(
    digits: Dataset,
    tmp_path: Path,
    cold: Any,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(tensors: Any, path: Path, metadata: Any) -> None:
        path.write_bytes(b"half a fi")
        raise error

    monkeypatch.setattr("safetensors.torch.save_file", full)
    monkeypatch.setattr(teacher_bank.bank, "MEMORY", 0)
    bank = TeacherBank(tmp_path)
    for _ in range(2):
        asked, found = asking(digits, bank)
        assert asked == 2 * 129
        assert_same(found, cold)
    assert bank.counts.dropped == 4
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told == [f"teacher outputs cannot be kept in {tmp_path} (the disk is full); going on without"]
    assert not blocks(tmp_path) and not list(tmp_path.rglob("*.tmp"))


def test_what_was_evicted_is_computed_again_and_the_same(digits: Dataset, tmp_path: Path, cold: Any) -> None:
    bank = TeacherBank(tmp_path)
    asking(digits, bank)
    bank.close()
    assert teacher_bank.clear(tmp_path) > 2 * 129 * 10 * 2 and not blocks(tmp_path)
    asked, found = asking(digits, TeacherBank(tmp_path))
    assert asked == 2 * 129
    assert_same(found, cold)


def test_a_bank_that_loses_its_blocks_in_the_middle_goes_on(
    digits: Dataset, tmp_path: Path, cold: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher_bank.bank, "MEMORY", 0)
    bank = TeacherBank(tmp_path)
    _, half_way = trained(context(digits, teacher(digits.task), bank), SPEC, until=1)
    for path in blocks(tmp_path):
        path.unlink()
    asked, (curve, checkpoint) = asking(digits, bank, start=through_a_file(half_way))
    assert asked == 129
    assert_same(checkpoint, cold[1])
    assert curve == cold[0][1:]


def test_a_resumed_process_finds_its_blocks_on_disk(digits: Dataset, tmp_path: Path, cold: Any) -> None:
    asking(digits, TeacherBank(tmp_path))
    _, half_way = trained(context(digits, teacher(digits.task), TeacherBank(tmp_path)), SPEC, until=1)
    bank = TeacherBank(tmp_path)
    asked, (_, checkpoint) = asking(digits, bank, start=through_a_file(half_way))
    assert (asked, bank.counts.hits, bank.counts.computed) == (0, 1, 0)
    assert_same(checkpoint, cold[1])


def test_no_flipped_byte_of_a_file_is_trusted(tmp_path: Path) -> None:
    truth = fill(TeacherBank(tmp_path), "g", samples=2, value=1.3)
    (path,) = blocks(tmp_path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x0F]) + whole[place + 1 :])
        block = teacher_bank.load_block(path, CPU)
        if block is not None:
            assert torch.equal(block.output(torch.arange(2)).logits, truth), place
            assert block.num_classes == 4, place


def test_a_class_count_of_many_classes_is_checked_too(tmp_path: Path) -> None:
    answers = [Output(torch.randn(3, 300, generator=torch.Generator().manual_seed(0)))]
    TeacherBank(tmp_path).block(Group("g", {}), "v", lambda: iter(answers), CPU, NONE)
    (path,) = blocks(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"num_classes":"300"', b'"num_classes":"301"'))
    assert teacher_bank.load_block(path, CPU) is None


DAMAGE = {
    "a flipped byte": lambda whole: whole[:-7] + bytes([whole[-7] ^ 1]) + whole[-6:],
    "a truncated file": lambda whole: whole[: len(whole) // 2],
    "an empty file": lambda whole: b"",
    "another checksum": lambda whole: re.sub(rb'"checksum":"....', b'"checksum":"0123', whole),
    "no checksum": lambda whole: whole.replace(b"checksum", b"cheksumm"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_block_is_computed_again_and_replaced(
    digits: Dataset, tmp_path: Path, cold: Any, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    asking(digits, TeacherBank(tmp_path))
    whole = {path: path.read_bytes() for path in blocks(tmp_path)}
    for path, content in whole.items():
        path.write_bytes(DAMAGE[damage](content))
        assert path.read_bytes() != content
    asked, found = asking(digits, TeacherBank(tmp_path))
    assert asked == 2 * 129
    assert_same(found, cold)
    assert sorted(record.getMessage() for record in caplog.records) == [
        f"a stored block of teacher outputs is damaged and is computed again: {path.name}" for path in whole
    ]
    assert asking(digits, TeacherBank(tmp_path))[0] == 0


FILLING = """
import sys
import time
import torch
from pathlib import Path
from autokd.engine.teacher_bank import Group, TeacherBank
from autokd.types import Output

bank = TeacherBank(Path(sys.argv[1]))
answers = [Output(torch.randn(3000, 100, generator=torch.Generator().manual_seed(5)))]
Path("ready").touch()
while not Path(sys.argv[1], "go").exists():
    time.sleep(0.001)
for view in range(12):
    bank._memory.clear()
    bank.block(Group("shared", {}), str(view), lambda: iter(answers), torch.device("cpu"), frozenset())
print(bank.counts.hits + bank.counts.computed)
"""


@pytest.mark.slow
def test_two_processes_that_fill_the_same_group_leave_whole_files(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    bank = tmp_path / "bank"
    bank.mkdir()
    both = [start(FILLING, bank, folder=folder) for folder in folders]
    for folder, one in zip(folders, both, strict=True):
        wait_until((folder / "ready").exists, folder, one)
    (bank / "go").touch()
    assert [one.wait(timeout=300) for one in both] == [0, 0]
    assert [(folder / "output.txt").read_text() for folder in folders] == ["12\n"] * 2
    expected = torch.randn(3000, 100, generator=torch.Generator().manual_seed(5)).half()
    assert len(blocks(bank)) == 12 and not list(bank.rglob("*.tmp"))
    for path in blocks(bank):
        block = teacher_bank.load_block(path, CPU)
        assert block is not None and torch.equal(block.tensors["logits"], expected)


HOLDING = """
import sys
import time
import torch
from pathlib import Path
from autokd.engine.teacher_bank import Group, TeacherBank
from autokd.types import Output

bank = TeacherBank(Path(sys.argv[1]))
answers = [Output(torch.ones(1000, 4))]
bank.block(Group(sys.argv[2], {}), "v", lambda: iter(answers), torch.device("cpu"), frozenset())
Path("ready").touch()
time.sleep(120)
"""


def aged(folder: Path, group: str, seconds: float) -> None:
    """Let a group be as old as if it was last begun so many seconds ago."""
    about = folder / group / "about.json"
    then = about.stat().st_mtime - seconds
    os.utime(about, (then, then))


def kept(folder: Path) -> set[str]:
    return {path.parent.name for path in blocks(folder)}


def test_a_full_bank_evicts_the_groups_that_nobody_uses_oldest_first(tmp_path: Path) -> None:
    filled = TeacherBank(tmp_path)
    for age, group in enumerate(("new", "old", "older")):
        fill(filled, group)
        aged(tmp_path, group, 1000.0 * age)
    size = teacher_bank.folder_bytes(tmp_path)
    busy = TeacherBank(tmp_path, size + ROOM)
    fill(busy, "mine")
    assert kept(tmp_path) == {"new", "old", "older"} and busy.counts.dropped == 1  # `filled` still uses all three
    filled.close()
    fill(busy, "mine", "w")
    assert kept(tmp_path) == {"new", "old", "mine"}
    fill(busy, "another")
    assert kept(tmp_path) == {"new", "mine", "another"}
    assert teacher_bank.folder_bytes(tmp_path) <= busy.max_bytes


def test_reading_a_group_makes_it_used_and_young(tmp_path: Path) -> None:
    first = TeacherBank(tmp_path)
    for age, group in enumerate(("a", "b")):
        fill(first, group)
        aged(tmp_path, group, 1000.0 - 500 * age)
    first.close()
    assert groups_in_use(tmp_path) == set()
    reader = TeacherBank(tmp_path)
    fill(reader, "a")
    assert (reader.counts.hits, reader.counts.computed) == (1, 0)
    assert groups_in_use(tmp_path) == {"a"}
    assert [path.name for path in teacher_bank.group_folders(tmp_path)] == ["b", "a"]
    assert teacher_bank.clear(tmp_path) > 0 and kept(tmp_path) == {"a"}


@pytest.mark.slow
def test_a_group_of_another_process_stays_until_that_is_killed(tmp_path: Path) -> None:
    bank, folder = tmp_path / "bank", tmp_path / "holder"
    holder = start(HOLDING, bank, "theirs", folder=folder)
    try:
        wait_until((folder / "ready").exists, folder, holder)
        size = teacher_bank.folder_bytes(bank)
        own = TeacherBank(bank, size + ROOM)
        fill(own, "mine")
        assert kept(bank) == {"theirs"} and groups_in_use(bank) == {"theirs", "mine"}
        assert teacher_bank.clear(bank) == 0
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        fill(own, "mine", "w")
        assert kept(bank) == {"mine"} and groups_in_use(bank) == {"mine"}
        assert len(list((bank / "users").iterdir())) == 2  # the mark and its lock; the dead one's are gone
    finally:
        holder.kill()
        holder.wait()


def test_a_folder_stays_within_its_bound_and_admits_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bank = TeacherBank(tmp_path, 20_000)
    for view in range(12):
        fill(bank, "g", str(view), samples=200)  # 1,600 bytes of values
    size = sum(path.stat().st_size for path in blocks(tmp_path))
    assert 12_000 < size <= 20_000
    assert bank.counts.computed == 12 and bank.counts.dropped == 12 - len(blocks(tmp_path)) > 0
    assert [path.name.split("-")[0] for path in blocks(tmp_path)] == sorted(map(str, range(len(blocks(tmp_path)))))
    assert [record.getMessage() for record in caplog.records] == [
        "the teacher bank is full (0.0 GB): new outputs are used and not kept"
    ]


def test_memory_alone_stays_within_the_bound() -> None:
    bank = TeacherBank(None, 2000)
    for view in ("a", "b", "c", "a", "c"):
        fill(bank, "g", view, samples=100)  # 800 bytes
    assert (bank.counts.hits, bank.counts.computed, bank.counts.dropped) == (1, 4, 2)


def test_what_a_group_is_about_stands_beside_it(digits: Dataset, tmp_path: Path) -> None:
    asking(digits, TeacherBank(tmp_path))
    (group,) = teacher_bank.group_folders(tmp_path)
    about = json.loads((group / "about.json").read_text())
    assert about["teacher"] == "test" and about["dataset"] == "digits" and about["augment"]["use"] == "crop_flip"


def test_a_group_without_its_note_goes_first(tmp_path: Path) -> None:
    bank = TeacherBank(tmp_path)
    fill(bank, "noted")
    fill(bank, "unnoted")
    bank.close()
    (tmp_path / "unnoted" / "about.json").unlink()
    fill(TeacherBank(tmp_path, teacher_bank.folder_bytes(tmp_path) + ROOM), "new")
    assert kept(tmp_path) == {"noted", "new"}


def test_view_seeds_make_groups_of_one_policy(digits: Dataset) -> None:
    bank = TeacherBank()
    for view_seed in (1, 2):
        asking(digits, bank, view_seed=view_seed)
    told = bank.counts.as_plain()
    assert (told["policies"], told["groups"], told["computed"]) == (1, 2, 4)


def test_counts_tell_hits_policies_and_drops(digits: Dataset) -> None:
    bank = TeacherBank()
    asking(digits, bank, epochs=3)
    asking(digits, bank, epochs=3)
    asking(digits, bank, pipeline(losses=KD), epochs=3)  # without randomness each epoch is the same view
    assert bank.counts.as_plain() == {
        "hits": 5,
        "computed": 4,
        "dropped": 0,
        "policies": 2,
        "groups": 2,
        "bytes": 4 * 129 * 10 * 2,
        "hit_rate": 5 / 9,
        "lost_mass": 0.0,
    }


# ---- against a teacher that is asked live and not rounded


@dataclass(frozen=True, kw_only=True)
class Distil:
    """Vanilla KD that asks for the teacher in a given mode, and notes its value and the teacher's logits."""

    teacher: Literal["stored", "live"]
    weight: float = 1.0
    values: list[float] = field(default_factory=list, compare=False)
    logits: list[Tensor] = field(default_factory=list, compare=False)

    @property
    def declares(self) -> Loss:
        return Loss(teacher=self.teacher, scale=Scale(1.0, "that of kd"))

    def build(self, context: BuildContext) -> Term:
        inner = make("losses", "kd", {"temperature": 4.0}).build(context)

        def term(step: Step) -> Tensor:
            assert step.teacher is not None
            value: Tensor = inner(step)
            self.values.append(float(value.detach().mean()))
            self.logits.append(step.teacher.logits[step.index.argsort()])
            return value

        return term


@pytest.mark.parametrize("augment", ["crop_flip", "mixup"])
def test_logits_and_first_losses_stay_close_to_a_live_teachers(digits: Dataset, augment: str) -> None:
    found = {mode: Distil(teacher=mode) for mode in ("stored", "live")}
    for loss in found.values():
        spec = pipeline(augment=(augment, {}), losses={"ce": make("losses", "ce", {}), "kd": loss})
        trained(context(digits, teacher(digits.task)), spec, epochs=4)
    stored, live = (torch.cat(found[mode].logits[:20]) for mode in ("stored", "live"))
    assert stored.shape == live.shape == (4 * 129, 10) and not torch.equal(stored, live)
    # half precision keeps 11 significant bits: half a unit in the last is a relative 2^-11, below 2^-14 an absolute
    # 2^-25; another batch size may change a live sum in its last float32 bits
    bound = live.abs() * (2.0**-11 + 2.0**-18) + 2.0**-20
    assert bool(((stored - live).abs() <= bound).all())
    assert found["stored"].values[:20] == pytest.approx(found["live"].values[:20], rel=1e-3)


@pytest.mark.slow
def test_accuracy_does_not_differ_from_a_live_teachers_beyond_noise() -> None:
    data = load("digits", DataOptions(limit_train=300))
    where = context(data, _good_teacher(data))
    scores: dict[Literal["stored", "live"], list[float]] = {"stored": [], "live": []}
    for mode, found in scores.items():
        losses = {"ce": make("losses", "ce", {}), "kd": Distil(teacher=mode)}
        spec = pipeline(
            student=("cnn", {"layers": 2, "width": 12}), augment=("crop_flip", {"flip": False}), losses=losses
        )
        found += [trained(where, spec, epochs=8, seed=seed)[0].score for seed in range(4)]
    stored, live = (torch.tensor(scores[mode], dtype=torch.float64) for mode in ("stored", "live"))
    assert float(live.mean()) > 0.6
    noise = math.sqrt(float(stored.var() + live.var()) / 4)
    assert abs(float(stored.mean() - live.mean())) <= 2 * noise + 1 / len(data.validation)


def _good_teacher(data: Dataset) -> NetworkTeacher:
    spec = pipeline(student=("cnn", {"layers": 2, "width": 12}), augment=("crop_flip", {"flip": False}))
    _, checkpoint = trained(context(data), spec, epochs=15)
    network = spec.student.build(BuildContext(task=data.task))
    network.load_state_dict(checkpoint["student"])
    return NetworkTeacher([network], data.task, origin="trained for the test")


# ---- many classes


def thousand(samples: int) -> Tensor:
    """Logits of a made-up teacher of a thousand classes that is sure of a few."""
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(samples, 1000, generator=generator)
    favourites = torch.rand(samples, 1000, generator=generator).topk(8, dim=1).indices
    return logits.scatter_add(1, favourites, 4 * torch.rand(samples, 8, generator=generator) + 2)


def test_of_a_thousand_classes_the_largest_keep_their_probability() -> None:
    logits = thousand(600)
    parts = [Output(logits[:512]), Output(logits[512:])]
    bank = TeacherBank()
    block = bank.block(Group("g", {}), "v", lambda: iter(parts), CPU, NONE)
    assert {name: (tuple(t.shape), t.dtype) for name, t in block.tensors.items()} == {
        "top": ((600, TOP), torch.float16),
        "classes": ((600, TOP), torch.int32),
        "rest": ((600,), torch.float16),
    }
    index = torch.tensor([599, 0, 300])
    stored = block.output(index).logits.double()
    truth = logits[index].double()
    assert stored.shape == (3, 1000)
    probabilities, expected = stored.softmax(-1), truth.softmax(-1)
    top = truth.topk(TOP).indices
    assert torch.equal(stored.topk(TOP).indices.sort(dim=1).values, top.sort(dim=1).values)
    assert float((probabilities.gather(1, top) - expected.gather(1, top)).abs().max()) < 1e-3
    outside = [1 - p.gather(1, top).sum(1) for p in (probabilities, expected)]
    assert float((outside[0] - outside[1]).abs().max()) < 1e-3  # what is not kept stays outside, in sum
    others = stored.scatter(1, top, torch.nan)
    assert torch.equal(others.nan_to_num(-9).max(1).values, others.nan_to_num(9).min(1).values)  # and is spread evenly
    everywhere = logits.double().softmax(-1)
    lost = 1 - everywhere.gather(1, logits.topk(TOP).indices).sum(1)
    assert 0.01 < float(lost.mean()) == pytest.approx(bank.counts.lost_mass, abs=1e-3)
    assert bank.counts.as_plain()["lost_mass"] == bank.counts.lost_mass


def test_a_block_takes_the_bytes_that_are_planned_for_it() -> None:
    for classes, parts in ((10, NONE), (1000, frozenset({"pooled"})), (10, frozenset({"pooled", "features"}))):
        answer = Output(
            torch.randn(50, classes), (torch.randn(50, 3, 4, 4), torch.randn(50, 6, 2, 2)), torch.randn(50, 7)
        )
        block = TeacherBank().block(Group("g", {}), "v", functools.partial(iter, [answer]), CPU, parts)
        shapes = Shapes(features=((3, 4, 4), (6, 2, 2)), pooled=7)
        assert block.nbytes == block_bytes(shapes, classes, 50, parts)
    assert block_bytes(Shapes(), 1000, 50, NONE) == 50 * (64 * 2 + 64 * 4 + 2)


def test_top_logits_of_many_classes_survive_the_disk(tmp_path: Path) -> None:
    answers = [Output(thousand(20))]
    ask = (Group("g", {}), "v", lambda: iter(answers), CPU, NONE)
    written = TeacherBank(tmp_path).block(*ask)
    bank = TeacherBank(tmp_path)
    assert_same(dict(bank.block(*ask).tensors), dict(written.tensors))
    assert bank.counts.hits == 1 and bank.counts.lost_mass == written.lost_mass() > 0


# ---- more than logits


def test_the_embedding_is_kept_only_when_a_loss_asks(digits: Dataset, tmp_path: Path) -> None:
    def names(folder: str, needs: set[Part], parts: frozenset[str] = NONE) -> set[str]:
        loss = NotingLoss(teacher="stored", reads=frozenset(needs))
        where = context(digits, teacher(digits.task), TeacherBank(tmp_path / folder))
        if parts:
            where = type(where)(**{**_fields(where), "parts": parts})
        trained(where, pipeline(losses={"ce": loss}), epochs=1)
        (path,) = blocks(tmp_path / folder)
        found = teacher_bank.load_block(path, CPU)
        assert found is not None
        return set(found.tensors)

    assert names("logits", set()) == {"logits"}
    assert names("pooled", {"pooled"}) == {"logits", "pooled"}
    assert names("of the study", set(), frozenset({"pooled", "features"})) == {"logits", "pooled"}


def _fields(where: Any) -> dict[str, Any]:
    return {"data": where.data, "teacher": where.teacher, "device": where.device, "bank": where.bank}


@dataclass(frozen=True, kw_only=True)
class Watching:
    """A loss of autokd's own that notes what it sees of the teacher."""

    inner: Any
    seen: list[tuple[Tensor, Output]] = field(default_factory=list, compare=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def build(self, context: BuildContext) -> Term:
        term: torch.nn.Module | Term = self.inner.build(context)
        return _Noted(term, self.seen)


class _Noted(torch.nn.Module):
    def __init__(self, term: Any, seen: list[tuple[Tensor, Output]]) -> None:
        super().__init__()
        self.term = term
        self.seen = seen

    def forward(self, step: Step) -> Tensor:
        assert step.teacher is not None
        self.seen.append((step.index, step.teacher))
        value: Tensor = self.term(step)
        return value


@pytest.mark.parametrize("name", ["hint", "sp"])
def test_feature_maps_come_rounded_from_the_bank_only_when_it_keeps_them(digits: Dataset, name: str) -> None:
    live: list[Tensor] = []
    for keeps, times in ((False, 10), (True, 1)):
        loss, noting = Watching(inner=make("losses", name, {})), NotingTeacher(teacher(digits.task))
        where = context(digits, noting, TeacherBank(features=keeps))
        trained(where, pipeline(losses={"ce": make("losses", "ce", {}), name: loss}), epochs=2)
        assert len(noting.inputs) == times
        order = torch.cat([index for index, _ in loss.seen[:5]]).argsort()
        maps = [torch.cat([answer.features[i] for _, answer in loss.seen[:5]])[order] for i in range(2)]
        if keeps:
            block = next(iter(where.bank._memory.values()))
            for stage, found in enumerate(maps):
                kept_map = block.tensors[f"features.{stage}"]
                assert kept_map.dtype == torch.float16 and torch.equal(found, kept_map.float())
                torch.testing.assert_close(found, live[stage], rtol=2**-11 + 2**-18, atol=2**-20)
                assert not torch.equal(found, live[stage])
        live = maps


def test_feature_maps_too_large_for_many_blocks_are_asked_live(digits: Dataset) -> None:
    noting = NotingTeacher(teacher(digits.task))
    spec = pipeline(losses={"ce": make("losses", "ce", {}), "sp": make("losses", "sp", {})})
    trained(context(digits, noting, TeacherBank(None, 200_000, features=True)), spec, epochs=2)
    assert len(noting.inputs) == 10
