"""What the papers' own formulas give, in 50-digit decimal numbers."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext

from benchmarks.dialects.asking import answer

DIGITS = 50


def algorithm_1(
    gradients: Sequence[Decimal], lr: str, epsilon: str, *, beta_1: str = "0.9", beta_2: str = "0.999"
) -> list[Decimal]:
    """Return where Algorithm 1 of Kingma and Ba, 2015, takes a parameter from 0, step by step."""
    alpha, b1, b2, eps = map(Decimal, (lr, beta_1, beta_2, epsilon))
    theta = m = v = Decimal(0)
    path = []
    for t, g in enumerate(gradients, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        theta -= alpha * m_hat / (v_hat.sqrt() + eps)
        path.append(theta)
    return path


def decimals(*numbers: str) -> list[Decimal]:
    return [Decimal(number) for number in numbers]


@answer("adam-epsilon-hat", "Kingma and Ba's Algorithm 1")
def _():
    with localcontext(prec=DIGITS):
        return -algorithm_1(decimals("0.001"), "0.1", "0.001")[0]


@answer("adam-epsilon-hat", "Kingma and Ba's text before section 2.1")
def _():
    with localcontext(prec=DIGITS):
        alpha, b1, b2, epsilon_hat, g = decimals("0.1", "0.9", "0.999", "0.001", "0.001")
        m, v = (1 - b1) * g, (1 - b2) * g * g
        return alpha * (1 - b2).sqrt() / (1 - b1) * m / (v.sqrt() + epsilon_hat)


@answer("adam-corrects-in-float32", "Kingma and Ba's Algorithm 1")
def _():
    with localcontext(prec=DIGITS):
        return -algorithm_1(decimals("1"), "0.1", "0")[0]


@answer("one-huge-gradient-makes-adam-nan", "Kingma and Ba's Algorithm 1")
def _():
    with localcontext(prec=DIGITS):
        return [-theta for theta in algorithm_1(decimals("1e25", "1"), "0.1", "0")]


@answer("amsgrad-maximum", "Reddi, Kale and Kumar's Algorithm 2")
def _():
    with localcontext(prec=DIGITS):
        alpha, b1, b2 = decimals("0.1", "0.9", "0.999")
        m = v = v_hat = Decimal(0)
        steps = []
        for g in decimals("1", "0.01"):
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * g * g
            v_hat = max(v_hat, v)
            steps.append(alpha * m / v_hat.sqrt())
        return steps


@answer("rmsprop-first-steps", "Tieleman and Hinton's lecture")
def _():
    with localcontext(prec=DIGITS):
        mean_square = Decimal("0.9") * 0 + Decimal("0.1") * 3**2
        return Decimal("0.1") * 3 / mean_square.sqrt()


@answer("rmsprop-epsilon-inside", "Graves, eq. 38 and 40")
def _():
    with localcontext(prec=DIGITS):
        g = Decimal("0.001")
        n = Decimal("0.1") * g * g
        return Decimal("0.1") * g / (n + Decimal("0.001")).sqrt()


@answer("momentum-holds-the-rate", "Sutskever et al., eq. 1 and 2")
def _():
    with localcontext(prec=DIGITS):
        mu = Decimal("0.5")
        velocity = mu * 0 - Decimal("0.1") * 1
        return -(mu * velocity - Decimal("0.01") * 0)


@answer("nesterov-looks-ahead", "Sutskever et al., eq. 3 and 4")
def _():
    with localcontext(prec=DIGITS):
        epsilon, mu = decimals("0.1", "0.9")
        theta, velocity = Decimal(1), Decimal(0)
        for _ in range(3):  # on theta^2 / 2
            velocity = mu * velocity - epsilon * (theta + mu * velocity)
            theta += velocity
        return theta


@answer("weight-decay-stands-apart", "Loshchilov and Hutter's Algorithms 1 and 2")
def _():
    with localcontext(prec=DIGITS):
        alpha, decay, clip, theta = decimals("0.1", "0.5", "0.01", "1")
        # The decay is multiplied by the schedule, which is 1 here, and not by the learning rate.
        return [theta - alpha * clip - decay * theta, theta - alpha - decay * theta]


@answer("clipnorm-each-variable", "Pascanu, Mikolov and Bengio's Algorithm 1")
def _():
    with localcontext(prec=DIGITS):
        gradient = decimals("3", "4")
        norm = sum(g * g for g in gradient).sqrt()
        return [g / norm for g in gradient]


@answer("ema-starts-at-the-first-update", "Kingma and Ba, section 7.2")
def _():
    with localcontext(prec=DIGITS):
        beta, average = Decimal("0.9"), Decimal(0)
        path = decimals("4", "3")
        for theta in path:
            average = beta * average + (1 - beta) * theta
        return average / (1 - beta ** len(path))


@answer("huber-keeps-delta", "Huber, 1964")
def _():
    delta, error = decimals("0.5", "3")
    return delta * error - delta**2 / 2


@answer("initial-weights-are-glorots", "Glorot and Bengio, eq. 16")
def _():
    with localcontext(prec=DIGITS):
        return (Decimal(6) / (10_000 + 1)).sqrt()
