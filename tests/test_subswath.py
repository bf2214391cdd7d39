"""Ramps on a plane, and the swaths between lines."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import RampError
from mimtpy_cloud.kernels.subswath import evaluate_ramp, swath_number

metres = st.floats(-3e5, 3e5)


def test_the_oracle_of_swath_ramps(oracles):
    known = oracles["O11"]
    x, y = np.array(known["X_m"]), np.array(known["Y_m"])
    lines = [np.ravel(known[f"boundary{k}"]) for k in (1, 2)]
    number = swath_number(x, y, lines)
    assert number.tolist() == known["swath"]
    ramps = [evaluate_ramp(x, y, dict(zip(("ax", "ay", "c"), known["coef"][k], strict=True))) for k in "123"]
    np.testing.assert_allclose(np.choose(number - 1, ramps), known["ramp_m"], rtol=1e-9)
    # each swath has its own offset, and not the sum of all, as the peer adds
    assert not np.allclose(np.choose(number - 1, ramps), known["peer_value_m"], rtol=1e-2)


def test_a_quadratic_ramp_is_its_polynomial():
    value = evaluate_ramp(np.array(3.0), np.array(5.0), {"c": 1, "ax": 2, "ay": 3, "axx": 4, "axy": 5, "ayy": 6})
    assert value == 1 + 2 * 3 + 3 * 5 + 4 * 9 + 5 * 15 + 6 * 25


@given(x=metres, y=metres, ends=st.lists(st.tuples(metres, metres), min_size=1, max_size=3))
def test_every_place_lies_in_one_swath_whatever_the_order_of_lines_and_ends(x, y, ends):
    lines = [(a, -4e5, b, 4e5) for a, b in ends]
    turned = [(b, 4e5, a, -4e5) for a, b in reversed(ends)]
    number = swath_number(np.array(x), np.array(y), lines)
    assert number == swath_number(np.array(x), np.array(y), turned)
    west = sum(a + (b - a) * (y + 4e5) / 8e5 < x - 1e-6 for a, b in ends)
    near = sum(abs(a + (b - a) * (y + 4e5) / 8e5 - x) <= 1e-6 for a, b in ends)
    assert west <= number - 1 <= west + near


def test_a_place_on_the_line_lies_east_of_it():
    line = (0.0, -1.0, 2.0, 1.0)
    assert swath_number(np.array([0.0, 1.0, 2.0]), np.array([-1.0, 0.0, 1.0]), [line]).tolist() == [2, 2, 2]
    assert swath_number(np.array(1.0 - 1e-9), np.array(0.0), [line]) == 1


@pytest.mark.parametrize(
    ("coefficients", "message"),
    [
        ({"bx": 1.0}, "coefficients c, ax, ay, axx, axy, ayy, got bx=1.0"),
        ({"c": float("nan")}, "finite coefficients .* got c=nan"),
    ],
)
def test_ramps_that_are_none_are_refused(coefficients, message):
    with pytest.raises(RampError, match=message):
        evaluate_ramp(np.zeros(1), np.zeros(1), coefficients)


@pytest.mark.parametrize("line", [(0.0, 1.0, 5.0, 1.0), (0.0, float("nan"), 1.0, 2.0)])
def test_lines_without_a_west_are_refused(line):
    with pytest.raises(RampError, match=r"from a southern to a northern point.*different latitude"):
        swath_number(np.zeros(1), np.zeros(1), [line])
