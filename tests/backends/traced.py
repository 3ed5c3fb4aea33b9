r"""A correct back end in PyTorch: J is written down once, its derivatives are autograd's.

W-step      Newton on autograd's Hessian of J in W, cut as in `dense`.
B-step      projected gradients of autograd with inertia, the support finished by Newton.
fit         alternation, then projected Newton on min over W of J(W, B), its Hessian the Schur complement of
            autograd's in W and B.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd.functional import hessian

Function = Callable[[Tensor], Tensor]


class Traced:
    """Float64 or float32, whichever is asked for."""

    losses: ClassVar = ("squared", "logistic")
    reductions: ClassVar = ("mean", "sum")
    transfers: ClassVar = ("loss-weighted-l1",)
    row_weights: ClassVar = True

    def __init__(self, dtype: str = "float64") -> None:
        self.name, self.dtype = "PyTorch", dtype

    def evaluate(self, asked: Any) -> dict[str, Any]:
        J = Objective(asked)
        W, B = J.W.requires_grad_(), J.B.requires_grad_()
        value = J(W, B)
        value.backward()
        assert W.grad is not None and B.grad is not None
        return {
            "objective": value.item(),
            "gradient_W": W.grad.numpy(),
            "gradient_B": B.grad.fill_diagonal_(0).numpy(),
            "losses": J.values(W).detach().numpy(),
        }

    def w_step(self, asked: Any) -> Any:
        J = Objective(asked)
        return best_W(J, J.W, J.B).numpy()

    def one_task(self, asked: Any) -> Any:
        J, t = Objective(asked), int(asked.task)
        one = torch.zeros(J.T, dtype=J.kind)
        one[t] = 1
        rest = J.W * (1 - one)
        w = newton(lambda w: J(rest + torch.outer(w, one), J.B), J.W[:, t], J.damping(t))
        return w.numpy()

    def b_step(self, asked: Any) -> Any:
        J = Objective(asked)
        return best_B(J, J.W, J.B).numpy()

    def rounds(self, asked: Any) -> list[float]:
        J, objectives = Objective(asked), []
        W, B = J.W, J.B
        for _ in range(int(asked.count)):
            W = best_W(J, W, B)
            objectives.append(J(W, B).item())
            B = best_B(J, W, B)
            objectives.append(J(W, B).item())
        return objectives

    def fit(self, asked: Any) -> tuple[Any, Any]:
        J = Objective(asked)
        W, B = J.W, J.B
        for _ in range(30):
            W = best_W(J, W, B)
            B = best_B(J, W, B)
        W, B = descend(J, best_W(J, W, B), B)
        return W.numpy(), B.numpy()


class Objective:
    """J of what is asked, as a function of W and B."""

    def __init__(self, asked: Any) -> None:
        self.kind = torch.float32 if asked.dtype == "float32" else torch.float64
        self.X, self.y = ([self.tensor(each) for each in arrays] for arrays in (asked.X, asked.y))
        weights = asked.sample_weight
        self.v = (
            [torch.ones_like(y) for y in self.y] if weights is None else [self.tensor(v) for v in weights]
        )
        self.c, self.W, self.B = (self.tensor(each) for each in (asked.task_weights, asked.W, asked.B))
        self.mu, self.coupling = float(asked.mu), float(asked.coupling)
        self.logistic, self.mean = asked.loss == "logistic", asked.reduction == "mean"
        self.T, self.d = len(self.X), self.X[0].shape[1]
        self.off = 1 - torch.eye(self.T, dtype=self.kind)
        self.eps = torch.finfo(self.kind).eps
        self._check(asked)

    def tensor(self, array: Any) -> Tensor:
        return torch.tensor(array, dtype=self.kind)

    def _check(self, asked: Any) -> None:
        if asked.loss not in ("squared", "logistic"):
            raise NotImplementedError(asked.loss)
        every = [*self.X, *self.y, *self.v, self.c, self.W, self.B, self.tensor([self.mu, self.coupling])]
        good = (
            all(bool(torch.isfinite(each).all()) for each in every)
            and self.W.shape == (self.d, self.T)
            and self.B.shape == (self.T, self.T)
            and self.c.shape == (self.T,)
            and all(x.shape == (len(y), self.d) for x, y in zip(self.X, self.y, strict=True))
            and all(y.shape == v.shape for y, v in zip(self.y, self.v, strict=True))
            and self.mu >= 0
            and self.coupling > 0
            and bool((self.B >= 0).all() and (self.B.diagonal() == 0).all() and (self.c > 0).all())
            and all(bool((v >= 0).all()) and float(v.sum()) > 0 for v in self.v)
            and not (self.logistic and any(bool((y.abs() != 1).any()) for y in self.y))
        )
        if not good:
            raise ValueError("no such problem: see SPEC.md, section 1")

    def values(self, W: Tensor) -> Tensor:
        """L_t(w_t), (T,)."""
        each = []
        for t, (X, y, v) in enumerate(zip(self.X, self.y, self.v, strict=True)):
            z = X @ W[:, t]
            rows = torch.nn.functional.softplus(-y * z, threshold=1e9) if self.logistic else (z - y) ** 2
            each.append((v * rows).sum() / (v.sum() if self.mean else 1))
        return torch.stack(each)

    def __call__(self, W: Tensor, B: Tensor) -> Tensor:
        paid = (1 + self.mu * B.sum(1)) @ (self.c * self.values(W))
        return paid + self.coupling * ((W - W @ B) ** 2).sum()

    def damping(self, t: int | None = None) -> Function:
        """How much of a Newton step is taken: log(1 + m)/m, m the largest move of a score."""

        def part(step: Tensor) -> Tensor:
            if not self.logistic:
                return torch.ones((), dtype=self.kind)
            moves = (
                [self.X[t] @ step]
                if t is not None
                else [X @ w for X, w in zip(self.X, step.reshape(self.d, self.T).T, strict=True)]
            )
            m = torch.stack([z.abs().max() for z in moves]).max()
            return torch.log1p(m) / m if m > 0 else torch.ones_like(m)

        return part


def gradient(f: Function, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(f(x), x)[0]


def newton(f: Function, x: Tensor, damping: Function) -> Tensor:
    """The minimum of a convex f: Newton steps until the gradient falls no more."""
    best, least, last = (
        x,
        float("inf"),
        1e4 * torch.finfo(x.dtype).eps * float(gradient(f, 0 * x).abs().max()),
    )
    for _ in range(60):
        g = gradient(f, x)
        size = float(g.abs().max())
        if least <= min(size, last):
            break
        if size < least:
            best, least = x, size
        step = solved(hessian(f, x, vectorize=True), g[:, None])[:, 0]
        x = x - damping(step) * step
    return best


def best_W(J: Objective, W: Tensor, B: Tensor) -> Tensor:
    found = newton(lambda w: J(w.reshape(J.d, J.T), B), W.reshape(-1), J.damping())
    return found.reshape(J.d, J.T)


def best_B(J: Objective, W: Tensor, B: Tensor) -> Tensor:
    """Projected gradients with inertia, then Newton on the support, while it is not the right one."""
    h = float(2 * J.coupling * torch.linalg.matrix_norm(W, 2) ** 2)
    if h <= 0:
        return torch.zeros_like(B)
    f: Function = lambda B: J(W, B)  # noqa: E731
    scale = float(gradient(f, torch.zeros_like(B)).mul(J.off).abs().max())
    bend = 2 * J.coupling * W.T @ W
    for rounds in (20, 100, 500, 2500):
        V, inertia = B, 1.0
        for _ in range(rounds):
            new = (V - gradient(f, V) / h).clamp(min=0) * J.off
            if float(((V - new) * (new - B)).sum()) > 0:
                inertia = 1.0
            after = (1 + (1 + 4 * inertia**2) ** 0.5) / 2
            V, B, inertia = new + (inertia - 1) / after * (new - B), new, after
        exact = B.clone()
        for t in range(J.T):
            on = B[:, t] > 0
            if on.any():
                g = gradient(f, B)[on, t]
                exact[on, t] -= solved(bend[on][:, on], g[:, None])[:, 0]
        G = gradient(f, exact) * J.off
        left = float(torch.minimum(bend.diagonal()[:, None] * exact, G).abs().max())
        if (exact >= 0).all() and left <= 32 * J.eps * scale:
            return exact
    return B


def descend(J: Objective, W: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """Projected Newton on min over W of J(W, B); the point of the smallest residual."""
    n, best, least, lowest, idle = W.numel(), (W, B), float("inf"), float("inf"), 0

    def whole(x: Tensor) -> Tensor:
        return J(x[:n].reshape(J.d, J.T), x[n:].reshape(J.T, J.T))

    for _ in range(300):
        G, value = J.off * gradient(partial(J, W), B), float(J(W, B))
        bend = 2 * J.coupling * (W**2).sum(0)[:, None]
        error = float(torch.minimum(bend * B, G).abs().max()) / float(J.off.mul(bend).max() + 1e-300)
        idle = 0 if error < least / 2 or value < lowest * (1 - 1e3 * J.eps) else idle + 1
        if error < least:
            best, least = (W, B), error
        if error <= J.eps or idle > 8:
            break
        lowest = min(value, lowest)
        free = (bend * B > G) & (J.off > 0)
        H = hessian(whole, torch.cat([W.reshape(-1), B.reshape(-1)]), vectorize=True)
        on = torch.cat([torch.zeros(n, dtype=torch.bool), free.reshape(-1)])
        cross = H[:n][:, on]
        D = -B * ~free
        D[free] = -torch.cholesky_solve(
            G[free][:, None], shifted(H[on][:, on] - cross.T @ solved(H[:n, :n], cross))
        )[:, 0]
        for k in range(30):
            new = (B + D / 2**k).clamp(min=0) * J.off
            V = best_W(J, W, new)
            if float(J(V, new)) <= value + 1e-4 * float((G * (new - B)).sum()) + 16 * J.eps * value:
                W, B = V, new
                break
    return best


def solved(H: Tensor, right: Tensor) -> Tensor:
    return torch.linalg.lstsq(H, right, driver="gelsd").solution


def shifted(H: Tensor) -> Tensor:
    """Cholesky's factor of H, shifted as far as it needs."""
    shift, one = 0.0, torch.eye(len(H), dtype=H.dtype)
    while True:
        factor, failed = torch.linalg.cholesky_ex(H + shift * one)
        if not failed:
            return factor
        shift = max(10 * shift, torch.finfo(H.dtype).eps * float(H.abs().max()))
