"""Packs of every loss, penalty and method against second solvers, closed forms, loops of the tests' own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import cvxpy as cp
import mpmath
import numpy as np
import pytest
from feature_oracle import Oracle as FeatureOracle
from network_directions import directions, least_rise
from network_oracle import Oracle, exact
from proven import exact_objective
from reference_recipes import module
from scipy.optimize import linprog
from sklearn import datasets

from amtl_cvx.families import FAMILIES
from amtl_cvx.losses import LOSSES
from amtl_cvx.reference import Pack, pack_names, read_pack
from amtl_cvx.reference.schema import ASKS
from amtl_cvx.transfer import TRANSFERS
from amtl_cvx.weights import OMEGAS

PACKS = {name: read_pack(name, files=False) for name in pack_names()}


def of(ask: str, **about: Any) -> list[str]:
    """The names of the packs that ask this, and say so of themselves."""
    return [
        name
        for name, pack in PACKS.items()
        if pack.ask == ask and all(pack.about[key] == value for key, value in about.items())
    ]


def test_every_loss_penalty_family_and_ask_has_packs():
    joint = [pack.about for pack in PACKS.values() if pack.ask == "joint"]
    for reduction in ("mean", "sum"):
        assert {each["loss"] for each in joint if each["reduction"] == reduction} == set(LOSSES)
    weighted = {pack.about["loss"] for pack in PACKS.values() if "row weights" in pack.about["traits"]}
    assert weighted == set(LOSSES)
    assert {each["transfer"] for each in joint} - {None} == set(TRANSFERS)
    assert {each["omega"] for each in joint} - {None} == set(OMEGAS)
    assert {each["family"] for each in joint} == set(FAMILIES) - {"sc-mtl"}  # judged, but without packs
    assert {pack.ask for pack in PACKS.values()} == set(ASKS)


def test_every_loss_has_proven_digits_alone_and_together():
    proven = {
        ask: {
            pack.about["loss"]
            for pack in PACKS.values()
            if pack.ask == ask and (pack.claims["digits"] or {"proven": 0})["proven"] >= 30
        }
        for ask in ("joint", "w-step")
    }
    assert proven["joint"] == proven["w-step"] == set(LOSSES)


def phi(loss: Any, z: cp.Expression, y: Any) -> cp.Expression:
    """Of every row, as the formula is printed."""
    if loss.name == "squared":
        return cp.square(z - y)
    if loss.name == "huber":
        return cp.huber(z - y, loss.threshold)
    if loss.name == "quantile":
        return cp.maximum(loss.tau * (y - z), (1.0 - loss.tau) * (z - y))
    if loss.name == "poisson":
        entropy = np.array([v * np.log(v) - v if v > 0 else 0.0 for v in y])
        return cp.exp(z) - cp.multiply(y, z) + entropy
    if loss.name == "logistic":
        return cp.logistic(-cp.multiply(y, z))
    margin = cp.pos(1.0 - cp.multiply(y, z))
    return cp.square(margin) if loss.name == "squared-hinge" else margin


def summed(task: Any, loss: Any, w: cp.Expression) -> cp.Expression:
    """L_t(w)."""
    v = np.ones(len(task.y)) if task.sample_weight is None else task.sample_weight
    total = v @ phi(loss, task.X @ w, task.y)
    return total / v.sum() if loss.reduction == "mean" else total


def weighted_sum(pack: Pack, W: cp.Expression, B: np.ndarray) -> cp.Expression:
    """J at a graph of AMTL, of W."""
    tasks, model = pack.problem.tasks, pack.problem.model
    a = 1.0 + model.mu * B.sum(axis=1)
    total = sum(a[t] * summed(task, model.loss, W[:, t]) for t, task in enumerate(tasks))
    total += model.coupling * cp.sum_squares(W - W @ B)
    if model.omega is None:
        return total
    if model.omega.name == "ridge":
        return total + model.omega.rho * cp.sum_squares(W)
    assert model.omega.name == "l21"
    return total + model.omega.rho * cp.sum(cp.norm(W, 2, axis=1))


@pytest.mark.parametrize("name", [n for n in (*of("w-step"), *of("single-task")) if "twelve" not in n])
@pytest.mark.sampled(6)
def test_predictors_for_a_graph_are_those_of_a_conic_solver(name):
    pack = PACKS[name]
    T, d = pack.about["T"], pack.about["d"]
    W = cp.Variable((d, T))
    J = weighted_sum(pack, W, pack.given.get("B", np.zeros((T, T))))
    cp.Problem(cp.Minimize(J)).solve(solver=cp.CLARABEL)
    best, found = pack.solution["W"], W.value
    W.value = best
    assert J.value == pytest.approx(float(pack.claims["objective"]["decimal"]), rel=1e-13)
    assert np.abs(found - best).max() <= 2e-4 * np.abs(best).max()
    W.value = found
    assert float(J.value) >= float(pack.claims["objective"]["decimal"]) * (1.0 - 1e-13)


@pytest.mark.parametrize("name", of("one-task"))
def test_a_predictor_is_that_of_a_conic_solver(name):
    pack = PACKS[name]
    t, W = pack.task, pack.given["W"].copy()
    w, chosen = cp.Variable(len(W)), np.arange(pack.about["T"]) == t
    others = np.where(chosen, 0.0, W)
    J = weighted_sum(pack, others + cp.reshape(w, (len(W), 1), order="C") @ chosen[None, :], pack.given["B"])
    cp.Problem(cp.Minimize(J)).solve(solver=cp.CLARABEL)
    found, w.value = w.value, pack.solution["w"]
    assert J.value == pytest.approx(float(pack.claims["objective"]["decimal"]), rel=1e-13)
    assert np.abs(found - w.value).max() <= 1e-4 * np.abs(found).max()


@pytest.mark.parametrize("name", of("b-step", transfer="loss-weighted-l1"))
def test_graphs_for_predictors_meet_the_conditions_of_their_columns(name):
    """q = p - 2 coupling A'(w - A b) is 0 where b > 0, and not negative elsewhere."""
    pack = PACKS[name]
    tasks, model, W, B = pack.problem.tasks, pack.problem.model, pack.given["W"], pack.solution["B"]
    prices = np.array([model.mu * summed(task, model.loss, W[:, t]).value for t, task in enumerate(tasks)])
    q = prices[:, None] - 2.0 * model.coupling * W.T @ (W - W @ B)
    size = prices.max() + 2.0 * model.coupling * np.abs(W.T @ W).max()
    off = ~np.eye(len(B), dtype=bool)
    assert (B >= 0.0).all() and not np.diag(B).any() and B.any()
    assert np.abs(q[B > 0.0]).max() <= 1e-13 * size
    assert q[off].min() >= -1e-13 * size


