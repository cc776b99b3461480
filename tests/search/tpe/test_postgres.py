"""A mirror on a real PostgreSQL server that is killed in the middle of a search with two workers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autokd.search.tpe.database import database_url
from autokd.search.tpe.mirror import rebuild
from autokd.study.store import StudyStore
from tests.search.mirrors import expected, in_database, told
from tests.search.processes import FORKED, SEARCH, ended, release, started_held, wait_until_held
from tests.search.spaces import UNSCREENED

pytestmark = pytest.mark.slow
BINARIES = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), *map(Path, os.get_exec_path())]


class Server:
    """A PostgreSQL server in a folder of its own, reached over a Unix socket."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries, self._folder = binaries, folder
        self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        self._run("initdb", "-D", str(folder / "data"), "-U", "autokd", "-A", "trust", "--no-sync")
        self.start()
        self._run("createdb", "-h", str(folder), "-U", "autokd", "studies")
        self.url = f"postgresql://autokd@/studies?host={folder}"

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-o", options, "-l", log, "-w", "start")

    def kill(self) -> None:
        """Kill its first process and wait until it is gone, or dead and not yet waited for by its parent."""
        file = self._folder / "data" / "postmaster.pid"
        pid = int(file.read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}").exists() and "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
            time.sleep(0.05)
        # A new server takes a dead one that nobody has waited for as alive.
        for lock in (file, *self._folder.glob(".s.PGSQL.*")):
            lock.unlink()

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "stop")

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run([*self._as, str(self._binaries / name), *arguments], check=True, capture_output=True, cwd="/tmp")


@pytest.fixture
def server() -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'autokd[postgres]'")
    binaries = next((path for path in BINARIES if (path / "initdb").exists()), None)
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed (initdb is not found)")
    if os.geteuid() == 0 and (shutil.which("setpriv") is None or "\npostgres:" not in Path("/etc/passwd").read_text()):
        pytest.skip("the server does not run as root, and there is no user postgres to run it as")
    folder = Path(tempfile.mkdtemp(prefix="akd"))  # a socket's path must be short
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    made = Server(binaries, folder)
    yield made
    made.stop()
    shutil.rmtree(folder)


def test_a_server_that_is_killed_in_a_search_with_two_workers(server: Server, tmp_path: Path) -> None:
    space = tmp_path / "tiny.yaml"
    space.write_text(UNSCREENED)
    options = ["--workers", "2", "--storage", server.url]
    process = started_held(tmp_path, space, *options, event="rung", count=4, again=10, code=FORKED + SEARCH)
    server.kill()
    release(tmp_path)
    wait_until_held(tmp_path, process)  # it did not wait for the server
    server.start()
    release(tmp_path)
    ended(tmp_path, process)
    url = database_url(server.url).render_as_string(hide_password=False)
    store = StudyStore.open(tmp_path / "studies" / "mine")
    assert len(store.records.trials) == 8 and store.records.in_flight == [] and store.finished
    assert told(in_database(url)) == expected(store)  # what it missed was written when it was back
    rebuild(store, server.url)
    assert told(in_database(url)) == expected(store)
