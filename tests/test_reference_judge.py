"""The judge of back ends, on small problems whose steps are closed forms written out here."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from cases import random_tasks

from amtl_cvx import LossWeightedL1, Model, Problem, TaskSet
from amtl_cvx.arrays import Array
from amtl_cvx.errors import ModelError
from amtl_cvx.losses import Squared
from amtl_cvx.reference import Pack, write_pack
from amtl_cvx.reference.judge import Asked, Cause, Failure, PythonBackEnd, Verdict, judge, run
from amtl_cvx.reference.judge.tolerance import Limits


class Pair:
    """Two tasks, squared loss: W by its normal equations, each column of B has one entry."""

    name = "pair"
    dtype = "float64"
    losses = ("squared",)

    def residuals(self, asked: Asked, W: Array) -> list[Array]:
        return [X @ w - y for X, y, w in zip(asked.X, asked.y, W.T, strict=True)]

    def scales(self, asked: Asked) -> Array:
        one = [1.0 if asked.reduction == "sum" else 1.0 / len(y) for y in asked.y]
        return np.array(one, dtype=asked.dtype)

    def losses_at(self, asked: Asked, W: Array) -> Array:
        return self.scales(asked) * np.array([r @ r for r in self.residuals(asked, W)], dtype=asked.dtype)

    def raised(self, asked: Asked, B: Array) -> Array:
        return asked.task_weights * (1 + asked.W.dtype.type(asked.mu) * B.sum(axis=1))

    def objective(self, asked: Asked, W: Array, B: Array) -> Any:
        coupled = asked.W.dtype.type(asked.coupling) * ((W - W @ B) ** 2).sum()
        return self.raised(asked, B) @ self.losses_at(asked, W) + coupled

    def evaluate(self, asked: Asked) -> dict[str, Any]:
        W, B, s = asked.W, asked.B, self.scales(asked)
        lam, M = W.dtype.type(asked.coupling), np.eye(2, dtype=W.dtype) - B
        pulls = [2 * k * (X.T @ r) for k, X, r in zip(s, asked.X, self.residuals(asked, W), strict=True)]
        prices = W.dtype.type(asked.mu) * asked.task_weights * self.losses_at(asked, W)
        return {
            "objective": self.objective(asked, W, B),
            "losses": self.losses_at(asked, W),
            "gradient_W": self.raised(asked, B) * np.column_stack(pulls) + 2 * lam * (W @ M @ M.T),
            "gradient_B": prices[:, None] - 2 * lam * (W.T @ (W - W @ B)),
        }

    def best_W(self, asked: Asked, B: Array) -> Array:
        lam, M = asked.W.dtype.type(asked.coupling), np.eye(2, dtype=asked.W.dtype) - B
        d, rate = len(asked.W), self.raised(asked, B) * self.scales(asked)
        H = np.kron(lam * M @ M.T, np.eye(d, dtype=asked.W.dtype))
        for t in range(2):
            H[t * d : (t + 1) * d, t * d : (t + 1) * d] += rate[t] * asked.X[t].T @ asked.X[t]
        pull = [k * X.T @ y for k, X, y in zip(rate, asked.X, asked.y, strict=True)]
        return np.linalg.solve(H, np.concatenate(pull)).reshape(2, d).T

    def w_step(self, asked: Asked) -> Array:
        return self.best_W(asked, asked.B)

    def one_task(self, asked: Asked) -> Array:
        t, W, B, lam = asked.task, asked.W, asked.B, asked.W.dtype.type(asked.coupling)
        assert t is not None
        P = (np.eye(2, dtype=W.dtype) - B) @ (np.eye(2, dtype=W.dtype) - B).T
        rate = self.raised(asked, B)[t] * self.scales(asked)[t]
        H = rate * asked.X[t].T @ asked.X[t] + lam * P[t, t] * np.eye(len(W), dtype=W.dtype)
        return np.linalg.solve(H, rate * asked.X[t].T @ asked.y[t] - lam * P[t, 1 - t] * W[:, 1 - t])

    def best_B(self, asked: Asked, W: Array) -> Array:
        p = W.dtype.type(asked.mu) * asked.task_weights * self.losses_at(asked, W)
        twice, inner = 2 * W.dtype.type(asked.coupling), W[:, 0] @ W[:, 1]
        B = np.zeros((2, 2), dtype=W.dtype)
        for s in range(2):
            size = W[:, s] @ W[:, s]
            B[s, 1 - s] = max(W.dtype.type(0), (inner - p[s] / twice) / size) if size > 0 else 0
        return B

    def b_step(self, asked: Asked) -> Array:
        return self.best_B(asked, asked.W)

    def rounds(self, asked: Asked) -> Array:
        B, found = asked.B, []
        for _ in range(asked.count or 0):
            W = self.best_W(asked, B)
            found.append(self.objective(asked, W, B))
            B = self.best_B(asked, W)
            found.append(self.objective(asked, W, B))
        return np.array(found, dtype=asked.dtype)

    def fit(self, asked: Asked) -> tuple[Array, Array]:
        B = asked.B
        for _ in range(3000):
            W = self.best_W(asked, B)
            before, B = B, self.best_B(asked, W)
            if np.abs(B - before).max() <= 2 * np.finfo(asked.dtype).eps:
                break
        return W, B


def pair_pack(place: Path, *, reduction: str = "mean", mu: float = 0.0625) -> Pack:
    """Two related tasks of dyadic rows; the answer is what closed forms in turn end at."""
    rows = np.array([[1, 2, 0], [0, 1, 3], [2, -1, 1], [1, 1, -2], [3, 0, 1]]) / 4.0
    y = [rows @ [2.0, 1.0, -1.0] + [0.25, -0.25, 0.0, 0.5, 0.0], rows[:4] @ [1.5, 1.25, -1.0] - 0.5]
    tasks = TaskSet.from_arrays([rows, rows[:4]], y)
    model = Model(loss=Squared(reduction=reduction), transfer=LossWeightedL1(mu=mu), coupling=0.5)  # type: ignore[arg-type]
    problem = Problem(tasks, model)
    W, B = Pair().fit(Asked.of(problem, "fit"))
    words = {"title": "A pair", "grade": "easy", "traits": [], "origin": {}, "made": {}}
    claims = {"unique": {"W": True, "B": True, "W B": True}, "condition": {"kappa": 100.0}}
    about = {"name": f"pair-{reduction}", **words}
    return write_pack(
        place / f"pair-{reduction}",
        problem=problem,
        ask="joint",
        solution={"W": W, "B": B},
        claims=claims,
        about=about,
    )


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> list[Pack]:
    place = tmp_path_factory.mktemp("packs")
    return [pair_pack(place, reduction=reduction) for reduction in ("mean", "sum")]


def failures(verdict: Verdict) -> set[str]:
    return {result.check.name for result in verdict.failed}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_closed_forms_pass_every_check(packs: list[Pack], dtype: str) -> None:
    backend = Pair()
    backend.dtype = dtype
    verdict = judge(backend, packs=packs)
    assert verdict.passes, [(result.check.id, result.words) for result in verdict.failed]
    assert verdict.counts()["passed"] >= 60


def test_results_tell_level_pack_and_words(packs: list[Pack]) -> None:
    seen: list[str] = []
    verdict = judge(
        Pair, packs=packs[:1], levels=["L0", "L3"], observe=lambda each: seen.append(each.check.id)
    )
    assert sorted(seen) == sorted(result.check.id for result in verdict.results)
    assert "L0/gradient-W-generic/pair-mean" in seen and verdict.levels() == ("L0", "L3")
    assert all(result.words and "\n" not in result.words for result in verdict.results)
    told = json.loads(json.dumps(verdict.to_dict()))
    assert told["passes"] is True and len(told["results"]) == len(seen) and told["packs"] == ["pair-mean"]
    assert verdict.line().startswith("pair (float64) passes: ")


class Transposed(Pair):
    """B[s, t] read as how much t helps s."""

    def evaluate(self, asked: Asked) -> dict[str, Any]:
        return super().evaluate(replace(asked, B=asked.B.T))

    def best_W(self, asked: Asked, B: Array) -> Array:
        return super().best_W(asked, B.T)


class NoCross(Pair):
    """The W of one task without its part in the residuals of others."""

    def one_task(self, asked: Asked) -> Array:
        B = asked.B.copy()
        B[asked.task] = 0.0
        return super().one_task(replace(asked, B=B, mu=asked.mu))


class Unclipped(Pair):
    """A diagonal a hair below 0."""

    def best_B(self, asked: Asked, W: Array) -> Array:
        B = super().best_B(asked, W)
        return B - 1e-13 * np.eye(2)


class Early(Pair):
    """A fit that stops when J moves by less than 1e-4 of itself."""

    def fit(self, asked: Asked) -> tuple[Array, Array]:
        B, before = asked.B, np.inf
        for _ in range(3000):
            W = self.best_W(asked, B)
            B = self.best_B(asked, W)
            J = self.objective(asked, W, B)
            if before - J <= 1e-4 * J:
                break
            before = J
        return W, B


class Single(Pair):
    """Sums in single precision, answers in double."""

    def residuals(self, asked: Asked, W: Array) -> list[Array]:
        return [r.astype(np.float32).astype(np.float64) for r in super().residuals(asked, W)]


class Twice(Pair):
    """The coupling counted twice in the B-step."""

    def best_B(self, asked: Asked, W: Array) -> Array:
        return super().best_B(replace(asked, coupling=2.0 * asked.coupling), W)


class Rising(Pair):
    """Reports J of the round before after a W-step."""

    def rounds(self, asked: Asked) -> Array:
        found = super().rounds(asked)
        found[2], found[1] = found[1], found[2]
        return found


@pytest.mark.parametrize(
    ("broken", "some", "none"),
    [
        (
            Transposed,
            {"gradient-W-generic", "w-step-residual-generic", "rounds-generic"},
            {"gradient-W-zero"},
        ),
        (NoCross, {"one-task-residual", "one-task-gap"}, {"w-step-gap-generic", "fit-gap-zero"}),
        (Unclipped, {"b-step-feasible-generic", "fit-feasible-zero"}, {"b-step-gap-generic", "fit-gap-zero"}),
        (Early, {"fit-stationary-zero", "fit-answer-zero"}, {"rounds-zero", "fit-feasible-zero"}),
        (Single, {"objective-generic", "losses-answer"}, {"w-step-residual-generic", "fit-feasible-zero"}),
        (Twice, {"b-step-gap-generic", "rounds-zero", "fit-objective-zero"}, {"objective-generic"}),
        (Rising, {"rounds-zero", "rounds-fall-zero"}, {"fit-gap-zero", "w-step-gap-generic"}),
    ],
)
def test_a_mistake_fails_where_it_is_and_nowhere_else(
    packs: list[Pack], broken: type[Pair], some: set[str], none: set[str]
) -> None:
    verdict = judge(broken, packs=packs[:1])
    assert not verdict.passes
    assert some <= failures(verdict) and not none & failures(verdict)


def test_a_failure_hands_over_all_that_a_cause_needs(
    packs: list[Pack], monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[Failure] = []

    def causes(failure: Failure) -> tuple[Cause, ...]:
        handed.append(failure)
        return (Cause(name="mine", sentence="it is mine"),)

    monkeypatch.setattr(run, "causes_of", causes)
    verdict = judge(Transposed, packs=packs[:1])
    bad = {result.check.id: result for result in verdict.failed}
    assert {failure.check for failure in handed} == set(bad)
    assert verdict.causes() == {"mine": len(bad)}
    failure = next(f for f in handed if f.check == "L0/gradient-W-generic/pair-mean")
    assert failure.quantity == "gradient_W" and failure.answer["gradient_W"].shape == (3, 2)
    point = failure.problem.at(failure.asked.W, failure.asked.B)
    assert np.array_equal(failure.right["gradient_W"], point.gradient_W)
    assert np.shape(failure.limit) == (3, 2) and bad[failure.check].evidence["answer"].shape == (3, 2)


class Odd(Pair):
    """A W-step that gives whatever it is told."""

    gives: Any = None

    def w_step(self, asked: Asked) -> Any:
        return self.gives(asked) if callable(self.gives) else self.gives


def _raises(asked: Asked) -> Array:
    raise SystemExit("gone")


def _writes(asked: Asked) -> Array:
    asked.X[1][0, 0] += 1.0
    return asked.W


@pytest.mark.parametrize(
    ("gives", "words", "cause"),
    [
        (None, "w_step gave nothing", "no-answer"),
        (lambda asked: np.zeros((2, 3)), "has .2, 3.: it is transposed", "no-answer"),
        (lambda asked: np.zeros((3, 2, 1)), "more dimensions than needed", "no-answer"),
        (lambda asked: np.full((3, 2), np.nan), "must be finite, it is nan at .0, 0.", "no-answer"),
        (
            lambda asked: np.zeros((3, 2), dtype=np.float32),
            "is float32, the back end says float64",
            "no-answer",
        ),
        (lambda asked: np.zeros((3, 2), dtype=complex), "real numbers, it is complex", "no-answer"),
        (lambda asked: [[1.0], [1.0, 2.0]], "no array of numbers", "no-answer"),
        (lambda asked: {"B": asked.B}, "W is missing", "no-answer"),
        (_raises, "w_step raised SystemExit: gone", "raised"),
        (_writes, r"wrote into asked.X\[1\]", "input-written"),
    ],
)
def test_what_is_no_answer_is_a_failed_check_in_a_line(
    packs: list[Pack], gives: Any, words: str, cause: str
) -> None:
    backend = Odd()
    backend.gives = gives
    verdict = judge(backend, packs=packs[:1], levels=["L0", "L1"])
    bad = [result for result in verdict.results if result.check.needs == "w-step"]
    assert bad and all(result.status == "failed" for result in bad)
    assert re.search(words, bad[0].words) and "\n" not in bad[0].words
    assert {c.name for result in bad for c in result.causes} == {cause}
    assert {result.check.needs for result in verdict.failed} == {"w-step"}


def test_answers_beyond_all_bounds_are_failed_checks(packs: list[Pack]) -> None:
    class Vast(Pair):
        def w_step(self, asked: Asked) -> Array:
            return np.full((3, 2), 1e300)

        def b_step(self, asked: Asked) -> Array:
            return np.full((2, 2), 1e300)

        def fit(self, asked: Asked) -> tuple[Array, Array]:
            return np.full((3, 2), 1e200), np.full((2, 2), 1e200)

    verdict = judge(Vast, packs=packs[:1])
    assert {result.check.needs for result in verdict.failed} == {"w-step", "b-step", "fit"}
    assert not [r for r in verdict.results if r.check.needs in ("w-step", "fit") and r.status == "passed"]


def test_a_call_that_does_not_end_is_given_up_and_not_made_for_ever(packs: list[Pack]) -> None:
    calls: list[str] = []

    class Hanging(Pair):
        def w_step(self, asked: Asked) -> Array:
            calls.append("w")
            while True:
                time.sleep(0.01)

    backend = PythonBackEnd(Hanging(), limit=0.1)
    started = time.perf_counter()
    verdict = judge(backend, packs=packs, levels=["L1"])
    assert time.perf_counter() - started < 5.0 and len(calls) == 2
    bad = [result for result in verdict.results if result.check.needs == "w-step"]
    assert all(
        result.status == "failed" and "end" in result.words + result.causes[0].sentence for result in bad
    )
    assert {result.check.needs for result in verdict.failed} == {"w-step"} and "0.1 s" in verdict.bounds


def test_what_a_back_end_has_not_is_skipped_with_the_reason(packs: list[Pack]) -> None:
    class Few:
        def evaluate(self, asked: Asked) -> dict[str, Any]:
            return {"objective": Pair().objective(asked, asked.W, asked.B)}

        def b_step(self, asked: Asked) -> Array:
            raise NotImplementedError("later")

    verdict = judge(Few(), packs=packs[:1])
    assert verdict.passes and verdict.counts("L0") == {"passed": 3, "skipped": 9}
    words = {result.check.needs: result.words for result in verdict.results if result.status == "skipped"}
    assert (
        words["fit"] == "the back end has no fit"
        and "not implemented: NotImplementedError: later" in words["b-step"]
    )
    assert words["evaluate"].startswith("evaluate does not give ")


def test_expected_failures_are_strict(packs: list[Pack]) -> None:
    class Announced(Unclipped):
        expected_failures: ClassVar = {
            "L1/b-step-feasible*": "rounding is left in",
            "L3/fit-feasible-zero": "the same",
            "L3/fit-feasible-near/pair-mean": "the same",
            "L0/losses-zero": "it does not fail",
            "L5/typo": "no check is called so",
        }

    verdict = judge(Announced, packs=packs[:1])
    statuses = {result.check.name: (result.status, result.reason) for result in verdict.results}
    assert statuses["b-step-feasible-answer"] == ("expected", "rounding is left in")
    assert statuses["fit-feasible-zero"][0] == statuses["fit-feasible-near"][0] == "expected"
    assert statuses["losses-zero"] == ("unexpected pass", "it does not fail")
    assert verdict.unused == ("L5/typo",) and not verdict.passes
    assert [result.check.name for result in verdict.failed] == ["losses-zero"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"dtype": "float16"}, "float64 or float32"),
        ({"losses": ("squard",)}, "unknown losses squard"),
        ({"reductions": ("median",)}, "median"),
        ({"accuracy": 1.0}, "accuracy"),
        ({"expected_failures": {"L0/x": ""}}, "reason"),
    ],
)
def test_what_a_back_end_says_of_itself_is_checked(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        PythonBackEnd(type("Said", (Pair,), said)())


def test_what_cannot_be_judged_is_refused_in_a_line(packs: list[Pack]) -> None:
    with pytest.raises(ModelError, match="at least one of the methods"):
        judge(object(), packs=packs)
    with pytest.raises(ModelError, match="unknown level L9"):
        judge(Pair, packs=packs, levels=["L9"])
    logistic = type("Logistic", (Pair,), {"losses": ("logistic",)})
    with pytest.raises(ModelError, match="pair-mean cannot be asked of pair: the loss squared"):
        judge(logistic, packs=packs)


def test_a_choice_of_best_graphs_is_judged_by_what_is_unique(tmp_path: Path) -> None:
    """Three tasks of one feature: w_t = sum_s B[s, t] w_s has many solutions of one price, and one W B."""
    tasks = TaskSet.from_arrays([np.ones((2, 1))] * 3, [[1.0, 3.0]] * 3)
    problem = Problem(tasks, Model(transfer=LossWeightedL1(mu=0.25), coupling=1.0))
    W, total = np.full((1, 3), 1.5), 1.0 - 0.25 * 1.25 / (2.0 * 1.5**2) * 1.5 / 1.5
    # column: min (w - sum w)^2 + p sum b at w = 1.5, l = 1.25: sum b = 1 - p / (2 w^2)
    right = total / 2.0 * (1.0 - np.eye(3))
    about = {"name": "many", "title": "Many", "grade": "easy", "traits": [], "origin": {}, "made": {}}
    claims = {"unique": {"B": False, "W B": True}, "condition": {"kappa": 10.0}}
    pack = write_pack(
        tmp_path / "many",
        problem=problem,
        ask="b-step",
        given={"W": W},
        solution={"B": right},
        claims=claims,
        about=about,
    )

    class Chooses:
        off = 0.0

        def b_step(self, asked: Asked) -> Array:
            B = np.zeros((3, 3))
            for t in range(3):
                B[(t + 1) % 3, t] = total + self.off
            return B

    backend = Chooses()
    verdict = judge(backend, packs=[pack])
    assert verdict.passes and verdict.counts()["passed"] == 4
    backend.off = 1e-9
    assert failures(judge(backend, packs=[pack])) == {"b-step-residual-answer", "b-step-answer"}


def test_J_below_what_is_proved_is_named(tmp_path: Path) -> None:
    pack = pair_pack(tmp_path)
    lower = 2.0 * pack.problem.at(pack.solution["W"], pack.solution["B"]).objective
    about = {**pack.about, "claims": {**pack.claims, "bound": {"lower": lower.hex()}}}
    verdict = judge(Pair, packs=[replace(pack, about=about)], levels=["L3"])
    bad = {result.check.name: result.words for result in verdict.failed}
    assert set(bad) == {"fit-objective-zero", "fit-objective-near"}
    assert "which is proved to be below all points" in bad["fit-objective-zero"]


def test_a_higher_first_order_point_is_one_of_another_basin(tmp_path: Path) -> None:
    """Single-task ridge is first-order where no edge pays; of a pack with edges it is above the answer."""
    pack = pair_pack(tmp_path)

    class Empty(Pair):
        def best_B(self, asked: Asked, W: Array) -> Array:
            return np.zeros((2, 2))

    bad = {result.check.name: result.words for result in judge(Empty, packs=[pack], levels=["L3"]).failed}
    assert "above the reference" in bad["fit-objective-zero"] and "fit-gap-zero" in bad


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", ["squared", "logistic", "huber:0.5", "squared-hinge", "poisson", "hinge"])
def test_limits_hold_in_any_order_of_summation_and_are_not_loose(
    rng: np.random.Generator, loss: str, dtype: str
) -> None:
    """Rows in another order, summed one after the other in the dtype, of sizes over five orders of ten."""
    tasks = random_tasks(rng, loss=loss.partition(":")[0], counts=(7, 40), d=3)
    X = [task.X * 10.0 ** rng.integers(-3, 3, len(task.y))[:, None] for task in tasks]
    if loss == "poisson":
        X = [np.clip(x, -2.0, 2.0) for x in X]
    tasks = TaskSet.from_arrays([x.astype(np.float32) for x in X], [np.float32(task.y) for task in tasks])
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.5), coupling=0.25)  # type: ignore[arg-type]
    W = rng.normal(size=(3, 2)).astype(np.float32).astype(np.float64)
    B = np.array([[0.0, 0.5], [0.25, 0.0]])
    point = Problem(tasks, model).at(W, B)
    limits = Limits(point, dtype)
    number = np.dtype(dtype).type
    for t, task in enumerate(tasks):
        order = rng.permutation(len(task.y))
        total, pull = number(0), np.zeros(3, dtype=dtype)
        for x, y in zip(task.X[order].astype(dtype), task.y[order].astype(dtype), strict=True):
            z = number(0)
            for j in range(3):
                z = number(z + x[j] * number(W[j, t]))
            one = np.array([z], dtype=dtype), np.array([y], dtype=dtype)
            total = number(total + number(model.loss.rows(*one)[0]))
            pull = (pull + number(model.loss.slopes(*one)[0]) * x).astype(dtype)
        scale = number(1.0) / number(len(order))
        assert abs(float(scale * total) - point.losses[t]) <= limits.losses[t]
        a = number(point.loss_weight[t])
        own = a * scale * pull + np.asarray(point.square_gradient_W[:, t], dtype=dtype)
        assert (
            np.abs(own - point.smooth_gradient_W[:, t]) <= limits.gradient_W[:, t]
        ).all() or loss == "hinge"
    eps = float(np.finfo(dtype).eps)
    assert limits.objective <= 2e4 * eps * limits.terms
    assert (limits.gradient_W <= 1e3 * eps * np.abs(limits.size_W) * 10.0).all()
