"""Batched image operations whose random parameters differ by sample, and the mixing of two samples.

Images are [B, C, H, W] float32 in [0, 1]; a "level" is one of the 256 steps of an 8-bit image. Operations draw nothing
themselves: every parameter is a tensor with first dimension B, and sample i of a result depends on sample i of the
arguments only, bit for bit. That is why sums run over integers and sines are taken in plain Python: the rounding of
vectorised floating-point code varies with a sample's place in the batch.
"""
