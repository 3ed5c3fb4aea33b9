"""Learned features again, from a moved start: Newton's method in balls, or kink Newton of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.reference.claims.numbers import shared
from amtl_cvx.reference.claims.routes.again import Again, start_words

DIGITS, GOAL = 45, 50


def features_again(point: Any, moves: Sequence[float], moved: Callable[[Array, float, str], Array]) -> Again:
    """L, S and A by Newton's method in balls; the signs are those of the start."""
    from flint import arb, ctx

    from amtl_cvx.digits import require_flint
    from amtl_cvx.digits.decimals import decimal
    from amtl_cvx.digits.krawczyk import newton
    from amtl_cvx.digits.proof import check_rows, check_size
    from amtl_cvx.features.balls import FeatureSystem

    require_flint()
    check_rows(point.tasks, point.model.loss)
    failure: NotCertifiable | None = None
    for part in (each for each in moves if each <= 1e-2):
        start = point.at(**{name: moved(block, part, name) for name, block in point.blocks.items()})
        with ctx.workdps(100):
            system = FeatureSystem(start)
            check_size(point.tasks, system.size)
            try:
                x, _ = newton(system, system.unknowns(start), arb(10) ** -GOAL)
            except NotCertifiable as refusal:
                failure = refusal
                continue
            found = {
                name: [
                    ["0" if v.is_zero() else decimal(v.mid(), DIGITS) for v in row] for row in block.tolist()
                ]
                for name, block in zip("LSA", system.arrays(x), strict=True)
                if name in point.blocks
            }
            J = decimal(system.objective(x).mid(), DIGITS)
        if shared(point.blocks, found) >= 6:
            return Again(found, J, f"Newton's method in balls from {start_words(part)}")
    raise failure or NotCertifiable("Newton's method leads elsewhere from every start that was tried")


def network_again(point: Any, moves: Sequence[float], moved: Callable[[Array, float, str], Array]) -> Again:
    """All blocks by kink Newton from a moved start, off its kinks."""
    from amtl_cvx.network.newton import refine

    best: tuple[int, Any, float] | None = None
    for part in (each for each in moves if each <= 1e-2):
        blocks = {name: moved(np.asarray(block), part, name) for name, block in point.blocks.items()}
        start = point.problem.at(**blocks)
        found = refine(start, tol=1e-13).point
        count = shared(point.blocks, found.blocks)
        if best is None or count > best[0]:
            best = count, found, part
        if count >= 11:
            break
    assert best is not None
    _, found, part = best
    return Again(
        dict(found.blocks),
        found.objective,
        f"kink Newton from {start_words(part)}",
    )
