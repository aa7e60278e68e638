"""A stand-in for CuPy that computes with NumPy and is as strict as CuPy 13.3 and 14 are, or stricter.

Its arrays hide NumPy's: what is done to them goes through NEP 13, NEP 18 and the few methods that both libraries have.
Refused is what CuPy refuses (read from its sources, and what of it can be checked without a GPU is checked in
test_cupy.py):

- conversion to a NumPy array; `get`, `float()`, `bool()` and so on work, and are counted as fetches, because each waits
  for the GPU;
- NumPy arrays as operands, even without dimensions;
- methods of ufuncs (13.3 dispatches none of them, and the `add.reduceat` of 14 subtracts running sums);
- functions, ufuncs and arguments that CuPy does not have;
- scalars of another type than the arrays beside them: 13.3 and 14 promote them differently.
"""

import sys
import types
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np

UFUNCS = (
    "absolute", "add", "divide", "equal", "greater", "greater_equal", "invert", "isfinite", "isnan", "less",
    "less_equal", "matmul", "maximum", "minimum", "multiply", "negative", "not_equal", "power", "sign", "sqrt",
    "square", "subtract",
)  # fmt: skip
COMPARISONS = {"equal", "greater", "greater_equal", "less", "less_equal", "not_equal"}
FUNCTIONS = {
    "argmax": "a axis dtype out keepdims",
    "argwhere": "a",
    "average": "a axis weights returned keepdims",
    "concatenate": "tup axis out dtype casting",
    "empty_like": "prototype dtype order subok shape",
    "ones_like": "a dtype order subok shape",
    "reshape": "a newshape order",
    "stack": "tup axis out dtype casting",
    "sum": "a axis dtype out keepdims",
    "where": "condition x y",
    "zeros_like": "a dtype order subok shape",
}
SCALARS = (bool, int, float, np.generic)


