"""For each known behaviour of tf.keras a tf.keras that behaves otherwise: what the test of the claim must notice.

A change takes `keras` and pytest's `monkeypatch`. Most put another function in the place of one of Keras; where the
function is long, `rewritten` changes a piece of its source.
"""

import inspect
import textwrap

import numpy as np

CHANGES = {}


def change(name):
    def register(make):
        assert name not in CHANGES
        CHANGES[name] = make
        return make

    return register


def rewritten(function, old, new):
    """Return a Keras function with `old` replaced by `new` wherever it stands in its source."""
    source = textwrap.dedent(inspect.getsource(function))
    assert old in source, f"{function.__qualname__} of this Keras does not say {old!r}"
    made = {}
    exec(source.replace(old, new), dict(function.__globals__), made)  # noqa: S102 (Keras' own source)
    return made[function.__name__]


def shared(keras, name):
    """Return the class in which all optimizers have a method."""
    return next(kind for kind in keras.optimizers.SGD.__mro__[1:] if name in vars(kind))


# Update rules: `step(optimizer, g, variable, lr)` with everything in the variable's type.


def stepping(keras, patch, kind, step):
    def update_step(self, gradient, variable, learning_rate):
        g, lr = (keras.ops.cast(x, variable.dtype) for x in (gradient, learning_rate))
        step(self, g, variable, lr)

    patch.setattr(kind, "update_step", update_step)


@change("adam-epsilon-hat")
def _(keras, patch):
    def algorithm_1(self, g, p, lr):
        p.assign_sub(lr * g / (keras.ops.abs(g) + self.epsilon))  # the first step

    stepping(keras, patch, keras.optimizers.Adam, algorithm_1)


@change("adam-corrects-in-float32")
def _(keras, patch):
    def exact(self, g, p, lr):
        p.assign_sub(lr * keras.ops.sign(g))

    stepping(keras, patch, keras.optimizers.Adam, exact)


@change("amsgrad-maximum")
def _(keras, patch):
    state = {"m": 0.0, "v": 0.0, "largest": 0.0, "t": 0}

    def corrected(self, g, p, lr):
        state["t"] += 1
        state["m"] = 0.9 * state["m"] + 0.1 * g
        state["v"] = 0.999 * state["v"] + 0.001 * g * g
        state["largest"] = keras.ops.maximum(state["largest"], state["v"] / (1 - 0.999 ** state["t"]))
        p.assign_sub(lr * state["m"] / (1 - 0.9 ** state["t"]) / keras.ops.sqrt(state["largest"]))

    stepping(keras, patch, keras.optimizers.Adam, corrected)


@change("rmsprop-epsilon-inside")
def _(keras, patch):
    def outside(self, g, p, lr):
        p.assign_sub(lr * g / (keras.ops.sqrt((1 - self.rho) * g * g) + self.epsilon))

    stepping(keras, patch, keras.optimizers.RMSprop, outside)


@change("rmsprop-first-steps")
def _(keras, patch):
    stepping(keras, patch, keras.optimizers.RMSprop, lambda self, g, p, lr: p.assign_sub(lr * keras.ops.sign(g)))


@change("momentum-holds-the-rate")
def _(keras, patch):
    def outside(self, g, p, lr):
        (m,) = self.momentums
        m.assign(m * self.momentum + g)
        p.assign_sub(lr * m)

    stepping(keras, patch, keras.optimizers.SGD, outside)


@change("rmsprop-momentum-holds-the-rate")
def _(keras, patch):
    def outside(self, g, p, lr):
        (m,) = self._momentums
        m.assign(m * self.momentum + g / 0.1**0.5)  # the root mean square of a first gradient of 1
        p.assign_sub(lr * m)

    stepping(keras, patch, keras.optimizers.RMSprop, outside)


@change("nesterov-looks-ahead")
def _(keras, patch):
    def plain(self, g, p, lr):
        (m,) = self.momentums
        m.assign(m * self.momentum - lr * g)
        p.assign_add(m)

    stepping(keras, patch, keras.optimizers.SGD, plain)


