"""Keeps freed memory for the next step instead of handing it back to the system, and bounds what is taken.

Every training step frees and asks again for the same large tensors. By default glibc returns such memory to the kernel,
and the page faults of getting it back cost a tenth of a small convolutional network's step on CPU.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import platform
from collections.abc import Iterator

import psutil
import torch

from autokd.free_memory import free_memory

BOUND_SHARE = 0.9
"""Of the free memory that training may take."""
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Names of glibc's `mallopt` parameters, from malloc.h."""
KEPT = 2**30
"""Bytes at the top of the heap that are kept."""
LARGEST = 2**25
"""Bytes up to which a block comes from the heap; glibc allows no more."""


def keep_freed_memory() -> bool:
    """Ask the C library's allocator to keep freed memory; return whether it could be asked (Linux with glibc)."""
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    asked = ((_MMAP_THRESHOLD, LARGEST), (_TRIM_THRESHOLD, KEPT), (_TOP_PAD, 2**26))
    return all(libc.mallopt(name, value) == 1 for name, value in asked)


def give_back_freed_memory() -> None:
    """Hand memory that is not in use back to the system, as far as the C library does (Linux with glibc)."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


@contextlib.contextmanager
def bounded_memory(device: torch.device) -> Iterator[None]:
    """Let allocations beyond what is free fail, where the system would kill the process; on the CPU, under Linux."""
    if device.type != "cpu" or platform.system() != "Linux":
        yield
        return
    import resource  # it exists on Unix alone

    before = resource.getrlimit(resource.RLIMIT_DATA)
    most = psutil.Process().memory_info().data + int(BOUND_SHARE * free_memory())
    soft = most if before[0] == resource.RLIM_INFINITY else min(before[0], most)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
