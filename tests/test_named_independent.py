"""Every named method against an implementation that shares nothing with the package: see `COUNTERPARTS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from plain_loops import Alternation, Array, Features, Rows, argyriou, dictionary, mean_regularised
from sklearn.linear_model import Ridge
from test_curriculum import literal as curriculum
from test_curriculum_simple import literal as simple_curriculum

from amtl_cvx import Options, Solution, TaskSet, named
from amtl_cvx.experiment.candidate import Candidate
from amtl_cvx.families.settings.named import NAMED

COUNTS, CLOSE = (9, 20, 12, 15), 1e-6
PRICED = {"coupling": 0.7, "mu": 0.03}
SHARED = {"features": 2, "mu": 0.02, "decay": 0.1}
DEEP = {"layers": "2,2", "mu": 0.05, "gamma": 0.05, "decay": 0.1}


def drawn() -> tuple[Rows, TaskSet]:
    """Four tasks of three features, two of them nearly the same."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 3)) for n in COUNTS]
    W = rng.normal(size=(3, 2)) @ np.array([[1.0, 1.0, 0.2, -0.5], [0.0, 0.1, 1.0, 1.0]])
    y = [x @ w + 0.5 * rng.normal(size=len(x)) for x, w in zip(X, W.T, strict=True)]
    return list(zip(X, y, strict=True)), TaskSet.from_arrays(X, y)


def fitted(name: str, tasks: TaskSet, parameters: dict[str, Any], engine: str = "cvxpy") -> Solution:
    options = Options(engine=engine)  # type: ignore[arg-type]
    return Candidate(method=named(name), parameters=parameters).fit(tasks, options)


def near(found: Array, expected: Array) -> None:
    assert np.abs(found - expected).max() <= CLOSE * max(1.0, np.abs(expected).max())


def closed(W_of: Callable[..., Array]) -> Callable[[str, dict[str, Any]], None]:
    """The one minimum of a convex problem."""

    def check(name: str, parameters: dict[str, Any]) -> None:
        rows, tasks = drawn()
        for engine in ("cvxpy", "fast"):
            found = fitted(name, tasks, parameters, engine)
            assert found.certificate.level == "C5" and not found.B.any()
            near(found.W, W_of(rows, **parameters))

    return check


def ridges(rows: Rows, coupling: float) -> Array:
    return np.array([Ridge(alpha=coupling * len(y), fit_intercept=False).fit(X, y).coef_ for X, y in rows]).T


def rounds_of(**how: Any) -> Callable[[str, dict[str, Any]], None]:
    """The same rounds from the empty graph, and a fit at its end, which they leave where it is."""

    def check(name: str, parameters: dict[str, Any]) -> None:
        rows, tasks = drawn()
        given = {key: value for key, value in parameters.items() if key != "power"}
        ones = np.ones(len(COUNTS))
        loop = Alternation(rows=rows, **{"c": ones, "dear": ones, **given, **how})
        for rounds, engine in ((1, "fast"), (3, "fast"), (2, "cvxpy"), (6, "fast")):
            engine = "cvxpy" if name == "smtl" else engine
            (W, B), found = loop.after(rounds), fitted(name, tasks, {**parameters, "rounds": rounds}, engine)
            near(found.W, W)
            near(found.B, B)
            assert found.objective == pytest.approx(loop.objective(W, B), rel=CLOSE)
        assert np.count_nonzero(B) >= 2
        end = fitted(name, tasks, parameters)
        assert end.certificate.passes and np.count_nonzero(end.B) >= 2
        W = loop.best_W(end.B)
        near(end.W, W)
        near(end.B, loop.best_B(W))
        assert end.objective == pytest.approx(loop.objective(end.W, end.B), rel=1e-12)

    return check


def algorithm_2(name: str, parameters: dict[str, Any]) -> None:
    _, tasks = drawn()
    found, model = fitted(name, tasks, parameters), named(name).model(tasks, parameters)
    W, B, order = curriculum(tasks, model)
    assert found.order == tuple(order) and B.any()
    near(found.W, W)
    near(found.B, B)


def one_after_another(name: str, parameters: dict[str, Any]) -> None:
    for reading in ("greedy", "fixed"):
        _, tasks = drawn()
        given = {**parameters, "reading": reading}
        found, model = fitted(name, tasks, given), named(name).model(tasks, given)
        W, B, order, total = simple_curriculum(tasks, model, reading)
        assert found.order == tuple(order) and found.objective == pytest.approx(total, rel=CLOSE)
        near(found.W, W)
        near(found.B, B)


