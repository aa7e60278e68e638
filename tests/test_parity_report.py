"""The page on parity by version is the one made from the files that are kept, and tells what changed."""

import copy
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from linreg.keras.parity import document as documents
from linreg.keras.parity import page, report, words

DOCS = Path(__file__).parents[1] / "docs"
KEPT = report.documents(DOCS)


def test_the_page_and_its_picture_are_made_from_the_files_that_are_kept():
    assert (DOCS / report.PAGE).read_text(encoding="utf-8") == report.page(KEPT)
    assert (DOCS / report.PICTURE).read_text(encoding="utf-8") == report.svg(KEPT)
    ElementTree.fromstring(report.svg(KEPT))  # noqa: S314 (our own picture)


def test_there_are_four_tensorflows_and_one_of_them_with_two_kerases():
    versions = [(one["versions"]["TensorFlow"], one["versions"]["Keras"]) for one in KEPT.values()]
    assert len({tensorflow.rpartition(".")[0] for tensorflow, _ in versions}) >= 4
    assert len(versions) > len({tensorflow for tensorflow, _ in versions})
    tox = (DOCS.parent / "tox.ini").read_text(encoding="utf-8")
    names = tox.partition("[testenv:parity-tf{")[2].partition("}")[0].split(",")
    assert {f"parity-tf{name}" for name in names} == set(KEPT)


def test_every_kept_file_is_written_as_it_would_be_again():
    for name, one in KEPT.items():
        assert (DOCS / "parity" / f"{name}.json").read_text(encoding="utf-8") == documents.text(one)


def test_eager_rules_were_equal_to_the_last_bit_in_every_tensorflow():
    for one in KEPT.values():
        assert {cell["worst_ulp"] for cell in one["table"] if cell["mode"] == "eager"} == {0}


def test_a_change_between_versions_is_told_and_marked():
    first = next(iter(KEPT.values()))
    later = copy.deepcopy(first)
    later["versions"]["TensorFlow"] = "9.9.0"
    pair = {"one": first, "other": later}
    assert "to TF 9.9 with Keras 3.7: nothing, to the last bit." in report.page(pair)
    marks = report.svg(pair).count("● ")
    cell = next(one for one in later["table"] if (one["rule"], one["mode"], one["onednn"]) == ("Adam", "eager", "on"))
    cell |= {"worst_ulp": 7, "ok": False, "first": {**_input(), "ulp": 7}}
    later["behaviours"][0] |= {"as_known": False, "shown": "0.9"}
    told = report.page(pair)
    changed = later["behaviours"][0]["name"]
    assert f"to TF 9.9 with Keras 3.7: Adam, eager; the behaviours `{changed}`." in told
    assert "9.9 / 3.7: 0.9 (**changed**)" in told
    assert "9.9 / 3.7: 7 (0 %)" in told
    assert report.svg(pair).count("● ") == marks + 1
    assert [sentence.partition(":")[0] for sentence in words.problems(later)] == [
        "Adam, eager, oneDNN on", "Changed"
    ]  # fmt: skip


def _input():
    return {"step": 1, "example": 0, "optimizer": "Adam()", "element": 0, "gradient": 1.0, "rate": 0.1,
            "before": {"p": 0.0}, "array": "p", "ours": 1.0, "keras": 2.0}  # fmt: skip


def test_nothing_in_a_document_becomes_markup_of_the_page():
    one = copy.deepcopy(next(iter(KEPT.values())))
    one["behaviours"].append(
        {"name": "x", "claim": "<script>alert(1)</script>", "as_known": False, "shown": "\x1b[31m"}
    )
    made = page.html(one)
    assert "<script" not in made
    assert "\x1b" not in made
    assert "1 differences that nothing explains" in made


@pytest.mark.parametrize("text", ["", "[]", '{"kind": "other"}', "\x00"])
def test_a_file_of_another_kind_is_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"holds no comparison: give a file that `linreg parity --save` wrote"):
        documents.read(path)


def test_documents_are_sorted_and_without_nan():
    for path in sorted((DOCS / "parity").glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
        assert list(document) == sorted(document)
