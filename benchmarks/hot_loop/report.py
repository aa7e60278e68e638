"""The page about speed, from the file of one run: `python -m benchmarks.hot_loop.report`.

The file is docs/benchmarks/hot-loop.json, which `python -m benchmarks.hot_loop docs/benchmarks/hot-loop.json` writes.
The README's sentence on speed is `regimes.headline`; a test holds that it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.hot_loop import pictures, reasons, record, regimes, show
from benchmarks.hot_loop.growth import AXES, slopes
from benchmarks.hot_loop.peers import FUSED, NUMBA
from benchmarks.hot_loop.table import SHAPES, Case, cases

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RUN, GUARD = DOCS / "benchmarks" / "hot-loop.json", DOCS / "benchmarks" / "guard.json"
GPU_RUN = DOCS / "benchmarks" / "hot-loop-gpu.json"
OTHER = DOCS / "benchmarks" / "hot-loop-avx2.json"
"""The run before, on another machine."""
INTRODUCTION = """\
# How fast the hot loop is

One run of `python -m benchmarks.hot_loop` on one machine, but for the guard and the column *there*. Every loop takes
steps over the same batches, or the first of them, from zeros, in the order in which they lie: none shuffles, and each
has the data laid out as it likes before the clock starts. Its parameters (and the loss, where it has one) are compared
with the NumPy engine's in float64 before it is timed, where an epoch has too many steps to tell on a second build of it
for the first 16; what may differ is the rounding of sums, bounded by backward error analysis
(`benchmarks/hot_loop/check.py`). The loops of a case take turns in one process, each warmed up for a tenth of a second
before it is timed, so that the threads of the loop before it sleep; times are medians of {rounds} rounds, ratios
medians of the rounds' ratios. Building, tracing and compiling come before and stand apart in the file. Ratios carry
over to another machine better than times, but roughly; to see yours, run `linreg bench --quick` in a checkout (with
`--save` and `--compare` to watch it, `--html` for a page). Peers come with `pip install jax torch river vowpalwabbit`
and the extra `tf`; a missing one is skipped.

Hyper-parameters are powers of two, which no library rounds, and epsilon is 1e-20, too small to matter where a library
puts it, so that every library's own optimizer does the same work: PyTorch's, whose RMSprop has epsilon outside of the
root, and scikit-learn's, whose squared error is half of Keras' (its rate is doubled), as well. River, Vowpal Wabbit
and SGDRegressor learn row by row and run where batches are of one row. Of a large table, compiled loops get the first
16,384 batches, loops in Python the first 2,048, and Keras and PyTorch the first 128, which may stay in a cache where
the others come from memory. `model.fit` pays for every epoch too: where 1024 rows are cut into batches of 32, an epoch
has 32 steps, which cost about twice what they do in epochs of 128, and where a batch is full it has one, which costs
tens of times as much. {product}

The page is made from `docs/benchmarks/hot-loop.json` by `python -m benchmarks.hot_loop.report`.
"""
STEPS = """\
```{image} images/benchmarks-steps.png
:alt: Microseconds a step of every loop against features and batch size, with the time of one read of the data.
```