def projected(name: str, parameters: dict[str, Any]) -> None:
    """From a point beside that of the fit it comes back, to the same predictors."""
    (rows, tasks), rng = drawn(), np.random.default_rng(1)
    found = fitted(name, tasks, parameters)
    D, G = (block + 1e-2 * rng.normal(size=block.shape) for block in found.blocks.values())
    D, G = dictionary(rows, D, G, parameters["radius"])
    W, same = D @ G, found.D @ found.G
    assert found.certificate.passes and np.count_nonzero(found.G) > tasks.T
    near(same, W)
    J = sum(((y - X @ w) ** 2).mean() for (X, y), w in zip(rows, W.T, strict=True))
    assert found.objective == pytest.approx(J, rel=1e-9)


def nearby(**how: Any) -> Callable[[str, dict[str, Any]], None]:
    """L-BFGS from a point beside that of the fit comes back, to all its blocks and to its J."""

    def check(name: str, parameters: dict[str, Any]) -> None:
        (rows, tasks), rng = drawn(), np.random.default_rng(1)
        found = fitted(name, tasks, parameters)
        blocks = list(found.blocks.values())
        if len(blocks) == 2:  # L and S: no A
            blocks.append(np.zeros(found.S.T.shape))
        weights = {key: value for key, value in parameters.items() if key not in ("features", "layers")}
        own = Features(rows=rows, **weights, **how)
        J, ended = own.descended(*(_beside(rng, part) for part in (blocks[:-2], blocks[-2], blocks[-1])))
        assert found.certificate.passes and blocks[-1].any() == (own.gamma > 0.0)
        assert found.objective == pytest.approx(J, rel=1e-9)
        for block, expected in zip(blocks, ended, strict=True):
            near(block, expected)

    return check


def _beside(rng: np.random.Generator, part: Any) -> Any:
    if isinstance(part, list):
        return [_beside(rng, each) for each in part]
    return part + 1e-3 * rng.normal(size=part.shape)


class Counterpart(NamedTuple):
    """What a method is held against, at these parameters."""

    words: str
    parameters: dict[str, Any]
    check: Callable[[str, dict[str, Any]], None]


_NS = np.array(COUNTS, dtype=float)
IMBALANCED = {"c": _NS**-0.5, "dear": _NS.max() / _NS, "mean": False}
COUNTERPARTS = {
    "stl": Counterpart("scikit-learn's Ridge", {"coupling": 0.3}, closed(ridges)),
    "mean": Counterpart("one linear system", {"rho": 0.4}, closed(mean_regularised)),
    "mtfl": Counterpart("Argyriou's loop", {"rho": 0.02}, closed(argyriou)),
    "go-mtl": Counterpart("L-BFGS, SciPy", SHARED, nearby()),
    "sc-mtl": Counterpart("projected gradients", {"features": 2, "radius": 2.0}, projected),
    "curriculum-simple": Counterpart("tasks in a loop, BFGS", {"coupling": 0.7}, one_after_another),
    "smtl": Counterpart("rounds, all supports", PRICED, rounds_of(mutual=True)),
    "amtl-noloss": Counterpart("rounds, all supports", PRICED, rounds_of(by_loss=False)),
    "amtl": Counterpart("rounds, all supports", PRICED, rounds_of()),
    "amtl-curriculum": Counterpart("Algorithm 2 in loops", PRICED, algorithm_2),
    "amtl-imbalanced": Counterpart(
        "rounds, all supports", {"coupling": 0.7, "mu": 0.01, "power": 1.0}, rounds_of(**IMBALANCED)
    ),
    "amtl-mean": Counterpart("rounds, all supports", {**PRICED, "rho": 0.05}, rounds_of()),
    "amtfl-linear": Counterpart("L-BFGS, SciPy", {**SHARED, "gamma": 0.1}, nearby()),
    "amtfl": Counterpart("L-BFGS, SciPy", {**SHARED, "gamma": 0.1}, nearby(relu=True)),
    "deep-amtfl": Counterpart("L-BFGS, SciPy", DEEP, nearby(relu=True)),
}


def test_no_name_is_missing() -> None:
    assert list(COUNTERPARTS) == list(NAMED)


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_a_named_method_is_that_of_an_independent_implementation(name: str) -> None:
    counterpart = COUNTERPARTS[name]
    counterpart.check(name, counterpart.parameters)
