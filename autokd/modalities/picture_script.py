"""Predict what pictures show; needs onnxruntime, numpy and Pillow alone, and model.onnx beside it.

    python predict.py PICTURE_OR_FOLDER... > predictions.csv

From Python: `Model().predict("picture.jpg")` is the label and the probabilities of the classes.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
GREY = {"1", "L", "LA", "La"}


class Model:
    """The model beside this file; `about` is what it says of itself: "classes", "preprocess", "inputs", …"""

    def __init__(self) -> None:
        path, options = Path(__file__).with_name("model.onnx"), onnxruntime.SessionOptions()
        options.add_session_config_entry("session.x64quantprecision", "1")  # sums of 8 bits overflow on no processor
        self.session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.about = {key: json.loads(told) for key, told in self.session.get_modelmeta().custom_metadata_map.items()}

    def predict(self, path: str | Path) -> tuple[str, Any]:
        """Return the label of a picture file, and the probabilities [C] of the classes."""
        with Image.open(path) as image:
            pixels = to_pixels(ImageOps.exif_transpose(image), self.about["preprocess"])
        _, probabilities, label = self.session.run(None, {"image": pixels[None]})
        return str(label[0]), probabilities[0]


def to_pixels(image: Image.Image, rules: dict[str, Any]) -> Any:
    """Return a picture as uint8 [height, width, 1 or 3]; the model resizes it."""
    ground, levels = {"white": 255, "black": 0}[rules.get("ground", "white")], rules.get("levels")
    if image.mode.startswith(("I", "F")):
        return to_eight_bits(image, levels, ground)[:, :, None]
    if levels is not None:
        raise ValueError("it has 8 bits a level, and the pictures that the model learned from have more")
    grey = image.mode in GREY
    if image.has_transparency_data:
        below = Image.new("RGBA", image.size, (ground, ground, ground, 255))
        below.alpha_composite((image.convert("LA") if image.mode == "La" else image).convert("RGBA"))
        image = below
    return np.atleast_3d(np.asarray(image.convert("L" if grey else "RGB")))


def to_eight_bits(image: Image.Image, levels: list[float] | None, ground: int) -> Any:
    """Return a picture with more than 8 bits a level as uint8 [height, width]."""
    found = np.asarray(image).astype(np.float64)
    low, high = levels or (0, 65535)
    if levels is None and not (found.min() >= low and found.max() <= high):
        raise ValueError(f"its levels are {found.min():g} to {found.max():g}, not 0 to 65535")
    scaled = np.rint((found.clip(low, high) - low) * (255 / ((high - low) or 1))) if levels else found // 257
    if isinstance(key := image.info.get("transparency"), int):
        scaled[scaled == key] = ground
    return scaled.astype(np.uint8)


def pictures(path: Path) -> list[Path]:
    """Return the picture files in a folder and below, or the file itself."""
    return sorted(file for file in path.rglob("[!.]*") if file.suffix.lower() in ENDINGS) if path.is_dir() else [path]


if __name__ == "__main__":
    sys.tracebacklimit, paths, model = 0, sys.argv[1:] or sys.exit(__doc__), Model()  # what is wrong is one line
    out = csv.writer(open(1, "w", encoding="utf-8", newline=""), lineterminator="\n")  # noqa: SIM115
    out.writerow(["input", "label", "probability", *(f"probability of {name}" for name in model.about["classes"])])
    for given in paths:
        for file in pictures(Path(given)):
            label, row = model.predict(file)
            out.writerow([file, label, row.max(), *row])
