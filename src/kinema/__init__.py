"""Kinema: video recommendation on large pre-trained models."""

__version__ = "0.1.0"
