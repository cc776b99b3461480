"""What a study is: its records and folder, its claims, and what follows from them. Knows no search."""
