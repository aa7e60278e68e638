"""Documents of plain values as JSON that a diff can show, written whole or not at all and told from other files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from linreg.whole_files import write_text


def json_text(document: dict[str, Any], *, sort_keys: bool = False) -> str:
    """Return a document as JSON, each entry of its lists on a line of its own.

    Parameters
    ----------
    document : dict
        Plain values; nan and infinity are refused, because JSON has none.
    sort_keys : bool, default=False
        Whether all keys are sorted, so that the same results are the same text.

    Returns
    -------
    str
        JSON.

    Raises
    ------
    ValueError
        If a number is not finite.
    """

    def line(value: Any) -> str:
        return json.dumps(value, sort_keys=sort_keys, allow_nan=False)

    parts = []
    for name in sorted(document) if sort_keys else document:
        value = document[name]
        listed = isinstance(value, list) and value
        parts.append(f"{line(name)}: " + ("[\n" + ",\n".join(map(line, value)) + "\n]" if listed else line(value)))
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write_json(document: dict[str, Any], path: Path, *, sort_keys: bool = False) -> None:
    """Write a document to a file; one that is there stays as it is until the new one is complete.

    Parameters
    ----------
    document : dict
        As for `json_text`.
    path : Path
        The file.
    sort_keys : bool, default=False
        As for `json_text`.

    Raises
    ------
    ValueError
        If a number is not finite.
    OSError
        If the file cannot be written.
    """
    write_text(path, json_text(document, sort_keys=sort_keys))


def read_json(path: str | os.PathLike[str], kind: str, otherwise: str) -> dict[str, Any]:
    """Read a document of a kind.

    Parameters
    ----------
    path : path
        The file.
    kind : str
        What its entry "kind" must be.
    otherwise : str
        What is wrong with any other file, for the error.

    Returns
    -------
    dict
        The document.

    Raises
    ------
    ValueError
        If the file is something else.
    """
    try:
        document: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        known = document["kind"] == kind
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        known = False
    if not known:
        raise ValueError(f"{str(path)!r} {otherwise}")
    return document
