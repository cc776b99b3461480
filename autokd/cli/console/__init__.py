"""What the command line shows on stdout: results, as text for people or as one JSON document."""
