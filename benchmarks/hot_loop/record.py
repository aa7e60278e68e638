"""One run as a document: machine, versions, measurements; written whole or not at all, and compared with another."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.hot_loop.peers import BARE_CALLS, FUSED, KERAS, NUMBA, NUMPY
from benchmarks.hot_loop.sweeps import SWEPT, SWEPT_BY_NUMPY, VMAP
from benchmarks.hot_loop.table import Case
from benchmarks.hot_loop.whole import TWO_PASSES
from benchmarks.installed import versions
from linreg.json_files import json_text, read_json, write_json

KIND = "linreg hot loop"
SECTIONS = ("tolerance", "cases", "sweeps", "whole", "growth", "profiles")
PACKAGES = (
    *("linreg", "numpy", "numba", "tensorflow_cpu", "tensorflow", "keras", "jax", "torch"),
    *("scikit-learn", "river", "vowpalwabbit"),
)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def empty(device: str) -> dict[str, Any]:
    """Return a document without measurements."""
    return {
        "kind": KIND,
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": versions(PACKAGES),
        "commit": _commit(),
        "threads": {name: os.environ[name] for name in THREADS if name in os.environ},
        "load before": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "device": device,
        "interrupted": False,
        "seconds": 0.0,
        **{section: [] for section in SECTIONS},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    widest = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), None)
    return f"{models[0] if models else platform.machine()}{f' with {widest}' if widest else ''}"


def _commit() -> str | None:
    """Return which state of the checkout is measured, or None where git does not say."""
    command = ["git", "describe", "--always", "--dirty"]
    with suppress(OSError, subprocess.CalledProcessError):
        made = subprocess.run(command, cwd=Path(__file__).parent, check=True, capture_output=True, text=True)  # noqa: S603
        return made.stdout.strip()
    return None


def text(document: dict[str, Any]) -> str:
    """Return the document as JSON, one measurement a line."""
    return json_text(document)


def save(document: dict[str, Any], path: Path) -> None:
    """Write the document; a file that is there stays as it is until the new one is complete."""
    write_json(document, path)


def load(path: Path) -> dict[str, Any]:
    """Read a document.

    Parameters
    ----------
    path : Path
        What `save` wrote.

    Returns
    -------
    dict
        The document.

    Raises
    ------
    ValueError
        If the file is something else.
    """
    return read_json(path, KIND, "holds no benchmark: give a file that `linreg bench --save` wrote.")


def ratios(loops: dict[str, Any], over: str, under: str) -> list[float]:
    """Return the times of one loop over those of another, round by round; empty where one is missing."""
    if over not in loops or under not in loops:
        return []
    return [a / b for a, b in zip(loops[over]["rounds"], loops[under]["rounds"], strict=True)]


def slowdowns(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Compare two documents by ratios that carry over from run to run.

    Parameters
    ----------
    old, new : dict
        Documents.

    Yields
    ------
    tuple
        Of each case, sweep, full batch and whole fit in both, and each loop of linreg: what it is, the loop, and how
        many times slower it has become, beside a loop that does the same work and has nothing of linreg in it: the bare
        calls of NumPy for the NumPy engine, the hand-fused loop for the Numba engine, JAX for sweeps, two passes in
        NumPy for full batches, Keras for whole fits.
    """
    before = {what: loops for what, loops, _ in _compared(old)}
    for what, now, pairs in _compared(new):
        for ours, beside in pairs:
            was, is_now = (ratios(loops, ours, beside) for loops in (before.get(what, {}), now))
            if was and is_now:
                yield what, ours, median(is_now) / median(was)


def _compared(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], tuple[tuple[str, str], ...]]]:
    """Yield what is compared: its name, its loops, and each of ours with one that has nothing of linreg in it."""
    for entry in document["cases"]:
        yield Case(**entry["case"]).name, entry["loops"], ((NUMPY, BARE_CALLS), (NUMBA, FUSED))
    for entry in document["sweeps"]:
        name = f"{entry['sweep']['rates']} rates, {entry['sweep']['optimizer']}"
        yield name, entry["loops"], ((SWEPT, VMAP), (SWEPT_BY_NUMPY, VMAP))
    for entry in document["whole"]:
        yield entry["what"], entry["loops"], ((NUMPY, KERAS), (NUMBA, KERAS), (NUMBA, TWO_PASSES))
