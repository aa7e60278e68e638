"""What linreg computes from the numbers of the checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.dialects.asking import answer
from linreg import (
    L2,
    SGD,
    Adam,
    Huber,
    KerasSeed,
    LinearRegression,
    MeanSquaredError,
    RMSprop,
    callbacks,
    schedules,
)
from linreg.initializers import glorot_limit
from linreg.optimizers import Optimizer
from linreg.precision import FLOAT32, FLOAT64
from linreg.seeds import generator_from
from linreg.steps import Rates, State, bind_step


class Fed:
    """A linreg optimizer on parameters of its own, fed with gradients by hand; the last parameter is the bias."""

    def __init__(self, optimizer: Optimizer, start: Sequence[float] = (0.0,), precision: Any = FLOAT32) -> None:
        start = np.array(start, precision.dtype)
        self.state = State.start(start, optimizer, precision, np.random.default_rng(0))
        self._step = bind_step(optimizer, precision, max(len(start) - 1, 1))
        self._rates = Rates(optimizer, precision)
        self._dtype = precision.dtype

    def step(self, *gradient: float) -> Any:
        """Apply one gradient and return the parameters."""
        ((rate, lr),) = self._rates.pairs(self.state.learning_rate, self.state.iterations, 1)
        with np.errstate(all="ignore"):
            self._step(self.state, np.array(gradient, self._dtype), rate, lr)
        self.state.iterations += 1
        return self.state.parameters.copy()

    def steps(self, gradients: Sequence[float]) -> Any:
        """Apply gradients of one parameter in turn and return where it is after each."""
        return np.array([self.step(g).item() for g in gradients])


def fitted(x: Sequence[float], y: Sequence[float], optimizer: Any, **settings: Any) -> LinearRegression:
    """Fit y = slope * x, from 0 and unshuffled, with full batches unless told otherwise."""
    weight, validation = (settings.pop(name, None) for name in ("sample_weight", "validation_data"))
    told = {"batch_size": len(x), "shuffle": False, "kernel_initializer": "zeros", "fit_intercept": False, "epochs": 1}
    model = LinearRegression(optimizer, **{**told, **settings})
    columns = np.array(x, np.float32)[:, None], np.array(y, np.float32)
    return model.fit(*columns, sample_weight=weight, validation_data=validation)


@answer("adam-epsilon-hat")
def _():
    return -Fed(Adam(0.1, epsilon=1e-3)).step(1e-3)


@answer("adam-corrects-in-float32")
def _():
    return -Fed(Adam(0.1, epsilon=0.0)).step(1.0)


@answer("amsgrad-maximum")
def _():
    first, second = Fed(Adam(0.1, epsilon=0.0, amsgrad=True)).steps((1.0, 0.01))
    return [-first, first - second]


@answer("rmsprop-epsilon-inside")
def _():
    return -Fed(RMSprop(0.1, rho=0.9, epsilon=1e-3)).step(1e-3)


@answer("rmsprop-first-steps")
def _():
    return -Fed(RMSprop(0.1, rho=0.9, epsilon=0.0)).step(3.0)


def rate_changed(optimizer: Optimizer) -> Any:
    fed = Fed(optimizer)
    first = fed.step(1.0)
    fed.state.learning_rate = 0.01
    return first - fed.step(0.0)


@answer("momentum-holds-the-rate")
def _():
    return rate_changed(SGD(0.1, momentum=0.5))


@answer("rmsprop-momentum-holds-the-rate")
def _():
    return rate_changed(RMSprop(0.1, rho=0.9, momentum=0.5, epsilon=1e-20))


@answer("nesterov-looks-ahead")
def _():
    fed = Fed(SGD(0.1, momentum=0.9, nesterov=True), [1.0])
    for _ in range(3):
        fed.step(*fed.state.parameters)
    return fed.state.parameters


@answer("nesterov-needs-momentum")
def _():
    return -Fed(SGD(0.1, nesterov=True)).step(1.0)


@answer("one-huge-gradient-makes-adam-nan")
def _():
    return -Fed(Adam(0.1)).steps((1e25, 1.0))


@answer("weight-decay-takes-all")
def _():
    return Fed(SGD(0.1, weight_decay=0.5), [1.0, 1.0]).step(0.0, 0.0)


@answer("weight-decay-stands-apart")
def _():
    sgd = Fed(SGD(0.1, weight_decay=0.5, clipvalue=0.01), [1.0]).step(1.0)
    return [*sgd, *Fed(Adam(0.1, weight_decay=0.5, epsilon=0.0), [1.0]).step(1.0)]


@answer("numbers-written-as-integers")
def _():
    SGD(1, momentum=0)
    try:
        RMSprop(0.1, momentum=-1)
    except ValueError:
        return "takes integers, and refuses a negative momentum"
    return "takes anything"


@answer("clip-of-zero-is-none")
def _():
    clips = ("clipvalue", "clipnorm", "global_clipnorm")
    return [-Fed(SGD(1.0, **{clip: 0.0})).step(5.0).item() for clip in clips]


@answer("clipnorm-each-variable")
def _():
    return -Fed(SGD(1.0, clipnorm=1.0), [0.0, 0.0]).step(3.0, 4.0)


@answer("clipnorm-is-exact")
def _():
    return -Fed(SGD(1.0, clipnorm=1e-6)).step(1e-5)


@answer("clipnorm-of-huge-gradients")
def _():
    def step(**clipped: float) -> Any:  # a kernel of two, and a bias that stands still
        return -Fed(SGD(1.0, **clipped), [0.0, 0.0, 0.0]).step(1e30, 1e30, 0.0)[:2]

    return [*step(clipnorm=1.0), *step(global_clipnorm=1.0), *step(clipvalue=1.0)]


@answer("zeros-that-mean-none")
def _():
    refused = []
    for settings in ({"gradient_accumulation_steps": 0}, {"gradient_accumulation_steps": 1},
                     {"use_ema": True, "ema_overwrite_frequency": 0}):  # fmt: skip
        try:
            SGD(1.0, **settings)
        except ValueError:
            refused.append("{}={}".format(*list(settings.items())[-1]))
    return f"refuses {', '.join(refused)}: None is meant"


@answer("accumulation-takes-the-mean")
def _():
    return -Fed(SGD(1.0, gradient_accumulation_steps=2)).steps([1.0, 3.0])


@answer("accumulation-hurries-schedules")
def _():
    path = -Fed(SGD(schedules.InverseTimeDecay(1.0, 1, 1.0), gradient_accumulation_steps=2)).steps([1.0] * 4)
    return [path[1], path[3] - path[1]]


@answer("accumulation-and-adams-t")
def _():
    return -Fed(Adam(0.1, epsilon=0.0, gradient_accumulation_steps=2)).steps([1.0, 1.0])[1]


@answer("accumulation-left-over")
def _():
    optimizer = SGD(0.1, gradient_accumulation_steps=2)
    model = fitted((1.0, 1.0, 1.0), (1.0, 1.0, 5.0), optimizer, batch_size=1, warm_start=True)
    first = model.coef_.item()
    return [first, model.fit(np.ones((1, 1), np.float32), np.ones(1, np.float32)).coef_.item()]


@answer("ema-overwrites-the-weights")
def _():
    def slope(*epochs: int) -> float:
        optimizer = SGD(0.25, use_ema=True, ema_momentum=0.5)
        model = fitted((1.0,), (1.0,), optimizer, epochs=epochs[0], warm_start=True)
        for count in epochs[1:]:
            model.set_params(epochs=count).fit(np.ones((1, 1), np.float32), np.ones(1, np.float32))
        return model.coef_.item()

    return [slope(2, 2), slope(4)]


@answer("ema-validates-the-raw-weights")
def _():
    one = np.ones((1, 1), np.float32), np.ones(1, np.float32)
    optimizer = SGD(0.25, use_ema=True, ema_momentum=0.5)
    model = fitted((1.0,), (1.0,), optimizer, epochs=2, validation_data=one)
    return [model.history_["val_loss"][-1], model.evaluate(*one)]


@answer("ema-starts-at-the-first-update")
def _():
    fed = Fed(SGD(1.0, use_ema=True, ema_momentum=0.9), [5.0])
    fed.steps([1.0, 1.0])
    return fed.state.average


@answer("ema-moves-at-every-batch")
def _():
    fed = Fed(SGD(1.0, use_ema=True, ema_momentum=0.9, gradient_accumulation_steps=2))
    fed.steps([1.0] * 6)
    return fed.state.average


@answer("ema-overwriting-alone-is-ignored")
def _():
    overwriting = {"ema_overwrite_frequency": 1, "ema_momentum": 0.5}
    return [Fed(SGD(1.0, **overwriting, **use)).steps([1.0, 1.0])[-1] for use in ({}, {"use_ema": True})]


def weighted_loss(reduction: str, weights: Sequence[float], errors: Sequence[float], **settings: Any) -> Any:
    loss = MeanSquaredError(reduction=reduction)
    x = [1.0] * len(errors)
    return fitted(x, errors, SGD(0.0), loss=loss, sample_weight=np.array(weights), **settings).history_["loss"]


@answer("weights-are-divided-by-rows")
def _():
    return weighted_loss("sum_over_batch_size", (3.0, 1.0), (1.0, 2.0))


@answer("a-batch-of-no-weight-counts-zero")
def _():
    return weighted_loss("mean_with_sample_weight", (1.0, 0.0), (2.0, 2.0), batch_size=1)


@answer("huber-keeps-delta")
def _():
    return fitted((1.0,), (3.0,), SGD(0.0), loss=Huber(delta=0.5)).history_["loss"]


@answer("l2-without-a-half")
def _():
    penalised = fitted((1.0,), (3.0,), SGD(0.0), kernel_initializer=[3.0], kernel_regularizer=L2(0.125))
    return penalised.history_["loss"]  # the error is 0


@answer("history-counts-rows")
def _():
    return fitted((1.0, 1.0, 1.0), (1.0, 1.0, 4.0), SGD(0.0), batch_size=2).history_["loss"]


@answer("history-is-before-the-step")
def _():
    one = np.ones((1, 1), np.float32), np.ones(1, np.float32)
    history = fitted((1.0,), (1.0,), SGD(0.25), validation_data=one).history_
    return [history["loss"][0], history["val_loss"][0]]


@answer("history-ignores-weights")
def _():
    return weighted_loss("mean_with_sample_weight", (1.0, 3.0), (1.0, 3.0), batch_size=1)


@answer("nan-does-not-stop-fit")
def _():
    try:
        fitted((1.0,), (np.nan,), SGD(0.1), epochs=3)
    except ValueError:
        return "nan in the data is refused before the first step"
    return "nan is taken"


@answer("a-short-batch-steps-in-full")
def _():
    return fitted((0.0, 0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 0.0, 1.0), SGD(0.25), batch_size=4).coef_


@answer("float64-data-are-rounded")
def _():
    start, model = 1_700_000_000.0, fitted((1.0,), (1.0,), SGD(0.0), kernel_initializer=[1.0])
    first, second = model.predict(np.array([[start], [start + 60]]))
    return float(second) - float(first)


@answer("a-seed-freezes-the-shuffle")
def _():
    draws = {"an integer": np.random.default_rng(1), "KerasSeed": generator_from(KerasSeed(1))}
    counts = {name: len({tuple(draw.permutation(16)) for _ in range(3)}) for name, draw in draws.items()}
    return ", ".join(f"random_state={name}: {count} orders in 3 epochs" for name, count in counts.items())


@answer("the-order-follows-from-the-seed")
def _():
    return generator_from(KerasSeed(42)).permutation(16)


@answer("the-weights-follow-from-the-seed")
def _():
    return LinearRegression(SGD(0.0), epochs=1, random_state=KerasSeed(7)).fit(np.eye(3), np.ones(3)).coef_


@answer("initial-weights-are-glorots")
def _():
    return glorot_limit(10_000, 1)


@answer("polynomial-decay-may-rise")
def _():
    decay = schedules.PolynomialDecay(1e-5, 10)
    return [decay(step) for step in (0, 5, 10)]


@answer("boundaries-belong-to-the-left")
def _():
    pieces = schedules.PiecewiseConstantDecay((2,), (1.0, 0.5))
    return [pieces(step) for step in range(4)]


@answer("restarts-come-late")
def _():
    return schedules.CosineDecayRestarts(0.1, 1).rates(np.array([4095, 8191, 8192]), FLOAT32)


@answer("schedules-go-on-in-the-next-fit")
def _():
    model = fitted((0.0,), (0.0,), SGD(schedules.InverseTimeDecay(1.0, 1, 1.0)), epochs=2, warm_start=True)
    model.set_params(epochs=1).fit(np.zeros((1, 1)), np.zeros(1))
    # Its history holds the rate of each step; Keras tells the rate of the step to come.
    return "warm_start=True goes on: " + ", ".join(f"{rate:.3g}" for rate in model.history_["learning_rate"])


class _Told:
    """A run that a callback is told losses of."""

    def __init__(self) -> None:
        self.learning_rate, self.stop_training = 1.0, False
        self.weights: Any = None

    def get_weights(self) -> Any:
        return self.weights

    def set_weights(self, weights: Any) -> None:
        self.weights = weights


def rates_under_plateau(losses: Sequence[float], **settings: Any) -> list[float]:
    run, plateau = _Told(), callbacks.ReduceLROnPlateau("loss", factor=0.5, **settings)
    plateau.set_run(run)
    plateau.on_train_begin({})
    rates = []
    for epoch, loss in enumerate(losses):
        plateau.on_epoch_end(epoch, {"loss": loss})
        rates.append(run.learning_rate)
    return rates


def stopped_after(losses: Sequence[float], **settings: Any) -> list[float]:
    """Return the epochs that ran, and the number of the epoch whose weights remain."""
    run, stopping = _Told(), callbacks.EarlyStopping("loss", **settings)
    stopping.set_run(run)
    stopping.on_train_begin({})
    ran = 0
    for epoch, loss in enumerate(losses):
        run.weights = epoch
        stopping.on_epoch_end(epoch, {"loss": loss})
        ran += 1
        if run.stop_training:
            break
    stopping.on_train_end({})
    return [ran, run.weights]


@answer("min-delta-is-absolute")
def _():
    return rates_under_plateau([1e-6 * 0.5**epoch for epoch in range(6)], patience=2)


@answer("patience-counts-to-the-last")
def _():
    return rates_under_plateau([1.0] * 6, patience=3)


@answer("callbacks-compare-in-float32")
def _():
    losses = [1 - 1e-9 * epoch for epoch in range(5)]
    return [stopped_after(losses, patience=2)[0], rates_under_plateau(losses, patience=4, min_delta=0)[-1]]


@answer("callbacks-raise-on-huge-losses")
def _():
    ran, _ = stopped_after([1e39, 1e38, 1e37], patience=1)
    rates_under_plateau([1e39, 1e38, 1e37], patience=1)
    return f"neither raises; EarlyStopping ran {ran} epochs"


@answer("a-first-nan-is-the-best")
def _():
    losses = [np.nan, 3.0, 2.0, 1.0, 0.5]
    return [*stopped_after(losses, patience=2, restore_best_weights=True), rates_under_plateau(losses, patience=4)[-1]]


@answer("best-weights-come-back-anyway")
def _():
    return stopped_after([3.0, 1.0, 2.0, 2.0], patience=10, restore_best_weights=True)


@answer("float64-momentum-is-rounded")
def _():
    first, both = Fed(SGD(1.0, momentum=0.9), precision=FLOAT64).steps([1.0, 0.0])
    return first - both


@answer("float64-schedules-are-float32")
def _():
    return f"{schedules.ExponentialDecay(0.1, 3, 0.9)(1)!r} with dtype='float64'"


@answer("subnormals-are-flushed")
def _():
    return fitted((1.0,), (0.0,), SGD(0.0), kernel_initializer=[1e-40]).predict(np.ones((1, 1)))


@answer("large-losses-of-float32")
def _():
    return fitted((1.0,), (0.0,), SGD(0.0), kernel_initializer=[1e20]).history_["loss"]
