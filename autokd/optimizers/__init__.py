"""Optimizers: one file each; see `autokd list optimizers`."""
