"""What a .keras file may hold: it is read here before Keras reads it, which looks classes up by what the file says.

Before Keras 3.9 a configuration may name any function of any module, and Keras calls it (CVE-2025-1550, fixed by
https://github.com/keras-team/keras/pull/20751; Lambda layers have led past that fix, CVE-2025-9906). So only the
classes that a twin can have are let through, whatever the version; and a model is built only of as many numbers as the
file really holds.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterator
from typing import Any, NoReturn

from linreg.archives import one_line
from linreg.optimizers import OPTIMIZERS

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = {"metadata.json", CONFIG, WEIGHTS}
LARGEST, LARGEST_CONFIG = 2**30, 2**22
"""Bytes that the members of a file may have, unpacked, and bytes of its configuration."""
MOST_VALUES, DEEPEST = 4096, 32
"""Values in a configuration but for lists of numbers, and lists and names within each other, there and in weights."""
AS_LONG_AS_A_ROW = {"mean", "variance", "scale", "offset"}
"""What may be a list of one number a feature."""
MOST_SIDES = 8
"""Sides of a shape."""
_SAME = {"name", "trainable", "dtype"}
LAYERS = {
    "InputLayer": {"batch_shape", *_SAME},
    "Dense": {
        "units", "activation", "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer",
        "bias_regularizer", "activity_regularizer", *_SAME,
    },
    "Normalization": {"axis", "invert", "mean", "variance", *_SAME},
    "Rescaling": {"scale", "offset", *_SAME},
}  # fmt: skip
"""Every layer that is read, and what it may set."""
CLASSES = {
    "keras": {"Sequential", "Functional", "DTypePolicy"},
    "keras.src.models.functional": {"Functional"},
    "keras.layers": set(LAYERS),
    "keras.optimizers": {kind.__name__ for kind in OPTIMIZERS.values()},
    "keras.optimizers.schedules": {
        "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay",
        "PolynomialDecay",
    },
    "keras.losses": {"MeanSquaredError", "Huber"},
    "keras.metrics": {
        "MeanSquaredError", "RootMeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError",
        "MeanSquaredLogarithmicError", "LogCoshError", "R2Score",
    },
    "keras.initializers": {
        "Zeros", "Ones", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling",
        "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform",
    },
    "keras.regularizers": {"L1", "L2", "L1L2"},
}  # fmt: skip
"""Every class that is read, by the module under which Keras writes it."""
FUNCTIONS = {"mean_squared_error", "huber"}
TENSOR = "__keras_tensor__"
"""How a functional model names what goes from one layer to the next."""
_DTYPE = re.compile(r"(mixed_)?b?float(16|32|64)")


def check_file(content: bytes) -> None:
    """Refuse a file that is no Keras model, or not one that a twin can have, before anything of it is built.

    Parameters
    ----------
    content : bytes
        The file.

    Raises
    ------
    ValueError
        If there is something in it that a model does not need; the message names it.
    Exception
        Whatever else the libraries that read it raise.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        _check_members(opened.infolist(), len(content))
        config = json.loads(opened.read(CONFIG), parse_constant=_no_number)
        weights = opened.read(WEIGHTS)
    held = numbers_held(weights)
    check_configuration(config, held)


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse other members than a Keras model has, or larger ones, before they are unpacked."""
    names = [one.filename for one in members]
    strange = next((name for name in names if name not in MEMBERS), None)
    if strange is not None or len(set(names)) < len(names):
        _refuse(f"it has members that a model has not ({one_line(repr(strange or names), 60)})")
    unpacked = sum(one.file_size for one in members)
    if unpacked > LARGEST:
        _refuse(f"its members have {unpacked} bytes unpacked, and at most {LARGEST} are read")
    if unpacked > size or any(one.compress_type != zipfile.ZIP_STORED for one in members):
        _refuse("its members are compressed, which Keras does not do: save it again by model.save")
    large = next((one for one in members if one.filename != WEIGHTS and one.file_size > LARGEST_CONFIG), None)
    if large is not None:
        _refuse(f"its {large.filename} has {large.file_size} bytes, and at most {LARGEST_CONFIG} are read")
    absent = next((name for name in (CONFIG, WEIGHTS) if name not in names), None)
    if absent is not None:
        _refuse(f"it has no {absent}")


def _no_number(text: str) -> NoReturn:
    _refuse(f"a number in its configuration is {text}")


def _refuse(why: str) -> NoReturn:
    raise ValueError(why)


def numbers_held(weights: bytes) -> int:
    """Return how many numbers a file of weights really holds.

    Parameters
    ----------
    weights : bytes
        The file, HDF5.

    Returns
    -------
    int
        The numbers.

    Raises
    ------
    ValueError
        If a dataset is compressed, virtual, elsewhere, or no array of numbers, or a name leads out of the file.
    """
    import h5py

    with h5py.File(io.BytesIO(weights), "r") as file:
        sizes = list(_sizes(h5py, file))
    held = sum(count for count, _ in sizes)
    if sum(size for _, size in sizes) > len(weights):
        _refuse(f"its weights are {held} numbers, but the file is too small for them")
    return held


def _sizes(h5py: Any, root: Any) -> Iterator[tuple[int, int]]:
    """Yield numbers and bytes of every dataset."""
    found, inside = 0, [root]
    for _ in range(DEEPEST):
        inside = [(group, name) for group in inside for name in group]
        found += len(inside)
        if found > MOST_VALUES:
            _refuse(f"its weights have more than {MOST_VALUES} parts")
        outside = next((name for group, name in inside if type(group.get(name, getlink=True)) is not h5py.HardLink), "")
        if outside:
            _refuse(f"its weights name {one_line(repr(outside), 60)}, which leads elsewhere")
        parts = [group[name] for group, name in inside]
        for one in parts:
            if isinstance(one, h5py.Dataset):
                yield _size(one)
        inside = [one for one in parts if isinstance(one, h5py.Group)]
        if not inside:
            return
    _refuse(f"more than {DEEPEST} groups stand within each other in its weights")


def _size(dataset: Any) -> tuple[int, int]:
    where, shape = one_line(repr(dataset.name), 60), dataset.shape
    if shape is None or dataset.dtype.kind not in "fiu":
        _refuse(f"its weights {where} are no array of numbers")
    if dataset.chunks is not None or dataset.is_virtual or dataset.external:
        _refuse(f"its weights {where} do not lie in the file as they are")
    count = math.prod(shape)
    if count == 0 and any(shape):
        _refuse(f"its weights {where} have the shape {one_line(repr(shape), 60)}")
    return count, count * dataset.dtype.itemsize


def check_configuration(config: Any, held: int) -> None:
    """Refuse a configuration that names something that a twin cannot have, or a model that is larger than its weights.

    Parameters
    ----------
    config : object
        The configuration, as JSON has it.
    held : int
        Numbers that the file holds beside it.

    Raises
    ------
    ValueError
        If there is such a thing; the message names it.
    """
    if not isinstance(config, dict) or config.get("class_name") not in ("Sequential", "Functional"):
        _refuse("it holds no Sequential or functional model")
    dense, most, values = [], 0, 0
    for key, value in _values(config):
        values += len(value) if isinstance(value, list) and key not in AS_LONG_AS_A_ROW else 1
        if values > MOST_VALUES:
            _refuse(f"its configuration has more than {MOST_VALUES} values")
        if isinstance(value, dict) and value.keys() & {"class_name", "module", "registered_name"}:
            _check_class(value)
            if value["class_name"] == "Dense":
                dense.append(value["config"].get("units"))
        if "shape" in key:
            most = max(most, _numbers_of(value))
        elif key == "dtype" and not isinstance(value, dict) and not _is_dtype(value):
            _refuse(f"it computes in {one_line(repr(value), 60)}")
    if len(dense) > 1 or any(type(units) is not int or units < 1 for units in dense):
        _refuse(f"it has Dense layers of {one_line(repr(dense), 60)} units, and a twin has one of 1")
    needed = most * max(dense, default=1)
    if needed > held:
        _refuse(f"a model of its shapes has at least {one_line(needed, 30)} weights, but the file holds {held}")


def _values(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every value under its key, or that of the list that it is in; of a list of numbers, the list."""
    inside = [("", value)]
    for _ in range(DEEPEST):
        yield from inside
        inside = [
            (str(name), inner)
            for key, outer in inside
            if isinstance(outer, dict) or (isinstance(outer, list) and not _is_numbers(outer))
            for name, inner in (outer.items() if isinstance(outer, dict) else ((key, one) for one in outer))
        ]
        if not inside:
            return
    _refuse(f"more than {DEEPEST} lists and names stand within each other in its configuration")


