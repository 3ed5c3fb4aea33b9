"""What judges shared features, against differences of the oracle's J, least squares, and known points."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import mpmath
import numpy as np
from cases import Array
from feature_oracle import Oracle
from feature_points import drawn_problem, first_order

from amtl_cvx.features import FeaturePoint, FeatureProblem, GoMtlModel, certify
from amtl_cvx.features.certificate import strict_local
from amtl_cvx.features.curvature import hessian
from amtl_cvx.features.gaps import gap
from amtl_cvx.features.residuals import residuals
from amtl_cvx.features.second_order import second_order
from amtl_cvx.tasks import TaskSet

STEP = 1e-6
COUNTED: dict[str, Any] = {
    "features": 3,
    "price_floor": 0.3,
    "gamma_per": "row",
    "gamma": 8.0,
    "decay": 0.1,
    "alpha": 0.4,
    "task_weights": (0.7, 1.0, 1.9),
}
"""k = T = d, so that whatever is transposed still fits."""


def anywhere(problem: FeatureProblem, seed: int = 0) -> FeaturePoint:
    """A point none of whose entries is near 0."""
    rng = np.random.default_rng(seed)
    blocks = {
        name: rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.2, 1.0, size=shape)
        for name, shape in problem.shapes.items()
    }
    if "A" in blocks and not problem.model.signed:
        blocks["A"] = np.abs(blocks["A"])
    return problem.at(**blocks)


def differences(point: FeaturePoint, name: str, place: tuple[int, ...]) -> Any:
    """The point on both sides of itself along one entry."""
    for way in (STEP, -STEP):
        block = point.blocks[name].copy()
        block[place] += way
        yield point.at(**{name: block})


@cache
def oracle(problem: FeatureProblem) -> Oracle:
    return replace(Oracle.of(problem.tasks, problem.model), mp=mpmath.fp)


def feature_gradients_are_differences() -> None:
    """Of J by loops over its definition; and J itself is that, also after a step that keeps what it can."""
    for loss in ("squared", "logistic"):
        point = anywhere(drawn_problem(loss, **COUNTED))
        J = oracle(point.problem).objective
        assert abs(point.objective - J(point.L, point.S, point.A)) < 1e-12 * point.objective
        whole = {
            "L": point.gradient_L,
            "S": point.gradient_S + point.model.mu * np.sign(point.S),
            "A": point.gradient_A + point.prices[:, None] * np.sign(point.A),
        }
        for name, slope in whole.items():
            for place in ((0, 0), (1, 2), (2, 1)):
                up, down = differences(point, name, place)
                assert abs(up.objective - J(up.L, up.S, up.A)) < 1e-12 * point.objective
                found = (J(up.L, up.S, up.A) - J(down.L, down.S, down.A)) / (2.0 * STEP)
                assert abs(found - slope[place]) < 1e-7 * max(1.0, abs(found)), (name, place)


def feature_hessian_is_differences() -> None:
    """Of the oracle's gradients, every block with every other."""
    point = anywhere(drawn_problem("logistic", **COUNTED))
    H, J = hessian(point, np.sign(point.A)), oracle(point.problem)

    def slopes(at: FeaturePoint) -> Array:
        _, G = J.derivatives(at.L, at.S, at.A)
        price = np.array(J.prices(at.L, at.S))[:, None]
        return np.concatenate([G.L.ravel(), G.S.ravel(), (G.A + price * np.sign(at.A)).ravel()])

    for column, name, place in ((1, "L", (0, 1)), (9 + 5, "S", (1, 2)), (18 + 3, "A", (1, 0))):
        up, down = (slopes(each) for each in differences(point, name, place))
        found = (up - down) / (2.0 * STEP)
        assert np.abs(found - H[:, column]).max() < 1e-7 * np.abs(found).max(), name


# gaps


def feature_gaps_are_no_less_than_gains() -> None:
    """S and A by coordinate descent."""
    for options in ({}, {"feedback": "nonnegative"}):
        point = anywhere(drawn_problem(**COUNTED, **options), 1)
        for name, least in (("S", descended_S(point)), ("A", descended_A(point))):
            found, gain = gap(name, point).value, point.objective - least
            assert found is not None and gain > 0.0 and found >= gain * (1.0 - 1e-9), name


