"""Confirm: select on validation, tune, and one claim on fresh seeds."""
