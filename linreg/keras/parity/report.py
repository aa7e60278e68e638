"""The page on parity by version, from the files of `linreg parity --save`: `python -m linreg.keras.parity.report docs`.

The files are docs/parity/*.json, each of which one command wrote (`tox -e parity-tf219`); a test holds that the page
and its picture are the ones made from them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from linreg.keras.parity import words
from linreg.keras.parity.document import read
from linreg.keras.parity.modes import MODES
from linreg.keras.parity.picture import Row, draw
from linreg.keras.parity.prose import INTRODUCTION, VERSIONS

Document = dict[str, Any]
Key = tuple[str, str]

HEADINGS = {"table": "Rules: worst ULP in 20 steps", "runs": "Whole runs: worst ULP of a parameter in 12 epochs"}
RUN = dict(zip(MODES, ("eagerly", "as a graph", "by XLA"), strict=True))
PAGE, PICTURE = "parity.md", Path("images", "parity.svg")


def documents(docs: Path) -> dict[str, Document]:
    """Read every kept comparison, in the order of versions.

    Parameters
    ----------
    docs : Path
        The folder of the documentation.

    Returns
    -------
    dict of str to dict
        Documents by the name of the environment that made them.
    """
    kept = {path.stem: read(path) for path in (docs / "parity").glob("*.json")}
    return dict(sorted(kept.items(), key=lambda item: _version(item[1])))


def _version(document: Document) -> list[tuple[int, ...]]:
    versions = document["versions"]
    return [tuple(map(int, versions[name].split(".")[:2])) for name in ("TensorFlow", "Keras")]


def page(found: dict[str, Document]) -> str:
    """Return the page.

    Parameters
    ----------
    found : dict of str to dict
        Documents by name, in the order of versions.

    Returns
    -------
    str
        Markdown.
    """
    every = list(found.values())
    heads = ("TensorFlow", "Keras", "NumPy", "Python")
    made = [
        (*(one["versions"][head] for head in heads), _machine(one), str(len(words.problems(one)) or "nothing"),
         f"`tox -e {name}`")
        for name, one in found.items()
    ]  # fmt: skip
    parts = [
        INTRODUCTION,
        "## Version by version",
        VERSIONS,
        _markdown((*heads, "machine", "found", "made by"), made),
        "```{image} images/parity.svg\n:alt: Worst ULP of each rule and run in each mode by version.\n```",
        "### What changed",
        "\n".join(_changes(every)),
        "### Rules",
        f"Worst ULP of any number, and its share of the bound, oneDNN on. {_onednn(every, 'table')}",
        _by_mode(every, "table"),
        "### Whole runs",
        f"Worst ULP of a parameter, and the share of the bound, oneDNN on. {_onednn(every, 'runs')}",
        _by_mode(every, "runs"),
        "### Known behaviours",
        *_behaviours(every),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def svg(found: dict[str, Document]) -> str:
    """Return the picture.

    Parameters
    ----------
    found : dict of str to dict
        Documents by name, in the order of versions.

    Returns
    -------
    str
        SVG.
    """
    every = list(found.values())
    earlier, sections = _earlier(every), {}
    for section, heading in HEADINGS.items():
        lines = _lines(every, section)
        sections[heading] = [
            Row(
                *key,
                [part and part["worst_ulp"] for part in line],
                [before is not None and _other(line[before], part) for before, part in zip(earlier, line, strict=True)],
            )
            for key, line in lines.items()
        ]
    return draw([(f"TF {tensorflow}", f"Keras {keras}") for tensorflow, keras in map(_two, every)], sections)


def _two(document: Document) -> list[str]:
    """Return the versions of TensorFlow and of Keras, to their second number."""
    return [".".join(map(str, version)) for version in _version(document)]


def _named(document: Document) -> str:
    return "TF {} with Keras {}".format(*_two(document))


def _machine(document: Document) -> str:
    system = document["system"]
    return f"{system['system']} {system['machine']}, {', '.join(system['devices'])}"


def _parts(document: Document, section: str, setting: str = "on") -> dict[Key, Any]:
    """Return the cells or runs of a document on a CPU with one setting of oneDNN, by name and mode."""
    return {
        (part.get("rule") or part["run"], part["mode"]): part
        for part in document[section]
        if part["onednn"] == setting and part["device"] == "CPU"
    }


def _lines(every: list[Document], section: str) -> dict[Key, list[Any]]:
    """Return the cells or runs of all documents, side by side; None where one has none."""
    parts = [_parts(one, section) for one in every]
    return {key: [one.get(key) for one in parts] for key in dict.fromkeys(key for one in parts for key in one)}


def _other(before: Any, after: Any) -> bool:
    """Whether a part came out other than before, in whatever was noted of it."""
    return before is not None and after is not None and before != after


def _earlier(every: list[Document]) -> list[int | None]:
    """Return with which document each is compared: the first of its TensorFlow, or of the TensorFlow before it."""
    of_version: dict[str, int] = {}
    earlier: list[int | None] = []
    for i, (tensorflow, _) in enumerate(map(_two, every)):
        before = [first for version, first in of_version.items() if version != tensorflow]
        earlier.append(of_version.get(tensorflow, before[-1] if before else None))
        of_version.setdefault(tensorflow, i)
    return earlier


def _changes(every: list[Document]) -> Iterator[str]:
    for first, after in zip(_earlier(every), every, strict=True):
        if first is None:
            continue
        before, changed = every[first], []
        for section in HEADINGS:
            was, now = _parts(before, section), _parts(after, section)
            changed += [", ".join(key) for key in now if _other(was.get(key), now[key])]
        shown = {one["name"]: _shown(one) for one in before["behaviours"]}
        otherwise = [f"`{one['name']}`" for one in after["behaviours"] if shown.get(one["name"]) != _shown(one)]
        changed += [f"the behaviours {', '.join(otherwise)}"] if otherwise else []
        yield f"- {_named(before)} to {_named(after)}: {'; '.join(changed) or 'nothing, to the last bit'}."


def _shown(behaviour: dict[str, Any]) -> str:
    """Return what was seen of a behaviour."""
    return str(behaviour["shown"]) + ("" if behaviour["as_known"] else " (**changed**)")


def _onednn(every: list[Document], section: str) -> str:
    """Say what oneDNN changes."""
    pairs = [
        (key, {**one, "onednn": "off"} != _parts(document, section, "off").get(key))
        for document in every
        for key, one in _parts(document, section).items()
    ]
    modes = dict.fromkeys(mode for (_, mode), changed in pairs if changed)
    if not modes:
        return "With oneDNN off every number is the same."
    return (
        f"With oneDNN off {sum(changed for _, changed in pairs)} of {len(pairs)} come out otherwise in the last bits, "
        f"all of them run {' or '.join(RUN[mode] for mode in modes)}."
    )


def _by_mode(every: list[Document], section: str) -> str:
    """Return a table of rules or runs by mode; versions that agree are told once."""
    lines = _lines(every, section)

    def told(part: dict[str, Any]) -> str:
        return f"{part['worst_ulp']:,} ({words.bound(part)})" if part["first"] else "0"

    def cell(line: list[Any]) -> str:
        return _by_version(every, [None if part is None else told(part) for part in line])

    names = dict.fromkeys(name for name, _ in lines)
    rows = [(name, *(cell(lines.get((name, mode), [None] * len(every))) for mode in MODES)) for name in names]
    return _markdown(("", *MODES), rows)


def _by_version(every: list[Document], texts: Sequence[str | None]) -> str:
    """Return what holds for all documents, or what holds for which; versions that agree are told once."""
    groups: dict[str, list[str]] = {}
    for document, text in zip(every, texts, strict=True):
        if text is not None:
            groups.setdefault(text, []).append(" / ".join(_two(document)))
    if len(groups) == 1:
        return next(iter(groups))
    return "<br>".join(f"{', '.join(versions)}: {text}" for text, versions in groups.items())


def _behaviours(every: list[Document]) -> Iterator[str]:
    """Yield how many are as known, and what of them differs from version to version."""
    counts = [
        f"{sum(one['as_known'] for one in document['behaviours'])} of {len(document['behaviours'])}"
        for document in every
    ]
    yield f"As known: {_by_version(every, counts)}."
    claims = {one["name"]: one["claim"] for document in every for one in document["behaviours"]}
    seen = [{one["name"]: _shown(one) for one in document["behaviours"]} for document in every]
    rows = [
        (f"`{name}`", claim, _by_version(every, [one.get(name) for one in seen]))
        for name, claim in claims.items()
        if len({one.get(name) for one in seen}) > 1
    ]
    if rows:
        yield "What is seen of these depends on the version:"
        yield _markdown(("behaviour", "", "TensorFlow / Keras: seen"), rows)


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in rows:
        escaped = (cell.replace("|", "\\|") for cell in row)
        lines.append(f"| {' | '.join(escaped)} |")
    return "\n".join(lines)


def write(docs: Path) -> None:
    """Write the page and its picture.

    Parameters
    ----------
    docs : Path
        The folder of the documentation.
    """
    found = documents(docs)
    (docs / PAGE).write_text(page(found), encoding="utf-8")
    (docs / PICTURE).write_text(svg(found), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
