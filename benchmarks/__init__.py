"""Measured comparisons with other tools and with the machine: ``python -m benchmarks``."""
