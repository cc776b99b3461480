"""Kinds of input: one file each; see `autokd list modalities`."""
