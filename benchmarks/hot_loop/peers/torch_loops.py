"""PyTorch: `torch.nn` and `torch.optim` as tutorials use them, and a whole step through `torch.compile`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from benchmarks.hot_loop.peers.interface import MissingPeerError, Start, in_batches, package, written_update
from benchmarks.loops import Task
from linreg import Huber


def eager(task: Task, device: str = "cpu") -> Start:
    """`Linear`, a loss, `backward` and an optimizer."""
    torch = _torch(device)
    batches = _batches(torch, task, device)
    loss_of = torch.nn.HuberLoss(delta=task.loss.delta) if isinstance(task.loss, Huber) else torch.nn.MSELoss()

    def start() -> Any:
        model = torch.nn.Linear(task.X.shape[1], 1, device=device, dtype=batches[0][0].dtype)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
        optimizer = _optimizer(torch, task.optimizer, model.parameters())

        def train(epochs: int) -> Any:
            total = torch.zeros(())
            for _ in range(epochs):
                total = torch.zeros((), device=device, dtype=batches[0][0].dtype)
                for X, y in batches:
                    optimizer.zero_grad()
                    loss = loss_of(model(X)[:, 0], y)
                    loss.backward()
                    optimizer.step()
                    total += loss.detach()
            found = [parameter.detach().cpu().numpy().ravel() for parameter in (model.weight, model.bias)]
            return np.concatenate(found), float(total) / len(batches)

        return train

    return start


def compiled(task: Task, device: str = "cpu") -> Start:
    """One step, gradient and update written in, through `torch.compile`."""
    torch = _torch(device)
    batches, delta = _batches(torch, task, device), getattr(task.loss, "delta", None)
    rule, c = task.optimizer, 1 / task.batch_size

    def step(p: Any, m: Any, v: Any, t: Any, total: Any, X: Any, y: Any) -> Any:
        e = torch.mv(X, p[:-1]) + p[-1] - y
        if delta is None:
            s, values = 2 * c * e, e * e
        else:
            a = e.abs()
            s = c * e.clamp(-delta, delta)
            values = torch.where(a <= delta, e * e / 2, delta * (a - delta / 2))
        g = torch.cat([torch.mv(X.T, s), s.sum()[None]])
        return *written_update(rule, torch.sqrt, p, g, m, v, t), t + 1, total + values.mean()

    # Each a tensor of its own: it compiles anew for arguments that are one and the same.
    p, m, v = (torch.zeros(task.X.shape[1] + 1, device=device, dtype=batches[0][0].dtype) for _ in range(3))
    zero, one = p[0].clone(), p[0] + 1
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it uses what it deprecates
            torch._dynamo.reset()  # it keeps 8 versions of a function, and then gives up without a word
            fast = torch.compile(step, dynamic=False)
            fast(p, m, v, one, zero, *batches[0])
    except Exception as error:
        message = " ".join(str(error).split())[:200]
        raise MissingPeerError(f"torch.compile does not work here ({type(error).__name__}: {message})") from None

    def train(epochs: int) -> Any:
        carry, total = (p, m, v, one), zero
        with torch.no_grad():
            for _ in range(epochs):
                total = zero
                for X, y in batches:
                    *carry, total = fast(*carry, total, X, y)
            return carry[0].cpu().numpy(), float(total) / len(batches)

    return lambda: train


def _torch(device: str) -> Any:
    torch = package("torch", "torch")
    if device == "cuda" and not torch.cuda.is_available():
        raise MissingPeerError("PyTorch sees no GPU")
    return torch


def _batches(torch: Any, task: Task, device: str) -> Any:
    X, y = (torch.from_numpy(part).to(device) for part in in_batches(task))
    return list(zip(X, y, strict=True))


def _optimizer(torch: Any, rule: Any, parameters: Any) -> Any:
    """Return the optimizer that does the same work: epsilon stands elsewhere there, and is too small to matter."""
    if type(rule).__name__ == "SGD":
        return torch.optim.SGD(parameters, lr=rule.learning_rate)
    if type(rule).__name__ == "RMSprop":
        return torch.optim.RMSprop(parameters, lr=rule.learning_rate, alpha=rule.rho, eps=rule.epsilon)
    betas = (rule.beta_1, rule.beta_2)
    return torch.optim.Adam(parameters, lr=rule.learning_rate, betas=betas, eps=rule.epsilon)
