"""Everything that one run measures, in order; what is done is kept when it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.hot_loop import growth, profiles, record, regimes, table
from benchmarks.hot_loop.measure import ROUNDS, measure
from benchmarks.hot_loop.peers import COMPILED_TORCH, PEERS, Peer
from benchmarks.hot_loop.sweeps import measure_sweep
from benchmarks.hot_loop.whole import full_batch, small_fit, to_tolerance
from linreg.devices import cuda
from linreg.hyperparameters import nearest

QUICK_ROUNDS = 5


@dataclass(frozen=True)
class Job:
    """One measurement: the section of the document that it belongs to, its name, and the work."""

    section: str
    name: str
    work: Callable[[], dict[str, Any]]


def chosen(names: str | None) -> list[Peer]:
    """Return the loops to run: linreg's own, the limits, and the peers named.

    Parameters
    ----------
    names : str or None
        Names, separated by commas; None for all.

    Returns
    -------
    list of Peer
        The loops.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    wanted = None if names is None else {name.strip().lower() for name in names.split(",") if name.strip()}
    known = {name.lower(): peer for name, peer in PEERS.items() if peer.kind == "peer"}
    for name in wanted or ():
        if name not in known:
            hint = nearest(name, list(known)) or f": choose from {', '.join(p.name for p in known.values())}"
            raise ValueError(f"Unknown peer {name!r}{hint}.")
    return [peer for name, peer in PEERS.items() if peer.kind != "peer" or wanted is None or name.lower() in wanted]


def check_device(device: str) -> None:
    """Refuse a device that is not there.

    Parameters
    ----------
    device : {"cpu", "cuda"}
        The device.

    Raises
    ------
    ValueError
        If it is neither, or no library that is installed sees a GPU.
    """
    if device not in ("cpu", "cuda"):
        raise ValueError(f"Unknown device {device!r}: choose cpu or cuda.")
    if device == "cuda" and not any(sees() for sees in (_cupy_sees, _torch_sees, _jax_sees, _tensorflow_sees)):
        raise ValueError(
            "--device cuda: there is no GPU here that CuPy, PyTorch, JAX or TensorFlow can use: leave --device out to "
            "run on the CPU."
        )


def _cupy_sees() -> bool:
    try:
        cuda()
    except (ImportError, RuntimeError):
        return False
    return True


def _torch_sees() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def _jax_sees() -> bool:
    try:
        import jax

        return bool(jax.devices("cuda"))
    except (ImportError, RuntimeError):
        return False


def _tensorflow_sees() -> bool:
    try:
        import tensorflow as tf
    except ImportError:
        return False
    return bool(tf.config.list_physical_devices("GPU"))


def jobs(which: str, peers: list[Peer], device: str) -> list[Job]:
    """Return what is measured.

    Parameters
    ----------
    which : {"quick", "standard", "all"}
        How much.
    peers : list of Peer
        The loops.
    device : str
        Where.

    Returns
    -------
    list of Job
        The measurements: first those that tell what compiling costs a process that has not compiled before.
    """
    cases = {"quick": table.quick, "standard": table.standard, "all": table.cases}[which]()
    rounds = QUICK_ROUNDS if which == "quick" else ROUNDS
    found = [
        Job("cases", case.name, partial(measure, case, loops_of(case, peers, which), device=device, rounds=rounds))
        for case in cases
    ]
    if device != "cpu":
        return found
    rules = ("SGD",) if which == "quick" else ("SGD", "Adam")
    found += [Job("sweeps", f"256 rates, {rule}", partial(measure_sweep, rule, 256, rounds)) for rule in rules]
    if which == "quick":
        return found
    known = [table.Case(rule, "MSE", 1024, d, 32, "float32") for d in (1, 16) for rule in rules]
    first = [Job("tolerance", f"to tolerance, {case.name}", partial(to_tolerance, case, peers)) for case in known]
    found.append(Job("whole", "2000000 x 32", full_batch))
    found += [Job("whole", f"fit of 100 x 1, {rule}", partial(small_fit, rule)) for rule in rules]
    sizes = {"n": growth.ROWS, "d": growth.FEATURES, "K": growth.COUNTS}
    found += [
        Job("growth", f"{axis} = {size}", partial(growth.point, axis, size))
        for axis, along in sizes.items()
        for size in along
    ]
    found += [Job("profiles", f"profile: {name}", work) for name, work in profiles.PROFILES.items()]
    return first + found


def loops_of(case: table.Case, peers: list[Peer], which: str) -> list[Peer]:
    """Return the loops that a case is measured with.

    Loops that are slowed by calls meet every batch of SGD and Adam, but the other rules, Huber and float64, which cost
    them hardly more, on one shape in batches of 32 only.

    Parameters
    ----------
    case : Case
        The case.
    peers : list of Peer
        The loops to choose from.
    which : {"quick", "standard", "all"}
        The run.

    Returns
    -------
    list of Peer
        The loops.
    """
    if which == "quick":
        return [peer for peer in peers if peer.name != COMPILED_TORCH]
    plain = case.loss == "MSE" and case.dtype == "float32" and case.optimizer != "RMSprop"
    if plain or (case.features == 16 and case.batch == 32):
        return peers
    return [peer for peer in peers if peer.compiled or peer.kind != "peer"]


def run(
    planned: list[Job], device: str, advance: Callable[[str], None] = lambda _: None, path: Path | None = None
) -> dict[str, Any]:
    """Do the measurements one by one, then profile what was not reached, if anything is to be profiled.

    Parameters
    ----------
    planned : list of Job
        The measurements.
    device : str
        Where; for the document.
    advance : callable
        Told the name of each measurement that is done.
    path : Path, optional
        Where the document is saved, after each measurement.

    Returns
    -------
    dict
        The document; after Ctrl-C, what there was, marked `interrupted`.
    """
    document, begin = record.empty(device) | {"interrupted": True}, perf_counter()
    with suppress(KeyboardInterrupt):
        for job in chain(planned, _profiles_of_misses(document, planned)):
            document[job.section].append(job.work())
            document["seconds"] = round(perf_counter() - begin, 1)
            if path is not None:
                record.save(document, path)
            advance(job.name)
        document["interrupted"] = False
    if path is not None:
        record.save(document, path)
    return document


def _profiles_of_misses(document: dict[str, Any], planned: list[Job]) -> Iterator[Job]:
    """Yield, once all that was planned is done, the profiles of what did not meet what was asked."""
    if any(job.section == "profiles" for job in planned):
        known = {entry["what"] for entry in document["profiles"]}
        missed = [one for row in regimes.rows(document) for one in row.missed]
        for what, work in profiles.of_misses(missed).items():
            if what not in known:
                yield Job("profiles", f"profile: {what}", work)
