"""Random fields that do not depend on chunking."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.kernels.noise import exponential_noise, plane_wave_noise, white_noise

M64 = 2**64 - 1


def mix(state, value):
    """Plain twin of the hash, in Python's integers."""
    z = ((state ^ (value & M64)) + 0x9E3779B97F4A7C15) & M64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
    return z ^ (z >> 31)


def uniform(state):
    return ((state >> 11) + 0.5) * 2.0**-53


def plain_waves(x, y, seed, date, shortest, longest, n):
    key = mix(mix(1, seed), date)
    total, power = np.zeros((y.size, x.size)), 0.0
    for k in range(n):
        one = mix(key, k)
        two = mix(one, 1)
        three = mix(two, 2)
        length = shortest * (longest / shortest) ** ((k + uniform(one)) / n)
        angle, phase = 2 * np.pi * uniform(two), 2 * np.pi * uniform(three)
        along = x[None, :] * np.cos(angle) + y[:, None] * np.sin(angle)
        total += length ** (5 / 6) * np.cos(2 * np.pi / length * along + phase)
        power += length ** (5 / 3) / 2
    return total / np.sqrt(power)


@given(
    seed=st.integers(0, 2**40), date=st.integers(-10_000, 40_000), row=st.integers(0, 10**6), col=st.integers(0, 10**6)
)
def test_white_noise_equals_plain_integers(seed, date, row, col):
    one = mix(mix(mix(mix(0, seed), date), row), col)
    two = mix(one, 1)
    parts = [(h >> 16 * k) & 0xFFFF for h in (one, two) for k in range(4)]
    expected = (sum(parts) / 65535 - 4) * np.sqrt(1.5) * np.sqrt(65535**2 / (2**32 - 1))
    assert white_noise(np.array([row]), np.array([col]), seed, date)[0, 0] == pytest.approx(expected, abs=1e-9)


@given(seed=st.integers(0, 2**40), date=st.integers(-10_000, 40_000))
def test_plane_wave_noise_equals_plain_numpy(seed, date):
    x, y = np.linspace(-5e4, 5e4, 6), np.linspace(7e4, 1e4, 4)
    got = plane_wave_noise(x, y, seed, date, 4e3, 1e5, 9)
    np.testing.assert_allclose(got, plain_waves(x, y, seed, date, 4e3, 1e5, 9), atol=1e-9)


@given(cut=st.tuples(st.integers(0, 16), st.integers(17, 33), st.integers(0, 20), st.integers(21, 41)))
def test_a_part_has_the_same_bits_as_the_whole(cut):
    rows, cols = np.arange(33), np.arange(41)
    part = np.s_[cut[0] : cut[1]], np.s_[cut[2] : cut[3]]
    whole, piece = white_noise(rows, cols, 5, 6), white_noise(rows[part[0]], cols[part[1]], 5, 6)
    assert (whole[part] == piece).all()
    args = (5, 6, 4e3, 1e5, 24)
    whole, piece = (
        plane_wave_noise(cols * 1e3, rows * 1e3, *args),
        plane_wave_noise(cols[part[1]] * 1e3, rows[part[0]] * 1e3, *args),
    )
    assert (whole[part] == piece).all()


def test_white_noise_is_standard_and_uncorrelated():
    field = white_noise(np.arange(600), np.arange(500), 1, 17_000)
    other = white_noise(np.arange(600), np.arange(500), 1, 17_001)
    assert abs(field.mean()) < 0.01
    assert field.std() == pytest.approx(1, abs=0.01)
    for a, b in ((field, other), (field[1:], field[:-1]), (field[:, 1:], field[:, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.01


def test_plane_wave_noise_has_unit_variance_over_dates_and_is_smooth():
    x = np.arange(0, 3e5, 2e3)
    fields = np.array([plane_wave_noise(x, x, 1, date, 4e3, 1e5, 24) for date in range(30)])
    assert fields.var() == pytest.approx(1, abs=0.1)
    assert np.diff(fields, axis=2).std() < 0.5


def exponential_of_places(places, seed, range_m=1e4):
    return exponential_noise(*(np.ascontiguousarray(axis[None]) for axis in places.T), seed, 0, range_m)[0]


@pytest.mark.parametrize("origin", [(0.0, 0.0, 0.0), (3e6, -4e6, 4e6)])
@pytest.mark.parametrize("direction", [(1.0, 0.0, 0.0), (0.0, 0.6, -0.8)])
def test_exponential_noise_has_its_covariance_over_seeds(origin, direction):
    distance = np.array([0.0, 100.0, 1e3, 5e3, 1e4, 3e4])
    places = np.array(origin) + distance[:, None] * np.array(direction)
    fields = np.array([exponential_of_places(places, seed) for seed in range(800)])
    assert abs(fields.mean(axis=0)).max() < 4 / np.sqrt(800)
    np.testing.assert_allclose((fields.T @ fields[:, 0]) / 800, np.exp(-distance / 1e4), atol=4 * np.sqrt(2 / 800))
    half = np.square(fields[:, 1:] - fields[:, :1]).mean(axis=0) / 2
    np.testing.assert_allclose(
        half, 1 - np.exp(-distance[1:] / 1e4), rtol=0.25
    )  # close places differ by little, but do


def test_exponential_and_white_noise_have_the_covariance_of_the_oracle(oracles):
    known = oracles["O15"]
    places = np.column_stack([np.array(known["points_m"]), np.zeros(3)])
    air = np.array([exponential_of_places(places, seed, known["range_m"]) for seed in range(1500)])
    white = np.array([white_noise(np.arange(1), np.arange(3), seed, 0)[0] for seed in range(1500)])
    fields = np.sqrt(known["sill"]) * air + np.sqrt(known["nugget"]) * white
    np.testing.assert_allclose(fields.T @ fields / 1500, known["C"], atol=4 * 2.5e-4 * np.sqrt(2 / 1500))


def test_one_exponential_field_has_its_semivariogram():
    x, y = np.meshgrid(np.arange(0, 3e5, 1e3), np.arange(0, 3e5, 1e3))
    field = exponential_noise(x, y, 0 * x, 5, 17_000, 1e4)
    assert field.var() == pytest.approx(1, abs=0.1)
    for lag in (1, 3, 10, 30):
        for difference in (field[lag:] - field[:-lag], field[:, lag:] - field[:, :-lag]):
            assert np.square(difference).mean() / 2 == pytest.approx(1 - np.exp(-lag / 10), rel=0.12)


@given(seed=st.integers(0, 2**40), cut=st.tuples(st.integers(0, 10), st.integers(11, 21)))
def test_a_part_of_exponential_noise_has_the_same_bits_and_scales_with_range(seed, cut):
    x, y = np.meshgrid(np.linspace(0, 1e5, 21), np.linspace(5e4, 0, 5))
    whole = exponential_noise(x, y, 0 * x, seed, 1, 5e3)
    part = (np.ascontiguousarray(axis[1:, slice(*cut)]) for axis in (x, y, 0 * x))
    assert (exponential_noise(*part, seed, 1, 5e3) == whole[1:, slice(*cut)]).all()
    np.testing.assert_allclose(exponential_noise(2 * x, 2 * y, 0 * x, seed, 1, 1e4), whole, atol=1e-9)
    assert not np.allclose(exponential_noise(x, y, 0 * x, seed, 2, 5e3), whole, atol=1e-3)
