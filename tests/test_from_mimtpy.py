"""The page that says where everything of MimtPy is found: every command, function and test it names is there."""

import re
from importlib import import_module
from pathlib import Path

import click
import pytest

from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.template import parse_template
from mimtpy_cloud.errors import TemplateError

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "from_mimtpy.md"
#: Rows of the page that say, and say why, that something is not here.
ABSENT = "not here:"


def tables() -> dict[str, list[dict[str, str]]]:
    """Rows of each table by the heading of its section, as dictionaries by column."""
    found: dict[str, list[dict[str, str]]] = {}
    section, columns = "", []
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section, columns = line[3:], []
        elif line.startswith("|") and not line.startswith("| ---"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not columns:
                columns = cells
                continue
            assert len(cells) == len(columns), line
            found.setdefault(section, []).append(dict(zip(columns, cells, strict=True)))
    return found


TABLES = tables()
ROWS = [row for rows in TABLES.values() for row in rows]


def in_code(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", text)


def cells(column: str) -> list[str]:
    """Every code of a column, once."""
    return list(dict.fromkeys(code for row in ROWS for code in in_code(row.get(column, ""))))


@pytest.mark.parametrize("command", cells("command"))
def test_every_command_exists_with_its_options(command):
    first, *words = command.split()
    assert first == "mimtpy"
    found, options = cli, []
    for word in words:
        if isinstance(found, click.Group) and not word.startswith("-") and not options:
            assert word in found.commands, f"mimtpy has no {word}"
            found = found.commands[word]
        elif word.startswith("-"):
            options.append(word)
    assert not isinstance(found, click.Group) or len(words) > 1, f"{command} names a group; name its command"
    known = {option for param in found.params for option in param.opts}
    assert set(options) <= known, f"{command}: {set(options) - known} are not among {sorted(known)}"


@pytest.mark.parametrize("name", cells("function"))
def test_every_function_imports(name):
    module, _, function = name.rpartition(".")
    assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize("name", cells("test"))
def test_every_test_file_is_there_and_tests(name):
    assert re.search(r"^def test_", (HERE / name).read_text(), re.MULTILINE)


def test_every_row_has_a_command_a_function_and_a_test_or_says_why_not():
    for section, rows in TABLES.items():
        for row in rows:
            wanted = [column for column in ("command", "function", "test") if column in row]
            assert wanted, section
            missing = [column for column in wanted if not in_code(row[column])]
            assert not missing or any(ABSENT in cell for cell in row.values()), row


def test_pages_that_rows_link_to_are_there():
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE.read_text()):
        assert (PAGE.parent / link).is_file(), link


@pytest.mark.parametrize("row", TABLES["Keys of the template"], ids=lambda row: row["key"].strip("`"))
def test_every_key_is_one_of_ours(row):
    (key,) = in_code(row["key"])
    with pytest.raises(TemplateError) as caught:
        parse_template(f"{key} = @\nnonsense")  # the line of nonsense makes a template fail in any case
    assert "is not a key" not in str(caught.value)


def test_a_key_that_is_none_would_be_found():
    with pytest.raises(TemplateError, match="is not a key"):
        parse_template("mimtpy.velcumu.nothing = @")


def test_every_key_of_the_slides_has_a_row(shared):
    slides = (shared / "spec" / "mimtpy_slides_2020.txt").read_text()
    keys = {f"`{key.rstrip('.')}`" for key in re.findall(r"^mimtpy\.[\w.]+$", slides, re.MULTILINE)}
    assert len(keys) > 25
    assert keys <= {row["key"] for row in TABLES["Keys of the template"]}


def test_every_script_of_the_slides_has_a_row(shared):
    slides = (shared / "spec" / "mimtpy_slides_2020.txt").read_text()
    scripts = set(re.findall(r"\b\w+\.(?:py|template)\b", slides))
    assert len(scripts) > 15
    rows = " ".join(row["MimtPy"] for section in ("Scripts", "Beyond the slides") for row in TABLES[section])
    assert {script for script in scripts if script not in rows} == set()
