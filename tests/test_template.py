"""The template: MimtPy's text and YAML, into typed steps."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.cli.keys import KEYS, plain_value
from mimtpy_cloud.cli.steps import Concatenate, Decompose, Extract, Layer, Plot
from mimtpy_cloud.cli.template import _find_key, load_template, parse_legacy, parse_template
from mimtpy_cloud.errors import TemplateError

SEED = """
## processing template default setting
#####
# velocity or cumulative Parameters #####
mimtpy.velcumu = yes
mimtpy.velcumu.DataSet = KokoxiliSenAT70, KokoxiliSenDT121   # two projects
mimtpy.velcumu.type = velocity
mimtpy.velcumu.SNWE = [34.2,35.2,45.0,46.3]
mimtpy.velcumu.startDate = 20150201
mimtpy.velcumu.endDate = None
mimtpy.velcumu.mask = n
mimtpy.horzvert = yes
mimtpy.horzvert.DataSet = KokoxiliSenAT70,KokoxiliSenDT121
mimtpy.horzvert.dataname = velocity_20150205_20200714,velocity_20150210_20200712.h5
mimtpy.horzvert.SNWE = None
mimtpy.horzvert.referencepoint = 30.75,104
mimtpy.horzvert.azimuth = 101
mimtpy.horzvert.outname = None
mimtpy.horzvert.outdir = kokoxili
mimtpy.concatenation = no
mimtpy.concatenation.DataSet = A,B
mimtpy.concatenation.dataname = velocity_20150205_20200714,velocity_20150205_20200714
mimtpy.concatenation.rewrite = y
mimtpy.concatenation.plotpair = y
mimtpy.concatenation.azimuth = 11
mimtpy.concatenation.outname = auto
mimtpy.concatenation.outdir = $OUT_OF_TEST/x
mimtpy.plot = yes
mimtpy.plot.type = velocity
mimtpy.plot.shmdir = faults
mimtpy.plot.fault = a.shp, b.gmt
mimtpy.plot.fcolor = b,m
mimtpy.plot.fstyle = s,d
mimtpy.plot.refpoi = point.shp
"""

YAML = """
velocity_displacement:
  dataset: [KokoxiliSenAT70, KokoxiliSenDT121]
  type: velocity
  SNWE: [34.2, 35.2, 45.0, 46.3]
  startDate: 2015-02-01
  end_date: null
  mask: no
horzvert:
  dataset: [KokoxiliSenAT70, KokoxiliSenDT121]
  dataname: [velocity_20150205_20200714, velocity_20150210_20200712]
  referencepoint: [30.75, 104]
  azimuth: 101
  outdir: kokoxili
concatenation: {enabled: no, rewrite: y}
plot:
  type: velocity
  shpdir: faults
  fault: [a.shp, b.gmt]
  fcolor: [b, m]
  fstyle: [s, d]
  refpoi: point.shp
