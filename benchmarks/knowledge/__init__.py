"""Real studies for the knowledge base: what each pipeline of a covering draw reaches on many data sets."""
