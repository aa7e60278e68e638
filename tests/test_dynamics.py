"""The dynamics: what is computed before a run is what the textbook loop, written out again, does when it runs."""

import doctest
import importlib
import itertools
import math
import pkgutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
from dynamics_problems import KINDS, REDUCTIONS, Case, features, growth, random_case
from hypothesis import given
from hypothesis import strategies as st

from linreg import (
    L1L2,
    L2,
    SGD,
    Adam,
    Huber,
    LinearRegression,
    MeanSquaredError,
    RMSprop,
    callbacks,
    dynamics,
    experiments,
    schedules,
)
from linreg.dynamics import (
    closed_form,
    curvature,
    fastest,
    growth_rate,
    jitter,
    largest_gradient,
    least_squares,
    local_max_learning_rate,
    max_learning_rate,
    max_preconditioned_curvature,
    optimum,
    preconditioned_curvature,
    reach,
    spectral_radius,
    step_matrices,
    stochastic_floor,
)

EPS = np.finfo(np.float64).eps


def optimizer_of(case):
    return SGD(case.learning_rate, momentum=case.momentum, nesterov=case.nesterov,
               weight_decay=case.weight_decay or None)  # fmt: skip


def settings_of(case):
    return {
        "loss": MeanSquaredError(case.reduction),
        "sample_weight": case.weight,
        "fit_intercept": case.intercept,
        "kernel_regularizer": L2(case.l2) if case.l2 else None,
    }


def packed(case, p):
    """Parameters as (coef, intercept)."""
    return (p[:-1], p[-1]) if case.intercept else (p, 0.0)


def form_of(case):
    return closed_form(case.X, case.y, optimizer_of(case), case.batch_size, start=packed(case, case.start),
                       order=case.order, **settings_of(case))  # fmt: skip


# Full batches: the edge.


def known_problem(rng, number):
    """A problem whose optimum is known, because y lies on it, and how its loss is set up."""
    n, d = int(rng.integers(2, 20)), int(rng.integers(1, 6))
    X = features(rng, n, d, ("plain", "collinear", "constant", "zero", "scaled")[number % 5])
    case = Case(
        X * 10 ** rng.uniform(-2, 2, size=X.shape[1]), np.zeros(n), intercept=bool(rng.integers(2)), batch_size=n,
        weight=rng.uniform(0.1, 2, n) if rng.integers(2) else None, reduction=REDUCTIONS[int(rng.integers(3))],
    )  # fmt: skip
    best = np.zeros(case.A.shape[1])
    if rng.integers(2):
        case.l2 = 10 ** rng.uniform(-3, 0)  # with a penalty, 0 is the optimum of y = 0
    else:
        best = rng.normal(size=len(best)) / np.maximum(np.abs(case.A).max(axis=0), 0.1)
        case.y = case.A @ best
    return case, best


@pytest.mark.parametrize("kind", KINDS)
def test_at_the_edge_a_run_shrinks_below_the_limit_and_grows_above_it_at_the_predicted_rate(kind):
    """With momentum, the start is an eigenvector of one step of (parameter, velocity), so that the run is geometric."""
    rng, worst = np.random.default_rng(0), 0.0
    with_momentum, case_nesterov = KINDS[kind]
    for number in range(1000):
        case, best = known_problem(rng, number)
        case.momentum, case.nesterov = float(rng.uniform(0.01, 0.99)) if with_momentum else 0.0, case_nesterov
        settings, b = settings_of(case), case.momentum
        limit = max_learning_rate(case.X, momentum=b, nesterov=case.nesterov, **settings)
        steepest = curvature(case.X, **settings).steepest.vector
        H = case.hessian()
        for share in (0.999, 1.001):
            case.learning_rate = share * limit
            pull = share * limit * (steepest @ H @ steepest)
            one_step = [(1 - (1 + b) * pull, b * b) if case.nesterov else (1 - pull, b), (-pull, b)]
            values, vectors = np.linalg.eig(one_step)
            leading = np.argmax(np.abs(values))
            size = 1e3 * max(np.linalg.norm(best), 1)
            start, velocity = (size * part * steepest for part in vectors[:, leading] / np.abs(vectors[0, leading]))
            away = [start, *(p - best for p, _, _ in case.epochs(10, best + start, velocity))]
            excess = [(p.conj() @ H @ p).real / 2 for p in away]
            assert (excess[-1] < excess[0]) == (share < 1), case
            measured = (excess[-1] / excess[0]) ** (1 / 20)
            rule = SGD(share * limit, momentum=b, nesterov=case.nesterov)
            predicted = np.abs(np.linalg.eigvals(step_matrices(rule, [np.max(np.linalg.eigvalsh(H))], [share * limit])))
            worst = max(worst, abs(measured / predicted.max() - 1))
    assert worst <= 1e-6, worst


EDGE_EPOCHS = 130
"""With momentum b, two eigenvalues meet a start at rest: about -1, and -b (Nesterov: b / (1 + 2 b)), with b up to 0.8.
After so many steps the second has shrunk by 1e-12."""


@pytest.mark.parametrize("kind", KINDS)
def test_at_the_edge_the_estimator_shrinks_and_grows_at_the_predicted_rate(kind):
    rng, worst = np.random.default_rng(1), 0.0
    with_momentum, nesterov = KINDS[kind]
    for number in range(150):
        case, best = known_problem(rng, number)
        b = float(rng.uniform(0.05, 0.8)) if with_momentum else 0.0
        settings = settings_of(case)
        limit = max_learning_rate(case.X, momentum=b, nesterov=nesterov, **settings)
        found = curvature(case.X, **settings)
        start = packed(case, best + found.steepest.vector * 1e3 * max(np.linalg.norm(best), 1))
        for share in (0.999, 1.001):
            rule = SGD(share * limit, momentum=b, nesterov=nesterov)
            predicted = np.abs(np.linalg.eigvals(step_matrices(rule, [found.largest], [share * limit]))).max()
            distances, epochs = [], EDGE_EPOCHS if with_momentum else 10
            model = LinearRegression(
                rule, settings["loss"], batch_size=len(case.y), shuffle=False, dtype="float64", warm_start=True,
                kernel_initializer=start[0], bias_initializer=float(start[1]), fit_intercept=case.intercept,
                kernel_regularizer=settings["kernel_regularizer"],
            )  # fmt: skip
            for more in (epochs, 10):
                model.set_params(epochs=more).fit(case.X, case.y, case.weight)
                away = np.append(model.coef_, [model.intercept_] * case.intercept) - best
                distances.append(away @ case.hessian() @ away / 2)  # the excess
            assert (distances[1] < distances[0]) == (share < 1), case
            worst = max(worst, abs((distances[1] / distances[0]) ** (1 / 20) / predicted - 1))
    assert worst <= 1e-6, worst


@pytest.mark.parametrize("kind", KINDS)
def test_limit_is_where_the_spectral_radius_crosses_one(kind):
    rng = np.random.default_rng(1)
    with_momentum, nesterov = KINDS[kind]
    for number in range(100):
        case, _ = known_problem(rng, number)
        b = float(rng.uniform(0, 0.99)) if with_momentum else 0.0
        limit = max_learning_rate(case.X, momentum=b, nesterov=nesterov, **settings_of(case))
        rates = limit * np.array([0.5, 0.9, 1 - 1e-9, 1 + 1e-9, 1.1, 2])
        radii = spectral_radius(case.X, SGD(momentum=b, nesterov=nesterov), rates, **settings_of(case))
        for lr, radius in zip(rates, radii, strict=True):
            # m <- b m - lr h p, then p <- p + m, or with Nesterov's look ahead p <- p + (b m - lr h p), as a matrix.
            expected = []
            for h in np.linalg.eigvalsh(case.hessian()):
                if h > 1e-13 * np.linalg.norm(case.hessian()):
                    ahead = (1 - (1 + b) * lr * h, b * b) if nesterov else (1 - lr * h, b)
                    expected.append(np.abs(np.linalg.eigvals([ahead, (-lr * h, b)])).max())
            # At a double root of size sqrt(b) a rounding of e moves the roots by sqrt(e).
            assert radius == pytest.approx(max(expected), rel=1e-6)
            assert (radius < 1) == (lr < limit)


