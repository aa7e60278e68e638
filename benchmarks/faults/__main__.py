"""Make the bench and count what is in it: `python -m benchmarks.faults --seed 1 --count 1000 --summary`."""

from __future__ import annotations

import argparse
import importlib
import inspect
from collections import Counter
from time import perf_counter

from benchmarks.faults.cases import VERDICTS, Case, Truth, truth
from benchmarks.faults.generator import ORDER


def main() -> None:
    """Make the cases; print one line for each, or with `--summary` the counts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--generator", default="generator", help="module of benchmarks.faults that makes the cases")
    parser.add_argument("--seed", type=int, default=1, help="decides every case")
    parser.add_argument("--count", type=int, default=1000, help="how many cases")
    parser.add_argument("--summary", action="store_true", help="print counts only")
    arguments = parser.parse_args()
    generator = importlib.import_module(f"benchmarks.faults.{arguments.generator}")
    begin, dropped = perf_counter(), Counter[str]()
    known = []
    told = (dropped,) if "dropped" in inspect.signature(generator.cases).parameters else ()
    for found in generator.cases(arguments.seed, arguments.count, *told):
        known.append((found, truth(found)))
        if not arguments.summary:
            print(_line(*known[-1]))
    if arguments.summary:
        _summary(known, dropped)
        print(f"\n{perf_counter() - begin:.0f} s for seed {arguments.seed}")


def _line(found: Case, known: Truth) -> str:
    causes, extra = ", ".join(sorted(known.causes)) or "healthy", ", ".join(sorted(known.open))
    main = "; main " + "/".join(sorted(known.main)) if known.main else ""
    return f"{found.name}: {known.verdict}; {causes}{main}" + (f"; open {extra}" if extra else "")


def _summary(known: list[tuple[Case, Truth]], dropped: Counter[str]) -> None:
    sizes = Counter(len(t.causes) for _, t in known)
    print(f"{len(known)} cases: " + ", ".join(f"{sizes[k]} with {k} causes" for k in sorted(sizes)))
    print(f"{sum(not t.causes and bool(c.faults) for c, t in known)} healthy ones have a harmless fault in them")
    print(f"{sum(0 < len(t.causes) < len(c.faults) for c, t in known)} keep only some of the faults that were put in\n")
    print(f"{'':24}" + "".join(f"{verdict:>12}" for verdict in VERDICTS) + "         all")
    rows = {"healthy": [t for _, t in known if not t.causes]}
    rows |= {cause: [t for _, t in known if t.causes == {cause}] for cause in ORDER}
    rows |= {name: [t for _, t in known if len(t.causes) == many] for name, many in (("pairs", 2), ("triples", 3))}
    rows |= {"all": [t for _, t in known]}
    for name, truths in rows.items():
        counts = Counter(t.verdict for t in truths)
        print(f"{name:24}" + "".join(f"{counts[verdict]:12d}" for verdict in VERDICTS) + f"{len(truths):12d}")
    print("\nseveral causes: " + ", ".join(f"{'+'.join(sorted(s))} {n}" for s, n in _several(known).most_common()))
    print("\nmain causes accepted beside the one put in: " + _counts(known, lambda t: t.main - t.causes))
    print("\nopen: " + _counts(known, lambda t: t.open - t.main))
    for what, index in (("optimizer", 0), ("loss", 1)):
        words = Counter(c.name.split(" | ")[1].split()[index] for c, _ in known)
        print(f"\n{what}: " + ", ".join(f"{name} {n}" for name, n in words.most_common()))
    places = Counter(" ".join(c.name.split(" | ")[1].split()[3:]) for c, _ in known)
    print("\ntable: " + ", ".join(f"{name} {n}" for name, n in places.most_common()))
    print(f"\n{sum(dropped.values())} draws dropped: " + ", ".join(f"{name} {n}" for name, n in dropped.most_common()))


def _several(known: list[tuple[Case, Truth]]) -> Counter[frozenset[str]]:
    return Counter(t.causes for _, t in known if len(t.causes) > 1)


def _counts(known: list[tuple[Case, Truth]], part: object) -> str:
    counts = Counter(name for _, t in known for name in part(t))
    return ", ".join(f"{name} {n}" for name, n in counts.most_common())


if __name__ == "__main__":
    main()
