"""One run as a document: versions, what every check saw, what others answered, and the paths of the line."""

from __future__ import annotations

import platform
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.dialects import same_words
from benchmarks.dialects.asking import collected
from benchmarks.installed import versions
from linreg.json_files import read_json, write_json
from linreg.keras.behaviours import THEMES, Comparison, observed

KIND = "linreg dialects"
PACKAGES = (
    *("linreg", "numpy", "tensorflow_cpu", "tensorflow", "keras"),
    *("torch", "jax", "optax", "scikit-learn", "pandas"),
)


def measured(*, others: bool = True) -> dict[str, Any]:
    """Test every claim and, with `others`, ask everybody else and train the line; return the document."""
    begun = perf_counter()
    claims = [
        {
            "name": known.name,
            "theme": THEMES[known.theme],
            "claim": known.claim,
            "as known": seen.as_known,
            "shown": seen.shown,
            "compared": None if seen.compared is None else _compared(seen.compared),
            "answers": [],
        }
        for known, seen in observed()
    ]
    seconds = perf_counter() - begun
    answers, skipped = collected() if others else ([], {})
    by_name = {claim["name"]: claim for claim in claims}
    for answer in answers:
        given = answer.given()
        by_name[answer.claim]["answers"].append([answer.who, given if isinstance(given, str) else _numbers(given)])
    paths, left_out = same_words.trained() if others else ({}, {})
    return {
        "kind": KIND,
        "versions": versions(PACKAGES),
        "processor": platform.machine(),
        "seconds of the checks": round(seconds, 1),
        "skipped": skipped | left_out,
        "claims": claims,
        "paths": [
            {"unit": unit, "who": who, "path": path} for unit, all_ in paths.items() for who, path in all_.items()
        ],
    }


def _compared(compared: Comparison) -> dict[str, Any]:
    return {
        "seen": _numbers(compared.seen),
        "formulas": {words: _numbers(numbers) for words, numbers in compared.formulas.items()},
        "within": compared.within,
    }


def _numbers(numbers: Any) -> list[float | str]:
    """Return numbers as JSON can hold them: nan and inf as words."""
    return [number if abs(number) < float("inf") else str(number) for number in numbers]


def comparison(entry: dict[str, Any]) -> Comparison | None:
    """Return the comparison of a claim in a document, or None where it compares nothing."""
    kept = entry["compared"]
    if kept is None:
        return None
    formulas = {words: tuple(map(float, numbers)) for words, numbers in kept["formulas"].items()}
    return Comparison(tuple(map(float, kept["seen"])), formulas, kept["within"])


def save(document: dict[str, Any], path: Path) -> None:
    """Write the document as JSON, one claim or path a line."""
    write_json(document, path)


def load(path: Path) -> dict[str, Any]:
    """Read a document."""
    return read_json(path, KIND, "holds no run of benchmarks.dialects.")
