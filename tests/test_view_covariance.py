"""The figure of a covariance, and its numbers as a file."""

import json

import numpy as np
import pytest
import xarray as xr

from mimtpy_cloud.errors import SchemaError, SourceFormatError, StorageError
from mimtpy_cloud.io.covariance import read_covariance
from mimtpy_cloud.kernels.covariance import CovarianceModel
from mimtpy_cloud.kernels.semivariogram import model_semivariance
from mimtpy_cloud.view.covariance import plot_covariance
from mimtpy_cloud.view.map import save_figure

NUMBERS = {"kind": "exponential", "sill": 4e-6, "range_km": 12, "nugget": 1e-6, "units": "(m/yr)^2"}


def estimate(units="(m/yr)^2", **numbers):
    model = {"sill": 4e-6, "range_km": 12.0, "nugget": 1e-6} | numbers
    h = np.append(np.geomspace(1, 60, 29), np.nan)
    gamma = model_semivariance(h, **model)
    data = {"distance": ("lag", h), "semivariance": ("lag", gamma, {"units": units})}
    data |= {"covariance": ("lag", 5e-6 - gamma), "pairs": ("lag", np.append(np.full(29, 100), 0)), "variance": 5e-6}
    return xr.Dataset({**data, **model}, attrs={"model": "exponential"})


def texts(figure):
    return " ".join(text.get_text() for ax in figure.axes for text in ax.get_legend().get_texts())


def test_sill_range_and_nugget_are_marked_in_millimetres(tmp_path):
    figure = plot_covariance(estimate(), title="A087")
    left, right = figure.axes
    assert left.get_ylabel() == "semivariance [(mm/yr)$^2$]"
    assert (left.get_xlabel(), right.get_xlabel()) == ("distance [km]", "distance [km]")
    assert "nugget 1 (mm/yr)" in texts(figure)
    assert "sill 4" in texts(figure)
    assert texts(figure).count("range 12 km") == 2
    pairs, model = left.lines[0], left.lines[1]
    assert pairs.get_xdata().size == 29
    np.testing.assert_allclose(np.interp(pairs.get_xdata(), *model.get_data()), pairs.get_ydata(), rtol=1e-3)
    falling = right.lines[1].get_ydata()
    assert falling[0] == pytest.approx(4, rel=1e-3)
    assert (np.diff(falling) < 0).all()
    save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_a_range_beyond_the_pairs_and_another_unit_are_said():
    figure = plot_covariance(estimate("(rad)^2", range_km=150.0))
    assert "range 150 km, beyond the pairs" in texts(figure)
    assert figure.axes[0].get_ylabel() == "semivariance [(rad)^2]"


def test_what_is_no_estimate_is_refused():
    with pytest.raises(SchemaError, match="distance"):
        plot_covariance(xr.Dataset())
    with pytest.raises(SchemaError, match="too few pixels"):
        plot_covariance(estimate(sill=np.nan))


def test_a_file_gives_the_model_back(tmp_path):
    (tmp_path / "noise.json").write_text(json.dumps(NUMBERS | {"more": 1}))
    assert read_covariance(tmp_path / "noise.json") == CovarianceModel("exponential", 4e-6, 12.0, 1e-6)
    assert read_covariance(tmp_path / "noise.json", "m/yr").sill == 4e-6
    with pytest.raises(SchemaError, match=r"variances in \(m/yr\)\^2, of values in another unit than m;"):
        read_covariance(tmp_path / "noise.json", "m")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ("[1, 2]", "expected an object with kind, sill, range_km, nugget and units"),
        (json.dumps({"kind": "exponential", "sill": 1}), "is no covariance"),
        (json.dumps(NUMBERS | {"sill": "much"}), "could not convert"),
        (json.dumps(NUMBERS | {"sill": None}), "noise.json: "),
        (json.dumps(NUMBERS | {"range_km": -1}), "range_km .* got -1.0"),
    ],
)
def test_a_file_that_is_no_covariance_is_refused(tmp_path, content, message):
    (tmp_path / "noise.json").write_text(content)
    with pytest.raises(SourceFormatError, match=message):
        read_covariance(tmp_path / "noise.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"no such file: .*none\.json"):
        read_covariance(tmp_path / "none.json")
    with pytest.raises(StorageError, match="cannot read"):
        read_covariance(tmp_path)
