"""A headless Chromium that a test drives over a pipe by the DevTools protocol; nothing but the standard library."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage",
    "--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
LAUNCH = "import os, sys; a, b, *run = sys.argv[1:]; os.dup2(int(a), 3); os.dup2(int(b), 4); os.execv(run[0], run)"
"""A script that becomes the browser, which reads its commands at 3 and answers at 4."""


class Browser:
    """One page of a browser; `events` are what it told since the page was opened."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads, self._writes = os.fdopen(reads, "rb", buffering=0), os.fdopen(writes, "wb", buffering=0)
        self._rest, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **values: Any) -> dict[str, Any]:
        """Call a method of the protocol; return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": values}
        if self._session:
            message["sessionId"] = self._session
        self._writes.write(json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._number:
                assert "error" not in told, (method, told)
                result: dict[str, Any] = told["result"]
                return result
            self.events.append(told)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = self._reads.read(1 << 20)
            assert read, "the browser ended"
            self._rest += read
        line, self._rest = self._rest.split(b"\0", 1)
        told: dict[str, Any] = json.loads(line)
        return told

    def close(self) -> None:
        """Let go of the pipe."""
        self._reads.close()
        self._writes.close()

    def open(
        self, page: Path, *, width: int = 1280, height: int = 900, script: bool = True, dark: bool = False
    ) -> None:
        """Show a file and wait until it is loaded."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.media("", dark=dark)
        self.events.clear()
        self.call("Page.navigate", url=page.resolve().as_uri())
        self._wait("Page.loadEventFired")

    def _wait(self, event: str) -> None:
        while not any(told.get("method") == event for told in self.events):
            self.events.append(self._next())

    def media(self, kind: str, *, dark: bool = False) -> None:
        """Emulate "print", or "" for a screen."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=kind, features=[scheme])

    def run(self, expression: str) -> Any:
        """Return the value of a script's expression; a promise is waited for."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key, for instance "Tab" or "Enter"."""
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        text = {"text": "\r"} if key == "Enter" else {"text": key} if key == " " else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=codes[key], **text)

    def picture(self) -> bytes:
        """Return a screenshot of what is shown, PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    @property
    def complaints(self) -> list[str]:
        """What the page's console was told, and what was thrown."""
        found = [told for told in self.events if told.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")]
        loud = [told for told in self.events if told.get("method") == "Runtime.consoleAPICalled"]
        return [json.dumps(told["params"])[:400] for told in (*found, *loud)]

    @property
    def requests(self) -> list[str]:
        """Addresses that were asked for, but for the page itself, and what lies in it."""
        asked = [
            told["params"]["request"]["url"]
            for told in self.events
            if told.get("method") == "Network.requestWillBeSent"
        ]
        return [address for address in asked if not address.startswith(("data:", "blob:", "file:"))]


def _pipes() -> tuple[int, int, int, int]:
    """Ends of two pipes: ours to read and to write, theirs; none of them is 3 or 4, which the browser's will be."""
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (ours_in, ours_out, theirs_in, theirs_out)]
    for end in (ours_in, ours_out, theirs_in, theirs_out):
        os.close(end)
    return ends[0], ends[1], ends[2], ends[3]


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A browser that ends with the block."""
    assert CHROMIUM is not None
    ours_in, ours_out, theirs_in, theirs_out = _pipes()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # the browser may still be writing
        ends = [str(theirs_in), str(theirs_out)]
        command = [sys.executable, "-ISc", LAUNCH, *ends, CHROMIUM, *FLAGS, f"--user-data-dir={folder}"]
        nothing = subprocess.DEVNULL
        process = subprocess.Popen(command, pass_fds=(theirs_in, theirs_out), stdout=nothing, stderr=nothing)
        os.close(theirs_in)
        os.close(theirs_out)
        found = Browser(ours_in, ours_out)
        try:
            yield found
        finally:
            process.kill()
            process.wait()
            found.close()
