"""Inputs and logs of RELAX, and slip models."""

import numpy as np
import pytest

from mimtpy_cloud.errors import SourceFormatError, StorageError
from mimtpy_cloud.io.relaxinput import read_patches, read_relax_input

HEAD = """# grid size
64 64 32
# sampling
0.5 0.5 0.5 0.2 1
# origin
1 -2 30
# depth
0 5
# output directory
out
# elastic
30 31 8.33e-4
# interval
20 -1 0.5
"""
NONE = "0\n" * 4
LISTS = """# number of linear viscous interfaces
1
# no depth gammadot0 cohesion
1 30 1.5d-1 0   # Fortran's exponent
# number of ductile zones
0
# number of powerlaw viscous interfaces
0
# number of fault creep interfaces
0
# number of interseismic loading strike-slip and opening
0
0
"""
EVENT = """# number of coseismic events
1
# number of shear dislocations
1
# no slip x1 x2 x3 length width strike dip rake
1 2.5 -1 +3 0.5 10 5 45 90 -180
# number of tensile cracks
0
# number of dilatation sources
0
# number of surface loads
0
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="run.input"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.fixture
def inputs(shared):
    return shared / "data" / "real" / "relax_elmayor" / "inputs"


def same_tables(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].keys() == b[name].keys()
        for column in a[name]:
            np.testing.assert_array_equal(a[name][column], b[name][column])


def test_an_input_is_read_whole(write):
    found = read_relax_input(write(HEAD + LISTS + EVENT))
    assert (found.size, found.sampling, found.smoothing, found.nyquist) == ((64, 64, 32), (0.5, 0.5, 0.5), 0.2, 1)
    assert (found.origin, found.rotation, found.observation_depth) == ((1, -2), 30, (0, 5))
    assert (found.output, found.lame, found.mu, found.gamma) == ("out", 30, 31, 8.33e-4)
    assert (found.interval, found.step, found.scale, found.geographic_origin) == (20, -1, 0.5, None)
    linear = found.sections["linear_interfaces"]
    assert {name: v.tolist() for name, v in linear.items()} == {"depth": [30], "gammadot0": [0.15], "cohesion": [0]}
    assert found.sections["observation_points"]["name"].size == 0
    (event,) = found.events
    assert event.time == 0
    assert event.sources["shear"]["slip"].tolist() == [2.5]
    assert event.sources["shear"]["x2"].tolist() == [3]
    assert event.sources["tensile"]["opening"].size == 0


def test_points_have_names(write):
    points = "# number of observation points\n2\n# no name x1 x2 x3\n1 P066 12.2 -63 0\n2 0001 1 2 0\n"
    found = read_relax_input(write(HEAD + points + EVENT)).sections["observation_points"]
    assert found["name"].tolist() == ["P066", "0001"]
    assert found["x1"].tolist() == [12.2, 1]


def test_lists_without_comments_come_in_their_order(write):
    bare = "\n".join(line for line in (HEAD + EVENT).splitlines() if not line.startswith("#"))
    head, event = bare.split("\n1\n1\n")
    lists = "0\n0\n0\n0\n2\n1 3 1 0\n2 9 2 0\n0\n0\n0\n0\n0\n1\n1\n"  # 2 viscous interfaces, then their zones
    found = read_relax_input(write(f"{head}\n{lists}{event}"))
    assert found.sections["linear_interfaces"]["gammadot0"].tolist() == [1, 2]
    assert found.events[0].sources["shear"]["rake"].tolist() == [-180]


def test_surface_loads_have_the_columns_of_their_heading(write):
    loads = "# number of surface loads\n1\n# no xs ys length width t3 (force/rigidity)\n1 0 0 2 2 0.001\n"
    found = read_relax_input(write(HEAD + LISTS + EVENT.replace("# number of surface loads\n0\n", loads)))
    assert {k: v.tolist() for k, v in found.events[0].sources["surface_loads"].items()} == {
        "xs": [0],
        "ys": [0],
        "length": [2],
        "width": [2],
        "t3": [0.001],
    }


@pytest.mark.parametrize(
    ("change", "line", "expected", "got"),
    [
        (("64 64 32", "64 64"), 2, "three numbers of nodes", "64 64"),
        (("0.5 0.5 0.5 0.2 1", "0.5 a 0.5 0.2 1"), 4, "sampling and smoothing", "0.5 a"),
        (("30 31 8.33e-4", "30 31"), 12, "lambda, mu and gamma", "30 31"),
        (("viscous interfaces\n1", "viscous interfaces\none"), 16, "the number of linear interfaces", "one"),
        (("1 30 1.5d-1 0", "2 30 1.5d-1 0"), 18, "row 1 of linear interfaces: number depth", "2 30"),
        (("1 30 1.5d-1 0", "1 30 x 0"), 18, "numbers", "1 30 x"),
        (("1 30 1.5d-1 0", "1 30 0.1"), 18, "row 1 of linear interfaces", "1 30"),
        (("number of ductile zones", "number of things"), 20, "number of events, but the comment before says", "0"),
        (
            ("number of tensile", "number of dense"),
            35,
            "number of tensile, but the comment before says number of den",
            "0",
        ),
    ],
)
def test_a_wrong_line_is_named(write, change, line, expected, got):
    text = HEAD + LISTS + EVENT
    assert change[0] in text
    file = write(text.replace(*change))
    with pytest.raises(SourceFormatError, match=rf"run.input, line {line}: expected .*{expected}.*; got '{got}"):
        read_relax_input(file)


def test_an_input_that_ends_early_is_named(write):
    with pytest.raises(SourceFormatError, match=r"line 31: expected row 1 of shear; got 'the end of the file'"):
        read_relax_input(write((HEAD + LISTS + EVENT).partition("# no slip")[0]))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StorageError, match="no such file"):
        read_relax_input(tmp_path / "none.input")


# --- real files -----------------------------------------------------------------------------------------------


def test_input_and_log_of_the_first_tutorial_agree(inputs):
    asked, done = (read_relax_input(inputs / name) for name in ("tutorial_run1.input", "tutorial_output1.param"))
    assert (asked.lame, asked.mu) == (30, 30)
    assert (done.lame, done.mu) == (1, 1)  # the given log is of another version of the input
    same = ("size", "sampling", "smoothing", "nyquist", "origin", "rotation", "geographic_origin", "gamma")
    for name in (*same, "observation_depth", "output", "interval", "step", "scale"):
        assert getattr(asked, name) == getattr(done, name), name
    assert asked.geographic_origin == (120, 22, 51, 1e3)
    same_tables(asked.sections, done.sections)
    assert asked.sections["linear_interfaces"]["depth"].tolist() == [3, 9]
    assert [event.time for event in asked.events] == [event.time for event in done.events] == [0, 1]
    for one, other in zip(asked.events, done.events, strict=True):
        same_tables(one.sources, other.sources)


def test_input_and_log_of_the_fourth_tutorial_agree(inputs):
    asked, done = (read_relax_input(inputs / name) for name in ("tutorial_run4.input", "tutorial_output4.param"))
    same_tables(asked.sections, done.sections)
    assert asked.sections["stress_segments"]["strike"].tolist() == [0, 90, 0, 45, 0]
    assert asked.sections["linear_zones"]["thickness"].tolist() == [1]
    same_tables(asked.events[0].sources, done.events[0].sources)


def test_logs_with_other_values_than_their_inputs_are_read_as_they_are(inputs):
    asked, done = (read_relax_input(inputs / name) for name in ("tutorial_run2.input", "tutorial_output2.param"))
    assert (asked.interval, done.interval, asked.scale, done.scale) == (20, 100, 0.5, 0.5)
    same_tables(asked.sections, done.sections)
    asked, done = (read_relax_input(inputs / name) for name in ("tutorial_run3.input", "tutorial_output3.param"))
    assert [r.sections["afterslip_planes"]["x2"].tolist() for r in (asked, done)] == [[0.1, 1.4], [0]]
    assert done.sections["friction_interfaces"]["ab_sigma"].tolist() == [1e3]


def test_an_old_input_without_all_lists_is_read(inputs):
    found = read_relax_input(inputs / "tutorial_mogi.input")
    assert (found.interval, found.step, found.scale) == (10, 0.257, 1)
    assert found.sections["powerlaw_interfaces"]["power"].tolist() == [3]
    assert found.events[0].sources["dilatation"]["x3"].tolist() == [1]
    assert found.events[0].sources["shear"]["slip"].size == 0


def test_the_patches_of_landers_are_read(inputs):
    shear = read_relax_input(inputs / "landers.input").events[0].sources["shear"]
    assert shear["slip"].size == 179
    assert (shear["slip"][-1], shear["x2"][-1], shear["x3"][-1], shear["rake"][-1]) == (0.22767, -15.907, 2.1923, -86.7)


@pytest.mark.parametrize(
    ("name", "count"),
    [("landers_km.flt", 426), ("elmayor_wei_km_complete.flt", 386), ("elmayor_wei_km_highslip.flt", 224)],
)
def test_slip_models_are_read(inputs, name, count):
    patches = read_patches(inputs / name)
    assert list(patches) == ["slip", "x1", "x2", "x3", "length", "width", "strike", "dip", "rake"]
    assert all(column.shape == (count,) for column in patches.values())
    assert (patches["slip"] >= 0).all()
    assert (patches["x3"] >= 0).all()


def test_a_patch_with_a_column_too_few_is_named(write):
    with pytest.raises(SourceFormatError, match=r"a.flt, line 2: expected number, slip, x1"):
        read_patches(write("1 0 0 0 0 1 1 0 90 0\n2 0 0 0 0 1 1 0 90\n", "a.flt"))
    with pytest.raises(SourceFormatError, match="patches of a slip model; got 'an empty file'"):
        read_patches(write("# nothing\n", "b.flt"))


def test_a_log_with_a_time_step_is_read(write):
    log = (
        "grid dimension (sx1,sx2,sx3)\n 8 8 8\nsampling (dx1,dx2,dx3), smoothing (beta, nyquist)\n"
        " 1E+0 1E+0 1E+0 2E-1 1E+0\n"
        "origin position (x0,y0) and rotation\n 0 0 0\nobservation depth (displacement and stress)\n 0 0\n"
        "output directory\n out (time report: out/time.txt)\nlambda, mu, gamma (gamma = (1 - nu) rho g / mu)\n 1 1 0\n"
        "time interval, (positive time step) or (negative skip, scaling)\n  2.00E+1 (output every 5.00E-1 time unit)\n"
        "number of observation points\n 1\n-----\nno. name x1 x2 x3\n-----\n001 GPS1  1.00E+0  2.00E+0  0.00E+0\n"
        "number of events\n 0\n"
    )
    found = read_relax_input(write(log, "in.param"))
    assert (found.output, found.interval, found.step, found.scale) == ("out", 20, 0.5, 1)
    assert found.sections["observation_points"]["name"].tolist() == ["GPS1"]
    assert found.events == ()
