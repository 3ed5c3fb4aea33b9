"""The judge of back ends, on small problems whose steps are closed forms written out here."""

from __future__ import annotations

import json
import re
import threading
import time
from typing import Any, ClassVar

import numpy as np
import pytest
from judged_pair import Early, NoCross, Pair, Rising, Single, Transposed, Twice, Unclipped, pair_pack, sound

from amtl_cvx.arrays import Array
from amtl_cvx.errors import ModelError
from amtl_cvx.reference import Pack
from amtl_cvx.reference.judge import Asked, Cause, Failure, PythonBackEnd, Verdict, judge, plan
from amtl_cvx.reference.judge.choice import chosen
from amtl_cvx.reference.judge.plan import planned


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> list[Pack]:
    place = tmp_path_factory.mktemp("packs")
    return [pair_pack(place, reduction=reduction) for reduction in ("mean", "sum")]


@pytest.fixture(autouse=True)
def no_causes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks why: that is what the tests of the causes are about."""
    monkeypatch.setattr(plan, "causes_of", lambda failure: ())


def failures(verdict: Verdict) -> set[str]:
    return {result.check.name for result in verdict.failed}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.sampled(3)
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
        (
            Single,
            {"objective-generic", "losses-answer", "rounds-zero"},
            {"w-step-residual-generic", "fit-feasible-zero"},
        ),
        (Twice, {"b-step-gap-generic", "rounds-zero", "fit-objective-zero"}, {"objective-generic"}),
        (Rising, {"rounds-zero", "rounds-fall-zero"}, {"fit-gap-zero", "w-step-gap-generic"}),
    ],
)
def test_a_mistake_fails_where_it_is_and_nowhere_else(
    packs: list[Pack], broken: type[Pair], some: set[str], none: set[str]
) -> None:
    verdict = judge(broken, packs=packs[:1], levels=["L0", "L1", "L2", "L3"])
    assert not verdict.passes
    assert some <= failures(verdict) and not none & failures(verdict)


def test_a_failure_hands_over_all_that_a_cause_needs(
    packs: list[Pack], monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[Failure] = []

    def causes(failure: Failure) -> tuple[Cause, ...]:
        handed.append(failure)
        return (Cause(name="mine", sentence="it is mine"),)

    monkeypatch.setattr(plan, "causes_of", causes)
    verdict = judge(Transposed, packs=packs[:1], levels=["L0", "L1", "L2"])
    bad = {result.check.id: result for result in verdict.failed}
    assert {failure.check for failure in handed} == set(bad)
    assert verdict.causes() == {"mine": len(bad)}
    failure = next(f for f in handed if f.check == "L0/gradient-W-generic/pair-mean")
    assert failure.quantity == "gradient_W" and failure.answer["gradient_W"].shape == (3, 2)
    point = failure.problem.at(failure.asked.W, failure.asked.B)
    assert np.array_equal(failure.right["gradient_W"], point.gradient_W)
    assert "off by" in bad[failure.check].words and "entries are off" in bad[failure.check].words
    assert np.shape(failure.limit) == (3, 2) and bad[failure.check].evidence["answer"].shape == (3, 2)


class Odd(Pair):
    """A W-step that gives whatever it is told."""

    gives: Any = None

    def w_step(self, asked: Asked) -> Any:
        return self.gives(asked) if callable(self.gives) else self.gives


def _raises(asked: Asked) -> Array:
    raise SystemExit("gone")


class Lazy:
    """An array that is computed when it is looked at."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        while threading.current_thread() is threading.main_thread():
            time.sleep(0.01)  # unbounded
        raise ZeroDivisionError


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
        (lambda asked: {"B": asked.B}, "must give W, its mapping has B", "no-answer"),
        (lambda asked: Lazy(), "no array of numbers: ZeroDivisionError", "no-answer"),
        (_raises, "w_step raised SystemExit: gone", "raised"),
        (_writes, r"wrote into asked.X\[1\]", "input-written"),
    ],
)
@pytest.mark.sampled(3)
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

    verdict = judge(Vast, packs=packs[:1], levels=["L0", "L1", "L2", "L3"])
    assert {result.check.needs for result in verdict.failed} == {"w-step", "b-step", "fit"}
    assert not [r for r in verdict.results if r.check.needs in ("w-step", "fit") and r.status == "passed"]


def test_a_call_that_does_not_end_is_given_up_and_not_made_for_ever(packs: list[Pack]) -> None:
    calls: list[str] = []

    class Hanging(Pair):
        def w_step(self, asked: Asked) -> Array:
            calls.append(asked.reduction)
            while True:
                time.sleep(0.01)

    backend = PythonBackEnd(Hanging(), limit=0.1)
    started = time.perf_counter()
    verdict = judge(backend, packs=[*packs, *packs], levels=["L1"])
    assert time.perf_counter() - started < 10.0 and calls == ["mean", "sum"]
    bad = [result for result in verdict.results if result.check.needs == "w-step"]
    assert all(
        result.status == "failed" and "end" in result.words + result.causes[0].sentence for result in bad
    )
    assert {result.check.needs for result in verdict.failed} == {"w-step"} and "0.1 s" in verdict.bounds


def test_what_a_back_end_has_not_is_skipped_with_the_reason(packs: list[Pack]) -> None:
    class Few:
        def evaluate(self, asked: Asked) -> dict[str, Any]:
            sound(asked)
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

    verdict = judge(Announced, packs=packs[:1], levels=["L0", "L1", "L3"])
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


def test_unasked_it_is_every_kind_of_small_pack_and_more_than_120_checks() -> None:
    backend = PythonBackEnd(type("Whole", (Pair,), {"losses": ("squared", "logistic")})())
    packs = chosen(backend, None)
    kinds = {(pack.ask, pack.about["loss"], pack.about["reduction"]) for pack in packs}
    assert {("joint", loss, way) for loss in ("squared", "logistic") for way in ("mean", "sum")} <= kinds
    assert {ask for ask, _, _ in kinds} == {"joint", "w-step", "b-step", "one-task"}
    assert all(pack.about["T"] * pack.about["d"] <= 64 for pack in packs)
    hard = [pack for pack in packs if pack.about["grade"] == "hard"]
    assert all(min(pack.about["rows"]) < pack.about["d"] for pack in hard)
    assert not any("problem/sample_weight.npy" in pack.about["files"] for pack in packs)
    ids = [plan.id for plan in planned(backend, packs, None)]
    assert len(set(ids)) == len(ids) >= 300
