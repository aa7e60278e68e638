"""`linreg bench`: what it prints, saves, compares and exits with; on 64 rows and loops that need only NumPy."""

import json
import os
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the package benchmarks.hot_loop

from benchmarks.hot_loop import growth, measure, profiles, record, regimes, report, run, show, whole
from benchmarks.hot_loop.peers import BARE_CALLS, KERAS, NUMBA, NUMPY, PEERS, READ, SCAN, MissingPeerError, Peer
from benchmarks.hot_loop.sweeps import SWEPT, SWEPT_BY_NUMPY, VMAP
from benchmarks.hot_loop.table import Case
from benchmarks.hot_loop.whole import FULL_BATCH, TWO_PASSES
from linreg import cli
from linreg.cli import bench, output

ROOT = Path(__file__).parents[1]
CASE = Case("SGD", "MSE", 64, 2, 32, "float32")


def absent(task, device):
    raise MissingPeerError("it is on holiday: pip install peer")


LOOPS = [PEERS[NUMPY], PEERS[BARE_CALLS], Peer("keras fit", absent, 128)]


@pytest.fixture
def few(monkeypatch):
    """One small case and two points of growth instead of what a run measures."""
    jobs = [
        run.Job("cases", CASE.name, partial(measure.measure, CASE, LOOPS, each=1e-4)),
        *(run.Job("growth", "", lambda n=n: {"axis": "n", "size": n, "us": {NUMPY: 3.0 * n}}) for n in (16, 64)),
    ]
    monkeypatch.setattr(bench, "_folders", lambda: [ROOT])
    monkeypatch.setattr(run, "jobs", lambda *_: jobs)
    return jobs


