"""No file runs anything: whatever a checkpoint names is neither looked up nor imported nor called."""

from __future__ import annotations

import builtins
import functools
import importlib
import operator
import os
import runpy
import shutil
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from autokd.errors import TeacherError
from autokd.networks import state_file
from autokd.networks.plain_pickle import Inert, read_plain


class Calls:
    """Calls a function as it is unpickled."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None, items: Any = None) -> None:
        self.parts = (function, arguments, state, None, items)

    def __reduce__(self) -> Any:
        return self.parts

    def __call__(self) -> None:
        """Nothing: it is to be called once it is something else."""


STATE = nn.Linear(2, 3).state_dict()
HOSTILE: list[Callable[[str], Any]] = [
    lambda mark: Calls(os.system, f"touch {mark}"),
    lambda mark: Calls(subprocess.check_call, ["touch", mark]),
    lambda mark: Calls(builtins.exec, f"open({mark!r}, 'w')"),
    lambda mark: Calls(builtins.eval, f"open({mark!r}, 'w')"),
    lambda mark: Calls(builtins.open, mark, "w"),
    lambda mark: Calls(runpy.run_path, mark),
    lambda mark: Calls(shutil.copy, __file__, mark),
    lambda mark: Calls(Calls(builtins.__import__, "os")),
]
INERT: list[Callable[[str], Any]] = [
    lambda mark: Calls(Path.touch, Path(mark)),
    lambda mark: Calls(Path.write_text, Path(mark), "x"),
    lambda mark: Calls(functools.partial(print, file=None), "x"),
    lambda mark: Calls(Calls(operator.methodcaller, "touch"), Path(mark)),
    lambda mark: Calls(Calls(builtins.getattr, Path(mark), "touch")),
    lambda mark: Calls(builtins.map, print, [mark]),
    lambda mark: Calls(torch.save, {}, mark),
    lambda mark: (
        Calls(torch.hub.load, mark, "model", source="local") if False else Calls(torch.hub.load, mark, "model")
    ),
    lambda mark: Calls(torch.load, mark),
    lambda mark: Calls(torch._tensor._rebuild_from_type_v2, Path.touch, torch.Tensor, (Path(mark),), {}),
]
"""What does no harm here for the same reason; these names have honest uses, so the file may be read."""


TRAP = "trap_of_a_test"
"""A module that a test writes."""


def written(file: Path, content: Any, *, zipped: bool) -> Path:
    torch.save({"state_dict": STATE, "extra": content}, file, _use_new_zipfile_serialization=zipped)
    return file


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("make", HOSTILE)
def test_names_that_no_checkpoint_needs_are_refused(make: Callable[[str], Any], zipped: bool, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    file = written(tmp_path / "w.pt", make(str(mark)), zipped=zipped)
    with pytest.raises(TeacherError, match="which no checkpoint needs and which may do harm") as caught:
        state_file.read(file)
    assert not mark.exists() and "\n" not in str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("make", INERT)
def test_calls_are_not_done(make: Callable[[str], Any], zipped: bool, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    file = written(tmp_path / "w.pt", make(str(mark)), zipped=zipped)
    try:
        state = state_file.read(file).state
    except TeacherError as error:  # what torch itself makes nothing of
        assert "damaged" in str(error) and "\n" not in str(error)
    else:
        assert all(torch.equal(state[key], STATE[key]) for key in STATE)
    assert not mark.exists()


def test_no_module_is_imported_and_no_method_of_it_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "mark"
    code = (
        "class Trap(dict):\n    def __setstate__(self, *state):\n        open(MARK, 'w')\n"
        "    __setitem__ = __setstate__\n"
    )
    (tmp_path / f"{TRAP}.py").write_text(f"MARK = {str(mark)!r}\n{code}")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module(TRAP)

    trap = module.Trap()
    trap.attribute = 1
    file = written(tmp_path / "w.pt", trap, zipped=True)
    full = module.Trap()
    dict.__setitem__(full, "a", 1)
    filled = written(tmp_path / "f.pt", full, zipped=True)
    (tmp_path / f"{TRAP}.py").write_text(f"open({str(mark)!r}, 'w')\n{code}")
    monkeypatch.delitem(sys.modules, TRAP)
    extra = read_plain(file).content["extra"]
    assert isinstance(extra, Inert) and extra.state == {"attribute": 1} and extra.name == f"{TRAP}.Trap"
    assert read_plain(filled).content["extra"] == OrderedDict(a=1)
    assert TRAP not in sys.modules and not mark.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"cos\nsystem\n(S'touch MARK'\ntR.",
        b"\x80\x02cposix\nsystem\nX\x0a\x00\x00\x00touch MARK\x85R.",
        b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x8c\x0atouch MARK\x85R.",
        b"\x80\x02c__builtin__\neval\nX\x12\x00\x00\x00open('MARK', 'w')  \x85R.",
        b"(S'touch MARK'\nios\nsystem\n.",
        b"\x80\x02cbuiltins\nobject\n}X\x09\x00\x00\x00__class__X\x01\x00\x00\x00asb.",
    ],
)
def test_bare_pickles(code: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pt").write_bytes(code)
    with pytest.raises(TeacherError):
        state_file.read(tmp_path / "w.pt")
    assert not (tmp_path / "MARK").exists()


def test_attributes_of_tensors_do_not_come_along(tmp_path: Path) -> None:
    weight = torch.ones(3, 2)
    rebuilt = Calls(
        torch._utils._rebuild_parameter_with_state, weight, False, OrderedDict(), {"shape": 1, "is_floating_point": 1}
    )
    torch.save({"weight": rebuilt, "bias": torch.zeros(3)}, tmp_path / "w.pt")
    try:
        state = state_file.read(tmp_path / "w.pt").state
    except TeacherError:
        return
    assert type(state["weight"]) is torch.Tensor and not vars(state["weight"])


def test_a_class_cannot_be_changed_through_its_stand_in(tmp_path: Path) -> None:
    """BUILD on a class in place of an object would set attributes of the class."""

    file = written(tmp_path / "w.pt", 1, zipped=True)
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(tmp_path / "new.pt", "w") as new:
        for name in old.namelist():
            data = b"\x80\x02cpathlib\nPath\n}X\x05\x00\x00\x00touchK\x01sb."
            new.writestr(name, data if name.endswith("data.pkl") else old.read(name))
    with pytest.raises(TeacherError, match="damaged"):
        state_file.read(tmp_path / "new.pt")
    assert callable(Path.touch)
