"""What a student or its training is written as for other tools: one file each; see `autokd list exports`."""
