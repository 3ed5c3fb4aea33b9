"""Imbalanced digits: Deep-AMTFL beside plain networks, single tasks and AMTL, with equally many tries.

    python reports/features/imbalanced.py             10 seeds, two networks: about 15 min of CPU time
    python reports/features/imbalanced.py --page      only the page, of what is there
    python reports/features/imbalanced.py --seeds 1   a look

adds a line for each seed and method to imbalanced.jsonl beside itself, and writes imbalanced.md and
imbalanced.png; what is in the file is not run again. `--keep DIR` is where the arrays of chosen fits go (npz,
not in the repository). How the images are had and split stands in `images.py`, how a network is trained in
`training.py`.

Every method's weights, and of a network its start, are those of the fit to three quarters of the training
images with the least error on the others (mean over digits; of equal ones the least logistic loss, weighed
likewise). The chosen fit goes on with all training images, and is tested once. The grids were written after a
look at seeds 101 and 102, which are not counted. A plain network is alpha = gamma = 0.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "reports"), str(HERE)]

from images import Imbalanced, errors, imbalanced, one_against_rest  # noqa: E402
from imbalanced_page import drawn, text  # noqa: E402
from lines import read  # noqa: E402
from machine import machine  # noqa: E402
from training import random_start, trained  # noqa: E402

from amtl_cvx import LossWeightedL1, Model, NetworkModel, Options, Ridge, fit  # noqa: E402
from amtl_cvx.losses import make_loss  # noqa: E402
from amtl_cvx.network import NetworkProblem  # noqa: E402

ITERATIONS, STARTS = 500, 4
NETWORKS = {"64-40-20-10": (40, 20), "64-40-10": (40,)}
WEIGHTS = ({"mu": 1e-3, "decay": 1e-3}, {"mu": 3e-4, "decay": 3e-4}, {"mu": 1e-4, "decay": 3e-4})
FEEDBACK = (
    {"alpha": 0.03, "gamma": 1e-4},
    {"alpha": 0.3, "gamma": 1e-4},
    {"alpha": 0.3, "gamma": 1e-3},
    {"alpha": 3.0, "gamma": 1e-3},
)
"""gamma is per row; as many pairs as a plain network has starts."""
FLOOR = 0.001
"""The term of the authors' code: alpha FLOOR / sqrt(N_t / mean N), N_t the images of the digit."""
STL = tuple({"rho": rho} for rho in (1e-4, 3e-4, 1e-3, 3e-3))
AMTL = tuple(
    {"mu": mu, "coupling": coupling, "rho": rho}
    for mu, coupling, rho in itertools.product((0.03, 0.3), (1e-4, 1e-3, 1e-2), (3e-4, 1e-3, 3e-3))
)
PLAIN = ("plain", "plain, 12 tries")
FED = ("Deep-AMTFL", "Deep-AMTFL, floor")
Scores = Callable[[np.ndarray], np.ndarray]


