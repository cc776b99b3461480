"""Tensors whose samples are read when they are asked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from autokd import batching, lazy
from autokd.errors import DataError
from autokd.lazy import FileRows, LazyTensor
from autokd.networks.models import state_fingerprint
from autokd.types import Split


def stored(tmp_path: Path, count: int = 60) -> tuple[Tensor, LazyTensor]:
    """Return pictures in memory, and the same ones in a file."""
    whole = torch.randint(0, 256, (count, 3, 5, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    (tmp_path / "rows").write_bytes(b"before" + whole.numpy().tobytes())
    return whole, LazyTensor(FileRows(tmp_path / "rows", 6, (3, 5, 4)), torch.arange(count))


def test_indexes_like_any_tensor(tmp_path: Path) -> None:
    whole, tensor = stored(tmp_path)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))[:7]
    for index in (3, -1, slice(2, 9), slice(None, None, 7), slice(5, 5), order, order[:0], whole[:, 0, 0, 0] > 100):
        assert torch.equal(tensor[index], whole[index]), index
        assert type(tensor[index]) is Tensor
    assert torch.equal(tensor[:, 0], whole[:, 0]) and torch.equal(tensor[..., 1], whole[..., 1])
    assert torch.equal(tensor[order, 0], whole[order, 0]) and torch.equal(tensor[None], whole[None])
    with torch.inference_mode():
        assert torch.equal(tensor[4:6], whole[4:6]) and torch.equal(tensor[order], whole[order])


def test_computes_like_any_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, tensor = stored(tmp_path)
    monkeypatch.setattr(lazy, "PIECE", 130)  # two samples at a time
    assert tensor.shape == whole.shape and tensor.dtype == whole.dtype and tensor.device == whole.device
    assert len(tensor) == 60 and batching.nbytes(tensor) == whole.nbytes and tensor.to(torch.device("cpu")) is tensor
    assert torch.equal(tensor.float(), whole.float()) and torch.equal(tensor.float().mean(0), whole.float().mean(0))
    assert torch.equal(torch.cat([tensor, whole]), torch.cat([whole, whole])) and bool((tensor == whole).all())
    assert torch.equal(tensor.loaded(), whole) and torch.equal(torch.cat(list(lazy.pieces(tensor))), whole)
    assert (tensor.numpy() == whole.numpy()).all()
    assert state_fingerprint({"x": tensor}) == state_fingerprint({"x": whole})


def test_a_part_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, tensor = stored(tmp_path)
    monkeypatch.setattr(FileRows, "read", lambda *_: pytest.fail("it was read"))
    part = batching.take_split(Split(tensor, torch.arange(60)), torch.tensor([4, 2, 40]))
    again = batching.take_split(part, slice(1, None))
    monkeypatch.undo()
    assert batching.is_lazy(again.inputs) and torch.equal(batching.single(again.inputs)[:], whole[[2, 40]])
    first = batching.first_of(again, 1)
    assert not batching.is_lazy(first.inputs) and torch.equal(batching.single(first.inputs), whole[2:3])


def test_reads_no_more_than_twice_what_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, tensor = stored(tmp_path)
    sizes: list[int] = []
    read_into = FileRows._read_into

    def counted(self: FileRows, found: Tensor, row: int) -> None:
        sizes.append(found.numel() // 60)
        read_into(self, found, row)

    monkeypatch.setattr(FileRows, "_read_into", counted)
    assert torch.equal(tensor[::2], whole[::2]) and sizes == [59]
    sizes.clear()
    assert torch.equal(tensor[::3], whole[::3]) and sizes == [1] * 20


def test_a_file_that_was_cut_off(tmp_path: Path) -> None:
    _, tensor = stored(tmp_path)
    (tmp_path / "rows").write_bytes(b"before" + bytes(130))
    assert tensor[:2].shape == (2, 3, 5, 4)
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "rows")) + ".*cut off"):
        tensor[2:]