def test_labels_that_are_called_separable_are():
    """Some w has y x'w >= 1 on all rows of a task: a linear program."""
    there = [pack for pack in PACKS.values() if any("separable" in each for each in pack.about["traits"])]
    assert len(there) >= 5
    for pack in there:
        ridge = "separable labels with ridge" in pack.about["traits"]
        assert ridge == (pack.about["omega"] == "ridge" or pack.ask == "single-task"), pack.name
        for task in pack.problem.tasks:
            rows = -task.y[:, None] * task.X
            free = [(None, None)] * rows.shape[1]
            assert linprog(np.zeros(rows.shape[1]), rows, -np.ones(len(rows)), bounds=free).success, pack.name


def test_a_graph_that_is_not_the_only_one_has_a_product_that_is():
    pack = PACKS["step-b-collinear"]
    W, B = pack.given["W"], pack.solution["B"].copy()
    assert (W[:, 1] == 2.0 * W[:, 0]).all()
    assert pack.claims["unique"] == {"B": False, "W B": True}
    t = next(t for t in (2, 3) if B[:2, t].any())
    before = W @ B
    s, r = (0, 1) if B[0, t] > 0.0 else (1, 0)
    B[r, t] += B[s, t] * (0.5 if r == 1 else 2.0) / 2.0
    B[s, t] /= 2.0
    assert np.abs(W @ B - before).max() <= 1e-14 * np.abs(before).max()


JOINT = [
    name
    for name in of("joint", transfer="loss-weighted-l1", omega=None)
    if PACKS[name].digits and "row weights" not in PACKS[name].about["traits"]
    if name.startswith(tuple(LOSSES)) and max(PACKS[name].about["rows"]) < 40
]


def test_joint_packs_of_every_loss_are_taken():
    assert {PACKS[name].about["loss"] for name in JOINT} == set(LOSSES) and len(JOINT) >= 18


@pytest.mark.parametrize("name", JOINT)
def test_J_of_the_decimals_is_the_decimal_of_J(name):
    """By loops in mpmath, at 60 digits."""
    pack = PACKS[name]
    with mpmath.workdps(60):
        W, B = ([[mpmath.mpf(text) for text in row] for row in pack.digits[block]] for block in "WB")
        J = exact_objective(pack.problem.tasks, pack.problem.model, W, B)
        stored = mpmath.mpf(pack.digits["objective"])
        assert abs(J - stored) <= mpmath.mpf(10) ** -38 * stored


def along_blocks(point: Any) -> list[np.ndarray]:
    """Every block longer and shorter: moves that keep all units where they are."""
    found = []
    for at in point.problem.layout.parts:
        move = np.zeros(point.problem.size)
        move[at] = point.vector[at]
        found += [move, -move] if move.any() else []
    return [move / np.linalg.norm(move) for move in found]


SMALL = [name for name in of("joint", family="network") if PACKS[name].about["d"] < 8]


@pytest.mark.parametrize("name", SMALL)
def test_J_of_a_network_is_that_of_loops_and_rises(name):
    pack = PACKS[name]
    point = pack.problem.at(**pack.solution)
    J = float(Oracle.of(pack.problem.tasks, pack.problem.model).objective(exact(point.vector)))
    stored = float.fromhex(pack.claims["objective"]["hex"])
    assert pytest.approx(stored, rel=1e-14) == J
    model, weighted = pack.problem.model, pack.problem.tasks.weighted
    plain = model.signed and not model.feedback_bias and not weighted and model.loss.quadratic
    if pack.claims["level"] == "C3" and plain:
        moves = np.vstack([directions(point, np.random.default_rng(0), 120), *along_blocks(point)])
        assert least_rise(point, moves, 1e-5) > 0.0


