"""A shared dictionary: J, its steps, its gaps and its certificate against loops, CVXPY and closed forms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from dictionary_cases import LOSSES, drawn_point, drawn_problem, objective

from amtl_cvx.dictionary import DictionaryModel, DictionaryPoint, DictionaryProblem, ScMtl, certify
from amtl_cvx.dictionary.atoms import atom_minimum
from amtl_cvx.dictionary.codes import Codes, _path, code_minimum, l1_projected, settled
from amtl_cvx.dictionary.gaps import gap
from amtl_cvx.dictionary.newton import reduced_hessian
from amtl_cvx.dictionary.residuals import residuals
from amtl_cvx.dictionary.starts import coded
from amtl_cvx.dictionary.steps import AtomStep, CodeStep
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.tasks import TaskSet


@pytest.mark.parametrize("loss", LOSSES)
def test_J_is_the_sum_over_rows_and_gradients_are_its_differences(loss: str) -> None:
    problem = drawn_problem(loss)
    point = drawn_point(problem)
    assert point.objective == pytest.approx(objective(problem, point.D, point.G), rel=1e-12)
    rng = np.random.default_rng(1)
    for name, slope in (("D", point.gradient_D), ("G", point.gradient_G)):
        move = 1e-5 * rng.normal(size=slope.shape)
        ends = [point.at(**{name: point.blocks[name] + s * move}).objective for s in (1.0, -1.0)]
        assert (ends[0] - ends[1]) / 2.0 == pytest.approx(float(np.vdot(slope, move)), rel=1e-6)


def least(point: DictionaryPoint, block: str) -> float:
    """min J over a block by the definition: the loss's own atom, on the rows, over the balls."""
    D, G, radius = point.D, point.G, point.model.radius
    x = cp.Variable(point.blocks[block].shape)
    W = x @ G if block == "D" else D @ x
    ball = cp.norm(x, 2, axis=0) <= 1.0 if block == "D" else cp.norm1(x) <= 0.0
    limits = [ball] if block == "D" else [cp.norm(x[:, t], 1) <= radius for t in range(G.shape[1])]
    losses = [point.model.loss.expression(task, W[:, t]) for t, task in enumerate(point.tasks)]
    return float(cp.Problem(cp.Minimize(cp.sum(cp.hstack(losses))), limits).solve(solver=cp.CLARABEL))


@pytest.mark.parametrize("loss", LOSSES[:3])
def test_steps_end_at_the_minimum_that_a_conic_solver_finds_and_gaps_bound_what_is_left(loss: str) -> None:
    point = drawn_point(drawn_problem(loss, T=3, n=9))
    for block, step, compiled in (
        ("D", AtomStep(), AtomStep.compile()),
        ("G", CodeStep(), CodeStep.compile(3)),
    ):
        J = least(point, block)
        assert point.objective - J <= gap(block, point) * (1.0 + 1e-9)
        for each in (step, compiled):
            end = point.at(**{block: each.solve(point).value})
            assert end.objective == pytest.approx(J, rel=1e-7) and end.objective <= J * (1.0 + 1e-7)
            assert 0.0 <= gap(block, end) <= 1e-10 * J and end.beyond <= 1e-14
    # far from the minimum the gap is that of Frank and Wolfe: the slope to the best corner
    q = point.gradient_G
    corner = -point.model.radius * np.sign(q) * (np.abs(q) == np.abs(q).max(axis=0))
    assert gap("G", point) == pytest.approx(float(np.vdot(q, point.G - corner)), rel=1e-9)


