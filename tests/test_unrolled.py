"""An unrolled rule makes the calls that the rule makes: the same bits, and nothing that it gave away changes later."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linreg import SGD, Adam, LinearRegression, RMSprop
from linreg.callbacks import Callback
from linreg.optimizers import OPTIMIZERS
from linreg.own_rules import optimizer_from
from linreg.precision import FLOAT32, FLOAT64
from linreg.steps import State, bind_step
from linreg.unrolled import CannotUnrollError, Unrolled

RULES = [
    SGD(0.1), SGD(0.1, momentum=0.9), SGD(0.1, momentum=0.9, nesterov=True), RMSprop(0.1), RMSprop(0.1, momentum=0.5),
    RMSprop(0.1, centered=True), RMSprop(0.1, centered=True, momentum=0.5), Adam(0.1), Adam(0.1, amsgrad=True),
]  # fmt: skip
AROUND = [
    {"weight_decay": 0.25}, {"clipnorm": 0.5}, {"global_clipnorm": 0.5}, {"clipvalue": 0.5},
    {"gradient_accumulation_steps": 2}, {"use_ema": True, "ema_momentum": 0.75},
    {"use_ema": True, "ema_momentum": 0.75, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 2, "clipnorm": 0.5, "weight_decay": 0.25, "use_ema": True,
     "ema_overwrite_frequency": 2},
]  # fmt: skip
WRAPPED = [rule(0.1, **given) for rule in (SGD, Adam) for given in AROUND]


@pytest.mark.parametrize("optimizer", RULES + WRAPPED, ids=str)
@pytest.mark.parametrize("models", [(), (3,)], ids=["one model", "three"])
@given(seed=st.integers(0, 2**32 - 1), precision=st.sampled_from([FLOAT32, FLOAT64]))
def test_an_unrolled_rule_gives_the_bits_of_the_rule_itself(optimizer, models, seed, precision):
    rng = np.random.default_rng(seed)
    gradients = (rng.standard_normal((6, 5, *models)) * 10.0 ** rng.integers(-8, 8, (6, 5, *models))).astype(
        precision.dtype
    )
    start = State.start(rng.standard_normal((5, *models)).astype(precision.dtype), optimizer, precision, rng)
    ends = []
    for gradient in (None, np.empty((5, *models), precision.dtype)):
        state = State.start(start.parameters.copy(), optimizer, precision, rng)
        step, rate = bind_step(optimizer, precision, 4, gradient=gradient), precision.number(0.125)
        for g in gradients:
            if gradient is not None:
                gradient[...] = g
            step(state, g if gradient is None else gradient, np.full(models, rate)[()], rate)
            state.iterations += 1
        ends.append(
            [array for array in (state.parameters, *state.slots, state.total, state.average) if array is not None]
        )
    for plain, unrolled in zip(*ends, strict=True):
        np.testing.assert_array_equal(plain, unrolled, strict=True)


@pytest.mark.parametrize("optimizer", RULES, ids=str)
def test_all_rules_of_linreg_can_be_unrolled(optimizer):
    rule = optimizer.rule(FLOAT32)
    Unrolled(rule.update, len(rule.state), np.empty(3, np.float32), rule.constants)


def with_a_choice(p, g, lr):
    return ((p - g * lr) if (g > 0).all() else p,)


def with_where(p, g, lr):
    return (np.where(g > 0, p - g * lr, p),)


def in_place(p, g, lr):
    p -= g * lr
    return (p,)


def with_a_sum(p, g, lr):
    return (p - g * lr / np.sqrt((g * g).sum()),)


def with_a_constant_array(p, g, lr):
    return (p - g * lr * np.arange(1.0, 4.0, dtype=np.float32),)


def standing_still(p, g, lr):
    return (p,)


def with_a_power(p, g, lr):
    return (p - lr * g / (g * g + 1) ** 0.5,)


def wider(p, g, lr):
    return (p - g * np.float64(0.1) * lr,)


@pytest.mark.parametrize(
    "update",
    [with_a_choice, with_where, in_place, with_a_sum, with_a_constant_array, standing_still, with_a_power, wider],
    ids=lambda update: update.__name__,
)
def test_a_rule_that_is_more_than_a_row_of_ufuncs_is_left_as_it_is(update):
    with pytest.raises(CannotUnrollError):
        Unrolled(update, 0, np.empty(3, np.float32), ())


def test_a_rule_that_cannot_be_unrolled_trains_all_the_same(monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, "chosen", optimizer_from("Chosen", with_where, learning_rate=0.5))
    X, y = np.array([[1.0], [2.0]]), [1.0, 2.0]
    model = LinearRegression(
        OPTIMIZERS["chosen"](), epochs=2, batch_size=2, shuffle=False, fit_intercept=False, kernel_initializer="zeros"
    )
    # At w = 0 the gradient is (2/2) (-1 - 4) = -5: no entry is positive, and nothing moves.
    assert model.fit(X, y).coef_.tolist() == [0.0]


class Keeping(Callback):
    """Keeps the arrays themselves, and copies of them, after every batch."""

    def __init__(self):
        self.arrays, self.copies = [], []

    def on_train_batch_end(self, batch, logs):
        """Keep them."""
        state = self.run.state
        around = [array for array in (state.total, state.average) if array is not None]
        self.arrays.append([state.parameters, *state.slots, *around])
        self.copies.append([array.copy() for array in self.arrays[-1]])


@pytest.mark.parametrize("given", [{}, *AROUND], ids=str)
def test_arrays_of_the_state_that_somebody_keeps_are_not_written_to_later(given):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 2)), rng.standard_normal(40)
    keeping = Keeping()
    LinearRegression(Adam(0.1, **given), epochs=3, batch_size=8, callbacks=[keeping], random_state=0).fit(X, y)
    np.testing.assert_array_equal(keeping.arrays, keeping.copies)
    updates = 15 // given.get("gradient_accumulation_steps", 1)
    assert len({array[0].tobytes() for array in keeping.arrays}) >= updates
