"""torchvision imports beside any build of torch; each case in a process of its own, with real or made-up packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BROKEN = "import torch\n@torch.library.register_fake('torchvision::nms')\ndef fake(dets, scores, threshold): ...\n"
MADE_UP = """
import sys, torch
from autokd.compat import torchvision, with_torchvision
def look(folder):
    sys.path.insert(0, folder)
    try:
        module = torchvision()
        return torchvision() is module is sys.modules["torchvision"]
    except RuntimeError as error:
        return str(error)
    finally:
        sys.path.remove(folder)
        for name in [name for name in sys.modules if name.startswith("torchvision")]: del sys.modules[name]
declared = lambda: hasattr(torch.ops.torchvision, "nms")
sound, other, broken = sys.argv[1:]
assert look(sound) is True and not declared()
assert look(other) == "something else" and not declared()
assert look(broken) is True and declared()
calls = []
def foreign(message):
    calls.append(message)
    if len(calls) == 1:
        raise RuntimeError(message)
    return 7
sys.path.insert(0, sound)
assert with_torchvision(lambda: foreign("operator torchvision::nms does not exist")) == 7 and len(calls) == 2
calls.clear()
try:
    with_torchvision(lambda: foreign("something else"))
except RuntimeError as error:
    assert str(error) == "something else" and len(calls) == 1
else:
    raise AssertionError
"""
REAL = """
import numpy as np, torch
from autokd.compat import torchvision
tv = torchvision()
import torchvision as again
assert tv is again is torchvision()
assert issubclass(tv.datasets.MNIST, torch.utils.data.Dataset)
assert tv.models.resnet18(num_classes=3).eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
image = torch.tensor([[[0, 64], [128, 255]]], dtype=torch.uint8)
assert tv.transforms.v2.functional.invert(image).flatten().tolist() == [255, 191, 127, 0]
"""


def run(code: str, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def package(folder: Path, code: str) -> str:
    for part in ("datasets", "models", "transforms", "transforms/v2"):
        (folder / "torchvision" / part).mkdir(parents=True)
        (folder / "torchvision" / part / "__init__.py").touch()
    (folder / "torchvision" / "__init__.py").write_text(code)
    return str(folder)


def test_only_the_known_failure_is_mended(tmp_path: Path) -> None:
    sound = package(tmp_path / "sound", "")
    other = package(tmp_path / "other", "raise RuntimeError('something else')")
    run(MADE_UP, sound, other, package(tmp_path / "broken", BROKEN))


def test_datasets_models_and_transforms_work() -> None:
    run(REAL)
