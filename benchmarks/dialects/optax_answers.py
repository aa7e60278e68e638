"""What optax computes from the numbers of the checks, in JAX's float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.dialects.asking import answer


class Fed:
    """An optax transformation on parameters of its own, fed with gradients by hand."""

    def __init__(self, transformation: Any, *starts: float) -> None:
        self.rule = transformation
        self.parameters = [jnp.float32(start) for start in starts or (0.0,)]
        self.state = transformation.init(self.parameters)

    def step(self, *gradients: float) -> Any:
        """Apply one gradient a parameter and return the parameters."""
        grads = [jnp.float32(gradient) for gradient in gradients]
        updates, self.state = self.rule.update(grads, self.state, self.parameters)
        self.parameters = optax.apply_updates(self.parameters, updates)
        return np.array(self.parameters)

    def steps(self, gradients: Sequence[float]) -> Any:
        """Apply gradients of the one parameter in turn and return where it is after each."""
        return np.array([self.step(g).item() for g in gradients])


@answer("adam-epsilon-hat")
def _():
    return -Fed(optax.adam(0.1, eps=1e-3)).step(1e-3)


@answer("adam-corrects-in-float32")
def _():
    return -Fed(optax.adam(0.1, eps=0.0)).step(1.0)


@answer("amsgrad-maximum")
def _():
    first, second = Fed(optax.amsgrad(0.1, eps=0.0)).steps((1.0, 0.01))
    return [-first, first - second]


@answer("rmsprop-epsilon-inside")
def _():
    return -Fed(optax.rmsprop(0.1, decay=0.9, eps=1e-3)).step(1e-3)


@answer("rmsprop-first-steps")
def _():
    return -Fed(optax.rmsprop(0.1, decay=0.9, eps=0.0)).step(3.0)


def rate_changed(rule: Any, **settings: Any) -> Any:
    fed = Fed(optax.inject_hyperparams(rule)(learning_rate=0.1, **settings))
    first = fed.step(1.0)
    fed.state.hyperparams["learning_rate"] = jnp.float32(0.01)
    return first - fed.step(0.0)


@answer("momentum-holds-the-rate")
def _():
    return rate_changed(optax.sgd, momentum=0.5)


@answer("rmsprop-momentum-holds-the-rate")
def _():
    return rate_changed(optax.rmsprop, decay=0.9, eps=1e-20, momentum=0.5)


@answer("nesterov-looks-ahead")
def _():
    fed = Fed(optax.sgd(0.1, momentum=0.9, nesterov=True), 1.0)
    for _ in range(3):
        seen = fed.step(*fed.parameters)
    return seen


@answer("nesterov-needs-momentum")
def _():
    return -Fed(optax.sgd(0.1, nesterov=True)).step(1.0)


@answer("one-huge-gradient-makes-adam-nan")
def _():
    return -Fed(optax.adam(0.1)).steps((1e25, 1.0))


@answer("weight-decay-takes-all")
def _():
    return Fed(optax.chain(optax.add_decayed_weights(0.5), optax.sgd(0.1)), 1.0, 1.0).step(0.0, 0.0)


@answer("weight-decay-stands-apart", "optax' add_decayed_weights after a clip, and adamw")
def _():
    sgd = Fed(optax.chain(optax.clip(0.01), optax.add_decayed_weights(0.5), optax.sgd(0.1)), 1.0).step(1.0)
    return [*sgd, *Fed(optax.adamw(0.1, weight_decay=0.5, eps=0.0), 1.0).step(1.0)]


@answer("numbers-written-as-integers")
def _():
    Fed(optax.sgd(1, momentum=0)).step(1.0)
    return "takes integers"


def norm_clipped(clip: float, *gradients: float) -> Any:
    clipped = optax.chain(optax.clip_by_global_norm(clip), optax.sgd(1.0))
    return -Fed(clipped, *[0.0] * len(gradients)).step(*gradients)


@answer("clipnorm-each-variable", "optax' clip_by_global_norm")
def _():
    return norm_clipped(1.0, 3.0, 4.0)


@answer("clipnorm-is-exact", "optax' clip_by_global_norm")
def _():
    return norm_clipped(1e-6, 1e-5)


@answer("clipnorm-of-huge-gradients")
def _():
    return f"clip_by_global_norm of [1e30, 1e30] to 1 gives {norm_clipped(1.0, 1e30, 1e30).tolist()}"


@answer("accumulation-takes-the-mean", "optax' MultiSteps")
def _():
    return -Fed(optax.MultiSteps(optax.sgd(1.0), 2)).steps([1.0, 3.0])


@answer("accumulation-hurries-schedules", "optax' MultiSteps")
def _():
    path = -Fed(optax.MultiSteps(optax.sgd(lambda count: 1 / (1 + count)), 2)).steps([1.0] * 4)
    return [path[1], path[3] - path[1]]


@answer("accumulation-and-adams-t", "optax' MultiSteps")
def _():
    return -Fed(optax.MultiSteps(optax.adam(0.1, eps=0.0), 2)).steps([1.0, 1.0])[1]


@answer("ema-starts-at-the-first-update", "optax' ema")
def _():
    average = optax.ema(0.9)
    state = average.init(jnp.float32(0))
    for number in (4.0, 3.0):
        seen, state = average.update(jnp.float32(number), state)
    return seen


@answer("huber-keeps-delta", "optax' huber_loss")
def _():
    return optax.huber_loss(jnp.float32(3.0), delta=0.5)


@answer("l2-without-a-half", "optax' add_decayed_weights")
def _():
    w = 3.0
    slope = w - Fed(optax.chain(optax.add_decayed_weights(0.125), optax.sgd(1.0)), w).step(0.0).item()
    return slope * w / 2  # of the penalty that has this slope


@answer("float64-data-are-rounded", "JAX, unless jax_enable_x64")
def _():
    first, second = jnp.array([1_700_000_000.0, 1_700_000_060.0])
    return float(second) - float(first)


@answer("boundaries-belong-to-the-left", "optax' piecewise_constant_schedule")
def _():
    pieces = optax.piecewise_constant_schedule(1.0, {2: 0.5})
    return [float(pieces(step)) for step in range(4)]


def rates_under_plateau(losses: Sequence[float], patience: int) -> list[float]:
    fed = Fed(optax.contrib.reduce_on_plateau(factor=0.5, patience=patience))
    rates = []
    for loss in losses:
        _, fed.state = fed.rule.update([jnp.float32(0)], fed.state, value=jnp.float32(loss))
        rates.append(float(fed.state.scale))
    return rates


@answer("min-delta-is-absolute", "optax' reduce_on_plateau")
def _():
    return rates_under_plateau([1e-6 * 0.5**epoch for epoch in range(6)], 2)


@answer("patience-counts-to-the-last", "optax' reduce_on_plateau")
def _():
    return rates_under_plateau([1.0] * 6, 3)


@answer("subnormals-are-flushed", "JAX on a CPU")
def _():
    return float(jax.jit(jnp.multiply)(jnp.float32(1e-40), jnp.float32(1)))
