"""Scores candidates of several sources on one scale."""
