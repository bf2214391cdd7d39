"""``mimtpy run`` and ``mimtpy demo``."""

from contextlib import nullcontext
from typing import Any

import click

from mimtpy_cloud.cli import options

__all__ = ["demo", "run"]


#: Columns of the list of keys where there is no terminal.
_KEYS_WIDTH = 120


def _show_keys(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
    if not value or ctx.resilient_parsing:
        return
    from mimtpy_cloud.cli.console import show_table
    from mimtpy_cloud.cli.keys import KEYS

    rows = [(key.full, key.kind.expects, key.help) for key in KEYS]
    show_table(("key", "value", "meaning"), rows, width=_KEYS_WIDTH)
    ctx.exit()


@click.command()
@click.argument("template")
@click.option("--keys", is_flag=True, is_eager=True, expose_value=False, callback=_show_keys, help="List all keys.")
@click.option(
    "--steps",
    metavar="NAMES",
    help="Only these, separated by commas: extract, mask, coherence, concatenate, horzvert, overlap, plot, export.",
)
@click.option("--dry-run", is_flag=True, help="Show the steps and their outputs.")
@options.root
@options.out(".", "Folder or URL of the products.")
@click.pass_context
def run(ctx: click.Context, template: str, steps: str | None, *, dry_run: bool, root: str, out: str) -> None:
    """
    Run a mimtpyApp template, or the same as YAML.

    A project that fails does not stop the others; the exit code is then 1. It is 2 if nothing could be run at all: the
    template, an option or the catalog is wrong.

    Example:

    \b
      mimtpy run mimtpyApp.template --root data --out products --dry-run
      mimtpy run app.yml --root data --out products --steps extract,plot
    """
    from mimtpy_cloud.cli.console import progress_bar, show_table
    from mimtpy_cloud.cli.pipeline import run_template

    names = [name.strip() for name in steps.split(",") if name.strip()] if steps else None
    with nullcontext() if dry_run else progress_bar("run") as progress:
        results = run_template(template, root=root, out=out, steps=names, dry_run=dry_run, progress=progress)
    rows = [(r.name, r.project, r.status, "\n".join(filter(None, (*r.outputs, r.note))) or r.error) for r in results]
    show_table(("step", "project", "status", "outputs or reason"), rows)
    ctx.exit(1 if any(result.error for result in results) else 0)


@click.command()
@click.option("--out", default="mimtpy_demo", show_default=True, metavar="DIR", help="Folder for everything it makes.")
def demo(out: str) -> None:
    """
    Make four synthetic tracks, run everything, compare with the truth.

    Example:

    \b
      mimtpy demo --out demo
    """
    from mimtpy_cloud.cli.demo import run_demo

    run_demo(out)
