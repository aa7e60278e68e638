"""Deliberately wrong twins: for each plausible mistake the test that must reject it.

A mutant is one function of linreg with a piece of its source replaced. An oracle is a test of the suite. Without the
mutant every oracle passes; with it, the oracle that is named beside it must fail. `docs/mutants.md` says what mutation
testing by machine (mutmut) adds to this list.
"""

import __future__

import inspect
import textwrap
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import test_checkpoints_of_rows
import test_equations
import test_keras_rules
import test_streaming
import test_sweep
import test_training

from linreg import (
    L1L2,
    SGD,
    Adam,
    Huber,
    MeanSquaredError,
    RMSprop,
    fitting,
    losses,
    regularizers,
    rules,
    stacks,
)
from linreg import batches as cutting
from linreg import schedules as rates
from linreg import steps as around
from linreg import training as loop
from linreg.data import blocks
from linreg.optimizers import _CorrectedRate
from linreg.precision import FLOAT32
from linreg.saving import checkpoints
from linreg.streaming import feeds, plans, runs


def code_of(function, old, new):
    """Return the code of `function` with `old` replaced by `new` wherever it stands in its source."""
    source = textwrap.dedent(inspect.getsource(function))
    assert old in source, f"{function.__qualname__} no longer says {old!r}: write this mutant anew"
    made = {}
    code = compile(source.replace(old, new), function.__name__, "exec", __future__.annotations.compiler_flag)
    exec(code, dict(function.__globals__), made)  # noqa: S102 (the source of linreg itself)
    twin = made[function.__name__]
    return getattr(twin, "__func__", twin).__code__


@contextmanager
def doing(function, code):
    """Let a function do something else, for everybody who has imported or bound it."""
    own = function.__code__
    function.__code__ = code
    try:
        yield
    finally:
        function.__code__ = own


def definition(name):
    return partial(test_equations.test_rule_equals_its_definition_as_sums_over_all_gradients, name)


def around_the_rule(kind, name):
    return partial(test_training.test_steps_around_the_rule_equal_those_written_out, kind, name)


def weighted(kind, reduction, shuffle=False):
    return partial(test_training.test_weighted_run_equals_the_textbook_loop, kind, reduction, shuffle)


def penalty_at_known_points():
    for mark in test_equations.test_penalties_at_known_points.pytestmark:
        for values in mark.args[1]:
            test_equations.test_penalties_at_known_points(*values)


def schedules_at_known_steps():
    for mark in test_equations.test_schedule_at_known_steps.pytestmark:
        for values in mark.args[1]:
            test_equations.test_schedule_at_known_steps(*values)


def goes_on():
    try:
        test_checkpoints_of_rows.test_a_run_goes_on_in_the_middle_of_an_epoch_as_if_it_had_not_stopped(12)
    except ValueError as refused:
        raise AssertionError("the rows there are others") from refused


