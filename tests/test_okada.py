"""The rectangular dislocation against the paper's numbers, triangles of another program, and physics."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import SchemaError
from mimtpy_cloud.kernels.dislocation import interseismic_velocity
from mimtpy_cloud.kernels.okada import okada

FAULT = {"depth": 2e3, "length": 20e3, "width": 12e3, "strike": 37.0, "dip": 55.0, "rake": 130.0, "slip": 1.5}
SLIP = {"strike": {"rake": 0.0, "slip": 1.0}, "dip": {"rake": 90.0, "slip": 1.0}, "opening": {"rake": 0.0, "slip": 0.0}}


def points(n=400, half=60e3, seed=0):
    return np.random.default_rng(seed).uniform(-half, half, (2, n))


def twin(x, y, fault, vertical=1e-8, real=np.longdouble):
    """The paper's equations as they stand, corner by corner, in higher precision."""
    values = {"opening": 0.0, "nu": 0.25} | fault
    dip, strike, rake = (np.radians(real(values[name])) for name in ("dip", "strike", "rake"))
    cos, sin = np.cos(dip), np.sin(dip)
    if abs(cos) < vertical:
        cos, sin = real(0), real(1)
    length, width, depth = real(values["length"]), real(values["width"]), real(values["depth"]) + values["width"] * sin
    x, y = np.asarray(x, real), np.asarray(y, real)
    along = x * np.sin(strike) + y * np.cos(strike) + length / 2
    left = y * np.sin(strike) - x * np.cos(strike) + width * cos
    p, q = left * cos + depth * sin, left * sin - depth * cos
    slips = values["slip"] * np.cos(rake), values["slip"] * np.sin(rake), real(values["opening"])
    corners = ((along, p, 1), (along, p - width, -1), (along - length, p, -1), (along - length, p - width, 1))
    total = sum(sign * corner(xi, eta, q, (cos, sin), slips, 1 - 2 * values["nu"]) for xi, eta, sign in corners)
    ux, uy, uz = total / (2 * np.pi)
    return np.stack([ux * np.sin(strike) - uy * np.cos(strike), ux * np.cos(strike) + uy * np.sin(strike), uz])


