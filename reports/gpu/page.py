"""The page and the picture of the figures that `measure.py` took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cell import GPU
from matplotlib.figure import Figure

from amtl_cvx.plotting import write_png
from amtl_cvx.plotting.canvas import BLUE, CRIMSON, INK, ORANGE

TITLES = {"W": "W-step, T d unknowns", "B": "B-step, T (T - 1) unknowns, d = 28"}
STYLES = {
    "Clarabel": {"color": BLUE, "marker": "o"},
    "Clarabel by column": {"color": BLUE, "marker": "o", "linestyle": ":", "fillstyle": "none"},
    "SCS CPU": {"color": ORANGE, "marker": "s"},
    "SCS cudss": {"color": CRIMSON, "marker": "^"},
    "SCS gpu_indirect": {"color": INK, "marker": "v"},
}


def text(stored: dict[str, Any]) -> str:
    """README.md."""
    packages = ", ".join(f"{key} {value}" for key, value in stored["versions"].items() if key != "platform")
    lines = [
        "# From which size on a GPU pays",
        "",
        "Written by `python reports/gpu/measure.py`; do not edit. Seconds of one step of a fit after the"
        f" first (median of {stored['repeats']}; set-up of the solver included, compilation not), and in"
        " brackets the largest relative residual of its answers, from the certificate (of a B-step after its"
        " polish). A whole B-step has all columns of B in one problem; from 60 tasks on `fit` solves them one"
        " by one.",
        "",
        f"Device: {stored['device']}. Driver: {stored['driver']}. Machine: {stored['machine']}, one thread a"
        f" solve. Seed {stored['seed']}. Limit {stored['limit']:g} s a cell, import and compilation included."
        f" {packages}.",
        "",
        *(f"**{name}: not measured.** {reason}.\n" for name, reason in stored["unusable"].items()),
    ]
    for step, rows in stored["steps"].items():
        entrants = list(rows[0]["cells"]) if rows else []
        lines += [f"## {TITLES[step]}", "", f"| T | d | unknowns | {' | '.join(entrants)} |"]
        lines += ["|---" * (3 + len(entrants)) + "|"]
        for entry in rows:
            cells = [_figure(entry["cells"][name]) for name in entrants]
            lines.append(f"| {entry['T']} | {entry['d']} | {entry['unknowns']:,} | {' | '.join(cells)} |")
        lines += ["", _crossover(stored, step), ""]
    lines += ["![seconds over unknowns](gpu.png)", "", _meaning(stored)]
    return "\n".join(lines) + "\n"


def draw(stored: dict[str, Any], path: Path) -> None:
    """Seconds over unknowns, one panel a step."""
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    for axes, (step, rows) in zip(figure.subplots(1, 2), stored["steps"].items(), strict=True):
        for name in rows[0]["cells"] if rows else ():
            points = [
                (entry["unknowns"], entry["cells"][name]["seconds"])
                for entry in rows
                if "seconds" in entry["cells"][name]
            ]
            x, y = zip(*points, strict=True) if points else ((), ())
            axes.loglog(x, y, label=name if points else f"{name}: not measured", **STYLES[name])
        axes.set(title=TITLES[step], xlabel="unknowns", ylabel="seconds a step")
        ticks = [entry["unknowns"] for entry in rows]
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, frameon=False)
    figure.suptitle(f"{stored['machine']}; device: {stored['device']}", fontsize=8)
    write_png(figure, path)


def _figure(found: dict[str, Any]) -> str:
    if "seconds" in found:
        return f"{found['seconds']:.3g} ({found['relative']:.0e})"
    return str(found["why_not"]).split(":")[0]


def _crossover(stored: dict[str, Any], step: str) -> str:
    found = stored["crossover"][step]
    if found is not None:
        return f"Crossover: the GPU is the faster one from {found:,} unknowns on."
    measured = any("seconds" in entry["cells"][name] for entry in stored["steps"][step] for name in GPU)
    return "Crossover: none at these sizes." if measured else "Crossover: not measured."


def _meaning(stored: dict[str, Any]) -> str:
    if all(size is None for size in stored["crossover"].values()):
        return "So `GPU_SIZE` in `amtl_cvx/solvers/gpu.py` holds None, and `--gpu auto` stays on the CPU."
    return f"For `GPU_SIZE` in `amtl_cvx/solvers/gpu.py`: {stored['crossover']}."
