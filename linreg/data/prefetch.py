"""One item ahead: a thread makes the next one while the last is worked on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

Item = TypeVar("Item")

LOOK_EVERY = 0.05
"""Seconds between two looks around while an item is waited for."""


def prefetched(items: Iterator[Item], stop: threading.Event, look: Callable[[], None]) -> Generator[Item, None, None]:
    """Yield the items of an iterator, each made while the one before is worked on.

    Parameters
    ----------
    items : iterator
        What to yield; it runs in a thread of its own, and only there.
    stop : threading.Event
        Set when no more is wanted, also after an error or Ctrl-C: `items` then ends as soon as it can, and is waited
        for, so that no thread is left.
    look : callable
        Called without arguments every 0.05 s while an item is waited for; what it raises ends everything.

    Yields
    ------
    object
        The items. What is raised while they are made is raised here.
    """
    from concurrent.futures import ThreadPoolExecutor, wait  # not before it is needed: it brings `logging`

    end = object()
    with ThreadPoolExecutor(1, "linreg-rows") as thread:
        try:
            coming = thread.submit(next, items, end)
            while True:
                while not wait((coming,), LOOK_EVERY).done:
                    look()
                item = coming.result()
                if item is end:
                    return
                coming = thread.submit(next, items, end)
                yield item  # type: ignore[misc]
        finally:
            stop.set()
