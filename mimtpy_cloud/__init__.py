"""Combine InSAR tracks: velocity, mosaics, east and up from many MintPy time series, chunked and lazy."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
