"""Datasets: one file each; see `autokd list datasets`."""
