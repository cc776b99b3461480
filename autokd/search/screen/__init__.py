"""Screen: training-free proxies rank student architectures inside the budget."""
