"""Training may take what is free, and no more."""

from __future__ import annotations

import sys

import pytest
import torch

from autokd.engine import memory


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of Linux")
def test_an_allocation_beyond_what_is_free_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    monkeypatch.setattr(memory, "free_memory", lambda: 10**9)
    with memory.bounded_memory(torch.device("cpu")):
        torch.empty(10**8, dtype=torch.uint8)
        with pytest.raises(RuntimeError, match=r"can't allocate memory|not enough memory"):
            torch.empty(2 * 10**9, dtype=torch.uint8)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    with memory.bounded_memory(torch.device("meta")):
        assert resource.getrlimit(resource.RLIMIT_DATA) == before
