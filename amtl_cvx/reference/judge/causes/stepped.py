"""Causes of a wrong step or final point: a mistaken stationarity vanishes there, the right one does not."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.reference.judge.causes.arranged import arranged
from amtl_cvx.reference.judge.causes.case import Case, Match
from amtl_cvx.reference.judge.causes.formula import Formula
from amtl_cvx.reference.judge.causes.quality import quality
from amtl_cvx.reference.judge.causes.residual import difference, ratio_B, ratio_W
from amtl_cvx.reference.judge.causes.scaled import rescaled
from amtl_cvx.reference.judge.causes.solving import best_B
from amtl_cvx.reference.judge.causes.variation import Point, Variation

WORDS = {
    "w_step": "your W is the best one with",
    "one_task": "your w is the best one with",
    "b_step": "your B is the best one with",
    "fit": "your W and B are a first-order point with",
}


def stepped(case: Case) -> list[Match]:
    """The mistakes that explain the answer; exact ones, else pairs, else how far it came."""
    point, parts = answered(case), {"w_step": "W", "one_task": "W", "b_step": "B", "fit": "WB"}[case.quantity]
    sides = _Sides(case, point, parts)
    found = [*sides.found(), *arranged(case, point, sides.misses), *rescaled(case, point, sides.misses)]
    if not found and case.quantity == "fit":
        found = sides.found(nearly=True)
    return found or sides.pairs() or quality(case, point)


def answered(case: Case) -> Point:
    """The point of the answer: what was not asked for stands as it was given."""
    W, B = case.start
    if case.quantity == "one_task":
        W = W.copy()
        W[:, case.question.task] = case.answer["w"]
        return Point(W, B)
    return Point(case.answer.get("W", W), case.answer.get("B", B))


class _Sides:
    """Residuals by formula and block."""

    def __init__(self, case: Case, point: Point, parts: str) -> None:
        self.case, self.point, self.parts = case, point, parts
        self.right = {part: self._ratio(part, case.right, point) for part in parts}

    def _ratio(self, part: str, formula: Formula, point: Point, **bounds: bool) -> float:
        if part == "B":
            return ratio_B(formula, point, **bounds)
        task = self.case.question.task
        tasks = (task,) if self.case.quantity == "one_task" and task is not None else None
        return ratio_W(formula, point, tasks=tasks)

    def misses(self, point: Point) -> float:
        """The largest right residual at another point."""
        return max(self._ratio(part, self.case.right, point) for part in self.parts)

    @property
    def worst(self) -> float:
        return max(self.right.values())

    def fits(self, part: str) -> bool:
        """Whether the right formula explains this block."""
        return self.right[part] <= self.case.small and self.right[part] * 30.0 <= self.worst

    def found(self, *, nearly: bool = False) -> list[Match]:
        """The variations of which all blocks are an answer, or nearly one."""
        found = []
        for each in self.case.varied:
            formula = each.change(self.case.right)
            if self._explains(each, formula, nearly):
                found.append(self._match(each))
        return found if nearly else [*found, *self._bounds()]

    def _explains(self, each: Variation, formula: Formula, nearly: bool) -> bool:
        point = each.read(formula, self.point)
        moved = point is not self.point
        for side in each.sides:
            touched = [part for part in self.parts if part in side]
            if not touched or (len(self.parts) == 2 and moved and len(touched) < 2):
                continue
            ratios = [
                self._ratio(part, formula if part in side else self.case.right, point) for part in self.parts
            ]
            if self.case.vanishes(max(ratios), self.worst, nearly=nearly):
                return True
        return False

    def _match(self, *varied: Variation) -> Match:
        words = " and ".join(each.words for each in varied)
        return Match(
            name=" + ".join(dict.fromkeys(each.name for each in varied)),
            words=f"{WORDS[self.case.quantity]} {words}",
            varied=varied,
        )

    def _bounds(self) -> list[Match]:
        """B without B >= 0, or with a diagonal."""
        if "B" not in self.parts:
            return []
        case, point, found = self.case, self.point, []
        if (point.B < 0.0).any() and self.misses(Point(point.W, np.maximum(point.B, 0.0))) <= case.small:
            said = "your B is right but for negative entries, which have to be 0"
            return [Match(name="B not clipped", words=said)]
        W_holds = "W" not in self.parts or self._ratio("W", case.right, point) <= case.small
        if not W_holds:
            return []
        priceless = replace(case.right, mu=0.0)
        far = self.right["B"]
        for formula, words in ((case.right, ""), (priceless, " and mu = 0")):
            if case.vanishes(self._ratio("B", formula, point, free=True), far):
                found.append(
                    Match(name="B not clipped", words=f"your B is the best one without B >= 0{words}")
                )
                break
            free = best_B(formula, point.W, free=True)
            if free is not None and (free < 0.0).any():
                clipped = np.maximum(free, 0.0)
                if case.vanishes(_apart(point.B, clipped), far):
                    said = f"your B is the best one without B >= 0{words}, its negative entries then set to 0"
                    found.append(Match(name="B not clipped", words=said))
                    break
        return [*found, *self._leaks(priceless, far)]

    def _leaks(self, priceless: Formula, far: float) -> list[Match]:
        case, (W, B) = self.case, self.point
        if not np.abs(np.diag(B)).max() > 1e-12 * float(np.abs(B).max()):
            return []
        off = B - np.diag(np.diag(B))
        if self.misses(Point(W, off)) <= case.small:
            return [
                Match(name="diagonal leak", words="your B is right but for its diagonal, which has to be 0")
            ]
        for formula, words in ((case.right, ""), (priceless, " and mu = 0")):
            if case.vanishes(self._ratio("B", formula, self.point, leak=True), far):
                said = f"your B is the best one where a task may be rebuilt from itself{words}"
                return [Match(name="diagonal leak", words=said)]
        return []

    def pairs(self) -> list[Match]:
        """Two mistakes at once: one in each block, or both in one; what explains a block alone comes last."""
        if len(self.parts) == 2:
            return self._two_blocks()
        part = self.parts
        usable = [each for each in self.case.plain if any(part in side for side in each.sides)]
        for first, second in itertools.combinations(usable, 2):
            if first.name == second.name or first.name == "one-row gradients":
                continue
            formula = second.change(first.change(self.case.right))
            point = second.read(formula, first.read(formula, self.point))
            if self.case.vanishes(self._ratio(part, formula, point), self.worst):
                return [self._match(first, second)]
        return []

    def _two_blocks(self) -> list[Match]:
        of: dict[str, list[Variation]] = {}
        for part in self.parts:
            of[part] = [each for each in self.case.varied if self._alone(each, part)]
        if of["W"] and of["B"]:
            return [self._match(of["W"][0], of["B"][0])]
        block = {"W": "your W is the best one for your B with", "B": "your B is the best one for your W with"}
        return [
            Match(name=each.name, words=f"{block[part]} {each.words}", varied=(each,))
            for part in self.parts
            for each in _first_of_each(of[part])
        ]

    def _alone(self, each: Variation, part: str) -> bool:
        if not any(part in side for side in each.sides):
            return False
        formula = each.change(self.case.right)
        ratio = self._ratio(part, formula, each.read(formula, self.point))
        return self.case.vanishes(ratio, self.right[part])


def _first_of_each(varied: Iterable[Variation]) -> list[Variation]:
    return list({each.name: each for each in reversed(list(varied))}.values())[::-1]


def _apart(B: Array, other: Array) -> float:
    return difference(B, other, np.full_like(other, max(float(np.abs(other).max()), 1e-300)))
