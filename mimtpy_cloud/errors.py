"""Errors that users meet; each is also the built-in exception that people expect.

A message says what was expected, what was got, and what to do about it.
"""

__all__ = [
    "CatalogError",
    "ClusterError",
    "ConcurrentCommitError",
    "DateError",
    "DisconnectedTracksError",
    "GridMismatchError",
    "MimtpyError",
    "ParameterError",
    "RampError",
    "ReferencePointError",
    "ResolutionError",
    "SchemaError",
    "SourceFormatError",
    "StorageError",
    "TemplateError",
    "TrackNotFoundError",
]


class MimtpyError(Exception):
    """Base of every error that this package raises on purpose."""


class SchemaError(MimtpyError, ValueError):
    """A dataset lacks a variable, a dimension or an attribute that an operation needs."""


class SourceFormatError(MimtpyError, ValueError):
    """A source file is truncated, foreign, or lacks what its format promises."""


class GridMismatchError(MimtpyError, ValueError):
    """Tracks lie on different grids, or a box holds no pixel."""


class DateError(MimtpyError, ValueError):
    """A date is malformed, or no acquisition is near enough to it."""


class RampError(MimtpyError, ValueError):
    """A kind of ramp is unknown, or the pixels do not determine it."""


class ReferencePointError(MimtpyError, ValueError):
    """The reference point or window has no valid data."""


class DisconnectedTracksError(MimtpyError, ValueError):
    """Tracks that no overlap ties to the others cannot share a datum."""


class ResolutionError(MimtpyError, ValueError):
    """A resolution is unknown, or does not fit the source."""


class CatalogError(MimtpyError, ValueError):
    """A catalog entry or an index is unreadable, ambiguous or inconsistent."""


class TrackNotFoundError(CatalogError, KeyError):
    """A track, product, resolution or box has no entry in the catalog."""

    __str__ = Exception.__str__  # KeyError would show the repr


class ConcurrentCommitError(CatalogError, RuntimeError):
    """Another process kept changing the index while this one tried to commit."""


class StorageError(MimtpyError, OSError):
    """A storage location cannot be read or written."""


class TemplateError(MimtpyError, ValueError):
    """A template has an unknown key or a value of the wrong kind."""


class ParameterError(MimtpyError, ValueError):
    """A parameter of a model is unknown, malformed, or has no values."""


class ClusterError(MimtpyError, RuntimeError):
    """A cluster is unknown, does not answer, refuses, or runs other software."""
