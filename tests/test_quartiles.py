"""Quartiles and robust scaling of rows that are read block by block: those of all rows at once, to the last bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linreg.data import quartiles
from linreg.data.blocks import ArrayRows, complete
from linreg.data.scaling import fitted_to

preprocessing = pytest.importorskip("sklearn.preprocessing", reason="scikit-learn is not installed")


def assert_like_all_at_once(X, size):
    ours = fitted_to(ArrayRows(X, np.zeros(len(X)), tuple(map(str, range(X.shape[1]))), size=size), "robust")
    theirs = preprocessing.RobustScaler().fit(X[np.isfinite(X).all(axis=1)])
    np.testing.assert_array_equal(ours.center_, theirs.center_)
    np.testing.assert_array_equal(ours.scale_, theirs.scale_)


VALUES = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 1 / 3]),
    st.floats(-1e100, 1e100),
)


@given(
    st.lists(st.tuples(VALUES, VALUES, st.sampled_from([1.0, 2.0, np.nan])), min_size=1, max_size=60).filter(
        lambda rows: any(row[2] == row[2] for row in rows)
    ),
    st.integers(1, 20),
)
def test_the_scaler_of_blocks_is_that_of_all_rows(rows, size):
    assert_like_all_at_once(np.array(rows), size)


def columns(rows):
    draw = np.random.default_rng(3)
    return np.column_stack(
        [
            np.sort(draw.normal(size=rows)),
            draw.integers(0, 2, rows),
            draw.standard_cauchy(rows),
            np.full(rows, 7.0),
            np.where(draw.random(rows) < 0.25, draw.normal(size=rows), 0.0),
        ]
    )


@pytest.mark.parametrize("rows", [60_000, 60_001, 60_002, 60_003])
def test_of_many_rows_a_sample_says_where_the_quartiles_lie(monkeypatch, rows):
    monkeypatch.setattr(quartiles, "BLOCK_BYTES", 8 * 5 * 5000)  # a sample of 5,000 rows
    assert_like_all_at_once(columns(rows), 7000)


def test_a_sample_that_was_wrong_costs_a_pass_and_no_bit(monkeypatch):
    monkeypatch.setattr(quartiles, "BLOCK_BYTES", 8 * 5 * 1000)
    monkeypatch.setattr(quartiles, "DEVIATIONS", (0.0, np.inf))
    assert_like_all_at_once(columns(20_000), 20_000)
    X, passes = columns(20_000), []
    quartiles.quartiles(ArrayRows(X, X[:, 0], tuple("abcde"), size=20_000), complete, passes.append)
    assert len(passes) == 3  # the sample, ranges that were too narrow, all values


def test_little_is_held_of_many_rows(monkeypatch):
    monkeypatch.setattr(quartiles, "BLOCK_BYTES", 8 * 5 * 5000)
    held = []
    look = quartiles._Between.look

    def looked(self, values):
        look(self, values)
        held.append(sum(map(len, self.values)))

    monkeypatch.setattr(quartiles._Between, "look", looked)
    X = columns(60_000)
    quartiles.quartiles(ArrayRows(X, X[:, 0], tuple("abcde"), size=7000), complete, lambda _: None)
    # Ten standard deviations of a median's rank among 5,000, 35, and four more, of 5,000: 7.2 %; twice that is allowed.
    assert max(held) < 2 * 0.072 * 60_000
