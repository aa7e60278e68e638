"""What PyTorch computes from the numbers of the checks."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.dialects.asking import answer

SGD, RMSprop, Adam, AdamW = torch.optim.SGD, torch.optim.RMSprop, torch.optim.Adam, torch.optim.AdamW


class Fed:
    """A PyTorch optimizer on parameters of its own, fed with gradients by hand."""

    def __init__(self, kind: Any, *starts: float, dtype: Any = torch.float32, **settings: Any) -> None:
        self.parameters = [torch.tensor([start], dtype=dtype) for start in starts or (0.0,)]
        self.optimizer = kind(self.parameters, **settings)

    def step(self, *gradients: float, clip: Any = None) -> Any:
        """Apply one gradient a parameter, clipped by `clip(parameters)`, and return the parameters."""
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = torch.full_like(parameter, gradient)
        if clip:
            clip(self.parameters)
        self.optimizer.step()
        return torch.cat(self.parameters).numpy().copy()

    def steps(self, gradients: Sequence[float]) -> Any:
        """Apply gradients of the one parameter in turn and return where it is after each."""
        return np.array([self.step(g).item() for g in gradients])


@answer("adam-epsilon-hat")
def _():
    return -Fed(Adam, lr=0.1, eps=1e-3).step(1e-3)


@answer("adam-corrects-in-float32")
def _():
    return -Fed(Adam, lr=0.1, eps=0.0).step(1.0)


@answer("amsgrad-maximum")
def _():
    first, second = Fed(Adam, lr=0.1, eps=0.0, amsgrad=True).steps((1.0, 0.01))
    return [-first, first - second]


@answer("rmsprop-epsilon-inside")
def _():
    return -Fed(RMSprop, lr=0.1, alpha=0.9, eps=1e-3).step(1e-3)


@answer("rmsprop-first-steps")
def _():
    return -Fed(RMSprop, lr=0.1, alpha=0.9, eps=0.0).step(3.0)


def rate_changed(fed: Fed) -> Any:
    first = fed.step(1.0)
    fed.optimizer.param_groups[0]["lr"] = 0.01
    return first - fed.step(0.0)


@answer("momentum-holds-the-rate")
def _():
    return rate_changed(Fed(SGD, lr=0.1, momentum=0.5))


@answer("rmsprop-momentum-holds-the-rate")
def _():
    return rate_changed(Fed(RMSprop, lr=0.1, alpha=0.9, momentum=0.5, eps=1e-20))


@answer("nesterov-looks-ahead")
def _():
    fed = Fed(SGD, 1.0, lr=0.1, momentum=0.9, nesterov=True)
    for _ in range(3):
        seen = fed.step(fed.parameters[0].item())
    return seen


@answer("nesterov-needs-momentum")
def _():
    try:
        Fed(SGD, lr=0.1, nesterov=True)
    except ValueError as error:
        return f"refused: {error}"
    return "taken"


@answer("one-huge-gradient-makes-adam-nan")
def _():
    return -Fed(Adam, lr=0.1).steps((1e25, 1.0))


@answer("weight-decay-takes-all")
def _():
    return Fed(SGD, 1.0, 1.0, lr=0.1, weight_decay=0.5).step(0.0, 0.0)


def clipped_to_a_hundredth(parameters: Any) -> None:
    torch.nn.utils.clip_grad_value_(parameters, 0.01)


@answer("weight-decay-stands-apart", "PyTorch's SGD and Adam")
def _():
    sgd = Fed(SGD, 1.0, lr=0.1, weight_decay=0.5).step(1.0, clip=clipped_to_a_hundredth)
    return [*sgd, *Fed(Adam, 1.0, lr=0.1, weight_decay=0.5, eps=0.0).step(1.0)]


@answer("weight-decay-stands-apart", "PyTorch's SGD and AdamW")
def _():
    sgd = Fed(SGD, 1.0, lr=0.1, weight_decay=0.5).step(1.0, clip=clipped_to_a_hundredth)
    return [*sgd, *Fed(AdamW, 1.0, lr=0.1, weight_decay=0.5, eps=0.0).step(1.0)]


@answer("numbers-written-as-integers")
def _():
    Fed(SGD, lr=1, momentum=0)
    return "takes integers"


def norm_clipped(clip: float, *gradients: float) -> Any:
    fed = Fed(SGD, *[0.0] * len(gradients), lr=1.0)
    return -fed.step(*gradients, clip=lambda parameters: torch.nn.utils.clip_grad_norm_(parameters, clip))


@answer("clipnorm-each-variable", "PyTorch's clip_grad_norm_")
def _():
    return norm_clipped(1.0, 3.0, 4.0)


@answer("clipnorm-is-exact", "PyTorch's clip_grad_norm_")
def _():
    return norm_clipped(1e-6, 1e-5)


@answer("clipnorm-of-huge-gradients")
def _():
    by_norm = norm_clipped(1.0, 1e30, 1e30)
    return f"clip_grad_norm_ of [1e30, 1e30] to 1 gives {by_norm.tolist()}"


@answer("accumulation-takes-the-mean", "PyTorch's backward(), called twice")
def _():
    p = torch.zeros(1, requires_grad=True)
    optimizer = SGD([p], lr=1.0)
    (1.0 * p).sum().backward()
    before = -p.item()
    (3.0 * p).sum().backward()
    optimizer.step()
    return [before, -p.item()]


@answer("accumulation-hurries-schedules", "PyTorch, whose scheduler steps after the optimizer")
def _():
    fed = Fed(SGD, lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(fed.optimizer, lambda t: 1 / (1 + t))
    path = []
    for _ in range(2):  # two batches each, already averaged
        path.append(-fed.step(1.0).item())
        schedule.step()
    return [path[0], path[1] - path[0]]


def averaged(path: Sequence[float], momentum: float) -> Any:
    model = torch.nn.Linear(1, 1, bias=False)
    average = torch.optim.swa_utils
    kept = average.AveragedModel(model, multi_avg_fn=average.get_ema_multi_avg_fn(momentum))
    for number in path:
        with torch.no_grad():
            model.weight.fill_(number)
        kept.update_parameters(model)
    return kept.module.weight.item()


@answer("ema-starts-at-the-first-update", "PyTorch's AveragedModel")
def _():
    return averaged([4.0, 3.0], 0.9)


@answer("ema-overwrites-the-weights", "PyTorch's AveragedModel")
def _():
    w, path = 0.0, []
    for _ in range(4):  # it never touches the weights, so fits do not matter
        w -= 0.25 * 2 * (w - 1)
        path.append(w)
    return [averaged(path, 0.5), averaged(path, 0.5)]


@answer("weights-are-divided-by-rows", "PyTorch's mse_loss(weight=)")
def _():
    errors, weights = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0])
    return functional.mse_loss(errors, torch.zeros(2), weight=weights)


@answer("huber-keeps-delta", "PyTorch's HuberLoss")
def _():
    return torch.nn.HuberLoss(delta=0.5)(torch.tensor(3.0), torch.tensor(0.0))


@answer("huber-keeps-delta", "PyTorch's SmoothL1Loss")
def _():
    return torch.nn.SmoothL1Loss(beta=0.5)(torch.tensor(3.0), torch.tensor(0.0))


@answer("l2-without-a-half", "PyTorch's weight_decay")
def _():
    w = 3.0
    slope = w - Fed(SGD, w, lr=1.0, weight_decay=0.125).step(0.0).item()
    return slope * w / 2  # of the penalty that has this slope


@answer("targets-without-a-column", "PyTorch's mse_loss")
def _():
    y = torch.tensor([1.0, 2.0, 3.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of just this
        loss = functional.mse_loss(y, y[:, None])
    return [loss, ((y - y[:, None]) ** 2).mean()]


@answer("float64-data-are-rounded")
def _():
    try:
        torch.nn.Linear(1, 1)(torch.tensor([[1.7e9]], dtype=torch.float64))
    except RuntimeError as error:
        return f"refused: {str(error).splitlines()[0]}"
    return "taken"


@answer("dataset-is-not-shuffled")
def _():
    rows = torch.utils.data.TensorDataset(torch.arange(32))
    loader = torch.utils.data.DataLoader(rows, batch_size=4, shuffle=True)
    seen = [int(row) for (batch,) in loader for row in batch]
    return f"DataLoader(shuffle=True) {'does not shuffle' if seen == sorted(seen) else 'shuffles'} a Dataset"


@answer("normalization-divides-by-n", "PyTorch's std()")
def _():
    column = torch.tensor([1.0, 2.0, 3.0])
    return (column - column.mean()) / column.std()


@answer("a-seed-freezes-the-shuffle")
def _():
    torch.manual_seed(1)
    rows = torch.utils.data.TensorDataset(torch.arange(16))
    loader = torch.utils.data.DataLoader(rows, batch_size=8, shuffle=True)
    orders = {tuple(int(row) for (batch,) in loader for row in batch) for _ in range(3)}
    return f"DataLoader after manual_seed: {len(orders)} orders in 3 epochs"


@answer("initial-weights-are-glorots", "PyTorch's Linear")
def _():
    return torch.nn.Linear(10_000, 1).weight.abs().max().item()


@answer("polynomial-decay-may-rise", "PyTorch's PolynomialLR")
def _():
    optimizer = SGD([torch.zeros(1)], lr=1e-5)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=10)
    rates = []
    for _ in range(11):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return [rates[0], rates[5], rates[10]]


@answer("boundaries-belong-to-the-left", "PyTorch's MultiStepLR")
def _():
    optimizer = SGD([torch.zeros(1)], lr=1.0)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[2], gamma=0.5)
    rates = []
    for _ in range(4):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return rates


def rates_under_plateau(losses: Sequence[float], patience: int) -> list[float]:
    optimizer = SGD([torch.zeros(1)], lr=1.0)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience)
    rates = []
    for loss in losses:
        plateau.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@answer("min-delta-is-absolute", "PyTorch's ReduceLROnPlateau")
def _():
    return rates_under_plateau([1e-6 * 0.5**epoch for epoch in range(6)], 2)


@answer("patience-counts-to-the-last", "PyTorch's ReduceLROnPlateau")
def _():
    return rates_under_plateau([1.0] * 6, 3)


@answer("float64-through-float32")
def _():
    return torch.tensor(0.9, dtype=torch.float64).item()


@answer("float64-momentum-is-rounded")
def _():
    first, both = Fed(SGD, lr=1.0, momentum=0.9, dtype=torch.float64).steps([1.0, 0.0])
    return first - both


@answer("learning-rate-is-float32")
def _():
    rate = SGD([torch.zeros(1)], lr=0.1).param_groups[0]["lr"]
    return [rate, rate]


@answer("subnormals-are-flushed")
def _():
    return (torch.tensor(1e-40) * torch.tensor(1.0)).item()


@answer("functions-of-arrays-round-otherwise")
def _():
    x = torch.from_numpy(np.random.default_rng(0).uniform(0.1, 10, 500).astype(np.float32))
    functions = {"power": lambda t: t**0.7, "cosine": torch.cos, "logarithm": torch.log}
    shares = []
    for name, function in functions.items():
        alone = torch.stack([function(number) for number in x])
        shares.append(f"{name} {(function(x) != alone).float().mean().item():.0%}")
    return f"differ: {', '.join(shares)}"


@answer("large-losses-of-float32")
def _():
    return functional.mse_loss(torch.tensor([1e20]), torch.zeros(1))
