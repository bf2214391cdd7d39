"""One fringe of displacement."""

from typing import Any

import numpy as np
import pytest

from mimtpy_cloud.kernels.fringe import fringe


@pytest.mark.parametrize("name", ["0.02", "-0.02", "0.0138", "0.0139", "0.05"])
def test_fringe_equals_the_oracle(name: str, oracles: dict[str, Any]) -> None:
    oracle = oracles["O08"]
    assert fringe(np.array(float(name)), oracle["wavelength"]) == pytest.approx(oracle["wrapped"][name], abs=1e-9)


def test_fringe_equals_the_wrapped_phase_and_keeps_nan() -> None:
    wavelength, d = 0.0555, np.linspace(-0.1, 0.1, 997)
    phase = np.angle(np.exp(1j * (-4 * np.pi / wavelength * d)))
    np.testing.assert_allclose(fringe(d, wavelength), -wavelength / (4 * np.pi) * phase, atol=1e-12)
    assert np.isnan(fringe(np.array(np.nan), wavelength))
