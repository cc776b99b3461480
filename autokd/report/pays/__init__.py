"""What past studies say about what pays where, for people."""
