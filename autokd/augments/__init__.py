"""Augmentation policies: one file each; see `autokd list augments`."""
