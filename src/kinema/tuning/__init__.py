"""Searches on validation: for FLM's size and weights, and for the settings of tasks."""
