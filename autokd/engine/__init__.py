"""Training and measuring one pipeline: `train_rung`, `evaluate`, the teacher bank."""
