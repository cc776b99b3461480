"""Teachers that autokd trains itself."""
