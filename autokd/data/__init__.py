"""Datasets made ready to train on: read, split, preprocessed, fingerprinted."""

from __future__ import annotations

from autokd.data.finer import finer_split, with_finer
from autokd.data.load import Dataset, load, load_again
from autokd.data.moved import anchored, relative
from autokd.data.preprocess import from_json, read_inputs
from autokd.data.residence import fits
from autokd.input_values import Preprocess, ReadInputs
from autokd.options import DataOptions

__all__ = [
    "DataOptions",
    "Dataset",
    "Preprocess",
    "ReadInputs",
    "anchored",
    "finer_split",
    "fits",
    "from_json",
    "load",
    "load_again",
    "read_inputs",
    "relative",
    "with_finer",
]
