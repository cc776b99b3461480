"""What a student has in the place of its classifier: one file each; see `autokd list heads`."""
