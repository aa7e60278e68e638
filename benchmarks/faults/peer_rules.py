"""Published heuristics for the debugging of training runs, re-stated with their thresholds.

They were made for deep networks, mostly classifiers. Left out is what cannot fire on one linear layer: rules about
activations, dead units, softmax, accuracy, or the ratio of the gradients of two layers.

Left out altogether: DeepFD (Cao et al., ICSE 2022), which is learned from runs of networks and has no thresholds to
re-state; TheDeepChecker (Ben Braiek and Khomh, TOSEM 2023), most of whose checks train on one batch of its own instead
of watching the run as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps

import numpy as np

from benchmarks.faults.cases import Case
from benchmarks.faults.objective import Array
from benchmarks.faults.peer_runs import Answer, Trace, normalised, raised, rate, watched, with_rate
from linreg import Adam

Rule = Callable[[Case, Trace], Answer]


def in_keras(rule: Rule) -> Callable[[Case], Answer]:
    """Return the peer whose rule sees a run in Keras; where Keras raises, so does the peer."""

    @wraps(rule)
    def peer(case: Case) -> Answer:
        try:
            trace = watched(case)
        except TypeError as error:
            return raised(error)
        with np.errstate(all="ignore"):
            return rule(case, trace)

    return peer


def _outside(trace: Trace) -> bool:
    """Whether an input is below -1 or above 1, as a minimum and a maximum say it: not where one is nan."""
    return bool(trace.X.min() < -1 or trace.X.max() > 1)


# Three thresholds that everybody knows.


@in_keras
def inputs(case: Case, trace: Trace) -> Answer:
    """|x| > 1: an input outside [-1, 1] is not normalised; scale it to that range.

    Source: UMLAUT (see there) and DeepDiagnosis both use these bounds.
    """
    if not _outside(trace):
        return Answer(False)
    return Answer(True, ("feature_scale",), normalised(case), words="inputs exceed [-1, 1]")


@in_keras
def high_rate(case: Case, trace: Trace) -> Answer:  # noqa: ARG001
    """lr > 0.01: the rate is too high; take 0.01. Source: the upper bound of UMLAUT (see there)."""
    if rate(case) <= 0.01:
        return Answer(False)
    return Answer(True, ("learning_rate_too_high",), with_rate(case, 0.01), words="learning rate above 0.01")


@in_keras
def large_loss(case: Case, trace: Trace) -> Answer:
    """loss > 1000 after any epoch, or no number: it explodes, so the rate is too high.

    Often said, but none of the papers here has this number (AUTOTRAINER's bound is 1e5).
    """
    if (trace.loss <= 1000).all():
        return Answer(False)
    return Answer(True, ("learning_rate_too_high",), with_rate(case, rate(case) / 10), words="loss above 1000")


@in_keras
def any_of_three(case: Case, trace: Trace) -> Answer:
    """|x| > 1, lr > 0.01, loss > 1000: an alarm if any of them is one; the advice on inputs and rate is followed."""
    said = [answer for rule in (inputs, high_rate, large_loss) if (answer := rule(case)).alarm]
    advice = normalised(case) if _outside(trace) else case
    advice = with_rate(advice, 0.01) if rate(case) > 0.01 else advice
    causes = tuple(dict.fromkeys(cause for answer in said for cause in answer.causes))
    return Answer(bool(said), causes, advice if advice is not case else None)


# UMLAUT.


@in_keras
def umlaut(case: Case, trace: Trace) -> Answer:
    """UMLAUT: inputs outside [-1, 1], nan, a rate above 0.01 or below 1e-7, a validation loss that rises alone.

    E. Schoop, F. Huang, B. Hartmann, "UMLAUT: Debugging Deep Learning Programs using Program Structure and Model
    Behavior", CHI 2021; thresholds from its code, umlaut/heuristics.py of github.com/BerkeleyHCI/umlaut, in its order.
    A nan in the loss is reported where the input holds a nan. Its advice: normalise to [-1, 1], and a rate of 0.001.
    Left out: softmax, activations between layers, image shapes, accuracy, and the type of the input, which Keras has
    made a float before the check sees it.
    """
    causes, advice, used = [], case, rate(case)
    if _outside(trace):
        causes.append("feature_scale")
        advice = normalised(advice)
    if np.isnan(trace.loss).any() and np.isnan(trace.X).any():
        causes.append("missing_values")
    if used > 0.01 or used < 1e-7:
        causes.append("learning_rate_too_high" if used > 0.01 else "learning_rate_too_low")
        advice = with_rate(advice, 0.001)
    if len(trace.val_loss) and ((np.diff(trace.val_loss) > 0) & (np.diff(trace.loss) <= 0)).any():
        causes.append("overfitting")
    return Answer(bool(causes), tuple(causes), advice if advice is not case else None)


# AUTOTRAINER.

CHECK_EVERY = 3
"""Epochs between two checks of AUTOTRAINER (`checktype="epoch_3"`)."""


def _explodes(trace: Trace) -> bool:
    """AUTOTRAINER's rule for an explosion that needs no accuracy, at any of its checks."""
    judged = trace.val_loss if len(trace.val_loss) else trace.loss
    checked = slice(0, None, CHECK_EVERY)
    numbers = np.column_stack([trace.loss, judged, trace.weights[trace.batches :: trace.batches]])
    lost = np.logical_or.accumulate(~np.isfinite(numbers).all(axis=1))
    return bool((lost | (judged >= 1e5))[checked].any())


def _clipped(case: Case) -> Case | None:
    """Return the run with its gradient clipped to [-10, 10], None if it is clipped already."""
    optimizer = case.settings["optimizer"]
    if optimizer.clipvalue is not None or optimizer.clipnorm is not None:
        return None
    clipping = replace(optimizer, clipvalue=10.0, global_clipnorm=None)
    return replace(case, settings={**case.settings, "optimizer": clipping})


@in_keras
def autotrainer(case: Case, trace: Trace) -> Answer:
    """AUTOTRAINER: no finite loss or weights, or a validation loss of 1e5 or more: the gradient explodes.

    X. Zhang, J. Zhai, S. Ma, C. Shen, "AUTOTRAINER: An Automatic DNN Training Problem Detection and Repair System",
    ICSE 2021; rules from its code, AutoTrainer/utils/monitor.py, utils.py and repair.py of
    github.com/shiningrain/AUTOTRAINER, with the defaults of `default_param`. Of its five problems this is all that a
    regression can show: a gradient that vanishes or explodes otherwise (ratio of the first layer's to the last's, below
    1e-3 or above 70; for one layer it is 1), a dying ReLU, oscillation and slow convergence (of the accuracy) need
    several layers or an accuracy. Of its repairs of an explosion only the clipped gradient (`clipvalue` 10) leaves the
    model linear.
    """
    if not _explodes(trace):
        return Answer(False)
    return Answer(True, ("learning_rate_too_high",), _clipped(case), words="explode")


@in_keras
def autotrainer_on_loss(case: Case, trace: Trace) -> Answer:
    """AUTOTRAINER with the accuracy read as 1 - loss / first loss: a translation of ours, so that its rules can speak.

    From 30 % of the epochs on, at every third: accuracy never above 0.7 or never a gain of 0.01 from one epoch to the
    next, of which the latter is "slow convergence"; else "oscillating", where pairs of a local maximum and a local
    minimum that are 0.03 or more apart are as many as 0.2 of the epochs. Explosion as in AUTOTRAINER. Repairs:
    Adam with its defaults for oscillation (where it is Adam already, a tenth of the rate); ten times the rate for slow
    convergence (the other repair is an optimizer drawn at random).
    """
    if _explodes(trace):
        return autotrainer(case)
    accuracy = 1 - trace.loss / trace.loss[0]
    epochs = len(accuracy)
    for epoch in range(0, epochs, CHECK_EVERY):
        if epoch + 1 < 0.3 * epochs:
            continue
        seen = accuracy[: epoch + 1]
        if np.diff(seen, prepend=seen[0]).max() < 0.01:
            advice = with_rate(case, 10 * rate(case))
            return Answer(True, ("learning_rate_too_low",), advice, words="slow convergence")
        if seen.max() >= 0.7 and _swings(seen) >= 0.2 * len(seen):
            adam = isinstance(case.settings["optimizer"], Adam)
            default = replace(case, settings={**case.settings, "optimizer": Adam()})
            advice = with_rate(case, rate(case) / 10) if adam else default
            return Answer(True, ("learning_rate_too_high",), advice, words="oscillating")
    return Answer(False)


def _swings(accuracy: Array) -> int:
    """Return how many pairs of a local maximum and minimum (in turn, not strict) are 0.03 or more apart."""
    before, here, after = accuracy[:-2], accuracy[1:-1], accuracy[2:]
    highs, lows = here[(here >= before) & (here >= after)], here[(here <= before) & (here <= after)]
    many = min(len(highs), len(lows))
    return int((highs[:many] - lows[:many] >= 0.03).sum())


# DeepLocalize and DeepDiagnosis.

UNCHANGED = 5
"""Consecutive values that must not all be the same."""


def _gradients(case: Case, X: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """Return the gradient of the loss of a batch in the outputs and, with the penalty, in the kernel."""
    loss, penalty = case.settings["loss"], case.settings.get("kernel_regularizer")
    features = X.shape[1]
    error = X @ weights[:features] + (weights[features] if len(weights) > features else 0) - y
    delta = getattr(loss, "delta", None)
    slope = 2 * error if delta is None else np.clip(error, -delta, delta)
    slope = slope / (1 if loss.reduction == "sum" else len(y))
    kernel = weights[:features]
    shrinking = getattr(penalty, "l1", 0) * np.sign(kernel) + 2 * getattr(penalty, "l2", 0) * kernel
    return slope, (slope @ X + shrinking).astype(X.dtype)


def _unchanged(values: Array) -> bool:
    """Whether one of the consecutive fives holds the same number five times."""
    fives = values[: len(values) // UNCHANGED * UNCHANGED].reshape(-1, UNCHANGED)
    return bool((fives == fives[:, :1]).all(axis=1).any())


@in_keras
def deeplocalize(case: Case, trace: Trace) -> Answer:
    """DeepLocalize: after every batch, means that are no number, zero half of the time, or the same five times.

    M. Wardat, W. Le, H. Rajan, "DeepLocalize: Fault Localization for Deep Neural Networks", ICSE 2021; as in the
    callback `DeepLocalize` that callback/callbacks.py of github.com/DeepDiagnosis/ICSE2022 carries. The means are those
    of the outputs, the kernel, its gradient and the outputs' gradient on the batch (its rows unshuffled, as the
    callback takes them), and the loss. It names the layer and the direction, which of one layer says no cause.
    """
    series: dict[str, list[float]] = {name: [] for name in ("output", "weights", "gradient", "output gradient")}
    for step, weights in enumerate(trace.weights[1:]):
        rows, features = trace.batch(step), trace.X.shape[1]
        X, y = trace.X[rows], trace.y[rows]
        slope, gradient = _gradients(case, X, y, weights)
        outputs = X @ weights[:features] + (weights[features] if len(weights) > features else 0)
        for name, values in zip(series, (outputs, weights[:features], gradient, slope), strict=True):
            series[name].append(values.mean())
    for name, listed in {**series, "loss": trace.batch_loss}.items():
        values = np.array(listed)
        zero = values == 0
        half = name != "loss" and (zero & (zero.cumsum() >= np.arange(1, len(zero) + 1) / 2)).any()
        if not np.isfinite(values).all() or half or _unchanged(values):
            return Answer(True, words=f"Error in {name}")
    return Answer(False)


@in_keras
def deepdiagnosis(case: Case, trace: Trace) -> Answer:
    """DeepDiagnosis: after every epoch, the first symptom of its list, and what it says to do about that.

    M. Wardat, B. Dantas Cruz, W. Le, H. Rajan, "DeepDiagnosis: Automatically Diagnosing Faults and Recommending
    Actionable Fixes in Deep Learning Programs", ICSE 2022; thresholds and order from callback/callbacks.py
    (`mapFaluireToFix`) of github.com/DeepDiagnosis/ICSE2022, on the first batch of rows. Symptoms: outputs after the
    first epoch that span more than ten times what y spans; a mean of outputs, kernel or gradient that is zero or no
    number; a mean gradient below 1e-7; loss, mean gradient or mean kernel the same five times. What it says: an input
    outside [-1, 1] is to be normalised, else a step above 0.1 or below 1e-5 of the kernel is the learning rate's, else
    it is the optimizer or the activation, which is none of the causes here. It gives no number for the rate. Left out:
    activations, accuracy, and "poor weights", whose variance its code takes of a single number and never finds.
    """
    first, features, used = trace.batch(0), trace.X.shape[1], rate(case)
    X, y = trace.X[first], trace.y[first]
    kernels, slopes = [], []
    for epoch, weights in enumerate(trace.weights[trace.batches :: trace.batches]):
        kernel, (_, gradient) = weights[:features], _gradients(case, X, y, weights)
        outputs = X @ kernel + (weights[features] if len(weights) > features else 0)
        step = float(used * np.linalg.norm(gradient) / np.linalg.norm(kernel))
        kernels.append(kernel.mean())
        slopes.append(gradient.mean())
        fifth = (epoch + 1) % UNCHANGED == 0
        if epoch == 0 and np.ptp(outputs) > 10 * np.ptp(trace.y):
            return Answer(True, words="out of range")
        if _no_number(outputs.mean()):
            return _blamed(case, trace, step, "numerical error forward")
        if not np.isfinite(trace.loss[epoch]):
            return Answer(True, words="invalid loss")
        if fifth and _unchanged(trace.loss[epoch + 1 - UNCHANGED : epoch + 1]):
            return _blamed(case, trace, step, "loss not decreasing")
        if _no_number(slopes[-1]):
            return Answer(True, words="numerical error in the gradient")
        if np.abs(gradient).mean() < 1e-7:
            return _blamed(case, None, step, "vanishing gradient")
        if _no_number(kernels[-1]):
            return _blamed(case, trace, step, "numerical error in the weights")
        if fifth and (_unchanged(np.array(slopes[-UNCHANGED:])) or _unchanged(np.array(kernels[-UNCHANGED:]))):
            return _blamed(case, None, step, "unchanged tensor")
    return Answer(False)


def _blamed(case: Case, trace: Trace | None, step: float, words: str) -> Answer:
    """Return what DeepDiagnosis blames a symptom on: the inputs (where it looks at them), the rate, or neither."""
    if trace is not None and _outside(trace):
        return Answer(True, ("feature_scale",), normalised(case), words=words)
    high, low = step > 0.1, step < 1e-5
    causes = ("learning_rate_too_high",) if high else ("learning_rate_too_low",) if low else ()
    return Answer(True, causes, words=words)


def _no_number(value: float) -> bool:
    return bool(value == 0 or not np.isfinite(value))


# NeuraLint.


def neuralint(case: Case) -> Answer:
    """NeuraLint: a kernel that starts constant, a bias that does not start at zero. It names neither data nor rate.

    A. Nikanjam, H. Ben Braiek, M. M. Morovati, F. Khomh, "Automatic Fault Detection for Deep Learning Programs Using
    Graph Transformations", TOSEM 2021; of its 23 rules (`check*.gpr` of github.com/neuralint/neuralint) only
    checkConstantInit and checkNonZeroBiases can be broken by one dense layer that is linked and compiled right. The
    first is meant for units that must become different, which one unit need not. It reads the program and runs nothing.
    """
    start = case.settings.get("kernel_initializer", "glorot_uniform")
    constant = start == "zeros" if isinstance(start, str) else len(set(np.ravel(start).tolist())) <= 1
    bias = case.settings.get("bias_initializer", "zeros")
    return Answer(bool(constant or (not isinstance(bias, str) and bias != 0)), words="initialisation")