def _is_numbers(values: list[Any]) -> bool:
    return all(type(one) in (int, float, bool, type(None)) for one in values)


def _numbers_of(shape: Any) -> int:
    """Return how many numbers a row of a shape has; of several shapes, 0, since those come by themselves."""
    if shape is None or isinstance(shape, dict) or (isinstance(shape, list) and not _is_numbers(shape)):
        return 0
    numbers = shape if isinstance(shape, list) and len(shape) <= MOST_SIDES else [0]
    if any(one is not None and (type(one) is not int or not 0 < one < 2**31) for one in numbers):
        _refuse(f"it has the shape {one_line(repr(shape), 60)}")
    return math.prod(one or 1 for one in shape[1:])


def _is_dtype(value: Any) -> bool:
    return value is None or (isinstance(value, str) and _DTYPE.fullmatch(value) is not None)


def _check_class(named: dict[str, Any]) -> None:
    """Refuse what is no class of those that are read, or sets what is not read of it."""
    name, module, config = named.get("class_name"), named.get("module"), named.get("config")
    if name == TENSOR and "module" not in named and "registered_name" not in named and isinstance(config, dict):
        return
    shown = one_line(f"{name!r} of {module!r}", 80)
    if (module, name) == ("builtins", "function"):
        if not isinstance(config, str) or config not in FUNCTIONS or named.get("registered_name") != "function":
            _refuse(f"it names the function {one_line(repr(config), 60)}, and read are {', '.join(sorted(FUNCTIONS))}")
        return
    known = CLASSES.get(module, set()) if isinstance(module, str) else set()
    if not isinstance(name, str) or name not in known or named.get("registered_name") not in (None, name):
        there = f", and read are {', '.join(sorted(known))} there" if known else ", which is not read"
        _refuse(f"it names {shown}{there}")
    if not isinstance(config, dict):
        _refuse(f"{shown} has no settings")
    if module == "keras.layers":
        _check_layer(name, config)
    if name == "DTypePolicy" and not (set(config) <= {"name"} and _is_dtype(config.get("name"))):
        _refuse(f"it computes in {one_line(repr(config), 60)}")


def _check_layer(name: str, config: dict[str, Any]) -> None:
    known = LAYERS[name]
    strange = next((key for key, value in config.items() if key not in known and value not in (None, False)), None)
    if strange is not None:
        _refuse(f"a layer {name} sets {one_line(repr(strange), 60)}, which is not read")
    if name == "Normalization" and config.get("axis") not in (None, -1, 1, [-1], [1]):
        _refuse(f"a layer {name} has axis={one_line(repr(config['axis']), 60)}: X is a table, (rows, features)")
