"""Plain PyTorch code for the parts of a pipeline, taken from the source of its components."""
