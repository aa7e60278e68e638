"""Why a loss rises: the verdict by formula, each cause on the smallest data that have it, and no false alarms."""

import numpy as np
import pytest

from linreg import SGD, Adam, Huber, LinearRegression, MeanSquaredError, RMSprop, diagnose
from linreg.callbacks import EarlyStopping
from linreg.data.datasets import load
from linreg.diagnosis import CAUSES
from linreg.diagnosis.code import scripts
from linreg.diagnosis.page import html
from linreg.diagnosis.robust import least_trimmed_squares
from linreg.diagnosis.verdicts import verdict
from linreg.experiments import known_experiments
from linreg.regularizers import L2
from linreg.schedules import ExponentialDecay

ZEROS = {"kernel_initializer": "zeros", "random_state": 0}


def line(rows=100, features=1, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, features))
    return X, X @ np.arange(1.0, features + 1) + 0.5 + noise * rng.normal(size=rows)


def causes(diagnosis):
    return [finding.cause for finding in diagnosis.findings]


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([np.nan, 1], "cannot_run"),
        ([np.inf], "cannot_run"),
        ([1, 2, 4, np.inf], "diverges"),
        ([1, 2, 4, np.nan], "diverges"),
        ([1, 2, 4, 8, 16, 32, 64, 128], "diverges"),
        ([1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.01], "converges"),
        ([1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3], "too_slow"),
        ([1, 0.5, 0.6, 0.5, 0.6, 0.5, 0.6, 0.5, 0.6], "oscillates"),
        ([1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], "stuck"),
        ([1, 30, 20, 10, 5, 3, 2, 1.5], "too_slow"),  # above its start, but coming down
        ([0, 0, 0], "converges"),  # began at the optimum
    ],
)
def test_verdict_follows_its_formula(curve, expected):
    assert verdict(np.array(curve) + 3.0, least=3.0, variance=1.0) == expected


@pytest.mark.parametrize(
    ("left", "expected"), [(0.0101, "too_slow"), (0.0099, "converges")], ids=["just above 1 %", "just below"]
)
def test_a_run_has_converged_at_one_percent(left, expected):
    assert verdict(np.geomspace(1, left, 50), 0.0, 1.0) == expected


# Every cause, alone.


def two_sizes():
    X, y = line(features=2)
    return (X * [1, 1000], y), {"optimizer": SGD(0.01)}


def shifted():
    X, y = line()
    return (X + 2000, y), {"optimizer": SGD(0.01)}


def large_target():
    X, y = line()
    return (X, 1e6 * y), {"optimizer": Adam(0.01)}


def typed_wrong():
    X, y = line(rows=60)
    y[[3, 17, 40]] *= 1000
    return (X, y), {"optimizer": SGD(0.1)}


def one_row_far_out():
    X, y = line(rows=40)
    X[7], y[7] = 1000, 1000.5
    return (X, y), {"optimizer": SGD(0.1)}


def nearly_the_same_column_twice():
    X, _ = line(features=2, noise=1.0)
    X[:, 1] = X[:, 0] + 1e-3 * X[:, 1]
    return (X, X.sum(axis=1) + np.random.default_rng(2).normal(size=100)), {"optimizer": SGD(0.1)}


def a_column_of_hundreds():
    X, y = line()
    return (np.column_stack([X, np.full(100, 100.0)]), y), {"optimizer": SGD(0.01)}


def noisy_single_rows():
    X, y = line(noise=3.0)
    return (X, y), {"optimizer": SGD(0.2), "batch_size": 1}


def few_rows_of_many_columns():
    X, y = line(rows=60, features=20, noise=1.0)
    held_out = line(rows=200, features=20, noise=1.0, seed=1)
    settings = {"optimizer": SGD(0.1), "epochs": 500, "batch_size": 26, "validation_data": held_out}
    return (X[:26], y[:26]), settings


def another_season():
    X, y = line()
    return (X, y), {"optimizer": SGD(0.1), "validation_data": (X[:50] + 4, y[:50] - 3)}


