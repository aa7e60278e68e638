"""What `ExplainLoss` adds to an epoch of `model.fit` on 1024 x 16 while nothing is wrong."""

import numpy as np
import pytest
from interleaved import interleaved, seconds

from linreg.keras import ExplainLoss, load

EPOCHS = 8


@pytest.mark.ratio
def test_explain_loss_adds_at_most_two_per_cent_to_an_epoch(hold):
    keras = load()
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1024, 16)).astype(np.float32)
    y = (X @ rng.normal(size=16) + 0.1 * rng.normal(size=1024)).astype(np.float32)
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mse")

    def fit(*callbacks):
        return seconds(lambda: model.fit(X, y, epochs=EPOCHS, verbose=0, callbacks=[*callbacks])) / EPOCHS

    explain = ExplainLoss(stalled=10**6)  # it stands still at the optimum, where a run goes on without being looked at
    hold("an epoch with ExplainLoss to one without", interleaved(lambda: fit(explain), fit, rounds=15), at_most=1.02)
