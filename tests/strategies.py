"""Hypothesis strategies: optimizers with every option that Keras accepts, gradients, losses, data, callbacks.

Decay rates start at one half, so that in the 20 steps of an example no moving average sinks below the normal numbers:
TensorFlow flushes subnormal numbers to zero and NumPy does not, which has a test of its own.
"""

import math
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from linreg import L1, L1L2, L2, SGD, Adam, Huber, MeanSquaredError, RMSprop, schedules

REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight")


def log_uniform(low, high):
    """Floats spread evenly over the powers of ten from `low` to `high`."""
    return st.floats(math.log10(low), math.log10(high)).map(lambda x: 10.0**x)


def shares():
    """Momenta, betas and the like: 0, one half to 0.9999, and the usual ones."""
    return st.one_of(st.sampled_from([0.0, 0.9, 0.99, 0.999]), st.floats(0.5, 0.9999))


@st.composite
def any_schedule(draw, *, cycles=True):
    """One of Keras' schedules but CosineDecayRestarts with growing periods, which has a test of its own.

    `cycles=False` leaves out polynomials that begin anew: in graph mode, which `fit` uses, Keras rounds the number of a
    cycle otherwise than eagerly (`test_polynomial_cycles_differ_between_graph_and_eager_keras`).
    """
    rate, steps = draw(log_uniform(1e-4, 1.0)), draw(st.integers(1, 30))
    stairs = draw(st.booleans())
    kind = draw(st.sampled_from(["exponential", "inverse", "polynomial", "piecewise", "cosine", "warm-up", "restarts"]))
    if kind == "exponential":
        return schedules.ExponentialDecay(rate, steps, draw(st.floats(0.1, 1.0)), stairs)
    if kind == "inverse":
        return schedules.InverseTimeDecay(rate, steps, draw(st.floats(0.1, 5.0)), stairs)
    if kind == "polynomial":
        return schedules.PolynomialDecay(
            rate, steps, rate / 10, draw(st.sampled_from([0.5, 1.0, 2.0])), stairs and cycles
        )
    if kind == "piecewise":
        return schedules.PiecewiseConstantDecay([steps, steps + 3], [rate, rate / 2, rate / 8])
    alpha = draw(st.sampled_from([0.0, 0.1]))
    if kind == "cosine":
        return schedules.CosineDecay(rate, steps, alpha)
    if kind == "warm-up":
        return schedules.CosineDecay(rate / 10, steps, alpha, rate, draw(st.integers(1, 10)))
    return schedules.CosineDecayRestarts(rate, steps, 1.0, draw(st.floats(0.5, 1.0)), alpha)


def learning_rates():
    """Constant rates over six powers of ten, and schedules."""
    return st.one_of(log_uniform(1e-6, 1.0), any_schedule())


@st.composite
def around_the_rule(draw, *, clip_by_norm=True):
    """Options of the five steps around a rule, in any combination that Keras accepts."""
    options = {}
    clips = ["clipvalue", *(["clipnorm", "global_clipnorm"] if clip_by_norm else [])]
    clip = draw(st.sampled_from([None, None, *clips]))
    if clip is not None:
        options[clip] = draw(st.one_of(st.just(0.0), log_uniform(1e-4, 1e2)))
    if draw(st.booleans()):
        options["weight_decay"] = draw(st.one_of(st.just(0.0), log_uniform(1e-5, 0.5)))
    if draw(st.booleans()):
        options["use_ema"] = True
        options["ema_momentum"] = draw(st.one_of(shares(), st.just(1.0)))
    options["ema_overwrite_frequency"] = draw(st.one_of(st.none(), st.integers(1, 7)))
    options["gradient_accumulation_steps"] = draw(st.one_of(st.none(), st.none(), st.integers(2, 4)))
    return options


@st.composite
def optimizers(draw, *, clip_by_norm=True, learning_rate=None):
    """Every optimizer with every option."""
    options = draw(around_the_rule(clip_by_norm=clip_by_norm))
    rate = draw(learning_rates() if learning_rate is None else learning_rate)
    epsilon = st.one_of(st.just(1e-7), log_uniform(1e-12, 1e-1))
    kind = draw(st.sampled_from([SGD, RMSprop, Adam]))
    if kind is SGD:
        return SGD(rate, momentum=draw(shares()), nesterov=draw(st.booleans()), **options)
    if kind is RMSprop:
        return RMSprop(rate, rho=draw(shares()), momentum=draw(shares()), epsilon=draw(epsilon),
                       centered=draw(st.booleans()), **options)  # fmt: skip
    return Adam(rate, beta_1=draw(shares()), beta_2=draw(shares()), epsilon=draw(epsilon),
                amsgrad=draw(st.booleans()), **options)  # fmt: skip