def balanced(scores: Scores, part: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    """The mean over digits of the error and of the logistic loss of the ten scores."""
    X, digits = part
    F = scores(X)
    loss = np.logaddexp(0.0, -F * np.where(digits[:, None] == np.arange(10), 1.0, -1.0)).mean(axis=1)
    return float(errors(F, digits).mean()), float(np.mean([loss[digits == k].mean() for k in range(10)]))


# ---- linear methods


def linear(method: str, data: Imbalanced) -> dict[str, Any]:
    """STL or AMTL with a ridge: the settings that validate best, fitted to all training images."""
    begun = time.process_time()

    def fitted(part: tuple[np.ndarray, np.ndarray], given: dict[str, float]) -> Any:
        coupling, ridge = given.get("coupling", 0.0), Ridge(rho=given["rho"])
        transfer = {"transfer": LossWeightedL1(mu=given["mu"])} if "mu" in given else {}
        model = Model(loss="logistic", coupling=coupling, omega=ridge, **transfer)
        route = {"method": "stl"} if method == "STL" else {"options": Options(engine="fast")}
        return fit(one_against_rest(*part), model, **route)

    tried = []
    for given in STL if method == "STL" else AMTL:
        W = fitted(data.fitted, given).W
        tried.append((balanced(lambda X, W=W: X @ W, data.validation), given))
    best, given = min(tried, key=lambda each: each[0])
    found = fitted(data.training, given)
    return {
        "settings": given, "tries": len(tried), "validation": best[0],
        "errors": errors(data.test[0] @ found.W, data.test[1]).tolist(),
        "passes": bool(found.certificate.passes), "edges": int((np.abs(found.B) > 0.0).sum()),
        "cpu_seconds": round(time.process_time() - begun, 1),
    }  # fmt: skip


# ---- networks


def forward(problem: NetworkProblem, x: np.ndarray) -> Scores:
    """The scores of rows by all entries x."""
    *V, S, _ = problem.layout.split(x)

    def scores(Z: np.ndarray) -> np.ndarray:
        for each in V:
            Z = np.maximum(Z @ each, 0.0)
        return Z @ S

    return scores


def posed(
    part: tuple[np.ndarray, np.ndarray], layers: tuple[int, ...], given: dict[str, float]
) -> NetworkProblem:
    """The problem of a network on some rows."""
    model = NetworkModel(loss=make_loss("logistic"), layers=layers, gamma_per="row", **given)
    return NetworkProblem(one_against_rest(*part, by_positives="price_floor" in given), model)


def tries(method: str) -> Iterator[tuple[dict[str, float], int]]:
    """Settings and number of the start; a plain network with tries begins with those of one without."""
    for start in range(1 if method != PLAIN[1] else STARTS):
        for weights in WEIGHTS:
            if method in PLAIN:
                yield {**weights, "alpha": 0.0, "gamma": 0.0}, start
                continue
            for feedback in FEEDBACK:
                yield {**weights, **feedback, **({"price_floor": FLOOR} if method == FED[1] else {})}, start


def network(
    methods: tuple[str, ...], layers: tuple[int, ...], data: Imbalanced, seed: int
) -> Iterator[tuple[str, dict[str, Any], np.ndarray]]:
    """The chosen fits of methods, and their arrays; what two methods try alike is run once."""
    done: dict[str, Any] = {}
    for method in methods:
        begun = time.process_time()
        best: tuple[Any, ...] | None = None
        for given, start in tries(method):
            key = json.dumps([given, start])
            if key not in done:
                problem, rng = posed(data.fitted, layers, given), np.random.default_rng((seed, start))
                x0 = random_start(problem, rng)
                x = trained(problem, x0, iterations=ITERATIONS, feedback=given["alpha"] > 0.0).x
                done[key] = (balanced(forward(problem, x), data.validation), given, start, x)
            best = min(best or done[key], done[key], key=lambda each: each[0])
        assert best is not None
        (validation, _), given, start, x = best
        problem = posed(data.training, layers, given)
        found = trained(problem, x, iterations=ITERATIONS, feedback=given["alpha"] > 0.0)
        point = problem.from_vector(found.x)
        assert abs(point.objective - found.objective) <= 1e-9 * found.objective
        yield (
            method,
            {
                "settings": given, "start": start, "tries": len(list(tries(method))),
                "validation": validation,
                "errors": errors(forward(problem, found.x)(data.test[0]), data.test[1]).tolist(),
                "objective": point.objective, "zero": problem.zero.objective,
                "terms": [float(term) for term in point.terms], "losses": point.losses.tolist(),
                "A": int((point.A != 0.0).sum()), "given": np.abs(point.A).sum(axis=1).tolist(),
                "S": int((point.S != 0.0).sum()), "in use": int((point.S != 0.0).any(axis=1).sum()),
                "iterations": found.iterations, "slope": found.slope,
                "cpu_seconds": round(time.process_time() - begun, 1),
            },
            found.x,
        )  # fmt: skip


def run(seeds: int, out: Path, keep: Path | None) -> None:
    """What is not in the file yet."""
    rows = read(out)
    done = {(row["seed"], row["network"], row["method"]) for row in rows}
    for seed in range(1, seeds + 1):
        for name, layers in {"linear": (), **NETWORKS}.items():
            methods = ("STL", "AMTL") if name == "linear" else (*PLAIN, *FED)
            open_ = tuple(method for method in methods if (seed, name, method) not in done)
            if not open_:
                continue
            data = imbalanced(seed)
            common = {"seed": seed, "network": name, "counts": data.counts.tolist()}
            if name == "linear":
                found = ((method, linear(method, data), None) for method in open_)
            else:
                found = network(open_, layers, data, seed)
            for method, told, x in found:
                with out.open("a") as file:
                    file.write(json.dumps({**common, "method": method, "machine": machine(), **told}) + "\n")
                if keep is not None and x is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    np.savez(keep / f"{seed} {name} {method}.npz", x=x)
                print(seed, name, method, f"{np.mean(told['errors']):.4f}", told["cpu_seconds"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args()
    stored = given.out / "imbalanced.jsonl"
    if not given.page:
        run(given.seeds, stored, given.keep)
    rows = read(stored)
    (given.out / "imbalanced.md").write_text(text(rows))
    drawn(rows, given.out / "imbalanced.png")


if __name__ == "__main__":
    main()
