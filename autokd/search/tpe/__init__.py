"""Optuna lives here only: TPE as a function of the records, and the mirror for its dashboards."""
