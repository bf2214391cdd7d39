"""The notebook of the hub, executed on a real Dask Gateway."""

import base64
import copy
import io
import json
import os
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from matplotlib.image import imread as read_png
from nbclient import NotebookClient

from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.cli.demo import write_tracks
from mimtpy_cloud.kernels.landscape import Landscape

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "hub_tour.ipynb"
CLUSTERS_LEFT = """
from dask_gateway import Gateway

with Gateway() as gateway:
    print(len(gateway.list_clusters()), "clusters left")
"""


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


@pytest.fixture(scope="module")
def executed(tmp_path_factory, gateway_server, notebook):
    """The notebook after its run with two workers of the gateway, on the four tracks of the demo."""
    folder = tmp_path_factory.mktemp("tour")
    ingest(write_tracks(folder / "data", resolution="veryLowRes"), folder / "root", resolution="veryLowRes")
    settings = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("DASK_", "MIMTPY_"))},
        "MIMTPY_ROOT": str(folder / "root"),
        "DASK_GATEWAY__ADDRESS": gateway_server.address,
        "DASK_GATEWAY__PROXY_ADDRESS": gateway_server.proxy_address,
        "DASK_GATEWAY__AUTH__TYPE": "basic",
        "DASK_GATEWAY__AUTH__KWARGS": json.dumps({"username": "tourist", "password": gateway_server.password}),
    }
    tour = copy.deepcopy(notebook)
    tour.cells.append(nbformat.v4.new_code_cell(CLUSTERS_LEFT))  # before the kernel ends, which would close them, too
    client = NotebookClient(tour, timeout=180, resources={"metadata": {"path": str(folder)}})
    client.execute(env=settings)
    return tour


def test_notebook_runs_on_the_gateway_and_finds_all_tracks(executed):
    text = printed(executed)
    assert text.startswith("gateway, 2 workers")
    assert re.findall(r"^([AD]\d{3}) ", text, flags=re.MULTILINE) == ["A064", "A137", "D071", "D144"]


def test_notebook_draws_two_mosaics_the_components_and_a_series(executed):
    images = [read_png(io.BytesIO(base64.b64decode(image))) for image in figures(executed)]
    assert len(images) == 4
    assert all(len(set(map(tuple, image[::4, ::4].reshape(-1, image.shape[-1])))) > 50 for image in images)


def test_notebook_finds_the_volcano_of_the_demo_and_its_uplift(executed):
    found = re.search(r"([\d.]+) E, ([\d.]+) N rises by ([\d.]+) mm/yr", printed(executed))
    lon, lat, rate = map(float, found.groups())
    land = Landscape()
    east, north = land.metres(lon, lat)
    assert np.hypot(east - land.volcano[0], north - land.volcano[1]) < 3000
    up = 1000 * land.velocity(lon, lat)[2]
    assert rate == pytest.approx(up, abs=5)


def test_notebook_has_closed_its_cluster_at_its_end(executed):
    assert printed(executed).endswith("\n0 clusters left\n")
