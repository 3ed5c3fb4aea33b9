"""Networks trained by Adam in PyTorch, refined to certified points: how far J falls, what changes in error.

    python -m venv DIR && DIR/bin/pip install torch==2.13.0 numpy
    python reports/features/torch_adam.py --torch DIR/bin/python     what is not in the file yet
    python reports/features/torch_adam.py --page                     only the page, of what is there

adds a line a network to torch_adam.jsonl beside itself and writes torch_adam.md. Only `adam.py` needs
PyTorch; it runs in its own environment and knows nothing of this package: it reads data and settings from an
npz and writes W1, ..., S, A to another, which is what `--start weights.npz` and `certify` take.

The first 500 of scikit-learn's digits are fitted, the other 1,297 are the test. The arrays are judged as they
are, and with snap (moved onto kinks that they are near to, within 1e-6 of the lengths); then kink Newton goes
on from them, with L-BFGS before it where it does not get within the tolerance by itself.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "reports"), str(HERE)]

from lines import read  # noqa: E402
from machine import machine  # noqa: E402
from networks import newton  # noqa: E402
from training import trained  # noqa: E402

from amtl_cvx import NetworkModel, TaskSet  # noqa: E402
from amtl_cvx.losses import make_loss  # noqa: E402
from amtl_cvx.network import NetworkPoint, NetworkProblem  # noqa: E402
from amtl_cvx.network.certificate import certify, strict_local  # noqa: E402

TRAIN, TOL, LIMIT, LBFGS = 500, 1e-8, 900.0, 1000
NETWORKS = {"64-12-10": (12,), "64-22-14-10": (22, 14)}
WEIGHTS = {"alpha": 0.1, "mu": 0.003, "gamma": 1e-5, "decay": 0.003}
PRECISIONS = ("float32", "float64")
SEEDS = {"64-12-10": 3, "64-22-14-10": 1}
Case = tuple[str, str, int]


def cases() -> Iterator[Case]:
    for network, seeds in SEEDS.items():
        for seed in range(seeds):
            for precision in PRECISIONS:
                yield network, precision, seed


def posed(network: str) -> tuple[NetworkProblem, np.ndarray, np.ndarray]:
    """The problem, and inputs and digits of the test."""
    X, labels = load_digits(return_X_y=True)
    X = X / 16.0
    signs = [np.where(labels[:TRAIN] == digit, 1.0, -1.0) for digit in range(10)]
    model = NetworkModel(loss=make_loss("logistic"), layers=NETWORKS[network], **WEIGHTS)
    problem = NetworkProblem(TaskSet.from_arrays([X[:TRAIN]] * 10, signs), model)
    return problem, X[TRAIN:], labels[TRAIN:]


def by_adam(problem: NetworkProblem, python: str, precision: str, seed: int) -> dict[str, np.ndarray]:
    """The arrays that `adam.py` wrote."""
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "data.npz", Path(folder) / "weights.npz"
        rows = problem.rows
        Y = rows.spread(rows.y, problem.tasks.T)
        np.savez(data, X=rows.X, Y=Y, layers=problem.model.layers, **WEIGHTS)
        subprocess.run([python, str(HERE / "adam.py"), str(data), str(out), precision, str(seed)], check=True)
        with np.load(out, allow_pickle=False) as found:
            return dict(found)


def wrong(point: NetworkPoint, X: np.ndarray, labels: np.ndarray) -> float:
    """The test error."""
    for each in point.V:
        X = np.maximum(X @ each, 0.0)
    return float(((X @ point.S).argmax(axis=1) != labels).mean())


def measured(case: Case, python: str) -> dict[str, Any]:
    """One network: trained, judged, refined, judged."""
    network, precision, seed = case
    problem, X, labels = posed(network)
    found = by_adam(problem, python, precision, seed)
    given = problem.at(**{name: found[name].astype(float) for name in problem.model.blocks})
    raw, snapped = certify(given, tol=TOL), certify(given, tol=TOL, snapped=True)
    point, watch, ended = newton(given, LIMIT)
    seconds = time.process_time() - watch.begun
    route = "kink Newton"
    if not ended.startswith("converged"):
        route, begun = f"L-BFGS ({LBFGS} iterations), kink Newton", time.process_time()
        polished = trained(problem, given.vector, iterations=LBFGS)
        point, _, ended = newton(problem.from_vector(polished.x), LIMIT)
        seconds += time.process_time() - begun
    judged = strict_local(certify(point, tol=TOL), point)
    return {
        "network": network, "precision": precision, "seed": seed, "machine": machine(),
        "torch": str(found["torch"]), "adam steps": int(found["steps"]),
        "adam seconds": float(found["seconds"]), "adam J": float(found["objective"]),
        "J before": raw.objective, "residual before": raw.relative,
        "snapped residual": snapped.relative, "snap distance": snapped.snap_distance,
        "snap change": snapped.snap_change, "snap units": snapped.snap_units,
        "snap entries": snapped.snap_entries,
        "zeros before": [given.S.size - raw.used, given.A.size - raw.fed_back],
        "route": route, "ended": ended, "steps": len(watch.points), "seconds": seconds,
        "J after": judged.objective, "residual after": judged.relative, "level": judged.level,
        "why": judged.reasons.get("C2") or judged.reasons.get("C3"), "kinks": judged.active_kinks,
        "live": judged.live_features, "features": judged.features,
        "zeros after": [point.S.size - judged.used, point.A.size - judged.fed_back],
        "error before": wrong(given, X, labels), "error after": wrong(point, X, labels),
        "moved": float(np.linalg.norm(point.vector - given.vector) / np.linalg.norm(given.vector)),
        "size": problem.size, "zero": problem.zero.objective,
    }  # fmt: skip


def text(rows: list[dict[str, Any]]) -> str:
    """torch_adam.md."""
    if not rows:
        return "# Adam, then certified\n\nNothing was run yet.\n"
    falls = np.array([row["J before"] / row["J after"] - 1.0 for row in rows])
    changes = np.array([row["error after"] - row["error before"] for row in rows])
    where = " ".join(sorted({row["machine"] for row in rows}))
    lines = [
        "# Adam, then certified",
        "",
        f"Written by `python reports/features/torch_adam.py`; do not edit. {where} torch {rows[0]['torch']}.",
        "",
        f"The first {TRAIN} of scikit-learn's digits, ten one-vs-rest tasks, logistic loss, "
        + ", ".join(f"{name} {value:g}" for name, value in WEIGHTS.items())
        + f"; Adam with {rows[0]['adam steps']} full batches, rate .01 falling to 0 as a cosine. The"
        f" tolerance is {TOL:g}; the test has the other 1,297 images.",
        "",
        f"- certified: {sum(row['level'] in ('C2', 'C3') for row in rows)} of {len(rows)}"
        f" (C3: {sum(row['level'] == 'C3' for row in rows)})",
        f"- J of Adam's arrays is {falls.min():.2%} to {falls.max():.2%} above that of the refined point"
        f" (median {np.median(falls):.2%})",
        f"- the test error changes by {changes.min():+.4f} to {changes.max():+.4f} (mean"
        f" {changes.mean():+.4f}, lower in {(changes < 0).sum()}, higher in {(changes > 0).sum()})",
        f"- snap alone certifies {sum(row['snapped residual'] <= TOL for row in rows)} of Adam's arrays",
        "",
        "| network | weights | precision | seed | J, Adam | J, refined | residual, as it is | with snap |"
        " refined | level | live | zeros of S and A | active kinks | test error | Adam, CPU s |"
        " refined, CPU s | steps |",
        "|---" * 17 + "|",
    ]
    for row in rows:
        before, after = row["zeros before"], row["zeros after"]
        lines.append(
            f"| {row['network']} | {row['size']} | {row['precision']} | {row['seed']} |"
            f" {row['J before']:.6f} |"
            f" {row['J after']:.6f} | {row['residual before']:.1e} | {row['snapped residual']:.1e} |"
            f" {row['residual after']:.1e} | {row['level']} | {row['live']} of {row['features']} |"
            f" {before[0]}, {before[1]} to {after[0]}, {after[1]} | {row['kinks']} |"
            f" {row['error before']:.4f}"
            f" to {row['error after']:.4f} | {row['adam seconds']:.1f} | {row['seconds']:.1f} |"
            f" {row['steps']} |"
        )
    gaps = max(abs(row["adam J"] / row["J before"] - 1.0) for row in rows if row["precision"] == "float64")
    lines += [
        "",
        f"J as PyTorch has it and J of this package differ by {gaps:.0e}, relative, in float64.",
        "",
        *[
            f"- {row['network']}, {row['precision']}, seed {row['seed']}: {row['route']}, ended"
            f" {row['ended']}" + (f"; {row['why']}" if row["why"] else "")
            for row in rows
            if row["level"] != "C3" or row["route"] != "kink Newton"
        ],
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", help="the Python that has PyTorch")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args()
    stored = given.out / "torch_adam.jsonl"
    done = {(row["network"], row["precision"], row["seed"]) for row in read(stored)}
    for case in cases():
        if given.page or case in done:
            continue
        if given.torch is None:
            parser.error("--torch must be the Python of an environment with PyTorch")
        row = measured(case, given.torch)
        with stored.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(case, row["ended"], f"{row['J before']:.5f} {row['J after']:.5f}", row["level"], flush=True)
    (given.out / "torch_adam.md").write_text(text(read(stored)))


if __name__ == "__main__":
    main()
