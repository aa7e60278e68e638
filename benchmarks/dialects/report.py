"""The page on what tf.keras really does, from the files of runs: `python -m benchmarks.dialects.report`.

The page's own file is docs/tf-keras/run.json, which `python -m benchmarks.dialects docs/tf-keras/run.json` writes.
Other files in that folder are runs of the claims on other versions of TensorFlow and Keras.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.dialects import pictures, record

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "tf-keras"
RUN, PAGE = FOLDER / "run.json", DOCS / "tf-keras.md"
INTRODUCTION = """\
# What tf.keras really does

{count} things that `tf.keras` does and that one would not guess from its names, or from another library with the same
names. Each is a function in `linreg/keras/behaviours` that tries it on the TensorFlow that is installed: it works out
by hand what Keras is known to give, and what one might expect instead, and looks which of them comes. The tests of
linreg run them all, and let each of them fail once on a Keras that is made to behave otherwise
(`tests/test_keras_behaviours.py`). On your own TensorFlow:

```python
from linreg.keras.behaviours import observed

for known, seen in observed():  # takes some seconds
    print("as known" if seen.as_known else "CHANGED", known.name, seen.shown)
```

Beside tf.keras stands what others make of the same few numbers: linreg, other libraries, computed by the libraries
themselves, and the papers' formulas in 50-digit numbers. `python -m benchmarks.dialects docs/tf-keras/run.json` repeats
the run that this page shows, and `python -m benchmarks.dialects.report` makes the page of it.

That run: {as_known} of {count} as known, with {versions}; the checks took {seconds:g} seconds.
"""
SAME_WORDS = """\
## The same words in four libraries

"Adam, lr 0.1, epsilon 1e-3" on y = 2x + 1: nine points x = 0, 1/8, ..., 1, squared error, full batches, {steps} steps
from zero in float32, and Algorithm 1 of the paper in 50-digit numbers. The same words are two algorithms: tf.keras and
linreg add epsilon before the bias correction, PyTorch and optax after it, as Algorithm 1 does.
"""
RESULT = """\
On the line as it is, gradients are thousands of times epsilon: the first step of tf.keras is {a_little:.1%} shorter
than Algorithm 1's, and the two are never more than {apart:.1g} apart. With y measured in thousandths gradients are as
small as epsilon, and the first step is {less:.0f} times shorter. All end at the same line, because it has no noise:
where the gradient is 0, epsilon does not matter. Between libraries of one dialect there is rounding, at most
{ours:.0e} between tf.keras and linreg, {torch:.0e} between PyTorch and Algorithm 1, and {optax:.0e} between optax and
Algorithm 1: optax takes the bias correction in float32 (`adam-corrects-in-float32` below).
"""
PICTURE = """\
```{{image}} images/{name}
:alt: Slope over the first steps, and distance from Algorithm 1, for four libraries and two units of y.
```
"""
VERSIONS = """\
## Versions

The same tests on other versions, each by one command (`python -m benchmarks.dialects FILE --keras-only`). Where Keras
has changed, the test knows since when, and both are as known; the last column tells what that version does otherwise.
"""


def page(document: dict[str, Any], others: Sequence[dict[str, Any]]) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    document : dict
        The run that the numbers are from.
    others : sequence of dict
        Runs of the claims on other versions.

    Returns
    -------
    str
        The page.
    """
    claims = document["claims"]
    parts = [
        INTRODUCTION.format(
            count=len(claims),
            as_known=_as_known(document),
            versions=_versions(document),
            seconds=document["seconds of the checks"],
        ),
        *_same_words(document),
    ]
    theme = None
    for claim in claims:
        if claim["theme"] != theme:
            theme = claim["theme"]
            parts.append(f"## {theme}")
        parts += _claim(claim)
    parts += [VERSIONS, _table(("TensorFlow", "Keras", "NumPy", "as known", "otherwise than above"),
                               [_version(run, document) for run in (document, *others)])]  # fmt: skip
    if document["skipped"]:
        left_out = "".join(f"- {who}: {why}\n" for who, why in document["skipped"].items())
        parts.append(f"## Left out\n\n{left_out}")
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _as_known(document: dict[str, Any]) -> int:
    return sum(claim["as known"] for claim in document["claims"])


def _package(document: dict[str, Any], name: str) -> str:
    versions = document["versions"]
    return versions.get(f"{name}_cpu", versions.get(name, ""))


def _versions(document: dict[str, Any]) -> str:
    shown = {
        "TensorFlow": "tensorflow", "Keras": "keras", "NumPy": "numpy", "PyTorch": "torch", "JAX": "jax",
        "optax": "optax", "scikit-learn": "scikit-learn", "pandas": "pandas",
    }  # fmt: skip
    found = [f"{name} {_package(document, package)}" for name, package in shown.items() if _package(document, package)]
    return f"{', '.join(found)} on {document['processor']}"


