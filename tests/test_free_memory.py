"""How much memory there is, by whoever limits it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from autokd import free_memory
from autokd.errors import UserError


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_control_groups_of_both_versions(tmp_path: Path) -> None:
    write(tmp_path / "a", memory__max="max\n", memory__current="700\n")
    write(
        tmp_path / "a" / "b", memory__max="1000\n", memory__current="700\n", memory__stat="anon 3\ninactive_file 50\n"
    )
    (tmp_path / "own").write_text("0::/a/b\n")
    assert list(free_memory._of_groups(tmp_path, tmp_path / "own")) == [350]
    write(tmp_path / "memory", memory__limit_in_bytes="90", memory__usage_in_bytes="70")
    write(tmp_path / "memory", memory__stat="inactive_file 1\ntotal_inactive_file 5")
    (tmp_path / "own").write_text("5:cpu,cpuacct:/x\n4:memory:/outside\n")  # in a container the root is its own group
    assert list(free_memory._of_groups(tmp_path, tmp_path / "own")) == [25]
    assert list(free_memory._of_groups(tmp_path / "none", tmp_path / "own")) == []
    assert list(free_memory._of_groups(tmp_path, tmp_path / "missing")) == []


def test_what_the_user_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    used = psutil.Process().memory_info().rss
    monkeypatch.setenv(free_memory.VARIABLE, str(used + 10**8))
    assert 0 < free_memory.free_memory() < 2 * 10**8
    monkeypatch.setenv(free_memory.VARIABLE, "1MB")
    assert free_memory.free_memory() == 0
    assert [free_memory._size(text) for text in ("2GB", "1.5 g", "500MB", "64MiB", "7")] == [
        2 * 10**9,
        15 * 10**8,
        5 * 10**8,
        64 * 10**6,
        7,
    ]
    monkeypatch.setenv(free_memory.VARIABLE, "much")
    with pytest.raises(UserError, match="AUTOKD_MEMORY=much is no size; write for instance 2GB"):
        free_memory.free_memory()


@pytest.mark.skipif(sys.platform != "linux", reason="ulimit of Linux")
def test_ulimit() -> None:
    code = "import autokd.free_memory as m; print(m.free_memory())"
    limited = f"ulimit -v 1000000; {sys.executable} -c '{code}'"
    left = int(subprocess.run(["sh", "-c", limited], check=True, capture_output=True, text=True).stdout)
    assert 0 < left < 1_024_000_000
