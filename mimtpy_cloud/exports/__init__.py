"""Formats at the edge, out."""