def _same_words(document: dict[str, Any]) -> list[str]:
    units = pictures.paths(document)
    (_, whole), (_, thousandths) = units.items()
    steps = len(whole["tf.keras"])
    first, small = ({who: path[0, 0] for who, path in unit.items()} for unit in (whole, thousandths))
    result = RESULT.format(
        a_little=1 - first["tf.keras"] / first[pictures.PAPER],
        apart=pictures.off(whole, "tf.keras").max(),
        less=small[pictures.PAPER] / small["tf.keras"],
        ours=max(pictures.off(unit, "linreg", "tf.keras").max() for unit in units.values()),
        torch=max(pictures.off(unit, "PyTorch").max() for unit in units.values()),
        optax=max(pictures.off(unit, "optax").max() for unit in units.values()),
    )
    parts = [SAME_WORDS.format(steps=steps), PICTURE.format(name=pictures.NAME), result]
    for unit, by_library in units.items():
        begun = [
            (who, *(f"{slope:.6f}, {intercept:.6f}" for slope, intercept in path[:5]))
            for who, path in by_library.items()
        ]
        parts += [f"Slope and intercept after the first steps, {unit}:", _table(("", *"12345"), begun)]
    shown = [step for step in (1, 2, 5, 10, 50, 100, steps) if step <= steps]
    apart = []
    for unit, by_library in units.items():
        for who in by_library:
            if who != pictures.PAPER:
                off = pictures.off(by_library, who)
                numbers = [f"{off[step - 1]:.1e}" for step in shown]
                apart.append((unit, who, *numbers, f"{off.max():.1e} (step {off.argmax() + 1})"))
    heads = ("", "after steps:", *(str(step) for step in shown), "at most")
    return [*parts, "How far from Algorithm 1 (the larger of the two differences):", _table(heads, apart)]


def _claim(claim: dict[str, Any]) -> list[str]:
    first, stop, rest = claim["claim"].partition(". ")
    headline = f"**{first}{'.' if stop else ''}**"
    parts = [f"{headline} {rest}".rstrip() + f" (`{claim['name']}`)"]
    if not claim["as known"]:
        parts.append(f"**Changed: {claim['shown']}**")
    compared = record.comparison(claim)
    words = [(who, given) for who, given in claim["answers"] if isinstance(given, str)]
    if compared is None:
        words.insert(0, ("tf.keras", claim["shown"]))
    else:
        given = [("tf.keras", compared.seen)]
        given += [(who, numbers) for who, numbers in claim["answers"] if not isinstance(numbers, str)]
        parts.append(_table(("", "gives", "who"), _followers(compared, given)))
    return parts + (["\n".join(f"- {who}: {text}" for who, text in words)] if words else [])


def _followers(compared: record.Comparison, given: Sequence[tuple[str, Any]]) -> list[tuple[str, str, str]]:
    """Return a row for each formula, with those who follow it, and one for each whose numbers are others."""
    who: dict[str, list[str]] = {words: [] for words in compared.formulas}
    rest = []
    for name, numbers in given:
        followed = compared.followed([float(number) for number in numbers])
        if followed is None:
            rest.append(("something else", compared.written([float(number) for number in numbers]), name))
        else:
            who[followed].append(name)
    # What Keras gave stands in the place of what its formula gives without rounding.
    gives = dict(compared.formulas)
    followed = compared.followed(compared.seen)
    if followed is not None:
        gives[followed] = compared.seen
    return [(words, compared.written(numbers), ", ".join(who[words])) for words, numbers in gives.items()] + rest


def _version(run: dict[str, Any], document: dict[str, Any]) -> tuple[str, ...]:
    above = {claim["name"]: _followed(claim) for claim in document["claims"]}
    other = [
        f"`{claim['name']}`: {_followed(claim)}"
        for claim in run["claims"]
        if _followed(claim) != above.get(claim["name"])
    ]
    count = f"{_as_known(run)} of {len(run['claims'])}"
    packages = (_package(run, name) for name in ("tensorflow", "keras", "numpy"))
    return (*packages, count, "; ".join(other))


def _followed(claim: dict[str, Any]) -> str:
    compared = record.comparison(claim)
    return "" if compared is None else compared.followed(compared.seen) or "something else"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return "\n".join(lines + [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows])


def runs() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the run of the page and those of other versions, newest first."""
    others = [record.load(path) for path in sorted(FOLDER.glob("*.json"), reverse=True) if path != RUN]
    return record.load(RUN), others


def main() -> None:
    """Write the page and its picture."""
    document, others = runs()
    pictures.draw(document, DOCS / "images")
    PAGE.write_text(page(document, others), encoding="utf-8")


if __name__ == "__main__":
    main()
