"""What was asked of the hot loop, and what one run measured: ratios of the peer's time to ours, above 1 is faster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.hot_loop.peers import COMPILED_TORCH, FUSED, KERAS, KERAS_STEP, NUMBA, NUMPY, PEERS, READ, SCAN, XLA
from benchmarks.hot_loop.record import ratios
from benchmarks.hot_loop.sweeps import ONE_BY_ONE, SWEPT, VMAP
from benchmarks.hot_loop.table import SHAPES, Case
from benchmarks.hot_loop.whole import FULL_BATCH, TWO_PASSES

COMPILED = (XLA, SCAN, COMPILED_TORCH)
SMALL, LONG = (1024, 16), (65_536, 512)


@dataclass(frozen=True)
class Row:
    """One line of the comparison.

    Parameters
    ----------
    regime, against : str
        Which work, and beside what.
    asked : float
        The least ratio.
    by_round : tuple of float
        The ratio, round by round; that of the worst of several; empty where it was not measured.
    detail : str
        Of several, how many met it, and which was the worst.
    missed : tuple of tuple
        Of cases that did not meet it: the case, whose loop was too slow, and beside which.
    """

    regime: str
    against: str
    asked: float
    by_round: tuple[float, ...] = ()
    detail: str = ""
    missed: tuple[tuple[Case, str, str], ...] = ()

    @property
    def measured(self) -> float | None:
        """The ratio; None where it was not measured."""
        return median(self.by_round) if self.by_round else None

    @property
    def met(self) -> str:
        """The answer in a word."""
        if self.measured is None:
            return "not measured"
        return "met" if self.measured >= self.asked else "**not met**"


def rows(document: dict[str, Any]) -> list[Row]:
    """Return the comparison, line by line.

    Parameters
    ----------
    document : dict
        One run.

    Returns
    -------
    list of Row
        The lines.
    """
    cases = {Case(**entry["case"]): entry["loops"] for entry in document["cases"]}
    found = []
    two = [Case(rule, "MSE", *SMALL, 32, "float32") for rule in ("SGD", "Adam")]
    name = "NumPy engine, d = 16, batch 32, SGD and Adam"
    for peer, asked in ((KERAS, 200), ("torch eager", 15), ("tf.function loop", 4), ("JAX jitted step", 2)):
        found.append(_worst(name, peer, asked, cases, two, NUMPY, [peer]))
    two = [Case(rule, "MSE", *LONG, 1024, "float32") for rule in ("SGD", "Adam")]
    name = "NumPy engine, 65536 x 512, batch 1024, SGD and Adam"
    others = [peer.name for peer in PEERS.values() if peer.kind == "peer"]
    found.append(_worst(name, "the fastest of all peers", 1.0, cases, two, NUMPY, others))
    libraries = [peer for peer in others if peer != FUSED]
    found.append(_worst(name, "the fastest library (hand-fused Numba left out)", 1.0, cases, two, NUMPY, libraries))
    found.append(_worst(name, "the measured read bandwidth", 0.85, cases, two, NUMPY, [READ]))
    for shape in SHAPES:
        name = f"Numba engine, {shape[0]} x {shape[1]}, every batch, rule, loss and dtype measured"
        of_shape = [case for case in cases if (case.rows, case.features) == shape]
        if shape == (1024, 1):
            found.append(_worst(name, SCAN, 0.5, cases, of_shape, NUMBA, [SCAN]))
            rest = [peer for peer in COMPILED if peer != SCAN]
            found.append(_worst(name, "the fastest of XLA loop, torch compiled", 1.0, cases, of_shape, NUMBA, rest))
        else:
            against = "the fastest of XLA loop, JAX scan, torch compiled"
            found.append(_worst(name, against, 1.0, cases, of_shape, NUMBA, COMPILED))
    for dtype in ("float32", "float64"):
        small = [c for c in cases if c.features in (1, 16) and c.batch == 32 and c.dtype == dtype]
        name = f"Numba engine, d = 1 and d = 16, batch 32, {dtype}"
        found.append(_worst(name, FUSED, 0.95, cases, small, NUMBA, [FUSED]))
    found += _others(document)
    return found


def _others(document: dict[str, Any]) -> Iterable[Row]:
    whole = {entry["what"]: entry["loops"] for entry in document["whole"]}
    loops = whole.get(FULL_BATCH, {})
    yield Row(
        "Numba engine, full batch 2,000,000 x 32", "two NumPy passes", 1.8,
        tuple(ratios(loops, TWO_PASSES, NUMBA)),
    )  # fmt: skip
    swept = {entry["sweep"]["optimizer"]: entry["loops"] for entry in document["sweeps"]}
    for peer, asked in ((VMAP, 0.95), (ONE_BY_ONE, 2)):
        yield _least(
            "sweep of 256 learning rates, d = 16, batch 32", peer, asked,
            {rule: ratios(loops, peer, SWEPT) for rule, loops in swept.items()},
        )  # fmt: skip
    for engine in (NUMBA, NUMPY):
        yield _least(
            f"`fit` as a user calls it, 100 epochs of 100 x 1, {engine.split()[1]} engine", "model.fit", 300,
            {what: ratios(loops, KERAS, engine) for what, loops in whole.items() if what.startswith("fit of")},
        )  # fmt: skip


def _worst(
    regime: str, against: str, asked: float, cases: Any, some: list[Case], ours: str, peers: Iterable[str]
) -> Row:
    """Return the line of the case in which ours does worst beside the fastest of some peers."""
    found, missed = {}, []
    for case in some:
        beside = {peer: r for peer in peers if (r := ratios(cases.get(case, {}), peer, ours))}
        if beside:
            fastest = min(beside, key=lambda peer: median(beside[peer]))
            found[case.name] = beside[fastest]
            if median(beside[fastest]) < asked:
                missed.append((case, ours, fastest))
    return _least(regime, against, asked, found, tuple(missed))


def _least(
    regime: str, against: str, asked: float, by_name: dict[str, list[float]],
    missed: tuple[tuple[Case, str, str], ...] = (),
) -> Row:  # fmt: skip
    found = {name: median(r) for name, r in by_name.items() if r}
    if not found:
        return Row(regime, against, asked)
    worst = min(found, key=found.__getitem__)
    met = sum(ratio >= asked for ratio in found.values())
    detail = f"{met} of {len(found)}; least: {worst}" if len(found) > 1 else ""
    return Row(regime, against, asked, tuple(by_name[worst]), detail, missed)


def headline(document: dict[str, Any]) -> str:
    """Return the one sentence on speed that the README takes from a run."""
    loops = {Case(**entry["case"]): entry["loops"] for entry in document["cases"]}
    of: Callable[[str, str, str], float] = lambda rule, over, under: median(  # noqa: E731
        ratios(loops[Case(rule, "MSE", *SMALL, 32, "float32")], over, under)
    )
    numpy, numba = (min(of(rule, KERAS, ours) for rule in ("SGD", "Adam")) for ours in (NUMPY, NUMBA))
    on_batch = min(of(rule, KERAS_STEP, NUMPY) for rule in ("SGD", "Adam"))
    return (
        "A step of SGD or Adam on 32 rows of 16 features (squared error, float32, epochs of 32 steps, not shuffled) "
        f"takes a {_rounded(numpy)}th of the time of one of `model.fit` and a {_rounded(on_batch)}th of "
        f'`train_on_batch`, with `engine="numba"` a {_rounded(numba)}th of `model.fit`; the results were '
        "checked equal: [docs/benchmarks.md](docs/benchmarks.md)."
    )


def _rounded(ratio: float) -> str:
    """Return a ratio with two digits, rounded down: what is promised was measured."""
    digits = 10 ** max(0, len(str(int(ratio))) - 2)
    return f"{int(ratio) // digits * digits:,}"