@change("nesterov-needs-momentum")
def _(keras, patch):
    stepping(keras, patch, keras.optimizers.SGD, lambda self, g, p, lr: p.assign_sub(lr * g * 1.9))


@change("one-huge-gradient-makes-adam-nan")
def _(keras, patch):
    stepping(keras, patch, keras.optimizers.Adam, lambda self, g, p, lr: p.assign_sub(lr * keras.ops.sign(g)))


@change("weight-decay-takes-all")
def _(keras, patch):
    kind = shared(keras, "_apply_weight_decay")
    decay = kind._apply_weight_decay
    patch.setattr(kind, "_apply_weight_decay", lambda self, variables: decay(self, variables[:1]))


@change("weight-decay-stands-apart")
def _(keras, patch):
    patch.setattr(shared(keras, "_apply_weight_decay"), "_apply_weight_decay", lambda self, variables: None)


@change("numbers-written-as-integers")
def _(keras, patch):
    init = keras.optimizers.SGD.__init__

    def lenient(self, learning_rate=0.01, momentum=0.0, **settings):
        init(self, float(learning_rate), momentum=float(momentum), **settings)

    patch.setattr(keras.optimizers.SGD, "__init__", lenient)


# Around the rules.


def clipping(keras, patch, clip):
    patch.setattr(shared(keras, "_clip_gradients"), "_clip_gradients", lambda self, grads: clip(self, grads))


@change("clip-of-zero-is-none")
def _(keras, patch):
    clipping(keras, patch, lambda self, grads: [0 * g for g in grads])


@change("clipnorm-each-variable")
def _(keras, patch):
    clipping(keras, patch, lambda self, grads: [g / sum(keras.ops.sum(g * g) for g in grads) ** 0.5 for g in grads])


@change("clipnorm-is-exact")
def _(keras, patch):
    def added(self, grads):
        return [g * self.clipnorm / (keras.ops.norm(g) + 1e-6) for g in grads]

    clipping(keras, patch, added)


@change("clipnorm-of-huge-gradients")
def _(keras, patch):
    def scaled_first(self, grads):
        scaled = [g / keras.ops.max(keras.ops.abs(g)) for g in grads]
        return [g / keras.ops.norm(g) for g in scaled] if self.clipvalue is None else scaled

    clipping(keras, patch, scaled_first)


@change("zeros-that-mean-none")
def _(keras, patch):
    init = keras.optimizers.SGD.__init__

    def lenient(self, *given, gradient_accumulation_steps=None, **settings):
        several = gradient_accumulation_steps if (gradient_accumulation_steps or 0) > 1 else None
        init(self, *given, gradient_accumulation_steps=several, **settings)

    patch.setattr(keras.optimizers.SGD, "__init__", lenient)


def rewriting(keras, patch, name, old, new):
    kind = shared(keras, name)
    patch.setattr(kind, name, rewritten(vars(kind)[name], old, new))


@change("accumulation-takes-the-mean")
def _(keras, patch):
    rewriting(keras, patch, "_backend_apply_gradients", "(g + acc_g) / steps", "(g + acc_g)")


@change("accumulation-hurries-schedules")
def _(keras, patch):
    rewriting(keras, patch, "_get_current_learning_rate", "self._iterations", "self.iterations")


@change("accumulation-and-adams-t")
def _(keras, patch):
    patch.setattr(shared(keras, "iterations"), "iterations", property(lambda self: self._iterations))


def around_fit(keras, patch, before=lambda model, arguments: None, after=lambda model: None):
    """Let every fit do something before, where it may change the arguments, and after."""
    fit = keras.Model.fit

    def changed(self, *data, **settings):
        arguments = {"data": data, "settings": settings}
        before(self, arguments)
        history = fit(self, *arguments["data"], **arguments["settings"])
        after(self)
        return history

    patch.setattr(keras.Sequential, "fit", changed)


@change("accumulation-left-over")
def _(keras, patch):
    around_fit(keras, patch, after=lambda model: model.optimizer._backend_reset_gradient_accumulators())


@change("ema-overwrites-the-weights")
def _(keras, patch):
    patch.setattr(shared(keras, "finalize_variable_values"), "finalize_variable_values", lambda self, variables: None)


