"""The funnel: screen, explore, confirm; and the study that records it. Optuna is used in this package only."""
