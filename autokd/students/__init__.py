"""Student architectures: one file each; see `autokd list students`."""
