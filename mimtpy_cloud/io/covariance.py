"""Read the model of a covariance from JSON."""

import json
import os

from mimtpy_cloud.errors import SchemaError, SourceFormatError, StorageError
from mimtpy_cloud.kernels.covariance import CovarianceModel
from mimtpy_cloud.location import locate, reaching

__all__ = ["read_covariance"]

_NUMBERS = ("sill", "range_km", "nugget")


def read_covariance(url: str | os.PathLike[str], units: str | None = None) -> CovarianceModel:
    """
    Read a covariance that ``mimtpy covariance`` wrote.

    Parameters
    ----------
    url : str or path
        JSON file: ``kind``, ``sill``, ``range_km``, ``nugget`` and ``units``, of the two variances.
    units : str, optional
        Of the values whose noise it shall be, such as ``"m/yr"``; None takes any.

    Returns
    -------
    CovarianceModel
        In the units of the file.

    Raises
    ------
    StorageError
        If the file cannot be read.
    SourceFormatError
        If it is no JSON object with these numbers, or they are no covariance.
    SchemaError
        If it is of other units.

    See Also
    --------
    mimtpy_cloud.ops.covariance.estimate_covariance : Where it comes from.

    Examples
    --------
    >>> import fsspec
    >>> with fsspec.open("memory://noise.json", "wt") as file:
    ...     _ = file.write('{"kind": "exponential", "sill": 4e-6, "range_km": 12, "nugget": 1e-6, "units": "(m/yr)^2"}')
    >>> read_covariance("memory://noise.json", "m/yr")
    CovarianceModel(kind='exponential', sill=4e-06, range_km=12.0, nugget=1e-06)
    """
    fs, path = locate(url)
    try:
        with reaching(url):
            content = json.loads(fs.cat_file(path))
    except FileNotFoundError as error:
        raise StorageError(f"no such file: {url}") from error
    except OSError as error:
        raise StorageError(f"cannot read {url}: {error}") from error
    except ValueError as error:
        raise SourceFormatError(f"{url} is no JSON: {error}") from error
    wanted = f"expected an object with kind, {', '.join(_NUMBERS)} and units"
    if not isinstance(content, dict) or not {"kind", "units", *_NUMBERS} <= content.keys():
        raise SourceFormatError(f"{url} is no covariance: {wanted}; let mimtpy covariance write it")
    try:
        model = CovarianceModel(str(content["kind"]), *(float(content[name]) for name in _NUMBERS))
    except (TypeError, ValueError) as error:
        raise SourceFormatError(f"{url}: {error}") from error
    if units is not None and content["units"] != f"({units})^2":
        raise SchemaError(
            f"{url} holds variances in {content['units']}, of values in another unit than {units}; estimate the "
            "covariance of what it shall weigh"
        )
    return model
