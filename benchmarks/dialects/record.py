"""One run as a document: versions, what every check saw, what others answered, and the paths of the line."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.dialects import same_words
from benchmarks.dialects.asking import collected
from linreg.keras.behaviours import THEMES, Comparison, observed

KIND = "linreg dialects"
PACKAGES = (
    *("linreg", "numpy", "tensorflow_cpu", "tensorflow", "keras"),
    *("torch", "jax", "optax", "scikit-learn", "pandas"),
)


def versions() -> dict[str, str]:
    """Return the versions of all packages that are installed and may matter."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


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
        "versions": versions(),
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
    parts = []
    for name, value in document.items():
        if isinstance(value, list) and value:
            lines = ",\n".join(json.dumps(entry, allow_nan=False) for entry in value)
            parts.append(f"{json.dumps(name)}: [\n{lines}\n]")
        else:
            parts.append(f"{json.dumps(name)}: {json.dumps(value, allow_nan=False)}")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def load(path: Path) -> dict[str, Any]:
    """Read a document."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if document.get("kind") != KIND:
        raise ValueError(f"{str(path)!r} holds no run of benchmarks.dialects.")
    return document
