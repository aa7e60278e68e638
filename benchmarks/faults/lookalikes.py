"""Healthy runs that look suspicious: what careless rules would call a fault, and is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.faults.drafts import STEPPERS, Draft, Needs, limit, longer

_OPEN = Needs()


@dataclass(frozen=True)
class Lookalike:
    """`change(rng, healthy draft)` makes it look suspicious; `needs` says what it is made of."""

    change: Callable[[np.random.Generator, Draft], Draft]
    needs: Needs = _OPEN


def plain(rng: np.random.Generator, draft: Draft) -> Draft:  # noqa: ARG001
    """Nothing special."""
    return draft


def far_features(rng: np.random.Generator, draft: Draft) -> Draft:
    """Every feature 30 to 3000 times as large, and a rate that is small enough for it."""
    factor, share = float(10 ** rng.uniform(1.5, 3.5)), draft.rate / limit(draft)
    middle = draft.y.mean() - draft.X.mean(axis=0) @ draft.coef  # the intercept would hardly move
    far = draft.with_columns(lambda X: factor * X, draft.coef / factor).with_target(lambda y: y - middle, 1.0)
    return replace(far, rate=float(f"{share * limit(far):.3g}"), start="zeros")


def tiny_features(rng: np.random.Generator, draft: Draft) -> Draft:
    """Every feature smaller, and a learning rate far above the usual 0.01, but within its limit."""
    factor = float(rng.uniform(0.2, 0.5))
    share = draft.rate / limit(draft)
    small = draft.with_columns(lambda X: factor * X, draft.coef / factor)
    return longer(replace(small, rate=float(f"{max(share, 0.3) * limit(small):.3g}")))


def large_loss(rng: np.random.Generator, draft: Draft) -> Draft:
    """A loss of 1e6 and more that falls as it should."""
    factor = float(10 ** rng.uniform(3, 6))
    return draft.with_target(lambda y: factor * y, factor)


def ringing(rng: np.random.Generator, draft: Draft) -> Draft:
    """Momentum below its limit that overshoots, so that the loss rises for some epochs before it settles."""
    swinging = replace(draft, momentum=float(rng.choice([0.8, 0.9, 0.95])), start="zeros")
    share = rng.uniform(0.05, 0.4)
    return longer(replace(swinging, rate=float(f"{share * limit(swinging):.3g}")))


def noisy_batches(rng: np.random.Generator, draft: Draft) -> Draft:
    """Small batches whose loss jumps about while the fit converges."""
    return replace(draft, batch=int(rng.choice([4, 8])), epochs=min(draft.epochs, 60), rate=draft.rate / 4)


def far_point_on_the_line(rng: np.random.Generator, draft: Draft) -> Draft:
    """One row 10 to 100 deviations out, on the line, with a rate that carries it."""
    jump = float(10 ** rng.uniform(1, 2)) * draft.X.std(axis=0)
    row, share = int(rng.integers(draft.rows)), draft.rate / limit(draft)
    X, y = draft.X.copy(), draft.y.copy()
    X[row] += jump
    y[row] += jump @ draft.coef
    far = replace(draft, X=X, y=y)
    return longer(replace(far, rate=float(f"{share * limit(far):.3g}")))


def correlated_pair(rng: np.random.Generator, draft: Draft) -> Draft:
    """Two columns with a correlation of 0.85 to 0.97 whose coefficients the many rows tell apart all the same."""
    r = float(rng.uniform(0.85, 0.97))
    mix = np.eye(draft.X.shape[1])
    mix[:2, 1] = r, np.sqrt(1 - r * r)
    spread = draft.X.std(axis=0)
    change = (mix * spread) / spread[:, np.newaxis]
    # y = X coef = (X change) (change^-1 coef): the same rows, other coordinates
    pair = draft.with_columns(lambda X: X @ change, np.linalg.solve(change, draft.coef))
    pair = replace(pair, rate=float(f"{draft.rate / limit(draft) * limit(pair):.3g}"))
    return longer(longer(pair))


def right_penalty(rng: np.random.Generator, draft: Draft) -> Draft:
    """A penalty that costs no accuracy: few rows, much noise."""
    return replace(draft, l2=float(f"{rng.uniform(0.3, 1) * (draft.noise / np.abs(draft.coef).max()) ** 2 / 20:.2g}"))


def small_validation(rng: np.random.Generator, draft: Draft) -> Draft:
    """A dozen validation rows, whose loss lies above (or below) that of the training data by chance."""
    few = int(rng.integers(10, 20))
    return replace(draft, valid_X=draft.valid_X[:few], valid_y=draft.valid_y[:few])


def at_the_optimum(rng: np.random.Generator, draft: Draft) -> Draft:  # noqa: ARG001
    """A run that starts at the exact fit: its loss does not fall, because it cannot."""
    fit = np.linalg.lstsq(np.column_stack([draft.X, np.ones(draft.rows)]), draft.y, rcond=None)[0]
    return replace(draft, start=fit[:-1], start_bias=float(fit[-1]), dtype="float64")


def nothing_to_learn(rng: np.random.Generator, draft: Draft) -> Draft:
    """Features with hardly any effect: the loss stays near the variance of y, which is all there is to find."""
    factor = float(rng.uniform(0.02, 0.1))

    def change(X: np.ndarray, y: np.ndarray) -> np.ndarray:
        return y - (1 - factor) * (X @ draft.coef)

    faded = replace(
        draft,
        y=change(draft.X, draft.y),
        test_y=change(draft.test_X, draft.test_y),
        coef=factor * draft.coef,
        valid_X=None,
        valid_y=None,
        start="zeros",
    )
    return longer(faded)


def rare_flag(rng: np.random.Generator, draft: Draft) -> Draft:
    """A column that is 1 in a few rows only and 0 in the others, with an effect of its own."""
    share, effect, seed = rng.uniform(0.03, 0.08), rng.uniform(1, 3) * draft.noise, int(rng.integers(2**31))
    column = int(rng.integers(draft.X.shape[1]))

    def flags(X: np.ndarray) -> np.ndarray:
        X = X.copy()
        X[:, column] = np.random.default_rng([seed, len(X)]).random(len(X)) < share
        return X

    coef = draft.coef.copy()
    coef[column] = effect

    def target(X: np.ndarray, y: np.ndarray) -> np.ndarray:
        return y + flags(X) @ coef - X @ draft.coef

    flagged = replace(draft, y=target(draft.X, draft.y), test_y=target(draft.test_X, draft.test_y))
    if draft.valid_X is not None:
        flagged = replace(flagged, valid_y=target(draft.valid_X, draft.valid_y))
    return longer(flagged.with_columns(flags, coef))


def integers(rng: np.random.Generator, draft: Draft) -> Draft:
    """Counts: features rounded to whole numbers, held as integers."""
    scale = float(rng.uniform(1, 3))

    def counted(X: np.ndarray) -> np.ndarray:
        return np.round(scale * X).astype(np.int64)

    share = draft.rate / limit(draft)
    coef = draft.coef / scale

    def target(X: np.ndarray, y: np.ndarray) -> np.ndarray:
        return y + counted(X) @ coef - X @ draft.coef

    whole = replace(draft, y=target(draft.X, draft.y), test_y=target(draft.test_X, draft.test_y))
    if draft.valid_X is not None:
        whole = replace(whole, valid_y=target(draft.valid_X, draft.valid_y))
    whole = whole.with_columns(counted, coef)
    return longer(replace(whole, rate=float(f"{share * limit(whole):.3g}"), container="array"))


_STEPPING = replace(_OPEN, families=STEPPERS)
_MADE = replace(_STEPPING, real=False)
LOOKALIKES: dict[str, Lookalike] = {
    "plain": Lookalike(plain),
    "far features, small rate": Lookalike(far_features, replace(_STEPPING, losses=("mse",), batches=("full",))),
    "large rate within its limit": Lookalike(tiny_features, _STEPPING),
    "large loss": Lookalike(large_loss, replace(_STEPPING, losses=("mse",), large_target=False)),
    "ringing": Lookalike(ringing, replace(_OPEN, families=("momentum", "nesterov"), batches=("full",))),
    "noisy batches": Lookalike(noisy_batches, replace(_OPEN, rows=(40, 500), noise=(0.02, 0.5))),
    "far point on the line": Lookalike(far_point_on_the_line, replace(_MADE, losses=("mse",), batches=("full",))),
    "correlated pair": Lookalike(correlated_pair, replace(_MADE, rows=(200, 2000), features=(2, 5), noise=(0.02, 0.2))),
    "right penalty": Lookalike(right_penalty, replace(_OPEN, losses=("mse",), noise=(0.3, 1.0), large_target=False)),
    "small validation": Lookalike(small_validation, replace(_OPEN, validation=True)),
    "at the optimum": Lookalike(at_the_optimum, replace(_MADE, losses=("mse",), batches=("full",))),
    "nothing to learn": Lookalike(
        nothing_to_learn, replace(_MADE, rows=(100, 2000), noise=(0.3, 1.0), batches=("full",))
    ),
    "rare flag": Lookalike(rare_flag, replace(_MADE, rows=(200, 2000))),
    "integers": Lookalike(integers, _MADE),
    "plain real table": Lookalike(plain),
}
