"""Files that lie under a right digest: a document of another structure is refused in one line, or is the same thing.

What is changed is the parsed document, not its bytes: types, shapes, numbers out of all bounds, lists within lists,
parts that are missing, doubled or unknown. Then the file is signed again, as a stranger would do.
"""

import copy
import hashlib
import io
import json
import os
import time
import tracemalloc
import zipfile
from collections import Counter

import numpy as np
import pytest

from linreg import Adam, LinearRegression, load, save, schedules
from linreg.archives import SEAL, SEALED, read_archive
from linreg.callbacks import EarlyStopping, ReduceLROnPlateau, TerminateOnNaN
from linreg.data.encoding import ColumnEncoding, Encoding
from linreg.data.kinds import Kind
from linreg.pipelines import MOST_STEPS, PreparedModel
from linreg.saving import checkpoints, models

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
CHANGES = 10_000 if THOROUGH else 400
RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
Y = X @ [1.0, -2.0, 0.5] + 3
STEPS = (
    {"kind": "fill", "values": np.array([1.0, 2.0, np.nan, 3.0])},
    {"kind": "standardise", "centre": np.array([1.0, 2.0, 3.0]), "spread": np.array([2.0, 4.0, 8.0])},
    {"kind": "project", "matrix": np.eye(3), "centre": np.zeros(3), "spread": np.ones(3)},
    {"kind": "select", "columns": np.array([2, 1, 0]), "features": 3},
)
"""Numbers of which float32 and float64 hold the same."""
INPUTS = np.arange(8.0).reshape(2, 4)


def settings():
    callbacks = [
        EarlyStopping("loss", patience=5, restore_best_weights=True),
        ReduceLROnPlateau("val_loss", patience=1, min_delta=10.0, factor=0.5),
        TerminateOnNaN(),  # it watches batches, so the run is kept between them
    ]
    return {"random_state": 0, "epochs": 5, "batch_size": 7, "callbacks": callbacks, "checkpoint_every": "0.000001s"}


def trained(path):
    """The run that goes on from a checkpoint, or begins."""
    return LinearRegression(Adam(0.1, use_ema=True), checkpoint=path, **settings()).fit(
        X, Y, validation_data=(X[:9], Y[:9])
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model, one with a preparation, one of a table, and a checkpoint from the middle of a run, as bytes."""
    folder = tmp_path_factory.mktemp("files")
    model = LinearRegression(Adam(schedules.ExponentialDecay(0.1, 9, 0.5)), epochs=3, random_state=0).fit(X, Y)
    model.save(folder / "model.npz")
    PreparedModel(model, STEPS, (1.0, 2.0), ["a", "b", "c", "d"]).save(folder / "prepared.npz")
    columns = [("town", Kind("category", vocabulary=("Bern", "Ulm")), None),
               ("load", Kind("thousands_separator", "point", "kg", ("unknown",)), 2.5),
               ("built", Kind("date", origin=6.3e14), 7.0)]  # fmt: skip
    encoding = Encoding(
        tuple(ColumnEncoding(*one) for one in columns), ColumnEncoding("y", Kind("number")), missing="mean"
    )
    save(model, folder / "table.npz", encoding=encoding)
    ended = settings() | {"epochs": 3}
    LinearRegression(Adam(0.1, use_ema=True), checkpoint=folder / "checkpoint.npz", **ended).fit(
        X, Y, validation_data=(X[:9], Y[:9])
    )
    (folder / "checkpoint.npz.previous").replace(folder / "checkpoint.npz")
    assert opened(folder / "checkpoint.npz", "checkpoint")[0]["place"]["batch"] == 4
    return {file.stem: file.read_bytes() for file in folder.glob("*.npz")}


def opened(path, kind):
    archive = read_archive(path, checkpoints.KIND if kind == "checkpoint" else models.KIND)
    return archive.document, archive.arrays


def sealed(document, arrays):
    """A file with whatever document, and the digest that it should have."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("document.json", document if isinstance(document, bytes) else json.dumps(document))
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, (1, 0))
            made.writestr(f"{name}.npy", member.getvalue())
        made.comment = SEAL + b"0" * 64
    body = buffer.getvalue()[:-SEALED]
    return body + SEAL + hashlib.sha256(body).hexdigest().encode()