@change("ema-validates-the-raw-weights")
def _(keras, patch):
    patch.setattr(shared(keras, "finalize_variable_values"), "finalize_variable_values", lambda self, variables: None)


@change("ema-starts-at-the-first-update")
def _(keras, patch):
    name = "_update_model_variables_moving_average"
    rewriting(keras, patch, name, "ops.not_equal(self.iterations, 0)", "ops.equal(0, 0)")


@change("ema-moves-at-every-batch")
def _(keras, patch):
    filled = "if self.use_ema and (self._iterations + 1) % self.gradient_accumulation_steps == 0:"
    rewriting(keras, patch, "_backend_apply_gradients", "if self.use_ema:", filled)


@change("ema-overwriting-alone-is-ignored")
def _(keras, patch):
    rewriting(keras, patch, "_backend_apply_gradients", "if self.ema_overwrite_frequency:", "if False:")


# Losses and the history.


@change("weights-are-divided-by-rows")
def _(keras, patch):
    patch.setattr(
        keras.losses.MeanSquaredError,
        "__call__",
        lambda self, y, p, sample_weight: np.average(np.square(p - y).ravel(), weights=sample_weight),
    )


@change("a-batch-of-no-weight-counts-zero")
def _(keras, patch):
    patch.setattr("keras.src.ops.divide_no_nan", keras.ops.divide)


@change("huber-keeps-delta")
def _(keras, patch):
    huber = keras.losses.Huber.call
    patch.setattr(keras.losses.Huber, "call", lambda self, y, p: huber(self, y, p) / 0.5)


@change("a-saved-huber-forgets-delta")
def _(keras, patch):
    config = keras.losses.Huber.get_config
    patch.setattr(keras.losses.Huber, "get_config", lambda self: {**config(self), "delta": self._fn_kwargs["delta"]})


@change("l2-without-a-half")
def _(keras, patch):
    patch.setattr(keras.regularizers.L2, "__call__", lambda self, w: self.l2 * keras.ops.sum(w * w) / 2)


@change("the-penalty-is-in-the-loss")
def _(keras, patch):
    patch.setattr(keras.layers.Layer, "losses", property(lambda self: []))


@change("history-counts-rows")
def _(keras, patch):
    update = keras.metrics.Mean.update_state
    patch.setattr(keras.metrics.Mean, "update_state", lambda self, values, sample_weight=None: update(self, values))


@change("history-is-before-the-step")
def _(keras, patch):
    step = keras.Model.train_step

    def loss_of_the_end(self, data):
        step(self, data)
        self._loss_tracker.reset_state()
        return self.test_step(data)

    patch.setattr(keras.Sequential, "train_step", loss_of_the_end)


@change("history-ignores-weights")
def _(keras, patch):
    step = keras.Model.train_step
    weighted = rewritten(step, "sample_weight=tf.shape(", "sample_weight=tf.reduce_sum(sample_weight) * tf.ones_like(")
    patch.setattr(keras.Sequential, "train_step", weighted)


@change("metrics-ignore-weights")
def _(keras, patch):
    kind = keras.metrics.MeanSquaredError
    update = kind.update_state
    patch.setattr(kind, "update_state", lambda self, y, p, sample_weight=None: update(self, y, p))


@change("targets-without-a-column")
def _(keras, patch):
    patch.setattr("keras.src.losses.losses.squeeze_or_expand_to_same_rank", lambda x, y: (x, y))


@change("nan-does-not-stop-fit")
def _(keras, patch):
    def with_callback(model, arguments):
        arguments["settings"]["callbacks"] = [keras.callbacks.TerminateOnNaN()]

    around_fit(keras, patch, before=with_callback)


# Data.


@change("validation-split-takes-the-end")
def _(keras, patch):
    def backwards(model, arguments):
        arguments["data"] = [column[::-1] for column in arguments["data"]]

    around_fit(keras, patch, before=backwards)


@change("a-short-batch-steps-in-full")
def _(keras, patch):
    def share(self, y, p, sample_weight=None):
        return keras.ops.sum(keras.ops.square(y - p)) / 4

    patch.setattr(keras.losses.MeanSquaredError, "__call__", share)


