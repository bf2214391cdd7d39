"""Read a template: MimtPy's ``key = value`` text, or the same keys as YAML, into typed steps.

The schema is a table in `mimtpy_cloud.cli.keys`. Keys are matched without regard to case and underscores, so
``DataSet`` is ``dataset`` and ``start_date`` is ``startDate``.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mimtpy_cloud.cli.keys import DEFAULTS, KEYS, PREFIX, STEPS, Key, Raw, has_wildcard, squeeze
from mimtpy_cloud.cli.steps import Decompose, Template
from mimtpy_cloud.errors import TemplateError
from mimtpy_cloud.location import locate, looks_secret, reaching

__all__ = ["Item", "load_template", "parse_legacy", "parse_template"]

#: Keys of other programs that YAML may hold, where ours need no prefix. In text, all without ours are passed over.
FOREIGN = ("mintpy.", "miaplpy.", "minsar.", "topsstack.", "stripmapstack.", "ssaraopt", "isce.", "subset.")
#: Older names of a step or a key.
ALIASES = {
    "velcumu": "velocity_displacement",
    "concatenate": "concatenation",
    "shmdir": "shpdir",
    "chunks": "dataset",
    "enabled": "",
}

#: First parts of a key that are at least this much like ours are ours, mistyped; "mintpy" and "miaplpy" are not asked.
_NEARLY_OURS = 0.75

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")

_BY_NAME = {squeeze(key.full): key for key in KEYS}


def _spellings() -> list[str]:
    """Every name a key may have, for suggestions."""
    names = [key.full for key in KEYS]
    newer, older = f"{PREFIX}velocity_displacement", f"{PREFIX}velcumu"
    return [*names, *(name.replace(newer, older) for name in names if name.startswith(newer)), f"{PREFIX}plot.shmdir"]


def _find_key(written: str) -> Key | None:
    parts = written.split(".")
    if parts[0].lower() == PREFIX[:-1]:
        parts = parts[1:]
    parts = [ALIASES.get(part.lower(), part) for part in parts]
    return _BY_NAME.get(squeeze(PREFIX + ".".join(filter(None, parts))))


def _unknown(written: str) -> str:
    names = {name.removeprefix(PREFIX).lower(): name for name in _spellings()}
    own = _without_prefix(written) if _is_mistyped_prefix(written) else written.lower().removeprefix(PREFIX)
    near = difflib.get_close_matches(own, names, n=1, cutoff=0.5)
    hint = f"did you mean {names[near[0]]}?" if near else "see `mimtpy run --keys` for all keys"
    return f"{written} is not a key; {hint}"


def _is_foreign(written: str, *, yaml: bool) -> bool:
    """Whether a key belongs to another program, and is not one of ours behind a mistyped prefix."""
    lower = written.lower()
    if f"{lower}.".startswith(FOREIGN):
        mistyped = lower.startswith("mintpy.") and lower != "mintpy.plot" and _find_key(PREFIX + lower[7:])
        return not mistyped
    return not (yaml or lower.startswith(PREFIX) or _is_mistyped_prefix(written))


def _is_mistyped_prefix(written: str) -> bool:
    """Whether a key starts nearly as ours do: ``mimpty.``, ``mimtpyvelcumu.``."""
    first = written.lower().partition(".")[0]
    ours = PREFIX[:-1]
    return first != ours and (
        first.startswith(ours) or difflib.SequenceMatcher(None, first, ours).ratio() > _NEARLY_OURS
    )


def _without_prefix(written: str) -> str:
    """The key behind a mistyped prefix."""
    ours = PREFIX[:-1]
    first, dot, rest = written.lower().partition(".")
    glued = first.removeprefix(ours).strip("_") if first.startswith(ours) else ""
    return f"{glued}{dot}{rest}" if f"{PREFIX}{glued}" in map(str.lower, _spellings()) else rest


# --- the two formats ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """One key as written, its value before typing, and its line."""

    key: str
    raw: Raw
    line: int


def parse_legacy(text: str) -> tuple[list[Item], list[str]]:
    """
    Split ``key = value`` text as MintPy and MimtPy do.

    A line is split at the first ``=``; ``#`` starts a comment; lines that start with ``#`` or ``%`` and keys
    without a value are skipped.

    Parameters
    ----------
    text : str
        Content of a template.

    Returns
    -------
    items : list of Item
        In the order of the text, duplicates included.
    problems : list of str
        Lines that are neither.

    Examples
    --------
    >>> items, problems = parse_legacy("mimtpy.c = a=b  # note\\n% x = 2\\nmimtpy.b =")
    >>> [(item.key, item.raw, item.line) for item in items], problems
    ([('mimtpy.c', 'a=b', 1)], [])
    """
    items, problems = [], []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#%":
            continue
        key, equals, rest = (part.strip() for part in stripped.partition("="))
        value = rest.partition("#")[0].strip()
        if not equals and not _find_key(key):
            problems.append(f"line {number}: expected 'key = value', got {stripped!r}")
        elif value:
            items.append(Item(key, _expanded(value), number))
    return items, problems


def _expanded(value: str) -> str:
    """
    Put environment variables in, as a shell would; one whose name looks like a secret stays as it is written.

    A value may end up in names of files, in provenance and in logs.
    """
    return _VARIABLE.sub(_environment, value)


def _environment(found: re.Match[str]) -> str:
    name = found.group(1) or found.group(2)
    return found.group() if looks_secret(name) else os.environ.get(name, found.group())


def _parse_yaml(text: str) -> tuple[list[Item], list[str]]:
    """Flatten nested YAML mappings to dotted keys; every scalar stays text, so dates and names keep their digits."""
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return [], [f"line {mark.line + 1 if mark else 1}: not YAML: {getattr(error, 'problem', None) or error}"]
    if root is None:
        return [], []
    if not isinstance(root, yaml.MappingNode):
        return [], ["expected a mapping of steps, such as 'velocity_displacement: {dataset: [A064]}'"]
    problems: list[str] = []
    return list(_flatten(root, "", problems)), problems


def _flatten(mapping: Any, prefix: str, problems: list[str]) -> Iterator[Item]:
    for key_node, node in mapping.value:
        key, line = f"{prefix}{key_node.value}", key_node.start_mark.line + 1
        if node.id == "mapping":
            yield from _flatten(node, f"{key}.", problems)
            if key.lower() != PREFIX[:-1] and not any(k.value == "enabled" for k, _ in node.value):
                yield Item(key, "yes", line)  # a step that is spelled out is on
        elif node.id == "scalar":
            yield Item(key, _expanded(node.value), line)
        elif all(part.id == "scalar" for part in node.value):
            yield Item(key, [_expanded(part.value) for part in node.value], line)
        else:
            problems.append(f"line {line}: {key} expects one value or a plain list")


# --- typing -------------------------------------------------------------------------------------------------


def parse_template(text: str, *, path: str = "template", yaml: bool = False) -> Template:
    """
    Type the text of a template.

    Parameters
    ----------
    text : str
        Content.
    path : str
        Its name in messages and in the provenance of products.
    yaml : bool
        Whether it is YAML rather than ``key = value`` lines.

    Returns
    -------
    Template

    Raises
    ------
    TemplateError
        With every problem found: unknown keys with the nearest valid one, values of the wrong kind with what was
        expected, and steps that lack their datasets.

    Examples
    --------
    >>> template = parse_template("mimtpy.velcumu = yes\\nmimtpy.velcumu.DataSet = A064, D128")
    >>> template.extract.datasets, template.extract.types, template.horzvert
    (('A064', 'D128'), ('velocity',), None)
    """
    items, problems = _parse_yaml(text) if yaml else parse_legacy(text)
    values, lines = _typed(
        [item for item in items if _find_key(item.key) or not _is_foreign(item.key, yaml=yaml)], problems
    )
    template = _build(path, values, lines, problems)
    if problems or template is None:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise TemplateError(f"{path} has {count}:\n  " + "\n  ".join(sorted(problems, key=_line_of)))
    return template


def _line_of(problem: str) -> int:
    match = re.match(r"line (\d+)", problem)
    return int(match.group(1)) if match else 0


def _typed(items: Iterable[Item], problems: list[str]) -> tuple[dict[Key, Any], dict[Key, int]]:
    values: dict[Key, Any] = {}
    lines: dict[Key, int] = {}
    for item in items:
        key = _find_key(item.key)
        if key is None:
            problems.append(f"line {item.line}: {_unknown(item.key)}")
            continue
        lines[key] = item.line
        values.pop(key, None)  # the last of several wins
        if isinstance(item.raw, str) and item.raw.strip().lower() in DEFAULTS:
            continue
        try:
            values[key] = key.kind.read(item.raw)
        except (ValueError, KeyError):
            problems.append(f"line {item.line}: {item.key} expects {key.kind.expects}, got {item.raw!r}")
    return values, lines


def _build(path: str, values: dict[Key, Any], lines: dict[Key, int], problems: list[str]) -> Template | None:
    steps: dict[str, Any] = {}
    for key in (key for key in KEYS if not key.name):
        on = values.get(key, key.step == "plot")
        name, make = STEPS[key.step]
        fields = {k.field: value for k, value in values.items() if k.step == key.step and k.field}
        if not on:
            steps[name] = () if name == "concatenate" else None
            continue
        try:
            steps[name] = make(**fields)
        except ValueError as error:
            problems.append(f"line {lines[key]}: {key.full}.{error}")
            return None
    template = Template(path, **_with_default_datasets(steps))
    problems.extend(_inconsistent(template, lines))
    return template


def _with_default_datasets(steps: dict[str, Any]) -> dict[str, Any]:
    """Give the datasets of the extraction to each step that names none."""
    extract = steps["extract"]

    def filled(step: Any) -> Any:
        if isinstance(step, tuple):
            return tuple(map(filled, step))
        return replace(step, datasets=extract.datasets) if getattr(step, "datasets", None) == () else step

    return {name: filled(step) for name, step in steps.items()} if extract else steps


#: What a decomposition solves if the template does not say.
_COMPONENTS = {"horzvert": "eu", "overlap": "hu"}
#: Least number of datasets of each step.
_LEAST = {
    "extract": 1,
    "mask": 1,
    "coherence": 1,
    "chunk": 2,
    "concatenate": 2,
    "horzvert": 2,
    "overlap": 2,
    "geodmod": 1,
}


def _inconsistent(template: Template, lines: dict[Key, int]) -> Iterator[str]:
    """Find what single keys cannot show."""

    def at(step: str, name: str) -> str:
        key = _BY_NAME[squeeze(f"{PREFIX}{step}.{name}")]
        return f"line {lines[key]}: {key.full}" if key in lines else key.full

    for step, (name, _) in STEPS.items():
        found = getattr(template, name)
        for value in found if isinstance(found, tuple) else (found,):
            if value is not None and name != "plot":
                yield from _wrong_counts(value, _LEAST[name], partial(at, step))
                if isinstance(value, Decompose):
                    yield from _wrong_components(value, _COMPONENTS[name], partial(at, step))
            for key in KEYS:
                text = getattr(value, key.field, None) if key.step == step and key.field else None
                if isinstance(text, str) and "$" in text:
                    yield f"{at(step, key.name)} names an environment variable that is not set: {text}"
    yield from _wrong_dates(template, at)
    plot = template.plot
    if plot and max(len(plot.colours), len(plot.styles)) > len(plot.faults):
        yield f"{at('plot', 'fault')} expects a file for each fcolor and fstyle, got {len(plot.faults)}"


def _wrong_dates(template: Template, at: Callable[[str, str], str]) -> Iterator[str]:
    for step, dated in (("velocity_displacement", template.extract), ("geodmod", template.geodmod)):
        if dated and dated.start and dated.end and dated.start >= dated.end:
            yield f"{at(step, 'startDate')} must be before endDate, got {dated.start} and {dated.end}"


def _wrong_counts(step: Any, least: int, at: Callable[[str], str]) -> Iterator[str]:
    names = getattr(step, "names", ())
    has_pattern = any(map(has_wildcard, step.datasets))
    if len(step.datasets) < least and not has_pattern:
        yield f"{at('dataset')} expects at least {least}, got {len(step.datasets)}"
    pairs = list(zip(step.datasets, names, strict=False)) if names else list(step.datasets)
    if twice := [pair for i, pair in enumerate(pairs) if pair in pairs[:i]]:
        shown = ", ".join(" ".join(pair) if names else str(pair) for pair in twice)
        yield f"{at('dataset')} names {shown} twice; name each once"
    if names and len(names) != len(step.datasets) and not has_pattern:
        yield f"{at('dataname')} expects one name for each of {len(step.datasets)} datasets, got {len(names)}"
    if len({name.partition("_")[0] for name in names}) > 1:
        yield f"{at('dataname')} expects products of one type, got {', '.join(names)}"


def _wrong_components(step: Decompose, components: str, at: Callable[[str], str]) -> Iterator[str]:
    """What does not suit the components that a step solves, which are those given if the template names none."""
    variables, names = step.variables(components), step.outnames
    count = {2: "two", 3: "three"}[len(variables)]
    if len(names) != len(variables):
        yield f"{at('outname')} expects {count} names, got {', '.join(names)}"
    elif twice := [name for i, name in enumerate(names) if name in names[:i]]:
        yield f"{at('outname')} expects {count} different names, got {twice[0]} twice"
    if step.azimuth is not None and step.components is not None:
        yield f"{at('components')} or azimuth chooses the direction, got {step.components} and {step.azimuth:g}"
    elif step.north is not None and "east" not in variables:
        yield f"{at('north')} is for components eu and enu, got {variables[0]} and up; name the components"
    if "north" in variables and step.north_std == 0:
        yield f"{at('northstd')} 0 takes north as known exactly, which leaves nothing to solve; use components eu"
    if "north" in variables and isinstance(step.north, float) and step.north_std is None:
        yield f"{at('northstd')} is needed for enu with a north that is known, got none"
    if step.units is not None and not isinstance(step.north, str):
        yield f"{at('units')} is the unit of a table of stations, expected one as north, got {step.north}"


def load_template(path: str | os.PathLike[str]) -> Template:
    """
    Read a template file.

    Parameters
    ----------
    path : str or path
        File or URL; ``.yml`` and ``.yaml`` are YAML, everything else is ``key = value`` text.

    Returns
    -------
    Template

    Raises
    ------
    TemplateError
        If it cannot be read, or has problems; see `parse_template`.
    """
    name = os.fspath(path)
    try:
        if "://" in name:
            fs, path_there = locate(name)
            with reaching(name), fs.open(path_there, "rt", encoding="utf-8") as file:
                text = file.read()
        else:
            text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"cannot read the template {name}: {getattr(error, 'strerror', None) or error}") from error
    return parse_template(text, path=name, yaml=name.lower().endswith((".yml", ".yaml")))