"""

HORZVERT = "mimtpy.horzvert=y\nmimtpy.horzvert.dataset=A,B\nmimtpy.horzvert"


def problems_of(text, **options):
    with pytest.raises(TemplateError) as caught:
        parse_template(text, **options)
    return str(caught.value)


def test_oracle_o50_is_read_as_the_peer_reads_it(oracles):
    oracle = oracles["O50"]
    items, problems = parse_legacy(oracle["text"])
    assert not problems
    assert {item.key: item.raw for item in items} == oracle["peer_dict"]
    typed = {}
    for item in items:
        key = _find_key(item.key)
        name = key.full if key else item.key
        typed[name.removeprefix("mimtpy.")] = plain_value(item.raw)
    assert typed == oracle["typed"]


def test_seed_template_becomes_typed_steps():
    template = parse_template(SEED)
    assert template.extract == Extract(
        datasets=("KokoxiliSenAT70", "KokoxiliSenDT121"),
        bbox=(45.0, 34.2, 46.3, 35.2),
        start="2015-02-01",
        mask=False,
    )
    assert template.horzvert == Decompose(
        datasets=("KokoxiliSenAT70", "KokoxiliSenDT121"),
        names=("velocity_20150205_20200714", "velocity_20150210_20200712"),
        reference_point=(104.0, 30.75),
        azimuth=101.0,
        outdir="kokoxili",
    )
    assert template.concatenate == ()
    assert template.plot == Plot(
        types=("velocity",),
        folder="faults",
        faults=("a.shp", "b.gmt"),
        colours=("black", "magenta"),
        styles=("solid", "dashed"),
        reference="point.shp",
    )


def test_yaml_says_the_same_as_the_text():
    text, yaml = parse_template(SEED), parse_template(YAML, yaml=True)
    assert (text.extract, text.horzvert, text.concatenate, text.plot) == (
        yaml.extract,
        yaml.horzvert,
        yaml.concatenate,
        yaml.plot,
    )


def test_later_spellings_are_the_same_keys():
    later = SEED.replace("velcumu", "velocity_displacement").replace(".DataSet", ".dataset").replace("shmdir", "shpdir")
    assert parse_template(later) == parse_template(SEED)


@pytest.mark.parametrize("value", ["", "None", "auto", "none", "AUTO"])
def test_empty_none_and_auto_are_defaults(value):
    text = "mimtpy.velcumu = yes\nmimtpy.velcumu.DataSet = A064\n" + "".join(
        f"{key.full} = {value}\n"
        for key in KEYS
        if key.step == "velocity_displacement" and key.name not in ("", "dataset")
    )
    assert parse_template(text).extract == Extract(datasets=("A064",))


def test_bare_keys_of_the_slides_are_skipped():
    bare = "\n".join(key.full for key in KEYS) + "\n"
    assert parse_template(bare).extract is None


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.full)
def test_every_key_of_a_step_that_is_off_is_accepted(key):
    assert parse_template(f"{key.full} = auto").extract is None


def test_last_duplicate_wins():
    text = "mimtpy.velcumu = y\nmimtpy.velcumu.DataSet = A001\nmimtpy.velocity_displacement.dataset = D128"
    assert parse_template(text).extract == Extract(datasets=("D128",))


@pytest.mark.parametrize(("word", "on"), [("yes", 1), ("TRUE", 1), ("on", 1), ("1", 1), ("n", 0), ("off", 0), ("0", 0)])
def test_switches_take_the_usual_words(word, on):
    extract = parse_template(f"mimtpy.velcumu={word}\nmimtpy.velcumu.dataset=A001").extract
    assert (extract is not None) == bool(on)


def test_variables_and_tilde_are_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MIMTPY_TEST_DIR", "some/where")
    text = "mimtpy.concatenation=y\nmimtpy.concatenation.dataset=A001,A002\nmimtpy.concatenation.outdir={}"
    assert parse_template(text.format("~/x")).concatenate[0].outdir == f"{tmp_path}/x"
    assert parse_template(text.format("$MIMTPY_TEST_DIR/x")).concatenate[0].outdir == "some/where/x"
    unset = problems_of(text.format("$MIMTPY_UNSET_DIR/x"))
    assert "line 3: mimtpy.concatenation.outdir names an environment variable that is not set" in unset


@pytest.mark.parametrize(
    "form", ["34.2,35.2,45,46.3", "[34.2, 35.2, 45, 46.3]", "34.2:35.2,45:46.3", "34.2 35.2 45 46.3"]
)
def test_snwe_becomes_west_south_east_north(form):
    text = f"mimtpy.velcumu=y\nmimtpy.velcumu.dataset=A001\nmimtpy.velcumu.SNWE={form}"
    assert parse_template(text).extract.bbox == (45.0, 34.2, 46.3, 35.2)


@pytest.mark.parametrize(
    ("form", "iso"), [("20150201", "2015-02-01"), ("2015-02-01", "2015-02-01"), ("150201", "2015-02-01")]
)
def test_dates_become_iso(form, iso):
    text = f"mimtpy.velcumu=y\nmimtpy.velcumu.dataset=A001\nmimtpy.velcumu.startDate={form}"
    assert parse_template(text).extract.start == iso


def test_both_products_can_be_asked_for():
    text = "mimtpy.velcumu=y\nmimtpy.velcumu.dataset=A001\nmimtpy.velcumu.type=velocity, displacement"
    assert parse_template(text).extract.types == ("velocity", "displacement")


def test_excluded_dates_are_a_list_or_a_file():
    text = "mimtpy.velcumu=y\nmimtpy.velcumu.dataset=A001\nmimtpy.velcumu.exclude={}"
    assert parse_template(text.format("20150201,20150213")).extract.exclude == ("2015-02-01", "2015-02-13")
    assert parse_template(text.format("lists/exclude_date.txt")).extract.exclude == ("lists/exclude_date.txt",)


def test_semicolons_separate_mosaics():
    text = "mimtpy.concatenation=y\nmimtpy.concatenation.dataset=A,B; C,D,E\nmimtpy.concatenation.rewrite=y\n"
    assert parse_template(text + "mimtpy.concatenation.outname=asc; desc").concatenate == (
        Concatenate(("A", "B"), rewrite=True, outname="asc"),
        Concatenate(("C", "D", "E"), rewrite=True, outname="desc"),
    )
    assert "mimtpy.concatenation.outname expects 2 groups" in problems_of(text + "mimtpy.concatenation.outname=one")
    assert "outname expects one name a mosaic" in problems_of(text + "mimtpy.concatenation.outname=a,b;c")


def test_datasets_of_later_steps_default_to_those_extracted():
    text = "mimtpy.velcumu=y\nmimtpy.velcumu.dataset=A001,A002\n" + "".join(
        f"mimtpy.{step}=y\n" for step in ("mask", "coherence", "concatenation", "horzvert", "overlap")
    )
    template = parse_template(text)
    assert template.mask == Layer(("A001", "A002"))
    assert template.coherence == Layer(("A001", "A002"), variable="temporal_coherence")
    assert template.concatenate == (Concatenate(("A001", "A002")),)
    assert template.horzvert == Decompose(("A001", "A002"))
    assert template.overlap.outnames == ("overlap_horz", "overlap_vert")


def test_components_and_what_is_known_of_north_are_typed():
    lines = ("components = ENU", "north = midas.IGS14.txt", "north_std = 5e-3", "Units = mm/yr")
    text = "mimtpy.horzvert=y\nmimtpy.horzvert.dataset=A,B,C\n" + "".join(f"mimtpy.horzvert.{line}\n" for line in lines)
    found = parse_template(text).horzvert
    assert (found.components, found.north, found.north_std, found.units) == ("enu", "midas.IGS14.txt", 0.005, "mm/yr")
    assert found.outnames == ("east", "north", "up")
    assert found.variables("eu") == ("east", "north", "up")
    number = parse_template(f"{HORZVERT}.north = -0.02").horzvert
    assert (number.north, number.components, number.outnames) == (-0.02, None, ("horz", "vert"))
    overlap = "mimtpy.overlap=y\nmimtpy.overlap.dataset=A,B\nmimtpy.overlap"
    assert parse_template(f"{overlap}.components = enu").overlap.outnames == (
        "overlap_east",
        "overlap_north",
        "overlap_up",
    )
    assert parse_template(f"{overlap}.northstd = 0.002").overlap.variables("hu") == ("horizontal", "up")
    yaml = "horzvert: {dataset: [A, B], north: 0.02, components: eu}"
    assert parse_template(yaml, yaml=True).horzvert == Decompose(("A", "B"), components="eu", north=0.02)


def test_plots_are_on_unless_switched_off():
    assert parse_template("").plot == Plot()
    assert parse_template("mimtpy.plot = no").plot is None
    assert parse_template("mimtpy.plot.shmdir = no\nmimtpy.plot.refpoi = no").plot == Plot()


@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("mimtpy.velcumu.typ", "mimtpy.velcumu.type"),
        ("mimtpy.velocity_displacement.stratDate", "mimtpy.velocity_displacement.startDate"),
        ("mimtpy.horzvert.refpoint", "mimtpy.horzvert.referencepoint"),
        ("mimtpy.plot.falt", "mimtpy.plot.fault"),
        ("mintpy.velcumu.type", "mimtpy.velcumu.type"),
        ("mimpty.velcumu.type", "mimtpy.velcumu.type"),
        ("mimtyp.velcumu", "mimtpy.velcumu"),
        ("mimtpyvelcumu.dataset", "mimtpy.velcumu.dataset"),
        ("mimtpy_cloud.plot", "mimtpy.plot"),
    ],
)
def test_unknown_key_names_line_and_nearest_key(written, nearest):
    message = problems_of(f"\n\n{written} = velocity")
    assert f"line 3: {written} is not a key; did you mean {nearest}?" in message


def test_unlike_key_points_at_the_list():
    assert "mimtpy run --keys" in problems_of("mimtpy.zzzzqqqq = 1")
    assert "mimtpy run --keys" in problems_of("zzzzqqqq: 1", yaml=True)


def test_keys_of_other_programs_are_passed_over():
    text = (
        "mintpy.plot = auto\ntopsStack.boundingBox = 19.1 19.9 -156 -154.8\nzzzz = 1\nmintpy.geocode.latStep = 0.0008\n"
        "miaplpy.load.processor = isce\nminsar.x = 1"
    )
    assert parse_template(text).extract is None
    assert parse_template("mintpy.plot: auto\ntopsStack: {boundingBox: 19.1}", yaml=True).extract is None


@pytest.mark.parametrize(
    ("line", "expects"),
    [
        ("mimtpy.velcumu = maybe", "expects yes or no, got 'maybe'"),
        ("mimtpy.concatenation.order = 3", "expects 0, 1 or 2, got '3'"),
        ("mimtpy.concatenation.blend = best", "expects mean, weighted, feather or anchor, got 'best'"),
        ("mimtpy.velcumu.type = speed", "expects velocity, displacement, or both"),
        ("mimtpy.velcumu.SNWE = 35,34,45,46", "expects south,north,west,east"),
        ("mimtpy.velcumu.SNWE = 34,35,45", "expects south,north,west,east"),
        ("mimtpy.velcumu.startDate = 20150231", "expects a date YYYYMMDD, got '20150231'"),
        ("mimtpy.horzvert.referencepoint = 104,30.75", "expects latitude,longitude"),
        ("mimtpy.horzvert.azimuth = east", "expects a number of degrees from -360 to 360, got 'east'"),
        ("mimtpy.horzvert.azimuth = 361", "expects a number of degrees from -360 to 360, got '361'"),
        ("mimtpy.overlap.azimuth = nan", "expects a number of degrees from -360 to 360"),
        ("mimtpy.horzvert.components = east", "expects eu, enu or hu, got 'east'"),
        ("mimtpy.horzvert.north = inf", "expects a number in m/yr (m), a product (.zarr, .tif) with north, or a table"),
        ("mimtpy.overlap.northstd = -0.001", "expects a number of at least 0, in m/yr (m), got '-0.001'"),
        ("mimtpy.horzvert.northstd = good", "expects a number of at least 0, in m/yr (m), got 'good'"),
        ("mimtpy.horzvert.units = feet", "expects mm/yr, cm/yr or m/yr, got 'feet'"),
        ("mimtpy.plot.vlim = 5,-5", "expects minimum,maximum"),
        ("mimtpy.plot.fstyle = wavy", "expects s (solid) or d (dashed)"),
        ("mimtpy.coherence.type = both", "expects avgSpatialCoherence or temporalCoherence"),
    ],
)
def test_wrong_value_says_what_was_expected(line, expects):
    message = problems_of(line)
    assert message.splitlines()[1].strip().startswith("line 1: ")
    assert expects in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mimtpy.velcumu=y", "mimtpy.velocity_displacement.dataset expects at least 1, got 0"),
        (
            "mimtpy.concatenation=y\nmimtpy.concatenation.dataset=A",
            "line 2: mimtpy.concatenation.dataset expects at least 2",
        ),
        (
            "mimtpy.velcumu=y\nmimtpy.velcumu.dataset=A\nmimtpy.velcumu.startDate=20200101\nmimtpy.velcumu.endDate=20190101",
            "line 3: mimtpy.velocity_displacement.startDate must be before endDate",
        ),
        (
            "mimtpy.horzvert=y\nmimtpy.horzvert.dataset=A,B\nmimtpy.horzvert.dataname=velocity_1_2",
            "line 3: mimtpy.horzvert.dataname expects one name for each of 2 datasets, got 1",
        ),
        (
            "mimtpy.horzvert=y\nmimtpy.horzvert.dataset=A,B\nmimtpy.horzvert.dataname=velocity_1_2,displacement_1_2",
            "expects products of one type",
        ),
        ("mimtpy.horzvert=y\nmimtpy.horzvert.dataset=A,B\nmimtpy.horzvert.outname=up", "expects two names, got up"),
        (
            f"{HORZVERT}.components=enu\nmimtpy.horzvert.outname=horz,vert",
            "line 4: mimtpy.horzvert.outname expects three names, got horz, vert",
        ),
        (
            f"{HORZVERT}.components=enu\nmimtpy.horzvert.outname=e,n,e",
            "line 4: mimtpy.horzvert.outname expects three different names, got e twice",
        ),
        (
            f"{HORZVERT}.components=eu\nmimtpy.horzvert.azimuth=16",
            "components or azimuth chooses the direction, got eu and 16",
        ),
        (
            f"{HORZVERT}.azimuth=16\nmimtpy.horzvert.north=0.02",
            "line 4: mimtpy.horzvert.north is for components eu and enu",
        ),
        (
            "mimtpy.overlap=y\nmimtpy.overlap.dataset=A,B\nmimtpy.overlap.north=0.02",
            "line 3: mimtpy.overlap.north is for",
        ),
        (
            f"{HORZVERT}.components=enu\nmimtpy.horzvert.northstd=0",
            "line 4: mimtpy.horzvert.northstd 0 takes north as known",
        ),
        (f"{HORZVERT}.components=enu\nmimtpy.horzvert.north=0.02", "mimtpy.horzvert.northstd is needed for enu"),
        (f"{HORZVERT}.north=0.02\nmimtpy.horzvert.units=mm/yr", "line 4: mimtpy.horzvert.units is the unit of a table"),
        (f"{HORZVERT}.north=$NOWHERE/midas.txt", "line 3: mimtpy.horzvert.north names an environment variable"),
        (
            "mimtpy.velcumu=y\nmimtpy.velcumu.dataset=A,B,A",
            "line 2: mimtpy.velocity_displacement.dataset names A twice; name each once",
        ),
        ("mimtpy.horzvert=y\nmimtpy.horzvert.dataset=A,A", "line 2: mimtpy.horzvert.dataset names A twice"),
        ("mimtpy.plot.fcolor=b", "expects a file for each fcolor and fstyle, got 0"),
    ],
)
def test_keys_that_contradict_each_other_are_named(text, says):
    assert says in problems_of(text)


def test_geodmod_has_datasets_of_its_own_or_those_of_the_extraction():
    text = "mimtpy.geodmod = y\nmimtpy.geodmod.DataSet = A, B\nmimtpy.geodmod.SNWE = 1,2,3,4"
    step = parse_template(f"{text}\nmimtpy.geodmod.startDate = 20200101").geodmod
    assert (step.datasets, step.bbox, step.start, step.end) == (("A", "B"), (3.0, 1.0, 4.0, 2.0), "2020-01-01", None)
    both = parse_template("mimtpy.velcumu = y\nmimtpy.velcumu.dataset = C\nmimtpy.geodmod = y")
    assert both.geodmod.datasets == ("C",)
    assert "mimtpy.geodmod.dataset expects at least 1, got 0" in problems_of("mimtpy.geodmod = y")
    assert "line 5: mimtpy.geodmod.startDate must be before endDate" in problems_of(
        f"{text}\nmimtpy.geodmod.endDate = 20200101\nmimtpy.geodmod.startDate = 20200201"
    )
    assert parse_template("mimtpy.geodmod = no").geodmod is None


def test_plotpair_and_its_azimuth_are_read():
    text = "mimtpy.concatenation=y\nmimtpy.concatenation.dataset=A,B\nmimtpy.concatenation.plotpair=y"
    (step,) = parse_template(f"{text}\nmimtpy.concatenation.azimuth=-12").concatenate
    assert (step.plotpair, step.azimuth) == (True, -12.0)
    assert parse_template(text).concatenate[0].azimuth is None


def test_all_problems_are_reported_together_in_order():
    message = problems_of(
        "mimtpy.velcumu = yes\nmimtpy.velcumu.typ = x\nnonsense\nmimtpy.velcumu.mask = perhaps", path="t.txt"
    )
    lines = message.splitlines()
    assert lines[0] == "t.txt has 4 problems:"
    assert [line.strip()[:7] for line in lines[2:]] == ["line 2:", "line 3:", "line 4:"]
    assert "expected 'key = value', got 'nonsense'" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [b", "line 1: not YAML"),
        ("- a\n- b", "expected a mapping of steps"),
        ("velcumu:\n  dataset: [[A], [B]]", "line 2: velcumu.dataset expects one value or a plain list"),
        ("velcumu:\n  datasets: [A]", "line 2: velcumu.datasets is not a key; did you mean mimtpy.velcumu.dataset?"),
    ],
)
def test_yaml_problems_have_lines(text, says):
    assert says in problems_of(text, yaml=True)


def test_yaml_keeps_digits_of_names():
    template = parse_template("mimtpy:\n  velcumu: {dataset: [064], startDate: 20150201}", yaml=True)
    assert template.extract.datasets == ("064",)
    assert template.extract.start == "2015-02-01"


def test_files_of_both_formats_are_loaded(tmp_path: Path):
    text, yaml = tmp_path / "mimtpyApp.template", tmp_path / "app.yml"
    text.write_text(SEED)
    yaml.write_text(YAML)
    assert load_template(text).extract == load_template(yaml).extract
    assert load_template(text).path == str(text)


def test_missing_and_binary_files_are_template_errors(tmp_path: Path):
    with pytest.raises(TemplateError, match=r"cannot read the template .*nothing"):
        load_template(tmp_path / "nothing.template")
    (tmp_path / "binary").write_bytes(b"\x89HDF\r\n\xff")
    with pytest.raises(TemplateError, match="cannot read the template"):
        load_template(tmp_path / "binary")


@given(st.text(max_size=200), st.booleans())
def test_any_text_gives_a_template_or_a_template_error(text, yaml):
    error = ""
    try:
        parse_template(text, yaml=yaml)
    except TemplateError as caught:
        error = str(caught)
    assert not error or error.startswith("template has")


def test_one_dataset_with_two_products_is_no_duplicate():
    text = "mimtpy.horzvert=y\nmimtpy.horzvert.dataset=A,A\nmimtpy.horzvert.dataname=velocity_1_2,velocity_3_4"
    assert parse_template(text).horzvert.datasets == ("A", "A")


def test_brackets_of_a_wildcard_are_no_list():
    def datasets(text):
        return parse_template(f"mimtpy.velcumu = y\nmimtpy.velcumu.dataset = {text}").extract.datasets

    assert datasets("[AD]064, A137") == ("[AD]064", "A137")
    assert datasets("[AD]064, A[1]*") == ("[AD]064", "A[1]*")
    assert datasets("[A064, A137]") == ("A064", "A137")


def test_two_outnames_differ():
    lines = "mimtpy.horzvert = y\nmimtpy.horzvert.dataset = a, b\nmimtpy.horzvert.outname = h,h"
    assert "line 3: mimtpy.horzvert.outname expects two different names, got h twice" in problems_of(lines)
