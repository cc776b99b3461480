"""Recipes: known good pipelines as rules that fit any data and any limit, and the records that they are picked by."""