@change("float64-data-are-rounded")
def _(keras, patch):
    patch.setattr(keras.Sequential, "predict", lambda self, x, verbose: x * self.get_weights()[0])


@change("dataset-is-not-shuffled")
def _(keras, patch):
    def shuffled(model, arguments):
        (dataset,) = arguments["data"]
        arguments["data"] = [dataset.unbatch().shuffle(100).batch(4)]

    around_fit(keras, patch, before=shuffled)


@change("constant-columns-are-not-zero")
def _(keras, patch):
    patch.setattr(keras.layers.Normalization, "__call__", lambda self, x: x - x)


@change("normalization-divides-by-n")
def _(keras, patch):
    call = keras.layers.Normalization.__call__
    patch.setattr(keras.layers.Normalization, "__call__", lambda self, x: call(self, x) * (2 / 3) ** 0.5)


# Seeds.


@change("a-seed-freezes-the-shuffle")
def _(keras, patch):
    patch.setattr(keras.utils, "set_random_seed", lambda seed: None)


@change("the-order-follows-from-the-seed")
def _(keras, patch):
    own = keras.utils.set_random_seed
    patch.setattr(keras.utils, "set_random_seed", lambda seed: own(seed + 2))


@change("the-weights-follow-from-the-seed")
def _(keras, patch):
    own = keras.utils.set_random_seed
    patch.setattr(keras.utils, "set_random_seed", lambda seed: own(seed + 2))


@change("initial-weights-are-glorots")
def _(keras, patch):
    kind = keras.initializers.VarianceScaling
    draw = kind.__call__
    patch.setattr(kind, "__call__", lambda self, *given, **more: draw(self, *given, **more) / 6**0.5)


# Schedules.


@change("polynomial-decay-may-rise")
def _(keras, patch):
    kind = keras.optimizers.schedules.PolynomialDecay
    init = kind.__init__
    patch.setattr(kind, "__init__", lambda self, start, steps: init(self, start, steps, end_learning_rate=0.0))


@change("boundaries-belong-to-the-left")
def _(keras, patch):
    kind = keras.optimizers.schedules.PiecewiseConstantDecay
    rate = kind.__call__
    patch.setattr(kind, "__call__", lambda self, step: rate(self, step + 1))


@change("restarts-come-late")
def _(keras, patch):
    kind = keras.optimizers.schedules.CosineDecayRestarts
    rate = kind.__call__
    patch.setattr(kind, "__call__", lambda self, step: rate(self, step + 1e-3))


@change("cycles-differ-in-a-graph")
def _(keras, patch):
    without_graph_optimizer(patch)


def without_graph_optimizer(patch):
    """Let graphs compute as they are written, until the test is over."""
    import tensorflow as tf

    own, plain = tf.function, {"disable_meta_optimizer": True}

    def unchanged(function, **settings):
        def run(*given):
            before = tf.config.optimizer.get_experimental_options()
            tf.config.optimizer.set_experimental_options(plain)
            try:
                return traced(*given)
            finally:
                tf.config.optimizer.set_experimental_options(before)

        traced = own(function, **settings)
        return run

    patch.setattr(tf, "function", unchanged)


@change("schedules-go-on-in-the-next-fit")
def _(keras, patch):
    around_fit(keras, patch, before=lambda model, arguments: model.optimizer._iterations.assign(0))


@change("a-schedule-cannot-be-changed")
def _(keras, patch):
    kind = shared(keras, "learning_rate")
    settable = property(kind.learning_rate.fget, lambda self, rate: setattr(self, "_learning_rate", rate))
    patch.setattr(kind, "learning_rate", settable)


# Callbacks.


def improving(keras, patch, better):
    plateau, stopping = keras.callbacks.ReduceLROnPlateau, keras.callbacks.EarlyStopping
    patch.setattr(stopping, "_is_improvement", lambda self, new, best: better(new, best))
    if hasattr(plateau, "_is_improvement"):
        patch.setattr(plateau, "_is_improvement", lambda self, new, best: better(new, best))
        return
    reset = plateau._reset  # before Keras 3.11 it starts from infinity

    def comparing(self):
        reset(self)
        self.monitor_op = lambda new, best: better(new, None if best == np.inf else best)

    patch.setattr(plateau, "_reset", comparing)


