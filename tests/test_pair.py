"""What the difference of two tracks says of their datum."""

import tracemalloc

import numpy as np
import pytest

from mimtpy_cloud.kernels.pair import STATISTICS, summarise_pair
from mimtpy_cloud.kernels.ramp import evaluate_ramp
from mimtpy_cloud.kernels.tiles import Tiles

X, Y = np.linspace(-20, 20, 41), np.linspace(30, -30, 61)


def statistics(found):
    return dict(zip(STATISTICS, found.statistics.tolist(), strict=True))


def test_missing_pixels_count_neither_in_the_rms_nor_in_the_number(oracles):
    case = oracles["O17"]
    image = np.array([[np.nan if v is None else v for v in case["residual"]]])
    found = statistics(summarise_pair(Tiles.of(image), np.arange(4.0), np.zeros(1), robust=False, length_km=0.0))
    assert found["rms"] == pytest.approx(case["rms"], rel=1e-9)
    assert found["sigma"] == pytest.approx(case["std_about_mean"], rel=1e-9)
    assert found["count"] == 3


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("kind", ["constant", "linear", "quadratic"])
def test_terms_and_their_information(kind, robust):
    rng = np.random.default_rng(2)
    truth = np.array([0.3, 0.01, -0.02, 1e-4, 2e-4, -3e-4])[: {"constant": 1, "linear": 3, "quadratic": 6}[kind]]
    found, sigma = [], 0.05
    for _ in range(60):
        image = evaluate_ramp(truth, X, Y, kind) + sigma * rng.normal(size=(61, 41))
        found.append(summarise_pair(Tiles.of(image), X, Y, kind, scale_km=30.0, robust=robust, length_km=0.0))
    terms = np.array([f.terms for f in found])
    stated = np.sqrt(np.diag(np.linalg.inv(found[0].information)))
    np.testing.assert_allclose((terms - truth).mean(axis=0) / stated, 0, atol=4.5 / np.sqrt(60))
    np.testing.assert_allclose(terms.std(axis=0), stated, rtol=0.35)
    assert statistics(found[0])["sigma"] == pytest.approx(sigma, rel=0.06)


@pytest.mark.parametrize("robust", [True, False, "mode"])
def test_the_stated_sigma_of_a_centre_is_that_of_many_images(robust):
    rng, shape = np.random.default_rng(4), (60, 60)
    scores = []
    for _ in range(150):
        found = summarise_pair(
            Tiles.of(rng.normal(size=shape)), np.arange(60.0), np.arange(60.0), robust=robust, length_km=0.0
        )
        scores.append(found.terms[0] * np.sqrt(found.information[0, 0]))
    assert np.std(scores) == pytest.approx(1, abs=0.2)


def test_nothing_in_common_says_nothing():
    found = summarise_pair(Tiles.of(np.full((3, 4), np.nan)), np.arange(4.0), np.arange(3.0), "linear")
    assert statistics(found)["count"] == 0
    assert not found.information.any()
    assert np.isnan(statistics(found)["median"])


def test_the_image_is_left_as_it_was():
    image = np.random.default_rng(0).normal(size=(61, 41)).astype("f4")
    before = image.copy()
    for kind in ("constant", "linear"):
        summarise_pair(Tiles.of(image), X, Y, kind, scale_km=30.0)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("kind", ["constant", "quadratic"])
def test_pieces_make_the_same_summary(kind, robust):
    image = np.random.default_rng(3).normal(size=(61, 41)).astype("f4")
    image[20:30, 5:9] = np.nan
    pieces = [(image[r : r + 25, c : c + 17], r, c) for r in range(0, 61, 25) for c in range(0, 41, 17)]
    one, many = (
        summarise_pair(tiles, X, Y, kind, scale_km=30.0, robust=robust)
        for tiles in (Tiles.of(image), Tiles(image.shape, tuple(pieces)))
    )
    for a, b in zip(vars(one).values(), vars(many).values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


def test_memory_is_that_of_some_pieces():
    rows = 20_000
    pieces = tuple((np.random.default_rng(r).normal(size=(100, 400)).astype("f4"), r, 0) for r in range(0, rows, 100))
    tiles, x, y = Tiles((rows, 400), pieces), np.arange(400.0), np.arange(float(rows))
    summarise_pair(Tiles((100, 400), pieces[:1]), x, y[:100], "linear", scale_km=1e4)  # compile
    tracemalloc.start()
    summarise_pair(tiles, x, y, "linear", scale_km=1e4, length_km=1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows * 400 / 2  # bytes: less than one for two pixels
