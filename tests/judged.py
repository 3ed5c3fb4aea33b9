"""A verdict with every kind of result, for the tests of tables and pages: T = 4 tasks, d = 6 features."""

from __future__ import annotations

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.reference.judge.failure import Cause
from amtl_cvx.reference.judge.verdict import Check, Result, Status, Verdict

INCOMING = Cause(
    name="incoming-weights",
    sentence="your gradient equals the one with incoming weights",
    fix="weigh the loss of task t by 1 + mu times the sum of row t of B, what it gives",
)
TRANSPOSED = Cause(name="transposed-B", sentence="your B is the right one transposed", fix="return B.T")


def check(level: str, name: str, needs: str = "evaluate", pack: str = "tiny-pair") -> Check:
    return Check(id=f"{level}/{name}/{pack}", level=level, name=name, title=name, needs=needs, pack=pack)


def result(
    kind: Check,
    status: Status = "failed",
    words: str = "",
    causes: tuple[Cause, ...] = (),
    reason: str = "",
    figures: dict[str, float] | None = None,
    **evidence: Array,
) -> Result:
    return Result(
        check=kind,
        status=status,
        words=words or f"{kind.name} is off",
        causes=causes,
        reason=reason,
        figures=figures or {},
        seconds=0.25,
        evidence=evidence,
    )


def failures() -> tuple[Result, ...]:
    """A failed check of every kind that has a picture of its own."""
    rng = np.random.default_rng(0)
    right = rng.normal(size=(6, 4))
    factor = np.array([1.0, 1.3, 1.0, 0.7])
    wrong, limit = right * factor, np.full((6, 4), 1e-9)
    wide = right * 10.0 ** rng.integers(-8, 3, size=(6, 4))
    rounds = 5.0 + 10.0 * 0.6 ** np.arange(10)
    B = np.abs(rng.normal(size=(4, 4))) * (rng.random((4, 4)) > 0.4)
    np.fill_diagonal(B, 0.0)
    one = np.array(14.304960974)
    words = "gradient_W is off by 3.1e+08 limits in 12 of 24 entries"
    return (
        result(
            check("L0", "gradient-W"), words=words, causes=(INCOMING,), answer=wrong, right=right,
            limit=limit, mistaken=wrong, figures={"off": 0.31, "limit": 1e-9},
        ),
        result(check("L0", "gradient-W-wide"), answer=wide * factor, right=wide, limit=1e-12 * np.abs(wide)),
        result(
            check("L0", "losses"), causes=(INCOMING, TRANSPOSED),
            answer=right[0] * 2, right=right[0], limit=np.array(1e-10), mistaken=right[0] * 2.0,
        ),
        result(check("L0", "objective"), answer=one * 2, right=one, limit=np.array(1e-13)),
        result(
            check("L1", "b-step", "b-step"), causes=(TRANSPOSED,), answer=B.T, right=B, limit=np.array(1e-8)
        ),
        result(check("L1", "one-task", "one-task"), answer=right[:, 0] + 1e-3, right=right[:, 0]),
        result(
            check("L1", "w-step", "w-step"), answer=right + 1e-3 * right**3, right=right,
            figures={"gap": 2.1e-4, "limit": 9.2e-11},
        ),
        result(check("L2", "half-steps", "rounds"), answer=rounds * 1.01, right=rounds, limit=1e-10 * rounds),
        result(
            check("L3", "first-order", "fit"),
            figures={"relative residual": 3.1e-5, "gap_B": 2.2e-3, "gain_W": 0.4, "limit": 1e-10},
        ),
        result(check("L3", "final-point", "fit"), answer=right),
        result(check("L3", "shape", "fit"), words="W has shape (4, 6), expected (6, 4): turn it"),
        result(
            check("L3", "crash", "fit"), words="ended by signal 11 after 0.02 s", figures={"seconds": 0.02},
            answer=np.array([np.nan, 1.0]), right=np.array([1.0, 1.0]), limit=np.array(1e-9),
        ),
    )  # fmt: skip


def verdict() -> Verdict:
    """All statuses; the failures above."""
    others = (
        result(check("L0", "hinge"), "skipped", "hinge: not among its losses"),
        result(check("L0", "sum"), "passed", "right to 3 limits"),
        result(check("L5", "nan-in-X", pack=""), "expected", "took it", reason="we do not look"),
        result(check("L5", "negative-mu", pack=""), "unexpected pass", "refused", reason="taken so far"),
    )
    results = sorted((*failures(), *others), key=lambda each: each.check.level)
    return Verdict(
        backend="mine <b>", dtype="float64", results=tuple(results), packs=("tiny-pair",), seconds=3.75,
        bounds="20 s and 2 GiB a check", unused=("L9/*",),
    )  # fmt: skip


def passing() -> Verdict:
    """Nothing but passed checks."""
    found = tuple(result(check(f"L{k}", "right"), "passed", "right") for k in range(6))
    return Verdict(backend="mine", dtype="float32", results=found, seconds=1.5)
