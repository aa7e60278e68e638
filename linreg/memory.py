"""How much memory a run may use: sizes as people write them, and what the machine has."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux tells a container what it may use."""
SHARE = 4
"""A run may use one part in so many of the machine's memory, unless it is told otherwise."""
OTHERWISE = 2**32
"""Bytes that a machine is taken to have if it does not tell."""


def of_the_machine() -> int:
    """Return the bytes of the machine's memory, or of what its container may use; 4 GiB where that is not known."""
    found = []
    with suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for place in LIMITS:
        with suppress(ValueError, OSError):  # no such file, or "max"
            found.append(int(Path(place).read_text(encoding="ascii")))
    return min(found, default=OTHERWISE)


def in_bytes(owner: str, memory: Any) -> int:
    """Return a budget in bytes.

    Parameters
    ----------
    owner : str
        Whose parameter it is, for the error.
    memory : None, int or str
        Bytes, or text like "512MB" (kB, MB, GB and TB are powers of 1,000; KiB, MiB, GiB and TiB of 1,024); None is a
        quarter of the machine's memory.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    TypeError
        If it is of another type.
    ValueError
        If it is not above 0, or is no such text.
    """
    if memory is None:
        return of_the_machine() // SHARE
    problem = f'{owner}: memory must be bytes or text like "512MB" or "2GiB", above 0, got {memory!r}.'
    if isinstance(memory, bool) or not isinstance(memory, int | str):
        raise TypeError(problem)
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", str(memory), re.IGNORECASE | re.ASCII)
    size = 0 if found is None else int(float(found[1]) * UNITS[(found[2] or "").lower()])
    if size <= 0:
        raise ValueError(problem)
    return size


def shown(size: int) -> str:
    """Return bytes as text that `in_bytes` reads as no less."""
    return f"{-(-size // 10**6)}MB" if size > 10**6 else str(size)
