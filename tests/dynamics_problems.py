"""Random problems for the tests of the dynamics, and the textbook loop that runs them: nothing here uses linreg."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight")
COLUMNS = ("plain", "collinear", "constant", "zero", "twice", "scaled")
KINDS = {"sgd": (False, False), "momentum": (True, False), "nesterov": (True, True)}


@dataclass
class Case:
    """Data, settings of SGD with a squared error, and a start."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None = None
    reduction: str = "sum_over_batch_size"
    l2: float = 0.0
    intercept: bool = True
    learning_rate: Any = 0.01  # a number, or a function of the step
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    batch_size: int = 32
    order: np.ndarray | None = None
    start: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def A(self) -> np.ndarray:  # noqa: N802 (the matrix [X, 1])
        return np.column_stack([self.X, np.ones(len(self.y))]) if self.intercept else self.X

    def factor(self, rows) -> np.ndarray:
        """What each row of a batch counts in its loss."""
        weight = np.ones(len(rows)) if self.weight is None else self.weight[rows]
        total = {"sum": 1.0, "sum_over_batch_size": len(rows), "mean_with_sample_weight": weight.sum()}[self.reduction]
        return weight / total if total else 0 * weight

    def batches(self) -> list[np.ndarray]:
        order = np.arange(len(self.y)) if self.order is None else self.order
        return [order[at : at + self.batch_size] for at in range(0, len(order), self.batch_size)]

    def batch_loss(self, p, rows) -> float:
        w = p[: self.X.shape[1]]
        return self.factor(rows) @ (self.A[rows] @ p - self.y[rows]) ** 2 + self.l2 * w @ w

    def hessian(self) -> np.ndarray:
        """Of the loss of all rows as one batch, with the penalty."""
        penalty = np.zeros(self.A.shape[1])
        penalty[: self.X.shape[1]] = 2 * self.l2
        return 2 * (self.A.T * self.factor(np.arange(len(self.y)))) @ self.A + np.diag(penalty)

    def epochs(self, count, p, m=None, *, target=None, book=False):
        """Yield (parameters, velocity, booked loss) after each epoch; p may hold many starts as columns."""
        y, A, d, order = self.y if target is None else target, self.A, self.X.shape[1], self.batches()
        m, step, booked = np.zeros_like(p) if m is None else m, 0, np.nan
        column = (slice(None),) + (np.newaxis,) * (p.ndim - 1)
        batches = [(rows, A[rows], y[rows][column], 2 * self.factor(rows)[column]) for rows in order]
        for _ in range(count):
            booked = 0.0
            for rows, A_b, y_b, c in batches:
                lr = self.learning_rate(step) if callable(self.learning_rate) else self.learning_rate
                if book:
                    booked += self.batch_loss(p, rows) * len(rows) / len(y)
                g = A_b.T @ (c * (A_b @ p - y_b))
                g[:d] += 2 * self.l2 * p[:d]
                p = p - lr * self.weight_decay * p
                m = self.momentum * m - lr * g
                p = p + (self.momentum * m - lr * g if self.nesterov else m)
                step += 1
            yield p, m, booked

    def excited(self) -> np.ndarray:
        """An orthonormal basis of the directions that steps move in."""
        if self.l2 or self.weight_decay:
            return np.eye(self.A.shape[1])
        A = self.A if self.weight is None else self.A[self.weight > 0]
        length = np.linalg.norm(A, axis=0)
        _, s, V = np.linalg.svd(A / np.where(length == 0, 1, length))
        spanned = V[: np.sum(s > 1e-9 * s.max(initial=0))].T * length[:, np.newaxis]
        return np.linalg.qr(spanned)[0]

    def measured_epoch(self) -> np.ndarray:
        """What an epoch of the loop does to (parameters, velocity), found by sending unit vectors through it."""
        size = self.A.shape[1]
        units = np.eye(2 * size)
        ((p, m, _),) = self.epochs(1, units[:size], units[size:], target=np.zeros(len(self.y)))
        Q = np.kron(np.eye(2), self.excited())
        return Q.T @ np.concatenate([p, m]) @ Q


def growth(matrix) -> float:
    """By what each power multiplies in the long run: Gelfand's |M^k|^(1/k) for k = 2^40, by squaring."""
    logarithm = 0.0
    for j in range(40):
        norm = np.linalg.norm(matrix)
        if norm == 0:
            return 0.0
        logarithm += np.log(norm) / 2**j
        matrix = (matrix / norm) @ (matrix / norm)
    return float(np.exp(logarithm))


def features(rng, n, d, kind):
    """Random columns of a kind; a column that is zero or collinear has another one beside it."""
    X = rng.normal(size=(n, max(d, 2) if kind in ("collinear", "zero") else d))
    if kind == "collinear":
        X[:, -1] = X[:, 0] * rng.normal() * 100
    elif kind == "constant":
        X[:, -1] = rng.normal()
    elif kind == "zero":
        X[:, -1] = 0.0
    elif kind == "twice":
        X = np.concatenate([X[: n // 2], X[: n - n // 2]])
    elif kind == "scaled":
        X = X * 10 ** rng.uniform(-1, 1, size=d) + rng.normal(size=d)
    return X


def random_case(rng, number, *, share=(0.05, 1.5), decay=True) -> Case:
    """Every option takes its turn or is drawn; the rate is a share of about the largest that is stable."""
    n, d = int(rng.integers(2, 25)), int(rng.integers(1, 5))
    has_momentum, nesterov = tuple(KINDS.values())[number % 3]
    weight = None
    if rng.uniform() < 0.4:
        weight = rng.uniform(0.1, 2.0, n) * (rng.uniform(size=n) > 0.2)
        weight[rng.integers(n)] = 1.0
    case = Case(
        features(rng, n, d, COLUMNS[number % len(COLUMNS)]),
        rng.normal(size=n),
        weight,
        REDUCTIONS[int(rng.integers(3))],
        l2=10 ** rng.uniform(-3, 0) if rng.uniform() < 0.3 else 0.0,
        intercept=bool(rng.uniform() < 0.7),
        momentum=float(rng.uniform(0.1, 0.95)) if has_momentum else 0.0,
        nesterov=nesterov,
        weight_decay=10 ** rng.uniform(-3, 0) if decay and rng.uniform() < 0.3 else 0.0,
        batch_size=int(rng.integers(1, n + 3)),
        order=rng.permutation(n) if rng.uniform() < 0.5 else None,
    )
    b = case.momentum
    steep = max(np.linalg.norm(2 * (case.A[i].T * case.factor(i)) @ case.A[i], 2) for i in case.batches())
    limit = 2 * (1 + b) / (1 + 2 * b if nesterov else 1) / (steep + 2 * case.l2 or 1.0)
    case.learning_rate = float(rng.uniform(*share) * limit)
    case.start = rng.normal(size=case.A.shape[1]) * 3
    return case