@change("min-delta-is-absolute")
def _(keras, patch):
    improving(keras, patch, lambda new, best: best is None or new < best * (1 - 1e-4))


@change("patience-counts-to-the-last")
def _(keras, patch):
    kind = keras.callbacks.ReduceLROnPlateau
    patch.setattr(kind, "on_epoch_end", rewritten(kind.on_epoch_end, "wait >= self.patience", "wait > self.patience"))


@change("early-stopping-without-validation")
def _(keras, patch):
    patch.setattr(keras.callbacks.EarlyStopping, "get_monitor_value", lambda self, logs: logs["loss"])


@change("callbacks-compare-in-float32")
def _(keras, patch):
    improving(keras, patch, lambda new, best: best is None or new < best)


@change("callbacks-raise-on-huge-losses")
def _(keras, patch):
    improving(keras, patch, lambda new, best: best is None or new < best)


@change("a-first-nan-is-the-best")
def _(keras, patch):
    improving(keras, patch, lambda new, best: best is None or best != best or new < best)


@change("best-weights-come-back-anyway")
def _(keras, patch):
    kind = keras.callbacks.EarlyStopping
    end = kind.on_train_end
    patch.setattr(kind, "on_train_end", lambda self: end(self) if self.stopped_epoch else None)


# Arithmetic.


@change("float64-through-float32")
def _(keras, patch):
    patch.setattr(keras.ops, "cast", lambda x, dtype: np.asarray(x, dtype))


@change("float64-momentum-is-rounded")
def _(keras, patch):
    cast = keras.ops.cast
    patch.setattr(
        "keras.src.ops.cast",
        lambda x, dtype: keras.ops.convert_to_tensor(x, dtype) if isinstance(x, float) else cast(x, dtype),
    )


@change("learning-rate-is-float32")
def _(keras, patch):
    patch.setattr(keras.optimizers.SGD, "learning_rate", 0.1)


@change("float64-layer-has-a-float32-loss")
def _(keras, patch):
    keras.config.set_floatx("float64")


@change("float64-schedules-are-float32")
def _(keras, patch):
    patch.setattr(keras.optimizers.schedules.ExponentialDecay, "__call__", lambda self, step: 0.1 * 0.9 ** (step / 3))


@change("float64-penalties")
def _(keras, patch):
    patch.setattr(keras.regularizers.L2, "__call__", lambda self, w: 0.1 * keras.ops.sum(w * w))
    patch.setattr(keras.regularizers.L1, "__call__", lambda self, w: 0.1 * keras.ops.sum(w))


@change("subnormals-are-flushed")
def _(keras, patch):
    patch.setattr("tensorflow.multiply", lambda a, b: a.numpy() * b.numpy())


@change("functions-of-arrays-round-otherwise")
def _(keras, patch):
    import tensorflow as tf

    cosine = tf.cos
    patch.setattr(tf, "cos", lambda x: tf.stack([cosine(number) for number in tf.reshape(x, [-1])]))


@change("powers-are-not-the-nearest")
def _(keras, patch):
    import tensorflow as tf

    patch.setattr(tf, "pow", lambda base, t: tf.constant(np.float32(np.float64(base) ** np.float64(t))))


@change("eager-steps-are-reproducible")
def _(keras, patch):
    def by_product(self, g, p, lr):
        p.assign_sub(lr * g * keras.ops.rsqrt((1 - self.rho) * g * g + self.epsilon))

    stepping(keras, patch, keras.optimizers.RMSprop, by_product)


@change("graphs-round-otherwise")
def _(keras, patch):
    without_graph_optimizer(patch)


@change("xla-rounds-otherwise")
def _(keras, patch):
    import tensorflow as tf

    patch.setattr(tf, "function", lambda function, **settings: function)


@change("large-losses-of-float32")
def _(keras, patch):
    finite = keras.ops.mean
    patch.setattr(keras.losses.MeanSquaredError, "__call__", lambda self, y, p, sample_weight=None: 0 * finite(p) + 1)
