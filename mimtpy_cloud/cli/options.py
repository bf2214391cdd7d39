"""Options that several commands share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, override

import click

if TYPE_CHECKING:
    from mimtpy_cloud.catalog.index import Catalog

__all__ = [
    "NUMBERS",
    "as_of",
    "backend",
    "bbox",
    "bbox_overlap",
    "bbox_stations",
    "dates",
    "decomposition",
    "geometry",
    "mask",
    "observation",
    "open_root",
    "out",
    "patch",
    "resolution",
    "root",
    "type_",
]

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def root(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Add ``--root``.

    Parameters
    ----------
    command : callable
        Command.

    Returns
    -------
    callable
    """
    return click.option(
        "--root",
        envvar="MIMTPY_ROOT",
        show_envvar=True,
        default=".",
        show_default=True,
        metavar="URL",
        help="Folder or object-store URL of the catalog.",
    )(command)


class _Numbers(click.ParamType):
    """A number; an option in its place means that one was forgotten."""

    name = "number"

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a number."""
        try:
            return float(value)
        except ValueError:
            wanted = f"{param.nargs} numbers {param.metavar}" if param else "numbers"
            self.fail(f"expected {wanted}, got {value!r} for one of them", param, ctx)


NUMBERS = _Numbers()


def _checked_box(_ctx: click.Context, _param: click.Parameter, value: Any) -> Any:
    if value is None:
        return None
    west, south, east, north = value
    if not (-360 <= west < east <= 360 and -90 <= south < north <= 90):
        raise click.BadParameter(
            f"expected west south east north with west < east and south < north, got {' '.join(map(str, value))}"
        )
    return value


def bbox(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Add ``--bbox``.

    Parameters
    ----------
    command : callable
        Command.

    Returns
    -------
    callable
    """
    return _box("Only pixels with centres in this box, degrees.")(command)


