"""Digits of shared features against an oracle that computes from the rows; points that have none."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from feature_instances import problem, rounded, solved
from feature_oracle import MANY, Blocks, Oracle
from flint import arb, arb_mat, ctx

from amtl_cvx import TaskSet
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.features import FeatureModel, FeaturePoint, FeatureProblem, GoMtlModel
from amtl_cvx.features.balls import FeatureSystem
from amtl_cvx.features.proven import prove_features


def feature_digits_are_those_of_the_oracle() -> None:
    for seed in (1, 2):
        check_derivatives(seed)
        check_digits(seed)


def feature_proofs_refuse_what_is_not_there() -> None:
    for fault in WRONG:
        # the root next to a point with other zeros is one: only its signs and multipliers are wrong
        within = math.inf if fault.startswith("entry") else 1e-5
        assert refused(changed(1, fault), within=within), fault
    assert not refused(held(1.5)) and refused(held(0.75)) and refused(held(1.5, y=0.75))
    assert not prove_features(saddle()).strict_local_min


def refused(point: FeaturePoint, within: float = 1e-5) -> bool:
    try:
        prove_features(point, within=within)
    except NotCertifiable:
        return True
    return False


def held(alpha: float, y: float = 0.25) -> FeaturePoint:
    """The row x = 1 with targets 1 and y at l = 1/2, s = (1, 0), A = 0.

    decay + gamma = 1, so that (1 - l s) s = l and 2 (1 - l s) l = mu solve the equations of l and s_0. A_0 is
    held where its pull 2 gamma s l^2 = 1/4 is below its price alpha / 4, s_1 where 2 l y is below mu = 1/2.
    """
    tasks = TaskSet.from_arrays([np.ones((1, 1))] * 2, [[1.0], [y]])
    model = FeatureModel(features=1, mu=0.5, decay=0.5, gamma=0.5, alpha=alpha)
    return FeatureProblem(tasks, model).at(L=[[0.5]], S=[[1.0, 0.0]], A=[[0.0], [0.0]])


def saddle() -> FeaturePoint:
    """J(l, s) = (l's - 1)^2 + (sum s + ||l||^2) / 2, stationary at l = s = 1/2 twice.

    Moving one feature up and the other down lowers it, along (1, -1) x [[1, -1], [-1, 0]].
    """
    tasks = TaskSet.from_arrays([np.ones((1, 1))], [np.ones(1)])
    model = GoMtlModel(features=2, mu=0.5, decay=0.5)
    return FeatureProblem(tasks, model).at(L=[[0.5, 0.5]], S=[[0.5], [0.5]])


def check_digits(seed: int, **sizes: Any) -> None:
    """Forty digits of every entry and of J are those of the oracle, margins are below its margins."""
    stored, oracle, point = solved(seed, **sizes)
    found = prove_features(rounded(stored, point))
    for name, block in point._asdict().items():
        for place, value in np.ndenumerate(block) if getattr(found, name) else ():
            proved = MANY.mpf(getattr(found, name)[place[0]][place[1]])
            assert abs(proved - value) <= MANY.mpf(10) ** -39 * max(1, abs(value)) and (not value) == (
                not proved
            )
    J = oracle.objective(*point)
    assert abs(MANY.mpf(found.objective) - J) <= MANY.mpf(10) ** -39 * abs(J)
    slack = float(oracle.slack(*point))
    assert slack * (1 - 1e-6) <= min(found.min_multiplier, found.min_entry) <= slack * (1 + 1e-12)
    assert found.strict_local_min and found.radius < 1e-45 and found.distance < 1e-15 < found.room
    assert found.live == tuple(np.flatnonzero((point.S != 0).any(axis=1)))


def check_derivatives(seed: int, **sizes: Any) -> None:
    """g is the oracle's, g' its central differences; over a box both enclose."""
    stored = problem(seed, **sizes)
    oracle = Oracle.of(stored.tasks, stored.model)
    rng = np.random.default_rng(seed)
    shapes = [(stored.tasks.d, oracle.k), (oracle.k, oracle.T), (oracle.T, oracle.k)]
    L, S, A = (rng.normal(size=shape) * (rng.random(size=shape) < 0.7) for shape in shapes)
    point = Blocks(L, S, (A if oracle.signed else abs(A)) * stored.model.has_feedback)
    _, G = oracle.derivatives(*point)
    prices = np.array(oracle.prices(oracle.exact(point.L), oracle.exact(point.S)))[:, None]
    G = G._replace(S=G.S + oracle.mp.mpf(oracle.mu) * np.sign(point.S), A=G.A + prices * np.sign(point.A))
    with ctx.workdps(70):
        system = FeatureSystem(rounded(stored, point))
        assert len(system.live) == oracle.k  # so that all of L is free
        x = system.unknowns(rounded(stored, point))
        places = [*G.L.T.ravel(), *(G.S[j, t] for j, t, _ in system.S), *(G.A[t, j] for t, j, _ in system.A)]
        for found, value in zip(system.gradient(x).entries(), places, strict=True):
            assert abs(found - arb(MANY.nstr(value, 50))) < 1e-45
        J, h, n = system.jacobian(x), arb(10) ** -25, x.nrows()
        box = arb_mat(n, 1, [arb(0, 1e-20)] * n)
        wide, image = system.jacobian(x + box), system.gradient(x + box)
        assert abs(system.objective(x) - arb(MANY.nstr(oracle.objective(*point), 50))) < 1e-45
        for j in range(n):
            e = arb_mat(n, 1, [h if i == j else 0 for i in range(n)])
            up, down = system.gradient(x + e), system.gradient(x - e)
            for i in range(n):
                assert abs((up[i, 0] - down[i, 0]) / (2 * h) - J[i, j]) < 1e-40
                assert wide[i, j].contains(J[i, j]) and image[i, 0].contains(up[i, 0])


def changed(seed: int, fault: str) -> Any:
    """A point of the problem with one thing wrong."""
    stored, _, point = solved(seed)
    L, S, A = (np.asarray(block, dtype=float) for block in point)
    used, unused = np.argwhere(S != 0.0)[0], np.argwhere(S == 0.0)[0]
    given = np.argwhere(A != 0.0)[0]
    match fault:
        case "moved":
            L = L + 1e-4 * np.random.default_rng(seed).normal(size=L.shape)
        case "sign of S":
            S[tuple(used)] *= -1.0
        case "entry of S left out":
            S[tuple(used)] = 0.0
        case "entry of S added":
            S[tuple(unused)] = 1e-9
        case "sign of A":
            A[tuple(given)] *= -1.0
        case "entry of A left out":
            A[tuple(given)] = 0.0
        case "entry of A added":
            A[tuple(np.argwhere(A == 0.0)[0])] = 1e-9
        case "feature left out":
            L, S, A = L * [0, 1], S * [[0], [1]], A * [0, 1]
        case "gamma":
            per = "total" if stored.model.gamma_per == "row" else "row"
            stored = FeatureProblem(stored.tasks, replace(stored.model, gamma_per=per))
        case "price floor":
            stored = FeatureProblem(stored.tasks, replace(stored.model, price_floor=0.3))
        case "rows":
            tasks = [replace(task, sample_weight=2.0 ** np.arange(len(task.y))) for task in stored.tasks]
            stored = FeatureProblem(TaskSet(tasks=tuple(tasks)), stored.model)
    return stored.at(L=L, S=S, A=A)


WRONG = ("moved", "sign of S", "entry of S left out", "entry of S added", "sign of A", "entry of A left out",
          "entry of A added", "feature left out", "gamma", "price floor", "rows")  # fmt: skip
