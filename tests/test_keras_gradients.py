"""Value and slope of the losses, and their gradients, against tf.GradientTape and against 50-digit differences."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
import strategies
from hypothesis import event, given, settings
from hypothesis import strategies as st
from strategies import losses

from linreg import L1, L1L2, L2, Huber, MeanSquaredError
from linreg.batches import Batches, Problem
from linreg.keras import counterpart
from linreg.losses import divisor, row_factor
from linreg.precision import FLOAT32, FLOAT64

EPS = np.finfo(np.float32).eps
REDUCTIONS = ["sum_over_batch_size", "sum", "mean_with_sample_weight"]
LOSSES = {
    f"{kind.__name__}-{reduction}": kind(reduction=reduction)
    for kind in (MeanSquaredError, Huber)
    for reduction in REDUCTIONS
}


def data(rows=33, features=5, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, features)).astype(dtype)
    y = (3 * rng.normal(size=rows)).astype(dtype)
    weights = rng.uniform(0.1, 3, size=rows).astype(dtype)
    return X, y, weights, rng.normal(size=features).astype(dtype), dtype(rng.normal())


def value_and_gradient(loss, X, y, sample_weight, w, b, precision):
    """One batch through the functions that the loop uses: the loss, d/dw, d/db, and the sum of the |terms| of each."""
    number = precision.number
    constants = loss.constants(number)
    error = X @ w + b - y
    factor = row_factor(number, divisor(loss.reduction, len(y), sample_weight), sample_weight)
    slope = loss.slope(error, loss.slope_factor * factor, *constants)
    problem = Problem(np.column_stack([X, np.ones_like(y)]), y, sample_weight, len(y), len(w))
    batches = Batches(problem, False, loss, precision, np.append(w, b))
    value = batches.evaluate(np.append(w, b).astype(precision.dtype), constants)
    terms = np.abs(X.T) @ np.abs(slope), np.abs(slope).sum()
    return float(value), X.T @ slope, slope.sum(), terms


@given(losses(), strategies.data(), st.integers(0, 2**31))
def test_loss_and_gradient_match_gradient_tape(keras, loss, table, seed):
    import tensorflow as tf

    (X, y, weights), rng = table, np.random.default_rng(seed)
    w, b = rng.normal(size=X.shape[1]).astype(np.float32), np.float32(rng.normal())
    value, dw, db, (dw_terms, db_terms) = value_and_gradient(loss, X, y, weights, w, b, FLOAT32)
    kernel, bias = tf.Variable(w[:, None]), tf.Variable([b])
    with tf.GradientTape() as tape:
        prediction = tf.matmul(X, kernel) + bias
        theirs = counterpart(loss)(y[:, None], prediction, sample_weight=weights)
    their_dw, their_db = tape.gradient(theirs, [kernel, bias])
    # n roundings in the sum over rows and a few in the slope, relative to the terms; d + 2 in each prediction, relative
    # to its own terms, which the slope passes on. Doubled, because either side may be off.
    factor = loss.slope_factor * row_factor(np.float64, divisor(loss.reduction, len(y), weights), weights)
    passed_on = factor * (np.abs(X) @ np.abs(w) + np.abs(b) + np.abs(y)) * np.ones(len(y))
    rows, digits = 2 * (len(y) + 8) * EPS, 2 * (X.shape[1] + 2) * EPS
    assert np.all(np.abs(dw - their_dw.numpy()[:, 0]) <= rows * dw_terms + digits * (np.abs(X.T) @ passed_on))
    assert abs(db - their_db.numpy()[0]) <= rows * db_terms + digits * passed_on.sum()
    slope = np.abs(loss.slope(X @ w + b - y, np.float32(1), *loss.constants(np.float32)))
    assert abs(value - float(theirs)) <= rows * abs(value) + digits * float((slope * passed_on).sum())


@pytest.mark.parametrize("name", LOSSES)
def test_slope_at_just_under_and_just_over_delta_matches_gradient_tape(keras, name):
    import tensorflow as tf

    loss = LOSSES[name]
    one = np.float32(1)
    edges = [one, np.nextafter(one, np.float32(0)), np.nextafter(one, np.float32(2)), np.float32(0), np.float32(1e-30)]
    error = np.array([sign * edge for edge in edges for sign in (1, -1)], np.float32)
    prediction = tf.Variable(error[:, None])
    with tf.GradientTape() as tape:
        theirs = counterpart(loss)(np.zeros_like(error)[:, None], prediction)
    factor = row_factor(np.float32, divisor(loss.reduction, len(error)))
    ours = loss.slope(error, loss.slope_factor * factor, *loss.constants(np.float32))
    np.testing.assert_array_equal(ours, tape.gradient(theirs, prediction).numpy()[:, 0])


@pytest.mark.parametrize("regularizer", [L1(0.3), L2(0.3), L1L2(0.2, 0.4)], ids=repr)
def test_penalty_and_its_slope_match_gradient_tape(keras, regularizer):
    import tensorflow as tf

    w = np.array([0.0, -0.5, 1.25, 3.0, -0.1], np.float32)
    penalty, slope = regularizer.bind(np.float32)
    kernel = tf.Variable(w[:, None])
    with tf.GradientTape() as tape:
        theirs = counterpart(regularizer)(kernel)
    np.testing.assert_allclose(penalty(w), float(theirs), rtol=len(w) * EPS)
    np.testing.assert_allclose(slope(w), tape.gradient(theirs, kernel).numpy()[:, 0], rtol=2 * EPS)


def decimal_array(values):
    return np.array([Decimal(float(v)) for v in np.ravel(values)], dtype=object).reshape(np.shape(values))


@settings(max_examples=20)
@given(losses(), strategies.data(max_rows=30, max_features=4), st.integers(0, 2**31))
def test_numpy_and_tensorflow_are_both_within_the_rounding_bound_of_the_truth(keras, loss, table, seed):
    import tensorflow as tf

    (X, y, weights), rng = table, np.random.default_rng(seed)
    w, b = rng.normal(size=X.shape[1]).astype(np.float32), np.float32(rng.normal())
    _, dw, db, (dw_terms, db_terms) = value_and_gradient(loss, X, y, weights, w, b, FLOAT32)
    kernel, bias = tf.Variable(w[:, None]), tf.Variable([b])
    with tf.GradientTape() as tape:
        theirs = counterpart(loss)(y[:, None], tf.matmul(X, kernel) + bias, sample_weight=weights)
    their_gradient = np.concatenate([np.ravel(part.numpy()) for part in tape.gradient(theirs, [kernel, bias])])
    with localcontext() as context:
        context.prec = 50
        A = np.column_stack([decimal_array(X), decimal_array(np.ones_like(y))])
        row_weights = None if weights is None else decimal_array(weights)
        factor = row_factor(Decimal, divisor(loss.reduction, len(y), row_weights), row_weights)
        slope = loss.slope(A @ decimal_array(np.append(w, b)) - decimal_array(y), loss.slope_factor * factor,
                           *loss.constants(Decimal))  # fmt: skip
        truth = (A.T @ slope).astype(np.float64)
    ours = np.append(dw, db)
    terms, passed_on = np.append(dw_terms, db_terms), loss.slope_factor * np.ones(len(y)) * np.float64(factor)
    digits = passed_on * (np.abs(X) @ np.abs(w) + np.abs(b) + np.abs(y))
    bound = EPS * ((len(y) + 8) * terms + (X.shape[1] + 2) * np.append(np.abs(X.T) @ digits, digits.sum()))
    off, their_off = np.abs(ours - truth), np.abs(their_gradient - truth)
    assert (off <= bound).all()
    assert (their_off <= bound).all()
    closer = np.sign(their_off.sum() - off.sum())
    event({0: "equally close", 1: "NumPy is closer", -1: "TensorFlow is closer"}[int(closer)])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_gradient_matches_finite_differences_in_50_digits(name, weighted):
    # The difference is taken of the *loss* function alone, in 50 digits: an independent truth for the slope.
    loss = LOSSES[name]
    X, y, weights, w, b = data(rows=12, features=3, seed=4, dtype=np.float64)
    weights = weights if weighted else None
    _, dw, db, _ = value_and_gradient(loss, X, y, weights, w, b, FLOAT64)
    with localcontext() as context:
        context.prec = 50
        A = np.column_stack([decimal_array(X), decimal_array(np.ones_like(y))])
        target = decimal_array(y)
        constants = loss.constants(Decimal)
        row_weights = decimal_array(weights) if weighted else decimal_array(np.ones_like(y))
        total = {"sum": Decimal(1), "sum_over_batch_size": Decimal(len(y))}.get(
            loss.reduction, row_weights.sum() if weighted else Decimal(len(y))
        )

        def batch_loss(p):
            return (row_weights * loss.value(A @ p - target, *constants)).sum() / total

        p = decimal_array(np.append(w, b))
        h = Decimal("1e-20")
        differences = []
        for j in range(len(p)):
            up, down = p.copy(), p.copy()
            up[j] += h
            down[j] -= h
            differences.append(float((batch_loss(up) - batch_loss(down)) / (2 * h)))
    np.testing.assert_allclose(np.append(dw, db), differences, rtol=1e-12)
