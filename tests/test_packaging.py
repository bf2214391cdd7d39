"""What must agree across the files of the project: requirements, versions, public names, entry points, documents."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

import mimtpy_cloud as mc

ROOT = Path(__file__).resolve().parents[1]

#: conda's names of what PyPI calls otherwise; an extra of a PyPI package is often a package of its own.
CONDA_NAMES = {
    "dask": {"dask", "distributed"},
    "matplotlib": {"matplotlib-base"},
    "xxhash": {"python-xxhash"},
}
#: Needed by conda to install this package itself.
CONDA_ONLY = {"python", "pip"}
#: Extras that every user of a hub has.
CONDA_EXTRAS = ("cluster", "stac")
#: What notebook servers and workers need of an image, and the package does not.
CONDA_IMAGE = {
    "bokeh",
    "dask-labextension",
    "ipywidgets",
    "jupyter-server-proxy",
    "jupyterhub-singleuser",
    "jupyterlab",
    "tini",
}

REGISTRY_HOST = re.compile(r"\b(pypi|pythonhosted|npmjs|debian|anaconda|prefix)\.(org|com|dev)\b")
MACHINE_PATH = re.compile(r"(?<![\w.})*])/(work|root|tmp)/")
TEXT_SUFFIXES = {
    "",
    ".cfg",
    ".css",
    ".html",
    ".ipynb",
    ".json",
    ".md",
    ".py",
    ".pyi",
    ".sh",
    ".toml",
    ".txt",
    ".yml",
    ".yaml",
}
GENERATED = {
    ".git",
    ".hypothesis",
    ".venv",
    ".venv-hub",
    "build",
    "demo",
    "dist",
    "generated",
    "shared",
    "site",
    "__pycache__",
}
GENERATED_SUFFIXES = ("_cache", ".egg-info")


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def public_names() -> set[str]:
    tree = ast.parse((ROOT / "mimtpy_cloud" / "__init__.pyi").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for node in imports for alias in node.names}


@cache
def text_files() -> list[Path]:
    """Every text file that belongs to the project, without walking what was generated or installed."""
    found = []
    for folder, folders, files in ROOT.walk():
        folders[:] = [name for name in folders if name not in GENERATED and not name.endswith(GENERATED_SUFFIXES)]
        if folder == ROOT / "benchmarks":
            folders[:] = [name for name in folders if name != "data"]
        found += [folder / name for name in files if Path(name).suffix in TEXT_SUFFIXES]
    return [path for path in found if path.is_file() and path.name not in (".coverage", ".git")]  # .git of a worktree


def test_conda_environment_lists_the_requirements_and_bounds_of_pyproject(pyproject):
    expected = {}
    extras = pyproject["project"]["optional-dependencies"]
    wanted = [*pyproject["project"]["dependencies"], *(item for name in CONDA_EXTRAS for item in extras[name])]
    for requirement in map(Requirement, wanted):
        for name in CONDA_NAMES.get(requirement.name, {requirement.name}):
            expected[name] = requirement.specifier
    environment = yaml.safe_load((ROOT / "pangeo-environment.yml").read_text())
    listed = {item.name: item.specifier for item in map(Requirement, environment["dependencies"])}
    assert listed.keys() >= CONDA_IMAGE
    assert {name: bound for name, bound in listed.items() if name not in CONDA_ONLY | CONDA_IMAGE} == expected
    assert str(listed["python"]) == pyproject["project"]["requires-python"]


def test_every_requirement_has_a_lower_bound_and_no_upper_one(pyproject):
    extras = pyproject["project"]["optional-dependencies"].values()
    for text in [*pyproject["project"]["dependencies"], *(item for extra in extras for item in extra)]:
        own = Requirement(text).name == pyproject["project"]["name"]  # an extra that includes others
        assert own or {clause.operator for clause in Requirement(text).specifier} == {">="}, text


def test_python_floor_is_the_same_everywhere(pyproject):
    versions = (ROOT / ".python-version").read_text().split()
    floor = min(versions, key=lambda version: tuple(map(int, version.split("."))))
    assert pyproject["project"]["requires-python"] == f">={floor}"
    assert pyproject["tool"]["mypy"]["python_version"] == floor
    assert pyproject["tool"]["ruff"]["target-version"] == f"py{floor.replace('.', '')}"
    for version in versions:
        assert f"Programming Language :: Python :: {version}" in pyproject["project"]["classifiers"]


def test_every_public_name_imports_and_is_listed():
    names = public_names()
    assert set(mc.__all__) == names
    assert names <= set(dir(mc))
    for name in names:
        assert getattr(mc, name) is not None
    assert len(names - {"__version__"}) <= 33  # two or three dozen, STYLE.md 1.7


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, mimtpy_cloud; print(sorted({'numpy', 'xarray', 'dask', 'zarr', 'numba'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("group", ["console_scripts", "intake.drivers"])
def test_entry_points_resolve(pyproject, group):
    project = pyproject["project"]
    declared = project["scripts"] if group == "console_scripts" else project["entry-points"][group]
    assert declared
    installed = {entry.name: entry.value for entry in entry_points(group=group)}
    for name, target in declared.items():
        module, _, attribute = target.partition(":")
        assert callable(getattr(importlib.import_module(module), attribute))
        assert installed.get(name, target) == target, "the installed metadata is stale: run make again"


@pytest.mark.parametrize("pattern", [REGISTRY_HOST, MACHINE_PATH], ids=["registry host", "path of one machine"])
def test_no_file_names_a(pattern):
    files = text_files()
    assert ROOT / "Makefile" in files
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


def documents() -> list[Path]:
    return [path for path in text_files() if path.suffix == ".md"]


def test_every_python_example_in_the_documents_compiles_and_uses_public_names():
    used = set()
    for path in documents():
        for block in re.findall(r"^```python\n(.*?)^```", path.read_text(), flags=re.MULTILINE | re.DOTALL):
            tree = ast.parse(block, filename=str(path))
            used |= {
                node.attr
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "mc"
            }
    assert used >= {"open_catalog", "open_track", "estimate_velocity", "mosaic", "invert_enu", "plot_map"}
    assert used <= public_names()


def test_every_link_in_the_documents_leads_somewhere():
    links = [
        (path, target.partition("#")[0])
        for path in documents()
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text())
        if "://" not in target and not target.startswith("#")
    ]
    assert len(links) >= 5
    missing = [f"{path.name}: {target}" for path, target in links if not (path.parent / target).exists()]
    assert not missing


def test_every_verb_in_the_readme_is_a_command():
    verbs = set(re.findall(r"`mimtpy ([a-z][a-z-]*)", (ROOT / "README.md").read_text()))
    code = "from mimtpy_cloud.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    commands = set(re.findall(r"^ +([a-z][a-z-]*)\s{2,}", done.stdout, flags=re.MULTILINE))
    assert verbs
    assert verbs <= commands


def test_every_page_of_the_documentation_is_in_a_table_of_contents():
    contents = " ".join((ROOT / "docs" / page).read_text() for page in ("index.md", "decisions/index.md"))
    assert "deploy/index" in contents
    assert re.search(r"^:glob:$.*^\*$", (ROOT / "docs/deploy/index.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    listed = {"generated", "deploy"}  # deploy/index takes every page beside it
    paths = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    pages = {path.stem for path in paths if path.parts[0] not in listed} - {"index"}
    assert len(pages) > 10
    assert {page for page in pages if page not in contents} == set()


def test_patterns_of_what_no_file_may_name_match_what_they_are_for():
    assert REGISTRY_HOST.search("https://" + "pypi" + ".org/simple")
    assert MACHINE_PATH.search('open("' + "/tmp" + '/x")')
    assert not MACHINE_PATH.search("s3://bucket/" + "work/x")


def test_find_python_skips_shims_that_fail_and_old_interpreters(tmp_path):
    write_command(tmp_path / "python3.13", "exit 127")
    write_command(tmp_path / "python3.12", f'exec "{sys.executable}" "$@"')
    write_command(tmp_path / "python3", 'echo "Python 3.11"; exit 1')
    done = find_python(tmp_path)
    assert done.returncode == 0
    assert done.stdout.strip() == sys.executable


def test_find_python_looks_where_pyenv_keeps_its_versions(tmp_path):
    write_command(tmp_path / "python3", "exit 127")
    hidden = tmp_path / ".pyenv" / "versions" / "3.13.0" / "bin"
    hidden.mkdir(parents=True)
    write_command(hidden / "python3", f'exec "{sys.executable}" "$@"')
    assert find_python(tmp_path).stdout.strip() == sys.executable


def test_find_python_says_where_it_looked_when_there_is_none(tmp_path):
    write_command(tmp_path / "python3", "exit 1")
    done = find_python(tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "No Python >= 3.12 found" in done.stderr
    assert str(tmp_path / ".pyenv" / "versions") in done.stderr


def test_find_python_refuses_a_named_interpreter_that_does_not_work(tmp_path):
    done = find_python(tmp_path, PYTHON=str(tmp_path / "absent"))
    assert done.returncode == 1
    assert "absent is not a working CPython >= 3.12" in done.stderr


def write_command(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def find_python(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script as on a machine whose only commands are those of one folder."""
    return subprocess.run(
        ["/bin/sh", str(ROOT / "tools" / "find-python.sh")],
        env={"PATH": str(folder), "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
