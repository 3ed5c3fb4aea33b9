"""Stationary points of networks that are made backwards: weights first, then the targets that make them so.

Of a squared loss the slopes P = 2 (F - y) / n may be chosen freely, and all conditions on the layers and on
S are linear in G_F = (1 + alpha ||a_t||_1) P + G_R A'. So: take layers with units moved onto their kinks on
some rows, S, and an A with at most one entry a task, each unit scaled to its balance, without which there is
no such G_F; ask for masks in (.2, .8) of the kinks and weights w > 0, and for slopes of S strictly inside of
the box where it is 0; solve. What is left free raises each loss until its price of feedback holds its row of
A.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx import TaskSet
from amtl_cvx.network import NetworkModel, NetworkPoint, NetworkProblem
from amtl_cvx.network.kinks import kinks
from amtl_cvx.network.vertex import vertex


class Planted(NamedTuple):
    """A stationary point, and the masks of its kinks that were asked for."""

    point: NetworkPoint
    masks: tuple[np.ndarray, ...]


class Unlucky(ValueError):
    """These weights cannot be made stationary."""


def planted(rng: np.random.Generator, *, tries: int = 50, **how) -> Planted:
    """A stationary point; `how` is what `_planted` takes."""
    for _ in range(tries):
        try:
            return _planted(rng, **how)
        except Unlucky:
            continue
    raise Unlucky(f"{tries} draws, none of which can be made stationary")


def _planted(
    rng,
    *,
    layers=(4,),
    N=60,
    d=5,
    T=3,
    held=2,
    feedback=1,
    fit_bias=False,
    binary=False,
    dead=0,
    signed=True,
    weights=(0.05, 0.3, 0.05, 0.02),
    wrong="",
    uses=None,
    gives=None,
    cut=(),
    near=0.0,
    same=False,
):
    """`held` rows on the kink of each unit, `feedback` entries of A; `weights`: mu, alpha, gamma, decay.

    `wrong` breaks one condition by about a third: the "mask" of a kink, its "weight", a slope of "S" or "A",
    or "taken", what kinks of the reconstruction leave of a weight. `uses` is where S is not 0, `gives` (t, j)
    the entry of A, `cut` entries (name, row, column) of layers that are 0;
    unit 0 of layer 1 is at u = `near` on the first of its rows; `same`: all of layer 1 are on their kink on
    row 0, and nothing else is.
    """
    X = rng.integers(0, 2, (4 * N, d)).astype(float) if binary else rng.standard_normal((4 * N, d))
    X = np.unique(X, axis=0)
    X = X[rng.permutation(len(X))[:N]]
    N = len(X)
    mu, alpha, gamma, decay = weights
    model = NetworkModel(
        layers=layers,
        mu=mu,
        alpha=alpha,
        gamma=gamma,
        decay=decay,
        fit_bias=fit_bias,
        feedback="signed" if signed else "nonnegative",
    )
    blocks = _layers(rng, X, layers, held=held, fit_bias=fit_bias, near=near, same=same)
    for name, *place in cut:
        blocks[name][tuple(place)] = 0.0
    S = rng.standard_normal((layers[-1], T)) + 0.5
    S[rng.random(S.shape) < 0.3] = 0.0
    S[~S.any(axis=1), 0] = 1.0
    S = S if uses is None else np.where(uses, rng.uniform(0.5, 1.5, S.shape), 0.0)
    if dead:
        for name in {f"W{len(layers)}", f"bias{len(layers)}"} & set(blocks):
            blocks[name][..., -dead:] = 0.0
        S[-dead:] = 0.0
    blocks |= {"S": S, "A": np.zeros((T, layers[-1]))}
    point = _problem(X, np.zeros((N, T)), model).at(**blocks)
    for z, dead_too in zip(point.Z, (0,) * (len(layers) - 1) + (dead,), strict=True):
        check((z > 0.0).any(axis=0).sum() == z.shape[1] - dead_too, "a unit is off on every row")
    check(bool(point.F.any(axis=0).all()), "a task uses no feature that is on")
    point = _balanced(point)
    A = np.zeros((T, layers[-1]))
    for t in rng.permutation(T)[:feedback] if gives is None else [gives[0]]:
        pull = point.features.T @ np.maximum(point.F[:, t], 0.0)
        A[t, int(np.argmax(pull)) if gives is None else gives[1]] = 0.3 / np.linalg.norm(point.F[:, t])
    point = _balanced(point.at(A=A))
    masks = tuple(
        np.where(at, rng.uniform(0.2, 0.8, at.shape), on.astype(float))
        for at, on in zip(kinks(point).active, point.on, strict=True)
    )
    if wrong == "mask":
        check(bool(kinks(point).active[-1].any()), "no kink")
        mask = masks[-1]
        place = rng.choice(np.flatnonzero(kinks(point).active[-1]))
        mask.flat[place] = 1.3
    y = _targets(rng, point, masks, wrong, same=same)
    return Planted(_problem(X, y, model).at(**point.blocks), masks)


def _problem(X, y, model):
    return NetworkProblem(TaskSet.from_matrix(X, y), model)


def _layers(rng, X, layers, *, held, fit_bias, near, same):
    """Weights with `held` rows on the kink of each unit, those that are nearest to it."""
    blocks, below = {}, X
    for number, width in enumerate(layers, start=1):
        inputs = np.column_stack([below, np.ones(len(below))]) if fit_bias else below
        V = rng.standard_normal((inputs.shape[1], width)) / np.sqrt(inputs.shape[1]) + 0.1 * (number > 1)
        for unit in range(width):
            for _ in range(100):
                if 0.25 < (inputs @ V[:, unit] > 0.0).mean() < 0.75:
                    break
                V[:, unit] = rng.standard_normal(len(V))
            usable = np.flatnonzero(np.count_nonzero(inputs, axis=1) > 1)
            rows = usable[np.argsort(np.abs(inputs[usable] @ V[:, unit]))[:held]]
            rows = np.array([0]) if same else rows
            held = len(rows)
            if same and number > 1:
                break
            for _ in range(3):
                V[:, unit] -= np.linalg.pinv(inputs[rows]) @ (inputs[rows] @ V[:, unit])
                V[np.abs(V[:, unit]) < 1e-14, unit] = 0.0
            if near and number == 1 and unit == 0:
                V[:, 0] += np.linalg.pinv(inputs[rows]) @ (near * (np.arange(held) == 0))
        u = inputs @ V
        below = np.where(np.abs(u) < 1e-13, 0.0, np.maximum(u, 0.0))
        blocks[f"W{number}"] = V[:-1] if fit_bias else V
        if fit_bias:
            blocks[f"bias{number}"] = V[-1]
    return blocks


def _targets(rng, point, masks, wrong, *, same):
    """The targets with which the point is stationary."""
    N, T = point.F.shape
    model, fixed = point.model, point.gradient(masks)
    E = 2.0 * point.problem.gamma * point.problem.rows.times[:, None] * point.E

    asked = list(kinks(point).active)
    if same:  # w of those below hollow kinks is what w of these makes of it
        asked[0] = asked[0] & ~kinks(point).hollow[-1].any(axis=1)[:, None]

    def conditions(G_F):
        """All that is linear in G_F and has a target: gradients of layers, w on kinks, slopes of S."""
        w, parts = G_F @ point.S.T + E, [(point.features.T @ G_F).ravel()]
        for number in reversed(range(len(point.V))):
            u = masks[number] * w
            parts += [(point.below[number].T @ u + 2 * model.decay * point.V[number]).ravel()]
            parts += [w[asked[number]]]
            w = u @ point.V[number][: point.Z[number - 1].shape[1]].T if number else w
        return np.concatenate(parts)

    zero = conditions(np.zeros((N, T)))
    M = np.stack([conditions(e.reshape(N, T)) - zero for e in np.eye(N * T)], axis=1)
    room = np.minimum(*(model.mu - taken for taken in vertex(point).S))
    check((room > 0.0).all(), "S is not held")
    room[~point.features.any(axis=0)] = 0.0
    want = [np.where(point.S != 0.0, -model.mu * np.sign(point.S), rng.uniform(-0.9, 0.9, room.shape) * room)]
    want = [want[0].ravel()]
    if wrong == "S":
        check(bool(((point.S == 0.0) & (room > 0.0)).any()), "S has no 0")
        want[0][rng.choice(np.flatnonzero((point.S == 0.0) & (room > 0.0)))] = 1.3 * model.mu
    for number in reversed(range(len(point.V))):
        want += [np.zeros(point.V[number].size)]
        active = asked[number]
        want += [rng.uniform(0.01, 0.03, int(active.sum()))]
        if number == len(point.V) - 1:
            least = (vertex(point).kinks / (1.0 - np.where(active, masks[number], 0.0)))[active]
            check(wrong != "taken" or least.any(), "nothing is taken")
            want[-1] = np.where(least > 0.0, 0.8 * least, want[-1]) if wrong == "taken" else least + want[-1]
        if wrong == "weight" and number == len(point.V) - 1:
            check(len(want[-1]) > 0, "no kink")
            want[-1][0] *= -1.0
    target = np.concatenate(want)
    H = np.linalg.lstsq(M, target - zero, rcond=None)[0]
    check(np.abs(M @ H + zero - target).max() < 1e-10, "too many conditions")
    H = H.reshape(N, T)
    given = 1.0 + model.alpha * np.abs(point.A).sum(axis=1)
    back = fixed.R @ point.A.T
    for t in range(T):
        up, down = (taken[t] for taken in vertex(point).A)
        slopes = np.maximum(up - fixed.A[t], down + fixed.A[t])
        at = np.flatnonzero(point.A[t])
        price = np.abs(fixed.A[t, at[0]]) if len(at) else 1.5 * slopes.max() + 0.1
        if wrong == "A" and not len(at):
            check(slopes.max() > 0.0, "nothing pulls at this row of A")
            price = 0.7 * slopes.max()
        check(not len(at) or np.delete(slopes, at).max(initial=0.0) < price, "A is not held")
        check(not len(at) or fixed.A[t, at[0]] * point.A[t, at[0]] < 0.0, "A has the wrong sign")
        own = np.zeros((N, T), dtype=bool)
        own[:, t] = True
        free = np.linalg.svd(M[:, own.ravel()])[2][np.linalg.matrix_rank(M[:, own.ravel()]) :]
        free = free.T @ rng.standard_normal(len(free))
        P, step = (H[:, t] - back[:, t]) / given[t], free / given[t]
        loss = price / model.alpha  # n / 4 ||P + s step||^2
        roots = np.roots([step @ step, 2.0 * P @ step, P @ P - 4.0 * loss / N])
        check(bool(np.isreal(roots).all()), "the loss is too high")
        H[:, t] += roots.max() * free
    P = (H - back) / given
    return point.F - P * N / 2.0


def check(fine, why):
    """`Unlucky` unless a draw is fine."""
    if not fine:
        raise Unlucky(why)


def _balanced(point):
    """The point with every unit at its balance."""
    for _ in range(300):
        model, blocks = point.model, dict(point.blocks)
        for number, (V, out) in enumerate(zip(point.V, (*point.V[1:], None), strict=True), start=1):
            own, scale = (V**2).sum(axis=0), np.ones(V.shape[1])
            live = own > 0.0
            if out is None:
                rebuilt = 2 * point.problem.gamma * (point.E**2).sum(axis=0)
                paid = np.abs(point.A * point.gradient().A).sum(axis=0)
                cost = model.mu * np.abs(point.S).sum(axis=1)
                scale[live] = np.cbrt(cost[live] / (2 * model.decay * own + rebuilt + paid)[live])
                blocks["S"], blocks["A"] = blocks["S"] / scale[:, None], blocks["A"] * scale
            else:
                outer = (out[: V.shape[1]] ** 2).sum(axis=1)
                check(bool((outer[live] > 1e-9 * outer.max()).all()), "a unit without weights out")
                scale[live] = (outer[live] / own[live]) ** 0.25
                blocks[f"W{number + 1}"] = blocks[f"W{number + 1}"] / scale[:, None]
            blocks[f"W{number}"] = blocks[f"W{number}"] * scale
            if model.fit_bias:
                blocks[f"bias{number}"] = blocks[f"bias{number}"] * scale
        new = point.problem.at(**blocks)
        if np.abs(new.vector - point.vector).max() < 1e-15 * np.abs(new.vector).max():
            break
        point = new
    return point
