"""What users have today on the same runs: `python -m benchmarks.faults.peers --generator second --seed 1 --count 500`.

Every peer answers every case of a generator and is scored against the same truth as `linreg.diagnose` (criteria.md).
What each one does, and where it is from, stands in its docstring (`peer_tools`, `peer_rules`).
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.faults import peer_rules, peer_tools
from benchmarks.faults.cases import Case, Truth, truth
from benchmarks.faults.peer_runs import Answer
from linreg import diagnose

Peer = Callable[[Case], Answer]


def linreg_diagnose(case: Case) -> Answer:
    """`linreg.diagnose`: its findings in their order, and whether the first remedy of the first cured when tried."""
    found = diagnose(
        case.X, case.y, sample_weight=case.sample_weight, validation_data=case.validation_data, **case.settings
    )
    causes = tuple(finding.cause for finding in found.findings)
    remedies = found.findings[0].remedies if found.findings else ()
    after = remedies[0].after if remedies else None
    return Answer(found.verdict != "converges" or bool(causes), causes, cured=after is not None and after.healthy)


PEERS: dict[str, tuple[Peer, bool]] = {
    "linreg.diagnose": (linreg_diagnose, True),
    "Keras TerminateOnNaN": (peer_tools.terminate_on_nan, False),
    "Keras ReduceLROnPlateau": (peer_tools.reduce_lr_on_plateau, True),
    "Keras EarlyStopping": (peer_tools.early_stopping, True),
    "range test, steepest descent": (peer_tools.finder_steepest, True),
    "range test, a tenth of the minimum": (peer_tools.finder_tenth, True),
    "statsmodels summary": (peer_tools.statsmodels_summary, False),
    "|x| > 1": (peer_rules.inputs, True),
    "lr > 0.01": (peer_rules.high_rate, True),
    "loss > 1000": (peer_rules.large_loss, True),
    "|x| > 1, lr > 0.01, loss > 1000": (peer_rules.any_of_three, True),
    "UMLAUT": (peer_rules.umlaut, True),
    "AUTOTRAINER": (peer_rules.autotrainer, True),
    "AUTOTRAINER, loss for accuracy": (peer_rules.autotrainer_on_loss, True),
    "DeepLocalize": (peer_rules.deeplocalize, False),
    "DeepDiagnosis": (peer_rules.deepdiagnosis, True),
    "NeuraLint": (peer_rules.neuralint, False),
}
"""Every peer by the name of its row, and whether it gives advice that can be followed."""

COLUMNS = {
    "failing": "alarm, run fails",
    "harmed": "alarm, converges with a fault",
    "healthy": "false alarm, healthy run",
    "first": "main cause first",
    "named": "main cause named",
    "cured": "advice cures",
}
"""Names of the rates, and of their columns."""


@dataclass(frozen=True)
class Mark:
    """How one answer to one case counts: whether it was so, for each rate; None where the case is not asked for it."""

    peer: str
    marks: dict[str, bool | None]
    error: str = ""


def marked(case: Case, known: Truth, name: str) -> Mark:
    """Ask a peer about a case.

    Parameters
    ----------
    case : Case
        The case.
    known : Truth
        What is true of it.
    name : str
        Name of the peer.

    Returns
    -------
    Mark
        How its answer counts.
    """
    peer, advises = PEERS[name]
    fails, error = known.verdict != "converges", ""
    tried = fails and advises and known.verdict != "cannot_run"
    try:
        answer = peer(case)
        cured = answer.cures() if tried else None
    except Exception as problem:
        answer, error = Answer(False), f"{case.name}: {type(problem).__name__}: {problem}"
        cured = False if tried else None
    excused = bool(answer.causes) and set(answer.causes) <= known.open
    return Mark(
        name,
        {
            "failing": answer.alarm if fails else None,
            "harmed": answer.alarm if known.causes and not fails else None,
            "healthy": answer.alarm and not excused if not known.causes and not fails else None,
            "first": bool(known.main.intersection(answer.causes[:1])) if known.main else None,
            "named": bool(known.main.intersection(answer.causes)) if known.main else None,
            "cured": cured,
        },
        error,
    )


def _chunk(job: tuple[str, int, int, int, int]) -> list[Mark]:
    generator, seed, count, part, parts = job
    made = importlib.import_module(f"benchmarks.faults.{generator}").cases(seed, count)
    marks = []
    for index, case in enumerate(made):
        if index % parts == part and (known := truth(case)).clear:
            marks += [marked(case, known, name) for name in PEERS]
    return marks


def results(generator: str, seed: int, count: int, processes: int = 1) -> dict[str, Any]:
    """Ask every peer about every case.

    Parameters
    ----------
    generator : str
        Module of the cases.
    seed, count : int
        Which cases.
    processes : int, default=1
        How many at a time.

    Returns
    -------
    dict
        Plain values: what was asked, and for each peer and rate how often it was so, of how many.
    """
    jobs = [(generator, seed, count, part, processes) for part in range(processes)]
    if processes == 1:
        marks = _chunk(jobs[0])
    else:
        with ProcessPoolExecutor(processes) as pool:
            marks = [mark for part in pool.map(_chunk, jobs) for mark in part]
    rows = {}
    for name in PEERS:
        own = [mark for mark in marks if mark.peer == name]
        asked = {key: [m.marks[key] for m in own if m.marks[key] is not None] for key in COLUMNS}
        rows[name] = {key: [sum(values), len(values)] for key, values in asked.items()}
    errors = sorted(f"{mark.peer}: {mark.error}" for mark in marks if mark.error)
    asked_for = {"generator": generator, "seed": seed, "count": count, "scored": len(marks) // len(PEERS)}
    return {**asked_for, "columns": COLUMNS, "rows": rows, "errors": errors}


def _rate(pair: list[int]) -> str:
    hits, of = pair
    return f"{100 * hits / of:.0f} %" if of else "–"


def _cells(found: dict[str, Any]) -> list[list[str]]:
    """Return the table: a head with the numbers of cases, and a row a peer."""
    rows = found["rows"]
    sizes = {key: max(row[key][1] for row in rows.values()) for key in found["columns"]}
    head = ["", *(f"{title} ({sizes[key]})" for key, title in found["columns"].items())]
    return [head, *([name, *(_rate(row[key]) for key in found["columns"])] for name, row in rows.items())]


def markdown(found: dict[str, Any]) -> str:
    """Return the table of `results`, also as read from its JSON, in Markdown.

    Parameters
    ----------
    found : dict
        What `results` returned.

    Returns
    -------
    str
        The table and what its columns mean.
    """
    head, *rows = [[cell.replace("|", "\\|") for cell in cells] for cells in _cells(found)]
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"""{table}

