"""The case of docs/transects.md: slip of the North Anatolian Fault from four LiCSBAS frames."""

import numpy as np

from mimtpy_cloud.catalog.ingest import ingest
from mimtpy_cloud.catalog.tracks import open_track
from mimtpy_cloud.io.gnss import read_stations
from mimtpy_cloud.io.vectors import read_lines
from mimtpy_cloud.ops.adjustment import apply_adjustment, estimate_adjustment
from mimtpy_cloud.ops.enu import invert_enu
from mimtpy_cloud.ops.north import interpolate_stations
from mimtpy_cloud.ops.plate import remove_plate_motion, stations_less_plate
from mimtpy_cloud.ops.transectfit import fit_transects
from mimtpy_cloud.ops.transects import profile_across_fault
from mimtpy_cloud.ops.variance import variance_components

FRAMES = ("014A_04939_131313", "087A_04904_121313", "094D_04913_101213", "167D_04884_131212")


def east_and_north(shared, root):
    folder = shared / "data" / "real" / "anatolia_licsbas_4tracks"
    options = {"resolution": "licsbas", "pixels_per_degree": 100, "resampling": "bilinear"}
    ingest([folder / frame for frame in FRAMES], root, **options)
    tracks = {name: open_track(root, name, resolution="licsbas") for name in ("A014", "A087", "D094", "D167")}
    stations = read_stations(shared / "data/real/gnss_midas/midas.IGS08.turkey.txt")
    tied = []
    for names in (("A014", "A087"), ("D094", "D167")):
        frames = [tracks[name] for name in names]
        adjustment = estimate_adjustment(frames, ties=stations).compute()
        tied += [remove_plate_motion(apply_adjustment(ds, adjustment), "Eurasia") for ds in frames]
    sigma = variance_components(tied, north=stations).compute()
    enu = invert_enu(tied, north=stations, sigma=sigma)[["east", "up", "valid"]].compute()
    fixed = stations_less_plate(stations, enu)
    return enu.assign(north=interpolate_stations(fixed, enu).north), fixed


def test_the_locked_part_slips_at_depth_and_the_creeping_part_at_the_trace(shared, tmp_path):
    motion, fixed = east_and_north(shared, tmp_path)
    (trace,) = read_lines(shared / "data" / "real" / "anatolia_licsbas_native" / "naf_trace.xy")
    options = {"length_km": (70, 70), "spacing_km": 35, "width_km": 30, "step_km": 2, "flip": True}
    west_to_east = trace[np.argsort(trace[:, 0])]
    profiles = profile_across_fault(motion, west_to_east, stations=fixed, correlation_km=4, **options).compute()
    fits = fit_transects(profiles, depth_range_km=(1, 40))
    locked = fits.isel(profile=(fits.fault_lon > 33.4) & (fits.fault_lon < 35.4))
    assert locked.sizes["profile"] == 5
    assert ((locked.slip_rate > 0.014) & (locked.slip_rate < 0.024)).all()
    assert ((locked.locking_depth > 8e3) & (locked.locking_depth < 20e3)).all()
    assert ((locked.chi2 > 0.3) & (locked.chi2 < 1.3)).all()
    weight = 1 / locked.slip_rate_std**2
    assert abs(1e3 * float((weight * locked.slip_rate).sum() / weight.sum()) - 17.7) < 0.5
    creeping = fits.isel(profile=(fits.fault_lon > 32.6) & (fits.fault_lon < 33.4))
    assert (creeping.locking_depth < 4e3).all()
    known = np.isfinite(fits.slip_rate)
    assert known.sum() == 11
    # the trace from east to west has the right on the other side, and the same slip
    mirrored = profile_across_fault(motion, west_to_east[::-1], correlation_km=4, **options | {"flip": False}).compute()
    again = fit_transects(mirrored, depth_range_km=(1, 40)).isel(profile=slice(None, None, -1))
    np.testing.assert_allclose(again.slip_rate, fits.slip_rate, rtol=1e-3)
