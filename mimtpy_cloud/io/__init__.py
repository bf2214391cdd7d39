"""Formats and storage at the edge, in."""
