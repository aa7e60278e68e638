"""The equations by themselves: known values, 50-digit decimals, many models at once, arrays that are not NumPy's."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ulp import assert_equal_bits

from linreg import L1, L1L2, L2, SGD, Adam, Huber, MeanSquaredError, RMSprop, schedules
from linreg import rules as equations
from linreg.decimals import EXACT
from linreg.losses import divisor, huber, huber_slope, row_factor, squared_error, squared_error_slope
from linreg.precision import FLOAT32, FLOAT64, KERAS_FLOAT64
from linreg.seeds import generator_from
from linreg.steps import Rates, State, bind_step


def test_squared_error_and_its_slope_at_known_points():
    e = np.array([-3.0, 0.0, 0.5])
    assert squared_error(e).tolist() == [9.0, 0.0, 0.25]
    assert squared_error_slope(e, MeanSquaredError.slope_factor * 0.5).tolist() == [-3.0, 0.0, 0.5]


def test_huber_and_its_slope_at_known_points():
    e = np.array([-3.0, -1.0, 0.5, 2.0])
    assert huber(e, 1.0).tolist() == [2.5, 0.5, 0.125, 1.5]
    assert huber_slope(e, 2.0, 1.0).tolist() == [-2.0, -2.0, 1.0, 2.0]
    assert huber(e, 0.5).tolist() == [1.375, 0.375, 0.125, 0.875]
    assert huber_slope(e, 2.0, 0.5).tolist() == [-1.0, -1.0, 1.0, 1.0]
    assert huber(e, 2.0).tolist() == [4.0, 0.5, 0.125, 2.0]
    assert huber_slope(e, 2.0, 2.0).tolist() == [-4.0, -2.0, 1.0, 4.0]


def test_reductions_divide_by_rows_by_nothing_and_by_the_weights():
    weights = np.array([1.0, 3.0])
    assert divisor("sum_over_batch_size", 2, weights) == 2
    assert divisor("sum", 2, weights) == 1
    assert divisor("mean_with_sample_weight", 2, weights) == 4
    assert divisor("mean_with_sample_weight", 2) == 2
    np.testing.assert_array_equal(row_factor(np.float64, 4, weights), [0.25, 0.75])
    np.testing.assert_array_equal(row_factor(np.float64, 0, np.array([1.0, -1.0])), [0.0, 0.0])
    assert row_factor(np.float64, 4) == 0.25


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
    (rate,) = rule.rate(schedules.rates_of(optimizer.learning_rate, [t - 1], precision), np.array([t]))
    return rule.update(p, g, *state, rate, *rule.constants)


@pytest.mark.parametrize("name", FIRST_STEPS)
def test_first_step_equals_the_one_by_hand(name):
    optimizer, expected = FIRST_STEPS[name]
    state = [np.zeros(1) for _ in optimizer.rule(FLOAT64).state]
    result = take_step(optimizer, FLOAT64, np.array([1.0]), np.array([2.0]), state)
    np.testing.assert_allclose([float(part[0]) for part in result], expected, rtol=1e-15)


# Every default, as Keras documents it.
AROUND = {
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "gradient_accumulation_steps": None,
}
RMSPROP = {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False}
ADAM = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False}
DEFAULTS = {
    SGD: {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False, **AROUND},
    RMSprop: {**RMSPROP, **AROUND},
    Adam: {**ADAM, **AROUND},
    MeanSquaredError: {"reduction": "sum_over_batch_size"},
    Huber: {"delta": 1.0, "reduction": "sum_over_batch_size"},
    L1: {"l1": 0.01},
    L2: {"l2": 0.01},
    L1L2: {"l1": 0.0, "l2": 0.0},
}


@pytest.mark.parametrize("kind", DEFAULTS)
def test_defaults_are_those_of_keras(kind):
    assert kind().get_params() == DEFAULTS[kind]


# Which numbers a hyper-parameter may be, in the words of the error; other arguments that are needed beside it.
SHARE, POSITIVE, ANY = "at least 0 and at most 1", "above 0", "at least 0"
AROUND_BOUNDS = dict.fromkeys(("learning_rate", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm"), ANY)
BOUNDS = [
    *((SGD, {}, name, bound) for name, bound in {**AROUND_BOUNDS, "momentum": SHARE}.items()),
    (SGD, {"use_ema": True}, "ema_momentum", SHARE),
    (RMSprop, {}, "rho", SHARE),
    (RMSprop, {}, "momentum", ANY),
    (RMSprop, {}, "epsilon", ANY),
    (Adam, {}, "learning_rate", ANY),
    (Adam, {}, "beta_1", SHARE),
    (Adam, {}, "beta_2", SHARE),
    (Adam, {}, "epsilon", ANY),
    (Huber, {}, "delta", POSITIVE),
    (L1, {}, "l1", ANY),
    (L2, {}, "l2", ANY),
    (L1L2, {}, "l1", ANY),
    (L1L2, {}, "l2", ANY),
]
DECAY = {"initial_learning_rate": 0.1, "decay_steps": 5}
RESTARTS = {"initial_learning_rate": 0.1, "first_decay_steps": 5}
for kind, others in {
    schedules.ExponentialDecay: {**DECAY, "decay_rate": 0.5},
    schedules.InverseTimeDecay: {**DECAY, "decay_rate": 0.5},
    schedules.PolynomialDecay: {**DECAY, "end_learning_rate": 0.01, "power": 2.0},
    schedules.CosineDecay: {**DECAY, "alpha": 0.1, "warmup_target": 0.2},
    schedules.CosineDecayRestarts: {**RESTARTS, "m_mul": 0.5, "alpha": 0.1},
}.items():
    BOUNDS += [(kind, others, name, POSITIVE if "steps" in name else ANY) for name in others]
BOUNDS.append((schedules.CosineDecayRestarts, RESTARTS, "t_mul", "at least 1"))


@pytest.mark.parametrize(
    ("kind", "others", "name", "bound"), BOUNDS, ids=[f"{kind.__name__}-{name}" for kind, _, name, _ in BOUNDS]
)
def test_a_number_is_refused_exactly_where_it_makes_no_sense(kind, others, name, bound):
    low = 1.0 if bound.startswith("at least 1") else 0.0
    outside = [np.nan, np.inf, low - 0.001, *([1.001] if bound == SHARE else []), *([0.0] if bound == POSITIVE else [])]
    for value in outside:
        with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole message is compared)
            kind(**{**others, name: value})
        assert str(error.value) == f"{kind.__name__}: {name} must be a finite number {bound}, got {value!r}."
    inside = [0.5 + low / 2, *([low] if bound != POSITIVE else []), *([2.0] if bound != SHARE else [])]
    for value in [*inside, *([1.0] if bound == SHARE and not name.startswith("beta") else [])]:
        assert getattr(kind(**{**others, name: value}), name) == value


REFUSED = {
    "no_correction_1": (
        Adam,
        {"beta_1": 1},
        "Adam: beta_1 must be below 1, got 1: the bias correction 1 - beta_1^t would be 0.",
    ),
    "no_correction_2": (
        Adam,
        {"beta_2": 1},
        "Adam: beta_2 must be below 1, got 1: the bias correction 1 - beta_2^t would be 0.",
    ),
    "clips": (
        SGD,
        {"clipnorm": 1, "global_clipnorm": 2},
        "SGD: only one of clipnorm, clipvalue, global_clipnorm can be set, got {'clipnorm': 1, 'global_clipnorm': 2}.",
    ),
    "accumulation": (
        SGD,
        {"gradient_accumulation_steps": 1},
        "SGD: gradient_accumulation_steps must be an integer of at least 2, got 1.",
    ),
    "overwriting": (
        SGD,
        {"use_ema": True, "ema_overwrite_frequency": 0},
        "SGD: ema_overwrite_frequency must be an integer of at least 1, got 0.",
    ),
    "reduction": (
        Huber,
        {"reduction": "mean"},
        "Huber: unknown reduction 'mean'. Known: mean_with_sample_weight, sum, sum_over_batch_size.",
    ),
    "reduction_mistyped": (
        MeanSquaredError,
        {"reduction": "sums"},
        (
            "MeanSquaredError: unknown reduction 'sums'; did you mean 'sum'? "
            "Known: mean_with_sample_weight, sum, sum_over_batch_size."
        ),
    ),
    "pieces": (
        schedules.PiecewiseConstantDecay,
        {"boundaries": [1, 2], "values": [0.5, 0.25]},
        "PiecewiseConstantDecay: needs one more value than boundaries, got 2 boundaries and 2 values.",
    ),
    "pieces_falling": (
        schedules.PiecewiseConstantDecay,
        {"boundaries": [2, 2], "values": [0.5, 0.25, 0.125]},
        "PiecewiseConstantDecay: boundaries must increase, got (2, 2).",
    ),
    "pieces_negative": (
        schedules.PiecewiseConstantDecay,
        {"boundaries": [2], "values": [0.5, -0.25]},
        "PiecewiseConstantDecay: values must be a finite number at least 0, got -0.25.",
    ),
    "pieces_before_0": (
        schedules.PiecewiseConstantDecay,
        {"boundaries": [-1], "values": [0.5, 0.25]},
        "PiecewiseConstantDecay: boundaries must be a finite number at least 0, got -1.",
    ),
    "warm_up": (
        schedules.CosineDecay,
        {**DECAY, "warmup_steps": -1},
        "CosineDecay: warmup_steps must be an integer of at least 0, got -1.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_together_is_refused_in_words(name):
    kind, settings, message = REFUSED[name]
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole message is compared)
        kind(**settings)
    assert str(error.value) == message


FLAGS = {
    "use_ema": (SGD, {}),
    "nesterov": (SGD, {}),
    "centered": (RMSprop, {}),
    "amsgrad": (Adam, {}),
    "staircase": (schedules.ExponentialDecay, {**DECAY, "decay_rate": 0.5}),
    "cycle": (schedules.PolynomialDecay, DECAY),
}


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_is_true_or_false_and_nothing_else(name):
    kind, others = FLAGS[name]
    with pytest.raises(TypeError) as error:
        kind(**others, **{name: 1})
    assert str(error.value) == f"{kind.__name__}: {name} must be True or False, got 1."
    assert [getattr(kind(**others, **{name: flag}), name) for flag in (True, False)] == [True, False]


def test_the_edges_of_what_fits_together_are_accepted():
    assert SGD(gradient_accumulation_steps=2, use_ema=True, ema_overwrite_frequency=1).ema_overwrite_frequency == 1
    assert SGD(ema_momentum=2.0, ema_overwrite_frequency=0).use_ema is False  # not read, so not checked, as in Keras
    no_warm_up = schedules.CosineDecay(0.5, 4, warmup_target=2.0, warmup_steps=0)
    assert (no_warm_up(0), no_warm_up(2)) == (2.0, pytest.approx(1.0))
    pieces = schedules.PiecewiseConstantDecay([2, 3], [0.5, 0.25, 0.125])
    assert (pieces.boundaries, pieces.values) == ((2, 3), (0.5, 0.25, 0.125))


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
            exact_p, *exact_state = take_step(optimizer, EXACT, exact_p, exact_g, exact_state, t)
    assert all(isinstance(x, Decimal) for x in exact_p)
    assert len(exact_p[0].as_tuple().digits) > 40
    np.testing.assert_allclose(p, exact_p.astype(float), rtol=1e-12, atol=1e-14)


LETTERS = {
    "sgd": (),
    "momentum": ("m",),
    "nesterov": ("m",),
    "rmsprop": ("v",),
    "centered": ("v", "a"),
    "rmsprop_momentum": ("v", "m"),
    "both": ("v", "a", "m"),
    "adam": ("m", "v"),
    "amsgrad": ("m", "v", "v_hat"),
}


@pytest.mark.parametrize("name", LETTERS)
def test_the_state_before_the_first_step_is_zero_and_has_the_papers_letters(name):
    optimizer = FIRST_STEPS[name][0].set_params(use_ema=True, gradient_accumulation_steps=2)
    p = np.ones((3, 2), np.float32)
    state = State.start(p, optimizer, FLOAT32, np.random.default_rng(0))
    assert state.letters == LETTERS[name]
    for array in (*state.slots, state.total, state.average):
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, np.zeros((3, 2)))
    assert len(state.slots) == len(state.letters)
    assert state.parameters is p
    bare = State.start(p, FIRST_STEPS[name][0], FLOAT32, np.random.default_rng(0))
    assert bare.total is bare.average is None


def discounted_sums(x, share):
    """For each t the sum over i <= t of share^(t - i) x_i, term by term."""
    return np.array([sum(share ** (t - i) * x[i] for i in range(t + 1)) for t in range(len(x))])


def steps_by_definition(optimizer, lr, g):
    """Every step of a rule from all gradients so far, without a state: sums instead of recursions."""
    if isinstance(optimizer, SGD):
        m = -discounted_sums(lr * g, optimizer.momentum)
        return optimizer.momentum * m - lr * g if optimizer.nesterov else m
    if isinstance(optimizer, RMSprop):
        mean_square, mean = ((1 - optimizer.rho) * discounted_sums(x, optimizer.rho) for x in (g * g, g))
        variance = mean_square - mean**2 if optimizer.centered else mean_square
        return discounted_sums(-lr * g / np.sqrt(variance + optimizer.epsilon), optimizer.momentum)
    # The bias correction of a moment is what makes it a weighted mean. Epsilon is the paper's epsilon hat.
    weights_1, weights_2 = (discounted_sums(np.ones_like(lr), beta) for beta in (optimizer.beta_1, optimizer.beta_2))
    m_hat = discounted_sums(g, optimizer.beta_1) / weights_1
    sums = discounted_sums(g * g, optimizer.beta_2)
    v_hat = (np.maximum.accumulate(sums) if optimizer.amsgrad else sums) / weights_2
    return -lr * m_hat / (np.sqrt(v_hat) + optimizer.epsilon / np.sqrt((1 - optimizer.beta_2) * weights_2))


BY_DEFINITION = {
    "sgd": SGD(),
    "momentum": SGD(momentum=0.9),
    "nesterov": SGD(momentum=0.9, nesterov=True),
    "rmsprop": RMSprop(),
    "centered": RMSprop(centered=True),
    "rmsprop_momentum": RMSprop(momentum=0.8),
    "both": RMSprop(momentum=0.8, centered=True),
    "adam": Adam(),
    "amsgrad": Adam(amsgrad=True),
}


@pytest.mark.parametrize("name", BY_DEFINITION)
def test_rule_equals_its_definition_as_sums_over_all_gradients(name):
    # Parameters from 0, gradients of 1e-8 to 1e2 that shrink, a rate that changes: all that hides a misplaced epsilon,
    # a maximum, or a rate outside the velocity.
    steps, rng = 30, np.random.default_rng(0)
    g = 10.0 ** np.linspace(-8, 2, 21) * rng.normal(size=(steps, 21)) * 0.9 ** np.arange(steps)[:, np.newaxis]
    lr = 0.1 / (1 + np.arange(steps)[:, np.newaxis] % 7)
    optimizer = BY_DEFINITION[name].set_params(learning_rate=lambda step: lr[step, 0])
    state = State.start(np.zeros(21), optimizer, FLOAT64, rng)
    step, rates = bind_step(optimizer, FLOAT64, 20), Rates(optimizer, FLOAT64)
    taken = steps_by_definition(optimizer, lr, g)
    # A dozen roundings a step and term, and 1 - beta_2^t loses 1 / (1 - beta_2) of them.
    tolerance = (12 * steps + 1 / (1 - getattr(optimizer, "beta_2", 0.0))) * np.finfo(float).eps
    for t in range(steps):
        ((rate, used),) = rates.pairs(optimizer.learning_rate, t, 1)
        step(state, g[t], rate, used)
        state.iterations += 1
        far = np.abs(state.parameters - taken[: t + 1].sum(0))
        assert np.all(far <= tolerance * np.abs(taken[: t + 1]).sum(0)), f"{name}, step {t + 1}"
    assert np.all(state.parameters != 0)


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
    assert equations.norm(np.array([[3.0, 5.0], [4.0, 12.0]])).tolist() == [5.0, 13.0]
    np.testing.assert_allclose(equations.clip_by_norm(g, 5.0, 2.5), [1.5, -2.0])
    np.testing.assert_allclose(equations.clip_by_global_norm(g, 5.0, 1.0, 1 / 1.0), [0.6, -0.8])
    np.testing.assert_allclose(equations.clip_by_global_norm(g, 5.0, 2.5, 1 / 2.5), [1.5, -2.0])
    np.testing.assert_allclose(equations.clip_by_global_norm(g, 5.0, 10.0, 1 / 10.0), [3.0, -4.0])
    np.testing.assert_allclose(equations.clip_by_global_norm(g, 5.0, 5.5, 1 / 5.5), [3.0, -4.0])
    with np.errstate(invalid="ignore"):
        assert np.isnan(equations.clip_by_global_norm(g, np.float64(np.inf), 1.0, 1 / 1.0)).all()
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
        (L1L2(1.0, 0.5), 9.0, [-2.0, 0.0, 4.0]),
        (L1L2(0.5, 1.0), 12.0, [-2.5, 0.0, 6.5]),
    ],
    ids=repr,
)
def test_penalties_at_known_points(regularizer, penalty, slope):
    w = np.array([-1.0, 0.0, 3.0])
    penalty_of, slope_of = regularizer.bind(np.float64)
    assert penalty_of(w) == penalty
    assert slope_of(w).tolist() == slope
    assert penalty_of(np.column_stack([w, 0 * w])).tolist() == [penalty, 0.0]


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
        (schedules.ExponentialDecay(2.0, 2, 0.25), {0: 2.0, 1: 1.0, 4: 0.125}),
        (schedules.InverseTimeDecay(1.0, 2, 1.0, staircase=True), {0: 1.0, 1: 1.0, 2: 0.5, 3: 0.5, 6: 0.25}),
        (schedules.InverseTimeDecay(2.0, 2, 3.0), {0: 2.0, 2: 0.5}),
        (schedules.PolynomialDecay(1.25, 4, 0.25, power=2.0), {0: 1.25, 1: 0.8125, 2: 0.5, 4: 0.25, 9: 0.25}),
        (schedules.PolynomialDecay(1.25, 4, 0.25, cycle=True), {0: 1.25, 1: 1.0, 4: 0.25, 5: 0.625, 8: 0.25, 9: 0.5}),
        (schedules.CosineDecay(2.0, 4, alpha=0.25), {0: 2.0, 2: 1.25, 4: 0.5, 9: 0.5}),
        (
            schedules.CosineDecay(0.5, 4, alpha=0.25, warmup_target=2.0, warmup_steps=3),
            {0: 0.5, 1: 1.0, 2: 1.5, 3: 2.0, 5: 1.25, 7: 0.5, 9: 0.5},
        ),
        (
            schedules.CosineDecayRestarts(2.0, 4, t_mul=1.0, m_mul=0.5, alpha=0.25),
            {0: 2.0, 2: 1.25, 4: 1.25, 6: 0.875, 8: 0.875, 10: 0.6875},
        ),
        (  # periods of 4, 12 and 36 steps, the second from step 4, the third from step 16
            schedules.CosineDecayRestarts(2.0, 4, t_mul=3.0, m_mul=0.5, alpha=0.25),
            {0: 2.0, 2: 1.25, 10: 0.875, 34: 0.6875},
        ),
        (  # periods of 6, 12 and 24 steps; thirds and sixths of them, where the cosine is -1/2 or 1/2
            schedules.CosineDecayRestarts(1.0, 6, m_mul=0.5),
            {4: 0.25, 10: 0.375, 14: 0.125, 26: 0.1875, 34: 0.0625},
        ),
    ],
    ids=repr,
)
def test_schedule_at_known_steps(schedule, expected):
    got = {step: schedule(step) for step in expected}
    assert got == pytest.approx(expected, abs=1e-15)


def test_rates_of_a_float64_keras_model_are_those_of_a_float32_schedule():
    steps = np.arange(9)
    got = schedules.rates_of(schedules.InverseTimeDecay(0.1, 3, 0.7), steps, KERAS_FLOAT64)
    f = np.float32
    assert got.dtype == np.float64
    assert got.tolist() == [float(f(0.1) / (f(1) + f(0.7) * (f(step) / f(3)))) for step in steps]
    assert got[0] != 0.1


def test_a_callable_that_gives_no_rate_is_named_with_its_step():
    def falling(step):
        return 0.5 - step

    message = f"learning_rate={falling!r}: the rate of step 1 must be a finite number at least 0, got -0.5."
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole message is compared)
        schedules.rates_of(falling, np.arange(3), FLOAT32)
    assert str(error.value) == message


def test_many_powers_at_once_are_those_of_the_c_library_rounded_once():
    """Taken in a row, where a product of two powers would be off in its last bit a few times."""
    rng = np.random.default_rng(5)
    bases = np.concatenate([[0.0, 0.5, 0.9, 0.999], 1 - 10.0 ** rng.uniform(-6, -0.1, 12)]).astype(np.float32)
    steps = np.arange(3, 20_000)
    expected = [[np.float32(math.pow(base, t)) for t in steps.tolist()] for base in bases.tolist()]
    for base, powers in zip(bases, expected, strict=True):
        assert_equal_bits(FLOAT32.power(base, steps), np.array(powers, np.float32), what=base)
    assert_equal_bits(FLOAT32.power(bases, steps[:, np.newaxis]), np.array(expected, np.float32).T, what="many bases")


@pytest.mark.parametrize(("beta_1", "beta_2"), [(0.9, 0.999), (0.0, 0.5), (0.99, 0.9)])
@pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=["float32", "float64"])
def test_the_rate_of_adam_is_its_formula_also_where_the_powers_vanish(precision, beta_1, beta_2):
    number, lr = precision.dtype, precision.number(0.01)
    rate = Adam(beta_1=beta_1, beta_2=beta_2).rule(precision).rate
    first, second = (float(precision.cast(beta)) for beta in (beta_1, beta_2))
    # Where 1 - beta^t becomes 1, in both arithmetics and for every beta here: the last of these steps is past all.
    for start in (1, 20, 50, 140, 330, 1_600, 3_500, 17_200, 36_600, 100_000):
        t = np.arange(start, start + 200)
        powers = [(number(first ** int(k)), number(second ** int(k))) for k in t]
        expected = [lr * np.sqrt(1 - two) / (1 - one) for one, two in powers]
        assert_equal_bits(rate(np.full(200, lr), t), np.array(expected, number))
        assert rate(lr, start) == expected[0]  # one step, as a number


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


def test_the_rate_of_a_single_step_is_an_array_of_one():
    for schedule in (schedules.ExponentialDecay(0.1, 10, 0.5), schedules.PolynomialDecay(0.1, 10)):
        for precision in (FLOAT32, FLOAT64, KERAS_FLOAT64):
            assert schedules.rates_of(schedule, np.array([3]), precision).shape == (1,)


def test_the_logarithm_of_a_restart_is_the_nearest_number():
    # Keras' period is floor(log(...) / log(t_mul)): one that is 1 ULP off falls to the other side.
    x = np.linspace(1.01, 300, 2000, dtype=np.float32)
    ours = schedules.logarithm(x, FLOAT32)
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours, np.array([math.log(float(value)) for value in x], np.float32))
    assert (np.log(x) != ours).any()  # NumPy's own is not
