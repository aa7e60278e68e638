"""Runs on moments: those on all rows up to a rounding that is computed; what moments cannot do is told in one line."""

from __future__ import annotations

import dataclasses
import doctest
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linreg import L1, L2, SGD, Adam, Huber, LinearRegression, MeanSquaredError, RMSprop, schedules, sweep
from linreg.callbacks import EarlyStopping, ReduceLROnPlateau
from linreg.data import blocks
from linreg.data.blocks import ArrayRows, Block
from linreg.gram import Gram, Moments, gather
from linreg.json_files import read_json
from linreg.replay import error_bound

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # for the package benchmarks

ROWS = 400
RULES = [
    SGD(0.05),
    SGD(0.02, momentum=0.9),
    SGD(schedules.ExponentialDecay(0.05, 10, 0.8), momentum=0.8, nesterov=True),
    RMSprop(0.01),
    RMSprop(0.005, centered=True, momentum=0.5),
    Adam(0.05),
    Adam(schedules.CosineDecay(0.1, 40), amsgrad=True),
    Adam(0.05, clipnorm=1.0, weight_decay=0.01, use_ema=True),
    SGD(0.1, gradient_accumulation_steps=2),
]


def some_rows(seed: int = 0, rows: int = ROWS, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(rows, 3)) @ [[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]] + offset
    y = (X - offset) @ [2.0, -1.0, 0.5] + 3 + generator.normal(size=rows)
    return X, y, generator.integers(0, 4, size=rows).astype(float)


def full_batch(optimizer, loss="mse", rows: int = ROWS, **settings) -> LinearRegression:
    # Started where no gradient is small by chance: an adaptive rule makes a whole step of its sign.
    settings = {"epochs": 40, "kernel_initializer": [0.3, 0.3, 0.3], "shuffle": False, **settings}
    return LinearRegression(optimizer, loss, batch_size=rows, dtype="float64", **settings)


def parameters(model: LinearRegression) -> np.ndarray:
    return np.append(model.coef_, model.intercept_)


def bounds(model: LinearRegression, rows: Gram) -> np.ndarray:
    found = error_bound(model, rows)
    assert found.doubts == ()
    return np.append(found.coef, found.intercept)


