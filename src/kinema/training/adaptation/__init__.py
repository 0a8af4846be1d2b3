"""Encoders continue to learn from the catalogue itself, without labels."""
