"""Global enclosures: against grids, closed forms and sampled points; faults of every kind must be caught."""

from __future__ import annotations

import ast
import copy
import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import random_tasks, random_transfer

from amtl_cvx import Logistic, LossWeightedL1, Model, Options, Squared, TaskSet, fit
from amtl_cvx.enclosure import cells, checker, cuts, derive_box, enclose, polynomial
from amtl_cvx.enclosure import enclose as package_enclose
from amtl_cvx.enclosure.exact import ExactProblem, exact_matrix, inverse, sqrt_above
from amtl_cvx.enclosure.point import best_point, polish
from amtl_cvx.enclosure.rounding import factor, value_below
from amtl_cvx.enclosure.zoom import Zoom
from amtl_cvx.errors import ModelError, NotCertifiable
from amtl_cvx.subproblems.direct import DirectWeightStep

ENCLOSE = sys.modules["amtl_cvx.enclosure.enclose"]
Proof = dict[str, Any]


def amtl(mu: float = 0.1, coupling: float = 1.0, **settings: Any) -> Model:
    return Model(loss=Squared(**settings), transfer=LossWeightedL1(mu=mu), coupling=coupling)


def zeros(tasks: TaskSet) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((tasks.d, tasks.T)), np.zeros((tasks.T, tasks.T))


@pytest.fixture(scope="module")
def proof() -> Proof:
    """A valid proof, T = 2, d = 1."""
    tasks = random_tasks(np.random.default_rng(4), d=1, counts=(5, 7))
    found = enclose(tasks, amtl(), *zeros(tasks), starts=5).proof
    loaded: Proof = json.loads(json.dumps(found))
    return loaded


# --- exact arithmetic -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_exact_objective_and_gradients_are_those_of_the_model(
    rng: np.random.Generator, reduction: Any
) -> None:
    tasks = random_tasks(rng, d=3, counts=(5, 6, 9))
    model = replace(amtl(reduction=reduction), task_weights="inverse-sqrt")
    W, B = rng.normal(size=(3, 3)), random_transfer(rng, 3)
    problem = ExactProblem.read(tasks, model)
    point = exact_matrix(W), exact_matrix(B)
    G_W, G_B = (np.array(G, dtype=float) for G in problem.gradients(*point))
    np.fill_diagonal(G_B, 0.0)
    assert float(problem.objective(*point)) == pytest.approx(model.objective(tasks, W, B), rel=1e-13)
    np.testing.assert_allclose(G_W, model.gradient_W(tasks, W, B), rtol=1e-11)
    np.testing.assert_allclose(G_B, model.gradient_B(tasks, W, B), rtol=1e-11, atol=1e-12)


