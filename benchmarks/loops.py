"""The work that loops are compared by, and the bare calls of NumPy that it takes."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from linreg import SGD, Adam, RMSprop
from linreg.data.arrays import design_matrix
from linreg.losses import Loss
from linreg.optimizers import Optimizer

Prepare = Callable[[], Callable[[], np.ndarray]]


@dataclass(frozen=True)
class Task:
    """So many steps of one optimizer and loss from zeros, over the batches of X and y in the order they lie in."""

    optimizer: Optimizer
    loss: Loss
    X: np.ndarray
    y: np.ndarray
    batch_size: int
    steps: int


def minimal_numpy(task: Task) -> Prepare:
    """Return `prepare`: `train = prepare()` goes back to zeros, and `train()` returns the parameters at the end.

    What is left when NumPy is called for the formulas alone: the floor for any loop that is not compiled.

    One formula a loop, written in; every result goes into a buffer; constants are 0-d arrays, which ufuncs take faster
    than scalars; `dot` is a method bound beforehand. No history, no callbacks, no Ctrl-C, no other option of any kind.
    """
    A = design_matrix(task.X, True)
    cuts = [slice(start, start + task.batch_size) for start in range(0, len(task.y), task.batch_size)]
    batches = [(A[cut].dot, A[cut].T.dot, task.y[cut]) for cut in cuts]
    delta, constant = getattr(task.loss, "delta", None), _constant(task)
    slope = (constant(2 / task.batch_size), None) if delta is None else (constant(1 / task.batch_size), constant(delta))
    train = {SGD: _minimal_sgd, RMSprop: _minimal_rmsprop, Adam: _minimal_adam}[type(task.optimizer)]
    return lambda: lambda: train(task, batches, *slope, *np.zeros((6, A.shape[1]), A.dtype))


def _constant(task):
    return lambda x: np.array(x, task.X.dtype)


def _minimal_sgd(task, batches, c, delta, p, g, *_):
    subtract, multiply, minimum, maximum = np.subtract, np.multiply, np.minimum, np.maximum
    lr, minus_delta = _constant(task)(task.optimizer.learning_rate), delta and -delta
    e = np.empty(task.batch_size, task.X.dtype)
    for (predict, add_up, y), _step in zip(cycle(batches), range(task.steps), strict=False):
        predict(p, e)
        subtract(e, y, e)
        if delta:
            maximum(e, minus_delta, out=e)
            minimum(e, delta, out=e)
        multiply(e, c, e)
        add_up(e, g)
        multiply(g, lr, g)
        subtract(p, g, p)
    return p


def _minimal_rmsprop(task, batches, c, delta, p, g, v, t, *_):
    add, subtract, multiply, divide, sqrt = np.add, np.subtract, np.multiply, np.divide, np.sqrt
    minimum, maximum = np.minimum, np.maximum
    rule = task.optimizer
    lr, rho, one_minus_rho, epsilon = map(_constant(task), (rule.learning_rate, rule.rho, 1 - rule.rho, rule.epsilon))
    minus_delta = delta and -delta
    e = np.empty(task.batch_size, task.X.dtype)
    for (predict, add_up, y), _step in zip(cycle(batches), range(task.steps), strict=False):
        predict(p, e)
        subtract(e, y, e)
        if delta:
            maximum(e, minus_delta, out=e)
            minimum(e, delta, out=e)
        multiply(e, c, e)
        add_up(e, g)
        multiply(g, g, t)
        multiply(t, one_minus_rho, t)
        multiply(v, rho, v)
        add(v, t, v)
        add(v, epsilon, t)
        sqrt(t, t)
        multiply(g, lr, g)
        divide(g, t, g)
        subtract(p, g, p)
    return p


def _minimal_adam(task, batches, c, delta, p, g, m, v, t, *_):
    add, subtract, multiply, divide, sqrt = np.add, np.subtract, np.multiply, np.divide, np.sqrt
    minimum, maximum = np.minimum, np.maximum
    rule, steps = task.optimizer, np.arange(1, task.steps + 1)
    one_minus_beta_1, one_minus_beta_2, epsilon = map(_constant(task), (1 - rule.beta_1, 1 - rule.beta_2, rule.epsilon))
    alphas = (rule.learning_rate * np.sqrt(1 - rule.beta_2**steps) / (1 - rule.beta_1**steps)).astype(task.X.dtype)
    minus_delta = delta and -delta
    e = np.empty(task.batch_size, task.X.dtype)
    for (predict, add_up, y), alpha in zip(cycle(batches), np.nditer(alphas), strict=False):
        predict(p, e)
        subtract(e, y, e)
        if delta:
            maximum(e, minus_delta, out=e)
            minimum(e, delta, out=e)
        multiply(e, c, e)
        add_up(e, g)
        subtract(g, m, t)
        multiply(t, one_minus_beta_1, t)
        add(m, t, m)
        multiply(g, g, g)
        subtract(g, v, g)
        multiply(g, one_minus_beta_2, g)
        add(v, g, v)
        sqrt(v, t)
        add(t, epsilon, t)
        multiply(m, alpha, g)
        divide(g, t, g)
        subtract(p, g, p)
    return p
