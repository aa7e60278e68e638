"""`KerasSeed`: the weights and the order of every epoch that Keras draws, with and without TensorFlow."""

import copy
import pickle
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ulp import assert_equal_bits

from linreg import SGD, Adam, Huber, KerasSeed, LinearRegression, RMSprop
from linreg.initializers import glorot_limit, initial_kernel
from linreg.keras import counterpart, weights
from linreg.seeds import generator_from, philox

SEEDS = [*range(97), 2**31 - 1, 2**31, 2**32 - 1]
FLOAT64_SEEDS = [*range(37), 2**31 - 1, 2**31, 2**32 - 1]
ROWS = [1, 7, 32, 33, 1000, 100_000]
FEATURES = [1, 3, 130]
FLOAT64_FEATURES = [1, 2, 7, 33, 1000]


def order_of(seed, rows):
    return generator_from(KerasSeed(seed)).permutation(rows)


def kernel_of(seed, features, dtype=np.float32):
    return initial_kernel("glorot_uniform", features, generator_from(KerasSeed(seed), dtype), dtype)


# Without TensorFlow: values recorded from Keras 3.15.1 on TensorFlow 2.21, the same from 3.5.0 on 2.18.

ORDER_OF_0 = [
    30, 3, 32, 23, 18, 15, 27, 4, 28, 7, 6, 0, 11, 16, 2, 26, 13, 10, 21, 25, 12, 8, 31, 24, 22, 14, 29, 1, 17, 20, 9,
    19, 5,
]  # fmt: skip
# Seed: the order that `fit` uses of 7 and of 33 rows, and the CRC-32 of that of 100,000 (little-endian int64).
RECORDED_ORDERS = {
    0: ([4, 5, 2, 1, 0, 3, 6], ORDER_OF_0, 2855621562),
    1: (
        [1, 0, 4, 6, 3, 5, 2],
        [
            31, 29, 17, 10, 4, 11, 32, 12, 15, 30, 6, 13, 21, 7, 18, 5, 1, 2, 0, 23, 20, 14, 19, 3, 16, 22, 28, 9, 8,
            27, 24, 25, 26,
        ],
        3505379087,
    ),
    42: (
        [1, 2, 4, 6, 0, 3, 5],
        [
            26, 28, 1, 10, 11, 18, 6, 12, 21, 20, 2, 16, 29, 3, 32, 14, 24, 22, 0, 13, 7, 27, 17, 19, 23, 8, 25, 9, 31,
            30, 4, 15, 5,
        ],
        1281557015,
    ),
    # TensorFlow takes the seed modulo 2^31 - 1, so this is the order of 0 (the weights are not).
    2**31 - 1: ([4, 5, 2, 1, 0, 3, 6], ORDER_OF_0, 2855621562),
}  # fmt: skip

# Seed: the initial kernel of Dense(1) on 6 features, where the limit is no round number: each float32 rounding shows.
RECORDED_KERNELS = {
    0: ["0x1.dbd24p-6", "-0x1.6a089cp-2", "0x1.414b7cp-1", "-0x1.74f506p-1", "-0x1.8e711p-3", "-0x1.29022ap-1"],
    1: ["-0x1.c8f49cp-2", "0x1.579d34p-1", "0x1.9f9f08p-1", "-0x1.293b88p-2", "-0x1.bc3104p-1", "-0x1.7169b8p-1"],
    42: ["0x1.5393d8p-1", "0x1.345b5p-2", "-0x1.0be548p-2", "0x1.aa9ba8p-1", "-0x1.9003cep-1", "0x1.20d59p-2"],
    2**31 - 1: ["-0x1.01601p-4", "-0x1.0497c4p-1", "0x1.41c66p-1", "0x1.18f4ap-5", "0x1.399568p-1", "-0x1.57e3b8p-2"],
}

