"""Keeps freed memory for the next step instead of handing it back to the system.

Every training step frees and asks again for the same large tensors. By default glibc returns such memory to the kernel,
and the page faults of getting it back cost a tenth of a small convolutional network's step on CPU.
"""

from __future__ import annotations

import ctypes
import platform

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
