"""Matrices that MATLAB saved: written here as MATLAB lays them out."""

import h5py
import numpy as np
import pytest
from lazy import no_compute
from scipy.io import savemat

from mimtpy_cloud.errors import SourceFormatError
from mimtpy_cloud.io.matlab import read_matlab

MATRIX = np.arange(15.0).reshape(5, 3) / 7


def save_v73(path, matrix, name="model", *, header=True):
    """As `save -v7.3` does: a header of 512 bytes before HDF5, and columns one after another."""
    with h5py.File(path, "w", userblock_size=512 if header else 0) as file:
        file[name] = matrix.T
    if header:
        with path.open("r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file".ljust(512))


@pytest.mark.parametrize("header", [True, False])
def test_hdf5_of_matlab_is_read_as_matlab_shows_it(tmp_path, header):
    save_v73(tmp_path / "m.mat", MATRIX, header=header)
    with no_compute():
        found = read_matlab(tmp_path / "m.mat")
    assert found.shape == (5, 3)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, MATRIX.astype(np.float32))


def test_version_5_is_read_alike(tmp_path):
    savemat(tmp_path / "m.mat", {"other": 1, "model": MATRIX}, do_compression=True)
    np.testing.assert_array_equal(read_matlab(tmp_path / "m.mat"), MATRIX.astype(np.float32))
    assert read_matlab(tmp_path / "m.mat", "other").shape == (1, 1)


def test_what_is_no_such_matrix_is_refused(tmp_path):
    (tmp_path / "text.mat").write_text("nothing of MATLAB's, but long enough to have a header" * 20)
    with pytest.raises(SourceFormatError, match=r"text.mat: expected a matrix of numbers"):
        read_matlab(tmp_path / "text.mat")
    with pytest.raises(SourceFormatError, match="does not exist"):
        read_matlab(tmp_path / "none.mat")
    savemat(tmp_path / "v5.mat", {"ramp": MATRIX, "model": "text"})
    with pytest.raises(SourceFormatError, match="expected model to be a matrix of numbers"):
        read_matlab(tmp_path / "v5.mat")
    with pytest.raises(SourceFormatError, match="expected a matrix tramp, got ramp, model; save it under that name"):
        read_matlab(tmp_path / "v5.mat", "tramp")
    save_v73(tmp_path / "v73.mat", np.zeros((2, 3, 4)))
    with pytest.raises(SourceFormatError, match=r"got float64 of shape \(4, 3, 2\)"):
        read_matlab(tmp_path / "v73.mat")
    save_v73(tmp_path / "one.mat", MATRIX, "tramp")
    np.testing.assert_array_equal(read_matlab(tmp_path / "one.mat"), MATRIX.astype(np.float32))  # the only one
    with pytest.raises(SourceFormatError, match="expected a matrix ramp, got model"):
        read_matlab(tmp_path / "v73.mat", "ramp")
