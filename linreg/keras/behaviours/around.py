"""Claims about what stands around a rule: clipping, gradient accumulation, moving averages."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from linreg.keras.behaviours.apparatus import Fed, fit, line, slope
from linreg.keras.behaviours.registry import Observation, behaviour, which
from linreg.keras.behaviours.rules import CORRECTED


@behaviour(
    "clip-of-zero-is-none",
    "A clip of 0 means no clip. clipvalue=0.0, clipnorm=0.0 and global_clipnorm=0.0 leave every gradient as it is.",
)
def _clip_of_zero_is_none(keras: Any) -> Observation:
    clips = ("clipvalue", "clipnorm", "global_clipnorm")
    steps = [-Fed(keras, keras.optimizers.SGD(1.0, **{clip: 0.0})).step(5.0).item() for clip in clips]
    return which(steps, {"none": [5.0, 5.0, 5.0], "clipped to 0": [0.0, 0.0, 0.0]})


@behaviour(
    "clipnorm-each-variable",
    "clipnorm clips every variable by itself: kernel and bias each keep a step of full length. The gradient no longer "
    "points where it did; global_clipnorm, one norm for all, keeps the direction.",
)
def _clipnorm_each_variable(keras: Any) -> Observation:
    steps = -Fed(keras, keras.optimizers.SGD(1.0, clipnorm=1.0), 0.0, 0.0).step(3.0, 4.0)
    return which(steps, {"each by itself": [1.0, 1.0], "all by one norm": [3 / 5, 4 / 5]})


@behaviour(
    "clipnorm-is-exact",
    "A clipped gradient has exactly the norm that was asked for. Nothing is added to the norm that it is divided by, "
    "so clips far below 1e-6 still work.",
)
def _clipnorm_is_exact(keras: Any) -> Observation:
    clip, g, added = 1e-6, 1e-5, 1e-6
    step = -Fed(keras, keras.optimizers.SGD(1.0, clipnorm=clip)).step(g)
    return which(step, {"nothing added": clip, "1e-6 added to the norm": g * clip / (g + added)})


@behaviour(
    "clipnorm-of-huge-gradients",
    "Gradients above 1.8e19 are not clipped to a norm but lost. Their squares overflow and the norm is inf: clipnorm "
    "makes the whole gradient 0, so that training silently stands still, and global_clipnorm makes it nan. clipvalue "
    "works.",
)
def _clipnorm_of_huge_gradients(keras: Any) -> Observation:
    g, clip = [1e30, 1e30], 1.0

    def step(**clipped: float) -> Any:
        return -Fed(keras, keras.optimizers.SGD(1.0, **clipped), [0.0, 0.0]).step(g)

    steps = [*step(clipnorm=clip), *step(global_clipnorm=clip), *step(clipvalue=clip)]
    right = clip / sqrt(2)
    formulas = {
        "0 and nan": [0.0, 0.0, np.nan, np.nan, clip, clip],
        "what was asked for": [right, right, right, right, clip, clip],
    }
    return which(steps, formulas)


@behaviour(
    "zeros-that-mean-none",
    "gradient_accumulation_steps=0 means none, while 1, which would mean the same, is refused. "
    "ema_overwrite_frequency=0 means none, too.",
)
def _zeros_that_mean_none(keras: Any) -> Observation:
    sgd = keras.optimizers.SGD
    step = (
        -Fed(keras, sgd(1.0, gradient_accumulation_steps=0, use_ema=True, ema_overwrite_frequency=0)).step(1.0).item()
    )
    try:
        sgd(1.0, gradient_accumulation_steps=1)
    except ValueError:
        one = "refused"
    else:
        one = "taken"
    return Observation(step == 1.0 and one == "refused", f"with 0 a step of {step:g}; accumulation of 1 is {one}")


@behaviour(
    "accumulation-takes-the-mean",
    "Accumulated gradients are averaged: n batches move the weights as far as one batch n times as large. Where a "
    "loop only adds gradients up before it steps, the learning rate counts n times.",
)
def _accumulation_takes_the_mean(keras: Any) -> Observation:
    fed = Fed(keras, keras.optimizers.SGD(1.0, gradient_accumulation_steps=2))
    return which(-fed.steps([1.0, 3.0]), {"the mean": [0.0, 2.0], "the sum": [0.0, 4.0], "each at once": [1.0, 4.0]})


@behaviour(
    "accumulation-hurries-schedules",
    "Under gradient accumulation a learning rate schedule counts batches, not updates. With "
    "gradient_accumulation_steps=10 a rate that shall fall over 1,000 updates needs decay_steps=10,000.",
)
def _accumulation_hurries_schedules(keras: Any) -> Observation:
    halved = keras.optimizers.schedules.InverseTimeDecay(1.0, 1, 1.0)  # 1, 1/2, 1/3, 1/4, ...
    fed = Fed(keras, keras.optimizers.SGD(halved, gradient_accumulation_steps=2))
    path = -fed.steps([1.0, 1.0, 1.0, 1.0])
    return which(
        [path[1], path[3] - path[1]], {"batches are counted": [1 / 2, 1 / 4], "updates are counted": [1.0, 1 / 2]}
    )


@behaviour(
    "accumulation-and-adams-t",
    "Under gradient accumulation Adam's t counts updates, not batches. The bias correction is right, while the "
    "schedule runs ahead.",
)
def _accumulation_and_adams_t(keras: Any) -> Observation:
    lr, b1, b2 = 0.1, 0.9, 0.999
    fed = Fed(keras, keras.optimizers.Adam(lr, epsilon=0.0, gradient_accumulation_steps=2))
    step = -fed.steps([1.0, 1.0])[1]

    def first_step(t: int) -> float:
        return lr * sqrt(1 - b2**t) / (1 - b1**t) * (1 - b1) / sqrt(1 - b2)

    formulas = {"updates are counted": first_step(1), "batches are counted": first_step(2)}
    return which(step, formulas, within=CORRECTED)


@behaviour(
    "accumulation-left-over",
    "Batches that do not fill an accumulation are left over for the next epoch, and for the next fit. With three "
    "batches and gradient_accumulation_steps=2 the third changes nothing until the first of the next epoch has joined "
    "it.",
)
def _accumulation_left_over(keras: Any) -> Observation:
    lr, y = 0.1, (1.0, 1.0, 5.0)
    model = line(keras, keras.optimizers.SGD(lr, gradient_accumulation_steps=2), eager=True)
    fit(model, (1.0, 1.0, 1.0), y, batch_size=1)
    first = slope(model)
    fit(model, (1.0,), y[:1])
    second = slope(model)

    def pull(w: float, y: float) -> float:  # gradient of (w - y)^2
        return 2 * (w - y)

    w = -lr * pull(0, y[0])  # the mean of two equal ones
    joined = w - lr * (pull(w, y[2]) + pull(w, y[0])) / 2
    flushed = w - lr * pull(w, y[2])
    formulas = {
        "left over": [w, joined],
        "applied at the end of an epoch": [flushed, flushed],
        "dropped at the end of an epoch": [w, w],
    }
    return which([first, second], formulas)


@behaviour(
    "ema-overwrites-the-weights",
    "With use_ema=True 2 + 2 epochs are not 4. Every fit ends by overwriting the weights with their moving average, "
    "and the next one goes on from there.",
)
def _ema_overwrites_the_weights(keras: Any) -> Observation:
    lr, momentum = 0.25, 0.5

    def seen(*epochs: int) -> float:
        model = line(keras, keras.optimizers.SGD(lr, use_ema=True, ema_momentum=momentum), eager=True)
        for count in epochs:
            fit(model, (1.0,), (1.0,), epochs=count)
        return slope(model)

    def expected(*epochs: int, overwrites: bool) -> float:
        w = average = 0.0
        first = True
        for count in epochs:
            for _ in range(count):
                w -= lr * 2 * (w - 1)
                average = w if first else momentum * average + (1 - momentum) * w
                first = False
            w = average if overwrites else w
        return average

    two_and_two, four = expected(2, 2, overwrites=True), expected(4, overwrites=True)
    kept_apart = expected(2, 2, overwrites=False)
    formulas = {"the second fit starts from the average": [two_and_two, four], "2 + 2 are 4": [kept_apart, four]}
    return which([seen(2, 2), seen(4)], formulas)


@behaviour(
    "ema-validates-the-raw-weights",
    "With use_ema=True the val_loss of an epoch is that of the weights of the moment, not of their average. After "
    "fit, evaluate tells another loss for the same data, that of the average, and EarlyStopping has watched a model "
    "that is not the one to be kept.",
)
def _ema_validates_the_raw_weights(keras: Any) -> Observation:
    lr, momentum, x = 0.25, 0.5, np.array([[1.0]], np.float32)
    model = line(keras, keras.optimizers.SGD(lr, use_ema=True, ema_momentum=momentum), eager=True)
    history = fit(model, (1.0,), (1.0,), epochs=2, validation_data=(x, x))
    evaluated = model.evaluate(x, x, verbose=0)
    w = [1 - (1 - 2 * lr), 1 - (1 - 2 * lr) ** 2]
    average = momentum * w[0] + (1 - momentum) * w[1]
    raw, averaged = (w[1] - 1) ** 2, (average - 1) ** 2
    formulas = {
        "val_loss of the weights, evaluate of the average": [raw, averaged],
        "both of the average": [averaged, averaged],
        "both of the weights": [raw, raw],
    }
    return which([history["val_loss"][-1], evaluated], formulas)


@behaviour(
    "ema-starts-at-the-first-update",
    "The moving average starts from the weights after the first update. Neither the initial weights nor zero are in "
    "it, so nothing has to be corrected.",
)
def _ema_starts_at_the_first_update(keras: Any) -> Observation:
    momentum = 0.9
    fed = Fed(keras, keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=momentum), 5.0)
    path = [5.0, *fed.steps([1.0, 1.0])]
    fed.optimizer.finalize_variable_values(fed.variables)

    def average(first: float, *rest: float) -> float:
        for number in rest:
            first = momentum * first + (1 - momentum) * number
        return first

    formulas = {
        "from the first update": average(*path[1:]),
        "from the initial weights": average(*path),
        "from zero": average(0.0, *path[1:]),
        "from zero, corrected": average(0.0, *path[1:]) / (1 - momentum**2),
    }
    return which(fed.numbers, formulas)


@behaviour(
    "ema-moves-at-every-batch",
    "Under gradient accumulation the moving average moves at every batch. It moves also at those that change no "
    "weight: weights that stand still for n batches count n times.",
)
def _ema_moves_at_every_batch(keras: Any) -> Observation:
    momentum = 0.9
    fed = Fed(keras, keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=momentum, gradient_accumulation_steps=2))
    path = fed.steps([1.0] * 6)
    fed.optimizer.finalize_variable_values(fed.variables)
    batches = updates = path[1]  # the first update
    for w in path[2:]:
        batches = momentum * batches + (1 - momentum) * w
    for w in path[3::2]:
        updates = momentum * updates + (1 - momentum) * w
    return which(fed.numbers, {"every batch": batches, "every update": updates})


@behaviour(
    "ema-overwriting-alone-is-ignored",
    "ema_overwrite_frequency without use_ema=True is taken and ignored.",
)
def _ema_overwriting_alone_is_ignored(keras: Any) -> Observation:
    def after_two(**settings: Any) -> float:
        return float(Fed(keras, keras.optimizers.SGD(1.0, **settings)).steps([1.0, 1.0])[-1])

    overwriting = {"ema_overwrite_frequency": 1, "ema_momentum": 0.5}
    seen = [after_two(**overwriting), after_two(**overwriting, use_ema=True)]
    return which(seen, {"ignored": [-2.0, -1.5], "it works alone": [-1.5, -1.5], "it never works": [-2.0, -2.0]})
