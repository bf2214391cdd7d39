"""Viscosity, Maxwell time and fluidity."""

import numpy as np
import pytest

from mimtpy_cloud import relax
from mimtpy_cloud.kernels.viscosity import fluidity, log10_viscosity, maxwell_time


def test_fluidities_are_those_of_the_oracle_both_ways(oracles):
    oracle = oracles["O32"]
    values = oracle["log10_visc"]
    np.testing.assert_allclose(fluidity(values, oracle["mu"]), oracle["gammadot0_365_25d"], rtol=1e-9)
    assert fluidity(values, oracle["mu"], convention="mimtpy").tolist() == oracle["gammadot0_peer"]
    np.testing.assert_allclose(
        maxwell_time(values, oracle["mu"], convention="mimtpy"), oracle["maxwell_yr_peer"], rtol=1e-9
    )


def test_a_body_of_the_viscosity_mu_flows_at_one_in_a_second():
    assert fluidity(np.log10(30e9)) == pytest.approx(365.25 * 86400)


@pytest.mark.parametrize("mu", [30e9, 64e9])
def test_viscosity_comes_back(mu):
    values = np.array([[16.0, 18.25], [21.5, 24.0]])
    np.testing.assert_allclose(log10_viscosity(fluidity(values, mu), mu), values, rtol=1e-14)


def test_what_does_not_flow_has_an_infinite_viscosity():
    assert np.isposinf(log10_viscosity(0.0))


def test_the_old_rounding_loses_stiff_bodies():
    assert fluidity(23.5, convention="mimtpy") == 0
    assert fluidity(23.5) > 0


def test_moduli_and_conventions_are_checked():
    for call in (maxwell_time, fluidity, log10_viscosity):
        with pytest.raises(ValueError, match="expected a shear modulus above zero, in Pa, got -1"):
            call(18.0, -1)
    with pytest.raises(ValueError, match="expected the convention 'exact' or 'mimtpy', got 'julian'"):
        fluidity(18.0, convention="julian")


def test_the_package_has_the_names_of_the_chain():
    names = ("make_runs", "open_output", "open_grids", "run_with_dask", "to_los", "maxwell_time", "fluidity")
    assert all(callable(getattr(relax, name)) for name in names)
