"""One cell of the table: a step of one size, solved by one entrant, in a process of its own.

    python reports/gpu/cell.py W 25 20 "SCS cudss"

prints its figures as JSON. The step is that of a fit: compiled at the first solve, then solved for `REPEATS`
further values of its parameters. The tasks are drawn from a seed: weights of rank 3 and a little of their
own, noise of unequal size, mean squared loss, coupling 1, mu 0.1. In the W-step B has three edges of .25 into
every task; in the B-step W are the weights, disturbed anew for each solve.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from amtl_cvx import LossWeightedL1, Model, TaskSet
from amtl_cvx.certificate import residuals
from amtl_cvx.problem import Problem
from amtl_cvx.solvers import Backend, Gpu
from amtl_cvx.subproblems import HalfStep, WeightStep, compile_transfer_step

SEED, REPEATS = 0, 3
GPU = {"SCS cudss": "cudss", "SCS gpu_indirect": "gpu_indirect"}
CPU = {"Clarabel": "CLARABEL", "Clarabel by column": "CLARABEL", "SCS CPU": "SCS"}
EDGES, STRENGTH = 3, 0.25

Array = NDArray[np.float64]


def draw(T: int, d: int, rng: np.random.Generator) -> tuple[TaskSet, Array]:
    """T tasks of d + 20 rows, and the weights they were made with, (d, T)."""
    W = rng.normal(size=(d, 3)) @ rng.normal(size=(3, T)) + 0.3 * rng.normal(size=(d, T))
    X = [rng.normal(size=(d + 20, d)) for _ in range(T)]
    noise = rng.uniform(0.5, 3.0, size=T)
    y = [Xt @ w + s * rng.normal(size=len(Xt)) for Xt, w, s in zip(X, W.T, noise, strict=True)]
    return TaskSet.from_arrays(X, y), W


def graph(T: int, rng: np.random.Generator) -> Array:
    """B with `EDGES` edges into every task."""
    B = np.zeros((T, T))
    for t in range(T):
        B[rng.choice(np.delete(np.arange(T), t), size=min(EDGES, T - 1), replace=False), t] = STRENGTH
    return B


def backend(entrant: str) -> Backend:
    """The entrant alone at the head of the chain."""
    if entrant in GPU:
        return Backend(gpu=Gpu(least={"W": 0, "B": 0}, linear_solver=GPU[entrant]))
    return Backend(solver=CPU[entrant])


def measure(step: str, T: int, d: int, entrant: str) -> dict[str, object]:
    """Median seconds of a step, its set-up, and the largest relative residual of its answers."""
    rng = np.random.default_rng([SEED, T, d])
    tasks, weights = draw(T, d, rng)
    model, chosen = Model(transfer=LossWeightedL1(mu=0.1), coupling=1.0), backend(entrant)
    tasks = model.compress(tasks)
    whole = entrant != "Clarabel by column"
    solver = (
        WeightStep.compile(tasks, model, backend=chosen)
        if step == "W"
        else compile_transfer_step(tasks, model, backend=chosen, columns=not whole)
    )

    def once() -> tuple[float, float, HalfStep]:
        W = weights + 0.1 * rng.normal(size=(d, T)) if step == "B" else np.zeros((d, T))
        B = graph(T, rng)
        started = time.perf_counter()
        half = solver.solve(Problem(tasks, model).at(W, B))
        seconds = time.perf_counter() - started
        found = residuals(Problem(tasks, model).at(*((half.value, B) if step == "W" else (W, half.value))))
        return seconds, found.relative_W if step == "W" else found.relative_B, half

    first, *rest = [once() for _ in range(REPEATS + 1)]
    others = {half.solved.solver for _, _, half in rest} - {entrant, CPU.get(entrant)}
    if others:
        return {"why_not": f"no answer: {chosen.gpu.failure or f'{others.pop()} solved it'}"}
    return {
        "seconds": float(np.median([seconds for seconds, _, _ in rest])),
        "solver_seconds": float(np.median([half.solved.seconds for _, _, half in rest])),
        "first_seconds": first[0],
        "relative": max(relative for _, relative, _ in rest),
        "peak_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
    }


if __name__ == "__main__":
    with threadpool_limits(limits=1, user_api="blas"):
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])))