def test_codes_are_projections_where_A_is_the_identity_and_minima_where_it_is_singular() -> None:
    rng = np.random.default_rng(2)
    b = rng.normal(size=(20, 7)) * np.geomspace(0.1, 10.0, 20)[:, None]
    eye = np.broadcast_to(np.eye(7), (20, 7, 7))
    found = code_minimum(Codes(eye, b), 1.0)
    for g, each in zip(found, b, strict=True):  # soft thresholding, its level by bisection
        low, high = 0.0, float(np.abs(each).max())
        for _ in range(200):
            level = 0.5 * (low + high)
            over = np.maximum(np.abs(each) - level, 0.0).sum() > 1.0
            low, high = (level, high) if over else (low, level)
        level = low if np.abs(each).sum() > 1.0 else 0.0
        np.testing.assert_allclose(g, np.sign(each) * np.maximum(np.abs(each) - level, 0.0), atol=1e-12)
    np.testing.assert_allclose(l1_projected(b, 1.0), found, atol=1e-12)
    X = rng.normal(size=(20, 4, 7))  # fewer rows than atoms, and two that are the same
    X[:, :, 3] = X[:, :, 5]
    A, right = X.swapaxes(1, 2) @ X, (X.swapaxes(1, 2) @ rng.normal(size=(20, 4, 1)))[:, :, 0]
    for radius in (0.05, 0.5, 50.0):
        g = code_minimum(Codes(A, right), radius)
        q = 2.0 * ((A @ g[:, :, None])[:, :, 0] - right)
        gaps = (q * g).sum(axis=1) + radius * np.abs(q).max(axis=1)
        assert np.abs(g).sum(axis=1).max() <= radius * (1.0 + 1e-14)
        assert (gaps <= 1e-10 * radius * np.abs(right).max(axis=1)).all()


def test_a_path_ends_at_the_minimum_by_itself() -> None:
    rng = np.random.default_rng(6)
    X = rng.normal(size=(60, 12, 7))
    codes = Codes(X.swapaxes(1, 2) @ X, (X.swapaxes(1, 2) @ rng.normal(size=(60, 12, 1)))[:, :, 0])
    for radius in (0.02, 0.4, 1.0, 20.0):
        assert settled(codes, radius, _path(codes, radius))[1].all()


@pytest.mark.parametrize("loss", LOSSES[:2])
def test_the_reduced_hessian_is_how_the_gradient_moves_while_codes_stay_the_best(loss: str) -> None:
    point = coded(drawn_point(drawn_problem(loss)))
    V, h = np.random.default_rng(7).normal(size=point.D.shape), 1e-6
    ends = [coded(point.at(D=point.D + s * h * V)) for s in (1.0, -1.0)]
    assert all(np.array_equal(end.G != 0.0, point.G != 0.0) for end in ends)
    slope = (ends[0].gradient_D - ends[1].gradient_D) / (2.0 * h)
    moved = (reduced_hessian(point, point.live) @ V.T.ravel()).reshape(V.T.shape).T
    np.testing.assert_allclose(moved, slope, atol=1e-6 * np.abs(slope).max())


def test_a_wrong_sign_is_seen_where_it_costs_next_to_nothing() -> None:
    """Gaps do not see it, for the entry is small; its own condition does."""
    tasks = TaskSet.from_arrays([np.ones((1, 1))], [[3.0]])
    equal = DictionaryProblem(tasks, DictionaryModel(features=2, radius=2.0))
    for small, level in ((1e-10, "C2"), (-1e-10, "C1")):
        G = [[2.0 - abs(small)], [small]]
        judged = certify(equal.at(D=[[1.0, 1.0]], G=G))
        assert judged.level == level and (judged.relative_G > 0.5) == (level == "C1")
    tasks = TaskSet.from_arrays([np.diag([1.0, 1e-6])], [[3.0, 3.0]])
    uneven = DictionaryProblem(tasks, DictionaryModel(features=1, radius=1.0))
    found = fit(tasks, uneven.model, options=Options(engine="fast"))
    assert found.certificate.level == "C2" and abs(found.D[1, 0]) < 1e-5
    assert certify(uneven.at(D=found.D * [[1.0], [-1.0]], G=found.G)).level == "C1"


def test_atoms_are_the_minimum_of_a_quadratic_over_one_ball_by_its_secular_equation() -> None:
    rng = np.random.default_rng(3)
    H = np.diag(np.r_[0.0, rng.random(4)])
    for size in (0.01, 3.0):
        g = size * np.r_[0.0, rng.normal(size=4)]
        low, high = 0.0, float(np.linalg.norm(g)) + 1.0
        for _ in range(200):
            level = 0.5 * (low + high)
            over = np.linalg.norm(g[1:] / (np.diag(H)[1:] + level)) > 1.0
            low, high = (level, high) if over else (low, level)
        held = atom_minimum(H, g[None], np.zeros(1))
        np.testing.assert_allclose(held.atoms[0, 1:], g[1:] / (np.diag(H)[1:] + low), rtol=1e-9, atol=1e-9)
        assert abs(held.multipliers[0] - low) <= 1e-8


