"""Common advice, checked (docs/advice.md): runs of NumPy and tf.keras decide the claims alike, and as the page says."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the package benchmarks.advice

from benchmarks.advice import runs
from benchmarks.advice.claims import CLAIMS, CONDITION, FALSE, NOT_DECIDED, TRUE

ROOT = Path(__file__).parents[1]
KEPT = runs.kept(ROOT / "docs" / "advice.json")
TRIALS = {(claim.name, trial.name): trial for claim in CLAIMS for trial in claim.trials}
DIGITS = 5e-3
"""The page shows three digits: what is off by more than half of the last one shows."""


def assert_shows_the_same(seen, kept, trial):
    assert (seen.not_finite_from, bool(seen.refused)) == (kept.not_finite_from, bool(kept.refused))
    if seen.first is not None:
        assert seen.first == pytest.approx(kept.first, rel=DIGITS)
    if seen.last is not None:
        # Where the optimum meets every row, what is left is the rounding of predictions, squared.
        rounding = (8 * np.finfo(np.float32).eps * np.abs(np.asarray(trial.y, float)).max()) ** 2
        assert seen.last == pytest.approx(kept.last, rel=DIGITS, abs=rounding)


def test_the_file_has_every_run_and_no_other():
    assert list(KEPT) == list(TRIALS)


def test_the_page_has_every_claim():
    page = (ROOT / "docs" / "advice.md").read_text(encoding="utf-8")
    assert [claim.name for claim in CLAIMS] == [
        line.split('"')[1] for line in page.splitlines() if line.startswith('shown("')
    ]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_numpy_and_keras_decide_a_claim_alike(claim):
    labels = {
        claim.judge({trial.name: see(trial) for trial in claim.trials})[0]
        for see in (runs.in_numpy, lambda trial: KEPT[claim.name, trial.name])
    }
    assert len(labels) == 1
    assert labels <= {TRUE, CONDITION, FALSE}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_claim_whose_runs_are_others_is_not_decided(claim):
    """Every run the same, falling steadily or not finite at once: no claim is decided by either."""
    falling = runs.Seen.of([2.0, 1.5, 1.0])
    broken = runs.Seen.of([np.nan, np.nan])
    labels = [claim.judge({trial.name: seen for trial in claim.trials})[0] for seen in (falling, broken)]
    assert NOT_DECIDED[0] in labels


@pytest.mark.parametrize("key", TRIALS, ids=": ".join)
def test_numpy_shows_what_keras_showed(key):
    assert_shows_the_same(runs.in_numpy(TRIALS[key]), KEPT[key], TRIALS[key])


@pytest.mark.parametrize("key", TRIALS, ids=": ".join)
def test_keras_shows_what_it_showed(keras, key):
    assert_shows_the_same(runs.in_keras(TRIALS[key]), KEPT[key], TRIALS[key])


def test_what_losses_show():
    # Two rises, then nan.
    seen = runs.Seen.of([2.0, 1.0, 4.0, 8.0, np.inf, np.nan])
    assert (seen.first, seen.last, seen.highest, seen.not_finite_from) == (2.0, None, 8.0, 5)
    assert seen.rises == 2  # to 4 and to 8
    assert not seen.falls
    assert seen.words == "not finite from epoch 5"
    assert runs.Seen.of([2.0, 3.0, 1.0]).words == "2 → 1"
    assert not runs.Seen.of([2.0, 3.0, 1.0]).never_rises
