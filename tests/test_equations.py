"""The equations by themselves: known values, 50-digit decimals, many models at once, arrays that are not NumPy's."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linreg import L1, L1L2, L2, SGD, Adam, Huber, MeanSquaredError, RMSprop, schedules
from linreg import rules as equations
from linreg.losses import divisor, huber, huber_slope, row_factor, squared_error, squared_error_slope
from linreg.precision import FLOAT32, FLOAT64, KERAS_FLOAT64, Precision
from linreg.seeds import generator_from

DECIMAL = Precision(object, Decimal, Decimal)


def test_squared_error_and_its_slope_at_known_points():
    e = np.array([-3.0, 0.0, 0.5])
    assert squared_error(e).tolist() == [9.0, 0.0, 0.25]
    assert squared_error_slope(e, MeanSquaredError.slope_factor * 0.5).tolist() == [-3.0, 0.0, 0.5]


def test_huber_and_its_slope_at_known_points():
    e = np.array([-3.0, -1.0, 0.5, 2.0])
    assert huber(e, 1.0).tolist() == [2.5, 0.5, 0.125, 1.5]
    assert huber_slope(e, 2.0, 1.0).tolist() == [-2.0, -2.0, 1.0, 2.0]


def test_reductions_divide_by_rows_by_nothing_and_by_the_weights():
    weights = np.array([1.0, 3.0])
    assert divisor("sum_over_batch_size", 2, weights) == 2
    assert divisor("sum", 2, weights) == 1
    assert divisor("mean_with_sample_weight", 2, weights) == 4
    assert divisor("mean_with_sample_weight", 2) == 2
    np.testing.assert_array_equal(row_factor(np.float64, 4, weights), [0.25, 0.75])
    np.testing.assert_array_equal(row_factor(np.float64, 0, 0 * weights), [0.0, 0.0])


# One step by hand, from p = 1, g = 2, with rates and constants that have short decimals.
FIRST_STEPS = {
    "sgd": (SGD(0.5), [0.0]),
    "momentum": (SGD(0.5, momentum=0.5), [0.0, -1.0]),  # m = -1
    "nesterov": (SGD(0.5, momentum=0.5, nesterov=True), [-0.5, -1.0]),  # p + 0.5 m - 1
    "rmsprop": (RMSprop(0.5, rho=0.75, epsilon=0.0), [0.0, 1.0]),  # v = 1, step 0.5 * 2 / 1
    "centered": (RMSprop(0.5, rho=0.5, epsilon=0.0, centered=True), [0.0, 2.0, 1.0]),  # v - a^2 = 1
    "rmsprop_momentum": (RMSprop(0.5, rho=0.75, epsilon=0.0, momentum=0.5), [0.0, 1.0, 1.0]),
    "both": (RMSprop(0.5, rho=0.5, epsilon=0.0, momentum=0.5, centered=True), [0.0, 2.0, 1.0, 1.0]),
    # alpha = 0.5 sqrt(0.75) / 0.5, m = 1, sqrt(v) = sqrt(0.75 * 4): the first step of Adam is lr
    "adam": (Adam(0.5, beta_1=0.5, beta_2=0.25, epsilon=0.0), [0.5, 1.0, 3.0]),
    "amsgrad": (Adam(0.5, beta_1=0.5, beta_2=0.25, epsilon=0.0, amsgrad=True), [0.5, 1.0, 3.0, 3.0]),
}


def take_step(optimizer, precision, p, g, state, t=1):
    rule = optimizer.rule(precision)
    lr = precision.cast(optimizer.learning_rate)
    if precision is DECIMAL:
        b1, b2 = (DECIMAL.cast(getattr(optimizer, name, 0)) ** t for name in ("beta_1", "beta_2"))
        rate = equations.corrected_rate(lr, b1, b2) if isinstance(optimizer, Adam) else lr
    else:
        rate = rule.rate(lr, np.array([t]))
        rate = rate[0] if np.ndim(rate) else rate
    return rule.update(p, g, *state, rate, *rule.constants)


@pytest.mark.parametrize("name", FIRST_STEPS)
def test_first_step_equals_the_one_by_hand(name):
    optimizer, expected = FIRST_STEPS[name]
    state = [np.zeros(1) for _ in optimizer.rule(FLOAT64).state]
    result = take_step(optimizer, FLOAT64, np.array([1.0]), np.array([2.0]), state)
    np.testing.assert_allclose([float(part[0]) for part in result], expected, rtol=1e-15)


ALL_RULES = [
    SGD(0.1),
    SGD(0.1, momentum=0.9),
    SGD(0.1, momentum=0.9, nesterov=True),
    RMSprop(0.1),
    RMSprop(0.1, centered=True),
    RMSprop(0.1, momentum=0.9),
    RMSprop(0.1, momentum=0.9, centered=True),
    Adam(0.1),
    Adam(0.1, amsgrad=True),
]


@pytest.mark.parametrize("optimizer", ALL_RULES, ids=repr)
def test_rule_in_50_digits_is_what_float64_rounds(optimizer):
    rng = np.random.default_rng(0)
    p, state = np.zeros(6), [np.zeros(6) for _ in optimizer.rule(FLOAT64).state]
    exact_p = np.array([Decimal(0)] * 6, dtype=object)
    exact_state = [exact_p.copy() for _ in state]
    with localcontext() as context:
        context.prec = 50
        for t in range(1, 21):
            g = rng.normal(size=6)
            p, *state = take_step(optimizer, FLOAT64, p, g, state, t)
            exact_g = np.array([Decimal(x) for x in g], dtype=object)
            exact_p, *exact_state = take_step(optimizer, DECIMAL, exact_p, exact_g, exact_state, t)
    assert all(isinstance(x, Decimal) for x in exact_p)
    assert len(exact_p[0].as_tuple().digits) > 40
    np.testing.assert_allclose(p, exact_p.astype(float), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", [MeanSquaredError(), Huber(0.5)], ids=repr)
def test_losses_accept_decimals_and_columns(loss):
    e = np.array([[-2.0, 0.25], [0.5, 1.0]])
    exact = np.array([[Decimal(x) for x in row] for row in e], dtype=object)
    c = loss.constants(np.float64)
    np.testing.assert_array_equal(loss.value(exact, *loss.constants(Decimal)).astype(float), loss.value(e, *c))
    slopes = loss.slope(exact, Decimal("0.5"), *loss.constants(Decimal))
    np.testing.assert_array_equal(slopes.astype(float), loss.slope(e, 0.5, *c))
    for k in range(2):
        np.testing.assert_array_equal(loss.value(e, *c)[:, k], loss.value(e[:, k], *c))


@pytest.mark.parametrize("optimizer", ALL_RULES, ids=repr)
def test_rule_on_columns_equals_each_column_bit_for_bit(optimizer):
    rng = np.random.default_rng(1)
    p, g = rng.normal(size=(5, 3)).astype("f"), rng.normal(size=(5, 3)).astype("f")
    state = [rng.uniform(0.4, 0.5, size=(5, 3)).astype("f") for _ in optimizer.rule(FLOAT32).state]
    together = take_step(optimizer, FLOAT32, p, g, state)
    for k in range(3):
        alone = take_step(optimizer, FLOAT32, p[:, k], g[:, k], [s[:, k] for s in state])
        for whole, column in zip(together, alone, strict=True):
            np.testing.assert_array_equal(whole[:, k], column)


class Foreign(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of another library: it speaks NumPy's protocols and refuses to become a NumPy array."""

    def __init__(self, inner):
        self.inner = inner

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("fell back to NumPy")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        inputs = [x.inner if isinstance(x, Foreign) else x for x in inputs]
        return Foreign(getattr(ufunc, method)(*inputs, **kwargs))

    def __array_function__(self, func, types, args, kwargs):
        def unwrap(x):
            return x.inner if isinstance(x, Foreign) else x

        return Foreign(func(*map(unwrap, args), **{k: unwrap(v) for k, v in kwargs.items()}))