# The same of a float64 model, for 3 features.
RECORDED_FLOAT64_KERNELS = {
    0: ["-0x1.d5b4a7815b46ap-1", "0x1.08eb1f361d6ccp-1", "-0x1.ab1b8c62e1026p-1"],
    1: ["-0x1.0c62df1a1245dp+0", "0x1.212e2c1b66b00p-6", "-0x1.3764e93b3ab44p-1"],
    42: ["0x1.ca677b91116f0p-1", "0x1.cfa358e304580p-1", "0x1.3841092fb2b08p-2"],
    2**31 - 1: ["0x1.1e98527b9b9dep-1", "0x1.0dffd7fe6d1a0p-1", "0x1.6e9ec0d4e443cp-2"],
}

# Seed: kernel and bias, and the loss of each epoch, after three epochs of Adam(0.05) on `small_data` in batches of 8.
RECORDED_RUNS = {
    0: ([0.11092747, -0.164516, 0.37080783], [1.4068344, 1.1462498, 0.99159175]),
    1: ([-0.29457703, 0.61173767, 0.43487906], [6.4834824, 4.7903929, 3.4322467]),
    42: ([0.58661097, 0.070523515, 0.43298349], [4.5652018, 3.1917849, 2.1761851]),
    2**31 - 1: ([0.12467504, -0.35601208, 0.23782198], [1.9754236, 1.5422044, 1.2418125]),
}


