"""Where rungs are trained: in this process or in local worker processes."""
