"""Every remedy as code, one after the other: each block runs where X and y are, and ends where its trial did."""

import re

import numpy as np
import pandas as pd
import pytest

from linreg import L2, SGD, Adam, MeanSquaredError, diagnose
from linreg.diagnosis.code import listing

pytest.importorskip("sklearn", reason="remedies are scikit-learn's transformers: pip install 'linreg[data]'")

ROWS = 60
RANDOM = np.random.default_rng(0)
Z, NOISE = RANDOM.normal(size=(ROWS, 3)), RANDOM.normal(size=ROWS)
LINE = Z @ [1.0, -2.0, 3.0] + 5 + 0.1 * NOISE
HOSTILE = "x\n1; raise SystemExit\r\x1b[2J\u2028#"
FILLED = Z.copy()
FILLED[::9, 1] = np.nan
CASES = {
    "scale": (Z * [1, 50, 3] + [0, 100, 0], LINE, {}),
    "gaps": (FILLED, LINE, {"optimizer": SGD(0.05)}),
    "text": (pd.DataFrame({"a": [f"{v:.3f} kg" for v in Z[:, 0]], "b": Z[:, 1]}), LINE, {}),
    "hostile names": (
        pd.DataFrame({"a": Z[:, 0], HOSTILE: Z[:, 0], "b": ["red", "blue", "green"] * 20}),
        LINE,
        {"optimizer": SGD(0.9)},
    ),
    "twins": (np.column_stack([Z, Z[:, 0] + 1e-3 * NOISE[::-1]]), Z @ [1.0, 2, 3] + NOISE, {}),
    "target": (Z, 1000 * LINE, {"optimizer": Adam(0.01)}),
    "rate": (Z, LINE, {"optimizer": SGD(5.0)}),
    "momentum": (Z, LINE, {"optimizer": SGD(0.1, momentum=0.999)}),
    "outliers": (Z, np.where(np.arange(ROWS) % 20 == 3, 500.0, LINE), {}),
    "sum": (Z, LINE, {"optimizer": SGD(0.05), "loss": MeanSquaredError(reduction="sum")}),
    "penalty": (Z, LINE, {"kernel_regularizer": L2(100.0)}),
}


def diagnosed(name):
    X, y, settings = CASES[name]
    return diagnose(X, y, **{"epochs": 30, "batch_size": ROWS, "shuffle": False, "random_state": 0, **settings})


def blocks_of(text):
    """The listing taken apart at its titles: title and code."""
    parts = re.split(r"^# (\w+: .+)\n", text, flags=re.MULTILINE)
    assert parts[0] == ""
    return list(zip(parts[1::2], parts[2::2], strict=True))


def run(code, name):
    X, y, _ = CASES[name]
    names = {"X": X, "y": y}
    exec(code, names)  # noqa: S102
    return names


def written(block):
    return any(line and not line.startswith("#") for line in block.splitlines())


@pytest.mark.parametrize("name", CASES)
def test_every_block_of_the_listing_runs_and_ends_where_its_remedy_was_tried(name, capsys):
    found = diagnosed(name)
    titles = [(f"{one.cause}: {remedy.name}", remedy) for one in found.findings for remedy in one.remedies]
    blocks = blocks_of(listing(found, "python"))
    assert [title for title, _ in blocks] == [title for title, _ in titles]
    assert written(blocks[0][1])
    for (_, block), (title, remedy) in zip(blocks, titles, strict=True):
        if not written(block):
            assert not remedy.changes or "# The code is that of " in block
            continue
        left = run(block, name)
        assert "intercept:" in capsys.readouterr().out
        if remedy.after is not None and remedy.after.healthy:
            # It learns what the remedy learned: the same coefficients, if not in the units of the features as given.
            model = getattr(left["model"], "regressor_", left["model"])
            model = model[-1] if hasattr(model, "steps") else model
            got = np.append(model.coef_, [model.intercept_] * model.fit_intercept)
            assert got == pytest.approx(remedy.after.parameters, rel=1e-3, abs=1e-3), title


@pytest.mark.parametrize("name", CASES)
def test_the_whole_listing_can_be_pasted_at_once(name):
    text = listing(diagnosed(name), "python")
    assert max(map(len, (line for line in text.splitlines() if line.startswith("# ")))) <= 79
    run(text, name)


def test_names_out_of_a_file_stay_in_their_comments():
    text = listing(diagnosed("hostile names"), "python")
    assert "raise SystemExit" in re.sub(r"\n# ", " ", text)
    for line in text.splitlines():
        assert line.isprintable() or not line
        assert "SystemExit" not in line or line.startswith("# ")


def test_what_two_findings_have_in_common_stands_once():
    text = listing(diagnosed("scale"), "python")
    scripts = [block.split("\n", 1)[1] for _, block in blocks_of(text) if written(block)]
    assert len(scripts) == len(set(scripts))


def test_a_run_with_nothing_wrong_has_no_listing():
    assert listing(diagnose(Z, LINE, optimizer=SGD(0.3), epochs=100, random_state=0), "python") == ""


@pytest.mark.parametrize("name", ["scale", "gaps", "outliers"])
def test_every_block_runs_in_keras(keras, name):
    blocks = blocks_of(listing(diagnosed(name), "keras"))
    assert written(blocks[0][1])
    for _, block in blocks:
        if written(block):
            assert np.isfinite(run(block, name)["coef"]).all()
