"""Read what a RELAX run was asked for: its input, or the echo of it at the head of its log."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mimtpy_cloud.io.text import bad_line, read_text

__all__ = ["RelaxEvent", "RelaxInput", "read_patches", "read_relax_input"]

#: Columns of one kind of rows, by name.
type Table = Mapping[str, np.ndarray]

_EXPECTED = "a RELAX input (.input) or the log of a run (.param)"
_PLANE = "x1 x2 x3 length width strike dip"
_ZONE = "gammadot0 x1 x2 x3 length width thickness strike dip"


@dataclass(frozen=True)
class _Section:
    """A list of rows: its name, what headings call it after "number of", its columns, and the section it depends on."""

    name: str
    heading: str
    columns: str
    parent: str = ""


#: In the order of the file. A section with a parent is left out where the parent has no rows.
_SECTIONS = (
    _Section("observation_planes", r"observation plane", _PLANE),
    _Section("observation_points", r"observation point", "name x1 x2 x3"),
    _Section("stress_segments", r"(coulomb|stress observation)", f"{_PLANE} friction"),
    _Section("prestress_interfaces", r"prestress", "depth s11 s12 s13 s22 s23 s33"),
    _Section("linear_interfaces", r"linear viscous", "depth gammadot0 cohesion"),
    _Section("linear_zones", r"(linear )?(ductile|weak) zone", _ZONE, "linear_interfaces"),
    _Section("powerlaw_interfaces", r"(power-?law|non-?linear) viscous", "depth gammadot0 power cohesion"),
    _Section("powerlaw_zones", r"(power-?law|non-?linear) (ductile|weak) zone", _ZONE, "powerlaw_interfaces"),
    _Section("friction_interfaces", r"(friction|fault creep)", "depth gamma0 ab_sigma friction cohesion"),
    _Section("afterslip_planes", r"(creeping fault|afterslip)", f"{_PLANE} rake", "friction_interfaces"),
    _Section("loading_shear", r"inter-?seismic.*(strike|disloc|stuff)", f"slip {_PLANE} rake"),
    _Section("loading_tensile", r"inter-?seismic.*(opening|tensile|dyke|crack)", f"opening {_PLANE}"),
)
_EVENTS = _Section("events", r"(coseismic )?event", "")
_SOURCES = (
    _Section("shear", r"(coseismic )?(shear|strike-?slip)", f"slip {_PLANE} rake"),
    _Section("tensile", r"(coseismic )?tensile", f"opening {_PLANE}"),
    _Section("dilatation", r"(coseismic )?dilatation", "strain x1 x2 x3"),
    _Section("surface_loads", r"surface (load|traction)", ""),
)
_COUNTED = re.compile(r"number of\s+(.*)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class RelaxEvent:
    """
    What happens at one time.

    Parameters
    ----------
    time : float
        Years after the start.
    sources : mapping of str to mapping
        ``shear``, ``tensile``, ``dilatation`` and ``surface_loads``: columns by name, shape ``(row,)``.
    """

    time: float
    sources: Mapping[str, Table]


@dataclass(frozen=True, eq=False)
class RelaxInput:
    """
    What a RELAX run was asked for, in the units of the file (usually km, m, GPa and yr; x1 north, x2 east, x3 down).

    Parameters
    ----------
    size : tuple of int
        Nodes along x1, x2, x3.
    sampling : tuple of float
        Spacing of the nodes.
    smoothing, nyquist : float
        Taper of the sources, and size of the smallest patch in spacings (NaN if not given).
    origin : tuple of float
        x1 and x2 that become the origin.
    rotation : float
        Degrees.
    geographic_origin : tuple of float or None
        Longitude, latitude, UTM zone, and metres in a unit of length.
    observation_depth : tuple of float
        Of displacement and of stress.
    output : str
        Folder of the output.
    lame, mu, gamma : float
        Elastic moduli, and (1 - nu) rho g / mu.
    interval, step, scale : float
        Years of the run; years between outputs, or less than zero the number of steps between them; and the factor on
        the steps (1 if not given).
    sections : mapping of str to mapping
        Rows of each list, such as ``linear_interfaces``: columns by name, shape ``(row,)``.
    events : tuple of RelaxEvent
        In order of time; the first is at zero.
    """

    size: tuple[int, int, int]
    sampling: tuple[float, float, float]
    smoothing: float
    nyquist: float
    origin: tuple[float, float]
    rotation: float
    geographic_origin: tuple[float, float, float, float] | None
    observation_depth: tuple[float, float]
    output: str
    lame: float
    mu: float
    gamma: float
    interval: float
    step: float
    scale: float
    sections: Mapping[str, Table]
    events: tuple[RelaxEvent, ...]


def read_relax_input(url: str | os.PathLike[str]) -> RelaxInput:
    """
    Read the input of RELAX, or the echo of it that a run prints.

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL of an ``.input`` (text after ``#`` is comment) or a ``.param``.

    Returns
    -------
    RelaxInput

    Raises
    ------
    StorageError
        If there is no such file.
    SourceFormatError
        If a line is not what should stand there; the message has its number.

    See Also
    --------
    read_patches : The patches of a slip model.

    Notes
    -----
    Lists come in the order of RELAX. A comment ``number of ...`` before a count says which list it is, so that lists
    that older versions do not have may be left out; a count without a comment is that of the next list.

    References
    ----------
    .. [1] Barbot, S., Y. Fialko (2010), Geophys. J. Int. 182, 1124-1140, doi:10.1111/j.1365-246X.2010.04678.x
    """
    text = read_text(url, _EXPECTED)
    lines = _Lines(url, _from_log(text) if re.search(r"^\s*grid dimension", text, re.MULTILINE) else text)
    size, sampling = lines.numbers("three numbers of nodes", 3), lines.numbers("sampling and smoothing", 4, 5)
    origin = lines.numbers("origin and rotation", 3)
    depth = lines.numbers("two observation depths, or longitude, latitude, UTM zone and unit", 2, 4)
    place = tuple(depth) if len(depth) == 4 else None
    depth = depth if place is None else lines.numbers("two observation depths", 2)
    output = lines.take("the folder of the output")[1].strip()
    lame, mu, gamma = lines.numbers("lambda, mu and gamma", 3)
    interval, step, scale = (*lines.numbers("interval, step and scale", 2, 3), 1.0)[:3]
    sections = _read_sections(lines)
    return RelaxInput(
        size=(int(size[0]), int(size[1]), int(size[2])),
        sampling=(sampling[0], sampling[1], sampling[2]),
        smoothing=sampling[3],
        nyquist=sampling[4] if len(sampling) == 5 else float("nan"),
        origin=(origin[0], origin[1]),
        rotation=origin[2],
        geographic_origin=place,  # type: ignore[arg-type]
        observation_depth=(depth[0], depth[1]),
        output=output,
        lame=lame,
        mu=mu,
        gamma=gamma,
        interval=interval,
        step=step,
        scale=scale,
        sections=sections,
        events=tuple(_read_events(lines)),
    )


def read_patches(url: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """
    Read the patches of a slip model in the layout of RELAX (``.flt``).

    Parameters
    ----------
    url : str or path
        Local path or any fsspec URL; rows of number, slip, x1, x2, x3, length, width, strike, dip and rake.

    Returns
    -------
    dict of str to np.ndarray
        ``slip, x1, x2, x3, length, width, strike, dip, rake`` in the units of the file (usually m, km and degrees),
        shape ``(patch,)``; x1 is north, x2 east, x3 down.

    Raises
    ------
    StorageError
        If there is no such file.
    SourceFormatError
        If a line has another layout, or there is none.

    See Also
    --------
    read_relax_input : The input of a run, which has such rows.
    """
    lines = _Lines(url, read_text(url, "a slip model"))
    rows = []
    while lines.more():
        rows.append(lines.numbers("number, slip, x1, x2, x3, length, width, strike, dip and rake", 10)[1:])
    if not rows:
        raise bad_line(url, 1, "patches of a slip model", "an empty file")
    return dict(zip(_SOURCES[0].columns.split(), np.array(rows).T, strict=True))


class _Lines:
    """Lines with data, and what the comments before them say."""

    def __init__(self, url: str | os.PathLike[str], text: str) -> None:
        self.url, self._last = url, 1
        self._rest = list(self._data(text))[::-1]

    @staticmethod
    def _data(text: str) -> Iterator[tuple[int, str, str, str]]:
        """Number, text, what is counted, and the last comment, of each line with data."""
        counted = comment = ""
        for number, line in enumerate(text.splitlines(), 1):
            data, mark, said = line.partition("#")
            if data.strip():
                yield number, data, counted, comment
                counted = comment = ""
            elif mark:
                comment = said.strip()
                found = _COUNTED.match(comment)
                counted = found[1].lower() if found else counted

    def more(self) -> bool:
        """Whether a line with data is left."""
        return bool(self._rest)

    def counted(self) -> str:
        """What the comment before the next line says is counted there."""
        return self._rest[-1][2] if self._rest else ""

    def comment(self) -> str:
        """The comment right before the next line."""
        return self._rest[-1][3] if self._rest else ""

    def take(self, expected: str) -> tuple[int, str]:
        """Number and text of the next line."""
        if not self._rest:
            raise bad_line(self.url, self._last, expected, "the end of the file")
        self._last, data, *_ = self._rest.pop()
        return self._last, data

    def numbers(self, expected: str, *counts: int) -> list[float]:
        """Numbers on the next line, as many as one of the counts; Fortran's d is an exponent, too."""
        number, line = self.take(expected)
        words = line.split()
        try:
            found = [_float(word) for word in words]
        except ValueError:
            raise bad_line(self.url, number, expected, line) from None
        if counts and len(found) not in counts:
            raise bad_line(self.url, number, expected, line)
        return found

    def refuse(self, expected: str) -> None:
        """Stop at the next line."""
        number, line = self.take(expected)
        raise bad_line(self.url, number, expected, line)

    def count(self, what: str) -> int:
        """Count on the next line."""
        number, line = self.take(f"the number of {what}")
        if len(words := line.split()) != 1 or not words[0].isdecimal():
            raise bad_line(self.url, number, f"the number of {what}", line)
        return int(words[0])


def _read_sections(lines: _Lines) -> dict[str, Table]:
    """Lists up to the number of events."""
    found: dict[str, Table] = {}
    for section in _SECTIONS:
        counted = lines.counted()
        if not counted:  # the next of those that RELAX reads
            here = not section.parent or _length(found.get(section.parent, {})) > 0
        else:
            here = re.match(section.heading, counted) is not None
        found[section.name] = _read_rows(lines, section) if here else _empty(section)
    if lines.counted() and re.match(_EVENTS.heading, lines.counted()) is None:
        lines.refuse(f"the number of events, but the comment before says number of {lines.counted()[:40]}")
    return found


def _read_events(lines: _Lines) -> Iterator[RelaxEvent]:
    """Events with their sources; the time stands before all but the first."""
    for index in range(lines.count("events")):
        time = lines.numbers("the time of the event", 1, 2)[0] if index else 0.0
        sources: dict[str, Table] = {}
        for section in _SOURCES:
            counted = lines.counted()
            if counted and re.match(section.heading, counted) is None:
                lines.refuse(f"the number of {section.name}, but the comment before says number of {counted[:40]}")
            sources[section.name] = _read_rows(lines, section)
        yield RelaxEvent(time, sources)


def _read_rows(lines: _Lines, section: _Section) -> Table:
    """Rows of a list as columns; each row begins with its number."""
    what = section.name.replace("_", " ")
    count = lines.count(what)
    columns = section.columns.split()
    if not columns and count:  # versions differ: the comment above the rows names them
        columns = re.sub(r"\(.*?\)", "", lines.comment()).split()[1:]
    rows: list[list[str]] = []
    for index in range(1, count + 1):
        number, line = lines.take(f"row {index} of {what}")
        words = line.split()
        if len(words) != len(columns) + 1 or not words[0].isdecimal() or int(words[0]) != index:
            raise bad_line(lines.url, number, f"row {index} of {what}: number {' '.join(columns)}", line)
        rows.append(words[1:])
        _check_numbers(lines, number, line, words[1:] if columns[0] != "name" else words[2:])
    if not rows:
        return _empty(section)
    cells = zip(*rows, strict=True)
    return {
        name: np.array(cell) if name == "name" else np.array([_float(word) for word in cell])
        for name, cell in zip(columns, cells, strict=True)
    }


def _check_numbers(lines: _Lines, number: int, line: str, words: list[str]) -> None:
    try:
        [_float(word) for word in words]
    except ValueError:
        raise bad_line(lines.url, number, "numbers", line) from None


def _float(word: str) -> float:
    return float(word.lower().replace("d", "e"))


def _empty(section: _Section) -> Table:
    return {name: np.empty(0, "U1" if name == "name" else float) for name in section.columns.split()}


def _length(table: Table) -> int:
    return len(next(iter(table.values()), ()))


def _from_log(text: str) -> str:
    """Turn the head of a log into the text of an input, line for line: all that is no number becomes a comment."""
    made, before = [], ""
    for line in text.splitlines():
        plain = line.partition("(")[0].strip()
        first = plain.split()[:1]
        if before.startswith("output directory"):
            made.append(plain)
        elif "output every" in line:  # the interval, and how often output is written
            found = [_float(word) for word in re.findall(r"[-+]?\d[\d.]*(?:E[-+]?\d+)?", line)]
            step = -found[1] if "steps" in line else found[1]
            made.append(" ".join(map(repr, [found[0], step, *found[2:3]])))
        elif first and re.fullmatch(r"[-+]?\d[\d.]*(E[-+]?\d+)?", first[0], re.IGNORECASE):
            made.append(plain)
        else:
            made.append(f"# {line.strip()}")
        before = line.strip()
        if before.startswith("max sampling size"):
            break
    return "\n".join(made)
