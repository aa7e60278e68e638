"""What is not reached, and why, in words and tables: from the profiles of one run (`benchmarks.hot_loop.profiles`)."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.hot_loop import profiles, regimes
from benchmarks.hot_loop.peers import BARE_CALLS, FUSED, NUMBA, NUMPY, READ, SCAN, XLA
from benchmarks.hot_loop.record import ratios
from benchmarks.hot_loop.table import Case
from benchmarks.hot_loop.whole import TWO_PASSES

Loops = dict[str, Any]
HEADS = ("case", "part or loop", "us a step", "least", "largest")


def table(document: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return every profile, part by part, as `HEADS` heads them.

    Parameters
    ----------
    document : dict
        One run.

    Returns
    -------
    list of tuple of str
        The rows.
    """
    return [
        (entry["what"], name, *(f"{us:.3g}" for us in (loop["us"], min(loop["rounds"]), max(loop["rounds"]))))
        for entry in document.get("profiles", [])
        for name, loop in entry["loops"].items()
    ]


def words(document: dict[str, Any]) -> list[str]:
    """Return a paragraph about each profile.

    Parameters
    ----------
    document : dict
        One run.

    Returns
    -------
    list of str
        Paragraphs; none without profiles.
    """
    known = {entry["what"]: entry["loops"] for entry in document.get("profiles", [])}
    about: dict[str, Callable[[Loops], str]] = {
        _what(profiles.LONG): _numpy_reads_twice,
        _what(profiles.SHORT[0]): _rates_are_exact,
        _what(profiles.SHORT[1]): _formulas_are_rounded,
        _what(profiles.FULL): _cores_wait,
    }
    found = [tell(known[what]) for what, tell in about.items() if known.get(what)]
    widths = {width: _what(profiles.long_case(width)) for width in profiles.WIDTHS}
    long = {width: loops for width, what in widths.items() if (loops := known.get(what))}
    found += [_own_loops(long)] if long else []
    rest = {what: loops for what, loops in known.items() if loops and what not in {*about, *widths.values()}}
    missed = _missed(document)
    return found + [_parts(what, loops, missed.get(what, [])) for what, loops in rest.items()]


def _missed(document: dict[str, Any]) -> dict[str, list[tuple[str, float, float]]]:
    """Return, by what a profile is of, beside which loops less than asked was measured, and both ratios."""
    loops = {Case(**entry["case"]): entry["loops"] for entry in document["cases"]}
    missed: dict[str, list[tuple[str, float, float]]] = {}
    for row in regimes.rows(document):
        for case, ours, peer in row.missed:
            what = _what(case) + (", in NumPy" if ours == NUMPY else "")
            missed.setdefault(what, []).append((peer, row.asked, median(ratios(loops[case], peer, ours))))
    return missed


def _what(case: Case) -> str:
    return f"a step of {case.name}"


def _us(loops: Loops, name: str) -> float:
    return float(loops[name]["us"])


def _numpy_reads_twice(loops: Loops) -> str:
    first, both, without_ones, blocks, whole, read = (
        _us(loops, name)
        for name in (profiles.FIRST, profiles.BOTH, profiles.WITHOUT_ONES, profiles.IN_BLOCKS, NUMPY, READ)
    )
    return (
        "**The NumPy engine beside one read of X.** A step is two products with its batch, and no call of NumPy makes "
        f"both in one pass. The products take {both:.3g} us, {both / whole:.0%} of the step's {whole:.3g}: the first, "
        f"which fetches the batch, {first:.3g}, the second the rest; one read takes {read:.3g}: the step reaches "
        f"{read / whole:.0%} of it. In blocks "
        f"of 256 rows, which a core's cache holds until the second product, both take {blocks:.3g}. The engine "
        "keeps one product a batch: blocks would add up a gradient in another order, too, and change the last bits of "
        'every model with such batches. `engine="numba"` and the loop by hand use each row for both products while '
        f"they have it. Rows of 512 numbers, which all begin at a line of the cache as rows of 513 do not, take "
        f"{without_ones:.3g} for both products; the bias would then cost two calls more in every step, however small."
    )


def _rates_are_exact(loops: Loops) -> str:
    whole, kernel, rates, beside, fused = (
        1000 * _us(loops, name)
        for name in (NUMBA, profiles.KERNEL, profiles.RATES, profiles.BESIDE, profiles.ANY_ORDER)
    )
    text = (
        "**Adam on one row of one feature.** Each operation waits for the one before it. Of a step's "
        f"{whole:.1f} ns the compiled loop takes {kernel:.1f} (with its formulas fused at will, which gives other "
        f"bits, {fused:.1f}), {rates:.1f} the learning rates, which are taken beforehand, and history and calls the "
        f"other {beside:.1f}. The powers of beta in a rate are taken in float64 and rounded once, to equal those of "
        "Keras, as long as 1 - beta^t is not 1, which is so in the first 17,700 steps here."
    )
    others = {name: 1000 * _us(loops, name) for name in (XLA, SCAN) if name in loops}
    text += "".join(f" In all, {name} takes {taken:.1f}." for name, taken in others.items())
    if others and min(others.values()) < whole:
        text += (
            " These take their powers in float32 inside of the loop, while it waits for the chain anyhow, and keep the "
            "loss of an epoch only."
        )
    return text


