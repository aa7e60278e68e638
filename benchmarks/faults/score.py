"""How often `diagnose` is right, against the truth of generated runs."""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import linreg
from benchmarks.faults.cases import Case, truth
from linreg.diagnosis import diagnose


@dataclass
class Score:
    """What one diagnosis said, and what was true."""

    name: str
    verdict: str
    true_verdict: str
    causes: list[str]
    true_causes: list[str]
    true_main: list[str]
    open_causes: list[str]
    cured: bool | None
    seconds: float
    error: str = ""
    flags: list[str] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Whether nothing was wrong with the run."""
        return not self.true_causes and self.true_verdict == "converges"

    def misses(self) -> list[str]:
        """Return what was wrong with the diagnosis."""
        missed = []
        if self.verdict != self.true_verdict:
            missed.append("verdict")
        if self.true_main and (not self.causes or self.causes[0] not in self.true_main):
            missed.append("main")
        # As for the main cause, collinear columns are an answer to ill-conditioning where they are there.
        alike = {"ill_conditioned"} if "collinearity" in {*self.open_causes} & {*self.causes} else set()
        if not set(self.true_causes) - alike <= set(self.causes):
            missed.append("causes")
        if self.healthy and set(self.causes) - set(self.open_causes):
            missed.append("false alarm")
        if self.cured is False:
            missed.append("cure")
        return missed


def scored(case: Case) -> Score | None:
    """Return the score of one case; None where its truth is not clear."""
    known = truth(case)
    if not known.clear:
        return None
    start = time.perf_counter()
    try:
        found = diagnose(
            case.X, case.y, sample_weight=case.sample_weight, validation_data=case.validation_data, **case.settings
        )
        verdict, causes, error = found.verdict, [finding.cause for finding in found.findings], ""
        cured = None
        if verdict not in ("converges", "cannot_run") and found.findings and found.findings[0].remedies:
            after = found.findings[0].remedies[0].after
            cured = after is not None and after.healthy
    except Exception as problem:
        verdict, causes, cured, error = "crash", [], None, f"{type(problem).__name__}: {problem}"
    seconds = time.perf_counter() - start
    listed = sorted(known.causes), sorted(known.main), sorted(known.open)
    return Score(case.name, verdict, known.verdict, causes, *listed, cured, seconds, error)


def _chunk(job: tuple[str, int, int, int, int]) -> list[Score]:
    generator, seed, count, part, parts = job
    cases = importlib.import_module(f"benchmarks.faults.{generator}").cases(seed, count)
    scores = (scored(case) for index, case in enumerate(cases) if index % parts == part)
    return [score for score in scores if score is not None]


def summary(scores: list[Score]) -> dict[str, Any]:
    """Return the rates that are promised."""

    def rate(what: str, of: list[Score]) -> str:
        wrong = sum(what in score.misses() for score in of)
        return f"{100 * (1 - wrong / len(of)):.1f} % of {len(of)}" if of else "-"

    faulty = [score for score in scores if score.true_main]
    pairs = [score for score in scores if len(score.true_causes) == 2]
    triples = [score for score in scores if len(score.true_causes) > 2]
    healthy = [score for score in scores if score.healthy]
    tried = [score for score in scores if score.cured is not None and score.true_main]
    return {
        "verdict right": rate("verdict", scores),
        "main cause right": rate("main", faulty),
        "all causes of a pair found": rate("causes", pairs),
        "all causes of a triple found": rate("causes", triples),
        "healthy runs without false alarm": rate("false alarm", healthy),
        "first remedy cures": rate("cure", tried),
        "seconds a diagnosis, median": sorted(score.seconds for score in scores)[len(scores) // 2],
        "seconds a diagnosis, largest": max(score.seconds for score in scores),
    }


def confusion(scores: list[Score]) -> list[tuple[str, str, int]]:
    """Return how often each cause was named first for each true main cause, "nothing" where there is none."""
    counts: Counter[tuple[str, str]] = Counter()
    for score in scores:
        named = score.causes[0] if score.causes else "nothing"
        if score.healthy and named in score.open_causes:
            named = "nothing"
        true = named if named in score.true_main else next(iter(score.true_main), "nothing")
        counts[true, named] += 1
    return [(true, named, times) for (true, named), times in sorted(counts.items())]


def main() -> None:
    """Score a generator and print the rates, the confusion of main causes, and every miss."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--generator", default="generator")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--misses", type=int, default=40, help="how many misses to print")
    parser.add_argument("--json", type=Path, help="write rates, confusion and misses into this file")
    options = parser.parse_args()
    parts = options.processes
    jobs = [(options.generator, options.seed, options.count, part, parts) for part in range(parts)]
    with ProcessPoolExecutor(parts) as pool:
        scores = [score for part in pool.map(_chunk, jobs) for score in part]
    for name, value in summary(scores).items():
        print(f"{name:40} {value}")
    for true, named, times in confusion(scores):
        if true != named:
            print(f"{times:5}  {true}  named  {named}")
    missed = sorted((score for score in scores if score.misses()), key=lambda score: score.name)
    for score in missed[: options.misses]:
        print(
            f"{','.join(score.misses())}: {score.name}: {score.verdict} (true {score.true_verdict}); named "
            f"{score.causes}, true {score.true_causes}, main {score.true_main}, open {score.open_causes} {score.error}"
        )
    if options.json:
        kept = {
            "generator": options.generator,
            "seed": options.seed,
            "count": options.count,
            "linreg": linreg.__version__,
            "numpy": np.__version__,
            "rates": summary(scores),
            "confusion": confusion(scores),
            "misses": [{"missed": score.misses(), **asdict(score)} for score in missed],
        }
        options.json.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
