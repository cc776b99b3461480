"""The same work for several items on several processors, in forked copies of this process.

A copy has all that this process has loaded and needs no start of its own. It lives as long as there are items, computes
on one thread of torch, and hands over its results as JSON. Where it dies or hangs, this process does what is left.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch

from autokd.engine.threads import computing_on
from autokd.execution.tied import tie_to_parent

Item = TypeVar("Item")
LEASE = 300.0
"""Seconds without any result after which copies are given up."""
_PLACE = 2
"""Bytes of an item's place in the pipe from which copies take them."""


def spread_over_copies(work: Callable[[Item], Any], items: Sequence[Item], processes: int) -> Iterator[tuple[int, Any]]:
    """Yield the place of each item and what the work returns for it, as they come, on one thread of torch each.

    With one process, one item, or where a process cannot be forked safely, all is done in this one, in order.

    Args:
      work: returns what JSON keeps exactly, and changes nothing that matters.
      items: at most a few thousand.
      processes: that work at a time, at most.
    """
    with computing_on(1):
        done = set()
        processes = min(processes, len(items))
        if processes > 1 and sys.platform == "linux" and not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            for place, result in _from_copies(work, items, processes):
                done.add(place)
                yield place, result
        for place, item in enumerate(items):
            if place not in done:
                yield place, work(item)


def _from_copies(work: Callable[[Item], Any], items: Sequence[Item], processes: int) -> Iterator[tuple[int, Any]]:
    take, give = os.pipe()
    os.write(give, b"".join(place.to_bytes(_PLACE) for place in range(len(items))))
    os.close(give)
    copies = [_copied(work, items, take) for _ in range(processes)]
    os.close(take)
    try:
        yield from _heard([outlet for _, outlet in copies])
    finally:
        for pid, outlet in copies:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(outlet)


def _copied(work: Callable[[Item], Any], items: Sequence[Item], take: int) -> tuple[int, int]:
    """Fork a copy that works until no item is left; return its process and the pipe that its results come through."""
    outlet, inlet = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there are other threads: a copy waits for none of them
        pid = os.fork()
    if pid:
        os.close(inlet)
        return pid, outlet
    try:
        tie_to_parent()
        logging.disable()  # another thread may have been writing
        while place := os.read(take, _PLACE):
            number = int.from_bytes(place)
            with os.fdopen(os.dup(inlet), "w") as told:
                told.write(json.dumps([number, work(items[number])]) + "\n")
    finally:
        os._exit(0)


def _heard(outlets: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Yield results until all copies have ended, or none has said anything for long."""
    with selectors.DefaultSelector() as selector:
        for outlet in outlets:
            selector.register(outlet, selectors.EVENT_READ, bytearray())
        while selector.get_map() and (ready := selector.select(LEASE)):
            for key, _ in ready:
                content = os.read(key.fd, 2**16)
                if not content:
                    selector.unregister(key.fd)
                key.data.extend(content)
                *lines, rest = bytes(key.data).split(b"\n")
                key.data[:] = rest
                for line in lines:
                    number, result = json.loads(line)
                    yield number, result
