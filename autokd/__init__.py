"""autokd: searches for the best knowledge-distillation pipeline for a dataset and hands it to training."""

from __future__ import annotations

__version__ = "0.1.0"
