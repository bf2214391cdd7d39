"""Units of tables of points: said by headings, given, or metres."""

import json

import numpy as np
import pandas as pd
import pytest

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.points import read_points, read_sites
from mimtpy_cloud.io.units import Unit, is_unit, parse_unit


@pytest.fixture
def write(tmp_path):
    def write(heading, row="30,40,12,2", name="p.csv"):
        (tmp_path / name).write_text(f"{heading}\n{row}\n")
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("m", Unit(1.0, rate=False)),
        ("Metres", Unit(1.0, rate=False)),
        ("centimeter", Unit(0.01, rate=False)),
        *(
            (text, Unit(1e-3, rate=True))
            for text in ("mm/yr", "mm / y", "mm per year", "mm_yr", "mmyr", "mm a-1", "mm/a", "mm.yr^-1", "mm_per_yr")
        ),
    ],
)
def test_a_unit_is_read_as_people_write_it(text, unit):
    assert is_unit(text)
    assert parse_unit(text, "velocity") == unit


@pytest.mark.parametrize("text", ["ft", "km", "ma", "mm/day", "mm yr yr", "", "std", "rad"])
def test_another_unit_is_refused_by_name(text):
    assert not is_unit(text)
    with pytest.raises(SourceFormatError, match=f"velocity: expected a unit of m, cm, mm, or these /yr, got '{text}'"):
        parse_unit(text, "velocity")


@pytest.mark.parametrize(
    ("heading", "name", "value", "std"),
    [
        ("velocity [mm/yr],sigma (mm/yr)", "velocity", 0.012, 0.002),
        ("velocity [mm/yr],sigma", "velocity", 0.012, 0.002),  # with the unit of the value
        ("vel_mm_yr,std [cm/yr]", "velocity", 0.012, 0.02),
        ("disp_cm,std_mm", "displacement", 0.12, 0.002),
        ("los(mm),std", "displacement", 0.012, 0.002),
        ("los [mm/yr],std", "velocity", 0.012, 0.002),  # its unit tells what it is
        ("LOS_displacement {cm},std", "displacement", 0.12, 0.02),
        ("displacement,std", "displacement", 12.0, 2.0),
        ("displacement,std [mm]", "displacement", 12.0, 0.002),
    ],
)
def test_headings_say_units(write, heading, name, value, std):
    ds = read_points(write(f"lon [deg],lat (degrees_north),{heading}"))
    assert list(ds.data_vars) == [name, "std"]
    assert ds[name].item() == pytest.approx(value, rel=1e-12)
    assert ds["std"].item() == pytest.approx(std, rel=1e-12)
    assert ds["std"].attrs["units"] == ds[name].attrs["units"] == ("m/yr" if name == "velocity" else "m")


def test_blanks_between_columns_and_within_headings_are_told_apart(write):
    ds = read_points(write("lon lat velocity [mm/yr] sigma [ mm / yr ]", "30 40 12 2", "p.txt"))
    assert (ds["velocity"].item(), ds["std"].item()) == pytest.approx((0.012, 0.002))


def test_headings_of_parquet_say_units_too(tmp_path):
    pd.DataFrame({"lon": [30.0], "lat": [40.0], "velocity_mm_yr": [12.0]}).to_parquet(tmp_path / "p.parquet")
    assert read_points(tmp_path / "p.parquet")["velocity"].item() == pytest.approx(0.012)


def test_a_weight_is_one_over_the_variance(write):
    for heading, weight in (
        ("velocity [mm/yr],weight", 2e6),
        ("velocity,weight", 2.0),
        ("velocity,weight [1/(mm/yr)^2]", 2e6),
        ("velocity,weight [(cm/yr)^-2]", 2e4),
    ):
        ds = read_points(write(f"lon,lat,{heading}"))
        assert ds["weight"].item() == pytest.approx(weight), heading
        assert ds["weight"].attrs["units"] == "(m/yr)^-2"
    assert read_points(write("lon,lat,los_mm,weight [1/cm2]"))["weight"].item() == pytest.approx(2e4)


def test_std_and_weight_of_the_same_noise_agree(write):
    std = read_points(write("lon,lat,disp_mm,std", "30,40,12,2"))["std"].item()
    assert read_points(write("lon,lat,disp_mm,weight", "30,40,12,0.25"))["weight"].item() == pytest.approx(std**-2)


def test_given_units_serve_where_the_file_does_not_say(write, tmp_path):
    assert read_points(write("lon,lat,displacement,std"), units="cm")["std"].item() == pytest.approx(0.02)
    assert read_points(write("lon,lat,los,std"), units="mm/yr")["velocity"].item() == pytest.approx(0.012)
    assert read_points(write("lon,lat,los [mm],std"), units="mm")["displacement"].item() == pytest.approx(0.012)
    (tmp_path / "p.json").write_text(json.dumps({"lalo_value": [[40, 30, 12]]}))
    ds = read_points(tmp_path / "p.json", units="mm")
    assert (ds["displacement"].item(), ds["displacement"].attrs["units"]) == (pytest.approx(0.012), "m")
    with pytest.raises(SourceFormatError, match="holds a displacement; expected its unit as m, cm or mm, got 'mm/yr'"):
        read_points(tmp_path / "p.json", units="mm/yr")


@pytest.mark.parametrize(
    ("heading", "units", "message"),
    [
        ("velocity [ft/yr],std", None, r"p.csv: velocity: expected a unit of m, cm, mm, or these /yr, got 'ft/yr'"),
        ("velocity,std", "inch", "velocity: expected a unit of m, cm, mm, or these /yr, got 'inch'"),
        ("velocity [mm],std", None, "velocity needs a unit of m/yr, cm/yr or mm/yr, got 'mm'"),
        ("displacement_mm_yr,std", None, "displacement needs a unit of m, cm or mm, got 'mm_yr'"),
        ("velocity,std", "mm", "velocity needs a unit of m/yr, cm/yr or mm/yr, got 'mm'"),
        ("velocity [mm/yr],std [mm]", None, "std of a velocity needs a unit of m/yr, cm/yr or mm/yr, got 'mm'"),
        ("velocity [mm/yr],std", "cm/yr", r"velocity \[mm/yr\] says its unit, which is not cm/yr; leave the option"),
        ("velocity,weight [1]", None, r"expected weight in one over the square of a unit, as 1/mm\^2, got '1'"),
        ("velocity,weight [1/mm^2]", None, "weight of a velocity needs a unit of m/yr, cm/yr or mm/yr, got 'mm'"),
        ("weight,std", None, "expected std or weight, which is 1/std.2, got both; drop one"),
    ],
)
def test_a_unit_that_does_not_fit_is_refused(write, heading, units, message):
    with pytest.raises(SourceFormatError, match=message):
        read_points(write(f"lon,lat,{heading}"), units=units)


def test_places_and_looks_have_their_own_units(write):
    with pytest.raises(SourceFormatError, match="expected lon in degrees, got 'm'"):
        read_points(write("lon [m],lat,los,std"))
    with pytest.raises(SourceFormatError, match="expected incidence_angle in degrees, got 'rad'"):
        read_sites(write("station,lon,lat,inc [rad],az", "a,30,40,1,2"))
    with pytest.raises(SourceFormatError, match="expected los_up of a unit vector, without a unit, got 'mm'"):
        read_points(write("lon,lat,los,los_up [mm]"))
    sites = read_sites(write("station,lon [°E],lat [°N],inc [deg],az (deg)", "a,30,40,0,2"))
    np.testing.assert_allclose(sites["los_up"], 1.0)
