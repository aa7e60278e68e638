"""Ctrl-C and SIGTERM: a run that is asked to stop ends between two steps, and at once if it is asked again."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
"""What a process exits with that Ctrl-C or SIGTERM has ended."""


class Terminated(SystemExit):
    """SIGTERM, as an exception: the process ends with code 143, and what was begun is cleared up."""

    def __init__(self, words: str = "stopped.") -> None:
        super().__init__(TERMINATED)
        self.words = words


def terminate(*_: object) -> NoReturn:
    """End what is running with `Terminated`; a handler for SIGTERM."""
    raise Terminated


class Watch:
    """While the block runs, a first Ctrl-C or SIGTERM is noted; a second one acts at once.

    Signals that somebody else handles are left to them, and all of them outside the main thread.

    Parameters
    ----------
    noted : callable
        Called with the first signal.
    terminates : bool
        Whether SIGTERM is noted too where it would end the process on the spot. Where it raises `Terminated` it always
        is.
    """

    def __init__(self, noted: Callable[[int], object], *, terminates: bool) -> None:
        self._noted, self._previous = noted, dict[int, Any]()
        self._heard: dict[int, list[Any]] = {signal.SIGINT: [signal.default_int_handler]}
        self._heard[signal.SIGTERM] = [terminate, *([signal.SIG_DFL] if terminates else [])]

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number, handlers in self._heard.items():
                if signal.getsignal(number) in handlers:
                    self._previous[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, _: object) -> None:
        self._let_go()
        self._noted(number)

    def _let_go(self) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())

    def __exit__(self, *exception: object) -> None:
        self._let_go()


def stop(number: int, words: str) -> NoReturn:
    """Raise what a signal is to an interpreter: KeyboardInterrupt or `Terminated`, with words on where it stopped.

    Parameters
    ----------
    number : int
        The signal.
    words : str
        Where it stopped.
    """
    if number == signal.SIGTERM:
        if signal.getsignal(number) is not terminate and sys.stderr is not None:
            sys.stderr.write(f"{words}\n")  # Python says nothing at a SystemExit; the command line does
        raise Terminated(words)
    raise KeyboardInterrupt(words)
