"""When should the alternation hand over to refinement? Writes handover.md beside it.

Random problems (T 5 to 15, d T - 1 to 21) are solved by the plain alternation to a residual of 1e-7, and by
`fit` with several hand-overs. Counted: runs that end at the J of the plain alternation (to 1e-5), lower, or
higher, and the seconds of all runs. `python reports/benchmark/handover.py`, about six minutes.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402

from amtl_cvx import LossWeightedL1, Model, Options, Squared, TaskSet, fit  # noqa: E402

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from machine import machine  # noqa: E402

SEEDS = range(80)
HANDOVERS: dict[str, dict[str, Any]] = {
    "after 1 round": {"max_rounds": 1},
    "after 2 rounds": {"max_rounds": 2},
    "after 4 rounds": {"max_rounds": 4},
    "after 8 rounds": {"max_rounds": 8},
    "residual 0.1": {"handover": 0.1},
    "residual 0.03": {"handover": 0.03},
    "residual 0.003": {"handover": 0.003},
    "as it comes": {},
}


def problem(seed: int) -> tuple[TaskSet, Model]:
    """Tasks of low rank with unequal noise, random price and coupling."""
    rng = np.random.default_rng(seed)
    T = int(rng.integers(5, 16))
    d = int(rng.integers(T - 1, 22))
    n = int(rng.integers(d, 3 * d))
    rank = int(rng.integers(1, 5))
    W = rng.normal(size=(d, rank)) @ rng.normal(size=(rank, T)) + 0.2 * rng.normal(size=(d, T))
    X = [rng.normal(size=(n, d)) for _ in range(T)]
    y = [A @ w + s * rng.normal(size=n) for A, w, s in zip(X, W.T, rng.uniform(0.1, 2.0, T), strict=True)]
    mu, coupling = 10 ** rng.uniform(-2, 0), 10 ** rng.uniform(-1, 1)
    return TaskSet.from_arrays(X, y), Model(loss=Squared(), transfer=LossWeightedL1(mu=mu), coupling=coupling)


def main() -> None:
    """Run all and write the table."""
    ended: dict[str, Counter[str]] = {name: Counter() for name in HANDOVERS}
    seconds: Counter[str] = Counter()
    counted = 0
    for seed in SEEDS:
        tasks, model = problem(seed)
        plain = Options(engine="fast", refine=False, max_rounds=3000, tol=1e-7)
        reference = fit(tasks, model, options=plain)
        if reference.certificate.relative > 1e-5:
            continue  # the plain alternation did not arrive: its basin is not known
        counted += 1
        for name, options in HANDOVERS.items():
            started = time.perf_counter()
            found = fit(tasks, model, options=Options(engine="fast", **options))
            seconds[name] += time.perf_counter() - started
            apart = found.objective / reference.objective - 1.0
            ended[name]["same" if abs(apart) < 1e-5 else "lower" if apart < 0 else "higher"] += 1
    rows = [
        f"| {name} | {ended[name]['same']} | {ended[name]['lower']} | {ended[name]['higher']} "
        f"| {seconds[name]:.1f} |"
        for name in HANDOVERS
    ]
    text = f"""# When to hand over from the alternation to refinement

Written by `python reports/benchmark/handover.py`; do not edit.

{counted} of {len(SEEDS)} random problems (seeds from 0) on which 3000 rounds of the plain alternation arrive.
Where `fit` (fast engine) ends, held against it:

| hand-over | at its J | lower | higher | seconds, all runs |
|---|---|---|---|---|
{chr(10).join(rows)}

{machine()}
"""
    (HERE / "handover.md").write_text(text)


if __name__ == "__main__":
    main()