def corner(xi, eta, q, plane, slips, k):
    cos, sin = plane
    yy, dd = eta * cos + q * sin, eta * sin - q * cos
    r, root = np.sqrt(xi**2 + eta**2 + q**2), np.sqrt(xi**2 + q**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = np.where(q == 0, 0, np.arctan(xi * eta / (q * r)))
        by_xi = np.where(r + xi == 0, 0, 1 / (r * (r + xi)))
        if cos == 0:
            i1, i5 = -k / 2 * xi * q / (r + dd) ** 2, -k * xi * sin / (r + dd)
            i3, i4 = k / 2 * (eta / (r + dd) + yy * q / (r + dd) ** 2 - np.log(r + eta)), -k * q / (r + dd)
        else:
            turn = np.arctan((eta * (root + q * cos) + root * (r + root) * sin) / (xi * (r + root) * cos))
            i5, i4 = k * 2 / cos * np.where(xi == 0, 0, turn), k / cos * (np.log(r + dd) - sin * np.log(r + eta))
            i3 = k * (yy / (cos * (r + dd)) - np.log(r + eta)) + sin / cos * i4
            i1 = -k / cos * xi / (r + dd) - sin / cos * i5
        i2 = -k * np.log(r + eta) - i3
        by_eta = 1 / (r * (r + eta))
        strike = [
            xi * q * by_eta + angle + i1 * sin,
            yy * q * by_eta + q * cos / (r + eta) + i2 * sin,
            dd * q * by_eta + q * sin / (r + eta) + i4 * sin,
        ]
        dips = [
            q / r - i3 * sin * cos,
            yy * q * by_xi + cos * angle - i1 * sin * cos,
            dd * q * by_xi + sin * angle - i5 * sin * cos,
        ]
        opens = [
            q**2 * by_eta - i3 * sin**2,
            -dd * q * by_xi - sin * (xi * q * by_eta - angle) - i1 * sin**2,
            yy * q * by_xi + cos * (xi * q * by_eta - angle) - i5 * sin**2,
        ]
    return -slips[0] * np.stack(strike) - slips[1] * np.stack(dips) + slips[2] * np.stack(opens)


# Cases 2 to 4 of table 2 of the paper. It gives the lower edge; case 4 dips -90 degrees, so its fault goes down from a
# depth of 4 to 6, and left-lateral slip on it is right-lateral slip on the fault that dips 90.
CHECK_LIST = [
    ("strike", 2, 3, 4, 70, 1, (-8.689e-3, -4.298e-3, -2.747e-3)),
    ("dip", 2, 3, 4, 70, 1, (-4.682e-3, -3.527e-2, -3.564e-2)),
    ("opening", 2, 3, 4, 70, 1, (-2.660e-4, 1.056e-2, 3.214e-3)),
    ("strike", 0, 0, 4, 90, 1, (0.0, 5.253e-3, 0.0)),
    ("dip", 0, 0, 4, 90, 1, (0.0, 0.0, 0.0)),
    ("opening", 0, 0, 4, 90, 1, (1.223e-2, 0.0, -1.606e-2)),
    ("strike", 0, 0, 6, 90, -1, (0.0, -1.303e-3, 0.0)),
    ("dip", 0, 0, 6, 90, 1, (0.0, 0.0, 0.0)),
    ("opening", 0, 0, 6, 90, 1, (3.507e-3, 0.0, -7.740e-3)),
]


@pytest.mark.parametrize(("kind", "x", "y", "lower", "dip", "sense", "wanted"), CHECK_LIST)
def test_the_check_list_of_the_paper(kind, x, y, lower, dip, sense, wanted):
    length, width = 3.0, 2.0
    moved = SLIP[kind] | {"opening": float(kind == "opening")}
    cos, sin = math.cos(math.radians(dip)), math.sin(math.radians(dip))
    shape = {"depth": lower - width * sin, "length": length, "width": width, "strike": 90.0, "dip": dip}
    got = okada(np.array(x - length / 2), np.array(y - width * cos), **shape, **moved)
    np.testing.assert_allclose(np.array(got) * sense, wanted, rtol=5e-4, atol=1e-15)


faults = st.fixed_dictionaries(
    {
        "depth": st.floats(10.0, 3e4),
        "length": st.floats(1e2, 2e5),
        "width": st.floats(1e2, 5e4),
        "strike": st.floats(-360.0, 360.0),
        "dip": st.one_of(st.floats(0.0, 180.0), st.floats(88.0, 92.0), st.sampled_from([0.0, 90.0, 180.0])),
        "rake": st.floats(-180.0, 180.0),
        "slip": st.floats(-5.0, 5.0),
        "opening": st.floats(-1.0, 1.0),
        "nu": st.floats(0.0, 0.5),
    }
)


@given(fault=faults, seed=st.integers(0, 100))
def test_kernel_equals_the_plain_twin(fault, seed):
    # Nearer to 90 degrees the twin, which divides by the square of the cosine, is the less precise of the two.
    fault |= {"dip": 90.0} if abs(fault["dip"] - 90.0) < 0.01 else {}
    x, y = points(50, seed=seed)
    np.testing.assert_allclose(okada(x, y, **fault), twin(x, y, fault), rtol=1e-8, atol=1e-9)


def test_far_from_a_flat_and_shallow_fault_motion_keeps_its_digits():
    sill = {"depth": 10.0, "length": 1e3, "width": 1e3, "strike": 20.0, "dip": 0.0, "rake": 40.0, "slip": 1.0}
    x, y = points()
    far = np.hypot(x, y) > 20e3
    wanted = twin(x, y, sill)[:, far]
    np.testing.assert_allclose(np.array(okada(x, y, **sill))[:, far], wanted, atol=1e-6 * np.abs(wanted).max())


def triangles(fault):
    """Corners of the two triangles of a fault, seen from above the hanging wall anticlockwise."""
    toward, dip = math.radians(fault["strike"]), math.radians(fault["dip"])
    along = np.array([math.sin(toward), math.cos(toward), 0.0]) * fault["length"] / 2
    down = np.array([math.cos(toward), -math.sin(toward), 0.0]) * math.cos(dip) - [0.0, 0.0, math.sin(dip)]
    top, bottom = np.array([0.0, 0.0, -fault["depth"]]), np.array([0.0, 0.0, -fault["depth"]]) + down * fault["width"]
    a, b, c, d = top - along, top + along, bottom + along, bottom - along
    return np.array([[a, d, c], [a, c, b]])


@given(fault=faults, seed=st.integers(0, 100))
def test_a_fault_moves_the_ground_as_its_two_triangles_do(fault, seed):
    halfspace = pytest.importorskip("cutde.halfspace", reason="the comparison needs cutde, of the extra test")
    fault["dip"] = min(fault["dip"], 180.0 - fault["dip"])
    fault["dip"] = 90.0 if fault["dip"] > 89.9 else max(fault["dip"], 1.0)
    fault["depth"] += 500.0
    x, y = points(50, seed=seed)
    rake = math.radians(fault["rake"])
    slips = np.array([[fault["slip"] * math.cos(rake), fault["slip"] * math.sin(rake), fault["opening"]]] * 2)
    places = np.column_stack([x, y, np.zeros_like(x)])
    wanted = halfspace.disp_free(places, triangles(fault), slips, fault["nu"])
    np.testing.assert_allclose(np.array(okada(x, y, **fault)).T, wanted, rtol=1e-6, atol=1e-7)


def test_two_halves_of_a_fault_move_the_ground_as_the_whole():
    x, y = points()
    toward, dip = math.radians(FAULT["strike"]), math.radians(FAULT["dip"])
    whole = np.array(okada(x, y, **FAULT, opening=0.4))
    east, north = (FAULT["length"] / 4 * v for v in (math.sin(toward), math.cos(toward)))
    half = FAULT | {"length": FAULT["length"] / 2, "opening": 0.4}
    parts = np.add(okada(x - east, y - north, **half), okada(x + east, y + north, **half))
    np.testing.assert_allclose(parts, whole, atol=1e-13)
    out = FAULT["width"] / 2 * math.cos(dip)
    east, north = out * math.cos(toward), -out * math.sin(toward)
    upper = FAULT | {"width": FAULT["width"] / 2, "opening": 0.4}
    lower = upper | {"depth": FAULT["depth"] + FAULT["width"] / 2 * math.sin(dip)}
    parts = np.add(okada(x, y, **upper), okada(x - east, y - north, **lower))
    np.testing.assert_allclose(parts, whole, atol=1e-13)


def test_turning_the_fault_turns_the_motion():
    x, y = points(50)
    east, north, up = okada(x, y, **FAULT | {"strike": 0.0})
    cos, sin = math.cos(math.radians(37.0)), math.sin(math.radians(37.0))
    got = okada(x * cos + y * sin, y * cos - x * sin, **FAULT)
    np.testing.assert_allclose(got, [east * cos + north * sin, north * cos - east * sin, up], atol=1e-13)


@pytest.mark.parametrize("dip", [20.0, 60.0, 89.5, 90.0])
def test_a_fault_seen_from_its_other_end_is_the_same(dip):
    """The other strike has the supplement of the dip, and the walls in each other's place."""
    x, y = points(50)
    one = okada(x, y, **FAULT | {"dip": dip, "rake": 30.0}, opening=0.2)
    other = okada(x, y, **FAULT | {"dip": 180.0 - dip, "strike": FAULT["strike"] + 180.0, "rake": -30.0}, opening=0.2)
    np.testing.assert_allclose(one, other, atol=2e-13 if dip < 89 else 1e-9)


def test_rake_180_is_right_lateral_and_rake_0_left_lateral():
    x, y = np.array([-3e3, 3e3]), np.zeros(2)
    fault = {"depth": 0.0, "length": 100e3, "width": 15e3, "strike": 0.0, "dip": 90.0, "slip": 1.0}
    west, east = okada(x, y, **fault, rake=180.0)[1]
    assert west > 0.3
    assert east < -0.3
    np.testing.assert_allclose(okada(x, y, **fault, rake=0.0)[1], [-west, -east])


def test_a_thrust_lifts_the_hanging_wall_and_a_normal_fault_lowers_it():
    fault = {"depth": 0.0, "length": 60e3, "width": 20e3, "strike": 0.0, "dip": 40.0, "slip": 1.0}
    x, y = np.array([-2e3, 2e3]), np.zeros(2)  # a fault that strikes north dips east: the hanging wall is in the east
    east, _, up = okada(x, y, **fault, rake=90.0)
    assert up[1] > 0.3
    assert up[0] < 0
    assert east[1] < -0.3
    np.testing.assert_allclose(okada(x, y, **fault, rake=-90.0)[2], -up)


def test_walls_part_by_slip_and_opening_where_the_fault_breaks_the_surface():
    fault = FAULT | {"depth": 0.0, "rake": 25.0, "opening": 0.3}
    toward, dip, rake = (math.radians(fault[name]) for name in ("strike", "dip", "rake"))
    right = np.array([math.cos(toward), -math.sin(toward), 0.0])
    along = np.array([math.sin(toward), math.cos(toward), 0.0])
    updip = -right * math.cos(dip) + [0.0, 0.0, math.sin(dip)]
    normal = right * math.sin(dip) + [0.0, 0.0, math.cos(dip)]
    jump = fault["slip"] * (math.cos(rake) * along + math.sin(rake) * updip) + fault["opening"] * normal
    near = 1e-3 * right
    hanging, foot = (np.array(okada(s * near[0], s * near[1], **fault)) for s in (1, -1))
    np.testing.assert_allclose(hanging - foot, jump, atol=1e-5)


@pytest.mark.parametrize("locking_depth", [2e3, 15e3])
def test_a_long_fault_that_slips_below_a_depth_is_a_screw_dislocation(locking_depth):
    x = np.linspace(-80e3, 80e3, 41)
    fault = {"depth": locking_depth, "length": 2e8, "width": 1e8, "strike": 0.0, "dip": 90.0, "rake": 180.0}
    east, north, up = okada(x, np.zeros_like(x), **fault, slip=0.024)
    screw = interseismic_velocity(-x, 0.024, locking_depth)  # in the west, left of the strike, it moves forward
    np.testing.assert_allclose(north, screw, atol=1e-3 * 0.012)
    np.testing.assert_allclose([east, up], 0.0, atol=1e-3 * 0.012)


def test_a_small_horizontal_crack_lifts_the_volume_that_it_opens():
    """A deep opening sill moves the ground as a point of its volume: 3 V d^3 / (2 pi R^5) upward."""
    x, depth = np.array([0.0, 5e3, 12e3]), 8e3
    up = okada(
        x, np.array(50.0), depth=depth, length=1e2, width=1e2, strike=90.0, dip=0.0, rake=0.0, slip=0.0, opening=1
    )
    wanted = 3 * 1e4 * depth**3 / (2 * np.pi * (x**2 + depth**2) ** 2.5)
    np.testing.assert_allclose(up[2], wanted, rtol=1e-3)


@pytest.mark.parametrize("dip", [89.0, 90.0])
def test_results_are_continuous_as_the_dip_nears_90(dip):
    x, y = points(100)
    here = np.array(okada(x, y, **FAULT | {"dip": dip}, opening=0.5))
    for step in (1e-9, 1e-7, 1e-6, 1e-5):
        for sign in (-1, 1):
            near = np.array(okada(x, y, **FAULT | {"dip": dip + sign * step}, opening=0.5))
            assert np.abs(near - here).max() < 1e-7 + 0.1 * step


@pytest.mark.parametrize(("dip", "depth"), [(0.0, 3e3), (30.0, 3e3), (90.0, 3e3), (30.0, 0.0), (90.0, 0.0)])
def test_lines_on_which_terms_are_singular_have_finite_motion(dip, depth):
    fault = {"depth": depth, "length": 10e3, "width": 4e3, "strike": 90.0, "dip": dip, "rake": 70.0, "slip": 1.0}
    edge = 4e3 * math.cos(math.radians(dip))
    x, y = np.meshgrid([-20e3, -5e3, -1e3, 0.0, 5e3, 20e3], [-20e3, -edge, 0.0, 20e3])
    y[1] = 0.0 if dip == 90.0 else y[1]
    got = np.array(okada(x, y, **fault, opening=0.3))
    assert np.isfinite(got).all()
    left = np.array(okada(x, y + 2e-5, **fault, opening=0.3))
    end = (np.abs(x) == 5e3) & (y == 0.0) & (depth == 0.0)  # here the motion has no limit
    np.testing.assert_allclose(got[:, ~end], left[:, ~end], atol=1e-6)


def test_on_the_trace_of_a_fault_motion_is_that_of_one_side():
    fault = {"depth": 0.0, "length": 10e3, "width": 4e3, "strike": 90.0, "dip": 70.0, "rake": 10.0, "slip": 1.0}
    right, on, left = np.array(okada(np.full(3, 1e3), np.array([-1e-3, 0.0, 1e-3]), **fault)).T
    np.testing.assert_allclose(on, left, atol=1e-6)
    assert abs(left[0] - right[0]) > 0.9


def test_nan_stays_nan_and_shapes_broadcast():
    x, y = np.array([[0.0, np.nan, 3e3]]), np.array([[1e3], [np.nan]])
    got = np.array(okada(x, y, **FAULT))
    assert got.shape == (3, 2, 3)
    np.testing.assert_array_equal(np.isnan(got[0]), [[False, True, False], [True, True, True]])
    np.testing.assert_array_equal(np.isnan(got), np.broadcast_to(np.isnan(got[0]), got.shape))


def test_arguments_are_left_alone_and_float32_is_taken():
    x, y = (v.astype(np.float32) for v in points(20))
    before = x.copy()
    np.testing.assert_array_equal(okada(x, y, **FAULT), okada(x.astype(float), y.astype(float), **FAULT))
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    "wrong",
    [{"depth": -1.0}, {"length": 0.0}, {"width": -5.0}, {"dip": -10.0}, {"dip": 181.0}, {"depth": 0.0, "dip": 0.0}],
)
def test_an_impossible_fault_is_refused(wrong):
    with pytest.raises(SchemaError, match=r"a fault needs a depth .* below the ground, got depth"):
        okada(np.zeros(1), np.zeros(1), **FAULT | wrong)


def test_a_parameter_that_is_no_number_is_named():
    with pytest.raises(SchemaError, match=r"finite numbers, got strike=nan, slip=inf"):
        okada(np.zeros(1), np.zeros(1), **FAULT | {"strike": np.nan, "slip": np.inf})