MEAN, SUM, WEIGHTS = "sum_over_batch_size", "sum", "mean_with_sample_weight"
ORACLES = {
    **{f"definition of {name}": definition(name) for name in test_equations.BY_DEFINITION},
    "first step of adam": partial(test_equations.test_first_step_equals_the_one_by_hand, "adam"),
    "squared error": test_equations.test_squared_error_and_its_slope_at_known_points,
    "huber": test_equations.test_huber_and_its_slope_at_known_points,
    "huber is mse": test_training.test_huber_with_a_huge_delta_is_mse_at_half_the_rate_bit_for_bit,
    "reductions": test_equations.test_reductions_divide_by_rows_by_nothing_and_by_the_weights,
    "reductions without weights": test_training.test_reduction_without_weights_divides_by_the_rows_or_by_nothing,
    "penalties": penalty_at_known_points,
    "swept rates": partial(test_sweep.test_every_column_is_its_own_run_bit_for_bit_where_sums_are_exact,
                           {"learning_rate": [2.0**-3, 2.0**-4], "momentum": [0.5, 0.25]}, "mse"),
    "swept betas": partial(test_sweep.test_every_number_of_every_rule_and_loss_can_be_swept, Adam(0.05)),
    "penalised run": test_training.test_penalty_is_part_of_the_loss_and_shrinks_the_kernel_only,
    "schedules": schedules_at_known_steps,
    "around": test_equations.test_around_the_rule_equations_at_known_points,
    **{f"sgd with {name}": around_the_rule("sgd", name) for name in test_training.AROUND},
    **{f"adam with {name}": around_the_rule("adam", name) for name in ("weight_decay", "accumulation")},
    "fit with clipnorm": partial(test_training.test_fit_takes_the_steps_around_the_rule, "sgd", "clipnorm", True),
    "fit with ema": partial(test_training.test_fit_takes_the_steps_around_the_rule, "sgd", "ema", True),
    **{f"run of {size}": partial(test_training.test_run_equals_the_textbook_loop, size) for size in (7, 16)},
    "many batches": test_training.test_run_with_more_batches_than_views_are_kept_equals_the_textbook_loop,
    **{f"mse {reduction}": weighted("mse", reduction) for reduction in (MEAN, SUM, WEIGHTS)},
    "huber weighted": weighted("huber", MEAN),
    "shuffled": weighted("mse", MEAN, shuffle=True),
    "shuffled by weights": weighted("mse", WEIGHTS, shuffle=True),
    "orders": test_training.test_every_epoch_is_shuffled_anew_and_an_int_seed_repeats_it,
    "callable rate": test_training.test_a_callable_learning_rate_is_asked_once_for_every_step,
    "rates ahead": partial(test_training.test_rates_ahead_of_the_step_are_those_of_each_step, SGD, 5, 300),
    "new rate": test_training.test_a_learning_rate_set_in_mid_run_takes_effect_at_the_next_step,
    **{f"continued {name}": partial(test_training.test_warm_start_continues_bit_for_bit, name)
       for name in ("nesterov", "adam", "schedule", "scheduler", "ema")},
    "best weights": test_training.test_a_stopped_run_still_reaches_the_end_of_training_and_the_best_weights_come_back,
    "columns": test_training.test_columns_of_parameters_train_like_single_runs,
    "batch logs": test_training.test_batch_logs_hold_the_mean_loss_so_far_and_change_nothing,
    "windows": test_streaming.test_windows_carry_weights_and_growing_pools_lose_nothing,
    "order of blocks": test_streaming.test_blocks_are_shuffled_and_so_are_the_rows_of_those_that_are_together,
    "hooks": test_streaming.test_batch_hooks_see_the_batches_of_all_windows_counted_through,
    "goes on": goes_on,
    "budget": partial(test_streaming.test_rows_take_no_more_memory_than_they_may, True, 3_000_000),
}  # fmt: skip

V_TOWARDS = "v = moved_towards(v, g * g, one_minus_beta_2)"
PYTORCHS_ADAM = """
    from itertools import count
    t = count(1)
    def update(p, g, m, v, alpha, one_minus_beta_1, one_minus_beta_2, epsilon):
        epsilon = epsilon * (1 - self.beta_2 ** next(t)) ** 0.5
        return rules.adam(p, g, m, v, alpha, one_minus_beta_1, one_minus_beta_2, epsilon)
    return Rule(update, """
AMSGRAD_ON_CORRECTED_V = """
        from itertools import count
        t = count(1)
        def update(p, g, m, v, v_hat, alpha, one_minus_beta_1, one_minus_beta_2, epsilon):
            correction = 1 - self.beta_2 ** next(t)
            m = rules.moved_towards(m, g, one_minus_beta_1)
            v = rules.moved_towards(v, g * g, one_minus_beta_2)
            v_hat = rules.np.maximum(v_hat, v / correction)
            return p - m * alpha / (rules.np.sqrt(v_hat * correction) + epsilon), m, v, v_hat
        return Rule(update, """
AVERAGE_FIRST = """
        before = state.parameters
        inner(state, g, rate, lr)
        late = later if state.iterations // every else first
        state.average = rules.averaged(state.average, before, late)
        return
"""
DECAY, RULE = "state.parameters = rules.decayed(state.parameters, weight_decay, lr)", "inner(state, g, rate, lr)"