def test_many_rates_and_momenta_at_once_are_each_of_them():
    X = np.random.default_rng(0).normal(size=(20, 3))
    momenta = np.array([[0.0, 0.5], [0.9, 0.99]])
    limits = max_learning_rate(X, momentum=momenta, nesterov=True)
    np.testing.assert_array_equal(limits, np.vectorize(lambda b: max_learning_rate(X, "mse", b, True))(momenta))
    rates = np.array([[0.0, 0.1, 0.2], [0.3, 0.5, 3.0]])
    radii = spectral_radius(X, SGD(momentum=0.5), rates)
    np.testing.assert_array_equal(radii, np.vectorize(lambda lr: spectral_radius(X, SGD(momentum=0.5), lr))(rates))
    assert max_learning_rate(np.zeros((3, 2)), fit_intercept=False) == math.inf
    assert spectral_radius(np.zeros((3, 2)), SGD(), 0.1, fit_intercept=False) == 0.0
    np.testing.assert_array_equal(spectral_radius(np.zeros((3, 2)), SGD(), rates, fit_intercept=False), 0 * rates)


KNOWN_LIMITS = {
    (1, "unscaled"): ("2.14e-07", "2.1e-07"),
    (1, "standardised"): ("0.5", "0.5"),
    (2, "SGD 0.1"): ("0.808", "0.81"),
    (3, "MSE"): ("0.000399", "0.0004"),
}
"""To three digits, computed here by hand from the normal equations; to two, as they are quoted."""


@pytest.mark.parametrize(("number", "name"), KNOWN_LIMITS)
def test_limits_of_the_three_known_experiments(number, name):
    trials = {trial.name: trial for trial in experiments.known_experiments()[number - 1].trials}
    X = trials[name].X
    limit, (three, two) = max_learning_rate(X), KNOWN_LIMITS[number, name]
    assert (f"{limit:.3g}", f"{limit:.2g}") == (three, two)
    A = np.column_stack([X, np.ones(len(X))])
    assert limit == pytest.approx(len(X) / np.linalg.eigvalsh(A.T @ A)[-1], rel=1e-12)


def test_what_an_epoch_multiplies_the_error_of_the_unscaled_table_by():
    trial = experiments.known_experiments()[0].trials[0]
    rate = trial.model.optimizer.learning_rate
    assert (rate, round(spectral_radius(trial.X, SGD(), rate))) == (0.01, 93332)


# Properties.

seeds = st.integers(0, 2**32 - 1)


@st.composite
def matrices(draw, *, max_features=4):
    rng = np.random.default_rng(draw(seeds))
    n, d = draw(st.integers(1, 15)), draw(st.integers(1, max_features))
    return features(rng, n, d, "plain") * 10 ** draw(st.floats(-2, 2)) + draw(st.floats(-2, 2)) * rng.normal(size=d)


@given(matrices(), st.floats(-3, 3), st.floats(0, 0.99), st.booleans())
def test_limit_without_intercept_goes_with_one_over_the_scale_squared(X, exponent, momentum, nesterov):
    c = 10**exponent
    kind = {"momentum": momentum, "nesterov": nesterov, "fit_intercept": False}
    assert max_learning_rate(c * X, **kind) == pytest.approx(max_learning_rate(X, **kind) / c**2, rel=1e-12)


@given(matrices(), seeds, st.booleans())
def test_limit_is_unchanged_by_the_order_of_rows_and_by_taking_all_of_them_twice(X, seed, intercept):
    rng = np.random.default_rng(seed)
    weight, l2 = rng.uniform(0.1, 1, len(X)), L2(0.1)
    settings = {"fit_intercept": intercept, "kernel_regularizer": l2}
    limit = max_learning_rate(X, sample_weight=weight, **settings)
    order = rng.permutation(len(X))
    assert max_learning_rate(X[order], sample_weight=weight[order], **settings) == pytest.approx(limit, rel=1e-13)
    twice = np.concatenate([X, X]), np.concatenate([weight, weight])
    assert max_learning_rate(twice[0], sample_weight=twice[1], **settings) == pytest.approx(limit, rel=1e-13)
    # The sum of squares, however, is twice as steep: a twin that must differ.
    sums = [max_learning_rate(data, MeanSquaredError("sum")) for data in (X, np.concatenate([X, X]))]
    assert sums[1] == pytest.approx(sums[0] / 2, rel=1e-13)


@given(matrices(), st.floats(0.05, 20))
def test_standardising_raises_the_limit_exactly_when_theory_says(X, stretch):
    """Standardised, H is 2 diag(R, 1) with R the correlations, so the limit is 1 / (largest eigenvalue of R).

    Before, it is 1 / (largest eigenvalue of [X, 1]'[X, 1] / n), which is at least 1 because of the intercept.
    """
    X = stretch * X
    spread = X.std(axis=0)
    if len(X) < 2 or (spread < 1e-6 * np.abs(X).max()).any():
        return
    standardised = (X - X.mean(axis=0)) / spread
    A = np.column_stack([X, np.ones(len(X))])
    before, after = max_learning_rate(X), max_learning_rate(standardised)
    correlation = np.atleast_2d(np.corrcoef(X.T))
    largest, largest_before = np.linalg.eigvalsh(correlation)[-1], np.linalg.eigvalsh(A.T @ A / len(X))[-1]
    assert after == pytest.approx(1 / largest, rel=1e-9)
    if abs(largest_before - largest) > 1e-9 * largest:
        assert (after > before) == (largest_before > largest)
    if X.shape[1] == 1:
        assert after >= before * (1 - 1e-9)


def test_standardising_small_correlated_features_lowers_the_limit():
    x = np.random.default_rng(0).normal(size=50)
    X = 0.01 * np.column_stack([x, x, x])
    standardised = (X - X.mean(axis=0)) / X.std(axis=0)
    assert max_learning_rate(X) == pytest.approx(1.0, rel=1e-3)
    assert max_learning_rate(standardised) == pytest.approx(1 / 3, rel=1e-12)


@given(matrices(max_features=3), seeds)
def test_fastest_settings_beat_every_other_rate_and_momentum(X, seed):
    settings = {"fit_intercept": bool(seed % 2), "kernel_regularizer": L2(0.05) if seed % 3 else None}
    h = curvature(X, **settings).eigenvalues
    rng = np.random.default_rng(seed)
    for kind, (with_momentum, nesterov) in KINDS.items():
        best = fastest(X, kind, **settings)
        rule = SGD(momentum=best.momentum, nesterov=nesterov)
        reached = np.abs(np.linalg.eigvals(step_matrices(rule, h, np.array([best.learning_rate])))).max()
        # It is a double root, where a rounding of e moves the roots by sqrt(e).
        assert reached == pytest.approx(best.spectral_radius, abs=4e-7)
        momenta = np.append(rng.uniform(0, 1, 20), [best.momentum]) if with_momentum else [0.0]
        rates = best.learning_rate * np.append(np.geomspace(0.1, 4, 60), rng.uniform(0.9, 1.1, 20))
        for b in momenta:
            matrices = step_matrices(SGD(momentum=b, nesterov=nesterov), h, rates)
            radii = np.abs(np.linalg.eigvals(matrices)).max(axis=(0, 2))
            assert radii.min() >= best.spectral_radius - 4e-7


def test_fastest_tells_about_how_many_epochs_it_takes():
    X = np.random.default_rng(0).normal(size=(30, 3)) * [1, 3, 5]
    y = X @ [1, -1, 0.5]
    counts = {}
    for kind, (_, nesterov) in KINDS.items():
        best = fastest(X, kind)
        rule = SGD(best.learning_rate, momentum=best.momentum, nesterov=nesterov)
        counts[kind] = closed_form(X, y, rule, 30).epochs_to(1e-8)
        # A rate, not a bound: the start and the double root (k rho^k) add a few.
        assert 0.5 * best.epochs_to(1e-8) <= counts[kind] <= 2 * best.epochs_to(1e-8) + 5
    assert counts["momentum"] < counts["nesterov"] < counts["sgd"]
    at_once = fastest(np.eye(4), fit_intercept=False)
    assert (at_once.learning_rate, at_once.momentum, at_once.spectral_radius) == (pytest.approx(2), 0, 0)
    assert at_once.epochs_to(0.1) == 1.0
    assert dynamics.Fastest(1.0, 0.0, 1.0).epochs_to(0.1) == math.inf


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_hessian_is_the_second_difference_of_evaluate(reduction, l2):
    rng = np.random.default_rng(3)
    X, y, weight = rng.normal(size=(12, 3)) * [1, 2, 0.5], rng.normal(size=12), rng.uniform(0, 2, 12)
    model = LinearRegression(loss=MeanSquaredError(reduction), epochs=1, batch_size=12, dtype="float64",
                             kernel_regularizer=L2(l2)).fit(X, y)  # fmt: skip

    def loss(p):
        model.coef_, model.intercept_ = p[:3], float(p[3])
        return model.evaluate(X, y, weight)

    # Of a parabola, differences of any width are the derivatives.
    e, at = np.eye(4), rng.normal(size=4)
    H = np.array([[loss(at + i + j) - loss(at + i) - loss(at + j) + loss(at) for j in e] for i in e])
    settings = {"loss": MeanSquaredError(reduction), "sample_weight": weight, "kernel_regularizer": L2(l2)}
    found = curvature(X, **settings)
    values, vectors = np.linalg.eigh(H)
    np.testing.assert_allclose(found.eigenvalues, values[::-1], rtol=1e-12)
    assert (found.largest, found.smallest, found.rank) == (found.eigenvalues[0], found.eigenvalues[-1], 4)
    assert found.condition == found.largest / found.smallest
    for direction, vector in ((found.steepest, vectors[:, -1]), (found.flattest, vectors[:, 0])):
        assert abs(direction.vector @ vector) == pytest.approx(1, rel=1e-10)


