"""Ways to load a teacher: one file each; see `autokd list teachers`."""