def plain_descent(problem: DictionaryProblem, D: np.ndarray, G: np.ndarray, rounds: int) -> float:
    """J after projected gradient steps in D and in G, of the squared loss, in loops."""
    radius = problem.model.radius
    for _ in range(rounds):
        slope = np.zeros_like(D)
        for t, task in enumerate(problem.tasks):
            miss = task.X @ (D @ G[:, t]) - task.y
            slope += np.outer(2.0 / len(task.y) * task.X.T @ miss, G[:, t])
        D = D - slope / (8.0 * np.abs(G).sum(axis=1).max() * radius)
        D = D / np.maximum(np.linalg.norm(D, axis=0), 1.0)
        for t, task in enumerate(problem.tasks):
            g = G[:, t] - 2.0 / len(task.y) * (task.X @ D).T @ (task.X @ (D @ G[:, t]) - task.y) / 12.0
            size = np.sort(np.abs(g))[::-1]
            if size.sum() > radius:
                level = max((size[: i + 1].sum() - radius) / (i + 1) for i in range(len(g)))
                g = np.sign(g) * np.maximum(np.abs(g) - level, 0.0)
            G[:, t] = g
    return objective(problem, D, G)


def test_a_plain_loop_from_nearby_comes_back_to_the_point_of_a_fit() -> None:
    problem = drawn_problem()
    found = fit(problem.tasks, problem.model, options=Options(engine="fast"))
    assert found.status.value == "certified" and found.certificate.relative <= 1e-8
    J, rng = objective(problem, found.D, found.G), np.random.default_rng(4)
    assert found.objective == pytest.approx(J, rel=1e-12)
    D = found.D + 0.01 * rng.normal(size=found.D.shape)
    D /= np.linalg.norm(D, axis=0)
    begun = objective(problem, D, 0.99 * found.G)
    ended = plain_descent(problem, D, 0.99 * found.G, 400)
    assert begun > J * (1.0 + 1e-3) and J * (1.0 - 1e-9) <= ended <= J * (1.0 + 1e-5)


def test_as_many_features_as_tasks_are_single_tasks_in_a_ball() -> None:
    """Then every task can have its own direction, and ||w_t|| <= radius is all that holds it."""
    problem = drawn_problem(features=5, radius=1.2)
    total = 0.0
    for task in problem.tasks:
        C, b = task.X.T @ task.X / len(task.y), task.X.T @ task.y / len(task.y)
        low, high = 0.0, 1e3
        for _ in range(100):
            level = 0.5 * (low + high)
            longer = np.linalg.norm(np.linalg.solve(C + level * np.eye(6), b)) > 1.2
            low, high = (level, high) if longer else (low, level)
        w = np.linalg.solve(C + low * np.eye(6), b)
        total += float(np.mean((task.X @ w - task.y) ** 2))
    for how in (ScMtl(engine="fast"), ScMtl(engine="fast", init="random", seed=1)):
        found = fit(problem.tasks, problem.model, method=how)
        assert found.certificate.passes and found.objective >= total * (1.0 - 1e-9)
        if how.init == "svd":
            assert found.objective == pytest.approx(total, rel=1e-9)


def test_the_conditions_are_those_of_a_hand_made_point() -> None:
    """(d g - 3)^2 over |d| <= 1, |g| <= 2 is least at d g = 2; the residual of d = 1, g = 1 is known."""
    tasks = TaskSet.from_arrays([np.ones((1, 1))], [[3.0]])
    problem = DictionaryProblem(tasks, DictionaryModel(features=1, radius=2.0))
    for sign in (1.0, -1.0):
        found = certify(problem.at(D=[[sign]], G=[[sign * 2.0]]))
        assert (found.level, found.relative, found.objective, found.full) == ("C2", 0.0, 1.0, 1)
    point = problem.at(D=[[1.0]], G=[[1.0]])  # G_G = -4: lambda (1 - 1/2) = 2
    assert residuals(point).stationarity == {"D": 0.0, "G": 2.0}
    assert gap("G", point) == pytest.approx(4.0) and gap("D", point) == pytest.approx(0.0, abs=1e-12)
    for D, G in (([[1.0]], [[-2.0]]), ([[0.5]], [[2.0]])):
        assert certify(problem.at(D=D, G=G)).level == "C0"
    for D, G in (([[1.0 + 1e-9]], [[2.0]]), ([[1.0]], [[2.0 + 1e-9]])):
        beyond = certify(problem.at(D=D, G=G))
        assert beyond.level is None and not beyond.passes and "not feasible" in beyond.verdict()
    zero = certify(problem.zero)
    assert not zero.passes and zero.level == "C1" and "nothing is learned" in zero.verdict()
    dead = DictionaryProblem(tasks, DictionaryModel(features=2, radius=2.0))
    found = certify(dead.at(D=[[1.0, 0.3]], G=[[2.0], [0.0]]))
    assert found.passes and "1 is dead" in " ".join(found.sentences())


