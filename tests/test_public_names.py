"""What `import mimtpy_cloud as mc` promises."""

import importlib
import pkgutil
import subprocess
import sys

import mimtpy_cloud as mc


def test_no_public_name_is_also_a_subpackage():
    packages = {module.name for module in pkgutil.iter_modules(mc.__path__)}
    assert not packages & set(mc.__all__)


def test_public_names_stay_functions_after_their_modules_are_imported():
    importlib.import_module("mimtpy_cloud.exports.zarr")
    assert all(callable(getattr(mc, name)) for name in mc.__all__ if name != "__version__")


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, mimtpy_cloud; print([m for m in ('numpy', 'xarray', 'dask', 'numba') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