def nested(times):
    value = []
    for _ in range(times):
        value = [value]
    return value


STRANGE = [
    None, True, False, -1, 2**60, 10**100, 1.5, -2.5, "", "x", "\x1b[2J\n", [], {}, [1], {"dict": []},
    {"array": "coef_0"}, {"number": "nan"}, {"number": 3}, {"kind": "SGD", "values": {}},
    {"kind": "KerasSeed", "values": {"seed": 1}},
    {"generator": {"seed": 1, "dtype": "float32"}}, {"dict": [["a", 1], ["a", 2]]}, nested(40), nested(150),
]  # fmt: skip
OUT_OF_BOUNDS = (-1, 2**60, 10**100)


def places(value):
    """Every list or dict of a document, with every key or index in it."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


def possible(before, one):
    """Whether a file may hold one in the place of the other: nan as an intercept, another state of a generator."""
    return (type(before) is float and one == {"number": "nan"}) or (
        type(before) is int and before > 2**63 and one == 2**60
    )


def changed(document, arrays, rng):
    """One thing of another structure; what was done, and the file's parts."""
    document, arrays = copy.deepcopy(document), dict(arrays)
    if rng.random() < 0.25:
        name = list(arrays)[rng.integers(len(arrays))]
        array = arrays[name]
        with np.errstate(invalid="ignore"):
            ways = [array.astype(kind) for kind in ("<f4", "<f8", "<i8", "<u4") if np.dtype(kind) != array.dtype]
        shapes = [array.reshape(1, -1), array.reshape(-1, 1), array.reshape(-1)[:0], np.append(array, array)]
        shapes.append(array[..., :-1] if array.ndim else array.reshape(1))
        ways += [one for one in shapes if one.shape != array.shape]
        arrays[name] = ways[rng.integers(len(ways))]
        return f"array {name} of {arrays[name].dtype}{arrays[name].shape}", document, arrays
    found = list(places(document))
    holder, key = found[rng.integers(len(found))]
    way = ("replace", "replace", "replace", "delete", "double", "wrap", "add")[rng.integers(7)]
    before = holder[key]
    if way == "replace":
        new = [one for one in STRANGE if type(one) is not type(before) or one in OUT_OF_BOUNDS]
        new = [one for one in new if not possible(before, one)]
        holder[key] = copy.deepcopy(new[rng.integers(len(new))])
    elif way == "delete":
        del holder[key]
    elif way == "wrap":
        holder[key] = [before]
    elif isinstance(holder, list):
        holder.insert(key, copy.deepcopy(before) if way == "double" else "x")
    else:
        holder[f"{key}_" if way == "double" else "x"] = copy.deepcopy(before)
    return f"{way} {key!r} {before!r:.40}", document, arrays


def with_arrays(value, arrays):
    """A document in which arrays stand where they are named."""
    if isinstance(value, dict) and set(value) == {"array"}:
        array = arrays[value["array"]]
        kind = array.dtype.str if array.dtype.kind == "f" else array.dtype.kind  # counts are kept in 64 bits
        return kind, array.shape, repr(array.tolist())
    if isinstance(value, dict):
        return {key: with_arrays(inner, arrays) for key, inner in value.items()}
    return [with_arrays(inner, arrays) for inner in value] if isinstance(value, list) else value


def the_same(kind, path, first, document, arrays):
    """Check that what was read is the same run, or the same fitted model with all that its file says."""
    if kind == "checkpoint":
        again = trained(path)
        np.testing.assert_array_equal(again.coef_, first.coef_)
        assert (again.history_, again.intercept_) == (first.history_, first.intercept_)
        return
    again = load(path)
    inner, before = (getattr(one, "model", one) for one in (again, first))
    np.testing.assert_array_equal(inner.coef_, before.coef_)
    assert (inner.intercept_, inner.history_) == (before.intercept_, before.history_)
    rows = INPUTS if kind == "prepared" else X
    np.testing.assert_array_equal(again.predict(rows), first.predict(rows))
    again.save(path)
    assert with_arrays(*opened(path, kind)) == with_arrays(document, arrays)
    inner.set_params(epochs=1, warm_start=False).fit(X, Y)  # settings out of a file are those of a run


