"""Searches: each finds candidates. None trains, none orders the slate."""