def test_hessian_knows_which_directions_are_flat():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 1))
    ways = {"collinear": [x, 3 * x], "constant": [x, np.full_like(x, 7)], "zero": [x, 0 * x]}
    for name, columns in ways.items():
        found = curvature(np.hstack(columns))
        assert (name, found.rank, len(found.eigenvalues)) == (name, 2, 2)
        assert found.smallest > 0.1
        assert curvature(np.hstack(columns), kernel_regularizer=L2(0.1)).rank == 3
    nothing = curvature(np.zeros((3, 2)), fit_intercept=False)
    assert (nothing.largest, nothing.smallest, nothing.rank, str(nothing.steepest)) == (0.0, 0.0, 0, "")
    assert math.isnan(nothing.condition)


def test_directions_are_named_by_the_columns_of_the_frame():
    x = np.linspace(-1, 1, 11)
    frame = pd.DataFrame({"sqft": 1000 * x, "rooms": x**2, "age": 0.5 * (x**3 - 0.7 * x)})
    given = curvature(frame)
    assert str(given.steepest) == "1.00*sqft"
    assert given.steepest.names == ("sqft", "rooms", "age", "intercept")
    assert "age" in str(given.flattest)
    form = closed_form(frame, x, SGD(1e-6), 4, start=([1.0, 1.0, 1.0], 1.0))
    assert form.worst_direction.names == ("sqft", "rooms", "age", "intercept")
    assert "age" in str(form.worst_direction)
    assert str(curvature(np.array([[3.0, 4.0]]), fit_intercept=False).steepest) == "0.80*x1 + 0.60*x0"
    assert str(curvature(np.array([[3.0, -4.0]]), fit_intercept=False).steepest) == "0.80*x1 - 0.60*x0"


def test_least_squares_is_the_optimum_that_the_data_were_made_of():
    rng = np.random.default_rng(0)
    for _ in range(50):
        n, d = int(rng.integers(6, 30)), int(rng.integers(1, 5))
        X = rng.normal(size=(n, d)) * 10 ** rng.uniform(-6, 6, size=d) + 10 ** rng.uniform(-3, 3, size=d)
        coef, bias, weight = rng.normal(size=d) / X.std(axis=0), rng.normal(), rng.uniform(0.1, 1, n)
        # Noise at right angles to the weighted columns leaves the optimum where it is.
        A = np.column_stack([X, np.ones(n)])
        Q = np.linalg.qr(A / np.linalg.norm(A, axis=0) * np.sqrt(weight)[:, np.newaxis])[0]
        noise = rng.normal(size=n)
        y = X @ coef + bias + (noise - Q @ (Q.T @ noise)) / np.sqrt(weight)
        found = least_squares(X, y, weight)
        # Rounding of X and y, in each column's own unit, over how far the centred columns are from collinear.
        centred = (X - np.average(X, axis=0, weights=weight)) / X.std(axis=0)
        allowed = 100 * EPS * np.abs(X / X.std(axis=0)).max() * np.linalg.cond(centred) ** 2 * 10
        assert np.abs((found[0] - coef) * X.std(axis=0)).max() <= allowed
        both = optimum(X, y, sample_weight=weight)
        assert np.abs((both[0] - coef) * X.std(axis=0)).max() <= allowed
        errors = y - X @ both[0] - both[1]
        rounding = 4 * EPS * (np.abs(X) @ np.abs(both[0]) + abs(both[1])).max()
        assert abs(both[2] - weight @ errors**2 / n) <= 2 * rounding * np.abs(errors).max() + rounding**2
        free = least_squares(X, X @ coef, fit_intercept=False)
        np.testing.assert_allclose(X @ free[0], X @ coef, rtol=0, atol=1e-9 * np.abs(X @ coef).max())
        assert free[1] == 0.0


def test_least_squares_of_collinear_columns_is_the_smallest_in_their_own_units():
    x = np.linspace(-1, 1, 8)
    coef, intercept = least_squares(np.column_stack([x, 1000 * x]), 2 * x + 1)
    np.testing.assert_allclose(coef, [1, 0.001], rtol=1e-12)
    assert intercept == pytest.approx(1, rel=1e-12)


# Minibatches.


def test_spectral_radius_is_the_measured_growth_of_frozen_order_runs():
    rng, worst, worst_run, seen = np.random.default_rng(2), 0.0, 0.0, set()
    for number in range(500):
        case = random_case(rng, number)
        form = form_of(case)
        worst = max(worst, abs(form.spectral_radius / growth(case.measured_epoch()) - 1))
        # A run that starts along the worst direction goes at that pace from the first epoch on.
        values, vectors = np.linalg.eig(form.map()[:-1, :-1])
        first, basis = np.argmax(np.abs(values)), form.epoch.basis
        parts = [basis @ part for part in np.split(vectors[:, first], 1 + (case.momentum > 0))]
        epochs = min(20, int(np.log(1e-6) / np.log(min(form.spectral_radius, 0.99))) + 1)
        *_, (after, _, _) = case.epochs(epochs, *parts, target=0 * case.y)
        # Along what is flat, roundings stay as they are.
        ratio = np.linalg.norm(basis.T @ after) / np.linalg.norm(parts[0])
        worst_run = max(worst_run, abs(ratio ** (1 / epochs) / form.spectral_radius - 1))
        seen.add((form.spectral_radius > 1, abs(values[first].imag) > 0, len(case.y) % case.batch_size > 0))
    assert worst <= 1e-6, worst
    assert worst_run <= 1e-6, worst_run
    for flag in zip(*seen, strict=True):  # diverging or not, turning or not, with and without a partial last batch
        assert set(flag) == {True, False}


def test_spectral_radius_is_the_measured_growth_of_runs_of_the_estimator():
    rng, worst = np.random.default_rng(4), 0.0
    for number in range(60):
        n, batch_size = int(rng.integers(4, 20)), int(rng.integers(2, 8))
        X = rng.normal(size=(n, 2)) * [1, 3]
        b = (0.0, 0.5, 0.5)[number % 3]
        rule = SGD(max_learning_rate(X, momentum=b) * rng.uniform(0.6, 0.95), momentum=b, nesterov=number % 3 == 2)
        form = closed_form(X, np.zeros(n), rule, batch_size, start=([1.0, 1.0], 1.0))
        sizes = np.abs(form.eigenvalues)
        if sizes[1] > 0.97 * sizes[0]:
            continue  # two directions at nearly the same pace, or one that turns: their sum is not a power
        # So many epochs that the second direction has gone, and y = 0, so that no digits go with the first.
        first = int(np.log(1e-9) / np.log(sizes[1] / sizes[0])) + 1
        model = LinearRegression(rule, batch_size=batch_size, shuffle=False, dtype="float64", warm_start=True,
                                 kernel_initializer=np.ones(2), bias_initializer=1.0)  # fmt: skip
        sizes = []
        for epochs in (first, 50):
            model.set_params(epochs=epochs).fit(X, np.zeros(n))
            sizes.append(np.linalg.norm(np.append(model.coef_, model.intercept_)))
        worst = max(worst, abs((sizes[1] / sizes[0]) ** (1 / 50) / form.spectral_radius - 1))
    assert worst <= 1e-6, worst


