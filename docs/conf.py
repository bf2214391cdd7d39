"""Sphinx configuration; `make docs` builds the site offline into ``site/``."""

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "mimtpy_cloud"
sys.path.insert(0, str(HERE.parent))

import mimtpy_cloud  # noqa: E402

project = "mimtpy_cloud"
author = "mimtpy_cloud developers"
copyright = f"2026, {author}"
version = release = mimtpy_cloud.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.viewcode", "numpydoc"]
exclude_patterns = ["generated/*.inc.md"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autosummary_generate = False  # it would not look into the included lists; api_lists writes the pages
autodoc_typehints = "none"  # the Parameters sections say it in words
numpydoc_show_class_members = False
html_theme = "furo"
html_title = f"mimtpy_cloud {release}"
templates_path: list[str] = []

#: Heading of the API page for each layer of the package, in the order of a user's work.
GROUPS = {
    "io": "Read",
    "catalog": "Catalog",
    "ops": "Operate",
    "view": "Look",
    "export": "Export",
    "cluster": "Compute",
}


def setup(app: Any) -> None:
    """Write what the pages include before Sphinx reads them."""
    app.connect("builder-inited", lambda _: write_includes(HERE / "generated"))


def write_includes(folder: Path) -> None:
    """Write the API lists and the tables that the code holds as data."""
    folder.mkdir(exist_ok=True)
    for page in folder.glob("*.rst"):
        page.unlink()
    (folder / "api.inc.md").write_text("\n".join(api_lists(folder)))
    (folder / "modules.inc.md").write_text("\n".join(module_table()))
    (folder / "keys.inc.md").write_text("\n".join(key_tables()))
    (folder / "resolutions.inc.md").write_text("\n".join(resolution_table()))
    (folder / "variables.inc.md").write_text("\n".join(variable_table()))


def api_lists(folder: Path) -> Iterator[str]:
    """Yield one list for each group of public names in the stub of the package, and write a page for each name."""
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    names: dict[str, list[str]] = {}
    for node in stub.body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("_"):
            layer = node.module.removeprefix("mimtpy_cloud.").partition(".")[0]
            names.setdefault(layer, []).extend(alias.asname or alias.name for alias in node.names)
    for layer in sorted(names, key=lambda name: list(GROUPS).index(name) if name in GROUPS else len(GROUPS)):
        yield f"## {GROUPS.get(layer, layer)}\n"
        yield "```{eval-rst}\n.. currentmodule:: mimtpy_cloud\n.. autosummary::\n   :toctree: generated\n"
        yield from (f"   {name}" for name in sorted(names[layer]))
        yield "```\n"
        for name in names[layer]:
            kind = "class" if isinstance(getattr(mimtpy_cloud, name), type) else "function"
            page = f"{name}\n{'=' * len(name)}\n\n.. currentmodule:: mimtpy_cloud\n\n.. auto{kind}:: {name}\n"
            (folder / f"mimtpy_cloud.{name}.rst").write_text(page)


def module_table() -> Iterator[str]:
    """Yield a table of the modules and the first line of what they say of themselves."""
    yield "| module | what it is for |\n| --- | --- |"
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts[-1].startswith("_"):
            continue
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        yield f"| `{'.'.join(parts)}` | {text.partition(chr(10) * 2)[0].replace(chr(10), ' ')} |"


def key_tables() -> Iterator[str]:
    """Yield a table for each step of a template."""
    keys = importlib.import_module("mimtpy_cloud.cli.keys")
    for step in dict.fromkeys(key.step for key in keys.KEYS):
        yield f"\n## {step}\n\n| key | accepts | meaning |\n| --- | --- | --- |"
        for key in (key for key in keys.KEYS if key.step == step):
            yield "| `{}` | {} | {} |".format(*(escape(text) for text in (key.full, key.kind.expects, key.help)))


def resolution_table() -> Iterator[str]:
    """Yield a table of the named lattices."""
    schema = importlib.import_module("mimtpy_cloud.schema")
    yield "| resolution | pixels a degree | step |\n| --- | --- | --- |"
    yield from (f"| {name} | {n} | {1 / n:g}° |" for name, n in schema.RESOLUTIONS.items())


def variable_table() -> Iterator[str]:
    """Yield a table of the canonical variables."""
    schema = importlib.import_module("mimtpy_cloud.schema")
    yield "| variable | dimensions | unit | |\n| --- | --- | --- | --- |"
    for name, variable in schema.VARIABLES.items():
        yield f"| `{name}` | {', '.join(variable.dims)} | {variable.units} | {variable.long_name} |"


def escape(text: str) -> str:
    """Escape what a cell of a table would take for itself."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
