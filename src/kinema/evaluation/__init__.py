"""Protocols, baselines, the evaluator and its report."""