@given(
    optimizer=st.sampled_from(RULES),
    reduction=st.sampled_from(["sum_over_batch_size", "sum", "mean_with_sample_weight"]),
    weighted=st.booleans(),
    penalty=st.sampled_from([None, L2(0.1)]),
    intercept=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_a_run_on_moments_ends_where_the_run_on_all_rows_does_within_the_bound(
    optimizer, reduction, weighted, penalty, intercept, seed
):
    X, y, weight = some_rows(seed)
    weight = weight if weighted else None
    if reduction == "sum" and isinstance(optimizer, SGD):
        optimizer = dataclasses.replace(optimizer, learning_rate=1e-4)
    model = full_batch(optimizer, MeanSquaredError(reduction), kernel_regularizer=penalty, fit_intercept=intercept)
    rows = gather(X, y, weight)
    direct, losses = parameters(model.fit(X, y, weight)), model.history_["loss"]
    replayed = parameters(model.fit(rows))
    bound = bounds(model, rows)
    assert (np.abs(replayed - direct) <= bound).all()
    if isinstance(optimizer, RMSprop):
        return  # it takes whole steps also near the optimum, where they enlarge every error
    # 400 rows, 40 steps and worst signs: it would say nothing if it were larger.
    assert (bound <= 1e-9 * (1 + np.abs(direct))).all()
    # Losses are means of squares, at parameters that are off by the bound.
    np.testing.assert_allclose(model.history_["loss"], losses, rtol=1e-9)


def test_a_moment_that_is_off_in_the_ninth_digit_breaks_the_bound():
    X, y, _ = some_rows()
    rows, model = gather(X, y), full_batch(Adam(0.05))
    products = rows.moments.products.copy()
    products[0, 0] *= 1 + 1e-9
    wrong = Moments(rows.moments.count, rows.moments.mean, products)
    direct = parameters(model.fit(X, y))
    replayed = parameters(model.fit(dataclasses.replace(rows, moments=wrong)))
    assert (np.abs(replayed - direct) > bounds(model, rows)).any()


def test_the_bound_knows_what_is_left_out_of_columns_that_hardly_differ():
    X, y, _ = some_rows()
    X[:, 2] = X[:, 0] + 1e-7 * X[:, 2]  # less than 1e-13 of its variance is its own
    rows, model = gather(X, y), full_batch(Adam(0.05))
    assert not rows.moments.factor()[2, 2]
    direct = parameters(model.fit(X, y))
    bound = bounds(model, rows)
    assert (np.abs(parameters(model.fit(rows)) - direct) <= bound).all()
    assert bound.max() > 1e-13


def test_an_offset_of_a_hundred_million_does_no_harm():
    X, y, _ = some_rows(offset=1e8)
    model, rows = full_batch(Adam(1e-3), epochs=50, kernel_initializer="zeros"), gather(X, y)
    direct = parameters(model.fit(X, y))
    np.testing.assert_allclose(parameters(model.fit(rows)), direct, rtol=1e-6)
    # What would be lost: from products that are not centred, the slopes of the rows cannot be told any more.
    plain = np.column_stack([X, y, np.ones(ROWS)])
    centred = np.cov(np.column_stack([X, y]).T, bias=True)
    product = plain.T @ plain / ROWS
    uncentred = product[:-1, :-1] - np.outer(product[-1, :-1], product[-1, :-1])
    few = rows.moments.factor() / np.sqrt(ROWS)
    spread = np.sqrt(np.outer(np.diag(centred), np.diag(centred)))
    # X itself is rounded to 1.5e-8 of its spread there; its mean to no more, so products to some of these.
    assert (np.abs(few.T @ few - centred) <= 1e-6 * spread).all()
    assert (np.abs(uncentred - centred) > 0.1 * spread).any()


def test_blocks_of_a_source_count_as_the_rows_at_once(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 64)
    X, y, _ = some_rows()
    source = ArrayRows(X, y, ("a", "b", "c"), np.arange(ROWS))
    assert len(source) == 7
    rows = gather(source)
    assert (rows.rows, rows.blocks, rows.columns) == (ROWS, 7, ("a", "b", "c"))
    model = full_batch(Adam(0.05)).fit(rows)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    direct = full_batch(Adam(0.05)).fit(X, y)
    assert (np.abs(parameters(model) - parameters(direct)) <= bounds(model, rows)).all()


def test_a_source_may_carry_weights():
    X, y, weight = some_rows()

    class Weighted(ArrayRows):
        def read(self, block: int) -> Block:
            return super().read(block)._replace(weight=weight)

    rows, arrays = gather(Weighted(X, y, ("a", "b", "c"), np.arange(ROWS))), gather(X, y, weight)
    np.testing.assert_array_equal(rows.moments.products, arrays.moments.products)
    assert rows.weighted


def test_a_missing_value_of_a_source_is_refused_with_its_place():
    X, y, _ = some_rows()
    X[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"contain NaN: 1 of 1600 .* column 'b' in row 1007, counted from 0"):
        gather(ArrayRows(X, y, ("a", "b", "c"), np.arange(ROWS) + 1000))


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        (-1.0, "The weight of a row must not be negative, got -1.0 in row 1007"),
        (np.nan, "contain NaN: .* weight in row 1007"),
        (np.inf, "contain infinity: .* weight in row 1007"),
    ],
)
def test_a_bad_weight_of_a_source_is_refused_with_its_row(weight, told):
    X, y, given = some_rows()
    given[7] = weight
    with pytest.raises(ValueError, match=told):
        gather(ArrayRows(X, y, ("a", "b", "c"), np.arange(ROWS) + 1000, given))
    with pytest.raises(ValueError, match="every weight is zero, but at least one weight must be above 0"):
        gather(ArrayRows(X, y, ("a", "b", "c"), weight=np.zeros(ROWS)))


