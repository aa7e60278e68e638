"""The page on what tf.keras really does: made from the run that is kept, which linreg and others still repeat."""

import copy
import subprocess
import sys
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the package benchmarks.dialects

from benchmarks.dialects import asking, linreg_answers, paper_answers, pictures, record, report, same_words
from linreg.keras.behaviours import BEHAVIOURS, THEMES

RUN, OTHERS = report.runs()
COMPARED = {claim["name"]: record.comparison(claim) for claim in RUN["claims"]}


def test_the_page_is_made_from_the_runs_that_are_kept():
    assert report.page(RUN, OTHERS) == report.PAGE.read_text(encoding="utf-8")
    assert (report.DOCS / "images" / pictures.NAME).read_bytes().startswith(b"\x89PNG")


def test_the_run_of_the_page_has_all_claims_as_they_read_today():
    assert [(claim["name"], claim["claim"], claim["theme"]) for claim in RUN["claims"]] == [
        (known.name, known.claim, THEMES[known.theme]) for known in BEHAVIOURS
    ]
    assert RUN["skipped"] == {}


@pytest.mark.parametrize("run", [RUN, *OTHERS], ids=lambda run: run["versions"]["keras"])
def test_every_run_that_is_kept_has_all_its_claims_as_known(run):
    assert {claim["name"] for claim in run["claims"]} <= {known.name for known in BEHAVIOURS}
    assert [claim["name"] for claim in run["claims"] if not claim["as known"]] == []


def test_the_runs_that_are_kept_are_of_four_tensorflows_and_five_keras():
    versions = [run["versions"] for run in (RUN, *OTHERS)]
    assert len({version["tensorflow_cpu"][:4] for version in versions}) == 4
    assert len({version["keras"] for version in versions}) == 5


def given_today(source):
    """Return what a module of answers says today, by claim and name."""
    return {(answer.claim, answer.who): answer.given() for answer in asking.ANSWERS if answer.ask.__module__ == source}


def followed(claim, given):
    return given if isinstance(given, str) else COMPARED[claim].followed([float(number) for number in given])


def kept(source):
    """Return what the run that is kept has of the same answers."""
    asked = set(given_today(source))
    return {
        (claim["name"], who): given
        for claim in RUN["claims"]
        for who, given in claim["answers"]
        if (claim["name"], who) in asked
    }


@pytest.mark.parametrize("module", [linreg_answers, paper_answers], ids=["linreg", "papers"])
def test_answers_follow_the_formulas_that_the_page_says(module):
    today, page = given_today(module.__name__), kept(module.__name__)
    assert today.keys() == page.keys()
    assert {key: followed(key[0], given) for key, given in today.items()} == {
        key: followed(key[0], given) for key, given in page.items()
    }


@pytest.mark.parametrize("library", ["torch", "optax"])
def test_other_libraries_follow_the_formulas_that_the_page_says(library):
    pytest.importorskip(library, reason=f"{library} is not installed: its answers are those of the run that is kept")
    name = f"benchmarks.dialects.{library}_answers"
    __import__(name)
    today, page = given_today(name), kept(name)
    assert len(today) > 20
    # Numbers only: what is said in words may be another library's error message.
    assert {key: followed(key[0], given) for key, given in today.items() if not isinstance(given, str)} == {
        key: followed(key[0], given) for key, given in page.items() if not isinstance(given, str)
    }


def test_all_numbers_of_the_page_follow_one_of_its_formulas():
    lost = [
        (claim["name"], who)
        for claim in RUN["claims"]
        for who, given in claim["answers"]
        if not isinstance(given, str) and followed(claim["name"], given) is None
    ]
    assert lost == []


# Where linreg does otherwise on purpose; docs/dialects.md says why.
OWN_WAY = {
    "ema-overwrites-the-weights",
    "callbacks-compare-in-float32",
    "float64-momentum-is-rounded",
    "subnormals-are-flushed",
}


def test_linreg_follows_keras_but_where_it_says_so():
    otherwise = {
        claim
        for (claim, who), given in kept(linreg_answers.__name__).items()
        if who == "linreg" and not isinstance(given, str)
        if followed(claim, given) != COMPARED[claim].followed(COMPARED[claim].seen)
    }
    assert otherwise == OWN_WAY