@pytest.mark.parametrize(
    "name", [n for k in ("features", "go-mtl") for n in of("joint", family=k) if "poisson" not in n]
)
@pytest.mark.sampled(3)
def test_J_of_features_is_that_of_loops(name):
    """At 50 digits, of the decimals."""
    pack = PACKS[name]
    oracle = FeatureOracle.of(pack.problem.tasks, pack.problem.model)
    blocks = {
        key: np.array([[oracle.mp.mpf(text) for text in row] for row in pack.digits[key]], dtype=object)
        for key in pack.solution
    }
    blocks.setdefault("A", np.full((pack.about["T"], len(blocks["S"])), oracle.mp.mpf(0), dtype=object))
    J, stored = oracle.objective(**blocks), oracle.mp.mpf(pack.digits["objective"])
    assert abs(J - stored) <= oracle.mp.mpf(10) ** -37 * stored


@pytest.mark.parametrize("name", of("curriculum", loss="squared"))
def test_a_curriculum_of_squared_loss_is_algorithm_2_in_closed_form(name):
    pack = PACKS[name]
    tasks, model = list(pack.problem.tasks), pack.problem.model
    T, lam = len(tasks), model.coupling

    def scale(t: int) -> float:
        return 1.0 / len(tasks[t].y) if model.loss.reduction == "mean" else 1.0

    def loss(t: int, w: np.ndarray) -> float:
        return scale(t) * float(((tasks[t].X @ w - tasks[t].y) ** 2).sum())

    def refit(t: int, a: float, target: np.ndarray) -> np.ndarray:
        X, s = tasks[t].X, a * scale(t)
        return np.linalg.solve(s * X.T @ X + lam * np.eye(X.shape[1]), s * X.T @ tasks[t].y + lam * target)

    W, B, order = np.column_stack([refit(t, 1.0, 0.0) for t in range(T)]), np.zeros((T, T)), []
    while len(order) < T:
        choices = []
        for t in [t for t in range(T) if t not in order]:
            rest, row, w = [s for s in range(T) if s not in (*order, t)], np.zeros(T), W[:, t]
            r = W[:, rest] - W[:, order] @ B[np.ix_(order, rest)]
            row[rest] = np.maximum(0.0, (r.T @ w - model.mu * loss(t, w) / (2.0 * lam)) / (w @ w))
            cost = (1.0 + model.mu * row.sum()) * loss(t, w) + lam * ((r - np.outer(w, row[rest])) ** 2).sum()
            choices.append((cost, t, row))
        _, t, row = min(choices, key=lambda each: each[:2])
        B[t] = row
        W[:, t] = refit(t, 1.0 + model.mu * row.sum(), W[:, order] @ B[order, t])
        order.append(t)
    assert order == pack.solution["order"].tolist()
    assert np.abs(W - pack.solution["W"]).max() <= 1e-13 * np.abs(W).max()
    assert np.abs(B - pack.solution["B"]).max() <= 1e-13 * np.abs(B).max()


@pytest.mark.parametrize(
    ("name", "columns"), [("iris", range(4)), ("wine", range(13)), ("breast_cancer", range(10))]
)
def test_measures_are_those_that_are_printed_moved_and_scaled(name, columns):
    """Every column times a power of two, plus one number, is what scikit-learn has, in decimals."""
    data = getattr(datasets, f"load_{name}")().data[:, list(columns)]
    made = module("recipes.measured").prepared(data)
    assert (made[:, -1] == 1.0).all() and made.shape == (len(data), len(columns) + 1)
    for printed, column in zip(data.T.tolist(), made.T.tolist(), strict=False):
        decimals = [Decimal(repr(value)) for value in printed]
        middle = sorted(decimals)[(len(decimals) - 1) // 2]
        pairs = [(value - middle, x) for value, x in zip(decimals, column, strict=True)]
        assert len({away / Decimal(x) for away, x in pairs if x}) == 1
        assert all(away == 0 for away, x in pairs if not x)
        assert 1.0 <= max(map(abs, column)) < 2.0


def test_digits_are_dealt_out_to_tasks_row_by_row():
    images, labels = datasets.load_digits(return_X_y=True)
    tasks = PACKS["digits-pixels-logistic"].problem.tasks
    blocks = PACKS["digits-blocks-logistic"].problem.tasks
    for t, task in enumerate(tasks):
        assert np.array_equal(task.X * 16.0, images[t::10][: len(task.y)])
        assert np.array_equal(task.y, np.where(labels[t::10] == t, 1.0, -1.0)[: len(task.y)])
        sums = images[t::10].reshape(-1, 4, 2, 4, 2).sum(axis=(2, 4)).reshape(-1, 16)
        assert np.array_equal(blocks[t].X * 64.0, sums[: len(blocks[t].y)])
