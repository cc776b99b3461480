"""Runs the commands of README.md and docs/tour.md and pastes their output, so that both pages show real output.

A console block after the line `<!-- run -->` is run, page after page and block after block, all in one new folder. What
follows `$ ` is a command (a line that ends in a backslash goes on); the lines below it are replaced by what it wrote to
stdout. At the end the report of the first search becomes the README's picture, where a Chromium is installed.

    python docs/tour.py     # takes some minutes
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PAGES = (Path(__file__).parents[1] / "README.md", Path(__file__).parent / "tour.md")
"""In the order in which a reader meets them; the second goes on with what the first one made."""
PICTURE = Path(__file__).parent / "images" / "report.png"
BLOCK = re.compile(r"(<!-- run -->\n```console\n)(.*?)(^```$)", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (?:.*\\\n)*.*$", re.MULTILINE)
SIZE = "1280,1520"
"""Width and height of the picture in pixels: the verdict, the tables and the first figure."""


def transcript(block: str, folder: Path) -> str:
    """Run a block's commands and return the block with their output."""
    return "".join(f"{command}\n{_output(command[2:], folder)}" for command in COMMAND.findall(block))


def _output(command: str, folder: Path) -> str:
    print(f"$ {command}", flush=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, text=True
    )
    print(done.stdout, flush=True)
    if done.returncode != 0:
        sys.exit(f"ended with {done.returncode}; the page was left as it is")
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    return "".join(f"{line}\n" for line in lines)


def picture(page: Path) -> None:
    """Take a picture of the top of a report."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        print(f"no Chromium here: {PICTURE} was left as it is")
        return
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={SIZE}"]
    options.append("--virtual-time-budget=20000")  # figures are drawn once the page has loaded
    subprocess.run([browser, *options, f"--screenshot={PICTURE}", page.as_uri()], check=True, capture_output=True)
    print(f"wrote {PICTURE}")


def main() -> None:
    """Run the tour, rewrite the pages, take the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for page in PAGES:
            text = page.read_text(encoding="utf-8")
            text = BLOCK.sub(lambda match: match[1] + transcript(match[2], folder) + match[3], text)
            page.write_text(text, encoding="utf-8")
        picture(folder / "reports" / "digits" / "index.html")


if __name__ == "__main__":
    main()
