r"""Trains J of a network with Adam in PyTorch, from data in an npz to weights in an npz.

    python adam.py DATA.npz OUT.npz float32 SEED

    J = sum_t (1 + alpha ||a_t||_1) L_t(F_t) + mu ||S||_1 + gamma ||Z - max(F A, 0)||_F^2
        + decay sum_l ||W_l||_F^2

as anybody would write it: full batches, autograd, nothing done about kinks and zeros. DATA has X (N, d),
Y (N, T) of -1 and 1, layers, and alpha, mu, gamma, decay (gamma in total). OUT has W1, W2, ..., S, A, J by
this formula at them in the precision of the training, and what it took. Needs torch and NumPy.
"""

import sys
import time

import numpy as np
import torch

STEPS, RATE = 5000, 0.01


def main() -> None:
    data, out, precision, seed = sys.argv[1:]
    torch.manual_seed(int(seed))
    torch.set_num_threads(1)
    kind = {"float32": torch.float32, "float64": torch.float64}[precision]
    with np.load(data, allow_pickle=False) as given:
        X, Y = (torch.tensor(given[name], dtype=kind) for name in ("X", "Y"))
        layers = [int(k) for k in given["layers"]]
        alpha, mu, gamma, decay = (float(given[name]) for name in ("alpha", "mu", "gamma", "decay"))
    widths, T = [X.shape[1], *layers], Y.shape[1]
    V = [
        torch.randn(a, b, dtype=kind).mul_((2.0 / a) ** 0.5).requires_grad_()
        for a, b in zip(widths, widths[1:])  # noqa: B905
    ]
    S = torch.randn(layers[-1], T, dtype=kind).mul_(layers[-1] ** -0.5).requires_grad_()
    A = torch.randn(T, layers[-1], dtype=kind).mul_(0.1).requires_grad_()

    def objective() -> torch.Tensor:
        Z = X
        for each in V:
            Z = torch.relu(Z @ each)
        F = Z @ S
        losses = torch.nn.functional.softplus(-Y * F).mean(dim=0)
        J = ((1.0 + alpha * A.abs().sum(dim=1)) * losses).sum() + mu * S.abs().sum()
        J = J + gamma * ((Z - torch.relu(F @ A)) ** 2).sum()
        return J + decay * sum((each**2).sum() for each in V)

    begun = time.process_time()
    adam = torch.optim.Adam([*V, S, A], lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, STEPS)
    for _ in range(STEPS):
        adam.zero_grad()
        objective().backward()
        adam.step()
        schedule.step()
    spent = time.process_time() - begun
    found = {f"W{number}": each.detach().numpy() for number, each in enumerate(V, start=1)}
    with torch.no_grad():
        J = objective().item()
    np.savez(
        out, **found, S=S.detach().numpy(), A=A.detach().numpy(),
        objective=J, seconds=spent, steps=STEPS, torch=torch.__version__,
    )  # fmt: skip


if __name__ == "__main__":
    main()
