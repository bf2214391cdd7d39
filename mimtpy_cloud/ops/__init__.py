"""Labelled, lazy operations over the kernels."""
