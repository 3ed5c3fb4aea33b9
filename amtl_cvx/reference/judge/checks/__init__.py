"""The checks, level by level; importing this registers all of them.

L0 evaluate    J, its losses and gradients at given points
L1 steps       one W-step, one task of it; edges: one B-step
L2 rounds      the objective after each half-step
L3 final       the final point
L4 relations   what must hold between answers; prices: at other prices of edges
L5 refusals    bad input is refused
"""

from amtl_cvx.reference.judge.checks import (
    edges,
    evaluate,
    final,
    prices,
    refusals,
    relations,
    rounds,
    steps,
)
from amtl_cvx.reference.judge.checks.registry import KINDS, Kind, check

__all__ = [
    "KINDS",
    "Kind",
    "check",
    "edges",
    "evaluate",
    "final",
    "prices",
    "refusals",
    "relations",
    "rounds",
    "steps",
]
