"""What a student's weights are when training begins: one file each; see `autokd list inits`."""