def weights_that_are_counts():
    X, y = line()
    weights = np.random.default_rng(1).integers(50, 150, size=100).astype(float)
    return (X, y), {"optimizer": SGD(0.1), "sample_weight": weights}


def a_schedule_in_epochs_instead_of_steps():
    X, y = line()
    return (X, y), {"optimizer": SGD(ExponentialDecay(0.01, decay_steps=1, decay_rate=0.5)), "batch_size": 10}


def a_steep_penalty():
    X, y = line()
    return (X, y), {"optimizer": SGD(0.1), "kernel_regularizer": L2(30.0)}


def sorted_rows():
    X, _ = line(rows=400, features=2)
    y = X @ [1.0, 2.0] + 3 * np.random.default_rng(3).normal(size=400)
    order = np.argsort(y)
    return (X[order], y[order]), {"optimizer": SGD(0.02), "batch_size": 16, "shuffle": False}


def clipped_far_below_the_target():
    X, y = line()
    return (X, 1e4 * y), {"optimizer": SGD(0.1, clipnorm=1.0)}


def few_rows_and_no_validation():
    X, y = line(rows=12, features=8, noise=1.0)
    return (X, y), {"optimizer": SGD(0.1), "epochs": 5000, "batch_size": 12}


def gap():
    X, y = line()
    X[3, 0] = np.nan
    return (X, y), {"optimizer": SGD(0.1)}


ALONE = {
    "feature_scale": two_sizes,
    "feature_scale, far from zero": shifted,
    "learning_rate_too_high": lambda: (line(), {"optimizer": SGD(10.0)}),
    "learning_rate_too_low": lambda: (line(), {"optimizer": SGD(1e-4)}),
    "learning_rate_too_low, adam": lambda: (line(), {"optimizer": Adam(1e-6)}),
    "target_scale": large_target,
    "momentum_too_high": lambda: (line(), {"optimizer": SGD(0.01, momentum=0.999)}),
    "loss_reduction": lambda: (line(), {"optimizer": SGD(0.1), "loss": MeanSquaredError("sum"), "batch_size": 100}),
    "regularization": lambda: (line(), {"optimizer": SGD(0.1), "kernel_regularizer": L2(1.0)}),
    "loss_reduction, weights": weights_that_are_counts,
    "learning_rate_too_low, schedule": a_schedule_in_epochs_instead_of_steps,
    "regularization, too steep": a_steep_penalty,
    "batch_noise, sorted": sorted_rows,
    "target_scale, clipped": clipped_far_below_the_target,
    "overfitting, no validation": few_rows_and_no_validation,
    "outliers": typed_wrong,
    "high_leverage": one_row_far_out,
    "collinearity": nearly_the_same_column_twice,
    "constant_feature": a_column_of_hundreds,
    "batch_noise": noisy_single_rows,
    "overfitting": few_rows_of_many_columns,
    "validation_shift": another_season,
    "missing_values": gap,
    "wrong_dtype": lambda: (([["1,5"], ["2,5"], ["3,5"], ["4,5"]], [1, 2, 3, 4]), {"optimizer": SGD(0.01)}),
}


@pytest.mark.parametrize("name", ALONE)
def test_each_cause_alone_is_the_main_one(name):
    (X, y), settings = ALONE[name]()
    found = diagnose(X, y, **{**ZEROS, **settings})
    assert causes(found)[0] == name.split(",")[0]
    assert set(causes(found)) <= set(CAUSES)
    assert found.findings[0].evidence
    assert found.findings[0].remedies


@pytest.mark.parametrize(
    "name", [name for name in ALONE if name.split(",")[0] not in ("overfitting", "validation_shift")]
)
def test_the_first_remedy_cures_what_did_not_converge(name):
    (X, y), settings = ALONE[name]()
    found = diagnose(X, y, **{**ZEROS, **settings})
    if found.verdict not in ("converges", "cannot_run"):
        assert found.findings[0].remedies[0].after.verdict == "converges"


