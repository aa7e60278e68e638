"""Every peer of the fault bench on hand-made runs whose right answer is known, and how an answer is scored."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("statsmodels")
sys.path.insert(0, str(Path(__file__).parents[1]))  # for the package benchmarks.faults

from benchmarks.faults import peer_rules, peer_runs, peer_tools, peers
from benchmarks.faults.cases import Case, Truth
from benchmarks.faults.objective import Objective
from linreg import SGD, Adam, Huber, MeanSquaredError
from linreg.regularizers import L2

KERAS = [peer_tools.terminate_on_nan, peer_tools.reduce_lr_on_plateau, peer_tools.finder_tenth, peer_rules.umlaut]


def run(rate=0.3, epochs=40, **given):
    """A run that converges: two columns in [-1, 1], full batches, plain gradient descent."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (50, 2))
    y = X @ [1.0, 2.0] + 0.5 + 0.01 * rng.normal(size=50)
    settings = {
        "optimizer": SGD(rate),
        "loss": MeanSquaredError(),
        "epochs": epochs,
        "batch_size": 50,
        "random_state": 0,
    }
    fields = {"X": X, "y": y, **{key: given.pop(key) for key in ("X", "y", "validation_data") if key in given}}
    return Case(name="hand-made", settings={**settings, **given}, **fields)


def in_other_units(case, scale):
    return replace(case, X=case.X * scale)


def test_a_run_that_converges_is_left_alone_by_those_who_look_at_the_loss():
    case = run()
    assert case.outcome.verdict == "converges"
    for peer in (
        peer_tools.terminate_on_nan,
        peer_tools.finder_tenth,
        peer_tools.statsmodels_summary,
        peer_rules.inputs,
        peer_rules.large_loss,
        peer_rules.autotrainer,
        peer_rules.autotrainer_on_loss,
        peer_rules.deeplocalize,
        peer_rules.deepdiagnosis,
        peer_rules.neuralint,
    ):
        assert not peer(case).alarm, peer.__name__


def test_divergence_is_seen_and_the_finder_cures_it():
    case = run(rate=30.0)
    assert case.outcome.verdict == "diverges"
    nan = peer_tools.terminate_on_nan(case)
    assert (nan.alarm, nan.causes, nan.cures()) == (True, (), False)
    for peer in (
        peer_tools.finder_tenth,
        peer_tools.reduce_lr_on_plateau,
        peer_rules.large_loss,
        peer_rules.autotrainer,
    ):
        assert peer(case).causes == ("learning_rate_too_high",), peer.__name__
    assert peer_rules.deeplocalize(case).alarm
    assert peer_rules.deepdiagnosis(case).alarm
    assert peer_tools.finder_tenth(replace(case, settings={**case.settings, "epochs": 300})).cures()


def test_reduce_lr_on_plateau_cures_a_run_just_beyond_the_limit():
    case = run(rate=1.05, epochs=100)
    assert case.outcome.verdict == "diverges"
    assert peer_tools.reduce_lr_on_plateau(case).cures()


def test_early_stopping_ends_a_run_that_does_not_improve():
    assert not peer_tools.early_stopping(run(epochs=10)).alarm
    assert peer_tools.early_stopping(run(rate=30.0)).alarm


def test_a_slow_run_is_slow():
    case = run(rate=1e-5)
    for peer in (peer_tools.finder_steepest, peer_tools.finder_tenth, peer_rules.autotrainer_on_loss):
        assert peer(case).causes == ("learning_rate_too_low",), peer.__name__
    assert peer_rules.umlaut(run(rate=1e-8)).causes == ("learning_rate_too_low",)


def test_oscillation_is_judged_as_autotrainer_judges_accuracy():
    assert peer_rules._swings(np.array([0, 0.9, 0.8, 0.9, 0.8, 0.9])) == 2
    assert peer_rules._swings(np.array([0, 0.9, 0.88, 0.9, 0.88, 0.9])) == 0


def test_inputs_beyond_one_are_to_be_normalised():
    case = in_other_units(run(rate=0.01, epochs=200), 100.0)
    assert case.outcome.verdict == "diverges"
    for peer in (peer_rules.inputs, peer_rules.umlaut, peer_rules.any_of_three):
        answer = peer(case)
        assert answer.causes[0] == "feature_scale", peer.__name__
        scaled = np.asarray(answer.advice.X)
        assert scaled.min() == -1
        assert scaled.max() == 1
    assert peer_rules.inputs(replace(case, settings={**case.settings, "optimizer": SGD(0.1)})).cures()
    high = peer_rules.any_of_three(replace(case, settings={**case.settings, "optimizer": SGD(0.1)}))
    assert high.causes == ("feature_scale", "learning_rate_too_high")
    assert high.advice.settings["optimizer"].learning_rate == 0.01


def test_a_validation_loss_that_rises_alone_is_overfitting():
    case = run(rate=0.005, epochs=20)
    case = replace(case, validation_data=(case.X, -case.y))
    assert peer_rules.umlaut(case).causes == ("overfitting",)


@pytest.mark.parametrize("peer", KERAS, ids=lambda peer: peer.__name__)
def test_text_stops_keras(peer):
    case = run()
    answer = peer(replace(case, X=[[str(a), b] for a, b in case.X]))
    assert answer.alarm
    assert answer.causes == ("wrong_dtype",)
    assert answer.words.startswith("cannot run: Invalid dtype")