@pytest.mark.parametrize("kind", ["model", "prepared", "table", "checkpoint"])
def test_a_document_of_another_structure_is_refused_in_one_line_or_is_the_same(files, tmp_path, kind):
    path = tmp_path / "changed.npz"
    path.write_bytes(files[kind])
    document, arrays = opened(path, kind)
    first = trained(path) if kind == "checkpoint" else load(path)
    path.write_bytes(sealed(document, arrays))
    the_same(kind, path, first, document, arrays)  # what is changed below is a file that is read
    rng, outcomes = np.random.default_rng(2), Counter()
    for _ in range(CHANGES):
        what, lie, of = changed(document, arrays, rng)
        for left in tmp_path.glob("*"):
            left.unlink()
        path.write_bytes(sealed(lie, of))
        begun = time.monotonic()
        try:
            the_same(kind, path, first, lie, of)
            outcomes[what.split()[0], "same"] += 1
        except (ValueError, OSError) as error:
            outcomes[what.split()[0], "refused"] += 1
            words = str(error)
            assert words.isprintable(), (what, words)
            assert len(words) < 1000, (what, words)
            assert " is refused: " in words or " is the checkpoint of another run: " in words, (what, words)
        except Exception as error:
            raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
        assert time.monotonic() - begun < 10, what  # a guard against hanging, not a timing: a read takes milliseconds
    refused = sum(number for (_, outcome), number in outcomes.items() if outcome == "refused")
    assert refused > 0.8 * CHANGES, outcomes
    assert {way for way, _ in outcomes} == {"array", "replace", "delete", "double", "wrap", "add"}, outcomes


def project(features, parts):
    """A step that would make so many parts of so many features."""
    return {
        "kind": "project",
        "matrix": np.zeros((features, parts)),
        "centre": np.zeros(parts),
        "spread": np.ones(parts),
    }


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([project(150_000_000, 0), project(0, 3)], "Step 1 of the preparation leaves no feature"),
        (
            [{"kind": "select", "columns": np.array([0, 1, 2]), "features": 2**24 + 1}],
            "steps that this linreg",
        ),
        ([{"kind": "select", "columns": np.array([0, 1, 9]), "features": 3}], "are not those of 3 features"),
        ([{"kind": "select", "columns": np.array([0.0, 1.0, 2.0]), "features": 3}], "are not those of 3 features"),
        ([project(3, 3) for _ in range(MOST_STEPS + 1)], f"There are {MOST_STEPS + 1} steps of preparation"),
        ([project(3, 2)], "makes 2 features, but the model was trained on 3"),
        ([{"kind": "standardise", "centre": np.zeros(3), "spread": np.array([1.0, np.inf, 1.0])}], "or not finite"),
    ],
)
def test_a_preparation_is_compared_and_not_tried(files, tmp_path, steps, words):
    path = tmp_path / "model.npz"
    path.write_bytes(files["model"])
    document, arrays = opened(path, "model")

    def kept(value, name):
        arrays[name] = value
        return {"array": name}

    plain = [
        {"dict": [[key, kept(value, f"{key}_{place}x") if isinstance(value, np.ndarray) else value]
                  for key, value in step.items()]}
        for place, step in enumerate(steps)
    ]  # fmt: skip
    document["preparation"] = {"dict": [["steps", plain], ["target", None], ["names", None]]}
    path.write_bytes(sealed(document, arrays))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=words) as raised:
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()
    assert str(raised.value).isprintable()


def test_no_more_steps_are_saved_than_are_loaded():
    model = LinearRegression(epochs=1).fit(X, Y)
    PreparedModel(model, [project(3, 3)] * MOST_STEPS)
    with pytest.raises(ValueError, match=f"a file holds at most {MOST_STEPS}"):
        PreparedModel(model, [project(3, 3)] * (MOST_STEPS + 1))


def noted(name, value):
    """A lie about what the first callback has noted."""

    def lie(document):
        for pair in document["callbacks"][0]["dict"]:
            if pair[0] == name:
                pair[1] = value

    return lie