# What the mistake is: (where, its name, what it says, what the mutant says, the oracle that must reject it).
MUTANTS = {
    # Stochastic gradient descent.
    "sgd climbs": (rules.sgd, "p - g", "p + g", "definition of sgd"),
    "sgd ignores the rate": (rules.sgd, "g * lr", "g", "run of 16"),
    "velocity with the wrong sign": (rules.velocity, "- g * lr", "+ g * lr", "definition of momentum"),
    "rate outside the velocity, as in PyTorch": (
        rules.sgd_momentum,
        "m = velocity(m, g, lr, momentum)\n    return p + m, m",
        "m = m * momentum + g\n    return p - lr * m, m", "definition of momentum"),
    "dampening": (rules.velocity, "- g * lr", "- (1 - momentum) * g * lr", "definition of momentum"),
    "momentum on the wrong term": (rules.velocity, "m * momentum - g * lr", "m - g * lr * momentum",
                                   "definition of momentum"),
    "momentum with the old velocity": (rules.sgd_momentum, "m = velocity(m, g, lr, momentum)\n    return p + m, m",
                                       "return p + m, velocity(m, g, lr, momentum)", "definition of momentum"),
    "nesterov without looking ahead": (rules.sgd_nesterov, "p + velocity(m, g, lr, momentum)", "p + m",
                                       "definition of nesterov"),
    "nesterov with the old velocity": (
        rules.sgd_nesterov, "m = velocity(m, g, lr, momentum)\n    return p + velocity(m, g, lr, momentum), m",
        "return p + velocity(m, g, lr, momentum), velocity(m, g, lr, momentum)", "definition of nesterov"),
    "nesterov is forgotten": (SGD.rule, "if self.nesterov", "if False", "definition of nesterov"),
    "nesterov is always on": (SGD.rule, "if self.nesterov", "if True", "definition of momentum"),
    # RMSprop.
    "rho and 1 - rho swapped": (RMSprop.rule, "number(self.rho), number(1 - self.rho)",
                                "number(1 - self.rho), number(self.rho)", "definition of rmsprop"),
    "epsilon outside the root": (rules.rms_step, "np.sqrt(v + epsilon)", "(np.sqrt(v) + epsilon)",
                                 "definition of rmsprop"),
    "rmsprop without epsilon": (rules.rms_step, "v + epsilon", "v + 1e-30", "definition of rmsprop"),
    "rmsprop without the root": (rules.rms_step, "np.sqrt(v + epsilon)", "(v + epsilon)", "definition of rmsprop"),
    "rmsprop's epsilon is 1e-8": (RMSprop.rule, "number(self.epsilon)", "number(self.epsilon / 10)",
                                  "definition of rmsprop"),
    "mean of g instead of its square": (rules.rmsprop, "g * g", "np.abs(g)", "definition of rmsprop"),
    "rmsprop with the old mean square": (rules.rmsprop, "return p - rms_step(g, v,", "return p - rms_step(g, g * g,",
                                         "definition of rmsprop"),
    "centered forgets the square": (rules.rmsprop_centered, "v - a * a", "v - a", "definition of centered"),
    "centered adds": (rules.rmsprop_centered, "v - a * a", "v + a * a", "definition of centered"),
    "centered averages the square": (rules.rmsprop_centered, "a = moving_average(a, g,",
                                     "a = moving_average(a, g * g,", "definition of centered"),
    "centered is ignored with momentum": (rules.rmsprop_centered_momentum, "v - a * a", "v", "definition of both"),
    "rmsprop momentum without the new step": (
        rules.rmsprop_momentum, "m = momentum * m + rms_step(g, v, lr, epsilon)\n    return p - m, v, m",
        "old, m = m, momentum * m + rms_step(g, v, lr, epsilon)\n    return p - old, v, m",
        "definition of rmsprop_momentum"),
    "rmsprop's rate outside the velocity": (
        rules.rmsprop_momentum, "m = momentum * m + rms_step(g, v, lr, epsilon)\n    return p - m, v, m",
        "m = momentum * m + rms_step(g, v, 1, epsilon)\n    return p - lr * m, v, m", "definition of rmsprop_momentum"),
    "rmsprop's momentum is ignored": (RMSprop.rule, "self.momentum > 0", "self.momentum > 1",
                                      "definition of rmsprop_momentum"),
    # Adam.
    "epsilon inside the root": (rules.adam, "(np.sqrt(v) + epsilon)", "np.sqrt(v + epsilon)", "definition of adam"),
    "epsilon after the correction, as in PyTorch": (Adam.rule, "return Rule(rules.adam, ", PYTORCHS_ADAM,
                                                    "definition of adam"),
    "adam's epsilon is 1e-8": (Adam.rule, "number(self.epsilon)", "number(self.epsilon / 10)", "definition of adam"),
    "adam without epsilon": (rules.adam, "+ epsilon", "+ 1e-30", "definition of adam"),
    "betas swapped in the moments": (Adam.rule, "(number(1 - self.beta_1), number(1 - self.beta_2),",
                                     "(number(1 - self.beta_2), number(1 - self.beta_1),", "definition of adam"),
    "betas swapped in the correction": (_CorrectedRate.__call__, "power(self.beta_1, t), power(self.beta_2, t)",
                                        "power(self.beta_2, t), power(self.beta_1, t)", "definition of adam"),
    "t counts from 0": (_CorrectedRate.__call__, "steps(t)", "steps(t) - 1", "definition of adam"),
    "t is one too many": (_CorrectedRate.__call__, "steps(t)", "steps(t) + 1", "definition of adam"),
    "t stays 1": (around.Rates._look_ahead, "rate(lr, steps)", "rate(lr, 0 * steps + 1)", "definition of adam"),
    "m is not corrected": (rules.corrected_rate, " / (1 - beta_1_power)", "", "definition of adam"),
    "v is not corrected": (rules.corrected_rate, " * np.sqrt(1 - beta_2_power)", "", "definition of adam"),
    "the correction of v without its root": (rules.corrected_rate, "np.sqrt(1 - beta_2_power)", "(1 - beta_2_power)",
                                             "definition of adam"),
    "the corrections the wrong way up": (rules.corrected_rate,
                                         "np.sqrt(1 - beta_2_power) / (1 - beta_1_power)",
                                         "(1 - beta_1_power) / np.sqrt(1 - beta_2_power)", "first step of adam"),
    "adam without the root": (rules.adam, "np.sqrt(v)", "v", "definition of adam"),
    "adam climbs": (rules.adam, "p - m", "p + m", "definition of adam"),
    "adam's v from the mean": (rules.adam, V_TOWARDS, "v = moved_towards(v, m * m, one_minus_beta_2)",
                               "definition of adam"),
    "adam's step with g instead of m": (rules.adam, "p - m * alpha", "p - g * alpha", "definition of adam"),
    "amsgrad with the smallest v": (rules.adam_amsgrad, "np.maximum(v_hat, v)", "np.minimum(v_hat, v)",
                                    "definition of amsgrad"),
    "amsgrad never looks back": (rules.adam_amsgrad, "np.maximum(v_hat, v)", "v", "definition of amsgrad"),
    "amsgrad is ignored": (Adam.rule, "if self.amsgrad", "if False", "definition of amsgrad"),
    "amsgrad on the corrected v": (Adam.rule, "return Rule(rules.adam_amsgrad, ", AMSGRAD_ON_CORRECTED_V,
                                   "definition of amsgrad"),
    # Losses and reductions.
    "1/(2n) instead of 1/n": (MeanSquaredError.slope, "two_c * e", "two_c * e / 2", "run of 16"),
    "the loss itself is halved": (MeanSquaredError.value, "e * e", "e * e / 2", "run of 16"),
    "absolute instead of squared error": (losses.squared_error, "e * e", "np.abs(e)", "squared error"),
    "a sum where the mean is asked for": (losses.divisor, "return rows", "return 1", "reductions without weights"),
    "the mean where a sum is asked for": (losses.divisor, "return 1\n", "return rows\n", "reductions"),
    "the slope takes another reduction": (cutting.Batches.factor_of, "self._loss.reduction", "'sum'", "run of 16"),
    "the history takes another reduction": (cutting.Batches._batch_divisors, "self._loss.reduction", "'sum'",
                                            "run of 16"),
    "weights are ignored": (losses.row_factor, "one_row * sample_weight", "one_row + 0 * sample_weight",
                            f"mse {MEAN}"),
    "weights are ignored in the history": (cutting.Batches.losses, "self.weight is not None", "False", f"mse {SUM}"),
    "weights are normalised": (losses.divisor, 'reduction == "mean_with_sample_weight" and ', "", f"mse {MEAN}"),
    "weights are squared": (losses.row_factor, "one_row * sample_weight", "one_row * sample_weight**2",
                            f"mse {MEAN}"),
    "the weighted mean divides by rows": (losses.divisor, "return sample_weight.sum()", "return rows",
                                          f"mse {WEIGHTS}"),
    "weights that sum to nothing give nan": (losses.row_factor, "if divided_by != 0", "if True", f"mse {WEIGHTS}"),
    "huber's parabola without 1/2": (Huber.value, "e * e / 2", "e * e", "huber"),
    "huber's line without delta^2/2": (Huber.value, " - delta * delta / 2", "", "huber weighted"),
    "huber changes over at delta/2": (Huber.value, "a <= delta", "a <= delta / 2", "huber weighted"),
    "huber's slope does not end": (Huber.slope, "np.minimum(np.maximum(e, -delta), delta)", "e", "huber weighted"),
    "huber's slope ends on one side": (Huber.slope, "np.maximum(e, -delta)", "e", "huber weighted"),
    "huber's slope ends at 1": (Huber.slope, "-delta), delta", "-1), 1", "huber weighted"),
    "huber's slope is doubled": (Huber.slope, "c * np", "2 * c * np", "huber is mse"),
    "smooth L1, as in PyTorch": (Huber.slope, "c * np", "c / delta * np", "huber weighted"),
    # Penalties.
    "L2 slope without the 2": (regularizers.l2_slope, "(2 * w)", "w", "penalties"),
    "L2 of the norm, not its square": (regularizers.l2_penalty, "np.sum(w * w, axis=0)",
                                       "np.sqrt(np.sum(w * w, axis=0))", "penalties"),
    "L1 slope at 0 is 1": (regularizers.l1_slope, "np.sign(w)", "np.where(w < 0, -1, 1)", "penalties"),
    "L1 and L2 swapped": (L1L2.terms, "self.l1), (l2_penalty, l2_slope, self.l2)",
                          "self.l2), (l2_penalty, l2_slope, self.l1)", "penalties"),
    "a penalty over all models": (regularizers.l2_penalty, "axis=0", "axis=None", "columns"),
    "the bias is penalised": (loop.Run._chunk, "slice(0, self.problem.kernel_size)", "slice(None)", "penalised run"),
    "the penalty has no slope": (loop.Run._chunk, "g[kernel] += penalty[1](w)", "pass", "penalised run"),
    "the penalty is not in the loss": (loop.Run._chunk, "losses + penalties", "losses", f"mse {MEAN}"),
    "validation without the penalty": (loop.Run._validation_loss, "if self._penalty is None", "if True",
                                       f"mse {MEAN}"),
    # Schedules.
    "staircase rounds up": (rates.Decay.rates, "np.floor", "np.ceil", "schedules"),
    "staircase is ignored": (rates.Decay.rates, "if self.staircase", "if False", "schedules"),
    "decay counts steps, not periods": (rates.Decay.rates, " / precision.cast(self.decay_steps)", "", "schedules"),
    "inverse time without the 1": (rates.InverseTimeDecay.formula, "(1 + decay_rate * periods)",
                                   "(1e-9 + decay_rate * periods)", "schedules"),
    "polynomial goes on below its end": (rates.PolynomialDecay.rates, "np.minimum(step, decay_steps)", "step",
                                         "schedules"),
    "polynomial forgets its end": (rates.PolynomialDecay.rates, ", power) + end", ", power)", "schedules"),
    "polynomial starts too high": (rates.PolynomialDecay.rates, "(initial - end)", "initial", "schedules"),
    "piecewise excludes its boundary": (rates.PiecewiseConstantDecay.rates, '"left"', '"right"', "schedules"),
    "cosine without 1/2": (rates.cosine_decayed, "(1 + cosine(pi * fraction)) / 2", "(1 + cosine(pi * fraction))",
                           "schedules"),
    "a whole cosine wave": (rates.cosine_decayed, "pi * fraction", "2 * pi * fraction", "schedules"),
    "cosine falls to 0 whatever alpha": (rates.cosine_decayed, " + alpha", "", "schedules"),
    "warm-up is one step early": (rates.CosineDecay.rates, "(step / warmup_steps)", "((step + 1) / warmup_steps)",
                                  "schedules"),
    "decay begins with the warm-up": (rates.CosineDecay.rates, "decay(step - warmup_steps, target)",
                                      "decay(step, target)", "schedules"),
    "warm-up from zero": (rates.CosineDecay.rates, "(target - initial) * (step / warmup_steps) + initial",
                          "target * (step / warmup_steps)", "schedules"),
    "restarts of equal length": (rates.CosineDecayRestarts.rates, "self.t_mul == 1", "True", "schedules"),
    "restarts of equal height": (rates.CosineDecayRestarts.rates, "precision.power(m_mul, period)", "1 + 0 * period",
                                 "schedules"),
    "a schedule is one step ahead": (around.Rates._look_ahead, "np.arange(first, first + ahead)",
                                     "np.arange(first + 1, first + ahead + 1)", "sgd with nothing"),
    "a schedule sees updates, not batches": (around.Rates._look_ahead, "lr = rates_of(source, steps,",
                                             "lr = rates_of(source, steps // self._every,", "sgd with accumulation"),
    "adam's t sees batches, not updates": (around.Rates._look_ahead, "steps //= self._every", "pass",
                                           "adam with accumulation"),
    "a schedule is asked once": (around.Rates.pairs, "if varying else", "if False else", "rates ahead"),
    "rates computed ahead outlive the rate": (around.Rates.arrays, "source is not self._source or", "", "new rate"),
    "rates are looked up from the start of the epoch": (around.Rates.pairs, "first - self._first", "0",
                                                        "rates ahead"),
    # The steps around a rule.
    "clip below only": (rules.clip_by_value, "np.minimum(np.maximum(g, -clipvalue), clipvalue)",
                        "np.maximum(g, -clipvalue)", "sgd with clipvalue"),
    "clip above only": (rules.clip_by_value, "np.maximum(g, -clipvalue)", "g", "sgd with clipvalue"),
    "the norm without its root": (rules.norm, "np.sqrt(np.sum(g * g, axis=0))", "np.sum(g * g, axis=0)", "around"),
    "the largest element as norm": (rules.norm, "np.sqrt(np.sum(g * g, axis=0))", "np.max(np.abs(g), axis=0)",
                                    "sgd with global_clipnorm"),
    "a short gradient is lengthened": (rules.clip_by_norm, "np.maximum(g_norm, clipnorm)", "g_norm",
                                       "sgd with clipnorm"),
    "clipnorm over kernel and bias together": (around._clip_each, "(g[:kernel_size], g[kernel_size:])", "(g,)",
                                               "sgd with clipnorm"),
    "clipnorm counts the last coefficient to the bias": (
        around.bind_step, "_clip_each(limit, kernel_size)", "_clip_each(limit, kernel_size - 1)", "fit with clipnorm"),
    "global_clipnorm of each by itself": (
        around._clip_all, "rules.clip_by_global_norm(g, rules.norm(g), clipnorm, one_over_clipnorm)",
        "_clip_each(clipnorm, len(g) - 1)(g)", "sgd with global_clipnorm"),
    "an infinite gradient is clipped to 0": (rules.clip_by_global_norm, " + (g_norm - g_norm)", "", "around"),
    "the step is clipped, not the gradient": (
        around._with_clipping, "inner(state, clip(g), rate, lr)",
        "p = state.parameters; inner(state, g, rate, lr); state.parameters = p + clip(state.parameters - p)",
        "sgd with clipvalue"),
    "clipped before it is accumulated": (around._with_accumulation, "rules.accumulated(state.total, g)",
                                         "rules.accumulated(state.total, _clip_each(2.0, 3)(g))", "sgd with all"),
    "decay after the rule": (around._with_decay, f"{DECAY}\n        {RULE}", f"{RULE}\n        {DECAY}",
                             "sgd with weight_decay"),
    "decay ignores the rate": (rules.decayed, "p * weight_decay * lr", "p * weight_decay", "sgd with weight_decay"),
    "decay spares the bias": (
        around._with_decay, "rules.decayed(state.parameters, weight_decay, lr)",
        "np.append(rules.decayed(state.parameters[:-1], weight_decay, lr), state.parameters[-1])",
        "sgd with weight_decay"),
    "decay in the gradient, as in PyTorch's SGD": (
        around._with_decay, f"{DECAY}\n        {RULE}",
        "inner(state, g + weight_decay * state.parameters, rate, lr)", "adam with weight_decay"),
    "decay takes adam's rate": (around._with_decay, "weight_decay, lr)", "weight_decay, rate)",
                                "adam with weight_decay"),
    "the average's shares are swapped": (rules.averaged, "ema_momentum * average + (1 - ema_momentum) * p",
                                         "(1 - ema_momentum) * average + ema_momentum * p", "sgd with ema"),
    "the average starts at zero": (around._with_average, "later if updates else first", "later", "sgd with ema"),
    "the average moves at updates only": (
        around._with_average, "state.average = rules",
        "if (state.iterations + 1) % every == 0: state.average = rules", "sgd with accumulation_ema"),
    "the average before the step": (around._with_average, "inner(state, g, rate, lr)\n", AVERAGE_FIRST,
                                    "sgd with ema"),
    "overwriting one step late": (around._with_average, "(updates + 1) % overwrite", "updates % overwrite",
                                  "sgd with ema_overwriting"),
    "overwriting never": (around._with_average, "if overwrite and", "if False and", "sgd with ema_overwriting"),
    "the average is not the model": (loop.Run._finish, "if self.state.average is None", "if True", "fit with ema"),
    "accumulation takes the sum": (around._with_accumulation, "rules.mean_gradient(state.total, every)", "state.total",
                                   "sgd with accumulation"),
    "accumulation takes the last gradient": (around._with_accumulation, "rules.mean_gradient(state.total, every)", "g",
                                             "sgd with accumulation"),
    "accumulation is not reset": (around._with_accumulation, "state.total = np.zeros_like(g)", "pass",
                                  "sgd with accumulation"),
    "an update one batch late": (around._with_accumulation, "(state.iterations + 1)", "state.iterations",
                                 "sgd with accumulation"),
    "an update at every batch": (around._with_accumulation, "if (state.iterations + 1) % every == 0", "if True",
                                 "sgd with accumulation"),
    # The loop.
    "the slope has the wrong sign": (loop.Run._chunk, "subtract(error, target, error)",
                                     "subtract(target, error, error)", "run of 16"),
    "the last batch is dropped": (loop.Run._part, "len(batches)", "(len(batches) - 1)", "run of 7"),
    "the last batch is divided by the full size": (
        cutting.Batches._cut, "end - start", "self._problem.batch_size", "run of 16"),
    "the last batch counts in full": (
        loop.Run._part, "batches.rows[first:last]", "batches.rows[0] + 0 * batches.rows[first:last]", "run of 16"),
    "the history is the last batch's": (loop.Run._part, "at.loss_sum)", "0.0)", "batch logs"),
    "the history is not weighted by rows": (
        loop.Run._part, "batches.rows[first:last]", "0 * batches.rows[first:last] + len(batches.error) / len(batches)",
        "run of 16"),
    "validation is not weighted by rows": (
        cutting.Batches.added_to, "self.rows[first:last]",
        "0 * self.rows[first:last] + len(self.target) / len(self)", f"mse {MEAN}"),
    "the loss after the step": (
        loop.Run._chunk, "step(state, g, rate, lr)",
        "step(state, g, rate, lr); predict(state.parameters, error); subtract(error, target, error)", "run of 16"),
    "the gradient of the batch before": (
        loop.Run._chunk, "step(state, g, rate, lr)",
        "step(state, vars(self).get('late', 0 * g), rate, lr); self.late = g.copy()", "run of 16"),
    "batches are counted from 1": (loop.Run._chunk, "pairs(state.learning_rate, state.iterations,",
                                   "pairs(state.learning_rate, state.iterations + 1,", "callable rate"),
    "K models share the numbers of the first": (stacks.stacked, "len(set(listed)) == 1", "True", "swept rates"),
    "K models share the betas of the first": (stacks._rates_side_by_side, "len(columns) == 1", "True", "swept betas"),
    "batches write over each other's errors": (
        cutting.Batches._cut, "start % self._kept_rows", "0", "swept rates"),
    "chunks overlap": (loop.Run._part, "losses = self._chunk(first, last)",
                       "losses = self._chunk(first, last); first and self._chunk(first, first + 1)", "many batches"),
    "one order for all epochs": (cutting.Batches.reorder, "generator.permutation(len(self.target))",
                                 "np.random.default_rng(0).permutation(len(self.target))", "orders"),
    "never shuffled": (cutting.Batches.reorder, "generator.permutation(len(self.target))",
                       "np.arange(len(self.target))", "shuffled"),
    "always shuffled": (cutting.Batches.__init__, "self._shuffle = shuffle", "self._shuffle = True", "run of 16"),
    "rows are drawn with replacement": (
        cutting.Batches.reorder, "generator.permutation(len(self.target))",
        "generator.integers(len(self.target), size=len(self.target))", "orders"),
    "weights stay when rows move": (cutting.Batches.reorder, "self._problem.weight[order]", "self._problem.weight",
                                    "shuffled"),
    "targets stay when rows move": (cutting.Batches.reorder, "gather(self._problem.target, moved",
                                    "gather(self._problem.target, np.sort(order)", "shuffled"),
    "rows stay when targets move": (cutting.Batches.reorder, "gather(self._problem.matrix, moved",
                                    "gather(self._problem.matrix, np.sort(order)", "shuffled"),
    "factors of the epoch before": (cutting.Batches.reorder, "self._laid_out = False", "pass", "shuffled"),
    "divisors of the epoch before": (cutting.Batches.reorder, "self._divisors = None", "pass",
                                     "shuffled by weights"),
    "a warm start forgets the moments": (
        fitting.train, "going_on else start(model, problem, settings)",
        "going_on else start(model, problem, settings); state.slots = [0 * slot for slot in state.slots]",
        "continued adam"),
    "a warm start forgets the step": (
        fitting.train, "going_on else start(model, problem, settings)",
        "going_on else start(model, problem, settings); state.iterations = 0", "continued schedule"),
    "a warm start forgets the epoch": (loop.Run.train, "end = self.state.epoch + epochs",
                                       "self.state.epoch, end = 0, epochs", "continued scheduler"),
    "a warm start shuffles as at first": (
        fitting.train, "going_on else start(model, problem, settings)",
        "going_on else start(model, problem, settings); state.generator = generator_from(model.random_state)",
        "continued nesterov"),
    "a warm start goes on from the average": (
        loop.Run._finish, "self.state.fitted =", "self.state.parameters = self.state.fitted =", "continued ema"),
    "a stop loses the end of training": (
        loop.Run.train, "ended = self.stop_training", "ended = self.stop_training and self.callbacks.callbacks.clear()",
        "best weights"),
    "restored weights are not the model": (loop.Run.set_weights, "self.state.parameters = self.state.fitted =",
                                           "self.state.parameters =", "best weights"),
    # Rows that come window by window.
    "rows that fill no window are lost": (blocks.windows, "pool.begin_with(left)", "None", "windows"),
    "rows that fill no window come twice": (blocks.windows, "left = pool.take(order[last:])",
                                            "left = pool.take(order[last - 1:])", "windows"),
    "blocks are taken in their order": (blocks.windows, "generator.permutation(count).tolist()", "range(count)",
                                        "order of blocks"),
    "rows are not shuffled within blocks": (blocks.windows, "generator.permutation(len(pool))",
                                            "np.arange(len(pool))", "order of blocks"),
    "pools forget weights": (blocks.Pool.take, "None if self._weight is None else self._weight.take(chosen)", "None",
                             "windows"),
    "pools forget weights when they grow": (blocks.Pool._put, "1.0 if block.weight is None else block.weight", "1.0",
                                            "windows"),
    "the loss of an epoch is that of its last window": (
        loop.Run._part, "at.rows - (int(batches.ends[at.batch - 1]) if at.batch else 0)", "0", "hooks"),
    "every window counts its batches from 0": (
        runs.Streamed._parts, "at.window, at.batch = number, 0", "at.window, at.batch, at.batches = number, 0, 0",
        "hooks"),
    "a run that goes on draws another order": (checkpoints.Checkpoint.keep, "state.generator = at.generator", "pass",
                                               "goes on"),
    "a run that goes on begins its window anew": (runs.Streamed._parts, "if number > at.window:", "if True:",
                                                  "goes on"),
    "streamed rows are never shuffled": (feeds.RowFeed.blocks, "generator if self.shuffle else None", "None",
                                         "order of blocks"),
    "rows take twice their memory": (plans.plan, "left = memory - needs.reading", "left = 2 * memory - needs.reading",
                                     "budget"),
}  # fmt: skip