# The model that is judged is the one that the user gets.


def mean_squared_error(X, y, model):
    return np.mean((X.astype(float) @ model.coef_.astype(float) + model.intercept_ - y) ** 2)


AVERAGED = {"optimizer": SGD(0.1, use_ema=True, ema_momentum=0.999), **ZEROS}
RESTORED = {"optimizer": SGD(3.0), "dtype": "float64", "batch_size": 100, **ZEROS}


@pytest.mark.parametrize("settings", [AVERAGED, RESTORED], ids=["average", "restored"])
def test_the_outcome_is_that_of_the_fitted_model(settings):
    X, y = line()
    if settings is RESTORED:
        settings = {**settings, "callbacks": [EarlyStopping("loss", patience=3, restore_best_weights=True)]}
    fitted = LinearRegression(**settings).fit(X, y)
    outcome = diagnose(X, y, **settings).outcome
    np.testing.assert_array_equal(outcome.parameters, [*fitted.coef_, fitted.intercept_])
    assert outcome.end == pytest.approx(mean_squared_error(X, y, fitted))


def test_each_point_of_the_curve_is_the_model_that_the_run_would_leave_there():
    X, y = line()
    curve = diagnose(X, y, **AVERAGED, epochs=5).outcome.curve
    left = [LinearRegression(**AVERAGED, epochs=epochs).fit(X, y) for epochs in range(1, 6)]
    assert curve == pytest.approx([np.mean(y**2), *(mean_squared_error(X, y, model) for model in left)])


def test_an_average_that_lags_behind_its_weights_is_too_slow_and_a_note_says_why():
    found = diagnose(*line(), **AVERAGED)
    assert found.verdict == "too_slow"
    assert "The weights themselves converge" in found.notes[0]
    assert not diagnose(*line(), **{**AVERAGED, "optimizer": SGD(0.1, use_ema=True)}, epochs=300).notes


# Nothing wrong: no findings.


def swinging():
    X, y = line()
    return (X, y), {"optimizer": SGD(0.5, momentum=0.9), "batch_size": 100}


HEALTHY = {
    "plain": lambda: (line(), {"optimizer": SGD(0.1)}),
    "far features and a rate that fits": lambda: ((line()[0] * 1000, line()[1]), {"optimizer": SGD(1e-7), "epochs": 300,
                                                                                 "fit_intercept": False}),
    "a large loss that falls": lambda: ((line()[0], 1e6 * line()[1]), {"optimizer": SGD(0.1)}),
    "momentum that rises at first": swinging,
    "a far point on the line": lambda: ((np.append(line()[0], [[8.0]], axis=0), np.append(line()[1], 8.5)),
                                        {"optimizer": SGD(0.01)}),
    "noise alone": lambda: ((line()[0], np.random.default_rng(5).normal(size=100) + 3), {"optimizer": SGD(0.1)}),
    "huber": lambda: (line(), {"optimizer": SGD(0.1), "loss": Huber()}),
    "rmsprop": lambda: (line(), {"optimizer": RMSprop(0.01)}),
    "validation of the same kind": lambda: (line(), {"optimizer": SGD(0.1), "validation_data": line(seed=9)}),
}  # fmt: skip


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_has_no_findings(name):
    (X, y), settings = HEALTHY[name]()
    found = diagnose(X, y, **{**ZEROS, **settings})
    assert (found.verdict, causes(found)) == ("converges", [])


# The known experiments and data sets.


def trial(experiment, name):
    return next(trial for trial in known_experiments()[experiment].trials if trial.name == name)


@pytest.mark.parametrize(
    ("experiment", "name", "expected", "main"),
    [
        (0, "unscaled", "diverges", "feature_scale"),
        (0, "min-max scaled", "converges", None),
        (1, "SGD 10.0", "diverges", "learning_rate_too_high"),
        (1, "SGD 0.0001", "too_slow", "learning_rate_too_low"),
        (1, "SGD 0.1", "converges", None),
        (1, "Adam 0.01", "converges", None),
        (2, "MSE", "diverges", "high_leverage"),
    ],
)
def test_known_experiments(experiment, name, expected, main):
    known = trial(experiment, name)
    found = known.model.diagnose(known.X, known.y)
    assert found.verdict == expected
    assert causes(found)[:1] == [main] * (main is not None)


