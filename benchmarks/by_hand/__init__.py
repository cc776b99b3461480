"""The search beside a person who knows the field, and beside random draws, at equal seconds."""