def test_only_what_data_and_start_excite_counts():
    X, y = np.diag([1.0, 10.0]), np.array([1.0, 10.0])
    rule = SGD(0.05)  # full batch: 1 - 0.05 along x0, 1 - 5 along x1
    quiet = closed_form(X, y, rule, 2, fit_intercept=False, start=([5.0, 1.0], 0.0))
    assert quiet.spectral_radius == pytest.approx(0.95)
    assert quiet.eigenvalues == pytest.approx([0.95])
    assert str(quiet.worst_direction) == "1.00*x0"
    loud = closed_form(X, y, rule, 2, fit_intercept=False, start=([5.0, 1 + 1e-6], 0.0))
    assert loud.spectral_radius == pytest.approx(4.0)
    assert str(loud.worst_direction) == "1.00*x1"
    assert loud.epochs_to(0.01) == math.inf
    # A row that weighs nothing excites nothing, even where the start lies in its direction.
    rows = closed_form(X, y, rule, 1, fit_intercept=False, start=([5.0, 7.0], 0.0), sample_weight=[1, 0])
    assert rows.spectral_radius == pytest.approx(0.9)
    assert rows.after(1000)[0] == pytest.approx([1, 7])
    # What collinear columns leave flat stays where it starts.
    flat = closed_form(np.ones((3, 2)), [1.0, 1, 1], SGD(0.1), 2, start=([4.0, 2.0], 3.0))
    assert flat.spectral_radius < 1
    coef, intercept = flat.after(10**6)
    assert [coef[0] - coef[1], coef[0] - intercept] == pytest.approx([2, 1])
    assert coef.sum() + intercept == pytest.approx(1)


SCHEDULES = {
    "exponential": lambda lr: schedules.ExponentialDecay(lr, 7, 0.8),
    "staircase": lambda lr: schedules.ExponentialDecay(lr, 60, 0.5, staircase=True),
    "steps": lambda lr: schedules.PiecewiseConstantDecay([13, 200], [lr, lr / 2, lr / 8]),
    "function": lambda lr: lambda step: lr / (1 + step % 3),
}