@pytest.mark.parametrize("optimizer", ALL_RULES, ids=repr)
def test_rule_stays_on_a_foreign_array(optimizer):
    g = np.array([0.5, -2.0, 0.0], np.float32)
    state = [np.full(3, 0.5, np.float32) for _ in optimizer.rule(FLOAT32).state]
    here = take_step(optimizer, FLOAT32, np.ones(3, np.float32), g, state)
    there = take_step(optimizer, FLOAT32, Foreign(np.ones(3, np.float32)), Foreign(g), [Foreign(s) for s in state])
    for ours, theirs in zip(here, there, strict=True):
        assert isinstance(theirs, Foreign)
        np.testing.assert_array_equal(ours, theirs.inner)


@pytest.mark.parametrize("loss", [MeanSquaredError(), Huber(0.5)], ids=repr)
def test_loss_stays_on_a_foreign_array(loss):
    e = np.array([0.25, -2.0, 0.5], np.float32)
    for function, extra in ((loss.value, ()), (loss.slope, (np.float32(0.5),))):
        there = function(Foreign(e), *extra, *loss.constants(np.float32))
        assert isinstance(there, Foreign)
        np.testing.assert_array_equal(there.inner, function(e, *extra, *loss.constants(np.float32)))


finite = st.floats(-1e3, 1e3, width=32)


@given(st.lists(finite, min_size=1, max_size=8), st.sampled_from(ALL_RULES))
def test_negated_gradients_negate_the_step_bit_for_bit(values, optimizer):
    g = np.array(values, np.float32)
    zero = np.zeros_like(g)
    state = [np.zeros_like(g) for _ in optimizer.rule(FLOAT32).state]
    there = take_step(optimizer, FLOAT32, zero, g, state)[0]
    back = take_step(optimizer, FLOAT32, zero, -g, state)[0]
    np.testing.assert_array_equal(there, -back)


