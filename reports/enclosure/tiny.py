"""200 random tiny problems through level C5: each ends within the limit of time, and what it ended with.

    python reports/enclosure/tiny.py [FIRST [LAST]]    problems FIRST to LAST - 1 of 200, kept in tiny.json

One to three tasks of one or two features and few rows; sizes of rows, targets, features, mu and coupling over
many decades, all kinds of task weights. Each is fitted and climbed to C5 (`ladder.climb`, its limit of time);
a point that does not come to C4 is bounded all the same (`enclose` within the same limit), so that every
problem meets the search. The page, tiny.md, is written from all that tiny.json holds; what an earlier call
has put there stays.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx import LossWeightedL1, Model, Squared, TaskSet, fit
from amtl_cvx.certificate import rungs
from amtl_cvx.enclosure import enclose
from amtl_cvx.errors import AMTLError, LimitReached, NotCertifiable
from amtl_cvx.ladder import climb
from amtl_cvx.limits import SECONDS, limited

sys.path.append(str(Path(__file__).parents[1]))

from machine import machine  # noqa: E402

HERE = Path(__file__).parent
COUNT = 200
ROOM = 60.0
"""Seconds beyond the limit that one factorisation, expansion or check may take."""


def problem(seed: int) -> tuple[TaskSet, Model]:
    """The problem of a seed."""
    rng = np.random.default_rng([11, seed])
    T, d = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    d = (
        d if T < 3 or seed % 20 == 7 else 1
    )  # a relaxation of T = 3, d = 2 takes ten seconds, with cells minutes
    counts = rng.integers(d + 1, d + 9, size=T)
    spread = 10 ** rng.uniform(-3, 3, size=d) if seed % 4 == 0 else np.ones(d)
    offset = 3 * rng.normal(size=d) if seed % 3 == 0 else np.zeros(d)
    X = [(rng.normal(size=(n, d)) + offset) * spread for n in counts]
    base, noise = rng.normal(size=d), 10 ** rng.uniform(-3, 0.5)
    y = [
        (x / spread) @ (base * rng.choice([1.0, 1.0, -1.0]) + 0.5 * rng.normal(size=d))
        + noise * rng.normal(size=len(x))
        for x in X
    ]
    scale = 10 ** rng.uniform(-4, 4)
    own = 10 ** rng.uniform(-2, 2, size=T) if seed % 5 == 0 else np.ones(T)
    weights = ("equal", "inverse-sqrt", tuple(10 ** rng.uniform(-2, 2, size=T)))[seed % 3]
    model = Model(
        loss=Squared(reduction=("mean", "sum")[seed % 2]),
        transfer=LossWeightedL1(mu=float(10 ** rng.uniform(-4, 2))),
        coupling=float(10 ** rng.uniform(-4, 4)),
        task_weights=weights,
    )
    return TaskSet.from_arrays(X, [scale * size * each for size, each in zip(own, y, strict=True)]), model


def measure(seed: int) -> dict[str, Any]:
    """What became of one problem."""
    tasks, model = problem(seed)
    row: dict[str, Any] = {
        "seed": seed,
        "T": tasks.T,
        "d": tasks.d,
        "n": [int(n) for n in tasks.counts],
        "mu": model.mu,
        "coupling": model.coupling,
    }
    found = fit(tasks, model)
    before = time.perf_counter()
    climbed = climb(found.certificate, tasks, model, found.W, found.B)
    certificate, top = climbed.certificate, rungs(climbed.certificate)[-1]
    row |= {"level": certificate.level, "state": top.state, "words": top.words, "by": "climb"}
    row |= {"width": certificate.global_width, "method": certificate.global_method}
    if top.state == "not tried":
        row |= bounded(tasks, model, found.W, found.B)
    return {**row, "seconds": time.perf_counter() - before}


def bounded(tasks: TaskSet, model: Model, W: np.ndarray, B: np.ndarray) -> dict[str, Any]:
    """The bound of a point that is not at C4."""
    try:
        with limited(SECONDS):
            proved = enclose(tasks, model, W, B)
    except LimitReached as stop:
        return {"by": "enclose", "state": "cannot tell", "words": str(stop)}
    except NotCertifiable as refusal:
        return {"by": "enclose", "state": "cannot be had", "words": str(refusal)}
    words = "; ".join(filter(None, [f"cells: {proved.cells}", proved.stopped]))
    return {"by": "enclose", "state": "bounded", "words": words, "width": proved.width, "method": "exact"}


def page(rows: list[dict[str, Any]], where: str) -> str:
    """tiny.md."""
    ended = [row for row in rows if row.get("seconds", np.inf) <= SECONDS + ROOM and "error" not in row]
    seconds = sorted(row["seconds"] for row in rows if "seconds" in row)
    narrow = [row for row in rows if (row.get("width") or 1.0) <= 1e-9 and row.get("method") == "exact"]
    ends = Counter((row.get("by", "error"), row.get("state", row.get("error"))) for row in rows)
    reasons = Counter(
        row["words"][:70] for row in rows if row.get("state") in ("cannot be had", "cannot tell")
    )
    return "\n".join(
        [
            "# Random tiny problems through C5",
            "",
            f"Written by `python reports/enclosure/tiny.py`: {len(rows)} of {COUNT} problems measured.",
            "",
            where,
            "",
            f"The limit of a climb is {SECONDS:g} s. Ended within it (and {ROOM:g} s for what cannot be",
            f"interrupted), without an error: {len(ended)} of {len(rows)}. Median",
            f"{np.median(seconds):.1f} s, longest {seconds[-1]:.0f} s. To a relative 1e-9 or better,",
            f"proved, are enclosed: {len(narrow)}. Seconds are wall time, whatever else the machine does.",
            "",
            "`climb`: the state of rung C5 of the fitted point. `enclose`: the point does not come to C4, so",
            "that C5 is not tried; the minimum is bounded all the same.",
            "",
            "| by | state | problems |",
            "|---|---|---|",
            *(f"| {by} | {state} | {count} |" for (by, state), count in sorted(ends.items())),
            "",
            "What cannot be had or was not decided, by the beginning of the reason:",
            "",
            *(f"- {count} times: {words} ..." for words, count in reasons.most_common()),
            "",
        ]
    )


def main(first: int = 0, last: int = COUNT) -> None:
    kept = HERE / "tiny.json"
    known = json.loads(kept.read_text())["rows"] if kept.exists() else []
    rows = {row["seed"]: row for row in known}
    for seed in range(first, last):
        try:
            rows[seed] = measure(seed)
        except AMTLError as error:
            rows[seed] = {"seed": seed, "error": type(error).__name__, "words": str(error)}
        print(json.dumps(rows[seed]), flush=True)
        found = [rows[each] for each in sorted(rows)]
        kept.write_text(json.dumps({"machine": machine(), "rows": found}, indent=1) + "\n")
        (HERE / "tiny.md").write_text(page(found, machine()))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
