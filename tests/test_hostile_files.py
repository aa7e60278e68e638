"""Files that lie: whatever is not as linreg has written it is refused in one line, in bounded time and memory."""

import hashlib
import io
import json
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import linreg
from linreg import SGD, Adam, LinearRegression, archives
from linreg.archives import SEAL, SEALED, read_archive, write_archive
from linreg.callbacks import EarlyStopping
from linreg.data.encoding import ColumnEncoding, Encoding
from linreg.data.kinds import Kind
from linreg.saving import checkpoints, models

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
CORRUPTIONS = 10_000 if THOROUGH else 400
RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
Y = X @ [1.0, -2.0, 0.5] + 3
COLUMNS = [
    ("town", Kind("category", vocabulary=("Bern", "Ulm")), None),
    ("load", Kind("thousands_separator", "point", "kg", ("unknown",)), 2.5),
    ("built", Kind("date", origin=6.3e14), 7.0),
]
"""How a table is read, in a model of one."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model, a model of a table and a checkpoint."""
    folder = tmp_path_factory.mktemp("files")
    settings = {"random_state": 0, "epochs": 3, "callbacks": [EarlyStopping("loss", restore_best_weights=True)]}
    model = LinearRegression(Adam(0.1, use_ema=True), checkpoint=folder / "run.npz", **settings).fit(X, Y)
    model.save(folder / "model.npz")
    columns = tuple(ColumnEncoding(name, kind, fill) for name, kind, fill in COLUMNS)
    encoding = Encoding(columns, ColumnEncoding("y", Kind("number")), missing="mean")
    linreg.save(model, folder / "table.npz", encoding=encoding)
    return {"model": folder / "model.npz", "table": folder / "table.npz", "checkpoint": folder / "run.npz"}


def read(kind, path):
    """Read a file as its users do."""
    if kind != "checkpoint":
        return linreg.load(path)
    settings = {"random_state": 0, "epochs": 3, "callbacks": [EarlyStopping("loss", restore_best_weights=True)]}
    return LinearRegression(Adam(0.1, use_ema=True), checkpoint=path, **settings).fit(X, Y)


def corrupted(content, rng):
    """One or several bytes changed, lost or added, or pieces swapped."""
    changed, kind = bytearray(content), rng.integers(6)
    at = int(rng.integers(len(content)))
    if kind == 0:
        changed[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        changed[at] = (changed[at] + int(rng.integers(1, 256))) % 256
    elif kind == 2:
        for place in rng.integers(len(content), size=int(rng.integers(2, 40))).tolist():
            changed[place] = int(rng.integers(256))
    elif kind == 3:
        del changed[at : at + int(rng.integers(1, 100))]
    elif kind == 4:
        changed[at:at] = rng.bytes(int(rng.integers(1, 100)))
    else:
        width = int(rng.integers(1, 64))
        changed[at : at + width], changed[:width] = changed[:width], changed[at : at + width]
    return bytes(changed)


def signed(content):
    """The same with the digest that it should have: what a stranger can make."""
    body = content[:-SEALED]
    return body + SEAL + hashlib.sha256(body).hexdigest().encode()


@pytest.mark.parametrize("kind", ["model", "table", "checkpoint"])
def test_every_corruption_of_a_file_is_refused(files, tmp_path, kind):
    content, path = files[kind].read_bytes(), tmp_path / "changed.npz"
    name = checkpoints.KIND if kind == "checkpoint" else models.KIND
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(CORRUPTIONS):
        changed = corrupted(content, rng)
        if changed == content:
            continue
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="is refused: ") as raised:
            read_archive(path, name)
        assert "\n" not in str(raised.value)
        refused += 1
    assert refused > 0.98 * CORRUPTIONS
    path.write_bytes(content)
    read(kind, path)


def with_document(path, change):
    """The file with another document."""
    found = read_archive(path, json.loads(document_of(path))["kind"])
    document = json.loads(document_of(path))
    change(document)
    write_archive(path, document, found.arrays)


def document_of(path):
    with zipfile.ZipFile(path) as opened:
        return opened.read("document.json")


