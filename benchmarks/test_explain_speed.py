"""What `ExplainLoss` adds to an epoch of `model.fit` on 1024 x 16: the time inside its hooks, of the same run.

Two runs of `fit`, with the callback and without, are up to a tenth apart by chance; the hooks of one run are not.
"""

from time import perf_counter

import numpy as np
import pytest
from interleaved import Ratio, seconds

from linreg.keras import ExplainLoss, load

EPOCHS, ROUNDS = 25, 9
"""With the looks at epoch 10, and where the loss stalls, in them."""


class Clocked(ExplainLoss):
    """The callback, with a clock around each of its hooks."""

    inside = 0.0


def clocked(hook):
    def timed(self, *arguments, **named):
        begin = perf_counter()
        try:
            return hook(self, *arguments, **named)
        finally:
            self.inside += perf_counter() - begin

    return timed


for name in [name for name in dir(ExplainLoss) if name.startswith(("on_", "set_"))]:
    setattr(Clocked, name, clocked(getattr(ExplainLoss, name)))


@pytest.mark.ratio
def test_explain_loss_adds_at_most_two_per_cent_to_an_epoch(hold):
    keras = load()
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1024, 16)).astype(np.float32)
    y = (X @ rng.normal(size=16) + 0.1 * rng.normal(size=1024)).astype(np.float32)
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.002), loss="mse")
    start, whole, rest = model.get_weights(), [], []
    for _ in range(ROUNDS + 1):
        explain = Clocked(verbose=0)
        model.set_weights(start)
        taken = seconds(lambda explain=explain: model.fit(X, y, epochs=EPOCHS, verbose=0, callbacks=[explain]))
        assert explain.diagnosis_ is None  # nothing is wrong with the run
        whole.append(taken / EPOCHS)
        rest.append((taken - explain.inside) / EPOCHS)
    hold("an epoch with ExplainLoss to one without", Ratio(whole[1:], rest[1:]), at_most=1.02)
