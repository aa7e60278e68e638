"""A run as rows of tables, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any

import numpy as np

from benchmarks.hot_loop import regimes
from benchmarks.hot_loop.peers import FUSED, KERAS, NUMBA, NUMPY, PEERS, READ
from benchmarks.hot_loop.record import ratios
from benchmarks.hot_loop.sweeps import SWEPT
from benchmarks.hot_loop.table import Case

DETAIL = ("case", "loop", "us a step", "quartiles", "/ NumPy", "/ Numba", "result", "ready, s")
SUMMARY = (
    "case",
    "NumPy",
    "Numba",
    "fastest peer",
    "its us",
    "/ NumPy",
    "/ Numba",
    "keras / NumPy",
    "keras / Numba",
    "by hand / Numba",
    "read / Numba",
    "read, GB/s",
)
ASKED = ("regime", "against", "asked: at least", "measured", "quartiles", "")
WHOLE = ("what", "loop", "us", "quartiles", "/ NumPy", "/ Numba")


def detail(document: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row for every loop of every case, as `DETAIL` heads them: its time, and over that of each engine."""
    rows = []
    for entry in document["cases"]:
        loops, name = entry["loops"], Case(**entry["case"]).name
        for peer, loop in sorted(loops.items(), key=lambda item: item[1]["us"]):
            beside = (_ratio(ratios(loops, peer, ours)) for ours in (NUMPY, NUMBA))
            ready = f"{loop['seconds until ready']:.2g}"
            rows.append((name, peer, f"{loop['us']:.3g}", spread(loop["rounds"]), *beside, _result(loop), ready))
    return rows + sweeps(document)


def sweeps(document: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row for every way to do a sweep, per configuration and step."""
    rows = []
    for entry in document["sweeps"]:
        loops, sweep = entry["loops"], entry["sweep"]
        name = f"{sweep['rates']} rates, {sweep['optimizer']}, 1024 x 16, batch 32, a configuration's step"
        for peer, loop in sorted(loops.items(), key=lambda item: item[1]["us"]):
            beside = _ratio(ratios(loops, peer, SWEPT))
            rows.append((name, peer, f"{loop['us']:.3g}", spread(loop["rounds"]), f"{beside} (sweep)", "",
                         _result(loop), ""))  # fmt: skip
    return rows


def wholes(document: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row for every loop of what is no case: full batches, whole fits and profiles, as `WHOLE` heads them."""
    return [
        (entry["what"], name, f"{loop['us']:.3g}", spread(loop["rounds"]),
         *(_ratio(ratios(entry["loops"], name, ours)) for ours in (NUMPY, NUMBA)))
        for section in ("whole", "profiles")
        for entry in document.get(section, [])
        for name, loop in entry["loops"].items()
    ]  # fmt: skip


def asked(document: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row for every ratio that was asked for and measured, as `ASKED` heads them."""
    return [
        (row.regime, row.against, f"{row.asked:g}", f"{row.measured:.3g}", spread(row.by_round), row.met.strip("*"))
        for row in regimes.rows(document)
        if row.measured is not None
    ]


def summary(document: dict[str, Any], *, quartiles: bool = False) -> list[tuple[str, ...]]:
    """Return a row for every case, as `SUMMARY` heads them.

    Microseconds of both engines, the fastest peer and its time over theirs, Keras, the loop written by hand, and how
    fast X can be read.

    Parameters
    ----------
    document : dict
        One run.
    quartiles : bool, default=False
        Whether quartiles stand beside microseconds.

    Returns
    -------
    list of tuple of str
        The rows.
    """

    def us(loop: dict[str, Any]) -> str:
        between = spread(loop["rounds"]) if quartiles else ""
        return figure(loop["us"]) + (f" ({between})" if between else "")

    rows = []
    for entry in document["cases"]:
        loops = entry["loops"]
        peers = [name for name in loops if PEERS[name].kind == "peer"]
        fastest = min(peers, key=lambda name: loops[name]["us"], default="")
        rows.append((
            Case(**entry["case"]).name,
            *(us(loops[ours]) if ours in loops else "" for ours in (NUMPY, NUMBA)),
            fastest,
            us(loops[fastest]) if fastest else "",
            *(_ratio(ratios(loops, peer, ours)) for peer in (fastest, KERAS) for ours in (NUMPY, NUMBA)),
            _ratio(ratios(loops, FUSED, NUMBA)),
            _ratio(ratios(loops, READ, NUMBA)),
            f"{_gigabytes_a_second(entry['case'], loops[READ]['us']):.3g}" if READ in loops else "",
        ))  # fmt: skip
    return rows


def _gigabytes_a_second(case: dict[str, Any], us: float) -> float:
    return case["batch"] * case["features"] * np.dtype(case["dtype"]).itemsize / us / 1e3


def skipped(document: dict[str, Any]) -> dict[str, str]:
    """Return the reasons for which loops are missing, by name."""
    return {
        name: reason
        for section in ("cases", "sweeps", "whole", "tolerance", "profiles")
        for entry in document.get(section, [])
        for name, reason in entry.get("skipped", {}).items()
    }


def checked(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return every result that was checked: of what, of which loop, and what was found."""
    found = [(Case(**entry["case"]).name, name, loop.get("check")) for entry in document["cases"]
               for name, loop in entry["loops"].items()]  # fmt: skip
    for entry in document["sweeps"]:
        what = f"{entry['sweep']['rates']} rates, {entry['sweep']['optimizer']}"
        found += [(what, name, loop.get("check")) for name, loop in entry["loops"].items()]
    for entry in document["whole"]:
        checks = entry.get("checks") or {"linreg": entry.get("check")}
        found += [(entry["what"], name, check) for name, check in checks.items()]
    return [one for one in found if one[2]]


def unequal(document: dict[str, Any]) -> list[str]:
    """Return which loops did not do the same work, each with how far they are off."""
    return [
        f"{name}, {what}: parameters off by {check['difference']:.2g}, allowed {check['allowed']:.2g}"
        for what, name, check in checked(document)
        if not check["equal"]
    ]


def _result(loop: dict[str, Any]) -> str:
    if not loop["check"]:
        return "-"
    return "equal" if loop["check"]["equal"] else "DIFFERS"


def figure(number: float) -> str:
    """Return a number with three digits, or all of those before its point."""
    return f"{number:.3g}" if number < 100 else f"{number:,.0f}"


def _ratio(values: list[float]) -> str:
    return figure(median(values)) if values else ""


def spread(times: Sequence[float]) -> str:
    """Return the quartiles of the rounds; nothing of a single one."""
    if len(times) < 2:
        return ""
    low, _, high = quantiles(times)
    return f"{figure(low)} to {figure(high)}"
