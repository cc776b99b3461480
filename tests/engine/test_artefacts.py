"""What components prepare is made once, kept, and made again where it was damaged."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from autokd.data import Dataset
from autokd.declarations import Selection as SelectionDeclaration
from autokd.engine.artefacts import Artefacts
from autokd.engine.build import build_run
from autokd.engine.context import TrainContext
from autokd.engine.prepare import prepare_artefacts, reference_logits
from autokd.errors import ComponentError
from autokd.spec import make
from autokd.types import BuildContext, DrawnRows, PrepareContext, Selection
from tests.engine.helpers import NotingTeacher, context, pipeline, teacher

LELP = {"lelp": make("losses", "lelp", {})}


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A selection of the first rows that prepares how many, and notes what it was given."""

    declares = SelectionDeclaration(name="t_counted", prepared_from=("rows",))

    rows: int = 40
    other: int = 0
    asked: list[PrepareContext] = field(default_factory=list, compare=False)

    def prepare(self, context: PrepareContext) -> Mapping[str, Tensor]:
        self.asked.append(context)
        return {"rows": torch.arange(self.rows)}

    def build(self, context: BuildContext) -> Selection:
        assert context.artefact is not None
        drawn = DrawnRows(context.artefact["rows"])
        return Selection(len(drawn.rows), lambda number, generator, u: drawn)


def with_folder(where: TrainContext, folder: Path) -> TrainContext:
    """The same in another process."""
    return dataclasses.replace(where, artefacts=Artefacts(folder))


def test_an_artefact_is_made_once_and_found_by_other_processes(digits: Dataset, tmp_path: Path) -> None:
    where = with_folder(context(digits), tmp_path)
    counted = Counted()
    spec = pipeline(selection=counted)
    (prepared,) = prepare_artefacts(where, spec)
    assert prepared.component == "selection.t_counted" and prepared.seconds >= 0
    assert list(prepare_artefacts(where, spec)) == []
    assert list(prepare_artefacts(with_folder(where, tmp_path), spec)) == []
    assert len(counted.asked) == 1
    assert build_run(with_folder(where, tmp_path), spec, 129).selection.size == 40
    assert [path.name for path in tmp_path.glob("*.safetensors")] == [f"{prepared.key}.safetensors"]


def test_fields_that_do_not_matter_share_it_and_those_that_do_have_their_own(digits: Dataset) -> None:
    where = context(digits)
    keys = [where.artefact_key(counted) for counted in (Counted(), Counted(other=1), Counted(rows=41))]
    assert keys[0] == keys[1] != keys[2]


def test_other_data_labels_or_teacher_have_their_own(digits: Dataset) -> None:
    plain, lelp = Counted(), make("losses", "lelp", {})
    known = dataclasses.replace(digits.train, labelled=torch.arange(129) > 3)
    fewer = dataclasses.replace(digits, task=dataclasses.replace(digits.task, train_size=100))
    keys = {context(data).artefact_key(plain) for data in (digits, fewer, dataclasses.replace(digits, train=known))}
    assert len(keys) == 3
    teachers = [context(digits, teacher(digits.task, seed=seed)) for seed in (1, 2)]
    assert len({where.artefact_key(lelp) for where in teachers}) == 2
    assert len({where.artefact_key(plain) for where in teachers}) == 1, "it does not read the teacher"


@pytest.mark.parametrize("damage", [b"", b"nothing of the kind", None], ids=["empty", "another file", "a byte"])
def test_a_damaged_artefact_is_made_again(
    damage: bytes | None, digits: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    where = with_folder(context(digits), tmp_path)
    counted = Counted()
    (prepared,) = prepare_artefacts(where, pipeline(selection=counted))
    path = tmp_path / f"{prepared.key}.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if damage is None else damage)
    again = with_folder(where, tmp_path)
    assert [each.key for each in prepare_artefacts(again, pipeline(selection=counted))] == [prepared.key]
    assert "damaged and is made again" in caplog.text
    assert path.read_bytes() == whole and len(counted.asked) == 2


def test_where_it_cannot_be_written_it_is_used_and_not_kept(
    digits: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *rest: Any) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("autokd.engine.artefacts.write_tensors", full)
    where = with_folder(context(digits), tmp_path)
    spec = pipeline(selection=Counted())
    assert len(list(prepare_artefacts(where, spec))) == 1
    assert "cannot be kept" in caplog.text
    assert build_run(where, spec, 129).selection.size == 40


def test_what_was_not_prepared_is_a_clear_error(digits: Dataset) -> None:
    with pytest.raises(ComponentError, match="'t_counted' needs what its `prepare` returns, and it was not prepared"):
        build_run(context(digits), pipeline(selection=Counted()), 129)


def test_without_a_teacher_there_is_nothing_to_prepare_from(digits: Dataset) -> None:
    with pytest.raises(ComponentError, match="selections 'difference_sampling' reads the teacher, and there is none"):
        list(prepare_artefacts(context(digits), pipeline(selection=make("selections", "difference_sampling", {}))))


def test_a_loss_gets_what_the_teacher_says_of_the_set_as_it_is(digits: Dataset) -> None:
    asked = NotingTeacher(teacher(digits.task))
    where = context(digits, asked)
    assert [each.component for each in prepare_artefacts(where, pipeline(losses=LELP))] == ["losses.lelp"]
    assert sum(map(len, asked.inputs)) == 129
    counted = Counted()
    list(prepare_artefacts(where, pipeline(losses=LELP, selection=counted)))
    assert counted.asked[0].teacher is None and sum(map(len, asked.inputs)) == 129
    assert torch.equal(counted.asked[0].labels, digits.train.labels)


def test_a_reference_network_learns_from_its_rows_alone(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    where = context(digits)
    rows = torch.arange(80)
    found = reference_logits(where, rows, 1)
    assert (found.shape, found.dtype, found.device.type) == ((129, 10), torch.float32, "cpu")
    right = found.argmax(-1) == digits.train.labels
    assert right[:80].float().mean() > 0.95 and right[80:].float().mean() > 0.5
    monkeypatch.setattr("autokd.engine.prepare.REFERENCE_SAMPLES", 1_000)  # enough to tell two networks apart
    short = reference_logits(where, rows, 1)
    assert torch.equal(reference_logits(where, rows, 1), short) and not torch.equal(short, found)
    junk = torch.cat([digits.train.labels[:80], torch.zeros(49, dtype=torch.int64)])
    other = dataclasses.replace(digits, train=dataclasses.replace(digits.train, labels=junk))
    assert torch.equal(reference_logits(context(other), rows, 1), short)
    assert not torch.equal(reference_logits(where, rows, 2), short)
