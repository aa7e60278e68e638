"""`python -m benchmarks.dialects docs/tf-keras/run.json`: test, ask, train, and keep what was seen."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.dialects import record


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dialects", description=__doc__)
    parser.add_argument("file", type=Path, help="where to write the run")
    parser.add_argument("--keras-only", action="store_true", help="ask no other library")
    arguments = parser.parse_args()
    document = record.measured(others=not arguments.keras_only)
    record.save(document, arguments.file)
    changed = [claim["name"] for claim in document["claims"] if not claim["as known"]]
    print(f"{len(document['claims']) - len(changed)} of {len(document['claims'])} claims as known.", *changed)
    for who, why in document["skipped"].items():
        print(f"Skipped: {who}: {why}")


if __name__ == "__main__":
    main()
