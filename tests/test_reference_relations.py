"""Relations between answers (L4) and bad input (L5): each is broken by one mistake that it is there for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from judged_pair import Pair, pair_pack

from amtl_cvx.arrays import Array
from amtl_cvx.reference import Pack
from amtl_cvx.reference.judge import Asked, judge
from amtl_cvx.reference.judge.checks.refusals import SPOILT


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return pair_pack(tmp_path_factory.mktemp("packs"))


def failed(backend: Pair, pack: Pack, level: str) -> dict[str, list[str]]:
    """The names of failed checks, with their causes."""
    verdict = judge(backend, packs=[pack], levels=[level])
    assert verdict.counts()
    return {result.check.name: [cause.name for cause in result.causes] for result in verdict.failed}


class FirstScale(Pair):
    """Every task divided by the rows of the first."""

    def scales(self, asked: Asked) -> Array:
        return np.full(asked.T, super().scales(asked)[0])


class FirstRow(Pair):
    """The first row of a task counts twice."""

    def residuals(self, asked: Asked, W: Array) -> list[Array]:
        return [np.r_[np.sqrt(2.0) * r[:1], r[1:]] for r in super().residuals(asked, W)]


class Intercept(Pair):
    """The last feature is an intercept, which the coupling leaves out."""

    def objective(self, asked: Asked, W: Array, B: Array) -> Any:
        R = W - W @ B
        return super().objective(asked, W, B) - asked.coupling * (R[-1] ** 2).sum()


class Sums(Pair):
    """Sums for means."""

    def scales(self, asked: Asked) -> Array:
        return np.ones(asked.T)


class Ridge(Pair):
    """A little ridge, in units of its own."""

    def best_W(self, asked: Asked, B: Array) -> Array:
        eye = 0.01 * np.eye(asked.d)
        X = [np.vstack([X, eye]) for X in asked.X]
        y = [np.r_[y, np.zeros(asked.d)] for y in asked.y]
        scales = self.scales(asked)
        self.scales = lambda _: scales  # type: ignore[method-assign]
        try:
            return super().best_W(replace(asked, X=X, y=y), B)
        finally:
            del self.scales


class Positive(Pair):
    """Predictors are positive."""

    def best_W(self, asked: Asked, B: Array) -> Array:
        return np.maximum(super().best_W(asked, B), 0.0)


class ByName(Pair):
    """Tasks sorted by name, and not put back."""

    def w_step(self, asked: Asked) -> Array:
        return super().w_step(asked)[:, np.argsort(asked.task_names)]


class Unweighted(Pair):
    """Task weights are 1."""

    def raised(self, asked: Asked, B: Array) -> Array:
        return super().raised(replace(asked, task_weights=np.ones(asked.T)), B)


class SquaredPrice(Pair):
    """mu^2 for mu."""

    def objective(self, asked: Asked, W: Array, B: Array) -> Any:
        return super().objective(replace(asked, mu=asked.mu**2), W, B)


class SquaredCoupling(Pair):
    """coupling^2 for coupling."""

    def objective(self, asked: Asked, W: Array, B: Array) -> Any:
        return super().objective(replace(asked, coupling=asked.coupling**2), W, B)


class Thresholded(Pair):
    """Small edges are left out."""

    def best_B(self, asked: Asked, W: Array) -> Array:
        B = super().best_B(asked, W)
        return np.where(0.9 * B.max() < B, B, 0.0)


class Floor(Pair):
    """An edge is never quite 0."""

    def best_B(self, asked: Asked, W: Array) -> Array:
        return np.maximum(super().best_B(asked, W), 1e-4 * (1.0 - np.eye(2)))


BROKEN: dict[type[Pair], set[str]] = {
    FirstScale: {"permute-tasks-values", "permute-tasks-w-step"},
    FirstRow: {"permute-rows-values"},
    Intercept: {"rotate-features-values"},
    Sums: {"repeat-rows-values", "repeat-rows-w-step", "repeat-rows-fit"},
    Ridge: {"scale-w-step"},
    Positive: {"flip-signs-w-step"},
    ByName: {"rename-w-step"},
    Unweighted: {"double-weights-values", "double-weights-w-step"},
    SquaredPrice: {"affine-mu"},
    SquaredCoupling: {"affine-coupling"},
    Thresholded: {"free-b-step"},
    Floor: {"dear-b-step", "dear-fit"},
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
@pytest.mark.sampled(13)
def test_a_relation_is_broken_by_what_it_is_there_for(broken: type[Pair], pack: Pack) -> None:
    backend: Any = broken()
    if not any(name.endswith("-fit") for name in BROKEN[broken]):
        backend.fit = None  # which takes its time to go nowhere
    found = failed(backend, pack, "L4")
    names = {name.partition("/")[0] for name in found}
    assert names >= BROKEN[broken], names


@pytest.mark.slow
def test_a_broken_relation_names_the_mistake_behind_it(pack: Pack) -> None:
    assert failed(Sums(), pack, "L4")["repeat-rows-w-step"] == ["sum for mean"]
    assert failed(ByName(), pack, "L4")["rename-w-step"] == ["tasks permuted"]


# ------------------------------------------------------------------------------------------ bad input


def _finite(parts: Any) -> Any:
    return [np.nan_to_num(part, posinf=1.0, neginf=1.0) for part in parts]


def _cut(array: Array, *shape: int) -> Array:
    return array[: shape[0], : shape[1]]


def _filled(asked: Asked) -> Asked:
    some = [X if len(X) else asked.X[0] for X in asked.X]
    return replace(asked, X=some, y=[y if len(y) else asked.y[0] for y in asked.y])


MENDED: dict[str, tuple[set[str], Callable[[Asked], Asked]]] = {
    "X": ({"nan-in-X", "inf-in-X"}, lambda asked: replace(asked, X=_finite(asked.X))),
    "y": ({"nan-in-y", "inf-in-y"}, lambda asked: replace(asked, y=_finite(asked.y))),
    "W": ({"nan-in-W", "inf-in-W"}, lambda asked: replace(asked, W=_finite([asked.W])[0])),
    "B": ({"nan-in-B"}, lambda asked: replace(asked, B=_finite([asked.B])[0])),
    "rows": (
        {"rows-of-y"},
        lambda asked: replace(
            asked, X=[X[: len(y)] if len(y) else X for X, y in zip(asked.X, asked.y, strict=True)]
        ),
    ),
    "shape of W": ({"shape-of-W"}, lambda asked: replace(asked, W=_cut(asked.W, asked.d, asked.T))),
    "shape of B": ({"shape-of-B"}, lambda asked: replace(asked, B=_cut(asked.B, asked.T, asked.T))),
    "no rows": ({"empty-task"}, _filled),
    "number": (
        {"number-of-task-weights"},
        lambda asked: replace(asked, task_weights=np.resize(asked.task_weights, asked.T)),
    ),
    "task weights": (
        {"negative-task-weight"},
        lambda asked: replace(asked, task_weights=np.abs(asked.task_weights)),
    ),
    "mu": ({"negative-mu"}, lambda asked: replace(asked, mu=abs(asked.mu))),
    "no mu": ({"nan-mu"}, lambda asked: replace(asked, mu=asked.mu if asked.mu == asked.mu else 0.0)),
    "coupling": ({"negative-coupling"}, lambda asked: replace(asked, coupling=abs(asked.coupling))),
    "no coupling": ({"coupling-zero"}, lambda asked: replace(asked, coupling=asked.coupling or 1.0)),
    "diagonal": (
        {"diagonal-of-start"},
        lambda asked: replace(asked, B=asked.B - np.diag(np.diag(asked.B))),
    ),
    "start": ({"negative-start"}, lambda asked: replace(asked, B=np.maximum(asked.B, 0.0))),
}
"""What a back end mends instead of refusing it, and the checks that tell."""


@pytest.mark.parametrize("what", MENDED)
@pytest.mark.sampled(5)
def test_what_is_mended_in_silence_is_not_refused(what: str, pack: Pack) -> None:
    names, mend = MENDED[what]

    class Mending(Pair):
        def evaluate(self, asked: Asked) -> dict[str, Any]:
            return super().evaluate(mend(asked))

        def w_step(self, asked: Asked) -> Array:
            return super().w_step(mend(asked))

        def b_step(self, asked: Asked) -> Array:
            return super().b_step(mend(asked))

        def fit(self, asked: Asked) -> tuple[Array, Array]:
            return super().fit(mend(asked))

    found = failed(Mending(), pack, "L5")
    assert {name.partition("/")[0] for name in found} == names
    asks = {spoilt.name: set(spoilt.asks) for spoilt in SPOILT}
    assert set(found) == {f"{name}/{ask}" for name in names for ask in asks[name]}


def test_all_that_is_spoilt_is_tried_on_some_back_end() -> None:
    tried = set().union(*(names for names, _ in MENDED.values()))
    assert {each.name for each in SPOILT} - tried == {"negative-row-weight", "no-classes"}


def test_an_answer_of_nans_is_no_refusal(pack: Pack) -> None:
    class Through(Pair):
        def w_step(self, asked: Asked) -> Array:
            return (
                np.full((asked.d, asked.T), np.nan) if np.isnan(asked.X[-1]).any() else super().w_step(asked)
            )

    assert set(failed(Through(), pack, "L5")) == {"nan-in-X/w-step"}


@pytest.mark.slow
def test_the_right_steps_keep_every_relation(pack: Pack) -> None:
    assert failed(Pair(), pack, "L4") == {}
