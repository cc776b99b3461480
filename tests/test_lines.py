"""Where a search stands, in a notebook."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from autokd.lines import in_notebook, told
from autokd.search.run import Progress


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kernel has loaded, as far as it is looked at."""
    ipython: Any = ModuleType("IPython")
    ipython.get_ipython = object
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))


def tell(notify: Any) -> None:
    with told(notify) as say:
        say(Progress(stage="explore", done=1, total=3))
        say(Progress(stage="explore", done=3, total=3, best=0.5))


@pytest.mark.usefixtures("notebook")
def test_a_cell_shows_progress_as_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    tell(None)
    assert capsys.readouterr() == ("explore: 1/3\nexplore: 3/3 best 50.0 %\n", "")


@pytest.mark.usefixtures("notebook")
def test_who_is_named_is_told_instead(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[Progress] = []
    tell(heard.append)
    assert [at.done for at in heard] == [1, 3] and capsys.readouterr() == ("", "")


def test_a_script_shows_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    tell(None)
    ipython: Any = ModuleType("IPython")
    ipython.get_ipython = lambda: None  # imported by a library, in no shell
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    tell(None)
    assert not in_notebook() and capsys.readouterr() == ("", "")


def test_no_word_of_widgets_in_a_notebook() -> None:
    script = (
        "import sys, types\n"
        "for name in ('IPython', 'IPython.display', 'ipykernel', 'ipykernel.zmqshell'):\n"
        "    sys.modules[name] = types.ModuleType(name)\n"
        "sys.modules['IPython'].get_ipython = object\n"
        "sys.modules['IPython'].display = sys.modules['IPython.display']\n"
        "import autokd.search.tpe\n"
        "print('tqdm.autonotebook' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-W", "always", "-c", script], capture_output=True, text=True)
    assert (ran.stdout, "ipywidgets" in ran.stderr, "Error" in ran.stderr) == ("True\n", False, False), ran.stderr
