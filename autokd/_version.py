"""The version of autokd, here alone."""

__version__ = "0.1.0"
