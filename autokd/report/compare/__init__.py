"""Several studies side by side, as one HTML page: `facts.py` says what, `page.py` writes it."""
