"""Whole runs of `compile` and `fit` against Keras: random settings, and a bound that is carried along the run."""

import os
import warnings
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from keras_default import float64_by_default
from strategies import any_schedule, callback_lists, data, log_uniform, losses, optimizers, regularizers

from linreg import L1, SGD, Adam, Huber, LinearRegression, RMSprop, callbacks
from linreg.drift import FollowedRun
from linreg.keras import dense, train, weights
from linreg.keras import state as keras_state

RUNS = 500 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 10
"""Each run builds and traces a Keras model, which takes about a second."""

STEPS = 120
"""Most steps of a run, so that following it takes less time than Keras does."""


@dataclass
class Example:
    """What both train: a model, callbacks as (name, arguments), data, and weights to start from."""

    model: LinearRegression
    callbacks: list[tuple[str, dict[str, Any]]]
    table: tuple[Any, ...]
    validation: tuple[Any, ...] | None
    kernel: Any
    bias: Any


@dataclass
class Outcome:
    """What a run leaves behind, ours or Keras'."""

    weights: Any
    slots: dict[str, Any]
    history: dict[str, list[float]]


@st.composite
def examples(draw, dtype):
    """Runs in every combination, with rates at which float32 runs can be followed for a few dozen steps."""
    number = np.float64 if dtype == "keras_float64" else np.float32
    X, y, weight = draw(data(number))
    if draw(st.booleans()):
        X[:, 0] = 0  # nothing but the penalty moves its weight
    validation = (X[:5] + number(0.5), y[:5]) if draw(st.booleans()) else None
    called = draw(callback_lists(monitors=("loss", "val_loss") if validation else ("loss",)))
    batch_size, epochs = draw(st.integers(1, 40)), draw(st.integers(3, 15) if called else st.integers(1, 6))
    model = LinearRegression(
        draw(optimizers_for(dtype, [name for name, _ in called])),
        draw(losses()),
        epochs=max(1, min(epochs, STEPS // -(-len(y) // batch_size))),
        batch_size=batch_size,
        shuffle=False,
        fit_intercept=draw(st.booleans()),
        kernel_regularizer=draw(regularizers_for(dtype)),
        dtype=dtype,
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    kernel = rng.normal(size=X.shape[1]) * rng.choice([0, 1, 1], size=X.shape[1])
    bias = rng.normal() if model.fit_intercept else 0
    return Example(model, called, (X, y, weight), validation, kernel.astype(number), number(bias))


def optimizers_for(dtype, called):
    """Every optimizer, with rates that the callbacks of these names can set or watch."""
    rate = log_uniform(1e-4, 0.1)
    # Keras computes schedules in float32, to 2 ULP as here; a float64 run would see nothing but that difference.
    if dtype == "float32" and not {"ReduceLROnPlateau", "LearningRateScheduler"} & {*called}:
        rate = st.one_of(rate, any_schedule(cycles=False))
    if "TerminateOnNaN" in called:
        diverging = st.builds(SGD, log_uniform(1e3, 1e8), momentum=st.sampled_from([0.0, 0.5]))
        return st.one_of(optimizers(learning_rate=rate), diverging)
    return optimizers(learning_rate=rate)


def regularizers_for(dtype):
    """Every penalty; of a float64 model, what Keras before 3.14 can compute, and does not round differently."""
    if dtype == "float32" or keras_version() >= (3, 14):
        return regularizers()
    # It fails on L1 (float32 times float64), and leaves strengths as they are that later ones round to float32.
    return regularizers().filter(lambda penalty: not isinstance(penalty, L1)).map(with_float32_strengths)


def with_float32_strengths(penalty):
    if penalty is None:
        return None
    strengths = penalty.get_params(deep=False)
    return type(penalty)(**{name: float(np.float32(strength)) for name, strength in strengths.items()})


def keras_version():
    return tuple(int(part) for part in metadata.version("keras").split(".")[:2])


class LearningRates(callbacks.Callback):
    """Notes the learning rate of each epoch; the last in the list, to see what the others did."""

    def __init__(self):
        self.noted = []

    def on_epoch_begin(self, epoch, logs):
        self.noted.append(self.run.learning_rate)


def note_comparisons(monitor):
    """Return the list in which every comparison that `monitor` makes will be noted, as (value, reference)."""
    improves, noted = monitor.improves, []

    def noting(value, reference):
        noted.append((value, reference))
        return improves(value, reference)

    monitor.improves = noting
    return noted


def is_decided(monitor, comparisons, bound_of):
    """Whether all comparisons come out the same in any two runs whose losses keep to their bounds."""
    # Keras compares in float32, also in a float64 model, and refuses numbers that are too large for it.
    eps, largest = float(np.finfo(np.float32).eps), float(np.finfo(np.float32).max)
    for value, reference in comparisons:
        if reference is None:
            continue
        size = abs(value) + monitor.min_delta + abs(reference)
        margin = bound_of[value] + bound_of.get(reference, 0) + 2 * eps * size  # a baseline has no bound
        if not (abs(value + monitor.min_delta - reference) > margin and size < largest):
            return False
    return True


class OurRun:
    """linreg's run of an example, and the bounds to which every other run of that example keeps."""

    def __init__(self, example):
        self.example, self.model = example, example.model
        self.callbacks = [getattr(callbacks, name)(**arguments) for name, arguments in example.callbacks]
        self.comparisons = {m: note_comparisons(m) for m in self.callbacks if isinstance(m, callbacks.Monitor)}
        self.rates = LearningRates()
        self._fit()
        slots = dict(zip(self.model.state_.letters, self.model.state_.slots, strict=True))
        found = np.append(self.model.coef_, [self.model.intercept_] * self.model.fit_intercept)
        self.outcome = Outcome(found, slots, self.model.history_)
        with np.errstate(all="ignore"):
            self._follow()

    def _fit(self):
        X, y, weight = self.example.table
        self.model.set_params(
            kernel_initializer=self.example.kernel,
            bias_initializer=float(self.example.bias),
            callbacks=[*self.callbacks, self.rates],
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # TerminateOnNaN says where it stopped
            self.model.fit(X, y, sample_weight=weight, validation_data=self.example.validation)

    def _follow(self):
        """Follow what the callbacks made of the run: its learning rates, its epochs, its last batch."""
        example, rate = self.example, self.model.settings().optimizer.learning_rate
        self.followed = FollowedRun(self.model, example.table, example.kernel, example.bias, example.validation)
        for noted in self.rates.noted:
            left = self.model.state_.iterations - self.followed.iterations
            self.followed.epoch(rate if callable(rate) else noted, left)
        restored = [c.best_epoch for c in self.callbacks if getattr(c, "best_weights", None) is not None]
        self.weights_bound = self.followed.fitted(*restored)
        self.loss_bounds = {"loss": self.followed.losses, "val_loss": self.followed.val_losses}

    def doubts(self):
        """Return why nothing can be said about other runs, if there is a reason."""
        doubts = set(self.followed.doubts)
        for monitor, comparisons in self.comparisons.items():
            pairs = zip(self.outcome.history[monitor.monitor], self.loss_bounds[monitor.monitor], strict=True)
            # Sorted, so that of equal losses the largest bound is kept.
            if not is_decided(monitor, comparisons, dict(sorted(pairs))):
                doubts.add(f"{type(monitor).__name__} could decide otherwise")
        return doubts

    def events(self):
        """Return which of the things that this is about did happen."""
        happened = {
            "stopped early": any(getattr(c, "stopped_epoch", 0) for c in self.callbacks),
            "overflowed": not np.isfinite(self.outcome.history["loss"]).all(),
            "restored an earlier epoch": any(
                getattr(c, "best_weights", None) is not None and c.best_epoch + 1 < len(self.rates.noted)
                for c in self.callbacks
            ),
            "L1": self.followed.flat.has_l1,
            "L1 and a weight crossed zero": self.followed.flat.has_l1 and self.followed.crossings > 0,
        }
        for name in ("ReduceLROnPlateau", "LearningRateScheduler"):
            used = any(type(c).__name__ == name for c in self.callbacks)
            happened[f"{name} changed the rate"] = used and len(set(self.rates.noted)) > 1
        return {event for event, did in happened.items() if did}

    def assert_same(self, theirs):
        """Assert that the other outcome is within the bounds; return the largest share of a bound that was used."""
        ours = self.outcome
        assert len(ours.history["loss"]) == len(theirs.history["loss"]), "epochs"
        if "learning_rate" in theirs.history:  # Keras books it where a callback may change it
            assert ours.history["learning_rate"] == theirs.history["learning_rate"]
        shares = [share_of("weights", ours.weights, theirs.weights, self.weights_bound)]
        for letter, bound in zip(self.model.state_.letters, self.followed.slots(), strict=True):
            shares.append(share_of(letter, ours.slots[letter], theirs.slots[letter], bound))
        for name in {*ours.history} - {"learning_rate"}:
            pair = np.array([ours.history[name], theirs.history[name]])
            finite = np.isfinite(pair)
            assert (finite[0] == finite[1]).all(), (name, pair)
            shares.append(share_of(name, *pair[:, finite[0]], np.array(self.loss_bounds[name])[finite[0]]))
        return max(shares)


def share_of(what, ours, theirs, bound):
    """Assert that both differ by no more than the bound; return the largest share of it."""
    off = np.abs(ours - theirs)
    assert (off <= bound).all(), (what, ours, theirs, off, bound)
    return float(np.max(off[off > 0] / bound[off > 0], initial=0))


def keras_outcome(keras, example):
    """Train Keras' counterpart."""
    X, y, weight = example.table
    twin = dense(example.model, X.shape[1], example.kernel, example.bias)
    called = [getattr(keras.callbacks, name)(**arguments) for name, arguments in example.callbacks]
    history = train(
        twin, X, y, epochs=example.model.epochs, batch_size=example.model.batch_size, sample_weight=weight,
        validation_data=example.validation, callbacks=called,
    )  # fmt: skip
    slots = {letter: keras_state.slot(twin.optimizer, letter) for letter in example.model.state_.letters}
    outcome = Outcome(weights(twin), slots, history)
    keras.backend.clear_session()  # thousands of traced models would fill the memory
    return outcome


def compare(keras, example):
    """Assert that linreg and Keras make the same of the example, unless a rounding may decide what happens."""
    run = OurRun(example)
    doubts = run.doubts()
    for doubt in sorted(doubts):
        event(f"discarded: {doubt}")
    assume(not doubts)
    for happened in sorted(run.events()):
        event(happened)
    share = run.assert_same(keras_outcome(keras, example))
    event(f"share of a bound used: up to 1e{np.ceil(np.log10(max(share, 1e-6))):.0f}")


@settings(max_examples=RUNS)
@given(example=examples("float32"))
def test_whole_run_stays_within_the_carried_bound(keras, example):
    compare(keras, example)


@settings(max_examples=RUNS // 2)
@given(example=examples("keras_float64"))
def test_whole_float64_run_stays_within_the_carried_bound(keras, example):
    with float64_by_default(keras):
        compare(keras, example)


STOPPING = {"monitor": "loss", "min_delta": 0.5, "patience": 3}
REDUCING = {"monitor": "loss", "min_delta": 0.5, "patience": 1, "factor": 0.5}
EXAMPLE = {"EarlyStopping": STOPPING, "ReduceLROnPlateau": REDUCING}
"""No epoch improves by 0.5, so every epoch but the first halves the rate, and the fourth is the last."""

WRONG_SETTINGS = {
    "learning_rate": {"optimizer__learning_rate": 0.01001},
    "epsilon": {"optimizer__epsilon": 1.1e-3},
    "delta": {"loss__delta": 1.001},
    "epochs": {"epochs": 3},
    "l1": {"kernel_regularizer": L1(0.1001)},
}

WRONG_CALLBACKS = {
    "patience before stopping": {"EarlyStopping": STOPPING | {"patience": 4}},
    "min_delta of stopping": {"EarlyStopping": STOPPING | {"min_delta": 1e-3}},
    "start_from_epoch": {"EarlyStopping": STOPPING | {"start_from_epoch": 1}},
    "restore_best_weights": {"EarlyStopping": STOPPING | {"restore_best_weights": True}},
    "factor": {"ReduceLROnPlateau": REDUCING | {"factor": 0.51}},
    "patience before reducing": {"ReduceLROnPlateau": REDUCING | {"patience": 2}},
    "cooldown": {"ReduceLROnPlateau": REDUCING | {"cooldown": 2}},
    "min_lr": {"ReduceLROnPlateau": REDUCING | {"min_lr": 0.003}},
}


def example(called=EXAMPLE, *, table=None, kernel=(1.0, 1.0, 1.0), **settings):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)).astype(np.float32)
    y = (X @ [1.0, 2.0, 3.0] + rng.normal(size=40)).astype(np.float32)
    model = LinearRegression(Adam(0.01, epsilon=1e-3), Huber(1.0), epochs=6, batch_size=16, shuffle=False)
    model.set_params(kernel_regularizer=L1(0.1)).set_params(**settings)
    return Example(model, [*called.items()], table or (X, y, None), None, np.array(kernel, np.float32), np.float32(0))


def test_the_same_run_again_is_the_same():
    run = OurRun(example())
    assert not run.doubts()
    assert run.assert_same(OurRun(example()).outcome) == 0
    assert run.events() >= {"stopped early", "ReduceLROnPlateau changed the rate"}


@pytest.mark.parametrize("wrong", WRONG_SETTINGS)
def test_the_bound_rejects_a_run_that_differs_a_little(wrong):
    # Without callbacks, so that nothing but the numbers differs.
    run, other = OurRun(example({})), OurRun(example({}, **WRONG_SETTINGS[wrong]))
    with pytest.raises(AssertionError):
        run.assert_same(other.outcome)


@pytest.mark.parametrize("wrong", WRONG_CALLBACKS)
def test_a_callback_that_differs_a_little_is_rejected(wrong):
    run, other = OurRun(example()), OurRun(example(EXAMPLE | WRONG_CALLBACKS[wrong]))
    with pytest.raises(AssertionError):
        run.assert_same(other.outcome)


@pytest.mark.parametrize("name", ["weights", "m", "v", "loss"])
def test_each_number_of_a_run_is_compared(name):
    run, other = OurRun(example()), OurRun(example()).outcome
    found = {"weights": other.weights, **other.slots, **other.history}[name]
    found[2] *= 1.001
    with pytest.raises(AssertionError, match=f"'{name}'"):
        run.assert_same(other)


def test_a_weight_that_an_l1_penalty_takes_to_zero_is_doubted():
    X, y = np.zeros((4, 3), np.float32), np.zeros(4, np.float32)
    settings = {"optimizer": SGD(0.5), "kernel_regularizer": L1(0.5), "fit_intercept": False}
    reaches_zero = OurRun(example({}, table=(X, y, None), kernel=(0.5, 0.1, 0.1), **settings))
    starts_at_zero = OurRun(example({}, table=(X, y, None), kernel=(0.0, 0.1, 0.1), **settings))
    assert reaches_zero.doubts() == {"a weight under an L1 penalty may have either sign"}
    assert not starts_at_zero.doubts()
    assert "L1 and a weight crossed zero" in starts_at_zero.events()
    assert starts_at_zero.outcome.weights[0] == 0


@pytest.mark.parametrize("optimizer", [Adam(0.1), RMSprop(0.1, centered=True), SGD(0.1, clipnorm=1.0)])
def test_a_column_that_never_had_a_gradient_can_be_followed(optimizer):
    dead, (X, y, _) = example({}, kernel=(0.0, 1.0, 1.0), optimizer=optimizer), example().table
    dead.table = X * np.float32([0, 1, 1]), y, None
    run = OurRun(dead)
    assert not run.doubts()
    assert run.outcome.weights[0] == run.weights_bound[0] == 0
    assert (run.weights_bound[1:] > 0).all()


@pytest.mark.parametrize(("share", "doubted"), [(1, True), (1 - 1e-8, True), (0.99, False), (1.01, False)])
def test_a_decision_that_a_rounding_could_turn_is_doubted(share, doubted):
    losses = OurRun(example({})).outcome.history["loss"]
    called = {"EarlyStopping": {"monitor": "loss", "min_delta": share * (losses[0] - losses[1]), "patience": 3}}
    assert ("EarlyStopping could decide otherwise" in OurRun(example(called)).doubts()) == doubted


@pytest.mark.parametrize(("target", "doubted"), [(1e18, False), (1e19, True), (1e25, False)])
def test_a_loss_of_which_only_the_sum_overflows_is_doubted(target, doubted):
    table = np.zeros((4, 3), np.float32), np.full(4, target, np.float32), None
    run = OurRun(example({"TerminateOnNaN": {}}, table=table, loss="mse", optimizer=SGD(1e-3)))
    assert ("a loss may be too large" in run.doubts()) == doubted
    assert ("overflowed" in run.events()) == (target > 1e18)


def test_a_root_of_nothing_but_roundings_is_within_the_bound(keras):
    # With rho = 0, v - a^2 is 0 but for its rounding, which the root makes large, in the momentum as in the weights.
    X, y, kernel = np.array([[0.12573022]]), np.array([0.62381308]), np.array([0.12573022])
    model = LinearRegression(
        RMSprop(0.1, rho=0.0, momentum=0.9, centered=True), Huber(1.0), epochs=1, batch_size=1, shuffle=False,
        fit_intercept=False, dtype="keras_float64",
    )  # fmt: skip
    run = OurRun(Example(model, [], (X, y, np.ones(1)), None, kernel, np.float64(0)))
    assert not run.doubts()
    with float64_by_default(keras):
        run.assert_same(keras_outcome(keras, run.example))
