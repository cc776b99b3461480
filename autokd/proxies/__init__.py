"""Training-free proxies that rank students: one file each; see `autokd list proxies`."""
