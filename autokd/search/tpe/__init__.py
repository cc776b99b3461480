"""Optuna lives here only: TPE as a function of the records, and the mirror for its dashboards."""

import warnings

with warnings.catch_warnings():  # in a notebook tqdm, whose bars nobody here shows, asks for ipywidgets
    warnings.simplefilter("ignore")
    import optuna as optuna
