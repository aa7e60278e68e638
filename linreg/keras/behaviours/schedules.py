"""Claims about learning rate schedules."""

from __future__ import annotations

from typing import Any

import numpy as np

from linreg.keras.behaviours.apparatus import fit, line
from linreg.keras.behaviours.registry import Observation, behaviour, which


@behaviour(
    "polynomial-decay-may-rise",
    "PolynomialDecay ends at 0.0001 unless told otherwise. If it begins below, the 'decay' raises the rate: from 1e-5 "
    "to ten times that. Give end_learning_rate.",
)
def _polynomial_decay_may_rise(keras: Any) -> Observation:
    initial, steps = 1e-5, 10
    decay = keras.optimizers.schedules.PolynomialDecay(initial, steps)
    path = [float(decay(step)) for step in (0, steps // 2, steps)]
    # Rounding of the end rate, which is ten times as large, shows in the first.
    return which(
        path,
        {"it ends at 0.0001": [initial, (initial + 1e-4) / 2, 1e-4], "it ends at 0": [initial, initial / 2, 0.0]},
        within=1e-6 * 10,
    )


@behaviour(
    "boundaries-belong-to-the-left",
    "A boundary of PiecewiseConstantDecay is the last step with the old rate. PiecewiseConstantDecay([2], [1.0, 0.5]) "
    "still gives 1.0 at step 2, which is the third.",
)
def _boundaries_belong_to_the_left(keras: Any) -> Observation:
    pieces = keras.optimizers.schedules.PiecewiseConstantDecay([2], [1.0, 0.5])
    seen = [float(pieces(step)) for step in range(4)]
    formulas = {"the last with the old rate": [1.0, 1.0, 1.0, 0.5], "the first with the new rate": [1.0, 1.0, 0.5, 0.5]}
    return which(seen, formulas)


@behaviour(
    "restarts-come-late",
    "CosineDecayRestarts can start again one step late. It finds its period with logarithms in float32, where a last "
    "bit decides: CosineDecayRestarts(0.1, 1), whose periods double, has a rate of 0 at step 8,191, where it should "
    "start again.",
)
def _restarts_come_late(keras: Any) -> Observation:
    restarts = keras.optimizers.schedules.CosineDecayRestarts(0.1, 1)
    seen = [float(restarts(step)) for step in (4095, 8191, 8192)]  # 2^k - 1: periods begin
    # One step into a period of 8,192 the cosine has fallen by less than a float32 holds.
    return which(seen, {"one step late": [0.1, 0.0, 0.1], "on time": [0.1, 0.1, 0.1]})


@behaviour(
    "cycles-differ-in-a-graph",
    "PolynomialDecay(cycle=True) begins its cycles at other steps in a graph, as fit runs it, than eagerly. With "
    "decay_steps=7 the graph begins a new cycle at steps 21 and 42, where eagerly the old one still ends: "
    "TensorFlow's graph optimizer makes step / 7 into step * (1 / 7), which is a little more than 3 or 6.",
)
def _cycles_differ_in_a_graph(keras: Any) -> Observation:
    import tensorflow as tf

    decay = keras.optimizers.schedules.PolynomialDecay(0.1, 7, end_learning_rate=0.0, cycle=True)
    graph = tf.function(lambda step: decay(step))
    steps = (20, 21, 42)
    seen = [float(graph(tf.constant(step))) for step in steps] + [float(decay(step)) for step in steps]

    def rate(step: int, *, multiplies: bool) -> float:
        step_, seven, one = np.float32(step), np.float32(7), np.float32(1)
        cycles = np.ceil(step_ * (one / seven) if multiplies else step_ / seven)
        return float(np.float32(0.1) * (one - step_ / (seven * cycles)))

    by_product, by_quotient = ([rate(step, multiplies=multiplies) for step in steps] for multiplies in (True, False))
    formulas = {
        "the graph multiplies, eager divides": [*by_product, *by_quotient],
        "both divide": [*by_quotient, *by_quotient],
        "both multiply": [*by_product, *by_product],
    }
    return which(seen, formulas)


@behaviour(
    "schedules-go-on-in-the-next-fit",
    "A second fit goes on where the first one stopped in the schedule. The optimizer counts its steps over all fits, "
    "and Adam's t with them; only compile with a new optimizer starts again.",
)
def _schedules_go_on_in_the_next_fit(keras: Any) -> Observation:
    harmonic = keras.optimizers.schedules.InverseTimeDecay(1.0, 1, 1.0)  # 1, 1/2, 1/3, ...
    model = line(keras, keras.optimizers.SGD(harmonic), eager=True)
    rates = []
    for epochs in (2, 1):
        fit(model, (0.0,), (0.0,), epochs=epochs)
        rates.append(float(np.asarray(model.optimizer.learning_rate)))
    return which(rates, {"it goes on": [1 / 3, 1 / 4], "it starts again": [1 / 3, 1 / 2]})


@behaviour(
    "a-schedule-cannot-be-changed",
    "An optimizer with a schedule refuses another learning rate. ReduceLROnPlateau then raises TypeError, but only in "
    "the epoch in which it first wants to lower the rate, which may be after hours.",
)
def _a_schedule_cannot_be_changed(keras: Any) -> Observation:
    constant = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 1.0)
    model = line(keras, keras.optimizers.SGD(constant), eager=True)
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=1)
    seen = []
    for losses in ([2.0, 1.0], [2.0, 2.0]):
        plateau.set_model(model)
        plateau.on_train_begin()
        try:
            for epoch, loss in enumerate(losses):
                plateau.on_epoch_end(epoch, {"loss": loss})
        except TypeError:
            seen.append("TypeError")
        else:
            seen.append("no error")
    return Observation(seen == ["no error", "TypeError"], f"while the loss falls: {seen[0]}; when it stalls: {seen[1]}")