@st.composite
def gradients(draw, dtype=np.float32, *, steps=20, max_size=64):
    """A run of gradients, log-uniform over 1e-8..1e2 with both signs and exact zeros: array (steps, size)."""
    size = draw(st.integers(1, max_size))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    magnitude = 10.0 ** rng.uniform(-8, 2, size=(steps, size))
    return (magnitude * rng.choice([-1, 1, 0], p=[0.45, 0.45, 0.1], size=(steps, size))).astype(dtype)


@st.composite
def losses(draw):
    """Both losses with every reduction."""
    reduction = draw(st.sampled_from(REDUCTIONS))
    if draw(st.booleans()):
        return MeanSquaredError(reduction)
    return Huber(draw(log_uniform(1e-2, 1e2)), reduction)


@st.composite
def data(draw, dtype=np.float32, *, max_rows=40, max_features=6):
    """(X, y, weights or None): normal features and targets, some weights exactly zero."""
    rows, features = draw(st.integers(1, max_rows)), draw(st.integers(1, max_features))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(rows, features)).astype(dtype)
    y = (X @ rng.normal(size=features) + rng.normal(size=rows)).astype(dtype)
    if draw(st.booleans()):
        return X, y, None
    weights = rng.uniform(0.0, 2.0, rows) * (rng.uniform(size=rows) > 0.2)
    weights[rng.integers(rows)] = 1.0
    return X, y, weights.astype(dtype)


def regularizers():
    """No penalty, or one of every kind."""
    strength = log_uniform(1e-3, 1.0)
    return st.one_of(st.none(), st.builds(L1, strength), st.builds(L2, strength), st.builds(L1L2, strength, strength))


@dataclass(frozen=True)
class Lowered:
    """A schedule for `LearningRateScheduler` that changes the rate it is given."""

    factor: float
    first: int

    def __call__(self, epoch, learning_rate):
        return learning_rate * self.factor if epoch >= self.first else learning_rate


@dataclass(frozen=True)
class Fixed:
    """A schedule for `LearningRateScheduler` that looks at the epoch only."""

    start: float

    def __call__(self, epoch):
        return self.start / (1 + epoch)


def early_stopping(monitor):
    """Arguments of `EarlyStopping` at which about every second run of some epochs stops."""
    return st.fixed_dictionaries(
        {
            "monitor": monitor,
            "min_delta": st.one_of(st.just(0.0), log_uniform(1e-2, 1e1), log_uniform(1e-2, 1e1)),
            "patience": st.integers(0, 2),
            "baseline": st.one_of(st.none(), st.none(), log_uniform(1e-1, 1e1)),
            "restore_best_weights": st.booleans(),
            "start_from_epoch": st.integers(0, 2),
        }
    )


def reduce_on_plateau(monitor):
    """Arguments of `ReduceLROnPlateau` at which most runs of some epochs are slowed down."""
    return st.fixed_dictionaries(
        {
            "monitor": monitor,
            "min_delta": log_uniform(1e-2, 1e1),
            "factor": st.floats(0.1, 0.9),
            "patience": st.integers(0, 2),
            "cooldown": st.integers(0, 2),
            "min_lr": st.one_of(st.just(0.0), log_uniform(1e-5, 1e-2)),
        }
    )


@st.composite
def callback_lists(draw, *, monitors=("loss", "val_loss")):
    """Callbacks that Keras has too, in any order: a list of (name, arguments), each for one new object."""
    monitor = st.sampled_from(monitors)
    rates = st.one_of(
        st.builds(Lowered, st.floats(0.3, 1.2), st.integers(0, 3)), st.builds(Fixed, log_uniform(1e-3, 0.1))
    )
    arguments = {
        "EarlyStopping": early_stopping(monitor),
        "ReduceLROnPlateau": reduce_on_plateau(monitor),
        "LearningRateScheduler": st.fixed_dictionaries({"schedule": rates}),
        "TerminateOnNaN": st.just({}),
    }
    names = draw(st.permutations([*arguments]))[: draw(st.integers(0, 4))]
    return [(name, draw(arguments[name])) for name in names]
