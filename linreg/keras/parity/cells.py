"""One cell of the table: a rule in a mode, how far Keras came out from linreg, and the input that shows it first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.keras.parity.cases import Example, examples
from linreg.keras.parity.modes import MODES, keras_run
from linreg.keras.parity.ours import our_run, rounding_bound
from linreg.precision import FLOAT32

Array = Any
Run = Callable[[Example, str, str], Array]

REWRITTEN = "RMSprop"
"""Rules whose name begins so divide by a root, which TensorFlow's graph optimizer makes a product with `rsqrt`."""


def ulps(a: Array, b: Array) -> Array:
    """Return how many representable numbers lie between two, element by element; nan equals nan.

    Parameters
    ----------
    a, b : array of float32, or both of float64
        The numbers.

    Returns
    -------
    array of uint64
        Units in the last place.
    """
    unsigned = np.uint32 if a.dtype == np.float32 else np.uint64
    sign = unsigned(1) << unsigned(8 * a.itemsize - 1)

    def place(x: Array) -> Array:
        """Return their places in the order of all numbers, with both zeros in the middle."""
        bits = x.view(unsigned)
        return np.where(bits & sign, sign - (bits & ~sign), sign + bits).astype(np.uint64)

    x, y = place(a), place(b)
    return np.where(np.isnan(a) & np.isnan(b), 0, np.maximum(x, y) - np.minimum(x, y))


def share_of(ours: Any, theirs: Any, bound: Any) -> float | None:
    """Return the largest share of a bound that differences take; None where a difference is allowed none at all.

    Parameters
    ----------
    ours, theirs : array
        The numbers; nan equals nan.
    bound : array of the same shape
        How far they may lie apart.

    Returns
    -------
    float or None
        The share, to three digits.
    """
    ours, theirs, bound = (np.asarray(x, np.float64) for x in (ours, theirs, bound))
    differs = ~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.abs(ours - theirs)[differs] / bound[differs]
    worst = float(np.max(shares, initial=0))
    return digits(worst) if np.isfinite(worst) else None


def worst_share(shares: Iterable[float | None]) -> float | None:
    """Return the largest of several shares; None stands for one that is infinite."""
    known = list(shares)
    return None if None in known else max(known, default=0.0)  # type: ignore[type-var]


def digits(x: float) -> float:
    """Return a number with the three digits that are worth telling."""
    return float(f"{x:.3g}")


def shown(x: Any) -> float | str:
    """Return a number as JSON can hold it."""
    return float(x) if np.isfinite(x) else str(x)


def allowed(rule: str, mode: str, device: str) -> int | None:
    """Return how many ULP a cell may show if `--max-ulp` does not say: 0, or None, where only the bound holds.

    Parameters
    ----------
    rule : str
        Name of the rule.
    mode : {"eager", "graph", "XLA"}
        How Keras ran.
    device : {"CPU", "GPU"}
        Where.

    Returns
    -------
    int or None
        On a CPU 0 run eagerly, and as a graph too, but for RMSprop.
    """
    exact = device == "CPU" and (mode == "eager" or (mode == "graph" and not rule.startswith(REWRITTEN)))
    return 0 if exact else None


@dataclass(frozen=True, eq=False)
class Reference:
    """Our runs of a rule, with which all modes are compared.

    Parameters
    ----------
    rule : str
        Name of the rule.
    examples : list of Example
        What was run.
    ours, rates, bounds : list of array
        For each example what `our_run` and `rounding_bound` return.
    """

    rule: str
    examples: list[Example]
    ours: list[Array]
    rates: list[Array]
    bounds: list[Array]

    @classmethod
    def of(cls, rule: str, count: int, seed: int) -> Reference:
        """Run a rule's examples.

        Parameters
        ----------
        rule : str
            Name of the rule.
        count : int
            How many examples.
        seed : int
            Decides them.

        Returns
        -------
        Reference
            The runs.
        """
        drawn = examples(rule, count, seed)
        runs = [our_run(example) for example in drawn]
        bounds = [rounding_bound(example, rates) for example, (_, rates) in zip(drawn, runs, strict=True)]
        return cls(rule, drawn, [after for after, _ in runs], [rates for _, rates in runs], bounds)


