"""Randomness: the generator that draws the initial kernel, then the order of each epoch.

NumPy's, or with `KerasSeed` Keras' own: TensorFlow draws both from Philox4x32-10 (J. Salmon et al., "Parallel Random
Numbers: As Easy as 1, 2, 3", SC'11), which turns a counter into four random 32-bit words and so has no state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.hyperparameters import HyperParameters, as_integer

Array = Any

WORD = 2**32 - 1
LARGEST_INT32 = 2**31 - 1


@dataclass(frozen=True, repr=False)
class KerasSeed(HyperParameters):
    """Start from the weights, and go through the rows in the order, of a Keras model that was seeded with `seed`.

    `LinearRegression(random_state=KerasSeed(s))` begins as `keras.utils.set_random_seed(s)` followed by
    `Sequential([Input((d,)), Dense(1)])`, `compile` and `fit` does, bit for bit; TensorFlow is not needed.

    Parameters
    ----------
    seed : int
        What `keras.utils.set_random_seed` is given: 0 to 2^32 - 1.

    Raises
    ------
    TypeError
        If the seed is no integer.
    ValueError
        If it is out of that range.

    Notes
    -----
    Keras, once seeded, freezes the shuffle: every epoch, of the first `fit` and of any later one, uses the same order,
    which depends on the seed and the number of rows alone (and on the seed only modulo 2^31 - 1). The weights are those
    of the first layer that is made after the seed is set.

    A second `fit` with `warm_start=True` is Keras' second `fit` of a model: it goes on from the weights, in the same
    order again. One with `warm_start=False` is a new model after the seed was set again: the same run once more.

    The weights are those of a Keras model with the type of the run: a float64 model draws other numbers than a float32
    one, not the same with more digits. The order does not depend on the type.

    Checked with TensorFlow 2.18 and 2.21 (Keras 3.7 and 3.15), on the CPU.
    Dialect: Keras on TensorFlow; on other backends Keras draws other numbers.
    Source: J. Salmon, M. Moraes, R. Dror and D. Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11, for
    Philox4x32-10; X. Glorot and Y. Bengio, AISTATS 2010, for the bounds of the weights.

    Examples
    --------
    >>> from linreg import KerasSeed, LinearRegression
    >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
    >>> seeded = LinearRegression(batch_size=1, epochs=5, random_state=KerasSeed(812))
    >>> seeded
    LinearRegression(epochs=5, batch_size=1, random_state=KerasSeed(seed=812))
    >>> first = seeded.fit(X, y).coef_
    >>> bool(first == seeded.fit(X, y).coef_)  # the same start, in the same order
    True
    """

    seed: int

    def __post_init__(self) -> None:
        seed = as_integer(self.seed)
        problem = (
            f"KerasSeed: seed must be an integer from 0 to {WORD}, as keras.utils.set_random_seed takes it, got "
            f"{self.seed!r}."
        )
        if seed is None:
            raise TypeError(problem)
        if not 0 <= seed <= WORD:
            raise ValueError(problem)
        object.__setattr__(self, "seed", seed)


class KerasGenerator:
    """Draws what Keras draws after `keras.utils.set_random_seed(seed)`; a call changes nothing about the next one.

    Parameters
    ----------
    seed : int
        The seed.
    dtype : type, default=numpy.float32
        Type of the weights: `numpy.float32` or `numpy.float64`.
    """

    def __init__(self, seed: int, dtype: Any = np.float32) -> None:
        self._seed = seed
        self._dtype = dtype
        self._order = np.arange(0)

    def uniform(self, low: float, high: float, size: int) -> Array:
        """Return the weights that a uniform initializer gives the first layer.

        Parameters
        ----------
        low, high : float
            Bounds.
        size : int
            Number of weights.

        Returns
        -------
        array of shape (size,)
            The weights, of the generator's type.
        """
        # The layer draws a seed of its own from Python's generator; TensorFlow scrambles it to a key and a counter.
        import random  # the standard library's, in the one place that needs it

        layer_seed = random.Random(self._seed).randint(1, 10**9)  # noqa: S311 (Keras' choice; nothing here is secret)
        scrambled = philox((0x3EC8F720, 0x02461E29), np.array([layer_seed, 0, 0, 0], np.uint64)).tolist()
        words_a_number, between_0_and_1 = UNIFORM[self._dtype]
        unit = between_0_and_1(random_words(scrambled[:2], scrambled[2:], size * words_a_number))
        # A float64 model has its bounds rounded to float32, too.
        start, end = self._dtype(np.float32(low)), self._dtype(np.float32(high))
        return unit * (end - start) + start

    def permutation(self, rows: int) -> Array:
        """Return the order of an epoch, the same at every call.

        Parameters
        ----------
        rows : int
            Number of rows.

        Returns
        -------
        array of shape (rows,)
            0, ..., rows - 1 in the order of Keras' `fit`.
        """
        if len(self._order) != rows:
            self._order = shuffled(self._seed, rows)
        return self._order.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the seed and the type alone: the order follows from the seed."""
        return KerasGenerator, (self._seed, self._dtype)


