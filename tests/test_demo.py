"""The whole chain on synthetic tracks."""

import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mimtpy_cloud.catalog.index import open_catalog
from mimtpy_cloud.cli import demo, pipeline
from mimtpy_cloud.cli.app import cli
from mimtpy_cloud.cli.pipeline import StepResult
from mimtpy_cloud.errors import MimtpyError


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, dict[str, demo.Recovery]]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, {r.product: r for r in demo.run_demo(folder, resolution="veryLowRes", noise=0.0)}


def expand(word: str) -> list[str]:
    """What a shell makes of a word."""
    return [str(p) for p in Path("/").glob(word.lstrip("/"))] if "*" in word else [word]


class Page(HTMLParser):
    """Collects what the page refers to, and its commands."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: set[str] = set()
        self.commands: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.sources += [value for key, value in attrs if key in ("src", "href")]
        self.open.append(tag)

    def handle_endtag(self, tag):
        self.open = self.open[: len(self.open) - self.open[::-1].index(tag) - 1]

    def handle_data(self, data):
        if "pre" in self.open:
            self.commands += [line for line in data.splitlines() if line.startswith("mimtpy ")]


def test_without_noise_every_track_gives_the_truth(made):
    tracks = [r for name, r in made[1].items() if name.startswith("line of sight, DemoSen")]
    assert len(tracks) == 4
    for r in tracks:
        assert r.pixels > 30_000
        assert r.rms < 1e-6
        assert r.expected < 1e-6


def test_without_noise_east_and_up_are_within_what_two_directions_can_tell(made):
    east, up = made[1]["east"], made[1]["up"]
    assert min(east.pixels, up.pixels) > 50_000
    assert 0 < east.rms < 0.3e-3  # north is neglected, and a datum along the look is no constant
    assert 0 < up.rms < 0.8e-3
    for name in ("mosaic of DemoSenAT064 and DemoSenAT137", "mosaic of DemoSenDT071 and DemoSenDT144"):
        assert made[1][f"line of sight, {name}"].rms < 0.5e-3  # two incidence angles, one offset


def test_the_tracks_overlap_and_span_several_bands(made):
    entries = open_catalog(made[0] / "root").search()
    assert sorted(e.track for e in entries) == ["A064", "A137", "D071", "D144"]
    assert {e.project for e in entries} == {"DemoSenAT064", "DemoSenAT137", "DemoSenDT071", "DemoSenDT144"}
    assert all(len(e.bands) == 3 and len(e.dates) == 16 for e in entries)
    assert len(list(made[0].glob("data/*/mintpy/S1_IW123_*.he5"))) == 4


def test_the_page_holds_everything_itself(made):
    text = (made[0] / "summary.html").read_text()
    page = Page(text)
    assert len(page.sources) == 11  # four tracks, two mosaics, east and up, their vectors, and the comparison
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in page.sources)
    assert not page.tags & {"script", "link", "iframe"}
    assert not page.open
    for r in made[1].values():
        assert r.store in text


def test_the_commands_on_the_page_work(made):
    commands = Page((made[0] / "summary.html").read_text()).commands
    assert [c.split()[1] for c in commands] == ["ingest", "catalog", "run"]
    for command in commands:
        args = [found for word in shlex.split(command)[1:] for found in expand(word)]
        result = CliRunner().invoke(cli, [*args, "--dry-run"] if args[0] == "run" else args)
        assert result.exit_code == 0, result.output


def test_the_notebook_of_the_readme_runs_on_the_demo(made, tmp_path, monkeypatch):
    readme = Path(__file__).resolve().parents[1] / "README.md"
    (code,) = re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
    (tmp_path / "demo").symlink_to(made[0])
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(code, names)
    assert (tmp_path / "east.png").stat().st_size > 10_000
    east = names["motion"]["east"].values
    assert np.isfinite(east).sum() > 10_000
    assert np.nanmax(np.abs(east)) < 0.05


def test_tracks_of_the_demo_share_a_datum(made, caplog):
    results = pipeline.run_template(
        made[0] / "mimtpyApp.template", root=str(made[0] / "root"), out=str(made[0] / "products"), steps=["horzvert"]
    )
    assert [r.error for r in results] == [""]
    assert not caplog.messages


def test_a_step_that_fails_is_named(made, monkeypatch):
    files = list(made[0].glob("data/*/mintpy/S1_*.he5"))
    failed = StepResult("horzvert", "mosaic+mosaic", "failed", (), "no overlap")
    monkeypatch.setattr(demo, "write_tracks", lambda *_, **__: files)
    monkeypatch.setattr(pipeline, "run_template", lambda *_, **__: [failed])
    with pytest.raises(MimtpyError, match=r"mimtpyApp\.template: horzvert of mosaic\+mosaic: no overlap"):
        demo.run_demo(made[0], resolution="veryLowRes")
