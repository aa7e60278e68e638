"""One step of Dense(1) at a time: gradient and update together, both libraries set to the same state before each."""

import os
import pickle

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from strategies import any_schedule, around_the_rule, data, log_uniform, losses, optimizers
from ulp import assert_equal_bits

from linreg import SGD, Adam, LinearRegression, RMSprop
from linreg.batches import Batches, Problem
from linreg.data.arrays import design_matrix
from linreg.drift import FIRST_ORDER, TWO_RUNS, Batch, FlatStep, carry
from linreg.keras import counterpart, dense
from linreg.keras import state as keras_state
from linreg.precision import FLOAT32
from linreg.steps import Rates, State, bind_step
from linreg.training import Run

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


@settings(max_examples=200 if THOROUGH else 5)
@given(
    optimizer=optimizers(learning_rate=st.one_of(log_uniform(1e-4, 0.1), any_schedule(cycles=False))),
    loss=losses(),
    table=data(),
    seed=st.integers(0, 2**31),
)
def test_one_training_step_from_any_state_matches_keras_within_its_rounding(keras, optimizer, loss, table, seed):
    X, y, weight = table
    rng, d = np.random.default_rng(seed), X.shape[1]
    model = LinearRegression(optimizer, loss, batch_size=len(y), shuffle=False)
    twin = dense(model, d, rng.normal(size=d).astype("f"), np.float32(rng.normal()))
    theirs, flat = twin.optimizer, FlatStep(model, d, 1)
    theirs.build(twin.trainable_variables)
    problem = Problem(design_matrix(X, True), y, weight, len(y), d)
    rates = Rates(optimizer, FLOAT32)
    for _ in range(10):
        # Both start from what Keras has now.
        start = keras_state.flat(twin.trainable_variables)
        state = State.start(start, optimizer, FLOAT32, rng)
        state.slots = [keras_state.slot(theirs, letter) for letter in state.letters]
        state.iterations = int(theirs._iterations)
        if optimizer.use_ema:
            state.average = keras_state.average(theirs)
        if state.total is not None:
            state.total = keras_state.accumulated(theirs)
        blocks = [start, *state.slots, *(x for x in (state.total, state.average) if x is not None)]
        u = np.concatenate(blocks).astype(np.float64)[:, None]
        ((rate, lr),) = rates.pairs(optimizer.learning_rate, state.iterations, 1)
        with np.errstate(all="ignore"):
            batch = Batch(flat, u[: d + 1], problem.matrix.astype(np.float64), y.astype(np.float64),
                          None if weight is None else weight.astype(np.float64), np.finfo(np.float32).eps)  # fmt: skip
            _, generators = carry(
                flat, u, np.zeros((len(u), 0)), batch, np.float64(rate), np.float64(lr), state.iterations
            )
        bound = FIRST_ORDER * TWO_RUNS * np.abs(generators).sum(axis=1)
        assume(np.isfinite(bound).all() and (bound <= 1e-3 * (1 + np.abs(u[:, 0]))).all())
        run = Run(problem, state, optimizer, loss, FLOAT32, shuffle=False)
        run.train(1)
        twin.train_on_batch(X, y[:, None], sample_weight=weight)
        after = [state.parameters, *state.slots, *(x for x in (state.total, state.average) if x is not None)]
        expected = [keras_state.flat(twin.trainable_variables)]
        expected += [keras_state.slot(theirs, letter) for letter in state.letters]
        expected += [keras_state.accumulated(theirs)] if state.total is not None else []
        expected += [keras_state.average(theirs)] if optimizer.use_ema else []
        off = np.abs(np.concatenate(after) - np.concatenate(expected))
        assert (off <= bound).all(), (optimizer, loss, off, bound)
    keras.backend.clear_session()  # thousands of traced models would fill the memory