def test_scale_and_rate_are_one_cause_with_two_remedies_and_their_numbers():
    known = trial(0, "unscaled")
    found = known.model.diagnose(known.X, known.y)
    assert causes(found) == ["feature_scale", "learning_rate_too_high"]
    evidence = found.findings[0].evidence
    assert evidence["limit"] == pytest.approx(2.143e-7, rel=1e-3)
    assert evidence["limit_scaled"] == pytest.approx(0.5)
    assert evidence["ratio"] == pytest.approx(0.01 / 2.143e-7, rel=1e-3)


def test_longley_is_scale_first_and_collinear():
    longley = load("longley")
    found = diagnose(longley.X, longley.y, **ZEROS)
    assert causes(found)[0] == "feature_scale"
    assert "collinearity" in causes(found)
    assert "outliers" not in causes(found)  # sixteen rows for seven parameters cannot tell


def test_stack_loss_has_the_outliers_that_the_literature_finds():
    stackloss = load("stackloss")
    found = diagnose(stackloss.X, stackloss.y, **ZEROS)
    outliers = found.findings[causes(found).index("outliers")]
    assert outliers.evidence["rows"] == [0, 2, 3, 20]  # observations 1, 3, 4 and 21


def test_least_trimmed_squares_is_not_moved_by_a_fifth_of_wrong_rows():
    X, y = line(rows=100)
    A = np.column_stack([X, np.ones(100)])
    y[:20] = 1e4
    parameters, scale = least_trimmed_squares(A, y)
    np.testing.assert_allclose(parameters, [1.0, 0.5], atol=0.05)  # five standard errors of 80 rows
    assert 0.07 < scale < 0.13


# What else is promised.


@pytest.mark.parametrize(("fault", "rows"), [(typed_wrong, [5, 19, 42]), (one_row_far_out, [9])])
def test_rows_are_numbered_as_in_the_data_given_also_behind_incomplete_ones(fault, rows):
    (X, y), settings = fault()
    # Two rows with gaps in front of all others.
    X, y = np.insert(X, [0, 0], np.nan, axis=0), np.insert(y, [0, 0], 0.0)
    found = diagnose(X, y, **{**ZEROS, **settings})
    gaps, cause, *_ = found.findings
    assert (gaps.cause, gaps.evidence["first_rows"]) == ("missing_values", [0, 1])
    assert cause.evidence["rows"] == rows
    assert any(f"ow {row} (counted from 0)" in cause.explanation for row in rows)
    (drop,) = [remedy for remedy in cause.remedies if remedy.drop_rows]
    assert drop.drop_rows == tuple(rows)
    assert any(f"Look at row {row};" in drop.words for row in rows)
    assert sorted(drop.applied(found.case).row_numbers) == sorted({*range(2, len(y))} - {*rows})
    assert any(f"row {row}:" in html(found, "") for row in rows)


# Data that need repair: the first remedy leads to a run that converges, and is what its words, code and `apply` say.

NAN = float("nan")


def scaled_line(rows=60):
    X, y = line(rows=rows, features=2)
    return X * [1, 1000] + [0, 500], y


def with_gaps():
    X, y = scaled_line()
    X[3, 0], X[17, 1] = NAN, np.inf
    return X, y


def with_gaps_in_the_target():
    X, y = with_gaps()
    y[[5, 9]] = NAN
    return X, y


def with_an_empty_column():
    X, y = with_gaps()
    return np.column_stack([X[:, :1], np.full(60, NAN), X[:, 1:]]), y


def mostly_gaps():
    X, y = scaled_line()
    X[:20, 0] = X[30:55, 1] = NAN
    return X, y


