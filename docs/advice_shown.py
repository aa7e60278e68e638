"""What docs/advice.md shows of a claim: what is said, what the runs decide, and both columns of losses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from IPython.display import Markdown

from benchmarks.advice import runs
from benchmarks.advice.claims import CLAIMS, Claim

FILE = Path(__file__).with_name("advice.json")
KEPT = runs.kept(FILE)


def _judged(claim: Claim) -> tuple[str, str, dict[str, runs.Seen]]:
    """Return label, sentence and what NumPy's runs show; tf.keras' runs must decide the same."""
    here = {trial.name: runs.in_numpy(trial) for trial in claim.trials}
    there = {trial.name: KEPT[claim.name, trial.name] for trial in claim.trials}
    label, sentence = claim.judge(here)
    if label != claim.judge(there)[0]:
        raise ValueError(f"{claim.name}: {label} by NumPy's runs, {claim.judge(there)[0]} by those of tf.keras.")
    return label, sentence, here


def _lines(claim: Claim) -> Iterator[str]:
    label, sentence, here = _judged(claim)
    yield f"> {claim.says}"
    yield f"\n**{label.capitalize()}.** {sentence}\n"
    yield "| loss, first epoch → last | NumPy | tf.keras |\n|---|---|---|"
    for name, seen in here.items():
        yield f"| {name} | {seen.words} | {KEPT[claim.name, name].words} |"


def shown(name: str) -> Markdown:
    """Return a claim as Markdown."""
    (claim,) = (one for one in CLAIMS if one.name == name)
    return Markdown("\n".join(_lines(claim)))


def summary() -> Markdown:
    """Return all claims with their labels, and what tf.keras' runs were made with."""
    rows = (f"| {claim.says} | {_judged(claim)[0]} |" for claim in CLAIMS)
    made_with = ", ".join(f"{name} {version}" for name, version in runs.made_with(FILE).items())
    return Markdown("\n".join(["| what is said | |", "|---|---|", *rows, "", f"The runs of tf.keras: {made_with}."]))
