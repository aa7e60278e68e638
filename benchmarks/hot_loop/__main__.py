"""Measure and save: `python -m benchmarks.hot_loop FILE.json`; `benchmarks.hot_loop.report` then makes the page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import perf_counter

from benchmarks.hot_loop.run import check_device, chosen, jobs, run


def main() -> None:
    """Run everything, and write the document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hot_loop", description=__doc__)
    parser.add_argument("file", type=Path, help="where the document goes")
    parser.add_argument("--which", choices=("quick", "standard", "all"), default="all", help="how much")
    parser.add_argument("--peers", help="names of peers, separated by commas; all if left out")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    arguments = parser.parse_args()
    check_device(arguments.device)
    begin = perf_counter()

    def advance(name: str) -> None:
        print(f"{perf_counter() - begin:6.0f} s  {name}", file=sys.stderr, flush=True)

    planned = jobs(arguments.which, chosen(arguments.peers), arguments.device)
    run(planned, arguments.device, advance, arguments.file)


if __name__ == "__main__":
    main()
