"""Distance of floating-point numbers in units in the last place."""

import numpy as np

WORST: dict[str, tuple[int, int]] = {}
"""What the properties have compared: how many numbers, and the worst distance; shown at the end of a run."""


def note(name, distance):
    """Keep count of a comparison and its worst distance."""
    count, worst = WORST.get(name, (0, 0))
    WORST[name] = count + np.size(distance), max(worst, int(np.max(distance, initial=0)))


def ulp_distance(a, b):
    """Return how many representable numbers lie between a and b, element by element; nan equals nan."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype, (a.dtype, b.dtype)
    integer = {4: np.int32, 8: np.int64}[a.dtype.itemsize]

    def ordered(x):
        bits = x.view(integer)
        return np.where(bits < 0, np.iinfo(integer).min - bits, bits).astype(object)

    distance = np.abs(ordered(np.atleast_1d(a)) - ordered(np.atleast_1d(b)))
    return np.where(np.isnan(a) & np.isnan(b), 0, distance)


def assert_equal_bits(a, b, *, what=""):
    """Assert 0 ULP, and tell how far apart the worst pair is otherwise."""
    distance = ulp_distance(a, b)
    worst = int(np.argmax(distance))
    assert not distance.any(), (
        f"{what}: {np.count_nonzero(distance)} of {distance.size} differ, the worst by {distance.flat[worst]} ULP: "
        f"{np.atleast_1d(a).flat[worst]!r} against {np.atleast_1d(b).flat[worst]!r}; {histogram(distance)}"
    )
    note("bits held equal", distance)


def histogram(distance):
    """Tell how many elements are how many ULP apart, in powers of two."""
    bits = [int(d).bit_length() for d in np.ravel(distance)]
    rows = [f"{2 ** (k - 1)} to {2**k - 1}: {bits.count(k)}" for k in sorted(set(bits)) if k]
    return f"ULP histogram: 0: {bits.count(0)}, " + ", ".join(rows)
