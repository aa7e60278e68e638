"""Causes that another one hides, and rows and penalties judged where rows are few."""

import numpy as np
import pytest

from linreg import SGD, Adam, Huber, MeanSquaredError, diagnose
from linreg.diagnosis.data_causes import high_leverage
from linreg.diagnosis.robust import far_of_few, least_trimmed_squares
from linreg.diagnosis.symptoms import Symptoms
from linreg.diagnosis.validation_causes import _error_on_unseen_rows, _penalised
from linreg.regularizers import L2
from linreg.schedules import PolynomialDecay


def line(rows=200, columns=4, seed=0, noise=0.1):
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, columns))
    return X, X @ np.arange(1.0, columns + 1) + 0.5 + noise * random.normal(size=rows)


def a_far_row_and_a_rate_of_three():
    X, y = line()
    X[7, 0] += 800.0
    y[7] += 800.0
    return (X, y), {"optimizer": SGD(3.0), "epochs": 100}, {"high_leverage", "learning_rate_too_high"}


def a_sum_and_a_rate_of_three():
    settings = {"optimizer": SGD(3.0), "loss": MeanSquaredError(reduction="sum"), "epochs": 100}
    return line(), settings, {"loss_reduction", "learning_rate_too_high"}


def a_large_target_and_a_tiny_rate():
    X, y = line()
    return (X, 100 * y), {"optimizer": Adam(1e-5), "epochs": 100}, {"target_scale", "learning_rate_too_low"}


def a_constant_column_and_one_in_small_units():
    X, y = line()
    y = y + 100 * X[:, 2]
    X = np.column_stack([X[:, :2], 300 * X[:, 2], X[:, 3], np.full(len(X), 40.0)])
    return (X, y), {"optimizer": SGD(0.05), "epochs": 100}, {"constant_feature", "feature_scale"}


def far_rows_and_a_penalty():
    X, y = line(rows=300)
    y[:6] += 400.0
    settings = {"optimizer": SGD(0.05), "epochs": 300, "batch_size": 300, "kernel_regularizer": L2(1.0)}
    return (X, y), settings, {"outliers", "regularization"}


PAIRS = (
    a_far_row_and_a_rate_of_three,
    a_sum_and_a_rate_of_three,
    a_large_target_and_a_tiny_rate,
    a_constant_column_and_one_in_small_units,
    far_rows_and_a_penalty,
)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.__name__)
def test_two_faults_are_both_told(pair):
    (X, y), settings, expected = pair()
    found = diagnose(X, y, **settings)
    assert expected <= {finding.cause for finding in found.findings}


@pytest.mark.parametrize("pair", PAIRS[:4], ids=lambda pair: pair.__name__)
def test_the_first_remedy_of_a_pair_cures(pair):
    (X, y), settings, _ = pair()
    assert diagnose(X, y, **settings).findings[0].remedies[0].after.healthy


def test_a_single_fault_brings_no_second_one():
    X, y = line()
    assert [f.cause for f in diagnose(X, y, optimizer=SGD(3.0), epochs=100).findings] == ["learning_rate_too_high"]


def test_a_large_constant_column_makes_no_feature_large():
    X, y = line()
    found = diagnose(np.column_stack([X, np.full(len(X), 2020.0)]), y, optimizer=SGD(0.05), epochs=100)
    assert found.findings[0].cause == "constant_feature"


def test_rows_far_out_make_no_feature_large():
    X, y = line()
    X[5], y[5] = 3000.0, 30000.5
    assert diagnose(X, y, optimizer=SGD(0.05), epochs=100).findings[0].cause == "high_leverage"


def test_far_rows_that_carry_no_steepness_are_told_by_the_spread_they_make():
    X = 50.0 + line()[0]
    X[:3, 1] = 120.0
    found = diagnose(X, X @ np.arange(1.0, 5.0), optimizer=SGD(0.1), batch_size=200, epochs=100)
    told = {finding.cause: finding.explanation for finding in found.findings}
    assert found.findings[0].cause == "feature_scale"
    assert "the spread of x1 is theirs" in told["high_leverage"]