class Log:
    """What has crossed the border since the last `clear`."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.fetches, self.moved = 0, []


LOG = Log()


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):  # noqa: N801 (CuPy's name)
    def __init__(self, hidden):
        assert isinstance(hidden, np.ndarray)
        self._hidden = hidden

    dtype = property(lambda self: self._hidden.dtype)
    shape = property(lambda self: self._hidden.shape)
    ndim = property(lambda self: self._hidden.ndim)
    size = property(lambda self: self._hidden.size)
    flags = property(lambda self: self._hidden.flags)
    T = property(lambda self: ndarray(self._hidden.T))

    # What leaves the GPU.

    def get(self):
        LOG.fetches += 1
        return self._hidden.copy()

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def __float__(self):
        return float(self.get())

    def __int__(self):
        return int(self.get())

    def __bool__(self):
        return bool(self.get())

    def __str__(self):
        return str(self.get())

    def __repr__(self):
        return repr(self.get())

    def __format__(self, spec):
        return format(self.get()[()], spec)

    def tolist(self):
        return self.get().tolist()

    def item(self):
        return self.get().item()

    __hash__ = None

    # What stays there.

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if method != "__call__" or ufunc.__name__ not in UFUNCS or options.keys() - {"out", "dtype", "casting"}:
            return NotImplemented
        if ufunc.__name__ in COMPARISONS:  # CuPy does so too: NumPy has made an array of a scalar on the left
            inputs = [it[()] if isinstance(it, np.ndarray) and it.ndim == 0 else it for it in inputs]
        types_there = {it.dtype for it in inputs if isinstance(it, ndarray)}
        for it in inputs:
            if isinstance(it, np.generic) and types_there != {it.dtype}:
                raise TypeError(f"{it!r} beside arrays of {types_there}: CuPy 13 and 14 promote it differently")
        return _called(ufunc, inputs, options)

    def __array_function__(self, function, types_met, arguments, options):
        if function.__name__ not in FUNCTIONS:
            return NotImplemented
        known = FUNCTIONS[function.__name__].split()
        if len(arguments) > len(known) or options.keys() - set(known):
            raise TypeError(f"cupy.{function.__name__} takes {known}, got {len(arguments)} and {sorted(options)}")
        if function.__name__.endswith("_like") and options.get("order", "K") == "K" and "shape" in options:
            (prototype,) = arguments  # CuPy looks for Fortran's order first, NumPy for C's
            options = options | {"order": "F" if prototype.flags.f_contiguous else "C"}
        if function is np.average and (len(arguments) > 2 or options.get("weights") is not None):
            LOG.fetches += 1  # it looks whether the weights sum to nothing
        return _called(function, arguments, options)

    def dot(self, b, out=None):
        if out is not None and not (out.flags.c_contiguous and out.dtype == np.result_type(self.dtype, b.dtype)):
            raise ValueError("Output array must be C-contiguous and of the type of the product")
        return _called(np.ndarray.dot, (self, b), {} if out is None else {"out": out})

    def take(self, indices, axis=None, out=None):
        return _called(np.ndarray.take, (self, indices), {"axis": axis, "out": out, "mode": "clip"})

    def astype(self, dtype, order="K", copy=True):
        return ndarray(self._hidden.astype(dtype, order=order, copy=copy))

    def copy(self):
        return ndarray(self._hidden.copy())

    def reshape(self, *shape):
        return ndarray(self._hidden.reshape(*shape))

    def sum(self, axis=None, dtype=None, out=None, keepdims=False):
        return _called(np.sum, (self,), {"axis": axis, "dtype": dtype, "out": out, "keepdims": keepdims})

    def any(self, axis=None, out=None, keepdims=False):
        return _called(np.any, (self,), {"axis": axis, "out": out, "keepdims": keepdims})

    def all(self, axis=None, out=None, keepdims=False):
        return _called(np.all, (self,), {"axis": axis, "out": out, "keepdims": keepdims})

    def __len__(self):
        return len(self._hidden)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key):
        return _wrapped(self._hidden[_key(key)])

    def __setitem__(self, key, value):
        self._hidden[_key(key)] = _hidden(value)


def _key(key):
    parts = key if isinstance(key, tuple) else (key,)
    for part in parts:
        if not (part is None or part is Ellipsis or isinstance(part, slice | int | np.integer | ndarray)):
            raise IndexError(f"Unsupported type {type(part)}")
    hidden = tuple(part._hidden if isinstance(part, ndarray) else part for part in parts)
    return hidden if isinstance(key, tuple) else hidden[0]


def _hidden(value):
    if isinstance(value, ndarray):
        return value._hidden
    if isinstance(value, list | tuple):
        return type(value)(map(_hidden, value))
    if value is None or isinstance(value, (*SCALARS, str, type, np.dtype)):
        return value
    raise TypeError(f"Unsupported type {type(value)}")


def _wrapped(result):
    return ndarray(np.asarray(result)) if isinstance(result, np.ndarray | np.generic) else result


def _called(function, arguments, options):
    out = options.get("out")
    out = out[0] if isinstance(out, tuple) else out
    if out is not None and not isinstance(out, ndarray):
        raise TypeError(f"out must be a cupy.ndarray, got {type(out)}")
    hidden = {name: _hidden(value) for name, value in options.items() if value is not None}
    result = function(*map(_hidden, arguments), **hidden)
    return out if out is not None else _wrapped(result)


def asarray(values, dtype=None):
    if isinstance(values, ndarray):
        return values if dtype is None else values.astype(dtype, copy=False)
    there = np.array(values, dtype)
    LOG.moved.append(there.shape)
    return ndarray(there)


def asnumpy(values):
    return values.get() if isinstance(values, ndarray) else np.asarray(values)


@contextmanager
def in_place_of_cupy(devices=1):
    """Until the end of the block, `import cupy` gives this module's arrays; yields (cupy, log)."""
    cupy = types.ModuleType("cupy")
    cupy.ndarray, cupy.asarray, cupy.asnumpy = ndarray, asarray, asnumpy
    cupy.cuda = types.SimpleNamespace(runtime=types.SimpleNamespace(getDeviceCount=lambda: devices))
    LOG.clear()
    with patch.dict(sys.modules, cupy=cupy):
        yield cupy, LOG