def test_a_source_without_rows_is_refused_in_words():
    X, y, _ = some_rows()
    with pytest.raises(ValueError, match="There are no rows in X: look whether a filter has removed every row"):
        gather(ArrayRows(X[:0], y[:0], ("a", "b", "c")))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("factor", "told"),
    [
        (1e200, "squares are too large for float64: divide their column by a power of ten first"),
        (1e-200, "Column 'b' holds values whose squares are too small for float64: multiply it by a power of ten"),
    ],
)
def test_squares_that_float64_does_not_hold_are_refused(factor, told):
    X, y, _ = some_rows()
    X = X * [1.0, factor, 1.0]
    with pytest.raises(ValueError, match=told):
        gather(ArrayRows(X, y, ("a", "b", "c")))
    with pytest.raises(ValueError, match=told.replace("'b'", "'1'")):
        gather(X, y)


def test_squares_near_the_ends_of_float64_are_right_and_small_constants_are_not_refused():
    X, y, _ = some_rows()
    expected = gather(X, y).moments
    for factor in (2.0**500, 2.0**-480):  # to multiply by a power of two is exact
        found = gather(X * [1.0, factor, 1.0], y).moments
        scale = np.array([1.0, factor, 1.0, 1.0])
        np.testing.assert_array_equal(found.products, expected.products * np.outer(scale, scale))
    X[:, 1] = 1e-200
    assert gather(X, y).moments.products[1, 1] == 0


def test_a_file_is_gathered_like_its_arrays(tmp_path):
    polars = pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
    X, y, _ = some_rows()
    polars.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": y}).write_parquet(tmp_path / "rows.parquet")
    found, expected = gather(tmp_path / "rows.parquet", "y"), gather(X, y)
    assert found.columns == ("a", "b", "c")
    np.testing.assert_array_equal(found.moments.products, expected.moments.products)


def test_a_warm_start_goes_on_bit_for_bit():
    rows = gather(*some_rows()[:2])
    whole = full_batch(Adam(0.05)).fit(rows)
    half = full_batch(Adam(0.05), epochs=20, warm_start=True).fit(rows).fit(rows)
    assert parameters(half).tobytes() == parameters(whole).tobytes()
    assert half.history_ == whole.history_


def test_callbacks_do_on_moments_what_they_do_on_all_rows():
    X, y, _ = some_rows()

    def fitted(*data) -> LinearRegression:
        watching = (
            ReduceLROnPlateau("loss", patience=2, min_delta=1e-3),
            EarlyStopping("loss", patience=8, min_delta=1e-3),
        )
        return full_batch(SGD(0.05, momentum=0.9), epochs=200, callbacks=watching).fit(*data)

    direct, replayed = fitted(X, y), fitted(gather(X, y))
    assert replayed.n_iter_ == direct.n_iter_ < 200
    assert replayed.history_["learning_rate"] == direct.history_["learning_rate"]
    assert len(set(direct.history_["learning_rate"])) > 1


def test_validation_data_may_be_moments_too():
    X, y, _ = some_rows()
    other, target, _ = some_rows(seed=1)
    model = full_batch(Adam(0.05))
    direct = model.fit(X, y, validation_data=(other, target)).history_["val_loss"]
    replayed = model.fit(gather(X, y), validation_data=(gather(other, target), None)).history_["val_loss"]
    np.testing.assert_allclose(replayed, direct, rtol=1e-9)


def test_linear_algebra_runs_on_moments_too():
    X, y, _ = some_rows()
    model = full_batch(SGD(0.05, momentum=0.9))
    direct = parameters(model.fit(X, y))
    replayed = parameters(model.set_params(engine="exact").fit(gather(X, y)))
    np.testing.assert_allclose(replayed, direct, rtol=1e-9)  # contracting steps on some hundred roundings


