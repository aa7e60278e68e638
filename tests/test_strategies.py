"""The strategies try what they promise."""

import warnings

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NonInteractiveExampleWarning
from strategies import (
    Fixed,
    Lowered,
    any_schedule,
    around_the_rule,
    callback_lists,
    data,
    gradients,
    losses,
    optimizers,
    regularizers,
)

from linreg import L1, L1L2, L2, SGD, Adam, Huber, LinearRegression, RMSprop, callbacks, schedules

KINDS = {
    "plain sgd": lambda o: isinstance(o, SGD) and o.momentum == 0,
    "nesterov": lambda o: isinstance(o, SGD) and o.momentum > 0 and o.nesterov,
    "centered with momentum": lambda o: isinstance(o, RMSprop) and o.centered and o.momentum > 0,
    "amsgrad": lambda o: isinstance(o, Adam) and o.amsgrad,
    "beta_1 of 0": lambda o: isinstance(o, Adam) and o.beta_1 == 0,
    "clipnorm with ema": lambda o: bool(o.clipnorm) and o.use_ema,
    "global_clipnorm with accumulation": lambda o: (
        bool(o.global_clipnorm) and o.gradient_accumulation_steps is not None
    ),
    "clipvalue with decay and ema": lambda o: bool(o.clipvalue) and o.weight_decay is not None and o.use_ema,
    "clipvalue of 0": lambda o: o.clipvalue == 0,
    "overwriting under accumulation": lambda o: (
        o.use_ema and o.ema_overwrite_frequency == 1 and o.gradient_accumulation_steps is not None
    ),
    "overwriting without ema": lambda o: not o.use_ema and o.ema_overwrite_frequency is not None,
    "schedule": lambda o: isinstance(o.learning_rate, schedules.Schedule),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_optimizer_is_tried(kind):
    wanted = KINDS[kind]
    assert wanted(find(optimizers(), wanted, settings=settings(max_examples=5000)))


@pytest.mark.parametrize(
    "kind",
    [
        schedules.ExponentialDecay,
        schedules.InverseTimeDecay,
        schedules.PolynomialDecay,
        schedules.PiecewiseConstantDecay,
        schedules.CosineDecay,
        schedules.CosineDecayRestarts,
    ],
)
def test_every_schedule_is_tried(kind):
    assert isinstance(find(any_schedule(), lambda s: isinstance(s, kind), settings=settings(max_examples=2000)), kind)


def test_gradients_hold_zeros_and_both_ends_of_the_range():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonInteractiveExampleWarning)
        many = np.concatenate([np.abs(gradients().example().ravel()) for _ in range(20)])
    assert (many == 0).mean() == pytest.approx(0.1, abs=0.05)
    assert many[many > 0].min() < 1e-7
    assert many.max() > 10


@given(optimizers(clip_by_norm=False), losses(), data(), around_the_rule(clip_by_norm=False), st.data())
def test_what_is_drawn_is_valid(optimizer, loss, table, options, draw):
    X, y, weights = table
    assert optimizer.clipnorm is optimizer.global_clipnorm is None
    assert not {"clipnorm", "global_clipnorm"} & set(options)
    assert len(X) == len(y) > 0
    assert X.dtype == y.dtype == np.float32
    assert weights is None or (weights.min() >= 0 and weights.max() > 0)
    assert not isinstance(loss, Huber) or loss.delta > 0
    grads = draw.draw(gradients(np.float64))
    assert grads.dtype == np.float64
    assert grads.shape[0] == 20
    assert 1 <= grads.shape[1] <= 64


@pytest.mark.parametrize("kind", [type(None), L1, L2, L1L2])
def test_every_penalty_is_tried(kind):
    unshrunk = settings(max_examples=1000, phases=[Phase.generate])
    assert type(find(regularizers(), lambda r: type(r) is kind, settings=unshrunk)) is kind


CALLBACKS = {
    "none": lambda c: not c,
    "all at once": lambda c: len(c) == 4,
    "reducing before stopping": lambda c: [*c][:2] == ["ReduceLROnPlateau", "EarlyStopping"],
    "stopping that restores": lambda c: c["EarlyStopping"]["restore_best_weights"],
    "stopping with a baseline": lambda c: c["EarlyStopping"]["baseline"] is not None,
    "stopping at once, from a later epoch": lambda c: (
        c["EarlyStopping"]["patience"] == 0 and c["EarlyStopping"]["start_from_epoch"] > 0
    ),
    "reducing on val_loss with a pause": lambda c: (
        c["ReduceLROnPlateau"]["monitor"] == "val_loss" and c["ReduceLROnPlateau"]["cooldown"] > 0
    ),
    "a schedule of the rate": lambda c: isinstance(c["LearningRateScheduler"]["schedule"], Lowered),
    "a schedule of the epoch": lambda c: isinstance(c["LearningRateScheduler"]["schedule"], Fixed),
    "watching for nan": lambda c: "TerminateOnNaN" in c,
}


@pytest.mark.parametrize("kind", CALLBACKS)
def test_every_kind_of_callback_is_tried(kind):
    def wanted(called):
        try:
            return CALLBACKS[kind](dict(called))
        except KeyError:
            return False

    unshrunk = settings(max_examples=5000, phases=[Phase.generate])
    assert wanted(find(callback_lists(), wanted, settings=unshrunk))


@given(callback_lists(monitors=("loss",)))
def test_callbacks_that_are_drawn_can_be_called(called):
    X, y = np.ones((3, 1)), np.ones(3)
    built = [getattr(callbacks, name)(**arguments) for name, arguments in called]
    model = LinearRegression(epochs=3, callbacks=built, dtype="float64").fit(X, y)
    assert 1 <= len(model.history_["loss"]) <= 3