def test_inverse_is_exact_and_refuses_a_singular_matrix(rng: np.random.Generator) -> None:
    A = exact_matrix(rng.normal(size=(4, 4)))
    found = inverse(A)
    assert found is not None
    columns = list(zip(*found, strict=True))
    product = [[sum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in A]
    assert product == [[int(i == j) for j in range(4)] for i in range(4)]
    assert inverse(((Fraction(1), Fraction(2)), (Fraction(2), Fraction(4)))) is None


@pytest.mark.parametrize("value", ["0", "2", "1/3", "4", "1/1000000000000000003", "123456789123456789"])
def test_square_root_lies_above_and_close(value: str) -> None:
    exact = Fraction(value)
    root = sqrt_above(exact)
    assert root**2 >= exact
    assert root**2 <= exact * (1 + Fraction(1, 2**35))


def test_integer_cholesky(rng: np.random.Generator) -> None:
    R = rng.normal(size=(5, 5))
    gram = [[int(value * 4**60) for value in row] for row in (R @ R.T).tolist()]
    gram = [[gram[max(i, j)][min(i, j)] for j in range(5)] for i in range(5)]
    L = factor(gram)
    assert L is not None
    for i in range(5):
        for j in range(i + 1):
            error = gram[i][j] - sum(a * b for a, b in zip(L[i], L[j], strict=False))
            assert abs(error) < 2**60 * 20  # a few units 2^-60 in numbers of size 4^60
    assert factor([[4, 0], [0, -1]]) is None


def test_bound_of_a_polynomial_on_the_unit_box() -> None:
    rest = {(): Fraction(1), (0,): Fraction(-1, 2), (0, 1): Fraction(1, 4)}
    assert value_below(rest) == Fraction(1, 4)


def test_polish_reaches_digits_beyond_double(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, d=2, counts=(6, 9)), amtl()
    problem = ExactProblem.read(tasks, model)
    found = fit(tasks, model)
    point = polish(problem, found.W, found.B, bits=100)
    G_W, G_B = problem.gradients(point.W, point.B)
    free = [slope for row in G_W for slope in row] + [G_B[s][t] for s, t in point.support]
    assert max(map(abs, free)) < Fraction(1, 10**25)
    assert point.objective <= problem.objective(exact_matrix(found.W), exact_matrix(found.B))


# --- the box ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weights", ["equal", "inverse-sqrt", (0.5, 2.0, 1.5)])
def test_box_is_the_formula_of_the_document(rng: np.random.Generator, reduction: Any, weights: Any) -> None:
    """|w - what| <= sqrt(Delta (n_t/c_t) (X'X)^-1_ii), B[t, s] <= Delta / (mu c_t m_t), in doubles."""
    tasks = random_tasks(rng, d=3, counts=(6, 9, 12))
    model = replace(amtl(reduction=reduction), task_weights=weights)
    U = model.objective(tasks, *zeros(tasks))
    box = derive_box(tasks, model, Fraction(U))
    fits = [np.linalg.lstsq(task.X, task.y, rcond=None)[0] for task in tasks]
    n = [len(task.y) if reduction == "mean" else 1 for task in tasks]
    named = {"equal": [1, 1, 1], "inverse-sqrt": [len(task.y) ** -0.5 for task in tasks]}
    c = named.get(str(weights), weights)
    m = [c[t] / n[t] * ((task.y - task.X @ fits[t]) ** 2).sum() for t, task in enumerate(tasks)]
    delta = U - sum(m)
    for t, task in enumerate(tasks):
        radius = np.sqrt(delta * n[t] / c[t] * np.diag(np.linalg.inv(task.X.T @ task.X)))
        np.testing.assert_allclose([float(row[t]) for row in box.W_high], fits[t] + radius, rtol=1e-6)
        np.testing.assert_allclose([float(row[t]) for row in box.W_low], fits[t] - radius, rtol=1e-6)
        others = [float(value) for s, value in enumerate(box.B_high[t]) if s != t]
        np.testing.assert_allclose(others, delta / (model.mu * m[t]), rtol=1e-6)
        assert box.B_high[t][t] == 0
    assert float(box.residual) == pytest.approx(delta / model.coupling, rel=1e-9)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_box_contains_every_sampled_point_below_the_level(rng: np.random.Generator, reduction: Any) -> None:
    tasks = random_tasks(rng, d=2, counts=(5, 8))
    model = replace(amtl(reduction=reduction), task_weights=(0.7, 1.6))
    U = model.objective(tasks, *zeros(tasks))
    box = derive_box(tasks, model, Fraction(U))
    low, high, B_high = (np.array(part, dtype=float) for part in (box.W_low, box.W_high, box.B_high))
    inside = 0
    for _ in range(12_000):
        centre, size = (low + high) / 2, (high - low) / 2
        W = centre + 1.3 * size * rng.uniform(-1, 1, size=low.shape)
        B = 1.5 * B_high * rng.random((2, 2)) * 10.0 ** rng.uniform(-3, 0)
        if model.objective(tasks, W, B) <= U:
            inside += 1
            assert (W - low >= 0).all() and (high - W >= 0).all() and (B_high - B >= 0).all()
            assert ((W - W @ B) ** 2).sum() <= float(box.residual)
            assert (B.sum(axis=1) <= [float(bound) for bound in box.row_sum]).all()
    assert inside > 10


def test_box_made_by_hand_is_refused_where_it_cuts_the_derived_one(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, d=1, counts=(5, 7)), amtl()
    W, B = zeros(tasks)
    derived = derive_box(tasks, model, Fraction(model.objective(tasks, W, B)))
    assert max(map(max, derived.B_high)) > 2
    by_hand = tuple(tuple(min(value, Fraction(2)) for value in row) for row in derived.B_high)
    with pytest.raises(NotCertifiable, match="does not contain the box derived"):
        enclose(tasks, model, W, B, starts=0, box=replace(derived, B_high=by_hand))
    free = enclose(tasks, model, W, B, starts=3)
    assert enclose(tasks, model, W, B, starts=3, box=derived).proof == free.proof  # that of a higher level


# --- refusals ---------------------------------------------------------------------------------------------


def test_refusals_say_why_and_what_would_help(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=2, counts=(6, 9))
    W, B = zeros(tasks)
    X, y = [task.X for task in tasks], [task.y for task in tasks]
    collinear = TaskSet.from_arrays([np.repeat(Xt[:, :1], 2, axis=1) for Xt in X], y)
    perfect = TaskSet.from_arrays(X, [X[0] @ [1.0, 2.0], y[1]])
    labels = TaskSet.from_arrays(X, [np.where(yt > 0, 1.0, -1.0) for yt in y])
    with pytest.raises(NotCertifiable, match="rank below d = 2.*drop collinear"):
        enclose(collinear, amtl(), W, B)
    with pytest.raises(NotCertifiable, match="task 0 is fitted perfectly.*add rows"):
        enclose(perfect, amtl(), W, B)
    with pytest.raises(NotCertifiable, match="take mu > 0"):
        enclose(tasks, amtl(mu=0.0), W, B)
    with pytest.raises(NotCertifiable, match="squared loss.*SCIP"):
        enclose(labels, replace(amtl(), loss=Logistic()), W, B)
    with pytest.raises(ModelError, match="B is not feasible"):
        enclose(tasks, amtl(), W, np.eye(2))
    with pytest.raises(ModelError, match="solver must be one of"):
        enclose(tasks, amtl(), W, B, solver="SCS")
    with pytest.raises(NotCertifiable, match="keep_rows=True"):
        enclose(amtl().compress(tasks), amtl(), W, B)
    with pytest.raises(ModelError, match="no point has J"):
        derive_box(tasks, amtl(), Fraction(0))


def test_a_problem_too_large_is_refused_before_any_work(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=6, counts=(9, 9, 9, 9))
    with pytest.raises(NotCertifiable, match="fewer tasks or features"):
        enclose(tasks, amtl(), *zeros(tasks))


# --- the enclosure ----------------------------------------------------------------------------------------


def test_one_task_is_ridge_in_closed_form(rng: np.random.Generator) -> None:
    """min (1/n)||y - x w||^2 + coupling w^2 = y'y/n - (x'y/n)^2 / (x'x/n + coupling), in rationals."""
    tasks = random_tasks(rng, d=1, counts=(6,))
    model = amtl(coupling=0.75)
    x, y = ([Fraction(value) for value in part.ravel().tolist()] for part in (tasks[0].X, tasks[0].y))
    xx, xy, yy = (sum(a * b for a, b in zip(u, v, strict=True)) / 6 for u, v in ((x, x), (x, y), (y, y)))
    minimum = yy - xy**2 / (xx + Fraction(3, 4))
    found = enclose(tasks, model, *zeros(tasks), starts=1)
    assert found.lower <= minimum <= found.upper
    assert found.width < 1e-15


def test_enclosure_lies_below_a_dense_grid_and_at_the_best_of_many_starts(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, d=1, counts=(5, 7)), amtl(mu=0.05)
    found = enclose(tasks, model, *zeros(tasks), starts=10)
    lower, upper = float(found.lower), float(found.upper)
    assert found.tight and found.width < 1e-12
    box = derive_box(tasks, model, found.upper * Fraction(1001, 1000))
    w0, w1 = (np.linspace(float(a), float(b), 41) for a, b in zip(box.W_low[0], box.W_high[0], strict=True))
    b01, b10 = (np.linspace(0, float(b), 41) for b in box.row_sum)
    G = [(task.X[:, 0] @ task.X[:, 0], task.X[:, 0] @ task.y, task.y @ task.y, len(task.y)) for task in tasks]
    W0, W1, P, Q = np.meshgrid(w0, w1, b01, b10, indexing="ij", sparse=True)
    l0, l1 = ((g * w**2 - 2 * h * w + k) / n for (g, h, k, n), w in zip(G, (W0, W1), strict=True))
    J = l0 * (1 + model.mu * P) + l1 * (1 + model.mu * Q) + (W0 - Q * W1) ** 2 + (W1 - P * W0) ** 2
    assert J.min() >= lower
    for seed in range(3):
        values = [
            fit(tasks, model, options=Options(engine="fast", start=start)).objective
            for start in _starts(tasks, np.random.default_rng(seed))
        ]
        assert min(values) >= lower - 1e-12
        assert upper <= min(values) + 1e-12


def _starts(tasks: TaskSet, rng: np.random.Generator) -> list[Any]:
    from amtl_cvx.solution import Blocks

    T, d = tasks.T, tasks.d
    return [Blocks(rng.normal(size=(d, T)), random_transfer(rng, T, size=3.0)) for _ in range(10)]


@pytest.mark.parametrize("settings", [{"reduction": "sum"}, {"task_weights": "inverse-sqrt"}])
def test_variants_are_proved_as_well(rng: np.random.Generator, settings: Any, tmp_path: Path) -> None:
    tasks = random_tasks(rng, d=2, counts=(6, 8))
    model = replace(amtl(), loss=Squared(reduction=settings.get("reduction", "mean")))
    model = replace(model, task_weights=settings.get("task_weights", "equal"))
    found = enclose(tasks, model, *zeros(tasks), starts=8)
    assert found.width < 1e-9
    found.save(tmp_path / "proof.json")
    assert checker.main([str(tmp_path / "proof.json")]) == 0


def _beaten() -> tuple[TaskSet, Model]:
    rng = np.random.default_rng(0)
    base = rng.normal(size=1)
    X = [rng.normal(size=(8, 1)) for _ in range(3)]
    y = [Xt @ (base * rng.choice([-1, 1]) + 0.3 * rng.normal(size=1)) + 0.5 * rng.normal(size=8) for Xt in X]
    return TaskSet.from_arrays(X, y), amtl()


@pytest.mark.slow
def test_an_alternation_that_is_provably_not_global() -> None:
    """From B = 0 the alternation ends 4 % above the minimum; both are first-order points."""
    tasks, model = _beaten()
    found = fit(tasks, model)
    assert found.certificate.passes
    proved = enclose(tasks, model, found.W, found.B, starts=30)
    assert proved.beaten > 0.03
    assert proved.excess > 0.03
    assert proved.width < 1e-12


def test_without_a_reduced_relaxation_the_bound_is_still_rigorous(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """max gamma, clipped and rounded: as wide as the solver is inaccurate, and checkable."""
    tasks, model = random_tasks(rng, d=1, counts=(5, 7)), amtl()
    tight = enclose(tasks, model, *zeros(tasks), starts=5)
    monkeypatch.setattr(cells.Prover, "_proof", lambda *_: None)
    loose = enclose(tasks, model, *zeros(tasks), starts=5)
    assert not loose.tight
    assert loose.lower <= tight.upper == loose.upper
    assert loose.width < 1e-4
    assert checker.check(json.loads(json.dumps(loose.proof))) == (loose.lower, loose.upper)


def test_multiple_precision_agrees(rng: np.random.Generator) -> None:
    pytest.importorskip("sdpap", reason="the extra [global] is not installed")
    tasks, model = random_tasks(rng, d=1, counts=(5, 7)), amtl()
    found = enclose(tasks, model, *zeros(tasks), starts=5, solver="SDPA")
    other = enclose(tasks, model, *zeros(tasks), starts=5)
    assert found.width < 1e-9
    assert max(found.lower, other.lower) <= min(found.upper, other.upper)
    assert checker.check(json.loads(json.dumps(found.proof))) == (found.lower, found.upper)


def test_too_high_an_upper_bound_gives_no_proof_of_it(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started at a point that is not global and told to look nowhere else, the lower bound stays below."""
    tasks, model = random_tasks(rng, d=1, counts=(5, 7)), amtl()
    best = enclose(tasks, model, *zeros(tasks), starts=10)
    monkeypatch.setattr(cells.Prover, "_look_lower", lambda *_: None)
    naive = enclose(tasks, model, *zeros(tasks), starts=0, cells=2)
    assert naive.lower <= best.upper <= naive.upper


@pytest.mark.slow
def test_a_lower_point_turns_up_on_the_way() -> None:
    """Asked about the alternation's end and given no other start, the relaxation's moments lead lower."""
    tasks, model = _beaten()
    found = fit(tasks, model)
    many = enclose(tasks, model, found.W, found.B, starts=30)
    alone = enclose(tasks, model, found.W, found.B, starts=0)
    assert alone.beaten > 0.03 and alone.tight
    assert float(alone.upper) == pytest.approx(float(many.upper), rel=1e-14)
    assert checker.check(json.loads(json.dumps(alone.proof))) == (alone.lower, alone.upper)


@pytest.mark.parametrize("seed", range(6))
def test_one_task_that_its_rows_hardly_determine(seed: int) -> None:
    """Two nearly collinear features: whatever the solver answers, the enclosure holds the ridge minimum."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(6, 1))
    X = np.hstack([x, x + 10.0 ** rng.uniform(-4.7, -4) * rng.normal(size=(6, 1))])
    tasks, model = TaskSet.from_arrays([X], [rng.normal(size=6)]), amtl()
    y, gram = tasks[0].y, X.T @ X / 6 + np.eye(2)
    minimum = y @ y / 6 - (X.T @ y / 6) @ np.linalg.solve(gram, X.T @ y / 6)
    found = enclose(tasks, model, *zeros(tasks), starts=1)
    assert float(found.lower) <= minimum * (1 + 1e-12) and float(found.upper) >= minimum * (1 - 1e-12)


def two_points(scale: polynomial.Scaled, first: np.ndarray, second: np.ndarray) -> dict[Any, float]:
    """The moments of equal weights on two points x'."""
    n = len(scale.radius)
    moments = {(k,): float(first[k] + second[k]) / 2 for k in range(n)}
    return moments | {(k, k): float(first[k] ** 2 + second[k] ** 2) / 2 for k in range(n)}


@pytest.mark.parametrize("radius", [3, 10**14])
def test_a_cut_lies_where_the_moments_disagree(rng: np.random.Generator, radius: int) -> None:
    """On the edge that two points disagree on, between them, off the minimiser at x = 0, whatever the box."""
    tasks, model = random_tasks(rng, d=1, counts=(5, 7)), amtl()
    problem = ExactProblem.read(tasks, model)
    W, B = exact_matrix(np.ones((1, 2))), exact_matrix(np.array([[0.0, 0.25], [0.0, 0.0]]))
    box = derive_box(tasks, model, problem.objective(W, B))
    scale = polynomial.scale_problem(problem, box, W, B)
    scale = replace(scale, radius=(*scale.radius[:2], Fraction(radius), Fraction(radius)))
    scale = replace(scale, linear={**scale.linear, 0: cuts.edge_of(scale, 0), 1: cuts.edge_of(scale, 1)})
    zoom = Zoom.on(scale)
    near = zoom.inward(scale)
    unit = float(near.radius[3])
    for first, second in (
        ([1, 1, 0, 0], [1, 1, 0, 2 / unit]),
        ([1, 1, 0, 0.1 / unit], [1, 1, 0, 0.5 / unit]),
    ):
        moments = two_points(scale, np.array(first), np.array(second))
        cut = cuts.place(scale, zoom, moments)
        assert cut is not None and cut[0] == 1
        at = float(cut[1] * radius)
        assert first[3] * unit < at < second[3] * unit
        assert at == pytest.approx((first[3] + second[3]) * unit / 2)
        (above, below) = cuts.halves(scale, *cut)
        assert cells.Cell(scale=below).home and not cells.Cell(scale=above).home
    at_once = cuts.place(scale, zoom, two_points(scale, np.zeros(4), np.zeros(4)))
    assert at_once is None  # the moments are those of the minimiser


def test_an_interrupt_of_a_fit_ends_the_search_too(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, model = random_tasks(rng, d=2, counts=(8, 8)), Model(transfer=LossWeightedL1(mu=0.1), coupling=1.0)
    steps = DirectWeightStep.solve

    def stop(*args: Any) -> Any:
        monkeypatch.setattr(DirectWeightStep, "solve", steps)
        raise KeyboardInterrupt

    monkeypatch.setattr(DirectWeightStep, "solve", stop)
    with pytest.raises(KeyboardInterrupt):
        best_point(tasks, model, starts=2, rng=rng)


def test_best_point_is_reproducible(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, d=2, counts=(6, 8)), amtl()
    first, second = (best_point(tasks, model, starts=4, rng=np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first.B, second.B)


# --- the checker ------------------------------------------------------------------------------------------


def test_checker_is_short_and_stands_alone(proof: Proof, tmp_path: Path) -> None:
    source = Path(checker.__file__).read_text()
    assert len(source.splitlines()) <= 240
    imported = {
        name
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported == {"fractions", "hashlib", "json", "sys", "typing"}
    (tmp_path / "alone.py").write_text(source)
    (tmp_path / "proof.json").write_text(json.dumps(proof))
    command = [sys.executable, "-I", "-S", "alone.py", "proof.json"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("proved: ")


def _ulp(text: str) -> str:
    return float(np.nextafter(float.fromhex(text), np.inf)).hex()


def _set(*path: Any) -> Callable[[Any], Callable[[Proof], None]]:
    def given(value: Any) -> Callable[[Proof], None]:
        def change(proof: Proof) -> None:
            place: Any = proof
            for key in path[:-1]:
                place = place[key]
            old = place[path[-1]]
            place[path[-1]] = value(old) if callable(value) else value

        return change

    return given


def _raise_lower(proof: Proof) -> None:
    proof["lower"] = str(Fraction(proof["lower"]) + Fraction(1, 2**200))


def _raw_value_as_bound(proof: Proof) -> None:
    proof["lower"] = str(Fraction(float(Fraction(proof["upper"]))))


def _lower_upper(proof: Proof) -> None:
    proof["upper"] = str(Fraction(proof["upper"]) - Fraction(1, 2**200))


def _transpose_B(proof: Proof) -> None:
    proof["B"] = [list(row) for row in zip(*proof["B"], strict=True)]
    proof["B"][0][1] = proof["B"][0][1] if proof["B"][0][1] != proof["B"][1][0] else "1/7"


def _swap_tasks(proof: Proof) -> None:
    proof["tasks"] = proof["tasks"][::-1]


def _drop_a_row(proof: Proof) -> None:
    for name in "Xy":
        proof["tasks"][0][name] = proof["tasks"][0][name][1:]


def _drop_block(proof: Proof) -> None:
    proof["blocks"] = proof["blocks"][1:]


def _negative_weight(proof: Proof) -> None:
    proof["blocks"][0]["of"] = [0, 0, 1]


def _no_data(proof: Proof) -> None:
    del proof["tasks"]


TAMPERINGS: dict[str, Callable[[Proof], None]] = {
    "lower bound raised by 2^-200": _raise_lower,
    "unrounded value as lower bound": _raw_value_as_bound,
    "upper bound lowered": _lower_upper,
    "mu by one ulp": _set("mu")(_ulp),
    "mu negative": _set("mu")("-0x1.0p-4"),
    "mu zero": _set("mu")("0x0.0p+0"),
    "mu not a number": _set("mu")("nan"),
    "coupling by one ulp": _set("coupling")(_ulp),
    "sum for mean": _set("reduction")("sum"),
    "unknown reduction": _set("reduction")("median"),
    "task weight": _set("task_weights", 0)("0x1.8p+0"),
    "negative task weight": _set("task_weights", 0)("-0x1.0p+0"),
    "row count": _set("tasks", 0, "n")(6),
    "feature by one ulp": _set("tasks", 0, "X", 0, 0)(_ulp),
    "target by one ulp": _set("tasks", 1, "y", 0)(_ulp),
    "a row dropped": _drop_a_row,
    "tasks swapped": _swap_tasks,
    "data missing": _no_data,
    "W moved": _set("W", 0, 0)(lambda old: str(Fraction(old) + Fraction(1, 2**120))),
    "B moved": _set("B", 0, 1)(lambda old: str(Fraction(old) + Fraction(1, 2**120))),
    "B transposed": _transpose_B,
    "B negative": _set("B", 0, 1)("-1/1000000"),
    "diagonal leak": _set("B", 0, 0)("1/1000"),
    "level below J": _set("level")(lambda old: str(Fraction(old) * Fraction(999, 1000))),
    "level above the radii": _set("level")(lambda old: str(Fraction(old) * 2)),
    "W's box too small": _set("radius", 0)(lambda old: str(Fraction(old) * Fraction(4, 5))),
    "B's box too small": _set("radius", 2)("2"),
    "radius zero": _set("radius", 1)("0"),
    "radius negative": _set("radius", 1)(lambda old: "-" + old),
    "radius larger than the proof's": _set("radius", 1)(lambda old: str(Fraction(old) * 2)),
    "factor by one unit": _set("blocks", 0, "factor", 0, 0)(lambda old: old + 1),
    "factor not whole": _set("blocks", 0, "factor", 0, 0)(lambda old: old + 0.5),
    "factor as text": _set("blocks", 0, "factor", 0, 0)(str),
    "another multiplier": _set("blocks", 0, "of")("sublevel"),
    "unknown multiplier": _set("blocks", 0, "of")("minus one"),
    "three inequalities": _negative_weight,
    "inequality out of range": _set("blocks", 0, "of")([99]),
    "inequality -1": _set("blocks", 0, "of")([-1]),
    "monomial": _set("blocks", 0, "basis", 0)([1, 1]),
    "variable out of range": _set("blocks", 0, "basis", 0)([99]),
    "a monomial too many": _set("blocks", 0, "basis")(lambda old: [*old, []]),
    "block dropped": _drop_block,
    "negative unit": _set("unit")(lambda old: "-" + old),
    "unit": _set("unit")(lambda old: str(Fraction(old) * 2)),
    "bits": _set("bits")(lambda old: old + 1),
    "bits negative": _set("bits")(-3),
    "format": _set("format")("another"),
}


@pytest.mark.parametrize("tamper", TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_checker_rejects_every_tampering(
    proof: Proof, tamper: Callable[[Proof], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = copy.deepcopy(proof)
    tamper(changed)
    assert changed != proof
    (tmp_path / "proof.json").write_text(json.dumps(changed))
    assert checker.main([str(tmp_path / "proof.json")]) == 1
    assert capsys.readouterr().out.startswith("NOT PROVED: ")


def test_checker_accepts_the_proof_and_rejects_what_is_no_proof(
    proof: Proof, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(proof))
    assert checker.main([str(path)]) == 0
    for text in ("", "[]", "{}", "null", "7", "{"):
        path.write_text(text)
        assert checker.main([str(path)]) == 1
    assert checker.main([str(tmp_path / "missing.json")]) == 1
    assert checker.main([]) == 1
    capsys.readouterr()


HOSTILE: dict[str, Callable[[Proof], str]] = {
    "an exponent in W": lambda proof: json.dumps({**proof, "W": [["1e99999999"] * 2]}),
    "an exponent in the level": lambda proof: json.dumps({**proof, "level": "1e99999999"}),
    "an exponent in the bound": lambda proof: json.dumps({**proof, "upper": "-1E99999999"}),
    "a hexadecimal exponent": lambda proof: json.dumps({**proof, "mu": "0x1p99999999"}),
    "a denominator of 0": lambda proof: json.dumps({**proof, "unit": "1/0"}),
    "digits without end": lambda proof: json.dumps({**proof, "radius": ["9" * 100_000]}),
    "a whole number without end": lambda proof: '{"format": ' + "9" * 100_000 + "}",
    "lists in lists": lambda proof: "[" * 100_000,
    "objects in objects": lambda proof: '{"a":' * 100_000,
    "cells in cells": lambda proof: json.dumps(_cut(proof, 300)),
    "not finite": lambda proof: json.dumps({**proof, "level": float("inf"), "unit": float("nan")}),
    "half a row": lambda proof: json.dumps({**proof, "tasks": [{**proof["tasks"][0], "n": 1.5}] * 2}),
    "many features": lambda proof: json.dumps(
        {**proof, "tasks": [{"n": 1, "X": [["0x1p0"] * 2000], "y": ["0x1p0"]}] * 2}
    ),
    "bytes": lambda proof: "\0\ud800",
    "a table": lambda proof: "edge,bound\n",
}


def _cut(proof: Proof, depth: int) -> Proof:
    cell: Proof = {"blocks": []}
    for _ in range(depth):
        cell = {"cut": [0, "1/3"], "above": cell, "below": {"blocks": []}}
    return {**{key: value for key, value in proof.items() if key != "blocks"}, **cell}


@pytest.mark.parametrize("kind", HOSTILE)
def test_checker_ends_in_one_line_whatever_the_file_holds(
    kind: str, proof: Proof, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "proof.json"
    path.write_bytes(HOSTILE[kind](proof).encode("utf-8", "surrogatepass"))
    assert checker.main([str(path)]) == 1
    answer = capsys.readouterr()
    (line,) = answer.out.splitlines()
    assert line.startswith("NOT PROVED: ") and len(line) <= 300 and not answer.err
    assert line.startswith("NOT PROVED: not JSON: ") is (kind in ("bytes", "a table"))


def test_checker_refuses_every_part_of_another_type(
    proof: Proof, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def places(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        for key in part if isinstance(part, dict) else range(min(len(part), 1)):
            yield (*path, key)
            if isinstance(part[key], dict | list):
                yield from places(part[key], (*path, key))

    for *path, last in places(proof):
        for junk in (None, True, "x", [[[1e300]]]):
            changed = copy.deepcopy(proof)
            functools.reduce(lambda part, key: part[key], path, changed)[last] = junk
            (tmp_path / "proof.json").write_text(json.dumps(changed))
            code, said = checker.main([str(tmp_path / "proof.json")]), capsys.readouterr().out
            harmless = last == "statement"
            assert said.startswith("proved" if not code else "NOT PROVED: ") and (code or harmless), (
                last,
                junk,
            )


def test_checker_stops_after_so_many_steps_and_says_how_to_allow_more(
    proof: Proof, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(proof))
    assert checker.main([str(path), "100"]) == 1
    assert "checker.py FILE STEPS allows more" in capsys.readouterr().out
    assert checker.main([str(path), "10000000"]) == 0
    path.write_text(" " * (checker.BYTES + 1))
    assert checker.main([str(path)]) == 1 and "has more than" in capsys.readouterr().out


# --- faults planted in the producer -----------------------------------------------------------------------


def _incoming_prices(scaled: Any, problem: ExactProblem, W: Any, B: Any) -> Any:
    """mu on the wrong axis: loss t is raised by what t takes (T = 2)."""
    z = [
        {(): c, (k,): r}
        for k, (c, r) in enumerate(zip([W[0][0], W[0][1], B[0][1], B[1][0]], scaled.radius, strict=True))
    ]
    swap = polynomial.add(z[3], polynomial.scaled(z[2], Fraction(-1)))
    change = [
        polynomial.scaled(
            polynomial.times(polynomial._weighted_loss(problem, t, [z[t]]), swap), sign * problem.mu
        )
        for t, sign in ((0, Fraction(1)), (1, Fraction(-1)))
    ]
    return replace(scaled, objective=polynomial.add(scaled.objective, *change))


def _half_coupling(scaled: Any, problem: ExactProblem, W: Any, B: Any) -> Any:
    """A term of the objective lost."""
    kept = {m: v for m, v in scaled.objective.items() if len(m) < 4}
    return replace(scaled, objective=kept)


def _small_box(scaled: Any, problem: ExactProblem, W: Any, B: Any) -> Any:
    return replace(scaled, radius=tuple(r / 2 for r in scaled.radius))


def _flipped_budget(scaled: Any, problem: ExactProblem, W: Any, B: Any) -> Any:
    last = max(scaled.linear)
    return replace(
        scaled, linear={**scaled.linear, last: polynomial.scaled(scaled.linear[last], Fraction(2))}
    )


@pytest.mark.parametrize("fault", [_incoming_prices, _half_coupling, _small_box, _flipped_budget])
def test_checker_catches_a_fault_in_the_producer(fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right = ENCLOSE.scale_problem
    monkeypatch.setattr(
        ENCLOSE, "scale_problem", lambda problem, box, W, B: fault(right(problem, box, W, B), problem, W, B)
    )
    tasks = random_tasks(np.random.default_rng(4), d=1, counts=(5, 7))
    with pytest.raises(NotCertifiable, match="checker rejects.*(bound claimed|cuts off part of the box)"):
        enclose(tasks, amtl(), *zeros(tasks), starts=5)


# --- sizes of the acceptance ------------------------------------------------------------------------------


def alike(rng: np.random.Generator, T: int, d: int) -> TaskSet:
    """Tasks with parameters alike up to sign and equal noise: a box of moderate size."""
    w = rng.normal(size=d)
    X = [rng.normal(size=(4 * d + 4, d)) for _ in range(T)]
    signs, own = rng.choice([-1.0, 1.0], size=T), 0.3 * rng.normal(size=(T, d))
    truth = [sign * w + v for sign, v in zip(signs, own, strict=True)]
    y = [Xt @ true + 0.5 * rng.normal(size=len(Xt)) for Xt, true in zip(X, truth, strict=True)]
    return TaskSet.from_arrays(X, y)


@pytest.mark.slow
@pytest.mark.parametrize(("T", "d"), [(2, 3), (3, 2)])
def test_width_at_larger_sizes(T: int, d: int) -> None:
    tasks = alike(np.random.default_rng(1), T, d)
    found = enclose(tasks, amtl(), *zeros(tasks))
    assert found.tight and found.width < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("seed", [102, None])
def test_a_box_a_thousand_wide_is_closed(rng: np.random.Generator, seed: int | None, tmp_path: Path) -> None:
    """One task with a minimal loss near 0: its edges are nearly free. The second needs two cells."""
    counts = (20, 20, 20)
    if seed is not None:
        rng, counts = np.random.default_rng(seed), (12, 14, 10)
    tasks, model = random_tasks(rng, d=2, counts=counts), amtl(mu=0.2)
    words: list[str] = []
    found = enclose(tasks, model, *zeros(tasks), observe=words.append)
    assert found.tight and found.width < 1e-12
    assert float(max(map(max, derive_box(tasks, model, found.upper).B_high))) > 1000
    assert (found.cells > 1) == (seed is None) == bool(words)
    found.save(tmp_path / "proof.json")
    assert checker.main([str(tmp_path / "proof.json")]) == 0
    uncut = enclose(tasks, model, *zeros(tasks), cells=1)
    assert uncut.lower <= found.upper == uncut.upper
    assert uncut.tight == (seed is not None)
    starts = _starts(tasks, np.random.default_rng(0))
    values = [fit(tasks, model, options=Options(engine="fast", start=start)).objective for start in starts]
    assert min(values) >= float(found.upper) * (1 - 1e-12)


def test_names() -> None:
    assert package_enclose is enclose
