"""Names of products: what tells one from another is in the name, so that none takes the place of another."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import xarray as xr

__all__ = ["file_stem", "joint_marks", "marks", "name_marks", "north_marks", "plain_time", "product_stem", "shortened"]

#: Longest name of a file, which gets a suffix yet; file systems take 255 bytes.
_LONGEST = 200
#: Most excluded dates that a file name spells out.
_MOST_NAMED = 3


def marks(**parts: Any) -> str:
    """
    Write options for a name.

    Parameters
    ----------
    **parts : object
        Value of each option: nothing for None, False and an empty one, its name alone for True, else also the value or
        values; files by their stem.

    Returns
    -------
    str

    Examples
    --------
    >>> marks(ref=(-118.9, 36.25), robust=True, window=None, plate="Eurasia")
    '_ref_-118.9_36.25_robust_plate_Eurasia'
    """
    words = []
    for name, value in parts.items():
        if value is None or value is False or (isinstance(value, Sequence) and not value):
            continue
        values = () if value is True else (value,) if isinstance(value, str | float | int) else value
        words += [name, *(v if isinstance(v, str) else f"{v:.10g}" for v in values)]
    return "".join(f"_{word}" for word in words)


def name_marks(
    ds: xr.Dataset, *, bbox: Sequence[float] | None = None, mask: bool = True, reference: Sequence[float] | None = None
) -> str:
    """
    Write what tells a product from the plain one of the same dates.

    Parameters
    ----------
    ds : xr.Dataset
        With ``excluded_dates``, if any were left out.
    bbox : sequence of float, optional
        West, south, east, north that was asked for.
    mask : bool
        Whether unusable pixels were dropped.
    reference : sequence of float, optional
        Longitude and latitude that was asked for.

    Returns
    -------
    str
        Empty for a plain product.

    Examples
    --------
    >>> ds = xr.Dataset(attrs={"excluded_dates": ["2019-06-28"]})
    >>> name_marks(ds, bbox=(-119.5, 36, -119, 36.25), mask=False)
    '_subset_-119.5_36_-119_36.25_excl_20190628_nomask'
    """
    excluded = [str(date).replace("-", "") for date in ds.attrs.get("excluded_dates", ())]
    if len(excluded) > _MOST_NAMED:
        digest = hashlib.sha256(" ".join(excluded).encode()).hexdigest()[:8]
        excluded = [str(len(excluded)), digest]
    return marks(subset=bbox, excl=excluded, nomask=not mask, ref=reference)


def north_marks(given: str | None) -> str:
    """
    Write what is known of north: the number, or the name of its file.

    Parameters
    ----------
    given : str, optional
        As on the command line.

    Returns
    -------
    str

    Examples
    --------
    >>> north_marks(None), north_marks("0.020"), north_marks("tables/midas.IGS14.txt")
    ('', '_north_0.02', '_north_midas.IGS14')
    """
    if given is None:
        return ""
    try:
        return marks(north=float(given))
    except ValueError:
        return marks(north=file_stem(given))


def joint_marks(ds: xr.Dataset, choice: Mapping[str, Any], reference: Sequence[float] | None = None) -> str:
    """
    Write what tells a product of several tracks from others of the same tracks.

    Parameters
    ----------
    ds : xr.Dataset
        Product.
    choice : mapping
        Options ``start, end, bbox, mask`` of the command.
    reference : sequence of float, optional
        Longitude and latitude that was asked for.

    Returns
    -------
    str
    """
    from mimtpy_cloud.plan.dates import parse_date

    days = {word: choice[key] for word, key in (("from", "start"), ("to", "end")) if choice[key]}
    period = {word: str(parse_date(day)).replace("-", "") for word, day in days.items()}
    told = name_marks(ds, bbox=choice["bbox"], mask=choice["mask"], reference=reference)
    return marks(**period) + told + marks(asof=plain_time(choice.get("as_of")))


def plain_time(text: str | None) -> str | None:
    """
    Write a time for a name.

    Parameters
    ----------
    text : str, optional
        As the user gave it.

    Returns
    -------
    str or None

    Examples
    --------
    >>> plain_time("2026-01-31T12:00:00Z")
    '20260131T120000Z'
    """
    return None if text is None else re.sub(r"\W", "", text)


def file_stem(url: str) -> str:
    """
    Take the name of a file or store without folder and suffix.

    Parameters
    ----------
    url : str
        Path or URL.

    Returns
    -------
    str

    Examples
    --------
    >>> file_stem("products/A064/velocity.zarr/"), file_stem("midas.IGS14.txt")
    ('velocity', 'midas.IGS14')
    """
    return PurePath(url.rstrip("/")).stem


def product_stem(ds: xr.Dataset, url: str) -> str:
    """
    Name what is made of a product: after its file, and its project or track where the file does not tell.

    Parameters
    ----------
    ds : xr.Dataset
        Product.
    url : str
        Where it is.

    Returns
    -------
    str

    Examples
    --------
    >>> product_stem(xr.Dataset(attrs={"project": "KilaueaSenAT124"}), "p/velocity_20150205_20200714.tif")
    'KilaueaSenAT124_velocity_20150205_20200714'
    """
    stem = file_stem(url)
    known = [str(ds.attrs[key]) for key in ("project", "track") if ds.attrs.get(key)]
    if not known or any(name in stem for name in known):
        return stem
    return f"{known[0]}_{stem}".replace("/", "_")


def shortened(name: str) -> str:
    """
    Cut a name that no file system takes; what tells it from others stays in eight digits.

    Parameters
    ----------
    name : str
        Of a file, perhaps with folders, without suffix.

    Returns
    -------
    str

    Examples
    --------
    >>> shortened("velocity/A064"), len(shortened("velocity/" + 300 * "a"))
    ('velocity/A064', 209)
    """
    folder, slash, last = name.rpartition("/")
    if len(last.encode()) <= _LONGEST:
        return name
    digest = hashlib.sha256(last.encode()).hexdigest()[:8]
    return f"{folder}{slash}{last.encode()[: _LONGEST - 9].decode(errors='ignore')}_{digest}"
