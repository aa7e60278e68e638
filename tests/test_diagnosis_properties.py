"""Whatever legal input `diagnose` is given, it answers: no crash, no warning, no nan in a sentence, strict JSON."""

import json
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import losses, optimizers, regularizers

from linreg import SGD, Adam, KerasSeed, callbacks, diagnose
from linreg.diagnosis import page
from linreg.diagnosis.code import scripts

pytest.importorskip("sklearn", reason="remedies are scikit-learn's transformers: pip install 'linreg[data]'")
pandas = pytest.importorskip("pandas", reason="frames with odd names are pandas': pip install pandas")

NAMES = ("a\x1b[2Jb", "<b>&\n", "\u202e", "col,1", "\t", "π")
SIZES = (1e-30, 1e-12, 1e-3, 1.0, 1e3, 1e12, 1e30)


class Stop(callbacks.Callback):
    """Ends every run after two epochs."""

    def on_epoch_end(self, epoch, logs):
        self.run.stop_training = epoch == 1


@st.composite
def features(draw):
    """Few or many rows; columns of any size, constant, equal or far from zero; now and then a gap."""
    rows, width = draw(st.sampled_from([2, 3, 5, 40])), draw(st.sampled_from([1, 2, 3]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(rows, width)) * draw(st.lists(st.sampled_from(SIZES), min_size=width, max_size=width))
    X += draw(st.sampled_from([0.0, 0.0, 1e3, -1e9]))
    odd = draw(st.sampled_from(["", "", "constant", "zero", "the same row", "the same column", "far row", "whole"]))
    if odd == "constant":
        X[:, 0] = draw(st.sampled_from(SIZES))
    elif odd == "the same row":
        X[:] = X[0]
    elif odd == "the same column":
        X = np.column_stack([X, X[:, 0]])
    elif odd == "far row":
        X[0] *= 1e6
    X = {"zero": 0 * X, "whole": np.round(X)}.get(odd, X)
    if rows > 3 and draw(st.integers(0, 4)) == 0:
        X[rng.integers(rows), rng.integers(X.shape[1])] = draw(st.sampled_from([np.nan, np.inf]))
    return X


@st.composite
def targets(draw, X):
    """A line with noise, exact, constant, of any size, or with a gap."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y = np.nan_to_num(X, posinf=0.0).sum(axis=1) + draw(st.sampled_from([0.0, 1.0])) * rng.normal(size=len(X))
    kind = draw(st.sampled_from(["", "", "", "constant", "zero", "small", "gap"]))
    if kind == "gap":
        y[-1] = np.nan
    return {"constant": np.full(len(X), 7.0), "zero": np.zeros(len(X)), "small": rng.normal(size=len(X))}.get(kind, y)


def model_settings(width):
    """Every setting of the estimator but the penalties with l1, whose words hold inf where the objective is flat."""
    return st.fixed_dictionaries(
        {
            "optimizer": st.one_of(st.just("sgd"), st.just(SGD(0.0)), st.just(SGD(lambda step: 1 / (1 + step))),
                                   st.just(Adam(1e3)), optimizers()),
            "loss": losses(),
            "epochs": st.sampled_from([1, 2, 10]),
            "batch_size": st.sampled_from([1, 2, 32, 1000]),
            "shuffle": st.booleans(),
            "random_state": st.sampled_from([None, 0, KerasSeed(3)]),
            "kernel_initializer": st.sampled_from(["zeros", "glorot_uniform", [0.5] * width]),
            "bias_initializer": st.sampled_from(["zeros", -3.0]),
            "fit_intercept": st.booleans(),
            "kernel_regularizer": regularizers().filter(lambda penalty: not getattr(penalty, "l1", 0)),
            "dtype": st.sampled_from(["float32", "float64"]),
            "engine": st.sampled_from(["numpy", "numpy", "numpy", "exact"]),
            "warm_start": st.booleans(),
            "verbose": st.sampled_from([0, 1]),
            "callbacks": st.sampled_from(
                [(), (), (Stop(),), (callbacks.TerminateOnNaN(),), [callbacks.EarlyStopping("loss")]]
            ),
        }
    )  # fmt: skip


def framed(X):
    return pandas.DataFrame(dict(zip(NAMES, X.T, strict=False)))


@st.composite
def inputs(draw):
    """Arguments of `diagnose`."""
    X = draw(features())
    y = draw(targets(X))
    rest = draw(model_settings(X.shape[1]))
    if draw(st.booleans()):
        rest["sample_weight"] = np.arange(len(y)) % 3
    if draw(st.booleans()):
        rest["validation_data"] = draw(st.sampled_from([(X[:1], y[:1]), (X + 1, y)]))
    if draw(st.integers(0, 3)) == 0:
        X = framed(X)
        if "validation_data" in rest:
            rest["validation_data"] = framed(rest["validation_data"][0]), rest["validation_data"][1]
    return X, y, rest


@settings(max_examples=40)
@given(inputs())
def test_every_legal_input_has_its_answer(arguments):
    X, y, rest = arguments
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = diagnose(X, y, **rest)
        text, told, shown = str(found), found.to_dict(), page.html(found, "odd")
    assert max(map(len, text.splitlines())) <= 79
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", text + shown)
    for finding in found.findings:
        assert not re.search(r"(?<!first loss )\b(nan|inf)\b", finding.explanation)
        for remedy in finding.remedies:
            for script in scripts(found, finding, remedy).values():
                compile(script, "script", "exec")


# What went wrong once.


def line(rows=60):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 2))
    return X, X @ [1.0, 2.0] + 0.5 + 0.1 * rng.normal(size=rows)


def test_a_run_of_the_exact_engine_is_judged_like_the_same_run_step_by_step():
    rest = {"optimizer": SGD(0.01), "epochs": 50, "batch_size": 60, "dtype": "float64", "random_state": 0}
    exact, stepped = (diagnose(*line(), engine=engine, **rest) for engine in ("exact", "numpy"))
    assert exact.verdict == "too_slow"
    np.testing.assert_array_equal(exact.outcome.curve, stepped.outcome.curve)
    assert exact.findings[0].remedies[0].after.healthy
    refused = diagnose(*line(), engine="exact", **{**rest, "optimizer": Adam()})
    assert refused.verdict == "cannot_run"
    assert "optimizer must be an SGD" in " ".join(str(refused).split())
    assert "No cause could be proved" not in str(refused)


@pytest.mark.parametrize("kind", [np.random.default_rng, np.random.RandomState])
def test_a_generator_that_was_given_is_left_where_it_is(kind):
    first, second = (
        diagnose(*line(), optimizer=SGD(3.0), random_state=generator)
        for generator in [kind(5)] * 2  # the same one twice
    )
    assert first.to_dict() == second.to_dict()


@pytest.mark.filterwarnings("error")
def test_callbacks_see_the_validation_rows_and_their_warnings_are_the_verdict():
    stop = callbacks.EarlyStopping("val_loss", min_delta=1e9)
    found = diagnose(*line(), validation_data=line(), callbacks=[stop], epochs=50)
    assert len(found.outcome.curve) == 3  # the start, and two epochs
    assert diagnose(*line(), optimizer=SGD(1e20), callbacks=[callbacks.TerminateOnNaN()]).verdict == "diverges"


def test_no_number_is_called_infinite_in_a_sentence():
    (zero,) = [f for f in diagnose(*line(), optimizer=SGD(0.0)).findings if f.cause == "learning_rate_too_low"]
    assert "0, and 200 steps of it" in zero.explanation
    X, y = line()
    found = diagnose(np.column_stack([X, X]), y, optimizer=SGD(1e-3), random_state=0)
    (same,) = [finding for finding in found.findings if finding.cause == "collinearity"]
    assert "repeat each other (some follow from the others)" in same.explanation
    assert "inf" not in zero.explanation + same.explanation.replace("inflation", "")