# Mistakes in the last bit only, which nothing but Keras itself can tell, and the rule in test_keras_rules that does.
MUTANTS_OF_THE_LAST_BIT = {
    "adam's moments as rho a + (1 - rho) x": (rules.moved_towards, "a + (x - a) * one_minus_beta",
                                              "a * (1 - one_minus_beta) + x * one_minus_beta", "adam"),
    "rmsprop's mean as a + (1 - rho) (x - a)": (rules.moving_average, "rho * a + one_minus_rho * x",
                                                "a + (x - a) * one_minus_rho", "rmsprop"),
    "1 - rho taken in float32": (RMSprop.rule, "number(1 - self.rho)", "number(1) - number(self.rho)", "rmsprop"),
    "1 - beta_2 taken in float32": (Adam.rule, "number(1 - self.beta_2)", "number(1) - number(self.beta_2)", "adam"),
    "rmsprop divides before it multiplies": (rules.rms_step, "lr * g / np.sqrt(v + epsilon)",
                                             "lr * (g / np.sqrt(v + epsilon))", "rmsprop"),
    "adam divides before it multiplies": (rules.adam, "m * alpha / (np.sqrt(v) + epsilon)",
                                          "alpha * (m / (np.sqrt(v) + epsilon))", "adam"),
    "alpha divided first": (rules.corrected_rate, "lr * np.sqrt(1 - beta_2_power) / (1 - beta_1_power)",
                            "lr * (np.sqrt(1 - beta_2_power) / (1 - beta_1_power))", "adam"),
    "nesterov in one formula": (rules.sgd_nesterov, "velocity(m, g, lr, momentum), m",
                                "m * momentum - g * lr + 0 * p, m", "sgd_nesterov"),
    "beta^t by repeated products in float32": (
        _CorrectedRate.__call__, "power(self.beta_2, t)",
        "rules.np.full(int(t.max()), self.beta_2).cumprod()[t.astype(int) - 1]", "adam"),
}  # fmt: skip