def test_a_sweep_over_moments_finds_what_the_sweep_over_all_rows_finds():
    X, y, _ = some_rows()
    given = {
        "optimizer": "adam", "learning_rate": [0.001, 0.01, 0.1], "beta_1": [0.5, 0.9], "epochs": 30,
        "kernel_initializer": [0.3, 0.3, 0.3], "batch_size": ROWS, "dtype": "float64",
    }  # fmt: skip
    direct, replayed = sweep(X, y, **given), sweep(gather(X, y), **given)
    assert len(replayed) == 6
    np.testing.assert_allclose(replayed.coef_, direct.coef_, rtol=1e-9)
    np.testing.assert_allclose(replayed.history["loss"], direct.history["loss"], rtol=1e-9)
    assert replayed.best_configuration == direct.best_configuration
    np.testing.assert_allclose(replayed.best_model().coef_, direct.coef_[direct.best], rtol=1e-9)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (full_batch(SGD(), Huber()), "loss must be a squared error, got Huber"),
        (full_batch(SGD(), rows=32), "moments know no minibatches, got batch_size=32 of 400 rows"),
        (full_batch(SGD()).set_params(dtype="float32"), 'set dtype="float64"'),
        (full_batch(SGD()).set_params(engine="numba"), 'set "numpy"'),
    ],
)
def test_what_moments_cannot_do_is_refused_in_one_line(model, told):
    with pytest.raises(ValueError, match=told) as caught:
        model.fit(gather(*some_rows()[:2]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda rows, X, y: full_batch(SGD()).fit(rows, y), "hold their target and weights"),
        (lambda rows, X, y: gather(ArrayRows(X, y, ("a", "b", "c"), np.arange(ROWS)), y), "but y was given too"),
        (lambda rows, X, y: gather(X, y, np.zeros(ROWS)), "every sample_weight is zero"),
        (lambda rows, X, y: error_bound(full_batch(SGD(), kernel_regularizer=L1(0.1)), rows), "L1 penalty jumps"),
        (lambda rows, X, y: error_bound(full_batch(SGD(), callbacks=[EarlyStopping("loss")]), rows), "callbacks"),
        (
            lambda rows, X, y: error_bound(full_batch(SGD(), kernel_initializer="glorot_uniform"), rows),
            "random_state=None starts every run elsewhere",
        ),
        (lambda rows, X, y: error_bound(full_batch(SGD(), epochs=10**9), rows), "set epochs to at most"),
    ],
)  # fmt: skip
def test_a_misuse_of_moments_is_told(call, told):
    X, y, _ = some_rows()
    with pytest.raises(ValueError, match=told):
        call(gather(X, y), X, y)


def test_a_run_that_diverges_has_no_bound():
    X, y, _ = some_rows()
    found = error_bound(full_batch(SGD(100.0), epochs=400), gather(X, y))
    assert "the run does not stay finite" in found.doubts
    assert np.isinf(found.coef).all()


def test_a_gradient_that_is_rounding_alone_is_doubted():
    # At the optimum of an exact line every gradient is rounding, and Adam makes a whole step of its sign.
    X = np.arange(8.0).reshape(-1, 1) / 7
    model = LinearRegression(Adam(0.01), epochs=3, batch_size=8, dtype="float64", kernel_initializer=[2.1])
    found = error_bound(model.set_params(bias_initializer=0.3), gather(X, 2.1 * X[:, 0] + 0.3))
    assert found.doubts


def test_the_page_prints_what_it_says_and_tells_what_was_measured():
    page = ROOT / "docs" / "gram.md"
    result = doctest.testfile(str(page), module_relative=False)
    assert result.attempted > 10
    assert result.failed == 0
    from benchmarks import gram_replay

    document = read_json(ROOT / "docs" / "benchmarks" / "gram.json", gram_replay.KIND, "")
    assert gram_replay.report(document) in page.read_text(encoding="utf-8")
    assert all(one["relative"] < 1e-6 for one in document["checked"])
    assert document["seconds of the sweep"] < min(document["seconds of two epochs on all rows"])