def wrong(point: DictionaryPoint, rng: np.random.Generator) -> list[DictionaryPoint]:
    """Points in the balls that are none of first order, but near one."""
    D, G, radius = point.D, point.G, point.model.radius
    turned, moved, shifted = D.copy(), D + 1e-6 * rng.normal(size=D.shape), G.copy()
    turned[:, 0] *= -1.0
    most = int(np.abs(G[:, 0]).argmax())
    shifted[most, 0] *= 1.0 - 1e-5
    shifted[most - 1, 0] += 1e-5 * shifted[most, 0]
    lost = np.where(np.abs(G) == np.abs(G).max(axis=0), 0.0, G)
    tiny = G.copy()
    wrong_sign = np.argwhere((G == 0.0) & (point.gradient_G != 0.0))
    if len(wrong_sign):
        k, t = wrong_sign[0]
        tiny[k, t] = 1e-12 * np.sign(point.gradient_G[k, t])
    blocks = [
        (turned, G), (moved / np.linalg.norm(moved, axis=0), G), (D, G * (1.0 - 1e-6)), (D, lost),
        (D, shifted), (D[:, ::-1], G), (D, G[:, ::-1]), (D * (1.0 - 1e-6), G), (D, tiny),
    ]  # fmt: skip
    found = []
    for a, b in blocks:
        if np.array_equal(a, D) and np.array_equal(b, G):
            continue
        found.append(point.at(D=a, G=b / np.maximum(np.abs(b).sum(axis=0) / radius, 1.0)))
    return found


@pytest.mark.parametrize("loss", LOSSES[:2])
def test_fits_from_random_starts_pass_and_points_beside_them_do_not(loss: str) -> None:
    problem = drawn_problem(loss, T=4)
    rng, values = np.random.default_rng(5), []
    for seed in range(4):
        found = fit(problem.tasks, problem.model, method=ScMtl(engine="fast", init="random", seed=seed))
        point = problem.at(**found.blocks)
        assert found.certificate.passes and certify(point).passes
        values.append(found.objective)
        for each in wrong(point, rng):
            judged = certify(each)
            assert judged.level in ("C0", "C1") and not judged.passes, (seed, judged.verdict())
            best = [each.at(D=AtomStep().solve(each).value), each.at(G=CodeStep().solve(each).value)]
            assert judged.gap_D is not None and judged.gap_G is not None
            assert each.objective - best[0].objective <= judged.gap_D
            assert each.objective - best[1].objective <= judged.gap_G
        drawn = certify(drawn_point(problem, seed))
        assert drawn.level == "C0" and drawn.objective > min(values)


@pytest.mark.parametrize(
    "bad, words",
    [
        ({"features": 0}, "whole number >= 1"),
        ({"features": 2.5}, "whole number >= 1"),
        ({"radius": 0.0}, "radius must be a number > 0"),
        ({"radius": None}, "radius must be a number > 0"),
        ({"loss": "hinge"}, "kinks"),
    ],
)
def test_what_is_no_model_is_refused(bad: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        DictionaryModel(**{"features": 2, "radius": 1.0, **bad})


def test_blocks_that_do_not_fit_are_refused() -> None:
    problem = drawn_problem()
    point = drawn_point(problem)
    with pytest.raises(DataError, match=r"G must have shape \(3, 5\)"):
        problem.at(D=point.D, G=point.G.T)
    with pytest.raises(DataError, match="expected the blocks D, G"):
        problem.at(D=point.D)
    with pytest.raises(DataError, match="the start is not feasible"):
        start = {"D": 2.0 * point.D, "G": point.G}
        fit(problem.tasks, problem.model, options=Options(start=start))
    with pytest.raises(DataError, match="overflows"):
        certify(problem.at(D=point.D, G=1e200 * point.G))
    with pytest.raises(ModelError, match="expected a DictionaryModel"):
        DictionaryProblem(problem.tasks, "a model")  # type: ignore[arg-type]
    assert replace(problem.model, radius=2.0).to_dict()["radius"] == 2.0