def test_nan_goes_through_keras_and_stops_statsmodels():
    case = run()
    X = case.X.copy()
    X[3, 1] = np.nan
    case = replace(case, X=X)
    assert peer_tools.terminate_on_nan(case).alarm
    assert peer_tools.reduce_lr_on_plateau(case).alarm
    assert peer_rules.umlaut(replace(case, settings={**case.settings, "optimizer": SGD(0.01)})).causes == (
        "missing_values",
    )
    assert not peer_tools.finder_tenth(case).alarm
    assert peer_rules.deepdiagnosis(case).alarm
    answer = peer_tools.statsmodels_summary(case)
    assert answer.causes == ("missing_values",)
    assert answer.words.startswith("cannot run")


def test_numbers_in_any_container_are_numbers():
    case = run()
    for X in (case.X.tolist(), case.X.astype(object)):
        assert not peer_tools.terminate_on_nan(replace(case, X=X)).alarm
        assert not peer_tools.statsmodels_summary(replace(case, X=X)).alarm


def test_statsmodels_warns_of_columns_that_repeat_others():
    case = run()
    twice = np.column_stack([case.X, case.X[:, 0] + 1e-4 * np.sin(np.arange(50.0))])
    assert peer_tools.statsmodels_summary(replace(case, X=twice)).causes == ("collinearity", "ill_conditioned")
    assert peer_tools.statsmodels_summary(replace(case, X=case.X[:, [0, 1, 0]])).causes == ("collinearity",)
    assert peer_tools.statsmodels_summary(in_other_units(case, 1e4)).alarm  # a matter of units


def test_numbers_that_stay_the_same_are_seen():
    case = run(kernel_initializer=np.zeros(2), y=np.zeros(50))  # nothing to learn
    assert peer_rules.deeplocalize(case).alarm
    assert peer_rules.deepdiagnosis(case).alarm
    assert peer_rules.neuralint(case).alarm
    assert peer_rules._unchanged(np.array([1.0, 2, 2, 2, 2, 2])) is False  # fives, not any five
    assert peer_rules._unchanged(np.array([2.0, 2, 2, 2, 2, 1])) is True


def test_deepdiagnosis_says_what_it_blames():
    case = run(rate=5.0, kernel_initializer=np.array([50.0, 50.0]))
    assert peer_rules.deepdiagnosis(case).words == "out of range"
    nothing = run(rate=1e-12, kernel_initializer=np.array([1.0, 1.0]), epochs=10)
    assert peer_rules.deepdiagnosis(nothing).causes == ("learning_rate_too_low",)


@pytest.mark.parametrize("loss", [MeanSquaredError(), MeanSquaredError("sum"), Huber(0.5)])
def test_gradients_are_those_of_the_objective(loss):
    case = run(loss=loss, kernel_regularizer=L2(0.1))
    weights, factor = np.array([0.3, -0.2, 0.1]), np.full(50, 1.0 if loss.reduction == "sum" else 1 / 50)
    matrix, delta = np.column_stack([case.X, np.ones(50)]), getattr(loss, "delta", None)
    objective = Objective(matrix, case.y, factor, delta, 0.0, 0.1, 2)
    steps = 1e-6 * np.eye(3)
    expected = (objective.values(weights + steps) - objective.values(weights - steps)) / 2e-6
    slope, gradient = peer_rules._gradients(case, case.X, case.y, weights)
    np.testing.assert_allclose(gradient, expected[:2], rtol=1e-6)
    np.testing.assert_allclose(slope.sum(), expected[2], rtol=1e-6)


def test_batches_keep_their_own_loss():
    case = run(batch_size=20, shuffle=False, kernel_initializer="zeros", epochs=1, optimizer=Adam(1e-9))
    trace = peer_runs.watched(case)
    expected = [np.mean(case.y[rows] ** 2) for rows in (slice(0, 20), slice(20, 40), slice(40, 50))]
    np.testing.assert_allclose(trace.batch_loss, expected, rtol=1e-5)
    assert trace.batch(4) == slice(20, 40)


def truth_of(verdict="diverges", causes=("feature_scale",), opened=()):
    return Truth(verdict, frozenset(causes), frozenset(causes), frozenset(opened), True)


def test_answers_are_scored_by_the_truth(monkeypatch):
    said = peer_runs.Answer(True, ("outliers", "feature_scale"), cured=True)
    monkeypatch.setitem(peers.PEERS, "peer", (lambda _: said, True))
    failing = peers.marked(run(), truth_of(), "peer").marks
    assert failing == {"failing": True, "harmed": None, "healthy": None, "first": False, "named": True, "cured": True}
    healthy = peers.marked(run(), truth_of("converges", ()), "peer").marks
    assert healthy == {"failing": None, "harmed": None, "healthy": True, "first": None, "named": None, "cured": None}
    excused = truth_of("converges", (), ("outliers", "feature_scale"))
    assert peers.marked(run(), excused, "peer").marks["healthy"] is False
    harmed = peers.marked(run(), truth_of("converges", ("outliers",)), "peer").marks
    assert (harmed["harmed"], harmed["first"], harmed["cured"]) == (True, True, None)


def test_a_peer_that_crashes_is_wrong_and_told(monkeypatch):
    monkeypatch.setitem(peers.PEERS, "peer", (lambda _: 1 / 0, True))
    mark = peers.marked(run(), truth_of(), "peer")
    assert mark.marks["cured"] is mark.marks["failing"] is False
    assert "ZeroDivisionError" in mark.error


def test_the_table_can_be_made_from_its_json():
    found = json.loads(json.dumps(peers.results("generator", 11, 2)))
    assert found["scored"] == 2
    assert set(found["rows"]) == set(peers.PEERS)
    lines = peers.markdown(found).splitlines()
    assert lines[0].startswith("|  | alarm, run fails (")
    assert any(line.startswith("| \\|x\\| > 1, lr > 0.01, loss > 1000 | ") for line in lines)
    cells = {line.replace("\\|", "").count("|") for line in lines[: len(peers.PEERS) + 2]}
    assert len(cells) == 1
