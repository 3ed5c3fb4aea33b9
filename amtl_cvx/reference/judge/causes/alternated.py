"""Causes of wrong objectives of half-steps: the rounds are gone through with every mistake, while they fit.

A mistake may be made in what the steps solve, in the value that is said, or in both; the first half-step
that does not fit ends a trial, so that most of them cost one step in W.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.reference.judge.causes.case import Case, Match
from amtl_cvx.reference.judge.causes.evaluated import rescalings
from amtl_cvx.reference.judge.causes.formula import Formula
from amtl_cvx.reference.judge.causes.solving import best_B, best_W
from amtl_cvx.reference.judge.causes.variation import Variation, as_given

_LOOSE = 0.1  # of an early stop, in J


@dataclass(frozen=True, kw_only=True, eq=False)
class Method:
    """An alternation with mistakes: formulas of value and steps, and what is done to B after its step."""

    value: Formula
    W: Formula
    B: Formula
    stale: bool = False
    after: str = ""
    start: Array | None = None
    turned: str = ""
    """Where B is read as B': "v" in the value, "W" in the step in W."""
    first: dict[int, tuple[Formula, Array | None]] = field(default_factory=dict)
    """The first step in W by its formula, shared: most trials end there."""


def alternated(case: Case) -> list[Match]:
    """The mistakes that give the objectives."""
    answer = np.asarray(case.answer["objectives"], dtype=float)
    right = Method(value=case.right, W=case.right, B=case.right)
    truth = _objectives(case, right, answer, prune=False)
    if truth is None:
        return []
    size = np.abs(truth).max()
    far = float(np.abs(answer - truth).max() / size)
    found: dict[str, Match] = {}
    for name, words, method, varied in _methods(case, right):
        if name in found:
            continue
        said = _objectives(case, method, answer, prune=True)
        if said is not None and case.same(
            float(np.abs(answer - said).max() / np.abs(said).max()), far, _near(case)
        ):
            sentence = f"your objectives are those with {words}"
            found[name] = Match(name=name, words=sentence, varied=varied, value=np.array(said))
    return list(found.values()) or _loosely(case, answer, truth)


def _near(case: Case) -> float:
    return 1e-3 if case.single else 1e-7


def _methods(case: Case, right: Method) -> Iterator[tuple[str, str, Method, tuple[Variation, ...]]]:
    for each in case.varied:
        changed, start = each.change(case.right), None
        if each.read is not as_given:
            start = each.read(changed, case.start).B
            if np.array_equal(start, case.start.B):
                continue
        for side in each.sides:
            method = replace(
                right,
                value=changed if "v" in side else case.right,
                W=changed if "W" in side else case.right,
                B=changed if "B" in side else case.right,
                start=start,
            )
            where = {"v": " in the value alone", "W": " in the step in W", "B": " in the step in B"}.get(
                side, ""
            )
            yield each.name, f"{each.words}{where}", method, (each,)
    for turned, words in (("vW", ""), ("W", " in the step in W"), ("v", " in the value alone")):
        yield "transposed B", f"B transposed{words}", replace(right, turned=turned, first={}), ()
    yield "stale losses", "edges priced by the losses of the round before", replace(right, stale=True), ()
    for after, name, words in (
        ("transposed", "transposed B", "B transposed after its step"),
        ("free", "B not clipped", "a step in B without B >= 0"),
        ("clipped", "B not clipped", "negative entries of B set to 0 after a step without B >= 0"),
        ("rows of B that sum to 1", "B rescaled", "rows of B divided by their sums"),
        ("columns of B that sum to 1", "B rescaled", "columns of B divided by their sums"),
        ("a B that sums to T", "B rescaled", "a B that is made to sum to T"),
        ("a B that sums to 1", "B rescaled", "a B that is made to sum to 1"),
        ("a largest entry of B that is 1", "B rescaled", "a B whose largest entry is made 1"),
    ):
        yield name, words, replace(right, after=after), ()
        if after in ("free", "clipped"):
            free = replace(case.right, mu=0.0)
            yield name, f"{words} and mu = 0 in it", replace(right, after=after, B=free), ()


def _objectives(case: Case, method: Method, answer: Array, *, prune: bool) -> Array | None:
    """The objectives of the rounds; None where a step is not found or, pruned, one differs."""
    W, B = case.start.W, case.start.B if method.start is None else method.start
    said: list[float] = []
    for k in range(len(answer)):
        if k % 2 == 0:
            read = B.T if "W" in method.turned else B
            found = _weights(method, W, read, first=k == 0 and method.start is None)
            if found is None:
                return None
            before, W = W, found
        else:
            after = _graph(method, W, before)
            if after is None:
                return None
            B = after
        value = method.value.objective(W, B.T if "v" in method.turned else B)
        if prune and not abs(value - answer[k]) <= 10.0 * _near(case) * abs(value):
            return None
        said.append(value)
    return np.array(said)


def _weights(method: Method, W: Array, B: Array, *, first: bool) -> Array | None:
    key = id(method.W)
    if not first:
        return best_W(method.W, B, W)
    if key not in method.first:
        method.first[key] = (method.W, best_W(method.W, B, W))  # which keeps the formula, and its id
    return method.first[key][1]


def _graph(method: Method, W: Array, before: Array) -> Array | None:
    formula = method.B
    if method.stale:
        formula = replace(formula, held=formula.losses(before, priced=True))
    B = best_B(formula, W, free=method.after in ("free", "clipped"))
    if B is None or method.after in ("", "free"):
        return B
    if method.after == "transposed":
        return B.T
    if method.after == "clipped":
        return np.maximum(B, 0.0)
    return dict(rescalings(B)).get(method.after, B)


def _loosely(case: Case, answer: Array, truth: Array) -> list[Match]:
    """Objectives a little above the right ones, or right to what float32 gives."""
    miss = (answer - truth) / np.abs(truth)
    size = float(np.abs(miss).max())
    if not case.single and size <= 1e-5 and (miss < 0.0).any():
        words = f"your objectives are right to {size:.1g}, as sums in float32 are"
        return [Match(name="float32 accumulation", words=words, loose=True)]
    falls = bool((np.diff(answer) <= 1e-9 * np.abs(answer[1:])).all())
    off = miss[np.abs(miss) > _near(case)]  # later steps are from other points, and may be below
    if falls and size <= _LOOSE and len(off) and off[0] > 0.0:
        words = f"your objectives fall, and are up to {size:.1g} off those of exact steps"
        return [Match(name="early stop", words=words, loose=True)]
    return []