def masked():
    X, y = scaled_line()
    return np.ma.MaskedArray(X, mask=np.isin(np.arange(120), [7, 50]).reshape(60, 2)), y


def text():
    X, y = scaled_line()
    return [[f"{a:,.3f}", b, "red" if a > 0 else "blue"] for a, b in X.tolist()], y


def text_with_gaps():
    X, y = text()
    X[8][1] = None
    return X, [None, *y[1:]]


def assert_ends_like(estimator, outcome):
    """The estimator has the parameters of the trial; of one that diverged, which ends early, that they are none."""
    model = estimator[-1] if hasattr(estimator, "steps") else estimator
    parameters = [*model.coef_, model.intercept_]
    if np.isfinite(outcome.parameters).all():
        np.testing.assert_array_equal(parameters, outcome.parameters)
    else:
        assert not np.isfinite(parameters).any()


BROKEN = [with_gaps, with_gaps_in_the_target, with_an_empty_column, mostly_gaps, masked, text, text_with_gaps]


@pytest.mark.parametrize("data", BROKEN, ids=lambda data: data.__name__)
@pytest.mark.parametrize("settings", [{}, {"optimizer": SGD(1e-7), "kernel_initializer": "given"}], ids=["", "start"])
def test_the_first_remedy_repairs_the_data_and_cures_the_run(data, settings):
    X, y = data()
    width = len(X[0])
    if settings:
        settings = {**settings, "kernel_initializer": [1.0, 0.002, 0.5][:width]}
    found = diagnose(X, y, **{**ZEROS, **settings})
    assert found.verdict == "cannot_run"
    assert "feature_scale" in causes(found)[1:] or settings
    for finding in found.findings:
        for remedy in finding.remedies[:2]:
            for given in ((X, y), ()):
                end = found.apply(*given, finding=found.findings.index(finding), remedy=finding.remedies.index(remedy))
                assert_ends_like(end, remedy.after)
    first = found.findings[0].remedies[0]
    assert first.after.verdict == "converges"
    assert f"{first.words}" in " ".join(str(found).split()).replace(" Tried:", "")
    assert "Tried: the run then converges" in " ".join(str(found).split())


@pytest.mark.parametrize("data", BROKEN, ids=lambda data: data.__name__)
def test_the_printed_code_takes_broken_data_as_they_were_given_and_ends_where_the_trial_did(data):
    X, y = data()
    found = diagnose(X, y, **ZEROS)
    for finding in found.findings:
        for remedy in finding.remedies:
            left = {"X": X, "y": y}
            exec(scripts(found, finding, remedy)["python"], left)  # noqa: S102
            assert_ends_like(left["model"], remedy.after)


@pytest.mark.parametrize("data", [with_gaps, with_an_empty_column, text_with_gaps], ids=lambda data: data.__name__)
def test_the_keras_code_takes_broken_data_as_they_were_given_and_cures_too(data, keras):
    X, y = data()
    found = diagnose(X, y, **ZEROS, epochs=20, batch_size=60)
    for finding in found.findings[:: len(found.findings) - 1]:
        remedy, left = finding.remedies[0], {"X": X, "y": y}
        exec(scripts(found, finding, remedy)["keras"], left)  # noqa: S102
        kernel, bias = left["model"].get_weights()
        # Twenty full-batch steps in float32 from the same start on the same features, whose rounding alone differs.
        np.testing.assert_allclose([*kernel[:, 0], *bias], remedy.after.parameters, rtol=1e-4, atol=1e-5)


def test_gaps_alone_are_cured_by_filling_them_alone():
    (X, y), settings = gap()
    (finding,) = diagnose(X, y, **{**ZEROS, **settings}).findings
    assert [remedy.name for remedy in finding.remedies] == ["impute", "drop rows"]
    filled = LinearRegression(**{**ZEROS, **settings}).fit(np.where(np.isnan(X), np.nanmedian(X), X), y)
    np.testing.assert_array_equal(finding.remedies[0].after.parameters, [*filled.coef_, filled.intercept_])