RUNS = {
    "more batches than there are": (lambda d: d["place"].update(batch=5000, in_window=5000, rows=35000), "the place"),
    "a batch more": (lambda d: d["place"].update(batch=5, in_window=5, rows=30), "the place where it stands is none"),
    "rows of other batches": (lambda d: d["place"].update(rows=27), "the place where it stands is none of its run"),
    "rows without end": (lambda d: d["place"].update(rows=2**60), "the place where it stands is none of its run"),
    "another part": (lambda d: d["place"].update(window=1, in_window=0), "the place where it stands is none"),
    "steps without end": (lambda d: d["state"].update(iterations=2**62 - 1), "steps are not those of 2 epochs"),
    "a step less": (lambda d: d["state"].update(iterations=13), "13 steps are not those of 2 epochs and 4 batches"),
    "epochs ahead": (lambda d: d["place"].update(ahead=1), "its epochs are not those of its run"),
    "no history": (lambda d: d.update(history=[]), "it has arrays|its history has no 'loss'"),
    "a history less": (lambda d: d["history"].pop(), "its history has no"),
    "a rate below zero": (lambda d: d["state"].update(learning_rate=-5.0), r"its learning rate is -5\.0"),
    "a rate that is a seed": (
        lambda d: d["state"].update(learning_rate={"kind": "KerasSeed", "values": {"seed": 1}}), "not of the kind",
    ),
    "a rate that is a generator": (
        lambda d: d["state"].update(learning_rate=d["state"]["generator"]), "its learning rate is not of the kind",
    ),
    "text for the best": (noted("best", "x"), "EarlyStopping cannot have noted 'x' as 'best'"),
    "a best that was not seen": (noted("best", 1.5), r"EarlyStopping cannot have noted 1\.5 as 'best'"),
    "an epoch to come": (noted("best_epoch", 9), "EarlyStopping cannot have noted 9 as 'best_epoch'"),
    "a patience below zero": (noted("wait", -1), "EarlyStopping cannot have noted -1 as 'wait'"),
    "the end": (lambda d: d.update(ended="no"), "it does not say whether it has ended"),
    "signs that steer a terminal": (
        lambda d: d["of"]["settings"].update({"\x1b[2Jname\n": "\x1b[31m\nX"}), r"\\x1b\[2Jname was \\x1b\[31m X",
    ),
    "a line of a million letters": (lambda d: d["of"]["settings"].update({"n" * 10**6: "x"}), "nnn… was x and is not"),
    "a thousand settings": (
        lambda d: d["of"]["settings"].update({f"s{i}": "x" for i in range(1000)}), "s9 was x and is not there now; 990",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", RUNS)
def test_a_checkpoint_that_its_run_cannot_have_written_is_refused_in_one_line(files, tmp_path, lie):
    path, (change, words) = tmp_path / "run.npz", RUNS[lie]
    path.write_bytes(files["checkpoint"])
    document, arrays = opened(path, "checkpoint")
    change(document)
    path.write_bytes(sealed(document, arrays))
    with pytest.raises(ValueError, match=words) as raised:
        trained(path)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1500


def test_names_out_of_a_file_are_shown_as_text_and_cut(files, tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    model = LinearRegression(epochs=1).fit(X[:, :2], Y)
    saved = PreparedModel(model, names=["\x1b[2Jq\nz", "n" * 10**6]).save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match="X has no column") as raised:
        load(saved).predict(pandas.DataFrame({"a": [1.0], "b": [2.0]}))
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 300


def test_a_callback_of_ones_own_that_cannot_take_its_notes_is_named_in_one_line(tmp_path):
    class Picky(EarlyStopping):
        def set_state(self, state):
            raise LookupError("\x1b[2Jnothing\nthere")

    run = tmp_path / "run.npz"
    LinearRegression(epochs=1, random_state=0, checkpoint=run, callbacks=[Picky("loss")]).fit(X, Y)
    with pytest.raises(ValueError, match=r"is refused: \\x1b\[2Jnothing there"):
        LinearRegression(epochs=2, random_state=0, checkpoint=run, callbacks=[Picky("loss")]).fit(X, Y)
