"""The command line: one thin command a job.

Exit code 0: all is well; 1: something was found; 2: it could not be done; 130 or 143: it was stopped, by Ctrl-C or by
SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from linreg.stopping import INTERRUPTED, TERMINATED, Terminated, terminate

FOUND, FAILED, STOPPED, PIPE_CLOSED = 1, 2, INTERRUPTED, 141


class StoppedError(Exception):
    """Ctrl-C or SIGTERM in a run, with words on where it stopped; Typer would lose those of a KeyboardInterrupt."""

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words or "stopped.")
        self.code = code


def main() -> None:
    """Run the command line of `linreg` and exit with its code."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, terminate)  # so that files and threads are cleared up
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has had enough of it; nothing more may be written, not even at the end of Python.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = PIPE_CLOSED
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; whatever goes wrong is one line on stderr.

    Parameters
    ----------
    arguments : sequence of str
        The arguments after the program's name.

    Returns
    -------
    int
        0, 1 (something was found), 2 (it could not be done), 130 (stopped by Ctrl-C) or 143 (by SIGTERM).
    """
    try:
        import rich  # noqa: F401 (only asks whether it is there)
        import typer
    except ImportError:
        return _fail("The command line needs Typer and Rich: pip install 'linreg[cli]'.")
    from linreg.cli.app import app

    # Typer has brought its own copy of Click since 0.26, so its exceptions are found through Typer.
    usage_error: Any = typer.BadParameter.__bases__[0]
    try:
        code = typer.main.get_command(app).main(list(arguments) or ["--help"], "linreg", standalone_mode=False)
    except usage_error as error:
        return _fail(f"{error.format_message()} See: linreg --help")
    except (typer.Abort, KeyboardInterrupt):
        code = STOPPED
    except StoppedError as stopped:
        _fail(str(stopped))
        return stopped.code
    except Terminated:
        _fail("stopped.")
        return TERMINATED
    except BrokenPipeError:
        raise
    except (ImportError, OSError, TypeError, ValueError) as error:
        return _fail(str(error))
    if code == STOPPED:
        _fail("stopped.")
    return int(code or 0)


def _fail(message: str) -> int:
    # One line, and nothing out of a file may reach the terminal as a control code.
    line = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in " ".join(message.split()))
    print(f"linreg: {line}", file=sys.stderr)  # noqa: T201 (Rich may be what is missing)
    return FAILED