def call(capsys, *arguments):
    code = cli.run(["bench", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_bench_prints_ratios_and_why_a_peer_is_missing(few, capsys):
    code, out, err = call(capsys)
    assert (code, err) == (0, "")
    assert f"{CASE.name}: microseconds a step" in out
    assert re.search(rf"{NUMPY} +│ +[\d.]+ │ +[\d.]+ to [\d.]+ │ +1 │ +│ equal", out)
    assert "Skipped: keras fit: it is on holiday: pip install peer" in out


def test_bench_saves_what_it_prints_as_json(few, capsys, tmp_path):
    code, out, _ = call(capsys, "--json", "--save", tmp_path / "run.json")
    assert code == 0
    document = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert document == record.load(tmp_path / "run.json")
    (entry,) = document["cases"]
    assert entry["case"] == CASE.to_dict()
    assert len(entry["loops"][NUMPY]["rounds"]) == 7
    assert entry["loops"][NUMPY]["check"]["equal"] is True
    assert document["versions"]["numpy"]
    assert document["machine"]["cores"] == os.cpu_count()
    assert os.listdir(tmp_path) == ["run.json"]


def test_a_save_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "run.json"
    path.write_text("before")
    with pytest.raises(ValueError, match="not JSON compliant"):
        record.save(record.empty("cpu") | {"seconds": float("nan")}, path)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["run.json"]


@pytest.mark.parametrize(("factor", "code"), [(0.5, cli.FOUND), (2.0, 0)], ids=["slower", "faster"])
def test_compare_exits_with_1_when_linreg_became_slower(few, capsys, tmp_path, factor, code):
    entry = few[0].work()
    few[0] = replace(few[0], work=lambda: entry)
    path = tmp_path / "old.json"
    call(capsys, "--save", path)
    old = record.load(path)
    loop = old["cases"][0]["loops"][NUMPY]
    loop["rounds"] = [factor * us for us in loop["rounds"]]
    record.save(old, path)
    found, out, _ = call(capsys, "--compare", path, "--slowdown", "1.9")
    assert found == code
    assert (f"Slower than --slowdown 1.9 allows: {CASE.name}, {NUMPY}: 2.00 times" in out) == (code == cli.FOUND)


SWEEP = {"sweep": {"optimizer": "SGD", "rates": 256}, "loops": {}}
FIT = {"what": "fit of 100 epochs of 100 x 1, SGD", "loops": {}}


def slower_twice(entry, ours, beside):
    """The same measurement, as it was and with linreg's loop slower twice."""
    return (
        entry | {"loops": {ours: {"us": us, "rounds": [us]}, beside: {"us": 3.0, "rounds": [3.0]}}} for us in (2.0, 4.0)
    )


@pytest.mark.parametrize(
    ("section", "entry", "ours", "beside"),
    [
        ("sweeps", SWEEP, SWEPT, VMAP),
        ("sweeps", SWEEP, SWEPT_BY_NUMPY, VMAP),
        ("whole", FIT, NUMPY, KERAS),
        ("whole", FIT, NUMBA, KERAS),
        ("whole", {"what": FULL_BATCH}, NUMBA, TWO_PASSES),
    ],
)
def test_compare_sees_a_sweep_a_fit_and_a_full_batch_that_became_slower(section, entry, ours, beside):
    old, new = (record.empty("cpu") | {section: [one]} for one in slower_twice(entry, ours, beside))
    assert [(loop, factor) for _, loop, factor in record.slowdowns(old, new)] == [(ours, 2.0)]


def test_a_full_run_prints_sweeps_whole_fits_and_what_was_asked(few, capsys, monkeypatch):
    monkeypatch.setattr(bench, "FEW", 0)
    (_, sweep), (_, fit) = slower_twice(SWEEP, SWEPT, VMAP), slower_twice(FIT, NUMPY, KERAS)
    for loop in sweep["loops"].values():
        loop["check"] = {"equal": True, "difference": 0.0, "allowed": 1.0}
    few[1:] = [run.Job("sweeps", "", lambda: sweep), run.Job("whole", "", lambda: fit)]
    code, out, _ = call(capsys)
    assert code == 0
    assert re.search(rf"{SWEPT} *│ *4 │", out)
    assert re.search(rf"{KERAS} *│ *3 │ *│ *0.75 │", out)
    assert re.search(r"model.fit *│ *300 │ *0.75 │ *│ not met", out)


def test_one_slow_run_does_not_decide_how_many_epochs_are_timed(monkeypatch):
    taken = iter([0.5, *[0.001] * 100])
    monkeypatch.setattr(measure, "WARM_UP", 0)
    monkeypatch.setattr(measure, "clocked", lambda work: next(taken))
    found = measure.measure(CASE, [PEERS[NUMPY]], rounds=1, each=0.01)
    assert found["loops"][NUMPY]["steps"] > 2


def test_ctrl_c_keeps_what_there_is(few, capsys, tmp_path):
    def stop():
        raise KeyboardInterrupt

    few.insert(1, run.Job("cases", "the second", stop))
    code, out, err = call(capsys, "--save", tmp_path / "run.json")
    assert (code, err) == (cli.STOPPED, "linreg: stopped.\n")
    assert "Stopped by Ctrl-C; this is what there was." in out
    saved = record.load(tmp_path / "run.json")
    assert saved["interrupted"] is True
    assert len(saved["cases"]) == 1
    assert saved["growth"] == []


def test_a_result_that_differs_is_told_and_exits_with_1(few, capsys):
    entry = few[0].work()
    entry["loops"][BARE_CALLS]["check"] |= {"equal": False, "difference": 0.5}
    few[0] = replace(few[0], work=lambda: entry)
    code, out, _ = call(capsys)
    assert code == cli.FOUND
    assert f"Not the same result: {BARE_CALLS}, {CASE.name}: parameters off by 0.5" in out


def test_bench_draws_both_pictures_and_puts_them_into_one_page(few, capsys, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'linreg[plot]'")
    code, _, _ = call(capsys, "--plot", tmp_path, "--html", tmp_path / "run.html")
    assert code == 0
    pictures = ["benchmarks-growth.png", "benchmarks-steps.png"]
    assert sorted(os.listdir(tmp_path)) == [*pictures, "run.html"]
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    page = (tmp_path / "run.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "it is on holiday" in page


FAILURES = {
    "unknown peer": (["--peers", "jax scam"], r"Unknown peer 'jax scam'; did you mean 'jax scan'"),
    "unknown device": (["--device", "tpu"], r"Unknown device 'tpu': choose cpu or cuda"),
    "two sizes": (["--quick", "--all"], r"Give --quick or --all, not both"),
    "no slowdown": (["--slowdown", "0.5"], r"slowdown must be a finite number at least 1, got 0.5"),
    "no such folder": (["--save", "nowhere/run.json"], r"There is no folder 'nowhere' to put 'run.json' in"),
    "no folder of pictures": (["--plot", "nowhere"], r"There is no folder 'nowhere' to put pictures in"),
    "nothing to compare": (["--compare", "setup.cfg"], r"'setup.cfg' holds no benchmark"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_bench_says_in_one_line_what_it_could_not_do(capsys, monkeypatch, name):
    monkeypatch.chdir(ROOT)
    arguments, message = FAILURES[name]
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (cli.FAILED, "")
    assert err.count("\n") == 1
    assert re.search(message, err), err


def test_bench_on_a_gpu_that_is_not_there_says_so(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    for sees in ("_cupy_sees", "_torch_sees", "_jax_sees", "_tensorflow_sees"):
        monkeypatch.setattr(run, sees, lambda: False)
    code, _, err = call(capsys, "--device", "cuda")
    assert code == cli.FAILED
    assert err.startswith("linreg: --device cuda: there is no GPU here")
    assert err.count("\n") == 1


def test_bench_outside_of_a_checkout_says_so(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "_folders", lambda: [tmp_path])
    code, _, err = call(capsys)
    assert code == cli.FAILED
    assert re.match(r"linreg: linreg bench needs a checkout.*\n$", err)


def test_what_was_missed_is_profiled_after_all_that_was_planned(few, capsys, monkeypatch):
    long = Case("SGD", "MSE", 65_536, 512, 1024, "float32")
    slow, fast = {"us": 2.0, "rounds": [2.0, 2.0]}, {"us": 1.0, "rounds": [1.0, 1.0]}
    missed = {"case": long.to_dict(), "skipped": {}, "loops": {NUMPY: slow, READ: fast, SCAN: fast, NUMBA: slow}}
    asked = []

    def profile_of(case, *beside):
        asked.append((case, beside))
        return {"what": f"a step of {case.name}", "loops": {}}

    monkeypatch.setattr(profiles, "compiled_steps", profile_of)
    monkeypatch.setattr(profiles, "steps_in_numpy", profile_of)
    planned = [run.Job("cases", long.name, lambda: missed)]
    assert run.run(planned, "cpu")["profiles"] == []
    nothing = run.Job("profiles", "", lambda: {"what": "", "loops": {}})
    document = run.run([*planned, nothing], "cpu")
    assert asked == [(long, (SCAN,)), (long, (READ, SCAN))]
    assert (document["interrupted"], len(document["profiles"])) == (False, 3)


def test_a_check_whose_bound_is_loose_is_made_on_the_first_steps(monkeypatch):
    loops, case = [PEERS[NUMPY]], replace(CASE, rows=1024)
    of = measure.Expected.of
    monkeypatch.setattr(
        measure.Expected, "of", lambda task: replace(of(task), allowed=9.0) if task.steps > 16 else of(task)
    )
    check = measure.measure(case, loops, each=1e-4, rounds=1)["loops"][NUMPY]["check"]
    assert (check["built anew"], check["steps"], check["equal"]) == (True, 16, True)
    assert check["allowed"] < 0.01 * check["largest"]


def test_parts_of_a_turn_stand_beside_the_others_in_the_order_they_are_given():
    asked = []

    def parts():
        asked.append("a")
        return {"a": 2e-6, "part of a": 1e-6}

    timed = whole.timed("it", {"a": parts, "b": lambda: asked.append("b") or 3e-6}, 2)
    assert timed["loops"] == {
        "a": {"us": 2.0, "rounds": [2.0, 2.0]}, "part of a": {"us": 1.0, "rounds": [1.0, 1.0]},
        "b": {"us": 3.0, "rounds": [3.0, 3.0]},
    }  # fmt: skip
    turns = [name for name, before in zip(asked, [None, *asked], strict=False) if name != before]
    assert turns == ["a", "b", "a", "b"]  # b ends the first round and begins the next


def test_growth_is_the_slope_of_the_logarithms():
    points = [{"axis": "n", "size": n, "us": {NUMPY: 5.0 * n**2}} for n in (10, 100, 1000)]
    assert growth.slopes(points) == {("n", NUMPY): pytest.approx(2, rel=1e-12)}


def test_ratios_are_taken_round_by_round():
    loops = {"a": {"rounds": [2.0, 9.0]}, "b": {"rounds": [1.0, 3.0]}}
    assert record.ratios(loops, "a", "b") == [2.0, 3.0]
    assert record.ratios(loops, "a", "absent") == []


def test_the_standard_run_has_every_shape_batch_rule_and_loss():
    from benchmarks.hot_loop import table

    cases, seen = table.standard(), set(table.cases())
    assert set(cases) <= seen
    assert len(table.cases()) == 2 * 3 * 2 * (5 * 4 - 2)  # 1024 of 1024 rows are the full batch
    assert {(c.rows, c.features, c.batch) for c in cases} == {(c.rows, c.features, c.batch) for c in seen}
    assert {(c.optimizer, c.loss, c.rows, c.features) for c in cases} == {
        (c.optimizer, c.loss, c.rows, c.features) for c in seen
    }
    assert {c.dtype for c in cases} == set(table.DTYPES)
    assert show.skipped({"cases": [], "sweeps": [], "whole": [], "tolerance": []}) == {}


PAGE, RUN = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks" / "hot-loop.json"


def test_the_page_about_speed_is_made_from_the_run_that_is_kept():
    guarded = json.loads(report.GUARD.read_text(encoding="utf-8"))
    assert report.page(record.load(RUN), guarded) == PAGE.read_text(encoding="utf-8")


def test_the_readme_has_the_sentence_on_speed_of_the_run_that_is_kept():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.count(regimes.headline(record.load(RUN))) == 1
    assert report.with_sentence(readme, record.load(RUN)) == readme


def test_every_result_of_the_run_that_is_kept_was_equal():
    assert show.unequal(record.load(RUN)) == []


def test_of_several_cases_the_worst_counts_beside_what_was_asked():
    loops = {"linreg numpy": 1.0, "keras fit": 300.0, "torch eager": 14.0}
    cases = [
        {"case": Case(rule, "MSE", 1024, 16, 32, "float32").to_dict(),
         "loops": {name: {"rounds": [us * factor] if name == "keras fit" else [us]} for name, us in loops.items()}}
        for rule, factor in (("SGD", 1.0), ("Adam", 0.5))
    ]  # fmt: skip
    rows = regimes.rows(record.empty("cpu") | {"cases": cases})
    keras, torch, graph = rows[:3]
    assert (keras.measured, keras.met, keras.detail[:6]) == (150.0, "**not met**", "1 of 2")
    assert "Adam" in keras.detail
    assert (torch.measured, torch.met) == (14.0, "**not met**")
    assert (graph.measured, graph.met) == (None, "not measured")


def test_the_bar_grows_where_more_comes_than_was_foreseen(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with output.progress(1, "begin") as advance:
        advance("one")
        advance("two")
    assert "2/2" in capsys.readouterr().err
