"""Explore: short trials over the whole pipeline, by successive halving."""
