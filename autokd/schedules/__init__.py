"""Learning-rate schedules: one file each; see `autokd list schedules`."""