def schedule_formula(name, lr):
    """The rate of a step, from the words of the schedules' documentation."""
    return {
        "exponential": lambda step: lr * 0.8 ** (step / 7),
        "staircase": lambda step: lr * 0.5 ** (step // 60),
        "steps": lambda step: lr if step <= 13 else lr / 2 if step <= 200 else lr / 8,
        "function": lambda step: lr / (1 + step % 3),
    }[name]


def test_closed_form_is_the_stepwise_run():
    rng, worst = np.random.default_rng(5), {}
    for number in range(300):
        case = random_case(rng, number, share=(0.05, 0.9))
        epochs, lr = int(rng.integers(2, 60)), case.learning_rate
        name = None
        if number % 4 == 0:
            name = list(SCHEDULES)[number // 4 % 4]
            case.learning_rate = SCHEDULES[name](lr)
        form = form_of(case)
        if name:
            case.learning_rate = schedule_formula(name, lr)
        run = [case.start, *(p for p, _, _ in case.epochs(epochs, case.start))]
        at = rng.permutation(epochs + 1)
        path = form.path(at)
        size = max(np.linalg.norm(p) for p in run)
        radius = form.spectral_radius
        allowed = 1e-10 * (min(epochs, 1 / (1 - radius)) if radius < 1 else epochs)
        far = max(np.linalg.norm(path[i] - run[k]) for i, k in enumerate(at)) / size
        worst[name or "constant"] = max(worst.get(name or "constant", 0), far / allowed)
        coef, intercept = form.after(epochs)
        np.testing.assert_array_equal(np.append(coef, [intercept] * case.intercept), form.path([epochs])[0])
        objective = np.array([case.batch_loss(run[k], np.arange(len(case.y))) for k in at])
        np.testing.assert_allclose(form.loss(at), objective, rtol=1e-8, atol=1e-12 * objective.max())
        # The excess from its own definition, with the optimum from the normal equations.
        H = case.hessian()
        best = np.linalg.pinv(H, hermitian=True) @ (2 * case.A.T @ (case.factor(np.arange(len(case.y))) * case.y))
        excess = np.array([(run[k] - best) @ H @ (run[k] - best) / 2 for k in at])
        np.testing.assert_allclose(form.excess(at), excess, rtol=1e-6, atol=1e-12 * excess.max())
    assert max(worst.values()) <= 1, worst
    assert len(worst) == 5


def test_closed_form_of_a_million_epochs_is_the_fixed_point():
    rng = np.random.default_rng(6)
    for number in range(30):
        case = random_case(rng, number, share=(0.2, 0.6))
        form = form_of(case)
        coef, intercept = form.after(10**6)
        p = np.append(coef, [intercept] * case.intercept)
        m = np.zeros_like(p)
        if case.momentum:
            m = form.epoch.basis @ form.states([10**6])[form.epoch.rank : -1, 0]
        ((later, _, _),) = case.epochs(1, p, m)
        np.testing.assert_allclose(later, p, rtol=1e-9, atol=1e-9)


def test_closed_form_can_start_elsewhere_and_takes_no_epochs():
    case = random_case(np.random.default_rng(7), 1)
    form = form_of(case)
    other = case.start[::-1] + 1
    moved = form.after(7, packed(case, other))
    *_, (expected, _, _) = case.epochs(7, other)
    np.testing.assert_allclose(np.append(moved[0], [moved[1]] * case.intercept), expected, rtol=1e-10)
    np.testing.assert_allclose(form.path([0])[0], case.start, rtol=1e-13)
    assert form.path([]).shape == (0, len(case.start))
    form = closed_form([[0.0], [1.0]], [1.0, 3.0], SGD(SCHEDULES["exponential"](0.1)))
    assert form.path([0, 0]).tolist() == [[0, 0], [0, 0]]


def test_a_run_that_overflows_says_so():
    form = closed_form([[1.0], [2.0], [3.0]], [1, 2, 3], SGD(10.0), 2)
    assert not np.isfinite(form.after(10**5)[0]).any()
    assert not np.isfinite(form.loss([10**5])[0])
    assert form.spectral_radius > 1


def brute_force_epochs_to(case, tolerance, epochs):
    """The first epoch from which on the excess stays at the share of its start, over so many epochs, and the excess."""
    H, rows = case.hessian(), np.arange(len(case.y))
    best = np.linalg.pinv(H, hermitian=True) @ (2 * case.A.T @ (case.factor(rows) * case.y))
    run = np.array([case.start, *(p for p, _, _ in case.epochs(epochs, case.start))]) - best
    excess = np.einsum("ki,ij,kj->k", run, H, run) / 2
    above = np.flatnonzero(excess > tolerance * excess[0])
    return above[-1] + 1 if len(above) else 0, excess / excess[0]


def test_epochs_to_is_what_a_brute_force_run_finds():
    rng, ends = np.random.default_rng(8), []
    for number in range(120):
        case = random_case(rng, number, share=(0.02, 0.5), decay=False)
        case.batch_size = max(case.batch_size, -(-len(case.y) // 3))
        if case.momentum:
            case.momentum = 1 - 10 ** rng.uniform(-2, -0.3)
        tolerance = 10 ** rng.uniform(-3, -0.05)
        expected, excess = brute_force_epochs_to(case, tolerance, 600)
        found = form_of(case).epochs_to(tolerance)
        if expected > 150:  # brute force has not gone far enough to know
            assert found > 150
            ends.append("never" if found == math.inf else "late")
        elif found != expected:
            # Only where the excess is the target itself, to rounding.
            between = slice(int(min(found, expected)), int(max(found, expected)))
            np.testing.assert_allclose(excess[between], tolerance, rtol=1e-9)
        else:
            ends.append("found")
    assert ends.count("found") > 60
    assert ends.count("never") > 5


def test_epochs_to_waits_until_momentum_has_swung_out():
    rng, swung = np.random.default_rng(9), 0
    for _ in range(100):
        X, b = rng.normal(size=(6, 1)), 1 - 10 ** rng.uniform(-2.0, -0.5)
        case = Case(X, rng.normal(size=6), learning_rate=10 ** rng.uniform(-3, -1), momentum=b, batch_size=6,
                    start=rng.normal(size=2))  # fmt: skip
        tolerance = 10 ** rng.uniform(-3, -0.05)
        expected, excess = brute_force_epochs_to(case, tolerance, 1500)
        if expected > 350:
            continue
        assert form_of(case).epochs_to(tolerance) == expected
        swung += expected != np.argmax(excess <= tolerance)
    assert swung > 30  # where the first epoch at the target is not the last above it


def test_epochs_to_of_far_ends():
    X, y = np.array([[-1.0], [1.0]]), np.array([-1.0, 1.0])
    # Full batch, excess (1 - 2 lr)^2k: k = log(tolerance) / (2 log(1 - 2 lr)).
    for lr in (0.1, 1e-4, 1e-6, 1e-9):
        form = closed_form(X, y, SGD(lr), 2, fit_intercept=False)
        assert form.epochs_to(0.01) == pytest.approx(math.ceil(math.log(0.01) / (2 * math.log1p(-2 * lr))), rel=1e-6)
        assert form.epochs_to(1.0) == 0.0
    assert closed_form(X, y, SGD(0.0), 2).epochs_to(0.5) == math.inf
    assert closed_form(X, y, SGD(3.0), 2).epochs_to(0.5) == math.inf
    assert closed_form(X, y, SGD(0.1), 2, start=([1.0], 0.0)).epochs_to(1e-9) == 0.0  # already there
    # The rates of a schedule add up to 0.01: never.
    assert closed_form(X, y, SGD(schedules.ExponentialDecay(0.001, 1, 0.9)), 2).epochs_to(0.5) == math.inf
    falling = closed_form(X, y, SGD(lambda step: 0.1 / (1 + step / 10)), 2, fit_intercept=False)
    excess = np.cumprod((1 - 0.2 / (1 + np.arange(2000) / 10)) ** 2)
    assert falling.epochs_to(1e-3) == np.argmax(excess <= 1e-3) + 1


# Huber.


def huber_problem(seed=0, outliers=0.3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 2)) * [1, 2]
    y = X @ [1.0, -0.5] + 0.3 + 0.1 * rng.normal(size=40)
    y[rng.uniform(size=40) < outliers] += 50 * rng.choice([-1, 1])
    return X, y


def huber_run(X, y, lr, epochs, start, delta=1.0, momentum=0.0):
    """Parameters and objective after each epoch of the textbook loop, full batch."""
    A, p, m = np.column_stack([X, np.ones(len(X))]), start.copy(), np.zeros(3)
    path, values = [p], []
    for _ in range(epochs):
        e = A @ p - y
        values.append(np.where(abs(e) <= delta, e * e / 2, delta * abs(e) - delta**2 / 2).mean())
        m = momentum * m - lr * A.T @ np.clip(e, -delta, delta) / len(y)
        p = p + m
        path.append(p)
    return np.array(path), np.array(values)


@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_huber_below_its_bound_converges(momentum):
    for seed in range(5):
        X, y = huber_problem(seed)
        coef, intercept, objective = optimum(X, y, loss="huber")
        lr = 0.99 * max_learning_rate(X, "huber", momentum)
        path, values = huber_run(X, y, lr, 3000, np.array([5.0, -5, 5]), momentum=momentum)
        assert values[-1] == pytest.approx(objective, rel=1e-12)
        np.testing.assert_allclose(path[-1], [*coef, intercept], rtol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_huber_above_its_bound_neither_diverges_nor_settles(momentum):
    """Derived for plain steps: |p' - p*|^2 <= |p - p*|^2 - 2 lr (f - f*) + lr^2 G^2 for a convex f with gradients up to
    G, so over K steps the mean of f - f* is at most |start - p*|^2 / (2 lr K) + lr G^2 / 2.
    """
    X, y = huber_problem()
    coef, intercept, objective = optimum(X, y, loss="huber")
    best, start = np.append(coef, intercept), np.array([5.0, -5, 5])
    bound = largest_gradient(X)
    bound = np.append(*bound)
    for factor in (1.5, 10, 1000):
        lr = factor * local_max_learning_rate(X, y, momentum=momentum)
        path, values = huber_run(X, y, lr, 4000, start, momentum=momentum)
        jumps = np.abs(np.diff(path, axis=0))
        assert (jumps <= lr * bound / (1 - momentum) * (1 + 1e-12)).all()
        assert jumps[-100:].max() > 1e-3 * lr * bound.max()  # it has not settled
        if momentum == 0:
            G2, K = bound @ bound, len(values)
            assert values.mean() - objective <= (start - best) @ (start - best) / (2 * lr * K) + lr * G2 / 2
    # A squared error, at the same rates, is gone.
    assert spectral_radius(X, SGD(momentum=momentum), lr) > 100


def test_huber_between_its_two_limits_stays_at_the_optimum_and_leaves_it_beyond():
    X, y = huber_problem()
    best = optimum(X, y, loss="huber")
    best = np.append(*best[:2])
    bound, local = max_learning_rate(X, "huber"), local_max_learning_rate(X, y)
    assert local > 1.2 * bound
    near = best + 1e-4 * np.array([1.0, 1.0, 1.0])
    for lr, settles in ((bound * 1.05, True), (0.98 * local, True), (1.02 * local, False)):
        path, _ = huber_run(X, y, lr, 2000, near)
        assert (np.abs(path[-1] - best).max() < 1e-9) == settles
    # Where no row is beyond delta, both are the same; for a squared error always.
    assert local_max_learning_rate(X, y, Huber(1e6)) == pytest.approx(max_learning_rate(X, "huber"), rel=1e-12)
    assert local_max_learning_rate(X, y, "mse", 0.5) == pytest.approx(max_learning_rate(X, "mse", 0.5), rel=1e-12)
    assert max_learning_rate(X, "huber") == pytest.approx(2 * max_learning_rate(X, "mse"), rel=1e-12)
    # Nor where the penalty is all that curves.
    flat = local_max_learning_rate([[1.0], [1.0]], [1e3, -1e3], Huber(1e-3), kernel_regularizer=L2(0.25))
    assert flat == pytest.approx(2 / 0.5)


def test_largest_gradient_is_what_far_targets_give():
    X, _ = huber_problem()
    weight = np.random.default_rng(0).uniform(0, 2, 40)
    coef, intercept = largest_gradient(X, Huber(0.7), sample_weight=weight)
    for bound, column in zip([*coef, intercept], np.column_stack([X, np.ones(40)]).T, strict=True):
        far = 1e9 * np.sign(column)  # errors that all pull the same way
        assert bound == pytest.approx(column @ (weight * np.clip(far, -0.7, 0.7)) / 40, rel=1e-12)
    assert largest_gradient(np.array([[1.0, 0.0]]), "mse", False) == (pytest.approx([math.inf, 0.0]), 0.0)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("l2", [0.0, 0.05])
@pytest.mark.parametrize("delta", [0.05, 1.0, 30.0])
def test_optimum_of_huber_has_no_gradient_and_beats_scipy(delta, l2, seed):
    X, y = huber_problem(seed)
    rng = np.random.default_rng(seed)
    X, weight = X * 10 ** rng.uniform(-2, 2, 2), rng.uniform(0.1, 2, 40)
    A, penalised = np.column_stack([X, np.ones(40)]), np.array([1, 1, 0])
    coef, intercept, objective = optimum(X, y, loss=Huber(delta), sample_weight=weight, kernel_regularizer=L2(l2))
    p = np.append(coef, intercept)

    def value(p):
        e = abs(A @ p - y)
        return weight @ np.where(e <= delta, e * e / 2, delta * e - delta**2 / 2) / 40 + l2 * p[:2] @ p[:2]

    def gradient(p):
        return A.T @ (weight * np.clip(A @ p - y, -delta, delta)) / 40 + 2 * l2 * penalised * p

    # Errors carry the roundings of A p - y, the sum over the rows its own, and p those of its last digit.
    in_errors = 3 * np.abs(A) @ np.abs(p) + np.abs(y)
    allowed = EPS * (np.abs(A).T @ (weight * (in_errors + 40 * delta)) / 40 + 2 * l2 * np.abs(p))
    assert (np.abs(gradient(p)) <= 4 * allowed).all()
    assert objective == pytest.approx(value(p), rel=1e-12)
    theirs = scipy.optimize.minimize(value, np.zeros(3), jac=gradient, method="BFGS", options={"gtol": 1e-10})
    assert objective <= theirs.fun * (1 + 1e-14)


@given(seeds, st.floats(-3, 0.5), st.sampled_from([0.0, 0.05]))
def test_optimum_under_l1_has_zero_among_its_slopes(seed, strength, l2):
    """With an l1 part, the slope of the rest is -l1 sign(w) where w is not 0, and at most l1 where it is."""
    rng, l1 = np.random.default_rng(seed), 10**strength
    X = rng.normal(size=(20, 4)) * 10 ** rng.uniform(-1, 1, 4)
    y, weight = X @ rng.normal(size=4) + rng.normal(size=20), rng.uniform(0.1, 2, 20)
    coef, intercept, objective = optimum(X, y, sample_weight=weight, kernel_regularizer=L1L2(l1, l2))
    errors = X @ coef + intercept - y
    slope = 2 * X.T @ (weight * errors) / 20 + 2 * l2 * coef
    # It is the solution of a linear system, of rows scaled to the same size.
    allowed = 1e-10 * (np.abs(X).T @ (weight * np.abs(y)) / 20 + l1)
    assert (np.abs(slope + l1 * np.sign(coef)) <= np.where(coef == 0, l1, 0) + allowed).all()
    assert abs(weight @ errors) / 20 <= 1e-10 * (weight @ np.abs(y)) / 20
    expected = weight @ errors**2 / 20 + l1 * np.abs(coef).sum() + l2 * coef @ coef
    assert objective == pytest.approx(expected, rel=1e-12)


# Reshuffled epochs.


@pytest.mark.parametrize("kind", KINDS)
def test_growth_rate_of_full_batches_is_the_spectral_radius(kind):
    with_momentum, nesterov = KINDS[kind]
    X, b = np.diag([1.0, 2.0]), 0.3 if with_momentum else 0.0
    for share in (0.99, 1.2):
        lr = share * max_learning_rate(X, momentum=b, nesterov=nesterov, fit_intercept=False)
        rule = SGD(lr, momentum=b, nesterov=nesterov)
        estimate = growth_rate(X, rule, 2, repetitions=3, epochs=200, fit_intercept=False)
        # In the 20 epochs that are not counted, the steepest direction takes over: 0.6^20 is left of the others.
        exact = spectral_radius(X, rule, lr, fit_intercept=False)
        assert estimate.factor == pytest.approx(exact, rel=1e-6)
        assert estimate.epochs == 3 * 180
        assert estimate.high - estimate.low < 1e-5


GROWTHS = {
    "settles": (SGD(0.3), 3, {}),
    "diverges": (SGD(1.1), 3, {"loss": MeanSquaredError("mean_with_sample_weight")}),
    "momentum": (SGD(0.25, momentum=0.5), 2, {"kernel_regularizer": L2(0.05)}),
    "nesterov, sum": (SGD(0.05, momentum=0.5, nesterov=True), 3, {"loss": MeanSquaredError("sum")}),
}


@pytest.mark.parametrize("name", GROWTHS)
def test_growth_of_reshuffled_runs_lies_in_the_estimated_interval(name):
    """The interval is two standard errors wide to either side, and a run of three times as many epochs has half of
    such an error of its own: some 17 of 20 seeds are expected.
    """
    rule, batch_size, settings = GROWTHS[name]
    X = np.random.default_rng(11).normal(size=(6, 1))
    inside, widths = 0, []
    for seed in range(20):
        ask = {"random_state": seed, "epochs": 40, "repetitions": 10, **settings}
        estimate = growth_rate(X, rule, batch_size, **ask)
        # y = 0: the distance to the optimum is the parameters themselves; now and then, back to size 1.
        logarithms, model = [], LinearRegression(
            rule, batch_size=batch_size, dtype="float64", random_state=seed, epochs=100, warm_start=True,
            kernel_initializer=np.ones(1), bias_initializer=1.0, **settings,
        )  # fmt: skip
        for _ in range(12):
            model.fit(X, np.zeros(6))
            size = np.linalg.norm(model.state_.parameters)
            logarithms.append(np.log(size))
            model.state_.parameters = model.state_.parameters / size
            model.state_.slots = [slot / size for slot in model.state_.slots]
        inside += estimate.low <= np.exp(np.mean(logarithms[1:]) / 100) <= estimate.high
        widths.append(estimate.high / estimate.low - 1)
        assert estimate.epochs == 360
    assert inside >= 14
    assert max(widths) < 0.4  # which is not to say much
    assert growth_rate(X, rule, batch_size, **ask) == estimate


# The stochastic floor.


def moments_over_all_batches(X, y, rule, batch_size, reduction, l2):
    """Covariance of the parameters in the long run, from the mean over all batches of the square of each step."""
    n, d = X.shape
    A, b, lr = np.column_stack([X, np.ones(n)]), rule.momentum, rule.learning_rate
    size = d + 1
    penalty, unit = np.diag([2 * l2] * d + [0.0]), np.eye(2 * size + 1)
    squares = 0
    for rows in map(list, itertools.combinations(range(n), batch_size)):
        c = 2 if reduction == "sum" else 2 / batch_size
        p, m, one = unit[:size], unit[size:-1], unit[-1]
        g = (c * A[rows].T @ A[rows] + penalty) @ p - np.outer(c * A[rows].T @ y[rows], one)
        m = b * m - lr * g
        p = p + (b * m - lr * g if rule.nesterov else m)
        step = np.concatenate([p, m, unit[-1:]])
        squares = squares + np.kron(step, step)
    squares = squares / math.comb(n, batch_size)
    second = np.zeros((len(unit), len(unit)))
    second[-1, -1] = 1
    for _ in range(22):
        squares = squares @ squares
    second = (squares @ second.reshape(-1)).reshape(second.shape)
    mean = second[:size, -1]
    return mean, second[:size, :size] - np.outer(mean, mean), A, penalty


def test_stochastic_floor_is_that_of_all_batches():
    rng, worst = np.random.default_rng(12), 0.0
    for number in range(24):
        n, d, batch_size = int(rng.integers(4, 7)), int(rng.integers(1, 3)), int(rng.integers(1, 4))
        X, y = rng.normal(size=(n, d)), rng.normal(size=n)
        with_momentum, nesterov = list(KINDS.values())[number % 3]
        reduction, l2 = ("sum_over_batch_size", "sum")[number // 3 % 2], (0.0, 0.1)[number // 6 % 2]
        rule = SGD(rng.uniform(0.02, 0.08), momentum=0.5 * with_momentum, nesterov=nesterov)
        mean, covariance, A, penalty = moments_over_all_batches(X, y, rule, batch_size, reduction, l2)
        found = stochastic_floor(X, y, rule, batch_size, loss=MeanSquaredError(reduction),
                                 kernel_regularizer=L2(l2) if l2 else None)  # fmt: skip
        worst = max(worst, np.abs(found.covariance - covariance).max() / np.abs(covariance).max())
        # The mean loss of a batch, above its least value: half of the trace of its Hessian times the covariance.
        c = 2 * batch_size / n if reduction == "sum" else 2 / n
        H = c * A.T @ A + penalty
        assert found.excess == pytest.approx(np.trace(H @ covariance) / 2, rel=1e-9)
        np.testing.assert_allclose(found.standard_deviation, np.sqrt(np.diag(covariance)), rtol=1e-9)
        np.testing.assert_allclose(H @ mean, c * A.T @ y, rtol=1e-9, atol=1e-9)
    # The floor is an iteration that stops at changes of 1e-13; a slow one is still a thousand times that from its end.
    assert worst <= 1e-9, worst


def test_stochastic_floor_is_where_a_long_run_stays():
    rng = np.random.default_rng(13)
    X = rng.normal(size=(200, 2))
    y = X @ [1, 2] + rng.normal(size=200)
    A = np.column_stack([X, np.ones(200)])
    expected = stochastic_floor(X, y, SGD(0.1), 5).excess
    best = np.append(*least_squares(X, y))
    p, seen = np.tile(best[:, np.newaxis], 200), []
    for step in range(400):
        rows = rng.permuted(np.tile(np.arange(200), (200, 1)), axis=1)[:, :5] if step % 40 == 0 else \
            rng.integers(200, size=(200, 5))  # fmt: skip
        e = np.einsum("kbj,jk->kb", A[rows], p) - y[rows]
        p = p - 0.1 * 2 / 5 * np.einsum("kbj,kb->jk", A[rows], e)
        if step >= 100:
            seen.append(np.square(A @ (p - best[:, np.newaxis])).mean())
    # 200 runs of some 30 independent looks each, 3 parameters: 1 % of chance; and 2 % for rows drawn twice.
    assert np.mean(seen) == pytest.approx(expected, rel=0.08)


def test_stochastic_floor_is_nothing_or_without_end():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 2)), rng.normal(size=20)
    assert stochastic_floor(X, y, SGD(0.1), 20).excess == 0.0
    assert stochastic_floor(X, y, SGD(0.1), 100).excess == 0.0
    assert stochastic_floor(X, X @ [1, 2] + 1, SGD(0.1), 4).excess == pytest.approx(0, abs=1e-25)
    limit = max_learning_rate(X)
    for rate in (0.99 * limit, 1.01 * limit):  # below the limit of the mean the noise grows all the same
        endless = stochastic_floor(X, y, SGD(rate), 2)
        assert endless.excess == math.inf
        assert (endless.covariance == math.inf).all()
    collinear = stochastic_floor(np.column_stack([X, X[:, 0]]), y, SGD(0.05), 4)
    assert 0 < collinear.excess < 1
    assert collinear.covariance[0] == pytest.approx(collinear.covariance[2])


# RMSprop and Adam.

REACHES = [
    (Adam(0.01), 1000),
    (Adam(0.01, beta_1=0.5, beta_2=0.9), 7),
    (Adam(0.01, amsgrad=True), 50),
    (Adam(0.01, gradient_accumulation_steps=3), 100),
    (Adam(schedules.ExponentialDecay(0.1, 20, 0.5)), 60),
    (RMSprop(0.01), 1),
    (RMSprop(0.01), 1000),
    (RMSprop(0.01, rho=0.0), 10),
    (RMSprop(0.01, rho=0.99, gradient_accumulation_steps=2), 101),
    (RMSprop(0.01, momentum=0.9), 10),
    (RMSprop(0.01, momentum=0.9), 1000),
    (RMSprop(schedules.ExponentialDecay(0.1, 20, 0.5), momentum=0.5), 60),
]


@pytest.mark.parametrize(("optimizer", "steps"), REACHES)
@pytest.mark.parametrize("slope", [-1e3, 1e9])
def test_reach_is_how_far_a_constant_gradient_drives(optimizer, steps, slope):
    # One row, y so far away that the gradient stays what it is.
    model = LinearRegression(optimizer, epochs=steps, batch_size=1, dtype="float64", fit_intercept=False,
                             kernel_initializer="zeros").fit([[1.0]], [-slope * 1e9])  # fmt: skip
    assert abs(model.coef_[0]) == pytest.approx(reach(optimizer, steps), rel=1e-6)
    assert np.sign(model.coef_[0]) == -np.sign(slope)


def test_reach_is_not_stated_where_the_size_of_the_gradient_counts():
    assert reach(RMSprop(centered=True), 5) == math.inf
    assert reach(RMSprop(rho=1.0), 5) == math.inf
    assert reach(RMSprop(momentum=1.0), 5) == math.inf


class Parameters(callbacks.Callback):
    """Keeps the parameters of every epoch."""

    def __init__(self):
        super().__init__()
        self.parameters = []

    def on_epoch_end(self, epoch, logs=None):
        self.parameters.append(self.run.get_weights())


JITTERS = [
    RMSprop(0.01),
    RMSprop(0.001, epsilon=1e-12),
    RMSprop(0.01, rho=0.99),
    RMSprop(0.01, momentum=0.5),
    Adam(0.01, beta_2=0.99),
    Adam(0.01, beta_1=0.5, beta_2=0.9),
]


@pytest.mark.parametrize("optimizer", JITTERS)
def test_jitter_is_how_far_a_long_run_goes_on_swinging(optimizer):
    """Not exact: v is no constant but follows the gradients, over 1 / (1 - beta_2) steps. 10 % tells the factors apart
    that could be wrong (2, 1 + beta, 1 - beta).
    """
    x = np.random.default_rng(0).normal(size=(5, 1))
    x -= x.mean()
    y = 3 * x[:, 0] + 1 + np.random.default_rng(1).normal(size=5)
    best = np.append(*least_squares(x, y))
    for scale in (1, 30):
        path = Parameters()
        LinearRegression(optimizer, batch_size=5, shuffle=False, dtype="float64", epochs=14_000, callbacks=[path],
                         kernel_initializer=np.array([2 / scale])).fit(scale * x, y)  # fmt: skip
        # A few hundred steps would not do: the swing of Adam waxes and wanes, and rounding decides when.
        swing = np.sqrt(np.mean(np.square(path.parameters[4000:] - best / [scale, 1]), axis=0))
        np.testing.assert_allclose(swing, jitter(optimizer), rtol=0.1)


@pytest.mark.parametrize("optimizer", [Adam(0.003), Adam(0.1, beta_1=0.5), RMSprop(0.02), RMSprop(0.02, momentum=0.8)])
def test_with_v_frozen_a_run_settles_just_below_the_preconditioned_limit_and_grows_just_above(optimizer):
    rng = np.random.default_rng(14)
    X, weight = rng.normal(size=(30, 3)) * [1, 5, 0.2], rng.uniform(0.1, 1, 30)
    case = Case(X, np.zeros(30), weight, l2=0.1)
    H, divisor = case.hessian(), 10 ** rng.uniform(-2, 1, 4)
    settings = settings_of(case)
    limit = max_preconditioned_curvature(optimizer)
    steep = preconditioned_curvature(X, optimizer, divisor, **settings).largest
    for share in (0.999, 1.001):
        P = divisor * steep / (share * limit)
        found = preconditioned_curvature(X, optimizer, P, **settings)
        assert found.largest == pytest.approx(share * limit, rel=1e-12)
        assert found.stable == (share < 1)
        assert found.limit == limit
        p, m, lr = found.steepest.vector, np.zeros(4), optimizer.learning_rate
        sizes = []
        for _ in range(700):
            if isinstance(optimizer, Adam):
                m = optimizer.beta_1 * m + (1 - optimizer.beta_1) * H @ p
                p = p - lr * m / P
            else:
                m = optimizer.momentum * m + lr * H @ p / P
                p = p - m
            sizes.append(np.linalg.norm(p))
        assert (sizes[-1] < sizes[-100]) == (share < 1)
        assert abs(np.log(sizes[-1] / sizes[-100]) / 99) < 0.1  # only just
    assert preconditioned_curvature(np.zeros((2, 1)), optimizer, [1.0], fit_intercept=False).largest == 0.0


def test_preconditioned_limits_are_those_of_the_source():
    # Cohen et al.: 38 / lr for Adam with beta_1 = 0.9, 2 / lr for RMSprop.
    assert max_preconditioned_curvature(Adam(0.001)) == pytest.approx(38_000)
    assert max_preconditioned_curvature(RMSprop(0.001)) == pytest.approx(2_000)
    assert max_preconditioned_curvature(Adam(0.0)) == math.inf
    assert jitter(Adam(0.0)) == 0.0


# Errors.

X3, Y3 = [[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0]
WIDE, VERY_WIDE, TOO_WIDE = (np.zeros((1, d)) for d in (101, 501, 2001))
FALLING = schedules.ExponentialDecay(0.1, 10, 0.9)

VALUE_ERRORS = [
    ("curvature: X has 2001 features.*up to 2000.*fewer columns", lambda: curvature(TOO_WIDE)),
    ("max_learning_rate: X has 2001 features.*history_", lambda: max_learning_rate(TOO_WIDE)),
    ("local_max_learning_rate: X has 2001", lambda: local_max_learning_rate(TOO_WIDE, [1])),
    ("largest_gradient: X has 2001", lambda: largest_gradient(TOO_WIDE)),
    ("spectral_radius: X has 2001", lambda: spectral_radius(TOO_WIDE, SGD(), 1)),
    ("fastest: X has 2001", lambda: fastest(TOO_WIDE)),
    ("optimum: X has 2001", lambda: optimum(TOO_WIDE, [1])),
    ("preconditioned_curvature: X has 2001", lambda: preconditioned_curvature(TOO_WIDE, Adam(), 1)),
    ('closed_form: X has 501 features.*up to 500.*engine="numpy"', lambda: closed_form(VERY_WIDE, [1])),
    ("growth_rate: X has 501", lambda: growth_rate(VERY_WIDE)),
    ("stochastic_floor: X has 101 features.*up to 100", lambda: stochastic_floor(WIDE, [1])),
    ("momentum must be .* at most 1, got 1.5", lambda: max_learning_rate(X3, momentum=1.5)),
    ("momentum must be .*got -1", lambda: max_learning_rate(X3, momentum=[0.5, -1])),
    ("unknown loss 'mae'.*Known", lambda: max_learning_rate(X3, "mae")),
    ("spectral_radius: loss must be a squared error", lambda: spectral_radius(X3, SGD(), 1, loss="huber")),
    ("spectral_radius:.*decays.*closed_form", lambda: spectral_radius(X3, SGD(weight_decay=0.1), 1)),
    ("spectral_radius: clipvalue", lambda: spectral_radius(X3, SGD(clipvalue=1.0), 1)),
    ("spectral_radius:.*jumps.*use L2", lambda: spectral_radius(X3, SGD(), 1, kernel_regularizer="l1")),
    ("kind must be 'sgd', 'momentum' or 'nesterov', got 'adam'", lambda: fastest(X3, "adam")),
    ("fastest:.*nothing to learn", lambda: fastest([[0.0]], fit_intercept=False)),
    ("fastest: loss must be a squared error", lambda: fastest(X3, loss="huber")),
    ("epochs_to: tolerance must be .* above 0", lambda: fastest(X3).epochs_to(0)),
    ("closed_form:.*slope of L1L2", lambda: closed_form(X3, Y3, kernel_regularizer=L1L2(0.1, 0.1))),
    ("closed_form: loss.*not linear.*max_learning_rate", lambda: closed_form(X3, Y3, loss="huber")),
    ("closed_form:.*jumps.*use L2", lambda: closed_form(X3, Y3, kernel_regularizer="l1")),
    ("closed_form: clipnorm of SGD.*run the steps", lambda: closed_form(X3, Y3, SGD(clipnorm=1.0))),
    ("closed_form: clipvalue of SGD", lambda: closed_form(X3, Y3, SGD(clipvalue=1.0))),
    ("closed_form: global_clipnorm of SGD", lambda: closed_form(X3, Y3, SGD(global_clipnorm=1.0))),
    ("closed_form: use_ema of SGD", lambda: closed_form(X3, Y3, SGD(use_ema=True))),
    ("gradient_accumulation_steps of SGD", lambda: closed_form(X3, Y3, SGD(gradient_accumulation_steps=2))),
    ("batch_size must be an integer of at least 1, got 0", lambda: closed_form(X3, Y3, batch_size=0)),
    ("X has 3 rows and y has 2", lambda: closed_form(X3, Y3[:2])),
    ("order must hold each of 0, ..., 2 once", lambda: closed_form(X3, Y3, order=[0, 1, 1])),
    (r"order must hold.*got .0, 1.\.$", lambda: closed_form(X3, Y3, order=[0, 1])),
    ("order must hold.*got .0.0", lambda: closed_form(X3, Y3, order=[0.0, 1.0, 2.0])),
    ("the coefficients to start from", lambda: closed_form(X3, Y3, start=([1.0, 2.0], 0.0))),
    ("counted from 0 by integers, got -1", lambda: closed_form(X3, Y3).after(-1)),
    ("counted from 0 by integers, got 2.5", lambda: closed_form(X3, Y3).path([1, 2.5])),
    ("tolerance must be .* at most 1, got 2", lambda: closed_form(X3, Y3).epochs_to(2)),
    ("growth_rate: .* constant, got a schedule", lambda: growth_rate(X3, SGD(FALLING))),
    ("growth_rate: epochs must be .* least 2", lambda: growth_rate(X3, epochs=1)),
    ("growth_rate: repetitions must be .* least 2", lambda: growth_rate(X3, repetitions=1)),
    ("needs a constant learning rate", lambda: stochastic_floor(X3, Y3, SGD(FALLING))),
    ("and no weight decay, got SGD", lambda: stochastic_floor(X3, Y3, SGD(weight_decay=0.1))),
    ("stochastic_floor: loss must be", lambda: stochastic_floor(X3, Y3, loss="huber")),
    ("stochastic_floor: batch_size must be", lambda: stochastic_floor(X3, Y3, batch_size=0)),
    ("reach: steps must be an integer of at least 1", lambda: reach(Adam(), 0)),
    ("constant, got Exp.*: ask step by step", lambda: jitter(Adam(FALLING))),
    ("divisor must hold 2 finite numbers above 0", lambda: preconditioned_curvature(X3, Adam(), [1.0])),
    ("divisor must hold.*got .1.0, 0.0.", lambda: preconditioned_curvature(X3, Adam(), [1.0, 0.0])),
    ("divisor must hold.*got .1.0, inf.", lambda: preconditioned_curvature(X3, Adam(), [1.0, math.inf])),
]
TYPE_ERRORS = [
    ("momentum .*got 'much'", lambda: max_learning_rate(X3, momentum="much")),
    ("spectral_radius: optimizer must be an SGD, got Adam", lambda: spectral_radius(X3, Adam(), 1)),
    ("closed_form: optimizer must be an SGD, got Adam.*Run them", lambda: closed_form(X3, Y3, Adam())),
    ("closed_form: optimizer must be an SGD, got 'adam'", lambda: closed_form(X3, Y3, "adam")),
    ("batch_size must be an integer", lambda: closed_form(X3, Y3, batch_size=1.5)),
    ("growth_rate: optimizer must be an SGD", lambda: growth_rate(X3, RMSprop())),
    ("stochastic_floor: optimizer must be an SGD", lambda: stochastic_floor(X3, Y3, Adam())),
    ("reach: optimizer must be an RMSprop or an Adam, got SGD.*max_learning_rate", lambda: reach(SGD(), 5)),
    ("max_preconditioned_curvature: optimizer must be an RMS", lambda: max_preconditioned_curvature(SGD())),
]


@pytest.mark.parametrize(("message", "call"), VALUE_ERRORS)
def test_what_cannot_be_computed_is_refused_with_the_reason_and_what_to_do(message, call):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("message", "call"), TYPE_ERRORS)
def test_what_is_of_the_wrong_kind_is_refused_with_what_is_expected(message, call):
    with pytest.raises(TypeError, match=message):
        call()


def test_the_examples_in_the_documentation_print_what_they_say():
    page = Path(__file__).parent.parent / "docs" / "dynamics.md"
    modules = [importlib.import_module(m.name) for m in pkgutil.iter_modules(dynamics.__path__, "linreg.dynamics.")]
    tried = [doctest.testfile(str(page), module_relative=False), *map(doctest.testmod, modules)]
    assert [result.failed for result in tried] == [0] * len(tried)
    assert sum(result.attempted for result in tried) > 25


def test_the_largest_sizes_that_are_promised_are_taken():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2000))
    # X X' has the same eigenvalues as X' X.
    assert max_learning_rate(X, fit_intercept=False) == pytest.approx(30 / np.linalg.norm(X @ X.T, 2), rel=1e-10)
    X = rng.normal(size=(20, 500))
    form = closed_form(X, np.ones(20), SGD(1e-3), 5)
    *_, (p, _, _) = Case(X, np.ones(20), learning_rate=1e-3, batch_size=5).epochs(100, np.zeros(501))
    np.testing.assert_allclose(form.path([100])[0], p, rtol=0, atol=1e-12)


# Found by readers.


def test_huber_with_strong_momentum_may_circle_below_its_limit():
    limit = max_learning_rate([[1.0]], "huber", 0.9, fit_intercept=False)
    settings = {"epochs": 3000, "batch_size": 1, "dtype": "float64", "fit_intercept": False}
    circling = LinearRegression(SGD(0.9 * limit, momentum=0.9), "huber", kernel_initializer=np.array([5.0]), **settings)
    assert min(circling.fit([[1.0]], [0.0]).history_["loss"][-100:]) > 1
    plain = LinearRegression(SGD(0.9 * max_learning_rate([[1.0]], "huber", fit_intercept=False)), "huber",
                             kernel_initializer=np.array([5.0]), **settings)  # fmt: skip
    assert plain.fit([[1.0]], [0.0]).history_["loss"][-1] < 1e-12


def test_an_epoch_that_overflows_has_an_infinite_radius():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1000, 2)), rng.normal(size=1000)
    run = closed_form(X, y, SGD(10.0), 1)
    assert run.spectral_radius == np.inf
    assert run.epochs_to() == np.inf
    assert growth_rate(X, SGD(10.0), 1, epochs=5, repetitions=2).factor == np.inf


def test_a_direction_too_flat_to_move_counts_as_standing_still():
    rng = np.random.default_rng(0)
    X = np.column_stack([1e10 * rng.normal(size=50), rng.normal(size=50)])
    run = closed_form(X, X[:, 1], SGD(max_learning_rate(X) / 2), 50)
    assert run.spectral_radius == pytest.approx(1.0)
    assert run.excess([10**6])[0] > 0.1 * run.excess([0])[0]


@pytest.mark.parametrize("rate", [-0.1, np.nan, [0.1, -0.1], schedules.ExponentialDecay(0.1, 10, 0.5)], ids=str)
def test_rates_that_are_none_are_refused(rate):
    with pytest.raises(ValueError, match="learning_rates must be finite numbers of at least 0"):
        spectral_radius([[1.0], [2.0]], SGD(), rate)


def test_more_epochs_than_can_be_counted_are_refused():
    with pytest.raises(ValueError, match=r"[Ee]pochs"):
        closed_form([[1.0], [2.0]], [1, 2], SGD(0.1)).after(10**19)
