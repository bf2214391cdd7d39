"""Directions of the line of sight in files: each convention is recognised, and none is guessed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.azimuth import CONVENTIONS, AzimuthConvention, recognise_azimuth


def written(name: str, heading: float, *, radians: bool = False) -> np.ndarray:
    """Directions of a scene around a right-looking satellite, as a file of the convention has them."""
    azimuth = 90 - heading + np.linspace(-3, 3, 7)
    degrees = {"mintpy": azimuth, "east": azimuth + 90, "clockwise": -azimuth, "heading": 90 - azimuth}[name]
    return np.deg2rad(degrees) if radians else degrees


@pytest.mark.parametrize("radians", [False, True])
@pytest.mark.parametrize("name", CONVENTIONS)
@pytest.mark.parametrize(
    ("heading", "direction"), [(-12.0, "ascending"), (-168.0, "descending"), (192.0, "DESCENDING")]
)
def test_every_convention_is_recognised(name: str, heading: float, direction: str, radians: bool) -> None:
    values = written(name, heading, radians=radians)
    for known in ({"heading": heading}, {"orbit_direction": direction}):
        found = recognise_azimuth(np.append(values, np.nan), radians=radians, **known)
        assert (found.name, found.radians) == (name, radians)
        away = found.azimuth(values) - written("mintpy", heading)
        np.testing.assert_allclose((away + 180) % 360 - 180, 0, atol=1e-9)


@given(heading=st.floats(-30, 0), turns=st.integers(-1, 1))
def test_full_turns_do_not_matter(heading: float, turns: int) -> None:
    values = written("mintpy", heading) + 360 * turns
    assert recognise_azimuth(values, heading=heading).name == "mintpy"


def test_a_left_looking_satellite_is_on_the_other_side() -> None:
    found = recognise_azimuth([-78.0, -76.0], heading=-12.0, look_side="left")
    assert found.name == "mintpy"
    assert recognise_azimuth([-12.0], heading=-12.0, look_side="left").azimuth(-12.0) == pytest.approx(-78)


def test_the_unit_is_recognised_where_the_values_tell() -> None:
    assert not recognise_azimuth([101.0, 103.0], heading=-12).radians
    assert recognise_azimuth([4.5], heading=-168).radians
    with pytest.raises(SourceFormatError, match=r"in degrees; .* in radians"):
        recognise_azimuth([-0.21], heading=-12)  # a heading of -0.21 or of -12 degrees


def test_what_is_ambiguous_is_refused_with_a_list() -> None:
    with pytest.raises(SourceFormatError, match=r"101 to 104 with no heading and no pass") as caught:
        recognise_azimuth([101.0, 104.0])
    assert "anticlockwise from north (MintPy, ISCE), in degrees (ascending)" in str(caught.value)
    assert "clockwise from north, in degrees (descending)" in str(caught.value)
    assert "give the heading or the pass" in str(caught.value)


def test_what_fits_nothing_is_refused() -> None:
    with pytest.raises(SourceFormatError, match="expected one convention that fits, got none"):
        recognise_azimuth([50.0], heading=-12.0)
    with pytest.raises(SourceFormatError, match="expected one convention that fits, got none"):
        recognise_azimuth([-12.0, 102.0], heading=-12.0)
    with pytest.raises(SourceFormatError, match="are all NaN"):
        recognise_azimuth([np.nan], heading=-12.0)


def test_a_convention_says_what_it_is() -> None:
    assert str(AzimuthConvention("east", radians=True)).endswith("from east (ARIA, phi of Kite), in radians")


@pytest.mark.parametrize(("name", "direction"), [("ascxn", "ascending"), ("dscxn", "descending")])
def test_headings_of_real_scenes_of_beat_are_recognised(name: str, direction: str, shared: Path) -> None:
    with np.load(shared / f"data/real/laquila_kite_beat/Laquila_{name}.npz") as found:
        assert recognise_azimuth(found["heading"], orbit_direction=direction).name == "heading"
