"""Selections: which samples of the training set a run goes over, and how much each counts."""
