"""Shipped with the package: conformance suites and worlds whose right answers are known."""
