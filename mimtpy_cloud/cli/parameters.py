"""The option ``--parameter NAME=VALUES`` of commands that vary models."""

from collections.abc import Callable, Sequence
from typing import Any

import click

__all__ = ["parameter", "split_parameters"]


def parameter(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    Add ``--parameter``.

    Parameters
    ----------
    command : callable
        Command.

    Returns
    -------
    callable
    """
    return click.option(
        "--parameter",
        "parameters",
        multiple=True,
        metavar="NAME=VALUES",
        help="Values of a parameter: start:end:step, start:end:Nx for N values, or a,b,c. Repeat it: all combinations "
        "are tried.",
    )(command)


def split_parameters(parameters: Sequence[str]) -> dict[str, str]:
    """
    Take names and values apart.

    Parameters
    ----------
    parameters : sequence of str
        Of the option.

    Returns
    -------
    dict
        Name -> values, as text.

    Raises
    ------
    click.UsageError
        If one has no name or no values, or a name comes twice.

    Examples
    --------
    >>> split_parameters(["vs=17:18:0.25", "vm=18"])
    {'vs': '17:18:0.25', 'vm': '18'}
    """
    pairs = [text.partition("=") for text in parameters]
    if wrong := [text for text, (name, _, values) in zip(parameters, pairs, strict=True) if not (name and values)]:
        raise click.UsageError(f"expected --parameter NAME=VALUES such as vs=17:18:0.25, got {wrong[0]!r}")
    names = [name for name, *_ in pairs]
    if len(set(names)) < len(names):
        raise click.UsageError(
            f"--parameter {max(names, key=names.count)} is given more than once; list its values as a,b,c"
        )
    return {name: values for name, _, values in pairs}
