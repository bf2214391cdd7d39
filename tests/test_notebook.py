"""The notebook of the hub, executed on a real Dask Gateway."""

import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "hub_tour.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(notebook):
    return "".join(out.text for cell in code_cells(notebook) for out in cell.outputs if out.output_type == "stream")


def figures(notebook):
    outputs = [out for cell in code_cells(notebook) for out in cell.outputs if "data" in out]
    return [out.data["image/png"] for out in outputs if "image/png" in out.data]


def test_notebook_is_valid_and_its_outputs_are_stripped(notebook):
    nbformat.validate(notebook)
    assert len(code_cells(notebook)) > 8
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code_cells(notebook))


def test_notebook_names_every_setting_that_it_reads(notebook):
    code = "".join(cell.source for cell in code_cells(notebook))
    names = set(re.findall(r"MIMTPY_\w+", code))
    assert names
    prose = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert names <= set(re.findall(r"`(MIMTPY_\w+)`", prose))