def test_data_with_too_little_in_them_are_told_so():
    for X, y in (
        (np.full((9, 1), NAN), np.arange(9.0)),
        ([[1.0], [2.0]], [NAN, 1.0]),
        ([["a"], ["a"], ["a"]], [1.0, 2, 3]),
    ):
        found = diagnose(X, y)
        assert (found.verdict, found.case) == ("cannot_run", None)
        assert causes(found)
        assert str(found)
        with pytest.raises(ValueError, match=r"advice that no code can follow|cannot be repaired"):
            found.apply()
    assert "one row only" in diagnose([[1.0]], [1.0]).notes[0]


def test_a_kernel_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match=r"kernel_initializer has shape \(3,\), but X has 2 features"):
        diagnose(*scaled_line(), kernel_initializer=[1.0, 2.0, 3.0])


@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam(1e-5)])
def test_remedies_that_drop_or_turn_columns_run_with_a_kernel_that_was_given(optimizer):
    (X, y), _ = nearly_the_same_column_twice()
    X = np.column_stack([X, np.full(100, 100.0)])
    found = diagnose(X, y, optimizer=optimizer, kernel_initializer=[[0.5], [0.5], [0.5]], random_state=0)
    tried = [remedy for finding in found.findings for remedy in finding.remedies if remedy.after is not None]
    assert {"drop constant", "drop collinear columns"} & {remedy.name for remedy in tried}
    assert "cannot_run" not in [remedy.after.verdict for remedy in tried]


def test_both_of_a_pair_are_found():
    X, y = line(features=2)
    y[5] = 500
    X[3, 0] = np.nan
    found = diagnose(X * [1, 1000], y, **ZEROS)
    assert found.verdict == "cannot_run"
    assert causes(found)[0] == "missing_values"
    assert {"feature_scale", "outliers"} <= set(causes(found))


def test_a_remedy_can_be_applied():
    X, y = line(features=2)
    found = diagnose(X * [1, 1000], y, **ZEROS)
    cured = found.apply()
    assert np.mean((cured.predict(X * [1, 1000]) - y) ** 2) < 0.05


def test_the_model_is_not_trained_and_the_same_run_says_the_same():
    model = LinearRegression(SGD(10.0), random_state=3)
    X, y = line()
    first, second = model.diagnose(X, y), model.diagnose(X, y)
    assert not hasattr(model, "coef_")
    assert first.to_dict() == second.to_dict()


def test_unstable_in_theory_and_harmless_in_this_run_is_a_note():
    X = np.array([[-1.0, 1.0], [-1.0, -1.0], [1.0, 1.0], [1.0, -1.0]]) * [1, 3]
    found = diagnose(X, 3 * X[:, 0], optimizer=SGD(0.12), **ZEROS, batch_size=4, dtype="float64")
    assert (found.verdict, causes(found)) == ("converges", [])
    assert "diverge along some direction" in found.notes[0]


def test_rows_in_a_sorted_order_are_told_to_be_shuffled():
    (X, y), settings = sorted_rows()
    found = diagnose(X, y, **{**ZEROS, **settings})
    assert found.findings[0].remedies[0].settings == {"shuffle": True}
    assert "shuffle=False" in found.findings[0].explanation


def test_far_rows_that_share_a_value_are_asked_whether_it_is_a_code():
    X, y = line(rows=200, features=2)
    X[[7, 70, 170], 1] = -999.0
    found = diagnose(X, y, optimizer=SGD(1e-6), **ZEROS)
    explanation = next(finding for finding in found.findings if finding.cause == "outliers").explanation
    assert "have x1 = -999" in explanation
    assert "a code for a missing value" in explanation