{found["scored"]} runs: `python -m benchmarks.faults.peers --generator {found["generator"]} --seed {found["seed"]} \
--count {found["count"]}`. In brackets, of how many runs. *Alarm*: the tool says that something is wrong, or acts, or
the library it runs in refuses the data. *Main cause*: what it points at first, or at all, is one of the right answers;
a tool that only detects has none, but text stops Keras with an error that names the type, for which all tools inside
Keras get credit. *Advice cures*: of the runs that fail but can run, those that converge, by the formula of the
verdicts, once its (first) advice is followed or it has acted; "–" is a tool without advice.
"""


def main() -> None:
    """Ask every peer about every case of a generator, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults.peers", description=main.__doc__)
    parser.add_argument("--generator", default="generator", choices=("generator", "second", "third"))
    parser.add_argument("--seed", type=int, default=1, help="decides every case")
    parser.add_argument("--count", type=int, default=200, help="how many cases")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the results into this file")
    options = parser.parse_args()
    found = results(options.generator, options.seed, options.count, options.processes)
    cells = _cells(found)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for name, *rates in cells:
        print("  ".join([name.ljust(widths[0]), *(r.rjust(w) for r, w in zip(rates, widths[1:], strict=True))]))
    for error in found["errors"]:
        print(error)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