def cell(
    reference: Reference, mode: str, device: str, onednn: str | None, max_ulp: int | None, run: Run = keras_run
) -> dict[str, Any]:
    """Compare Keras in one mode with linreg.

    Parameters
    ----------
    reference : Reference
        The runs of linreg.
    mode : {"eager", "graph", "XLA"}
        How Keras runs.
    device : {"CPU", "GPU"}
        Where.
    onednn : {"on", "off"} or None
        What TensorFlow was told.
    max_ulp : int or None
        What is allowed; None stands for `allowed`.
    run : callable
        Runs an example in a mode on a device.

    Returns
    -------
    dict
        The cell, as JSON can hold it. `worst_ulp` is taken over all examples, steps, parameters and state arrays, and
        `by_step` at each step; `share` is that of the bound, None if it is infinite; `differing` the share of numbers
        that differ; `first` the first step that differs and its input, None if there is none.
    """
    theirs = [run(example, mode, device) for example in reference.examples]
    distances = [ulps(a, b) for a, b in zip(reference.ours, theirs, strict=True)]
    share = worst_share(share_of(*three) for three in zip(reference.ours, theirs, reference.bounds, strict=True))
    by_step = np.max([distance.max(axis=(1, 2)) for distance in distances], axis=0)
    worst, limit = int(by_step.max()), allowed(reference.rule, mode, device) if max_ulp is None else max_ulp
    within = share is not None and share <= 1 if limit is None else worst <= limit
    return {
        "rule": reference.rule,
        "mode": mode,
        "device": device,
        "onednn": onednn,
        "ok": within,
        "allowed_ulp": limit,
        "worst_ulp": worst,
        "share": share,
        "differing": digits(float(np.mean([distance > 0 for distance in distances]))),
        "by_step": [int(at) for at in by_step],
        "first": _first(reference, theirs, distances),
    }


def _first(reference: Reference, theirs: list[Array], distances: list[Array]) -> dict[str, Any] | None:
    """Return the earliest step that differs in any example, and all that goes into the number that differs most."""
    steps = [int(np.argmax(d.any(axis=(1, 2)))) if d.any() else len(d) for d in distances]
    i = int(np.argmin(steps))
    step, example = steps[i], reference.examples[i]
    if step == len(distances[i]):
        return None
    # An array that goes into the others comes after them: what differs there explains what differs in them.
    block = int(np.flatnonzero(distances[i][step].any(axis=1))[-1])
    j = int(np.argmax(distances[i][step, block]))
    letters = ("p", *example.optimizer.rule(FLOAT32).state)
    before = np.zeros(len(letters)) if step == 0 else reference.ours[i][step - 1, :, j]
    return {
        "step": step + 1,
        "example": i,
        "optimizer": repr(example.optimizer),
        "element": j,
        "gradient": float(example.gradients[step, j]),
        "rate": float(reference.rates[i][step]),
        "before": {letter: float(number) for letter, number in zip(letters, before, strict=True)},
        "array": letters[block],
        "ours": shown(reference.ours[i][step, block, j]),
        "keras": shown(theirs[i][step, block, j]),
        "ulp": int(distances[i][step, block, j]),
    }


def cells(
    rules: list[str], devices: list[str], onednn: str | None, *, count: int, seed: int, max_ulp: int | None
) -> Iterator[dict[str, Any]]:
    """Compare rules in every mode on every device.

    Parameters
    ----------
    rules : list of str
        Their names.
    devices : list of str
        Of "CPU" and "GPU".
    onednn : {"on", "off"} or None
        What TensorFlow was told.
    count : int
        Examples a rule.
    seed : int
        Decides them.
    max_ulp : int or None
        What is allowed.

    Yields
    ------
    dict
        One cell after the other.
    """
    for rule in rules:
        reference = Reference.of(rule, count, seed)
        for device in devices:
            for mode in MODES:
                yield cell(reference, mode, device, onednn, max_ulp)
