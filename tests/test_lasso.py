"""The exact optimum under an l1 penalty: what certifies it, whatever the scales and however the columns depend."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.linear_model import Lasso

from linreg import L1, L1L2, Huber, MeanSquaredError
from linreg.dynamics import lasso as module
from linreg.dynamics import optimum

EPS = np.finfo(np.float64).eps
ROWS, L1_STRENGTH = 120, 0.1
COLUMNS = {
    "independent": lambda rng, d: rng.normal(size=(ROWS, d)),
    "nearly in a plane": lambda rng, d: in_a_plane(rng, d) + 1e-3 * rng.normal(size=(ROWS, d)),
    "in a plane": lambda rng, d: in_a_plane(rng, d),
    "powers": lambda rng, d: rng.uniform(1, 2, (ROWS, 1)) ** np.arange(1, d + 1),
    "a far row": lambda rng, d: np.concatenate([rng.normal(size=(ROWS - 1, d)), np.full((1, d), 1e6)]),
    "twice the same": lambda rng, d: np.tile(rng.normal(size=(ROWS, (d + 1) // 2)), 2)[:, :d],
}


def in_a_plane(rng, d):
    return rng.normal(size=(ROWS, 2)) @ rng.normal(size=(2, d))


def problem(columns, d, seed):
    """Columns of scales from 1e-3 to 1e6, and a target that each of them moves by as much."""
    rng = np.random.default_rng(seed)
    X = COLUMNS[columns](rng, d)
    y = X @ (rng.normal(size=d) / X.std(axis=0)) + rng.normal(size=ROWS)
    return X * 10.0 ** rng.uniform(-3, 6, d), y


@given(st.sampled_from(sorted(COLUMNS)), st.integers(1, 15), st.integers(0, 2**32 - 1),
       st.sampled_from([MeanSquaredError(), Huber(0.1), Huber(1.0)]), st.sampled_from([0.0, 0.01]),
       st.booleans())  # fmt: skip
@example("a far row", 3, 2, MeanSquaredError(), 0.0, False)  # a coefficient goes back to zero and is wanted again
def test_optimum_under_l1_holds_the_conditions_of_karush_kuhn_and_tucker_at_any_scale(
    columns, d, seed, loss, l2, intercept
):
    """The slope of the rest is -l1 sign(w) where w is not 0, and at most l1 where it is; in columns of length 1."""
    X, y = problem(columns, d, seed)
    w, b, objective = optimum(X, y, loss=loss, fit_intercept=intercept, kernel_regularizer=L1L2(L1_STRENGTH, l2))
    errors, bend = X @ w + b - y, 1 if isinstance(loss, Huber) else 2
    pull = np.clip(errors, -loss.delta, loss.delta) if isinstance(loss, Huber) else 2 * errors
    slope = X.T @ pull / ROWS + 2 * l2 * w
    length = np.sqrt(bend * np.square(X - intercept * X.mean(axis=0)).sum(axis=0) / ROWS + 2 * l2)
    beyond = np.where(w == 0, np.maximum(np.abs(slope) - L1_STRENGTH, 0), np.abs(slope + L1_STRENGTH * np.sign(w)))

    # Roundings of X w + b - y, over d + 2 terms, and of the sums over rows.
    terms = np.abs(X) @ np.abs(w) + abs(b) + np.abs(y)
    rounding = (d + 2 + ROWS) * EPS * bend * (np.abs(X).T @ terms / ROWS + 2 * l2 * np.abs(w)) / length
    if isinstance(loss, Huber):
        # It goes down as long as the objective falls, and a slope of s in a column of length 1 is worth s^2 / 2.
        rounding += np.sqrt(2 * ROWS * EPS * objective)
    assert (beyond / length <= rounding).all()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("columns", ["independent", "nearly in a plane", "twice the same"])
def test_optimum_under_l1_is_as_low_as_scikit_learn_gets(columns, seed):
    X, y = problem(columns, 6, seed)
    spread = X.std(axis=0)
    least = optimum(X / spread, y, kernel_regularizer=L1(L1_STRENGTH))[2]
    theirs = Lasso(alpha=L1_STRENGTH / 2, tol=1e-14, max_iter=10**6).fit(X / spread, y)
    value = np.mean((theirs.predict(X / spread) - y) ** 2) + L1_STRENGTH * np.abs(theirs.coef_).sum()
    assert least == pytest.approx(value, rel=1e-9)
    assert least <= value * (1 + 1e-13)


@pytest.mark.parametrize("loss", [MeanSquaredError(), Huber(1e6)], ids=str)
def test_of_columns_that_say_the_same_the_largest_is_the_cheapest(loss):
    """Its coefficient is the smallest: all of the fit is in it, soft thresholded as if it were alone."""
    x = np.random.default_rng(0).normal(size=ROWS)
    x -= x.mean()
    y, scales = 3 * x + 7, 10.0 ** np.array([0, 3, -3, 1])
    w, b, _ = optimum(np.outer(x, scales), y, loss=loss, kernel_regularizer=L1(L1_STRENGTH))
    bend = 1 if isinstance(loss, Huber) else 2
    alone = (3 - L1_STRENGTH / 1e3 / (bend * x @ x / ROWS)) / 1e3
    assert w == pytest.approx([0, alone, 0, 0], rel=1e-13, abs=0)
    assert b == pytest.approx(7, rel=1e-13)


@pytest.mark.parametrize("l1", [0.0, 1e-3])
@pytest.mark.parametrize("loss", [MeanSquaredError(), Huber(0.5)], ids=str)
@pytest.mark.parametrize("power", [-200, 600, 900])
def test_columns_whose_squares_are_no_number_have_the_optimum_of_their_multiples(loss, power, l1):
    """In columns of another size, by a power of two, it is the same to the last digits: c w = w c."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 3)) + 1
    y = X @ [1, -2, 3] + rng.normal(size=ROWS)
    near, far = (
        optimum(X * 2.0**p, y, loss=loss, kernel_regularizer=L1(l1 * 2.0**p) if l1 else None) for p in (0, power)
    )
    assert far[0] * 2.0**power == pytest.approx(near[0], rel=1e-9)
    assert far[1:] == pytest.approx(near[1:], rel=1e-9)


def test_where_nothing_pulls_enough_all_is_zero():
    w, b, least = optimum([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]], [1.0, 1.0, 4.0], kernel_regularizer=L1(2.1))
    assert (list(w), b, least) == ([0, 0], pytest.approx(2), pytest.approx(2))


def test_dependent_columns_are_solved_in_few_steps(monkeypatch):
    """Coordinate descent alone is not there after thousands of sweeps of these."""
    steps, step = [], module._step
    monkeypatch.setattr(module, "_step", lambda *given: steps.append(1) or step(*given))
    X, y = problem("powers", 25, 0)
    optimum(X, y, kernel_regularizer=L1(L1_STRENGTH))
    assert 0 < len(steps) <= 10 * 25
