"""A teacher's file is found where it moved with the pipeline file."""

from __future__ import annotations

from pathlib import Path

import pytest

from autokd.delivery.teacher_file import anchored, relative


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work" / "nets").mkdir(parents=True)
    (tmp_path / "work" / "nets" / "teacher.pt").write_bytes(b"weights")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def test_a_file_below_the_work_folder_is_written_as_seen_from_there(work: Path, tmp_path: Path) -> None:
    inside, outside = str(work / "nets" / "teacher.pt"), str(tmp_path / "other.pt")
    assert relative({"use": "timm", "file": inside}) == {"use": "timm", "file": "nets/teacher.pt"}
    assert relative({"use": "timm", "file": outside}) == {"use": "timm", "file": outside}
    several = {"use": "ensemble", "members": [{"use": "timm", "file": inside}, {"use": "onnx", "file": outside}]}
    assert relative(several) == {
        "use": "ensemble",
        "members": [{"use": "timm", "file": "nets/teacher.pt"}, {"use": "onnx", "file": outside}],
    }
    assert relative({"use": "trained", "epochs": 3}) == {"use": "trained", "epochs": 3} and relative(None) is None


def test_it_is_found_again_after_both_moved(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = tmp_path / "moved"
    work.rename(moved)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = anchored({"use": "timm", "file": "nets/teacher.pt"}, moved / "exported" / "pipeline.yaml")
    assert found == {"use": "timm", "file": str(moved / "nets" / "teacher.pt")}


def test_one_that_is_gone_is_looked_for_beside_the_pipeline_file(work: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "teacher.pt").write_bytes(b"weights")
    gone = {"use": "timm", "file": "/gone/teacher.pt"}
    assert anchored(gone, tmp_path / "there" / "p.yaml") == {**gone, "file": str(tmp_path / "there" / "teacher.pt")}
    assert anchored(gone, work / "p.yaml") == gone, "the line that refuses it names where it was"
    assert anchored(None, work / "p.yaml") is None
