"""Datasets made ready to train on: read, split, preprocessed, fingerprinted."""

from __future__ import annotations

from autokd.data.inputs import RawInputs, read_inputs
from autokd.data.load import Dataset, load, load_again
from autokd.data.preprocess import ImagePreprocess, Preprocess, TablePreprocess, from_json
from autokd.options import DataOptions

__all__ = [
    "DataOptions",
    "Dataset",
    "ImagePreprocess",
    "Preprocess",
    "RawInputs",
    "TablePreprocess",
    "from_json",
    "load",
    "load_again",
    "read_inputs",
]