def test_a_point_between_thousands_is_suspected_where_whole_numbers_stop_at_a_thousand():
    rng = np.random.default_rng(0)
    areas = rng.integers(200, 3000, size=300)
    X = np.where(areas < 1000, areas, areas / 1000).reshape(-1, 1)
    (note,) = [note for note in diagnose(X, 0.01 * areas, optimizer=SGD(1e-6)).notes if "thousands" in note]
    assert f"in {(areas >= 1000).sum()} rows" in note
    for fine in (areas.reshape(-1, 1) / 1000, areas.reshape(-1, 1), np.round(rng.uniform(1, 900, (300, 1)), 2)):
        assert not [note for note in diagnose(fine, 0.01 * areas, optimizer=SGD(1e-6)).notes if "thousands" in note]


def test_a_poor_best_line_is_told_although_the_training_is_healthy():
    X, y = line(noise=3.0)
    healthy = diagnose(X, y, optimizer=SGD(0.1), batch_size=100, **ZEROS)
    assert healthy.verdict == "converges"
    assert any("even the best line explains only" in note for note in healthy.notes)
    assert not diagnose(*line(), optimizer=SGD(0.1), **ZEROS).notes


def test_small_integers_that_overflow_in_a_loop_written_by_hand_are_noted():
    X = np.arange(200, dtype=np.uint8).reshape(-1, 1)
    assert any("uint8" in note for note in diagnose(X, np.arange(200.0), optimizer=SGD(1e-6)).notes)
    assert not diagnose(X.astype(float), np.arange(200.0), optimizer=SGD(1e-6)).notes


def test_validation_rows_without_names_go_with_a_frame_of_as_many_columns():
    polars = pytest.importorskip("polars")
    X, y = line(features=2)
    frame = polars.DataFrame(X, schema=["area", "rooms"])
    named = diagnose(frame, y, optimizer=SGD(0.1), validation_data=(polars.DataFrame(X + 5, ["area", "rooms"]), y))
    unnamed = diagnose(frame, y, optimizer=SGD(0.1), validation_data=(X + 5, y))
    assert causes(unnamed) == causes(named) == ["validation_shift"]
    with pytest.raises(ValueError, match="give the same columns"):
        diagnose(frame, y, validation_data=(X[:, :1], y))


def test_a_run_that_converges_by_the_level_of_the_target_alone_is_told_how_much_is_left():
    """The target is 88 on average and scatters by 4: 1 % of the way from zero may be all that the features explain."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(1500, 4))
    y = 88 + X @ [2.0, -2.0, 2.0, 1.0] + 1.6 * rng.normal(size=1500)
    settings = {"epochs": 60, "random_state": 2}
    found = diagnose(X, y, optimizer=SGD(0.01, momentum=0.995), **settings)
    loss = found.outcome.end
    least = float(np.mean((np.column_stack([X, np.ones(1500)]) @ np.linalg.lstsq(
        np.column_stack([X, np.ones(1500)]), y)[0] - y) ** 2))  # fmt: skip
    left = (loss - least) / (np.var(y) - least)
    assert (found.verdict, found.findings) == ("converges", ())
    assert left > 0.05
    assert f"{100 * left:.0f} % of what the features explain of the target are not learned" in found.notes[0]
    assert "it could end lower" in str(found)
    calm = diagnose(X, y, optimizer=SGD(0.01, momentum=0.9), **settings)
    assert "Nothing is wrong with the training." in str(calm)
    assert not any("not learned" in note for note in calm.notes)


def test_a_column_in_another_unit_in_the_validation_rows_is_told_with_both_means():
    rng = np.random.default_rng(4)
    celsius = rng.normal(7, 8, 300)
    X = np.column_stack([celsius, rng.normal(size=300)])
    y = 60 - 2 * celsius + rng.normal(size=300)
    held = X[200:].copy()
    held[:, 0] = held[:, 0] * 1.8 + 32
    found = diagnose(
        X[:200], y[:200], optimizer=SGD(0.005), epochs=200, validation_data=(held, y[200:]), random_state=0
    )
    shift = next(finding for finding in found.findings if finding.cause == "validation_shift")
    assert f"x0 is {held[:, 0].mean():.3g} on average in them and {X[:200, 0].mean():.3g} in" in shift.explanation
    assert "the same unit" in shift.remedies[0].words
