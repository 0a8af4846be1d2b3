"""The town: a generated streaming service whose right answers are known."""