def feature_gaps_of_L_are_gains() -> None:
    """By least squares; and where the loss hardly bends."""
    point = anywhere(drawn_problem(**COUNTED), 1)
    found, gain = gap("L", point).value, point.objective - least_squares_L(point)
    assert found is not None and abs(found - gain) < 1e-9 * gain
    point = anywhere(drawn_problem("poisson", **{**COUNTED, "decay": 1e4}), 1)
    found = gap("L", point).value
    away = point.at(L=point.L - point.gradient_L / 2e4)
    assert found is not None and found >= point.objective - away.objective > 0.0


def feature_gaps_are_differences_of_primal_and_dual() -> None:
    """P - D from sums that cancel, at the dual points of the theory, squared loss: phi*(v) = v^2/4 + v y."""
    point = anywhere(drawn_problem(**COUNTED), 2)
    problem, model, mu, e = point.problem, point.model, point.model.mu, point.loss_weight
    X = np.vstack([task.X for task in point.tasks])
    gamma, Z = model.gamma / len(X), X @ point.L
    E = Z - Z @ point.S @ point.A
    G, dual = -2.0 * gamma * Z.T @ E @ point.A.T, 0.0
    for t, task in enumerate(point.tasks):
        u = 2.0 * (task.X @ point.L @ point.S[:, t] - task.y)
        G[:, t] += e[t] / len(task.y) * (task.X @ point.L).T @ u
    s = min(1.0, mu / float(np.abs(G).max()))
    for t, task in enumerate(point.tasks):
        v = 2.0 * s * (task.X @ point.L @ point.S[:, t] - task.y)
        dual -= e[t] / len(task.y) * float((v**2 / 4.0 + v * task.y).sum())
    dual += 2.0 * gamma * s * float((E * Z).sum()) - s * s * gamma * float((E**2).sum())
    primal = float(e @ point.losses) + mu * float(np.abs(point.S).sum()) + gamma * float((E**2).sum())
    found = gap("S", point).value
    assert s < 0.9 and found is not None and abs(found - (primal - dual)) < 1e-10 * primal
    c, H, total = problem.task_weight, Z @ point.S, 0.0
    prices = model.alpha * (c * point.losses + problem.floor)
    for z, a, r in zip(Z.T, point.A.T, E.T, strict=True):
        s = min(float(r @ z / (r @ r)), float((prices / np.abs(2.0 * gamma * H.T @ r)).min()))
        dual = 2.0 * gamma * s * float(r @ z) - gamma * s * s * float(r @ r)
        total += gamma * float(r @ r) + float(prices @ np.abs(a)) - dual
    found = gap("A", point).value
    assert found is not None and abs(found - total) < 1e-10 * total


def feature_gaps_are_nothing_at_solutions() -> None:
    for options in ({}, {"loss": "logistic", "feedback": "nonnegative"}):
        point = first_order(**options)
        for name in point.blocks:
            found = gap(name, point).value
            assert found is not None and found < 1e-10 * point.objective, name


def least_squares_L(point: FeaturePoint) -> float:
    """min over L of J, squared loss."""
    problem, model, c = point.problem, point.model, np.asarray(COUNTED["task_weights"])
    e = c * (1.0 + model.alpha * np.abs(point.A).sum(axis=1))
    X = np.vstack([task.X for task in point.tasks])
    roots = [np.sqrt(e[t] / len(task.y)) for t, task in enumerate(point.tasks)]
    rows = [roots[t] * np.kron(point.S[:, t], task.X) for t, task in enumerate(point.tasks)]
    targets = [roots[t] * task.y for t, task in enumerate(point.tasks)]
    M = np.eye(len(point.S)) - point.S @ point.A
    rows += [np.sqrt(model.gamma / len(X)) * np.kron(M.T, X), np.sqrt(model.decay) * np.eye(point.L.size)]
    design = np.vstack(rows)
    target = np.concatenate([*targets, np.zeros(len(design) - sum(map(len, targets)))])
    best = np.linalg.lstsq(design, target, rcond=None)[0].reshape(len(point.S), -1).T
    return problem.at(L=best, S=point.S, A=point.A).objective


def descended_S(point: FeaturePoint) -> float:
    """J after sweeps over single entries of S, each the minimum of a parabola and mu |s|; squared loss."""
    S = point.S.copy()
    for _ in range(4):
        for place in np.ndindex(S.shape):
            S[place] = 0.0
            S[place] = shrunk(point, "S", S, place, point.model.mu, signed=True)
    return point.at(S=S).objective