def test_a_library_that_is_missing_is_named():
    code = (
        "import sys\n"
        "for name in ('torch', 'optax', 'pandas'): sys.modules[name] = None\n"
        "from benchmarks.dialects.asking import collected\n"
        "answers, skipped = collected()\n"
        "print(*sorted(skipped), *{answer.who for answer in answers if answer.who == 'linreg'})\n"
    )
    root = str(Path(__file__).parents[1])
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)  # noqa: S603
    assert ran.stdout.split() == ["PyTorch", "optax", "scikit-learn", "linreg"]


def test_what_has_changed_and_what_follows_nothing_is_told():
    run = copy.deepcopy(RUN)
    claim = run["claims"][0]
    claim |= {"as known": False, "shown": "0.05 (known: 0.003065343)"}
    claim["compared"]["seen"] = [0.05]
    claim["answers"].append(["somebody", [0.5]])
    run["skipped"] = {"PyTorch": "No module named 'torch'"}
    page = report.page(run, [])
    assert f"{len(run['claims']) - 1} of {len(run['claims'])} as known" in page
    assert "**Changed: 0.05 (known: 0.003065343)**" in page
    assert "| after the bias correction | 0.05 | tf.keras, PyTorch," in page
    assert "| something else | 0.5 | somebody |" in page
    assert "- PyTorch: No module named 'torch'" in page


def test_a_file_that_holds_no_run_is_refused(tmp_path):
    file = tmp_path / "run.json"
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"run\.json' holds no run of benchmarks\.dialects"):
        record.load(file)
    record.save(RUN, file)
    assert record.load(file) == RUN


PATHS = pictures.paths(RUN)


def data(unit):
    return same_words.X.astype("f"), ((2 * same_words.X + 1) / same_words.UNITS[unit]).astype("f")


@pytest.mark.parametrize("unit", same_words.UNITS)
def test_linreg_and_algorithm_1_still_take_the_steps_of_the_page(unit):
    kept = PATHS[unit]
    np.testing.assert_allclose(same_words.algorithm_1(*data(unit)), kept[pictures.PAPER], rtol=1e-8)
    # Sums of nine numbers may be taken in another order: some roundings in each of 200 steps of 0.1.
    np.testing.assert_allclose(same_words.linreg(*data(unit)), kept["linreg"], atol=1e-6)


def epsilon_hat(x, y):
    """Follow the paper's text before section 2.1 in 50-digit numbers, which is what tf.keras is known to do."""
    with localcontext(prec=50):
        columns = list(zip(*([Decimal(float(number)) for number in column] for column in (x, y)), strict=True))
        alpha, b1, b2, epsilon = map(Decimal, ("0.1", "0.9", "0.999", "0.001"))
        theta, m, v = ([Decimal(0)] * 2 for _ in range(3))
        path = []
        for t in range(1, same_words.STEPS + 1):
            errors = [theta[0] * a + theta[1] - b for a, b in columns]
            slopes = [sum(e * a for e, (a, _) in zip(errors, columns, strict=True)), sum(errors)]
            for i, slope in enumerate(slopes):
                g = 2 * slope / len(columns)
                m[i], v[i] = b1 * m[i] + (1 - b1) * g, b2 * v[i] + (1 - b2) * g * g
                theta[i] -= alpha * (1 - b2**t).sqrt() / (1 - b1**t) * m[i] / (v[i].sqrt() + epsilon)
            path.append([float(number) for number in theta])
    return np.array(path)


@pytest.mark.parametrize("unit", same_words.UNITS)
def test_the_four_libraries_are_two_algorithms_up_to_rounding(unit):
    paths = PATHS[unit] | {"epsilon hat": epsilon_hat(*data(unit))}
    # The bias correction in float32 is off by 1e-5 of a step, and steps are shorter than 0.1.
    rounding = 1e-5
    for who, reference in {"tf.keras": "epsilon hat", "linreg": "epsilon hat", "PyTorch": pictures.PAPER,
                           "optax": pictures.PAPER}.items():  # fmt: skip
        assert pictures.off(paths, who, reference).max() < rounding, who
    assert pictures.off(paths, "tf.keras").max() > 100 * rounding