def _formulas_are_rounded(loops: Loops) -> str:
    whole, kernel, fused, beside, rates, hand = (
        1000 * _us(loops, name)
        for name in (NUMBA, profiles.KERNEL, profiles.ANY_ORDER, profiles.BESIDE, profiles.RATES, FUSED)
    )
    return (
        "**Short steps in float64 beside the loop written by hand.** Both are compiled to the same vector loop over "
        f"rows. The compiled loop takes {kernel:.1f} ns of a step's {whole:.1f}, and {fused:.1f} where its formulas "
        "may be fused as those of the loop by hand are, which gives other bits: here a formula is rounded where it "
        "stands. "
        f"The rest is what the loop by hand ({hand:.1f} ns in all) does not have: {rates:.1f} for a learning rate of "
        f"every step, {beside:.1f} for the losses of the batches, the history and the calls. "
        "From step to step the engine hands on the parameters and the state of one feature as numbers; the loop by "
        "hand keeps them in arrays, as one writes it."
    )


def _cores_wait(loops: Loops) -> str:
    passes = ratios(loops, TWO_PASSES, NUMBA)
    best = min(loops[TWO_PASSES]["rounds"]) / min(loops[NUMBA]["rounds"])
    return (
        "**A full batch on all cores.** It is as slow as its slower core: beside two passes in NumPy the rounds lie "
        f"between {min(passes):.2f} and {max(passes):.2f} times, the median at {median(passes):.2f}, the fastest round "
        f"of each at {best:.2f}. One read of X takes {_us(loops, READ) / 1000:.3g} ms, the step "
        f"{_us(loops, NUMBA) / 1000:.3g} on all cores and {_us(loops, profiles.ONE_CORE) / 1000:.3g} on one."
    )


def _own_loops(by_width: dict[int, Loops]) -> str:
    over = {width: median(ratios(loops, profiles.PRODUCTS, NUMBA)) for width, loops in by_width.items()}
    return (
        "**Own loops or BLAS where rows are long.** The compiled engine calls no BLAS: it reads a row once for both "
        "products. On one core, with batches of 256 rows that stay in the caches, the two products of BLAS alone take, "
        "over a whole step of the engine with its slopes, losses and rule: "
        + ", ".join(f"{ratio:.2f} at d = {width}" for width, ratio in over.items())
        + ". Where that is below 1, BLAS would be faster."
    )


def _parts(what: str, loops: Loops, missed: list[tuple[str, float, float]]) -> str:
    """Return what a profile of a case says for which there is no sentence of its own."""
    ours = NUMBA if NUMBA in loops else NUMPY
    parts = {name: _us(loops, name) for name in profiles.PARTS if name in loops}
    text = f"**{what[0].upper()}{what[1:]}.** It takes {_us(loops, ours):.3g} us"
    if parts:
        text += " (" + ", ".join(f"{name} {us:.3g}" for name, us in parts.items()) + ")"
    others = [name for name in loops if name != ours and name not in parts]
    text += "; " + ", ".join(f"{name} {_us(loops, name):.3g}" for name in others) + "."
    for peer, asked, measured in missed:
        if found := ratios(loops, peer, ours):
            seen = median(found) < asked
            text += f" Beside {peer} {asked:g} was asked; the case shows {measured:.2f}, this {median(found):.2f}"
            text += "" if seen else ", so that the miss is within what runs differ by"
            core = BARE_CALLS if ours == NUMPY else profiles.KERNEL
            text += f"; {core} would reach {median(ratios(loops, peer, core)):.2f}." if core in loops else "."
    return text


def growth(document: dict[str, Any]) -> str:
    """Return why slopes in n and d are not 1.

    Parameters
    ----------
    document : dict
        One run.

    Returns
    -------
    str
        A paragraph; empty without such points.
    """
    told = [
        f"With {grows}, X has {sizes} MB; nanoseconds a {unit}, in this order: {costs}."
        for grows, unit, sizes, costs in (
            ("more rows", "row", *_costs(document, "n", lambda n: 32 * n, lambda n: n)),
            (
                "more features",
                "row and 64 features",
                *_costs(document, "d", lambda d: 2048 * d, lambda d: 256 * d / 64),
            ),
        )
        if costs
    ]
    if not told:
        return ""
    return " ".join(told) + (
        " A row costs more where X has more of them, and one read of it does too, since it comes from farther away: "
        "from the caches of a core, from the one that cores share, and at last from memory, where the slope in n is to "
        "be looked at by itself. With more features the calls and a row's own work, which do not grow, weigh less, in "
        "NumPy most of all, and so they do with more configurations of a sweep."
    )


def _costs(
    document: dict[str, Any], axis: str, numbers: Callable[[int], float], units: Callable[[int], float]
) -> tuple[str, str]:
    """Return the megabytes of X along an axis, and what a unit of the work costs each loop there."""
    points = [point for point in document["growth"] if point["axis"] == axis]
    costs = [
        f"{name} " + ", ".join(f"{1000 * point['us'][name] / units(point['size']):.2g}" for point in points)
        for name in (READ, NUMBA, NUMPY)
        if points and all(name in point["us"] for point in points)
    ]
    return ", ".join(f"{numbers(point['size']) * 4 / 1e6:.3g}" for point in points), "; ".join(costs)
