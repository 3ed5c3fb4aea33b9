r"""Where a fit of a shared dictionary begins, and what becomes of features that no task uses.

    svd      D = the first K left singular vectors of single-task predictors; drawn beyond their rank
    random   D = K directions that are drawn

and G = argmin J at that D. Where K >= T the fit begins at each task's own direction instead,

    w_t = argmin of L_t over ||w|| <= radius,      d_t = w_t / ||w_t||,      g_t = ||w_t|| e_t

which is a global minimum, for all predictors D g_t have ||D g_t|| <= radius.

Columns are of length 1, which loses nothing: d_k / s and s g_k have the same predictors, and with s = ||d_k||
<= 1 a code is no longer than before.

A feature that no task uses is dead: J does not depend on its direction, so that no step moves it. But turned
to -c_t grad L_t(w_t) it is of use to task t wherever that gradient is longer than lambda_t, the largest
|G_G[k, t]| of the features there are; then the next G-step lowers J (`revived`). Two columns of D that have
become the same do the work of one: the code of one is given to the other, and it is dead.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.dictionary.model import DictionaryModel
from amtl_cvx.dictionary.point import DictionaryPoint
from amtl_cvx.dictionary.problem import DictionaryProblem
from amtl_cvx.dictionary.steps import AtomStep, CodeStep
from amtl_cvx.problem import Model, Problem
from amtl_cvx.subproblems.numpy_steps import minimal_weights
from amtl_cvx.transfer import LossWeightedL1

Init = Literal["svd", "random"]
_RIDGE = 1e-3  # of the curvature of the losses at 0: separable classes have no predictors without it
_EQUAL = 1e-13  # of 1 - cos, and of J
_OF_USE = 1e-6  # of the gradient at 0: what a feature has to pull beyond those there are


def start_of(problem: DictionaryProblem, init: Init = "svd", *, seed: int = 0) -> DictionaryPoint:
    """Where a fit begins: `seed` is for what is drawn, with "svd" only where K is above the rank."""
    rng, (d, K) = np.random.default_rng(seed), problem.shapes["D"]
    D = rng.normal(size=(d, K))
    if init == "svd" and K >= problem.tasks.T:
        return _apart(problem, D / np.linalg.norm(D, axis=0))
    if init == "svd":
        U, s, _ = np.linalg.svd(single_task_weights(problem), full_matrices=False)
        rank = int((s > max(d, problem.tasks.T) * np.finfo(np.float64).eps * s[0]).sum())
        D[:, : min(K, rank)] = U[:, : min(K, rank)]
    D = D / np.linalg.norm(D, axis=0)
    return coded(problem.at(D=D, G=np.zeros(problem.shapes["G"])))


def _apart(problem: DictionaryProblem, D: Array) -> DictionaryPoint:
    """Each task with a direction of its own, the first T columns of D, and the rest of D unused."""
    radius, D = problem.model.radius, D.copy()
    G = np.zeros(problem.shapes["G"])
    for t, task in enumerate(problem.tasks):
        alone = DictionaryModel(
            loss=problem.model.loss,
            features=1,
            radius=radius,
            task_weights=(float(problem.task_weight[t]),),
        )
        own = DictionaryProblem(replace(problem.tasks, tasks=(task,)), alone)
        w = AtomStep().solve(own.at(D=np.zeros((problem.tasks.d, 1)), G=np.full((1, 1), radius))).value[:, 0]
        length = float(np.linalg.norm(w))
        if length > 0.0:
            D[:, t], G[t, t] = w / length, radius * length
    return problem.at(D=D, G=G)


def coded(point: DictionaryPoint) -> DictionaryPoint:
    """The point with the best G at its D, in NumPy."""
    return point.at(G=CodeStep().solve(point).value)


def normalised(point: DictionaryPoint) -> DictionaryPoint:
    """The point with columns of D of length 1 and codes that are no longer than before; J stays."""
    length = np.linalg.norm(point.D, axis=0)
    if (np.abs(length - 1.0) <= 1e-15).all():
        return point
    some = length > 0.0
    D = np.where(some, point.D / np.where(some, length, 1.0), np.eye(*point.D.shape))
    D = np.where(D.any(axis=0), D, 1.0 / np.sqrt(len(D)))
    return point.at(D=D / np.linalg.norm(D, axis=0), G=point.G * length[:, None])


def revived(point: DictionaryPoint) -> DictionaryPoint:
    """The point with dead features turned to where they are of use, and G anew; itself where none is."""
    point = _merged(point)
    dead = np.flatnonzero(~point.live)
    pull = np.linalg.norm(point.weighted_gradient, axis=0)
    gain = pull - np.abs(point.gradient_G).max(axis=0)
    at_zero = np.linalg.norm(point.problem.zero.weighted_gradient, axis=0)
    tasks = np.argsort(-gain, kind="stable")[: len(dead)]
    tasks = tasks[gain[tasks] > _OF_USE * at_zero[tasks]]
    if not len(tasks):
        return point
    D, G = point.D.copy(), point.G.copy()
    for k, t in zip(dead, tasks, strict=False):
        D[:, k], G[k] = -point.weighted_gradient[:, t] / pull[t], 0.0
    new = coded(point.at(D=D, G=G))
    return new if new.objective < point.objective else point


def _merged(point: DictionaryPoint) -> DictionaryPoint:
    """The point with the codes of equal columns given to the first of them; J and the balls stay."""
    D, G, moved = point.D, point.G.copy(), False
    alike = np.triu(np.abs(D.T @ D) >= 1.0 - _EQUAL, 1)
    for k, other in np.argwhere(alike & (D.any(axis=0) & point.live)[None]):
        if G[k].any() and G[other].any():
            G[k] += np.sign(D[:, k] @ D[:, other]) * G[other]
            G[other], moved = 0.0, True
    new = point.at(G=G) if moved else point
    return new if new.objective <= point.objective * (1.0 + _EQUAL) else point


def single_task_weights(problem: DictionaryProblem) -> Array:
    """W (d, T) = argmin of sum_t c_t L_t(w_t) + ridge ||W||_F^2, the ridge a part of the curvature."""
    tasks, model = problem.tasks, problem.model
    curvature = np.einsum("tii->ti", problem.zero.loss_curvature)
    alone = Model(
        loss=model.loss,
        transfer=LossWeightedL1(mu=1.0),
        coupling=_RIDGE * float(curvature.mean()) or 1.0,
        task_weights=model.task_weights,
    )
    T = tasks.T
    return minimal_weights(Problem(tasks, alone).at(np.zeros((tasks.d, T)), np.zeros((T, T))))
