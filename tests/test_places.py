"""Where commands write: over nothing that they read or write elsewhere, and never after work that could be lost."""

import errno
import json
import os

import pytest

from linreg import cli

pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
pytest.importorskip("typer", reason="Typer is not installed: pip install 'linreg[cli]'")
pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'linreg[plot]'")

ROWS = "a,b,y\n" + "".join(f"{i % 3},{i % 5},{i}\n" for i in range(20))


def call(capsys, *arguments):
    code = cli.run(list(map(str, arguments)))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with files that no command reads without saying so: none is what its ending says."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "parts"
    folder.mkdir()
    for name in ("rows.csv", "d.npz", "m.npz", "k.keras", "old.json", "v.csv", "part-1.csv", "parts/a.npz", "l.csv"):
        (tmp_path / name).write_text(f"no table and no model: {name}")
    (tmp_path / "link.npz").symlink_to("d.npz")
    (tmp_path / "link.html").symlink_to("rows.csv")
    (tmp_path / "hard.npz").hardlink_to(tmp_path / "d.npz")
    (tmp_path / "other.svg").symlink_to("new.npz")
    (tmp_path / "round").symlink_to(".")
    return tmp_path


FIT = ["fit", "d.npz", "--target", "y"]
REFUSED = {
    "fit --save": ([*FIT, "--save", "d.npz"], "--save 'd.npz' would overwrite 'd.npz', which is read"),
    "another spelling": ([*FIT, "--save", "./d.npz"], "--save 'd.npz' would overwrite 'd.npz'"),
    "a link": ([*FIT, "--save", "link.npz"], "--save 'link.npz' would overwrite 'd.npz'"),
    "a hard link": ([*FIT, "--save", "hard.npz"], "--save 'hard.npz' would overwrite 'd.npz'"),
    "a pattern": (
        ["fit", "m*.npz", "--target", "y", "--save", "m.npz"], "--save 'm.npz' would overwrite 'm.npz'"
    ),
    "in a folder": (
        ["fit", "parts", "--target", "y", "--dask", "threads", "--checkpoint", "parts/a.npz"],
        "--checkpoint 'parts/a.npz' would overwrite 'parts', which is read",
    ),
    "fit --checkpoint": ([*FIT, "--checkpoint", "d.npz"], "--checkpoint 'd.npz' would overwrite 'd.npz'"),
    "two that are there": (
        [*FIT, "--checkpoint", "m.npz", "--save", "m.npz"],
        "--save 'm.npz' and --checkpoint 'm.npz' are one file: give each its own",
    ),
    "two that are not": (
        [*FIT, "--checkpoint", "round/new.npz", "--save", "new.npz"],
        "--save 'new.npz' and --checkpoint 'round/new.npz' are one file",
    ),
    "through a link to nothing": (
        [*FIT, "--save", "new.npz", "--plot", "other.svg"], "--save 'new.npz' and --plot 'other.svg' are one file"
    ),
    "predict --out": (
        ["predict", "m.npz", "rows.csv", "--out", "rows.csv"], "--out 'rows.csv' would overwrite 'rows.csv'"
    ),
    "why --html": (
        ["why", "rows.csv", "--target", "y", "--html", "link.html"], "--html 'link.html' would overwrite 'rows.csv'"
    ),
    "why --validation": (
        ["why", "rows.csv", "--target", "y", "--validation", "v.csv", "--html", "v.csv"], "would overwrite 'v.csv'"
    ),
    "why --model": (
        ["why", "rows.csv", "--target", "y", "--model", "k.keras", "--html", "k.keras"], "would overwrite 'k.keras'"
    ),
    "why --history": (["why", "--history", "l.csv", "--html", "l.csv"], "--html 'l.csv' would overwrite 'l.csv'"),
    "study --trace": (
        ["study", "rows.csv", "--target", "y", "--steps", "1", "--trace", "rows.csv"],
        "--trace 'rows.csv' would overwrite 'rows.csv'",
    ),
    "study --html": (
        ["study", "rows.csv", "--target", "y", "--html", "rows.csv"], "--html 'rows.csv' would overwrite 'rows.csv'"
    ),
    "study's two": (
        ["study", "rows.csv", "--target", "y", "--html", "x.gif", "--animate", "./x.gif"],
        "--html 'x.gif' and --animate 'x.gif' are one file",
    ),
    "bench --save": (["bench", "--compare", "old.json", "--save", "old.json"], "--save 'old.json' would overwrite"),
    "bench's two": (["bench", "--save", "x", "--html", "x"], "--save 'x' and --html 'x' are one file"),
    "parity --save": (
        ["parity", "--model", "k.keras", "--data", "rows.csv", "--target", "y", "--save", "k.keras"],
        "--save 'k.keras' would overwrite 'k.keras'",
    ),
    "parity --html": (
        ["parity", "--model", "k.keras", "--data", "rows.csv", "--target", "y", "--html", "rows.csv"],
        "--html 'rows.csv' would overwrite 'rows.csv'",
    ),
    "a pipe": ([*FIT, "--save", "pipe.npz"], "--save 'pipe.npz' is no regular file: choose another path"),
    "a pipe for a page": (
        ["why", "rows.csv", "--target", "y", "--html", "pipe.npz"], "--html 'pipe.npz' is no regular file"
    ),
    "a device": (
        ["study", "rows.csv", "--target", "y", "--html", "/dev/null"], "--html '/dev/null' is no regular file"
    ),
    "a folder": ([*FIT, "--checkpoint", "folder.npz"], "'folder.npz' is a folder: give the name of a file"),
    "no folder": (
        [*FIT, "--checkpoint", "nowhere/run.npz"], "There is no folder 'nowhere' to put 'run.npz' in: make it first."
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_cost_a_file_is_refused_before_any_work(here, capsys, case):
    arguments, words = REFUSED[case]
    if case.startswith("a "):
        if os.name != "posix":
            pytest.skip("Windows has no pipes and devices among its files")
        os.mkfifo(here / "pipe.npz")
    (here / "folder.npz").mkdir()
    before = {path: path.is_file() and path.read_bytes() for path in here.rglob("*")}
    code, out, err = call(capsys, *arguments)
    assert (code, out, err.count("\n")) == (cli.FAILED, "", 1)
    assert words in err
    assert {path: path.is_file() and path.read_bytes() for path in here.rglob("*")} == before


@pytest.mark.parametrize("option", ["--save", "--checkpoint", "--plot"])
def test_a_folder_that_takes_no_file_is_told_before_training(tmp_path, capsys, monkeypatch, option):
    (tmp_path / "rows.csv").write_text(ROWS)

    def read_only(file):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("linreg.whole_files._create", read_only)
    monkeypatch.setattr("linreg.regression.LinearRegression.fit", lambda *_: pytest.fail("it was trained"))
    path = tmp_path / ("loss.png" if option == "--plot" else "x.npz")
    code, out, err = call(capsys, "fit", tmp_path / "rows.csv", "--target", "y", option, path)
    assert (code, out) == (cli.FAILED, "")
    assert err == f"linreg: {str(path)!r} cannot be written (Read-only file system): choose another path.\n"


@pytest.mark.parametrize("as_json", [False, True], ids=["words", "JSON"])
def test_the_report_is_printed_and_the_curve_drawn_where_saving_fails(tmp_path, capsys, monkeypatch, as_json):
    (tmp_path / "rows.csv").write_text(ROWS)
    run = ["fit", tmp_path / "rows.csv", "--target", "y", "--scale", "standard", *(["--json"] if as_json else [])]
    code, known, _ = call(capsys, *run)
    assert code == 0

    def full(target, write, **_):
        raise OSError(errno.ENOSPC, f"{target.name}: full")

    monkeypatch.setattr("linreg.archives.write_whole", full)
    code, out, err = call(capsys, *run, "--save", tmp_path / "m.npz", "--plot", tmp_path / "loss.svg")
    assert (code, out, err) == (cli.FAILED, known, "linreg: [Errno 28] m.npz: full\n")
    assert json.loads(out)["coefficients"] if as_json else "Coefficients" in out
    assert {path.name for path in tmp_path.iterdir()} == {"rows.csv", "loss.svg"}


def test_a_page_that_cannot_be_written_costs_no_answer(tmp_path, capsys, monkeypatch):
    (tmp_path / "rows.csv").write_text(ROWS)
    run = ["why", tmp_path / "rows.csv", "--target", "y", "--epochs", "3"]
    _, known, _ = call(capsys, *run)

    def full(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("linreg.whole_files._to_disk", full)
    code, out, err = call(capsys, *run, "--html", tmp_path / "page.html")
    page = str(tmp_path / "page.html")
    assert (code, out) == (cli.FAILED, known)
    assert err == f"linreg: {page!r} cannot be written (No space left on device): choose another path.\n"


def test_a_link_that_leads_elsewhere_is_replaced_and_what_it_led_to_is_left_alone(tmp_path, capsys):
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "m.npz").symlink_to("elsewhere")
    code, _, _ = call(
        capsys, "fit", tmp_path / "rows.csv", "--target", "y", "--scale", "standard", "--save", tmp_path / "m.npz"
    )
    assert code == 0
    assert (tmp_path / "elsewhere").read_text() == "mine"
    assert not (tmp_path / "m.npz").is_symlink()


@pytest.mark.parametrize("every", ["0", "often", "-3", "1.5", "9" * 5000])
def test_every_that_cannot_be_meant_is_refused_by_its_name(capsys, every):
    code, out, err = call(capsys, "fit", "norris", "--target", "y", "--checkpoint", "run.npz", "--every", every)
    assert (code, out, err.count("\n")) == (cli.FAILED, "", 1)
    assert err.startswith("linreg: --every must be a number of epochs from 1 on, as 10, or a time, as 30s")
    assert len(err) < 200
