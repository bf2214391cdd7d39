"""Units, limits and colours that a quantity gets on a map."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.view.colours import (
    CYCLIC,
    DIVERGING,
    SEQUENTIAL,
    Shading,
    metres,
    nice_below,
    shading,
    symlog_norm,
)


def shade(values: list[float], name: str = "velocity", units: str = "m/yr", **options: Any) -> Shading:
    return shading(np.array(values), name=name, long_name=options.pop("long_name", ""), units=units, **options)


@pytest.mark.parametrize(
    ("name", "units", "values", "unit", "factor"),
    [
        ("velocity", "m/yr", [-0.02, 0.01], "mm/yr", 1e3),
        ("velocity", "m/year", [-0.02, 0.01], "mm/yr", 1e3),
        ("velocity", "mm/yr", [-20.0, 10.0], "mm/yr", 1.0),
        ("velocity_std", "m/yr", [0.001, 0.002], "mm/yr", 1e3),
        ("displacement", "m", [-0.2, 0.1], "cm", 1e2),
        ("displacement", "meters", [-0.2, 0.1], "cm", 1e2),
        ("displacement", "m", [-0.004, 0.001], "mm", 1e3),
        ("height", "m", [10.0, 2000.0], "m", 1.0),
        ("temporal_coherence", "1", [0.7, 1.0], "1", 1.0),
        ("phase", "rad", [-1.0, 2.0], "rad", 1.0),
    ],
)
def test_auto_unit_fits_the_quantity(name: str, units: str, values: list[float], unit: str, factor: float) -> None:
    found = shade(values, name, units)
    assert (found.unit, found.factor) == (unit, factor)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30))
def test_limits_of_a_signed_quantity_are_symmetric_and_hold_the_percentiles(values: list[float]) -> None:
    found = shade(values)
    assert found.low == -found.high < 0
    assert found.cmap == DIVERGING
    assert found.high >= 1e3 * np.abs(np.percentile(values, [2, 98])).max() * (1 - 1e-9)


def test_outliers_and_no_data_do_not_stretch_the_limits() -> None:
    values = [*np.linspace(-0.01, 0.01, 999), 5.0, np.nan, np.inf]
    assert shade(list(map(float, values))).high == pytest.approx(9.8, abs=0.15)


def test_unsigned_quantities_get_a_sequential_map_within_their_range() -> None:
    for name in ("velocity_std", "temporal_coherence", "height", "count"):
        found = shade([0.2, 0.9], name, "1", percentile=(0, 100))
        assert (found.low, found.high, found.cmap) == (0.2, 0.9, SEQUENTIAL)
    assert shade([1.0, 2.0], "unknown", "1").cmap == SEQUENTIAL
    assert shade([-1.0, 2.0], "unknown", "1").cmap == DIVERGING
    assert shade([1.0], "v", "m", long_name="standard deviation of up").cmap == SEQUENTIAL


@pytest.mark.parametrize("name", ["longitude", "latitude", "los_azimuth_angle", "slant_range", "height"])
def test_places_and_angles_have_no_middle_at_zero(name: str) -> None:
    found = shade([-120.0, -119.0, -118.0], name, "degree", percentile=(0, 100))
    assert (found.low, found.high, found.cmap) == (-120.0, -118.0, SEQUENTIAL)


def test_empty_and_constant_fields_have_usable_limits() -> None:
    for values in ([np.nan], [0.0, 0.0]):
        found = shade(values)
        assert (found.low, found.high) == (-1.0, 1.0)
    found = shade([0.5, 0.5], "count", "1")
    assert found.low < found.high


def test_unit_and_limits_of_the_user_win() -> None:
    found = shade([-0.02, 0.01], unit="cm/yr", limits=3)
    assert (found.factor, found.low, found.high) == (100.0, -3, 3)
    assert shade([0.0], limits=(-1, 4)).high == 4.0
    for limits in (np.int64(5), np.float32(5), (-5, np.float32(5)), np.array([-5, 5])):
        found = shade([0.0], limits=limits)
        assert (found.low, found.high) == (-5.0, 5.0)


def test_limits_are_in_centimetres_for_displacements_however_small() -> None:
    assert shade([-0.004, 0.001], "displacement", "m").unit == "mm"
    assert shade([-0.004, 0.001], "displacement", "m", limits=5).unit == "cm"
    assert shade([-0.004, 0.001], limits=5).unit == "mm/yr"
    assert shade([10.0, 20.0], "height", "m", limits=(0, 100)).unit == "m"


def test_mostly_equal_values_do_not_hide_the_others() -> None:
    values = [0.0] * 990 + [0.05] * 10
    found = shade(values)
    assert (found.low, found.high) == (-50.0, 50.0)
    found = shade(values, "displacement", "m")
    assert (found.unit, found.high) == ("cm", 5.0)
    found = shade([9.0] * 990 + [2.0] * 10, "count", "1")
    assert (found.low, found.high) == (2.0, 9.0)


def test_wrong_units_limits_and_percentiles_are_refused() -> None:
    with pytest.raises(SchemaError, match="can be shown in mm/yr, cm/yr, m/yr, km/yr, got unit 'cm'"):
        shade([0.1], unit="cm")
    with pytest.raises(SchemaError, match="values in 'rad' can be shown in 'rad'"):
        shade([0.1], "phase", "rad", unit="cm")
    for limits in ((2.0, 1.0), -1.0, 0, np.nan, np.inf, (1, 2, 3), (None, 1), "5 mm", np.float32(-1)):
        with pytest.raises(SchemaError, match="low < high"):
            shade([0.1], limits=limits)
    with pytest.raises(SchemaError, match=r"expected a length, in one of .* got values in 'rad'"):
        metres("rad")
    with pytest.raises(SchemaError, match="percentile"):
        shade([0.1], percentile=(98, 2))


@given(st.floats(1e-6, 1e9))
def test_nice_number_is_below_by_less_than_a_factor_of_two_and_a_half(value: float) -> None:
    nice = nice_below(value)
    assert nice <= value * (1 + 1e-9) < 2.5 * nice * (1 + 1e-9)
    assert f"{nice:.0e}"[0] in "125"


def test_symmetric_logarithm_treats_both_signs_alike() -> None:
    norm = symlog_norm(Shading(1.0, "m", -70.0, 70.0, CYCLIC))
    values = np.array([0.5, 3.0, 20.0, 70.0])
    np.testing.assert_allclose(norm(values) - 0.5, 0.5 - norm(-values))
    assert norm(0.0) == 0.5
    assert norm.linthresh == 2.0
