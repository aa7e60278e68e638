"""What tf.keras really does: every claim tested live, and every test of a claim made to fail."""

import random
import subprocess
import sys

import keras_changes
import numpy as np
import pytest

from linreg.keras.behaviours import BEHAVIOURS, THEMES, Behaviour, Comparison, Observation, observed, registry

NAMES = {known.name: known for known in BEHAVIOURS}


@pytest.fixture
def float32_afterwards(keras):
    yield
    keras.config.set_floatx("float32")


@pytest.mark.parametrize("name", NAMES)
def test_claim_holds(keras, name):
    seen = NAMES[name].check(keras)
    assert seen.as_known, seen.shown
    assert seen.shown


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("float32_afterwards")
def test_claim_is_noticed_to_be_wrong_of_a_keras_that_behaves_otherwise(keras, monkeypatch, name):
    with monkeypatch.context() as patch:
        keras_changes.CHANGES[name](keras, patch)
        seen = NAMES[name].check(keras)
    assert not seen.as_known, seen.shown


def test_every_claim_has_a_change_and_a_theme_and_reads_like_one():
    assert list(keras_changes.CHANGES) == list(NAMES)  # in the same order
    assert len(NAMES) == len(BEHAVIOURS)
    assert {known.theme for known in BEHAVIOURS} == set(THEMES)
    for known in BEHAVIOURS:
        assert known.claim.endswith("."), known
        assert len(known.claim.partition(". ")[0]) <= 110, known  # the headline of the page
        assert known.check.__name__ == "_" + known.name.replace("-", "_")


def test_checks_leave_the_generators_of_python_and_numpy_where_they_were(keras):
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    for name in ("the-order-follows-from-the-seed", "the-weights-follow-from-the-seed"):
        NAMES[name].check(keras)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002


def test_a_test_that_fails_to_run_counts_as_changed(keras, monkeypatch):
    def broken(keras):
        raise RuntimeError("no\nsuch thing")

    works = Behaviour("works", "It works.", lambda keras: Observation(True, "1"))
    monkeypatch.setattr(registry, "BEHAVIOURS", [Behaviour("broken", "It breaks.", broken), works])
    (_, first), (_, second) = observed()
    assert first == Observation(False, "it could not be tested: RuntimeError: no such thing")
    assert second.as_known


def test_list_can_be_read_without_tensorflow():
    code = "import sys, linreg.keras.behaviours as b; print(len(b.BEHAVIOURS), 'tensorflow' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 (ours)
    assert ran.stdout.split() == [str(len(BEHAVIOURS)), "False"]


def compared(seen, within=1e-6, **formulas):
    return Comparison(seen, formulas, within)


def test_comparison_tells_which_formula_was_followed():
    told = compared((1.0, 2.0), known=(1.0, 2.0), other=(1.0, 3.0))
    assert told.as_known
    assert told.followed([1, 3 * (1 + 0.9e-6)]) == "other"
    assert told.followed([1, 2.5]) is None
    assert told.followed([1]) is None
    assert told.shown == "[1, 2]; other: [1, 3]"
    assert compared((3.0,), known=(1.0,), other=(3.0,)).shown == "3 (known: 1); other: 3"
    assert not compared((3.0,), known=(1.0,), other=(3.0,)).as_known


def test_comparison_knows_nan_and_infinity():
    told = compared((np.nan,), known=(np.nan,), large=(np.inf,), small=(1e38,))
    assert told.as_known
    assert told.followed([np.inf]) == "large"
    assert told.followed([-np.inf]) is None
    assert told.followed([1e38]) == "small"


def test_comparison_writes_as_many_digits_as_tell_the_formulas_apart():
    assert compared((0.1,), within=0, known=(0.1,), other=(np.float32(0.1),)).shown == "0.1; other: 0.100000001"
    assert compared((-0.0,), known=(0.0,), other=(1.0,)).shown == "0; other: 1"
    assert compared(tuple(range(9)), known=tuple(range(9)), other=(0.0,)).shown == "[0, 1, 2, 3, 4, ...]; other: 0"


def test_formulas_that_cannot_be_told_apart_are_refused():
    with pytest.raises(ValueError, match=r"'known' and 'other' give the same numbers here"):
        compared((1.0,), known=(1.0,), other=(1 + 1.9e-6,))
    assert compared((1.0,), known=(1.0,), other=(1 + 2.1e-6,)).as_known