def test_every_oracle_rejects_a_mutant():
    assert {oracle for *_, oracle in MUTANTS.values()} == set(ORACLES)


@pytest.mark.parametrize("oracle", ORACLES)
def test_oracle_accepts_linreg_as_it_is(oracle):
    ORACLES[oracle]()


@pytest.mark.parametrize("mutant", MUTANTS)
def test_oracle_rejects_the_mutant_and_accepts_the_source_that_it_was_made_from(mutant):
    function, old, new, oracle = MUTANTS[mutant]
    same, wrong = code_of(function, old, old), code_of(function, old, new)
    with doing(function, same):
        ORACLES[oracle]()
    with doing(function, wrong), np.errstate(all="ignore"), pytest.raises(AssertionError):
        ORACLES[oracle]()


@pytest.mark.parametrize("mutant", MUTANTS_OF_THE_LAST_BIT)
def test_keras_rejects_the_mutant_in_the_last_bit(keras, mutant):
    function, old, new, rule = MUTANTS_OF_THE_LAST_BIT[mutant]
    grads = test_keras_rules.gradients(60, test_keras_rules.SIZE, np.float32, seed=4)
    run = partial(test_keras_rules.assert_same_run, keras, test_keras_rules.RULES[rule], FLOAT32, grads)
    same, wrong = code_of(function, old, old), code_of(function, old, new)
    with doing(function, same):
        run()
    with doing(function, wrong), pytest.raises(AssertionError, match=r"differ, the worst by"):
        run()