@pytest.mark.parametrize(("rows", "size"), [(12, 4), (20, 8), (30, 7), (40, 15)])
def test_few_rows_of_normal_noise_hold_none_that_is_far(rows, size):
    random = np.random.default_rng(rows)
    for _ in range(20):
        A = np.column_stack([random.normal(size=(rows, size - 1)), np.ones(rows)])
        y = A @ random.normal(size=size) + random.normal(size=rows)
        robust, _ = least_trimmed_squares(A, y)
        assert not far_of_few(A, y, np.abs(A @ robust - y), rows // 3).any()


@pytest.mark.parametrize(("rows", "size"), [(16, 4), (20, 8), (30, 7), (40, 15)])
def test_two_gross_rows_of_few_are_found(rows, size):
    random = np.random.default_rng(rows)
    A = np.column_stack([random.normal(size=(rows, size - 1)), np.ones(rows)])
    y = A @ random.normal(size=size) + random.normal(size=rows)
    y[[2, 9]] += [60.0, -60.0]
    robust, _ = least_trimmed_squares(A, y)
    assert np.flatnonzero(far_of_few(A, y, np.abs(A @ robust - y), rows // 3)).tolist() == [2, 9]


@pytest.mark.parametrize("strength", [0.0, 0.1, 1.0])
def test_the_error_of_a_row_left_out_is_that_of_a_fit_without_it(strength):
    X, y = line(rows=30, columns=20, noise=1.0)
    given = diagnose(X, y, optimizer=SGD(0.05), epochs=200).case
    case = _penalised(strength).applied(given)
    A = np.column_stack([case.X, np.ones(30)])
    penalty = 30 * strength * np.diag([1.0] * 20 + [0.0])
    errors = []
    for row in range(30):
        B, target = np.delete(A, row, axis=0), np.delete(y, row)
        errors.append(A[row] @ np.linalg.solve(B.T @ B + penalty, B.T @ target) - y[row])
    # Two ways to the same sum: rounding, grown by the condition of the matrix (about 1e3 here) and by 1/(1 - h).
    assert _error_on_unseen_rows(case) == pytest.approx(np.mean(np.square(errors)), rel=1e-9)


def test_the_penalty_offered_against_overfitting_is_the_best_of_those_tried_on_the_validation_rows():
    X, y = line(rows=30, columns=20, noise=30.0)
    held = line(rows=60, columns=20, seed=1, noise=30.0)
    found = diagnose(X, y, optimizer=SGD(0.05), epochs=2000, validation_data=held)
    finding = next(finding for finding in found.findings if finding.cause == "overfitting")
    chosen = finding.remedies[0].settings["kernel_regularizer"].l2
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    A, B = (np.column_stack([(Z - mean) / deviation, np.ones(len(Z))]) for Z in (X, held[0]))
    errors = {}
    for strength in (0.0, 0.001, 0.01, 0.1, 1.0):
        p = np.linalg.solve(A.T @ A / 30 + strength * np.diag([1.0] * 20 + [0.0]), A.T @ y / 30)
        errors[strength] = np.mean((B @ p - held[1]) ** 2)
    assert chosen == min(errors, key=errors.get)


def test_a_shift_that_features_do_not_show_is_not_told_of_them():
    X, y = line()
    held = line(seed=1)
    found = diagnose(X, y, optimizer=SGD(0.05), epochs=300, validation_data=(held[0], held[1] + 5.0))
    assert "follows another line" in found.findings[0].explanation


def test_weight_decay_that_holds_the_weights_back_is_told_and_undone():
    X, y = line()
    found = diagnose(X, y, optimizer=SGD(0.05, weight_decay=2.0), epochs=200)
    assert [finding.cause for finding in found.findings] == ["regularization"]
    assert found.findings[0].remedies[0].settings == {"optimizer__weight_decay": None}
    assert found.findings[0].remedies[0].after.healthy


def test_complex_numbers_are_a_wrong_type():
    found = diagnose(np.fft.fft(line()[0], axis=0), line()[1])
    assert (found.verdict, [finding.cause for finding in found.findings]) == ("cannot_run", ["wrong_dtype"])


def test_a_penalty_under_huber_is_judged_by_squares_too():
    X, y = line()
    settings = {"loss": Huber(1.0), "epochs": 3000, "optimizer": SGD(0.5)}
    harmless = diagnose(X, 30 * y, kernel_regularizer=L2(1e-4), **settings)
    harmful = diagnose(X, 30 * y, kernel_regularizer=L2(0.004), **settings)
    assert "regularization" not in [finding.cause for finding in harmless.findings]
    assert "regularization" in [finding.cause for finding in harmful.findings]


def test_a_far_row_is_told_by_the_batch_that_holds_it():
    X, y = line(rows=6000)
    X[17, 1] += 30.0
    y[17] += 60.0
    case = diagnose(X, y, optimizer=SGD(0.05), batch_size=8, epochs=20).case
    told = high_leverage(case, Symptoms(case)).explanation
    assert "the batch of 8 that holds row 17 is steep" in told
    # The Hessian of that batch has at least the curvature of the row alone, 2 |(x, 1)|^2 / 8.
    assert f"{8 / (X[17] @ X[17] + 1):.3g}" in told


def test_a_far_row_on_the_line_of_noisy_rows_is_no_outlier():
    X, y = line(rows=60, noise=2.0)
    X[3] *= 60.0
    y[3] = X[3] @ np.arange(1.0, 5.0) + 0.5
    found = diagnose(X, y, optimizer=SGD(0.1), epochs=100)
    assert found.findings[0].cause == "high_leverage"
    assert "outliers" not in [finding.cause for finding in found.findings]


def test_a_clip_that_keeps_the_run_from_its_optimum_is_told_and_left_out():
    X, y = line()
    found = diagnose(X, y, optimizer=SGD(0.05, clipnorm=1e-3), epochs=100)
    assert found.findings[0].cause == "target_scale"
    assert found.findings[0].remedies[0].settings == {"optimizer__clipnorm": None}
    assert found.findings[0].remedies[0].after.healthy
    # 7 batches an epoch, each moves a parameter by 0.05 * 1e-3 at most.
    assert found.findings[0].evidence["reach"] == pytest.approx(0.05 * 1e-3 * 700)


def test_betas_that_were_swapped_are_set_right():
    X, y = line()
    found = diagnose(X, y, optimizer=Adam(0.05, beta_1=0.999, beta_2=0.9), batch_size=200, epochs=150)
    assert found.findings[0].cause == "momentum_too_high"
    assert found.findings[0].remedies[0].settings == {"optimizer__beta_1": 0.9, "optimizer__beta_2": 0.999}


def test_a_last_batch_of_one_row_is_told_under_a_schedule_too():
    X, y = line(rows=197, noise=1.0)
    rate = PolynomialDecay(0.5, 60, end_learning_rate=0.3)
    found = diagnose(X, y, optimizer=SGD(rate), batch_size=49, epochs=30, random_state=3)
    assert "batch_noise" in [finding.cause for finding in found.findings]


def test_far_rows_that_a_scaler_to_one_has_pressed_the_others_with_are_told_first():
    X, y = line(rows=400)
    X[3, 1], X[8, 2] = 300.0, -200.0
    y = X @ np.arange(1.0, 5.0)
    found = diagnose(X / np.abs(X).max(axis=0), y, optimizer=SGD(0.1), epochs=20)
    assert found.findings[0].cause == "high_leverage"
    assert "the largest values, about 1, are theirs" in found.findings[0].explanation
    assert found.findings[0].remedies[0].after.healthy


def test_more_parameters_than_rows_are_told():
    found = diagnose(*line(rows=8, columns=10, noise=1.0), optimizer=SGD(0.05), epochs=3000)
    assert "overfitting" in [finding.cause for finding in found.findings]
