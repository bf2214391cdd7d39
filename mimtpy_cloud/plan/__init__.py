"""Decisions from numbers alone: grids, chunks, dates, networks; no pixel is seen here."""