@given(st.floats(0.0, 100.0, width=32), st.integers(-3, 3))
def test_scaling_the_gradient_by_a_power_of_two_changes_no_adaptive_step_without_epsilon(value, k):
    g = np.array([value, 1.0], np.float32) + np.float32(1)
    for optimizer in (RMSprop(0.1, epsilon=0.0), Adam(0.1, epsilon=0.0)):
        state = [np.zeros_like(g) for _ in optimizer.rule(FLOAT32).state]
        plain = take_step(optimizer, FLOAT32, 0 * g, g, state)[0]
        scaled = take_step(optimizer, FLOAT32, 0 * g, g * np.float32(4.0**k), state)[0]
        np.testing.assert_array_equal(plain, scaled)


def test_around_the_rule_equations_at_known_points():
    g = np.array([3.0, -4.0])
    assert equations.norm(g) == 5
    assert equations.clip_by_value(g, 3.5).tolist() == [3.0, -3.5]
    np.testing.assert_allclose(equations.clip_by_norm(g, 5.0, 1.0), [0.6, -0.8])
    assert equations.clip_by_norm(g, 5.0, 10.0).tolist() == [3.0, -4.0]
    np.testing.assert_allclose(equations.clip_by_global_norm(g, 5.0, 1.0), [0.6, -0.8])
    with np.errstate(invalid="ignore"):
        assert np.isnan(equations.clip_by_global_norm(g, np.float64(np.inf), 1.0)).all()
    assert equations.decayed(g, 0.5, 0.1).tolist() == [2.85, -3.8]
    assert equations.averaged(np.array([1.0]), np.array([3.0]), 0.75).tolist() == [1.5]
    assert equations.accumulated(g, g).tolist() == [6.0, -8.0]


@pytest.mark.parametrize(
    ("regularizer", "penalty", "slope"),
    [
        (L1(0.5), 2.0, [-0.5, 0.0, 0.5]),
        (L2(0.5), 5.0, [-1.0, 0.0, 3.0]),
        (L1L2(0.5, 0.5), 7.0, [-1.5, 0.0, 3.5]),
        (L1L2(), 0.0, [0.0, 0.0, 0.0]),
    ],
    ids=repr,
)
def test_penalties_at_known_points(regularizer, penalty, slope):
    w = np.array([-1.0, 0.0, 3.0])
    penalty_of, slope_of = regularizer.bind(np.float64)
    assert penalty_of(w) == penalty
    assert slope_of(w).tolist() == slope


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (schedules.ExponentialDecay(1.0, 2, 0.25), {0: 1.0, 1: 0.5, 2: 0.25}),
        (schedules.ExponentialDecay(1.0, 2, 0.25, staircase=True), {0: 1.0, 1: 1.0, 2: 0.25}),
        (schedules.InverseTimeDecay(1.0, 2, 1.0), {0: 1.0, 2: 0.5, 6: 0.25}),
        (schedules.PolynomialDecay(1.0, 4, 0.0), {0: 1.0, 1: 0.75, 4: 0.0, 9: 0.0}),
        (schedules.PolynomialDecay(1.0, 4, 0.0, cycle=True), {0: 1.0, 4: 0.0, 6: 0.25, 8: 0.0}),
        (schedules.PiecewiseConstantDecay([2, 4], [3.0, 2.0, 1.0]), {0: 3.0, 2: 3.0, 3: 2.0, 4: 2.0, 5: 1.0}),
        (schedules.CosineDecay(1.0, 4), {0: 1.0, 2: 0.5, 4: 0.0, 9: 0.0}),
        (schedules.CosineDecay(0.0, 4, warmup_target=1.0, warmup_steps=2), {0: 0.0, 1: 0.5, 2: 1.0, 4: 0.5, 6: 0.0}),
        (schedules.CosineDecayRestarts(1.0, 4, t_mul=1.0, m_mul=0.5), {0: 1.0, 2: 0.5, 4: 0.5, 6: 0.25}),
        (schedules.CosineDecayRestarts(1.0, 4, m_mul=0.5), {0: 1.0, 2: 0.5, 8: 0.25}),
    ],
    ids=repr,
)
def test_schedule_at_known_steps(schedule, expected):
    got = {step: schedule(step) for step in expected}
    assert got == pytest.approx(expected, abs=1e-15)


def test_power_is_the_c_librarys_and_overflows_to_inf():
    assert FLOAT64.power(0.9, np.array([7.0]))[0] == 0.9**7
    assert FLOAT32.power(np.float32(2), np.array([5000.0]))[0] == np.inf
    assert FLOAT64.power(0.0, np.array([0.0]))[0] == 1


def test_keras_float64_rounds_what_keras_rounds():
    assert KERAS_FLOAT64.cast(0.9) == 0.8999999761581421
    assert KERAS_FLOAT64.number(0.9) == 0.9
    assert FLOAT64.cast(0.9) == 0.9


def test_generators_of_one_seed_agree_and_of_a_legacy_state_follow_it():
    assert generator_from(7).random() == generator_from(np.int64(7)).random() != generator_from(8).random()
    legacy = [generator_from(np.random.RandomState(s)).random() for s in (3, 3, 4)]
    assert legacy[0] == legacy[1] != legacy[2]
    own = np.random.default_rng(0)
    assert generator_from(own) is own
    assert generator_from(None).random() != generator_from(None).random()