class LockStep(RuleBasedStateMachine):
    """Whatever is done to both optimizers in turn, their parameters and states stay equal to the last bit."""

    keras = None

    @initialize(
        kind=st.sampled_from([SGD(0.01), SGD(0.01, momentum=0.9, nesterov=True), RMSprop(0.01, centered=True),
                              Adam(0.01), Adam(0.01, amsgrad=True)]),
        options=around_the_rule(clip_by_norm=False),
    )  # fmt: skip
    def begin(self, kind, options):
        self.optimizer = kind.set_params(**options)
        self.kernel = np.zeros(5, np.float32)
        self.reset()

    @rule()
    def reset(self):
        self.variable = self.keras.Variable(self.kernel)
        self.theirs = counterpart(self.optimizer)
        self.theirs.build([self.variable])
        self.ours = State.start(self.kernel.copy(), self.optimizer, FLOAT32, np.random.default_rng(0))
        self.step = bind_step(self.optimizer, FLOAT32, 5)
        self.rates = Rates(self.optimizer, FLOAT32)

    @rule(seed=st.integers(0, 2**31), scale=log_uniform(1e-6, 1e2))
    def one_batch(self, seed, scale):
        g = (scale * np.random.default_rng(seed).normal(size=5)).astype(np.float32)
        self.theirs.apply([self.keras.ops.convert_to_tensor(g)])
        ((rate, lr),) = self.rates.pairs(self.ours.learning_rate, self.ours.iterations, 1)
        self.step(self.ours, g, rate, lr)
        self.ours.iterations += 1

    @rule(new=log_uniform(1e-5, 0.1))
    def change_the_learning_rate(self, new):
        self.theirs.learning_rate = new
        self.ours.learning_rate = new

    @precondition(lambda self: self.ours.iterations > 0)
    @rule()
    def save_and_load(self):
        self.ours = pickle.loads(pickle.dumps(self.ours))  # noqa: S301 (our own)
        saved, kernel = [np.asarray(v) for v in self.theirs.variables], np.asarray(self.variable)
        self.variable = self.keras.Variable(kernel)
        self.theirs = counterpart(self.optimizer)
        self.theirs.build([self.variable])
        for variable, value in zip(self.theirs.variables, saved, strict=True):
            variable.assign(value)
        self.step, self.rates = bind_step(self.optimizer, FLOAT32, 5), Rates(self.optimizer, FLOAT32)

    @rule()
    def clone(self):
        self.optimizer = type(self.optimizer)(**self.optimizer.get_params())
        self.step, self.rates = bind_step(self.optimizer, FLOAT32, 5), Rates(self.optimizer, FLOAT32)
        values = [np.asarray(variable) for variable in self.theirs.variables]
        self.theirs = type(self.theirs).from_config(self.theirs.get_config())
        self.theirs.build([self.variable])
        for variable, value in zip(self.theirs.variables, values, strict=True):
            variable.assign(value)

    @invariant()
    def both_are_equal_bit_for_bit(self):
        if not hasattr(self, "ours"):
            return
        assert_equal_bits(self.ours.parameters, np.asarray(self.variable), what=f"parameters of {self.optimizer!r}")
        for letter, slot in zip(self.ours.letters, self.ours.slots, strict=True):
            assert_equal_bits(slot, keras_state.slot(self.theirs, letter), what=letter)
        if self.ours.average is not None:
            assert_equal_bits(self.ours.average, keras_state.average(self.theirs), what="average")
        if self.ours.total is not None:
            assert_equal_bits(self.ours.total, keras_state.accumulated(self.theirs), what="accumulated gradient")
        assert self.ours.iterations == int(self.theirs._iterations)


def test_both_libraries_stay_in_lock_step_whatever_is_done_to_them(keras):
    LockStep.keras = keras
    run_state_machine_as_test(LockStep, settings=settings(max_examples=500 if THOROUGH else 10, stateful_step_count=30))


def test_a_step_that_is_wrong_by_a_thousandth_is_outside_the_bound():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)).astype("f"), rng.normal(size=20).astype("f")
    model = LinearRegression(Adam(0.01), batch_size=20)
    flat, u = FlatStep(model, 3, 1), np.concatenate([rng.normal(size=4), np.zeros(8)])[:, None]
    batch = Batch(flat, u[:4], design_matrix(X, True).astype(float), y.astype(float), None, np.finfo(np.float32).eps)
    ((rate, lr),) = Rates(model.optimizer, FLOAT32).pairs(0.01, 0, 1)
    after, generators = carry(flat, u, np.zeros((12, 0)), batch, float(rate), float(lr), 0)
    bound = FIRST_ORDER * TWO_RUNS * np.abs(generators).sum(axis=1)
    wrong, _ = carry(flat, u, np.zeros((12, 0)), batch, 1.001 * float(rate), float(lr), 0)
    assert (np.abs(wrong - after)[:4, 0] > bound[:4]).all()


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
def test_losses_of_a_batch_do_not_depend_on_which_batches_are_asked_for(reduction):
    from linreg import MeanSquaredError

    rng = np.random.default_rng(1)
    X, y, weight = (
        rng.normal(size=(20, 2)).astype("f"),
        rng.normal(size=20).astype("f"),
        rng.uniform(size=20).astype("f"),
    )
    problem = Problem(design_matrix(X, True), y, weight, 6, 2)
    batches = Batches(problem, False, MeanSquaredError(reduction), FLOAT32, np.zeros(3, np.float32))
    batches.evaluate(np.ones(3, np.float32), ())
    together = batches.losses(0, 4, ())
    np.testing.assert_array_equal([batches.losses(i, i + 1, ())[0] for i in range(4)], together)