def small_data():
    i = np.arange(20)
    return np.column_stack([i % 5 - 2, i**2 % 7 - 3]).astype(np.float32), (i % 3).astype(np.float32)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([2**32 - 1] * 4, [2**32 - 1] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_gives_the_known_answers_of_its_authors(counter, key, expected):
    # kat_vectors of Random123, the authors' library
    assert philox(key, np.array(counter, np.uint64)).tolist() == expected


@pytest.mark.parametrize("seed", RECORDED_ORDERS)
def test_orders_are_those_recorded_from_keras(seed):
    seven, thirty_three, checksum = RECORDED_ORDERS[seed]
    assert order_of(seed, 1).tolist() == [0]
    assert order_of(seed, 7).tolist() == seven
    assert order_of(seed, 33).tolist() == thirty_three
    assert zlib.crc32(order_of(seed, 100_000).astype("<i8").tobytes()) == checksum


@pytest.mark.parametrize("seed", RECORDED_KERNELS)
def test_weights_are_those_recorded_from_keras(seed):
    kernel = kernel_of(seed, 6)
    assert kernel.dtype == np.float32
    assert kernel.tolist() == [float.fromhex(number) for number in RECORDED_KERNELS[seed]]


@pytest.mark.parametrize("seed", RECORDED_RUNS)
def test_run_is_the_one_recorded_from_keras(seed):
    X, y = small_data()
    parameters, losses = RECORDED_RUNS[seed]
    model = LinearRegression(Adam(0.05), epochs=3, batch_size=8, random_state=KerasSeed(seed)).fit(X, y)
    np.testing.assert_allclose([*model.coef_, model.intercept_], parameters, rtol=1e-5)
    np.testing.assert_allclose(model.history_["loss"], losses, rtol=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(1, 300))
def test_every_order_holds_each_row_once(seed, rows):
    order = order_of(seed, rows)
    assert sorted(order.tolist()) == list(range(rows))
    assert order.tolist() == order_of(seed % (2**31 - 1), rows).tolist()


def test_order_is_the_same_in_every_epoch_whatever_is_done_to_the_array():
    generator = generator_from(KerasSeed(3))
    first = generator.permutation(50)
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(generator.permutation(50), kept)
    assert generator.permutation(20).max() == 19
    np.testing.assert_array_equal(generator.permutation(50), kept)


@pytest.mark.parametrize("seed", RECORDED_FLOAT64_KERNELS)
def test_float64_weights_are_those_recorded_from_keras(seed):
    kernel = kernel_of(seed, 3, np.float64)
    assert kernel.dtype == np.float64
    assert kernel.tolist() == [float.fromhex(number) for number in RECORDED_FLOAT64_KERNELS[seed]]


def test_float64_weights_are_other_numbers_in_the_same_bounds():
    kernel = kernel_of(5, 10_000, np.float64)
    assert (kernel.astype(np.float32) != kernel_of(5, 10_000)).all()
    limit = np.float32(glorot_limit(10_000, 1))
    assert -limit <= kernel.min() < -0.999 * limit
    assert 0.999 * limit < kernel.max() < limit


@pytest.mark.parametrize("dtype", ["float64", "keras_float64"])
def test_float64_run_starts_from_the_float64_weights(dtype):
    X, y = small_data()
    model = LinearRegression(SGD(0.0), epochs=1, dtype=dtype, random_state=KerasSeed(5)).fit(X, y)
    assert_equal_bits(model.coef_, kernel_of(5, 2, np.float64))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rest_after", ["nothing", "a pickle", "a deepcopy"])
def test_second_fit_goes_on_in_the_same_order_if_warm_and_starts_anew_if_not(rest_after, dtype):
    again = {"nothing": lambda x: x, "a pickle": lambda x: pickle.loads(pickle.dumps(x)), "a deepcopy": copy.deepcopy}  # noqa: S301
    X, y = small_data()
    settings = {"optimizer": "adam", "batch_size": 8, "random_state": KerasSeed(4), "dtype": dtype}
    straight = LinearRegression(epochs=5, **settings).fit(X, y)
    resumed = again[rest_after](LinearRegression(epochs=3, warm_start=True, **settings).fit(X, y))
    resumed.set_params(epochs=2).fit(X, y)
    assert_equal_bits(resumed.coef_, straight.coef_)
    assert resumed.history_ == straight.history_
    anew = LinearRegression(epochs=5, **settings).fit(X[::-1], y).fit(X, y)
    assert_equal_bits(anew.coef_, straight.coef_)


def test_pickled_model_does_not_carry_the_order():
    generator = generator_from(KerasSeed(4))
    generator.permutation(10_000)
    assert len(pickle.dumps(generator)) < 200


def test_keras_seed_is_a_parameter_like_any_other():
    model = LinearRegression(random_state=KerasSeed(7))
    assert repr(model) == "LinearRegression(random_state=KerasSeed(seed=7))"
    assert KerasSeed(np.uint8(7)) == pickle.loads(pickle.dumps(KerasSeed(7))) == copy.deepcopy(KerasSeed(7))  # noqa: S301
    assert type(KerasSeed(np.uint8(7)).seed) is int
    assert hash(KerasSeed(7)) == hash(KerasSeed(7))
    assert model.get_params()["random_state__seed"] == 7
    assert model.set_params(random_state__seed=8).random_state == KerasSeed(8)


def test_scikit_learn_clones_a_model_with_a_keras_seed():
    sklearn = pytest.importorskip("sklearn.base")
    X, y = small_data()
    model = LinearRegression(epochs=2, random_state=KerasSeed(2**31 - 1))
    cloned = sklearn.clone(model)
    assert cloned.random_state == model.random_state
    assert_equal_bits(cloned.fit(X, y).coef_, model.fit(X, y).coef_)


REFUSED = {"x": TypeError, 1.5: TypeError, None: TypeError, True: TypeError, -1: ValueError, 2**32: ValueError}


@pytest.mark.parametrize("seed", REFUSED, ids=repr)
def test_seed_out_of_range_is_refused_in_words(seed):
    with pytest.raises(REFUSED[seed], match="seed must be an integer from 0 to 4294967295") as caught:
        KerasSeed(seed)
    assert f"got {seed!r}." in str(caught.value)


# With TensorFlow.


def shuffles(keras, seed, sizes):
    """Yield the order that tf.data draws of each size in the way of Keras' `fit` (see the test of live fits)."""
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    rows = tf.Variable(0, dtype=tf.int64)
    pipeline = tf.data.Dataset.range(1).map(lambda _: tf.random.shuffle(tf.range(rows)))
    for size in sizes:
        rows.assign(size)
        (order,) = pipeline.as_numpy_iterator()
        yield order


def orders_of_live_fits(keras, seed, rows, batch_size, epochs):
    """Return the order of every epoch of successive `fit` calls, written down in the training step itself."""

    class Recorder(keras.Sequential):
        def train_step(self, data):
            seen.append(data[0].numpy()[:, 0])
            return super().train_step(data)

    seen = []
    keras.utils.set_random_seed(seed)
    model = Recorder([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    X = np.arange(rows, dtype=keras.config.floatx())[:, np.newaxis]
    for count in epochs:
        model.fit(X, np.zeros(rows, np.float32), epochs=count, batch_size=batch_size, verbose=0)
    assert len(seen[0]) == min(batch_size, rows)
    return np.concatenate(seen).reshape(sum(epochs), rows)


@pytest.mark.parametrize(
    ("seed", "rows", "batch_size"),
    [
        (0, 1, 32),
        (0, 33, 32),
        (1, 7, 2),
        (42, 32, 32),
        (2**31 - 1, 33, 5),
        (2**31, 33, 32),
        (3, 1000, 300),
        (2**32 - 1, 100_000, 30_000),
    ],
)
def test_every_epoch_of_every_live_fit_uses_the_order(keras, seed, rows, batch_size):
    order = order_of(seed, rows)
    lived = orders_of_live_fits(keras, seed, rows, batch_size, epochs=(3, 2))
    np.testing.assert_array_equal(lived, np.broadcast_to(order, lived.shape))
    (drawn,) = shuffles(keras, seed, [rows])  # so that the table below is about `fit`
    np.testing.assert_array_equal(drawn, order)


def test_orders_equal_keras_for_a_hundred_seeds_and_all_sizes(keras):
    assert len(set(SEEDS)) == 100
    wrong = [
        (seed, rows)
        for seed in SEEDS
        for rows, theirs in zip(ROWS, shuffles(keras, seed, ROWS), strict=True)
        if not np.array_equal(order_of(seed, rows), theirs)
    ]
    assert wrong == []
    # Of the hundred seeds, those that are equal modulo 2^31 - 1 share an order, and no others do.
    assert len({tuple(order_of(seed, 33)) for seed in SEEDS}) == len({seed % (2**31 - 1) for seed in SEEDS}) == 97


def test_weights_equal_keras_bit_for_bit_for_a_hundred_seeds(keras):
    for seed in SEEDS:
        for features in FEATURES:
            keras.utils.set_random_seed(seed)
            model = keras.Sequential([keras.Input((features,)), keras.layers.Dense(1)])
            theirs = weights(model)
            assert theirs[-1] == 0
            assert_equal_bits(kernel_of(seed, features), theirs[:-1], what=f"seed {seed}, {features} features")
    assert len({kernel_of(seed, 1)[0] for seed in SEEDS}) > 95


def test_float64_weights_and_orders_equal_those_of_float64_keras(keras_float64):
    for seed in FLOAT64_SEEDS:
        for features in FLOAT64_FEATURES:
            keras_float64.utils.set_random_seed(seed)
            model = keras_float64.Sequential([keras_float64.Input((features,)), keras_float64.layers.Dense(1)])
            what = f"seed {seed}, {features} features"
            assert_equal_bits(kernel_of(seed, features, np.float64), weights(model)[:-1], what=what)
        for rows, theirs in zip(ROWS[:-1], shuffles(keras_float64, seed, ROWS[:-1]), strict=True):
            np.testing.assert_array_equal(order_of(seed, rows), theirs)


def test_float64_layer_of_a_float32_program_starts_from_the_float64_weights(keras):
    keras.utils.set_random_seed(8)
    model = keras.Sequential([keras.Input((7,)), keras.layers.Dense(1, dtype="float64")])
    assert_equal_bits(kernel_of(8, 7, np.float64), weights(model)[:-1])


def test_every_epoch_of_a_live_float64_fit_uses_the_order(keras_float64):
    lived = orders_of_live_fits(keras_float64, 3, 33, 5, epochs=(2, 1))
    assert lived.dtype == np.float64
    np.testing.assert_array_equal(lived, np.broadcast_to(order_of(3, 33), lived.shape))


@pytest.mark.parametrize("seed", REFUSED, ids=repr)
def test_keras_refuses_the_same_seeds_but_true(keras, seed):
    if seed is True:
        keras.utils.set_random_seed(True)  # Keras takes it for 1
    else:
        with pytest.raises(ValueError):  # noqa: PT011 (Keras' or NumPy's words)
            keras.utils.set_random_seed(seed)


RUNS = {
    "sgd-mse": LinearRegression(SGD(0.05), "mse"),
    "nesterov-huber": LinearRegression(SGD(0.02, momentum=0.8, nesterov=True), Huber(0.3)),
    "rmsprop-mse": LinearRegression(RMSprop(0.01), "mse"),
    "adam-mse-without-intercept": LinearRegression(Adam(0.01), "mse", fit_intercept=False),
}


def data(rows=50, features=3, seed=0):  # batches of 16: the last one holds 2
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, features)).astype(np.float32)
    return X, (X @ rng.normal(size=features) + 1 + 0.1 * rng.normal(size=rows)).astype(np.float32)


def seeded_keras(keras, model, seed, features):
    """Return what a user of Keras writes, with the optimizer and the loss of `model`."""
    keras.utils.set_random_seed(seed)
    layer = keras.layers.Dense(1, use_bias=model.fit_intercept)
    twin = keras.Sequential([keras.Input((features,)), layer])
    twin.compile(optimizer=counterpart(model.settings().optimizer), loss=counterpart(model.settings().loss))
    return twin


def distance(model, twin):
    """Return how far apart the parameters are, relative to their size."""
    ours = np.append(model.coef_, model.intercept_)[: model.n_features_in_ + model.fit_intercept]
    return np.abs(ours - weights(twin)).max() / np.abs(weights(twin)).max()


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("seed", [0, 2**31 - 1])
def test_first_and_second_fit_are_those_of_keras(keras, name, seed):
    X, y = data()
    validation = data(rows=21, seed=1)
    model = copy.deepcopy(RUNS[name])
    model.set_params(epochs=4, batch_size=16, random_state=KerasSeed(seed), warm_start=True)
    twin = seeded_keras(keras, model, seed, X.shape[1])
    for fits in (1, 2):
        model.fit(X, y, validation_data=validation)
        theirs = twin.fit(X, y, batch_size=16, epochs=4, validation_data=validation, verbose=0).history
        # Keras runs in graph mode here and sums in another order: the steps drift by a few roundings each.
        assert distance(model, twin) < 1e-5
        assert len(model.history_["loss"]) == 4 * fits
        np.testing.assert_allclose(model.history_["loss"][-4:], theirs["loss"], rtol=1e-5)
        np.testing.assert_allclose(model.history_["val_loss"][-4:], theirs["val_loss"], rtol=1e-5)


@pytest.mark.parametrize("name", RUNS)
def test_float64_fit_is_that_of_float64_keras(keras_float64, name):
    X, y = (table.astype(np.float64) for table in data())
    model = copy.deepcopy(RUNS[name])
    model.set_params(epochs=4, batch_size=16, random_state=KerasSeed(9), dtype="keras_float64").fit(X, y)
    twin = seeded_keras(keras_float64, model, 9, X.shape[1])
    twin.fit(X, y, batch_size=16, epochs=4, verbose=0)
    assert distance(model, twin) < 1e-5 * 2**-29  # float64 has 29 bits more


@pytest.mark.parametrize(
    "wrong",
    [
        {"shuffle": False},
        {"random_state": 11},  # a new order every epoch
        {"random_state": KerasSeed(12)},  # frozen, but another one
    ],
    ids=["unshuffled", "reshuffled", "other_seed"],
)
def test_any_other_order_would_be_noticed(keras, wrong):
    X, y = data()
    model = LinearRegression(SGD(0.05), epochs=4, batch_size=16, random_state=KerasSeed(11))
    twin = seeded_keras(keras, model, 11, X.shape[1])
    start = weights(twin)[:-1]
    twin.fit(X, y, batch_size=16, epochs=4, verbose=0)
    assert distance(model.fit(X, y), twin) < 1e-5
    model.set_params(kernel_initializer=start)
    assert distance(model.fit(X, y), twin) < 1e-5
    assert distance(model.set_params(**wrong).fit(X, y), twin) > 1e-3
