"""Code in the documentation is run: what building a page does not run is run here, and prints what the page shows.

A block of `text` shows what the block before it prints. `console` is for what changes the environment (pip) or takes
hours; nobody runs it here.
"""

import contextlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from cupy_double import in_place_of_cupy

from linreg import cli
from linreg.cli import bench
from linreg.keras.behaviours import registry
from linreg.keras.parity import document
from linreg.optimizers import OPTIMIZERS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT))  # for the package benchmarks

BLOCK = re.compile(r"^( *)```(\{code-cell\}|python|pycon|sh|text)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
RUN_ELSEWHERE = {
    "dynamics.md": "tests/test_dynamics.py", "keras.md": "tests/test_keras_page.py",
    "bad-files.md": "tests/test_bad_files.py",
}  # fmt: skip
SHOWN_ELSEWHERE = {"diagnosis.md": "tests/test_readme.py"}
"""Pages of which the blocks of text are held there."""


def blocks(page):
    """Yield (language, code) of a page; options of a cell are left out, and cells that only show a picture."""
    for _, language, code in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        options, rest = re.match(r"(---\n.*?---\n|(?: *:[^\n]*\n)*)(.*)", textwrap.dedent(code), re.DOTALL).groups()
        if "remove-input" not in options:
            yield language.strip("{}"), rest


PAGES = {str(page.relative_to(DOCS)): [*blocks(page.relative_to(DOCS))] for page in sorted(DOCS.rglob("*.md"))}
TO_RUN = [
    page for page, parts in PAGES.items()
    if page not in RUN_ELSEWHERE and any(language in ("python", "sh") for language, _ in parts)
]  # fmt: skip


@pytest.fixture
def given(tmp_path, monkeypatch):
    """What pages presume: a folder to work in, a table FILE with a column COL, X and y; the files of tables.md."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    y = X @ [1.0, -2.0] + 3 + 0.1 * rng.normal(size=40)
    np.savetxt("my.csv", np.column_stack([X, y]), delimiter=",", header="a,b,y", comments="")
    polars = pytest.importorskip("polars", reason="tables need polars: pip install 'linreg[data]'")
    for name in ("rows.parquet", "held-out.parquet"):
        polars.read_csv("my.csv").write_parquet(name)
    flats = polars.DataFrame({"size": [31.0, None, 64.0], "town": ["Bonn", "Graz", "Ulm"], "price": [1.0, 2.0, 3.0]})
    flats.write_csv("2023.csv")
    flats.write_parquet("2024-1.parquet")
    flats.drop("price").drop_nulls().write_csv("new.csv")
    return {"X": X, "y": y}


@pytest.fixture
def small(monkeypatch):
    """What takes minutes does little: two known behaviours, and one case of 64 rows in the place of the benchmark's."""
    from benchmarks.hot_loop import measure, run
    from benchmarks.hot_loop.peers import BARE_CALLS, NUMPY, PEERS
    from benchmarks.hot_loop.table import Case

    for module in (registry, document):
        monkeypatch.setattr(module, "BEHAVIOURS", registry.BEHAVIOURS[:2])
    case = Case("SGD", "MSE", 64, 2, 32, "float32")
    job = run.Job("cases", case.name, partial(measure.measure, case, [PEERS[NUMPY], PEERS[BARE_CALLS]], each=1e-4))
    monkeypatch.setattr(bench, "_folders", lambda: [ROOT])
    monkeypatch.setattr(run, "jobs", lambda *_: [job])


LESS = {
    "parity": ["--rules", "momentum", "--examples", "1", "--one-setting"],
    "study": ["--epochs", "3"],
    "bench": ["--slowdown", "100"],
}
"""Options that leave a command less to do; timings of a busy machine are not what is asked for."""


def called(line):
    """Run a command of a page, with less to do, and return its exit code."""
    words = shlex.split(line.replace("FILE", "norris").replace("COL", "y"), comments=True)
    if words[0] != "linreg":
        assert words[0] == "diff", line
        return subprocess.run(words, check=True).returncode  # noqa: S603 (our own text; what differs is a failure)
    less = [] if {"--model", "--steps"} & {*words} else LESS.get(words[1], [])
    return cli.run([*words[1:], *less])


def ran(language, code, names, page):
    if language == "sh":
        for line in code.splitlines():
            assert called(line) in (0, cli.FOUND), line
    else:
        exec(compile(code, page, "exec"), names)  # noqa: S102 (our own text)


def squeezed(text):
    return " ".join(text.split())


@pytest.mark.parametrize("page", TO_RUN)
def test_what_a_page_shows_is_what_happens(page, request, given, small, capsys):
    parts, names = PAGES[page], {"__name__": "page", **given}
    code = "".join(code for _, code in parts)
    if re.search(r"tensorflow|linreg\.keras|linreg parity", code):
        keras = request.getfixturevalue("keras")
        keras.utils.set_random_seed(0)
        saved = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        saved.compile("sgd", "mse")
        saved.save("my.keras")
    if "numba" in code and importlib.util.find_spec("numba") is None:
        pytest.skip("Numba is not installed: pip install 'linreg[fast]'")
    if "dask" in code and importlib.util.find_spec("dask") is None:
        pytest.skip("Dask is not installed: pip install 'linreg[dask]'")
    gpu = in_place_of_cupy() if "cupy" in code else contextlib.nullcontext()
    printed = ""
    with gpu, patch.dict(OPTIMIZERS):  # pages make new rules known
        for language, code in parts:
            if language == "text":
                if page in SHOWN_ELSEWHERE:
                    continue
                for line in filter(None, map(squeezed, code.splitlines())):
                    assert line in printed
                continue
            with contextlib.redirect_stdout(io.StringIO()) as out:
                ran(language, code, names, page)
            printed = squeezed(out.getvalue() + capsys.readouterr().out)


def test_code_that_is_run_elsewhere_is():
    for page, test in (RUN_ELSEWHERE | SHOWN_ELSEWHERE).items():
        assert f"{Path(page).name}" in (ROOT / test).read_text(encoding="utf-8")


def test_pages_with_cells_are_run_when_they_are_built_and_stop_it_where_they_fail():
    configured = (DOCS / "conf.py").read_text(encoding="utf-8")
    assert 'nb_execution_mode = "force"' in configured
    assert "nb_execution_raise_on_error = True" in configured
    for page in PAGES:
        text = (DOCS / page).read_text(encoding="utf-8")
        assert text.startswith("---\nfile_format: mystnb\n") == ("```{code-cell}" in text), page