def bbox_overlap(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Add ``--bbox`` of a command that takes products whole.

    Parameters
    ----------
    command : callable
        Command.

    Returns
    -------
    callable
    """
    return _box("Only products that overlap this box, degrees.")(command)


def bbox_stations(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Add ``--bbox`` of a command that takes stations.

    Parameters
    ----------
    command : callable
        Command.

    Returns
    -------
    callable
    """
    return _box("Only stations in this box, degrees.")(command)


def _box(help_: str) -> _Decorator:
    return click.option("--bbox", nargs=4, type=NUMBERS, callback=_checked_box, metavar="W S E N", help=help_)


def patch(help_: str) -> _Decorator:
    """
    Add ``--patch``.

    Parameters
    ----------
    help_ : str
        What it is for.

    Returns
    -------
    callable
        Decorator of a command.
    """
    return click.option("--patch", nargs=4, type=NUMBERS, callback=_checked_box, metavar="W S E N", help=help_)


def decomposition(*components: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    Add what decompositions share: ``--components`` to ``--same-datum``.

    Parameters
    ----------
    *components : str
        Choices of ``--components``; the first is the default.

    Returns
    -------
    callable
        Decorator of a command.
    """
    what = {"eu": "east and up (default)", "enu": "east, north and up", "hu": "up and horizontal along the look"}
    add = (
        click.option(
            "--components",
            type=click.Choice(components),
            help=f"{'; '.join(what[name] for name in components).capitalize()}, from one orbit direction.",
        ),
        click.option(
            "--azimuth",
            type=click.FloatRange(-360, 360),
            metavar="DEG",
            help="Solve this horizontal direction and up instead; clockwise from north, -360 to 360.",
        ),
        click.option(
            "--north",
            metavar="NUMBER|PRODUCT|TABLE",
            help="North motion that is known: in m/yr (m), a product with north, or velocities of GNSS stations.",
        ),
        click.option(
            "--north-std",
            type=click.FloatRange(min=0),
            metavar="NUMBER",
            help="Its standard deviation in m/yr (m), which goes into those of the components; default exact.",
        ),
        click.option(
            "--units", type=click.Choice(["mm/yr", "cm/yr", "m/yr"]), help="Unit of a table of stations without one."
        ),
        click.option(
            "--reference", nargs=2, type=NUMBERS, metavar="LON LAT", help="Point that becomes zero in every track."
        ),
        click.option("--same-datum", is_flag=True, help="The tracks share a datum, though they name different ones."),
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(add):
            command = option(command)
        return command

    return decorate


def dates(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Add ``--start`` and ``--end``.

    Parameters
    ----------
    command : callable
        Command.

    Returns
    -------
    callable
    """
    end = click.option("--end", metavar="DATE", help="Last day, as --start; default the last acquisition.")
    start = click.option(
        "--start",
        metavar="DATE",
        help="First day: a velocity or a series has the acquisitions from --start to --end, both included, a "
        "displacement those nearest to them. Default the first acquisition.",
    )
    return start(end(command))


def as_of(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Add ``--as-of``.

    Parameters
    ----------
    command : callable
        Command.

    Returns
    -------
    callable
    """
    return click.option("--as-of", metavar="TIME", help="Use the catalog as it was at this time, UTC.")(command)


def resolution(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Add ``--resolution``, ``--product`` and ``--as-of``.

    Parameters
    ----------
    command : callable
        Command.

    Returns
    -------
    callable
    """
    product = click.option("--product", metavar="NAME", help="Which product, if a track has several.")
    name = click.option("--resolution", metavar="NAME", help="Default: the only one there is, or standard.")
    return name(product(as_of(command)))


def type_(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Add ``--type``.

    Parameters
    ----------
    command : callable
        Command.

    Returns
    -------
    callable
    """
    return _taken(["velocity", "displacement"], "What to take of a track.")(command)


def _taken(choices: list[str], help_: str) -> _Decorator:
    return click.option(
        "--type", "type_", type=click.Choice(choices), default="velocity", show_default=True, help=help_
    )


def mask(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Add ``--mask/--no-mask``.

    Parameters
    ----------
    command : callable
        Command.

    Returns
    -------
    callable
    """
    return click.option("--mask/--no-mask", default=True, show_default=True, help="Drop unusable pixels.")(command)


def geometry(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Add ``--geometry``.

    Parameters
    ----------
    command : callable
        Command.

    Returns
    -------
    callable
    """
    return click.option(
        "--geometry",
        multiple=True,
        metavar="FILE",
        help="Geometry of a MintPy .h5 or ROI_PAC file, if it is not beside it; once for each such file, in order.",
    )(command)


def observation(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Add what says which part of a track, or of a file of MintPy, is meant; a product is what it is, but for ``--bbox``.

    Parameters
    ----------
    command : callable
        Command.

    Returns
    -------
    callable
    """
    series = "series is the displacement of every date, and needs --out NAME.zarr."
    kind = _taken(["velocity", "displacement", "series"], f"What to take of a track; {series}")
    return root(kind(dates(bbox(resolution(mask(geometry(command)))))))


def out(default: str, help_: str) -> _Decorator:
    """
    Add ``--out``.

    Parameters
    ----------
    default : str
        Folder.
    help_ : str
        What is written.

    Returns
    -------
    callable
    """
    return click.option("--out", default=default, show_default=True, metavar="URL", help=help_)


def backend(what: str) -> _Decorator:
    """
    Add ``--backend``.

    Parameters
    ----------
    what : str
        What it chooses.

    Returns
    -------
    callable
        Decorator.
    """
    return click.option(
        "--backend",
        type=click.Choice(["matplotlib", "pygmt"]),
        default="matplotlib",
        show_default=True,
        help=f"{what}; pygmt needs the extra of that name, and GMT.",
    )


def open_root(url: str, as_of: str | None = None) -> "Catalog":
    """
    Open the catalog that ``--root`` names.

    Parameters
    ----------
    url : str
        Root.
    as_of : str, optional
        UTC time.

    Returns
    -------
    Catalog
    """
    from mimtpy_cloud.catalog.index import open_catalog
    from mimtpy_cloud.io.cache import CachedStorage

    catalog = open_catalog(url, as_of=as_of)
    taken = catalog.storage.catalog_taken if isinstance(catalog.storage, CachedStorage) else ""
    if taken:
        click.echo(f"the catalog is that of {taken[:19]} UTC, from the cache; mimtpy cache warm renews it", err=True)
    return catalog