*One read of X* is the fastest of several: a compiled sum of every batch, read in one place or in four at a time, on one
core or, where a batch has 2^19 numbers, on all; or a product of every batch with BLAS. *The XLA loop* is the faster of
two forms, one loop over all steps or one over epochs and steps, each tried for a tenth of a second beforehand; its
gradient is a sum in batches of fewer than 2^20 numbers and a product in larger ones, either several times as fast.
*JAX scan* is the fastest of four: predictions and gradients as products or as sums, one step or two in a turn of its
loop; so is `jax.vmap` of it.
*Bare NumPy calls* are the formulas in NumPy with nothing around them, no loss and no history: no loop in Python that
calls NumPy can be faster by more than noise. *Hand-fused Numba* reads row after row in one place, as one writes it.
Quartiles of the rounds are in brackets; a ratio is the median of the rounds' ratios, which is not always the ratio of
two medians.
"""
REGIMES = """\
The peer's time over ours: above 1, linreg is faster. Of several cases the worst counts; they are of float32 where
nothing else is said. The hand-fused loop runs on one core, linreg on all from 2^19 numbers a batch. Ratios differ from
machine to machine; *there* is an earlier state of linreg on another machine (AMD EPYC with AVX2, 2 cores;
docs/benchmarks/hot-loop-avx2.json), beside JAX in one form only and whole fits without shuffling.
"""
PROFILED = """\
Loops of a case take turns as above; the parts of the Numba engine are clocked within its turn. *Fused at will* is the
engine's own loop with every formula compiled as sums are: products may be fused with sums, and terms reordered.
A core of a shared machine may be half as fast again for a second at a time, as the least and the largest times of the
same loop show: where that meets one loop of a case and not another, a ratio near 1 falls on either side of it.
Four rows at a time of a small batch, out of a table that fits into no cache, take up to twice as long where the code
was loaded unluckily: loaded anew in the same process it may be fast, wherever the arrays lie. Why is not known.
Unshuffled rows of 256 bytes and more, in batches that fit into the first cache, are therefore read row after row, which
takes the same time however it was loaded; shorter rows are not, since that costs more in the cache than it gains from
memory.
"""
GROWTH = """\
```{image} images/benchmarks-growth.png
:alt: Microseconds a step against rows, features and configurations.
```
"""
SWEPT = """\
Of single runs, 16 of the 256 were timed. Both stand after all cases, in the same process.
"""
TOLERANCE = """\
Seconds of a whole run from zeros, all the same epochs, the loops in turns as above, and of the first run of each, with
building, tracing and compiling; in the first case imports are in it, but not those of JAX, whose forms have been tried
by then (Numba's loops may be on disk from before). Compiled loops, but for PyTorch's, are there within a millisecond,
of which linreg's own checks, history and calls are up to two tenths; the loop by hand does nothing else.
"""
GUARDED = """\
`tests/test_speed.py` holds, wherever the tests run, the time of the NumPy engine on 32 rows of 16 features to that of
the bare calls of NumPy in the same process, below limits that stand there. Repeated in processes of their own
(`python -m benchmarks.guard_repeats`), as it is and with linreg's loops slowed down by a half, the least and the
largest ratio of each were as follows; the limits lie between. The Numba engine's, to a loop written by hand, are shown
only. Busy means that two other processes worked all the time, one of them on all cores.
"""
SENTENCE = re.compile(r"^A step .*on 32 rows .*$", flags=re.MULTILINE)


def page(document: dict[str, Any], guarded: dict[str, Any]) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    document : dict
        One run.
    guarded : dict
        Repeats of the guard.

    Returns
    -------
    str
        The page.
    """
    rounds = max((len(loop["rounds"]) for entry in document["cases"] for loop in entry["loops"].values()), default=0)
    parts = [
        INTRODUCTION.format(rounds=rounds, product=_product(document)),
        "## The machine",
        _machine(document),
        "## What was asked, and what was measured",
        REGIMES,
        _table(
            ("regime", "against", "asked: at least", "measured", "quartiles", "verdict", "cases", "there"),
            _regimes(document),
        ),
        _by_hand(document),
        "A row whose quartiles lie on both sides of what was asked may be on the other side in another run.",
        _gpu(),
        *_reasons(document),
        "## Microseconds a step",
        STEPS,
        *_summaries(document),
        "## How cost grows",
        GROWTH,
        reasons.growth(document),
        _table(("log-log slope in", "loop", "slope"), _slopes(document)),
        "## Many learning rates at once",
        SWEPT,
        _table((*show.DETAIL[:4], "time / sweep", "result"), [(*r[:5], r[6]) for r in show.sweeps(document)]),
        "## Until the excess loss is a hundredth of what it was",
        TOLERANCE,
        _table(("case", "epochs", "loop", "seconds", "the first", "got there"), _tolerance(document)),
        "## The guard",
        GUARDED,
        _table(("machine", "linreg", "ratio", "as it is", "slowed down 1.5 times"), _guard(guarded)),
        _endnotes(document),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _gpu() -> str:
    """Return which sizes pay on a GPU, from the file of one run there, or that there is none."""
    if not GPU_RUN.exists():
        return "GPU: not measured."
    document = record.load(GPU_RUN)
    table = _table(show.SUMMARY, show.summary(document, quartiles=True))
    return f"## On a GPU\n\n{_machine(document)}\n\n{table}"


def _product(document: dict[str, Any]) -> str:
    """Return which of all combinations were run."""
    known = {Case(**entry["case"]) for entry in document["cases"]}
    if known >= set(cases()):
        return (
            "Every combination of rule, loss, shape, batch and dtype was run; loops that call a step or an epoch from "
            "Python (Keras, PyTorch eager, JAX' jitted step, the graph without XLA, the online learners) only with SGD "
            "and Adam on the squared error in float32, and with all rules, losses and dtypes on 32 rows of 16 features."
        )
    return "Not every combination of rule, loss, shape, batch and dtype was run."


def _summaries(document: dict[str, Any]) -> list[str]:
    """Return a table for each shape, of which the reader opens those that he wants."""
    parts = []
    for rows, features in SHAPES:
        shape = {"rows": rows, "features": features}
        some = [entry for entry in document["cases"] if entry["case"] | shape == entry["case"]]
        table = _table(show.SUMMARY, show.summary({"cases": some}, quartiles=True))
        parts += [f"<details><summary>{rows} x {features}: {len(some)} cases</summary>", table, "</details>"]
    return parts


def _machine(document: dict[str, Any]) -> str:
    machine = document["machine"]
    threads = ", ".join(f"`{name}={value}`" for name, value in document["threads"].items()) or "each library's default"
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    text = (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}. Threads: {threads}. {versions}. "
        f"The run took {document['seconds'] / 60:.0f} minutes"
        f"{f' at commit {commit}' if (commit := document.get('commit')) else ''}."
    )
    load = document["load before"]
    if load is not None and load > machine["cores"] / 2:
        text += (
            f"\n\n**The machine had been busy** (load {load:g} in the minute before the run): if that went on, loops "
            "on all cores waited for each other and may look slower; quartiles are given."
        )
    return text


def _regimes(document: dict[str, Any]) -> list[tuple[str, ...]]:
    def shown(ratio: float | None) -> str:
        return "" if ratio is None else show.figure(ratio)

    return [
        (
            row.regime,
            row.against,
            f"{row.asked:g}",
            shown(row.measured),
            show.spread(row.by_round),
            row.met,
            row.detail,
            shown(there.measured),
        )
        for row, there in zip(regimes.rows(document), regimes.rows(record.load(OTHER)), strict=True)
    ]


def _reasons(document: dict[str, Any]) -> list[str]:
    """Return what stands in the way of what was asked, with the profiles that show it."""
    told = reasons.words(document)
    head = "## What a step is made of, and why something is not reached"
    return [head, PROFILED, *told, _table(reasons.HEADS, reasons.table(document))] if told else []


def _slopes(document: dict[str, Any]) -> list[tuple[str, ...]]:
    return [(AXES[axis], name, f"{slope:.2f}") for (axis, name), slope in slopes(document["growth"]).items()]


def _tolerance(document: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (Case(**entry["case"]).name, str(entry["epochs"]), name, f"{loop['us'] / 1e6:.3g}", f"{loop['first']:.3g}",
         "yes" if loop["reached"] else "no")
        for entry in document["tolerance"]
        for name, loop in sorted(entry["loops"].items(), key=lambda item: item[1]["us"])
    ]  # fmt: skip


def _guard(guarded: dict[str, Any]) -> list[tuple[str, ...]]:
    lines = []
    for state, runs in guarded.items():
        low, high = runs["load"]
        for name, ratios in runs["as it is"].items():
            slowed = runs["slowed down 1.5 times"][name]
            engine, rule = name.split(", ")
            beside = {"numpy": "bare NumPy calls", "numba": "hand-fused Numba"}[engine]
            machine = f"{state}: load {low:g} to {high:g} on {runs['cores']} cores, {len(ratios)} repeats"
            spans = (f"{found[0]:.2f} to {found[-1]:.2f}" for found in (ratios, slowed))
            lines.append((machine, f"{engine} engine, {rule}", f"/ {beside}", *spans))
    return lines


def _endnotes(document: dict[str, Any]) -> str:
    equal = [check["equal"] for *_, check in show.checked(document)]
    lines = [
        f"{sum(equal)} of {len(equal)} results that were checked were equal within their bounds.",
        _loose(document),
    ]
    lines += [f"- Not equal: {line}" for line in show.unequal(document)]
    lines += [f"- Skipped: {name}: {reason}" for name, reason in show.skipped(document).items()]
    return "## Results and gaps\n\n" + "\n".join(lines)


def _loose(document: dict[str, Any]) -> str:
    """Return how many loops were built anew to be checked, and how many checks tell little all the same."""
    checks = [check for *_, check in show.checked(document) if "largest" in check]
    anew = sum(check.get("built anew", False) for check in checks)
    loose = sum(check["allowed"] > 0.01 * check["largest"] for check in checks)
    return (
        f"{anew} loops were built once more to be checked, for the first 16 steps: in the thousands of an epoch "
        "rounding may grow to more than a hundredth of the largest parameter where a rule swings about the optimum. "
        f"{loose} checks still allow more than that."
    )


def _by_hand(document: dict[str, Any]) -> str:
    """Return where the loop by hand is faster than the Numba engine, over all cases and not those asked for only."""
    found = {
        Case(**entry["case"]).name: median(r)
        for entry in document["cases"]
        if (r := record.ratios(entry["loops"], FUSED, NUMBA))
    }
    if not found:
        return ""
    worst = min(found, key=found.__getitem__)
    return (
        f"Beside the loop by hand, the Numba engine is below 0.95 in {sum(r < 0.95 for r in found.values())} of all "
        f"{len(found)} cases, above 1 in {sum(r > 1 for r in found.values())}; least {found[worst]:.3g}: {worst}."
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def with_sentence(readme: str, document: dict[str, Any]) -> str:
    """Return the README with its sentence on speed as a run has it."""
    return SENTENCE.sub(lambda _: regimes.headline(document), readme)


def main() -> None:
    """Write the page, its pictures and the README's sentence."""
    document, guarded = record.load(RUN), json.loads(GUARD.read_text(encoding="utf-8"))
    if document["interrupted"]:
        raise SystemExit(f"{RUN} is of a run that was interrupted: no page is made of it. Run it to its end.")
    pictures.draw(document, DOCS / "images")
    (DOCS / "benchmarks.md").write_text(page(document, guarded), encoding="utf-8")
    readme = ROOT / "README.md"
    readme.write_text(with_sentence(readme.read_text(encoding="utf-8"), document), encoding="utf-8")


if __name__ == "__main__":
    main()