def float32_between_0_and_1(words: Array) -> Array:
    """Return one float32 in [0, 1) for each word."""
    # 23 random bits are the fraction of a number in [1, 2).
    return ((words & 0x7FFFFF) | 0x3F800000).astype(np.uint32).view(np.float32) - np.float32(1)


def float64_between_0_and_1(words: Array) -> Array:
    """Return one float64 in [0, 1) for each two words."""
    # 52 random bits are the fraction of a number in [1, 2): 20 of the first word, then all of the second.
    return ((words[::2] & 0xFFFFF) << 32 | words[1::2] | 1023 << 52).view(np.float64) - 1


UNIFORM = {np.float32: (1, float32_between_0_and_1), np.float64: (2, float64_between_0_and_1)}
"""How many random words a number of each type takes, and how it is made of them."""


def shuffled(seed: int, rows: int) -> Array:
    """Return 0, ..., rows - 1 as `tf.random.shuffle` orders them, the first random operation after the seed is set.

    Parameters
    ----------
    seed : int
        TensorFlow's global seed.
    rows : int
        How many.

    Returns
    -------
    array of shape (rows,)
        The order.
    """
    # TensorFlow's pair of seeds is (global seed, number of the operation); (0, 0) would mean "no seed".
    key = seed % LARGEST_INT32
    operation = 0 if key else LARGEST_INT32
    # Fisher-Yates from the front: position i is swapped with one of i, ..., rows - 1.
    position = np.arange(rows - 1, dtype=np.uint64)
    chosen = position + random_words((key, 0), (operation, 0), len(position)) % (rows - position)
    order = list(range(rows))
    for i, j in enumerate(chosen.tolist()):
        order[i], order[j] = order[j], order[i]
    return np.array(order)


def random_words(key: Any, stream: Any, count: int) -> Array:
    """Return the first words of one of Philox' streams.

    Parameters
    ----------
    key : pair of int
        The key.
    stream : pair of int
        The upper half of the counter.
    count : int
        How many words.

    Returns
    -------
    array of shape (count,)
        The words, as uint64.
    """
    block = np.arange(-(-count // 4), dtype=np.uint64)
    upper = (np.full_like(block, half) for half in stream)
    return philox(key, np.stack([block & WORD, block >> 32, *upper])).T.reshape(-1)[:count]


def philox(key: Any, counter: Array) -> Array:
    """Return Philox4x32-10 of counters.

    Parameters
    ----------
    key : pair of int
        The key, lower word first.
    counter : array of shape (4, ...)
        Counters, lowest word first; 32-bit words as uint64, so that a product of two fits.

    Returns
    -------
    array of shape (4, ...)
        Four random words for each counter.
    """
    # Ten rounds of: c0, c1, c2, c3 = high(M1 c2) ^ c1 ^ k0, low(M1 c2), high(M0 c0) ^ c3 ^ k1, low(M0 c0)
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        m0, m1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (m1 >> 32) ^ c1 ^ k0, m1 & WORD, (m0 >> 32) ^ c3 ^ k1, m0 & WORD
        k0, k1 = (k0 + 0x9E3779B9) & WORD, (k1 + 0xBB67AE85) & WORD
    return np.stack([c0, c1, c2, c3])


def generator_from(random_state: Any, dtype: Any = np.float32) -> Any:
    """Return the generator of a run.

    Parameters
    ----------
    random_state : None, int, KerasSeed, numpy.random.Generator or numpy.random.RandomState
        None draws a fresh seed from the operating system; an int always gives the same run; a `KerasSeed` gives
        Keras'; a generator is used as it is and moves on.
    dtype : type, default=numpy.float32
        Type of the run. Only a `KerasSeed` draws other weights for another type.

    Returns
    -------
    numpy.random.Generator or KerasGenerator
        The generator; `uniform` and `permutation` are what a run needs of it.

    Raises
    ------
    TypeError
        If it is anything else.
    ValueError
        If the int is negative.
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, KerasSeed):
        return KerasGenerator(random_state.seed, dtype)
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31, size=4))
    if random_state is None:
        return np.random.default_rng()
    seed = as_integer(random_state)
    if seed is None:
        raise TypeError(
            "random_state must be None, an int, a linreg.KerasSeed, a numpy.random.Generator or a "
            f"numpy.random.RandomState, got {random_state!r}."
        )
    if seed < 0:
        raise ValueError(f"random_state must be at least 0, got {random_state!r}.")
    return np.random.default_rng(seed)
