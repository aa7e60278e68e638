"""Show that the guard neither flakes nor sleeps: `python -m benchmarks.guard_repeats 50 docs/benchmarks/guard.json`.

The guard runs so many times as it is and as many times with linreg slowed down by a half, each in a process of its own,
in turns; what is kept are the ratios and how busy the machine was. `--name` names the machine, quiet or not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SLOWDOWN = "1.5"


def once(*arguments: str) -> dict[str, float]:
    """Run the guard in a process of its own; return its ratios."""
    command = [sys.executable, "-m", "benchmarks.guard", *arguments]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    found = subprocess.run(command, cwd=ROOT, env=alone, check=True, capture_output=True, text=True)  # noqa: S603
    return json.loads(found.stdout)


def repeated(times: int) -> dict[str, Any]:
    """Run the guard so many times both ways; return the ratios in order of size, and the machine's load."""
    plain, slowed, loads = [], [], []
    for number in range(times):
        loads.append(os.getloadavg()[0])
        plain.append(once())
        slowed.append(once("--slowdown", SLOWDOWN))
        print(f"{number + 1} of {times}, load {loads[-1]:.1f}: {plain[-1]}, slowed {slowed[-1]}", file=sys.stderr)
    return {
        "load": [round(min(loads), 1), round(max(loads), 1)],
        "cores": os.cpu_count(),
        "as it is": {name: sorted(run[name] for run in plain) for name in plain[0]},
        f"slowed down {SLOWDOWN} times": {name: sorted(run[name] for run in slowed) for name in slowed[0]},
    }


def main() -> None:
    """Repeat, and put the result into the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard_repeats", description=__doc__)
    parser.add_argument("times", type=int, help="how many times")
    parser.add_argument("file", type=Path, help="where the ratios go")
    parser.add_argument("--name", default="quiet", help="what to call this machine's state in the file")
    given = parser.parse_args()
    document = json.loads(given.file.read_text(encoding="utf-8")) if given.file.exists() else {}
    document[given.name] = repeated(given.times)
    given.file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