def descended_A(point: FeaturePoint) -> float:
    """The same in A with its prices."""
    A = point.A.copy()
    for _ in range(4):
        for place in np.ndindex(A.shape):
            A[place] = 0.0
            price = float(point.prices[place[0]])
            A[place] = shrunk(point, "A", A, place, price, signed=point.model.signed)
    return point.at(A=A).objective


def shrunk(
    point: FeaturePoint, name: str, block: Array, place: tuple[int, ...], price: float, *, signed: bool
) -> float:
    """argmin over one entry of q x^2 / 2 + g x + price |x|, from three values of J."""
    values = []
    for x in (-1.0, 0.0, 1.0):
        block[place] = x
        values.append(point.at(**{name: block}).objective)
    q, g = values[0] + values[2] - 2.0 * values[1] - 2.0 * price, 0.5 * (values[2] - values[0])
    best = np.sign(-g) * max(abs(g) - price, 0.0) / q
    return float(best if signed else max(best, 0.0))


# verdicts


def feature_residuals_find_the_entry() -> None:
    """Of the block that has one wrong entry, whatever the others say."""
    for options in ({}, {"feedback": "nonnegative", "loss": "logistic"}):
        point = first_order(**options)
        assert residuals(point).relative < 1e-11
        for name, each in flawed(point):
            assert residuals(each).parts[name] > 1e-6, name


def feature_verdicts_are_those_of_known_points() -> None:
    """First-order points pass, with one wrong entry they do not, nor does 0, nor a wrong A < 0."""
    for options in ({}, {"feedback": "nonnegative", "loss": "logistic"}, {"go_mtl": True}):
        point = first_order(**options)
        assert certify(point).passes and not certify(point.problem.zero).passes
    point = first_order()
    assert not any(certify(each).passes for _, each in flawed(point)[::5])
    point = first_order(feedback="nonnegative", loss="logistic")
    assert certify(point.at(A=changed(point.A, (0, 0), -1e-9))).level is None


def flawed(point: FeaturePoint) -> list[tuple[str, FeaturePoint]]:
    """One entry of the other sign, lost, or there where it should not be, with its block."""
    found = []
    for name, block in point.blocks.items():
        for place in np.ndindex(block.shape):
            least = np.abs(block[block != 0.0]).min(initial=1.0)
            values = (-block[place], 0.0) if block[place] else (1e-3 * least, -1e-3 * least)
            found += [(name, point.at(**{name: changed(block, place, value)})) for value in values]
    return [each for each in found if point.model.signed or (each[1].A >= 0.0).all()]


def changed(block: Array, place: tuple[int, ...], value: float) -> Array:
    other = block.copy()
    other[place] = value
    return other


def scalar(length: float, *, more: float | None = None) -> FeaturePoint:
    """(l s - a)^2 + |s| + l^2 / 2 at l^2 = s, 2 (l s - a) l + 1 = 0; `more` is y of a task with s = 0."""
    s, a = length * length, length**3 + 0.5 / length
    targets, S = ([a], [[s]]) if more is None else ([a, more], [[s, 0.0]])
    tasks = TaskSet.from_arrays([np.ones((1, 1))] * len(targets), [[y] for y in targets])
    return FeatureProblem(tasks, GoMtlModel(features=1, mu=1.0, decay=0.5)).at(L=[[length]], S=S)


def feature_minima_are_told_from_saddles() -> None:
    """a(l) = l^3 + 1/(2 l) falls where 6 l^4 < 1; at l = 1 a zero with y = 1/2 is on the edge of its box."""
    for point, verdict in (
        (scalar(1.0), "strict local minimum"),
        (scalar(0.5), "saddle"),
        (scalar(6.0**-0.25), "degenerate"),
        (scalar(1.0, more=0.25), "strict local minimum"),
        (scalar(1.0, more=0.5), "degenerate"),
    ):
        assert certify(point).passes and second_order(point).verdict == verdict
        assert (strict_local(certify(point), point).level == "C3") is (verdict == "strict local minimum")
    for options in ({}, {"feedback": "nonnegative", "loss": "logistic"}):
        assert second_order(first_order(**options)).verdict == "strict local minimum"
        assert second_order(first_order(**options)).min_multiplier < first_order(**options).model.mu