NOT_A_NUMBER = {"number": "nan"}
LIES = {
    "no parameters": lambda d: d.pop("parameters"),
    "parameters of a call": lambda d: d["parameters"].update(checkpoint="/etc/passwd.npz"),
    "an unknown parameter": lambda d: d["parameters"].update(evil=1),
    "an unknown kind": lambda d: d["parameters"].update(optimizer={"kind": "os.system", "values": {"x": "id"}}),
    "a kind of nothing": lambda d: d["parameters"].update(optimizer={"kind": ["SGD"], "values": {}}),
    "a rate below zero": lambda d: d["parameters"]["optimizer"]["values"].update(learning_rate=-1),
    "a rate that is nan": lambda d: d["parameters"]["optimizer"]["values"].update(learning_rate=NOT_A_NUMBER),
    "an engine that is none": lambda d: d["parameters"].update(engine="/bin/sh"),
    "a path for an array": lambda d: d.update(coef={"array": "../../etc/passwd"}),
    "a number for an array": lambda d: d.update(coef=3),
    "nan for an array": lambda d: d.update(coef=NOT_A_NUMBER),
    "nan for a count": lambda d: d["state"].update(iterations=NOT_A_NUMBER),
    "a count below zero": lambda d: d["state"].update(epoch=-1),
    "a count without end": lambda d: d["state"].update(iterations=10**300),
    "true for a count": lambda d: d["state"].update(epoch=True),
    "slots of another form": lambda d: d["state"].update(slots=[d["history"][0][1]]),
    "letters of nothing": lambda d: d["state"].update(letters=[[], {}]),
    "no generator": lambda d: d["state"].update(generator=7),
    "a generator of another name": lambda d: d["state"].update(
        generator={"generator": {"dict": [["bit_generator", "system"], ["state", "id"]]}}
    ),
    "a history of text": lambda d: d.update(history="loss"),
    "a history of parameters": lambda d: d["history"].append(["x", d["state"]["parameters"]]),
    "names of numbers": lambda d: d.update(names=[1, 2, 3]),
    "too few names": lambda d: d.update(names=["a"]),
    "a preparation of text": lambda d: d.update(preparation="x"),
    "a step that is not known": lambda d: d.update(
        preparation={"dict": [["steps", [{"dict": [["kind", "eval"]]}]], ["target", None], ["names", None]]}
    ),
    "columns out of reach": lambda d: d.update(
        preparation={"dict": [["steps", [{"dict": [["kind", "select"], ["columns", d["coef"]],
                                                   ["features", 2**60]]}]], ["target", None], ["names", None]]}
    ),
    "a format of text": lambda d: d.update(format="1"),
    "another kind of file": lambda d: d.update(kind="linreg checkpoint"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_document_that_lies_is_refused_in_one_line(files, tmp_path, lie):
    path = tmp_path / "model.npz"
    path.write_bytes(files["model"].read_bytes())
    with_document(path, LIES[lie])
    with pytest.raises(ValueError, match="is refused: ") as raised:
        linreg.load(path)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(("name", "part"), [("MT19937", "pos"), ("Philox", "buffer_pos"), ("PCG64", "uinteger")])
def test_a_generator_that_would_read_outside_of_its_buffer_is_refused(tmp_path, name, part):
    generator = np.random.Generator(getattr(np.random, name)(0))
    path = LinearRegression(epochs=1, random_state=generator).fit(X, Y).save(tmp_path / "model.npz")
    linreg.load(path)

    def lie(plain):
        for pair in plain["dict"]:
            if pair[0] == part:
                pair[1] = 2**40
            elif isinstance(pair[1], dict) and "dict" in pair[1]:
                lie(pair[1])

    with_document(path, lambda d: lie(d["state"]["generator"]["generator"]))
    with pytest.raises(ValueError, match=f"it holds no state of {name}"):
        linreg.load(path)


def archive_of(members, document=b"{}", compression=zipfile.ZIP_STORED):
    """A signed archive with whatever members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as made:
        if document is not None:
            made.writestr(zipfile.ZipInfo("document.json"), document, compression)
        for name, content in members:
            made.writestr(zipfile.ZipInfo(name), content, compression)
        made.comment = SEAL + b"0" * 64
    return signed(buffer.getvalue())


def npy(header, content=b""):
    padded = header + b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded + content


MODEL = b'{"kind": "linreg model", "format": 1}'
PLAIN = b"{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }"


def objects():
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], object), allow_pickle=True)
    return buffer.getvalue()


ARCHIVES = {
    "a bomb": lambda: archive_of([("a.npy", bytes(50_000_000))], MODEL, zipfile.ZIP_DEFLATED),
    "a document that is a bomb": lambda: archive_of([], b" " * 50_000_000, zipfile.ZIP_DEFLATED),
    "an array of objects": lambda: archive_of([("a.npy", objects())], MODEL),
    "a shape beyond all memory": lambda: archive_of([("a.npy", npy(PLAIN % b"9999999999, 9999999999"))], MODEL),
    "a shape of nan": lambda: archive_of([("a.npy", npy(PLAIN % b"nan,"))], MODEL),
    "a shape below zero": lambda: archive_of([("a.npy", npy(PLAIN % b"-1,", bytes(8)))], MODEL),
    "a header that is code": lambda: archive_of([("a.npy", npy(b"__import__('os').system('id')"))], MODEL),
    "a header without end": lambda: archive_of([("a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"(" * 10**6)], MODEL),
    "a header of brackets": lambda: archive_of([("a.npy", npy(b"(" * 60_000))], MODEL),
    "a path upwards": lambda: archive_of([("../../evil.npy", npy(PLAIN % b"", bytes(8)))], MODEL),
    "a path from the root": lambda: archive_of([("/etc/evil.npy", npy(PLAIN % b"", bytes(8)))], MODEL),
    "a member twice": lambda: archive_of([("a.npy", npy(PLAIN % b"", bytes(8)))] * 2, MODEL),
    "no document": lambda: archive_of([("a.npy", npy(PLAIN % b"", bytes(8)))], None),
    "too many members": lambda: archive_of([(f"a{i}.npy", b"") for i in range(5000)], MODEL),
    "brackets in the document": lambda: archive_of([], b"[" * 10**6),
    "lists within lists": lambda: archive_of(
        [], b'{"kind": "linreg model", "format": 1, "learning_rate_at_fit": ' + b"[" * 700 + b"]" * 700 + b"}"
    ),
    "nan in the document": lambda: archive_of([], b'{"kind": "linreg model", "format": NaN}'),
    "a number of a million digits": lambda: archive_of(
        [], b'{"kind": "linreg model", "format": ' + b"9" * 10**6 + b"}"
    ),
    "a document that is no text": lambda: archive_of([], b"\xff\xfe\x00"),
    "a document that is a list": lambda: archive_of([], b"[]"),
    "a document that is too long": lambda: archive_of([], b'{"a": "' + b"x" * (archives.LARGEST_DOCUMENT + 1) + b'"}'),
    "something in front": lambda: signed(b"#!/bin/sh\n" + archive_of([], MODEL)),
    "nothing": lambda: b"",
    "a digest and nothing else": lambda: signed(bytes(SEALED)),
    "a pickle": lambda: b"cos\nsystem\n(S'echo evil'\ntR.",
    "another .npz": lambda: np.savez(buffer := io.BytesIO(), a=np.zeros(3)) or buffer.getvalue(),
    "a .npy": lambda: np.save(buffer := io.BytesIO(), np.zeros(3)) or buffer.getvalue(),
}


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize("name", ARCHIVES)
def test_a_file_that_is_no_model_is_refused_in_one_line_and_in_bounded_memory(tmp_path, name):
    path, content = tmp_path / "model.npz", ARCHIVES[name]()
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="is refused: ") as raised:
            linreg.load(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "\n" not in str(raised.value)
    # The file itself, its body, its members, and of a document up to ten times its bytes: {"a": 1} takes that.
    assert most < 12 * len(content) + 2**21
    assert not Path("/etc/evil.npy").exists()


def test_a_file_that_is_larger_than_any_is_not_read(tmp_path):
    path = tmp_path / "model.npz"
    with path.open("wb") as file:
        file.truncate(2**40)  # one terabyte of nothing, which takes no room on the disk
    tracemalloc.start()
    with pytest.raises(ValueError, match=f"it has {2**40} bytes, and at most {2**30} are read"):
        linreg.load(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("place", ["a folder", "a pipe", "/dev/zero", "/dev/full"])
def test_what_is_no_file_is_not_waited_for(tmp_path, place):
    path = Path(place) if place.startswith("/") else tmp_path / "place.npz"
    if place == "a folder":
        path.mkdir()
    elif place == "a pipe":
        os.mkfifo(path)
    with pytest.raises(OSError, match="is no file but a folder, a device or a pipe"):
        linreg.load(path)


def test_links_are_read_but_never_written_through(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    for name in ("model.npz", "run.npz"):
        (tmp_path / name).symlink_to(precious)
    with pytest.raises(ValueError, match="it is no linreg model, or its end is missing"):
        linreg.load(tmp_path / "model.npz")
    with pytest.raises(ValueError, match="it is no linreg checkpoint, or its end is missing"):
        LinearRegression(checkpoint=tmp_path / "run.npz").fit(X, Y)
    (tmp_path / "run.npz").unlink()
    (tmp_path / "run.npz.lock").symlink_to(precious)
    with pytest.raises(OSError, match=r"run.npz.lock' cannot be written"):
        LinearRegression(checkpoint=tmp_path / "run.npz").fit(X, Y)
    LinearRegression(epochs=1).fit(X, Y).save(tmp_path / "model.npz")
    assert precious.read_text() == "precious"
    assert not (tmp_path / "model.npz").is_symlink()
    (tmp_path / "other.npz").symlink_to(tmp_path / "model.npz")
    assert linreg.load(tmp_path / "other.npz").n_iter_ == 1


def test_a_checkpoint_is_no_model_and_a_model_no_checkpoint(files):
    with pytest.raises(ValueError, match="it is a 'linreg checkpoint', not a 'linreg model'"):
        linreg.load(files["checkpoint"])
    with pytest.raises(ValueError, match="it is a 'linreg model', not a 'linreg checkpoint'"):
        LinearRegression(SGD(0.1), checkpoint=files["model"]).fit(X, Y)


def test_what_a_file_says_reaches_a_terminal_as_text_only(capsys, tmp_path):
    from linreg import cli

    pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
    path, table = tmp_path / "model.npz", tmp_path / "table.csv"
    model = LinearRegression(epochs=1).fit(X, Y)
    model.feature_names_in_ = np.array(["\x1b[2Ja", "b\u202e[red]", "c\r\n"], object)
    model.save(path)
    table.write_text("x,y,z\n1,2,3\n")
    assert cli.run(["predict", str(path), str(table)]) == cli.FAILED
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert all(character.isprintable() for character in err[:-1])


def test_a_study_page_holds_whatever_files_and_columns_are_called():
    from linreg.study.page import page

    data = {
        "title": "{{data}}<script>{{script}}",
        "names": ["{{script}}", "{{css}}</script><script>alert(1)", "\\1 \\g<0>"],
    }
    html = page(data)
    assert html.count("<script>{{script}}") == 0
    assert "<h1>{{data}}&lt;script&gt;{{script}}</h1>" in html
    embedded = html.partition('<script type="application/json" id="data">')[2].partition("</script>")[0]
    assert json.loads(embedded) == data


def test_headings_of_a_table_on_the_terminal_are_text_too():
    pytest.importorskip("rich", reason="Rich is not installed: pip install 'linreg[cli]'")
    from rich.console import Console

    from linreg.cli import output

    shown = io.StringIO()
    Console(file=shown).print(output.table("\x1b[2Jtitle", ("\x1b[31mname", "[red]b"), [("\x1b[2Jcell", "\u202e")]))
    assert "\x1b" not in shown.getvalue()
    assert "\u202e" not in shown.getvalue()
    assert "[red]b" in shown.getvalue()
