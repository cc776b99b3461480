"""On how many threads of torch a block computes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def computing_on(threads: int) -> Iterator[None]:
    """Compute a block on so many threads of torch: sums differ in their last digits with their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
