"""README.md and the pictures, from the stored figures alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from entrants import ENTRANTS
from promises import promises

LEVELS = ("1e-03", "1e-06", "1e-09")
ABOUT = """\
# Benchmark: AMTL to a first-order point

Written by `python reports/benchmark/run.py`; do not edit.

Every entrant minimises the same J(W, B) = sum_t (1 + mu sum_u B[t, u]) L_t(w_t) + coupling ||W - W B||_F^2
over B >= 0 with zero diagonal, squared loss, from B = 0 unless its description says otherwise. Two figures
for each: seconds per round (median), and seconds until the *joint* relative first-order residual of its W
and B is below a level. The residual is that of `amtl_cvx.certify`, computed afterwards from the W and B
that each entrant recorded after every round; nobody's own stopping rule counts. J is biconvex: entrants may
end in different basins, so look at J before comparing seconds.

Seconds include set-up (compiling CVXPY problems, Gram matrices), which is also shown by itself; imports,
the recording and the judging are not in them, nor is the C++ compiler (a library is built once). One thread
each. Runs shorter than 3 s are made three times, and the one with the median time counts.
"""
ADOPT = """\
## Running it, adding an entrant, using the problems elsewhere

`python reports/benchmark/run.py --help` lists the options. What has to be built (the environments of dbcp
and UNO, the compiled rival) goes to `--cache` or `AMTL_CVX_BENCH_CACHE`; dbcp needs Python 3.12 or later,
which `AMTL_CVX_BENCH_PYTHON` can name; `CXX` names the compiler; `AMTL_CVX_DATA` the folder with
`bench/*.npz`. What is missing is skipped with a reason. The problems named grow* are generated and need no
data.

An entrant is any command, in any language, that is called as `COMMAND PROBLEM.npz OUT --limit SECONDS`; it
needs one line in `entrants.py`. `PROBLEM.npz` holds `X` (N, d), `y` (N,), `task` (N,) integers 0..T-1,
`reduction` ("mean" or "sum": whether L_t is a mean or a sum over the task's rows, without 1/2), `coupling`
and `mu`. In the folder `OUT` it leaves `points.f64`: little-endian float64 records of round number,
seconds, W by columns (d T numbers), B by columns (T T numbers; B[s, t] is the edge s -> t), each written at
once, so that a run that is ended counts as far as it came; and `run.json` with `set_up_seconds`,
`exact_rounds` (how many leading rounds claim exact half-steps, -1: all) and whatever it wants to say
(`versions`, `status`). `peers/protocol.py` does this for Python with NumPy alone. Residuals, feasibility
and J are computed from the points, so an entrant cannot report its own accuracy. (The entrants named
amtl-cvx take the residual after each step from their history, where the same function put it; their last
point is judged again.)
"""
Figures = dict[str, Any]


def write(stored: Figures, out: Path) -> None:
    """README.md and one picture per problem."""
    measured = {name: entry for name, entry in stored["problems"].items() if "skipped" not in entry}
    for name, entry in measured.items():
        _picture(entry, out / f"{name}.png")
    parts = [ABOUT, _machine(stored), _promises(stored), _entrants(measured)]
    parts += [_problem(name, entry) for name, entry in measured.items()]
    absent = [f"- {name}: {e['skipped']}" for name, e in stored["problems"].items() if "skipped" in e]
    if absent:
        parts.append("## Problems not run\n\n" + "\n".join(absent) + "\n")
    parts += [_losses(measured), ADOPT]
    (out / "README.md").write_text("\n".join(parts))


def summary(figures: Figures) -> str:
    """One line for the console."""
    if "skipped" in figures:
        return f"skipped, {figures['skipped']}"
    cells = [_seconds(figures["seconds_to"][level]) for level in LEVELS]
    return f"{' / '.join(cells)} s to {' / '.join(map(_level, LEVELS))}; {figures['status']}"


def _machine(stored: Figures) -> str:
    runs = sorted({f["run"] for e in stored["problems"].values() for f in e["entrants"].values()})
    loads = [f["load"] for e in stored["problems"].values() for f in e["entrants"].values() if "load" in f]
    load = f"{min(loads):.1f} to {max(loads):.1f}" if loads else "unknown"
    count = "One run" if len(runs) == 1 else f"{len(runs)} runs"
    return (
        f"Machine: {stored['machine']} {stored['compiler']}. Load average {load} when an entrant started."
        f" {count}: {', '.join(runs)}.\n"
    )


def _promises(stored: Figures) -> str:
    words = {True: "yes", False: "**no**", None: "open"}
    lines = ["## What must hold", "", "| what | limit | figure | holds |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.limit} | {row.figure} | {words[row.holds]} |" for row in promises(stored)]
    return "\n".join(lines) + "\n"


def _entrants(measured: dict[str, Figures]) -> str:
    lines = ["## Entrants", "", "| entrant | what it does | a round is | versions |", "|---|---|---|---|"]
    for entrant in ENTRANTS:
        runs = [found for e in measured.values() if (found := e["entrants"].get(entrant.name))]
        versions = next((run["versions"] for run in runs if "versions" in run), {})
        shown = ", ".join(f"{name} {version}" for name, version in versions.items())
        reason = next((f"skipped: {run['skipped']}" for run in runs if "skipped" in run), "not run")
        lines.append(f"| {entrant.name} | {entrant.what} | {entrant.rounds} | {shown or reason} |")
    return "\n".join(lines) + "\n"


def _problem(name: str, entry: Figures) -> str:
    known = f" Known J of the basin of the alternation: {entry['known']}." if entry.get("known") else ""
    columns = ("entrant", "set-up, s", "s per round", "to 1e-3, s", "to 1e-6, s", "to 1e-9, s")
    columns += ("lowest residual", "J", "level", "how it ended")
    lines = [f"## {entry['title']}", "", f"{entry['note'][:1].upper()}{entry['note'][1:]}.{known}", ""]
    lines += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for entrant in ENTRANTS:
        found = entry["entrants"].get(entrant.name)
        if found and found.get("path"):
            lines.append(_row(entrant.name, found))
        elif found:
            lines.append(f"| {entrant.name} |" + " |" * 8 + f" {found.get('skipped') or found['status']} |")
    refused = [
        f"{key} ends at a residual of {found['last_relative']:.1e}, and the certificate refuses the point: a"
        f" move of B alone may gain {found['gap_B'] / found['objective']:.1g} of J. {found['no_minimum']}.\n"
        for key, found in entry["entrants"].items()
        if found.get("no_minimum") and found["gap_B"] is not None
    ]
    return "\n".join([*lines, "", f"![residual over time]({name}.png)", "", *refused]).rstrip() + "\n"


def _row(name: str, found: Figures) -> str:
    levels = [_seconds(found["seconds_to"][level]) for level in LEVELS]
    J = f"{found['objective']:.10g}"
    ended = _status(found)
    cells = [name, _seconds(found.get("set_up_seconds")), _seconds(found.get("seconds_per_round")), *levels]
    cells += [f"{found['relative']:.1e}", J, found["level"], ended]
    return "| " + " | ".join(cells) + " |"


def _status(found: Figures) -> str:
    words = f"{found['status']}, round {found['rounds']}"
    words += f" after {found['seconds']:.3g} s" if found["status"].startswith("time limit") else ""
    declared = found.get("declared_converged")
    words += f"; by its own rule converged in round {declared}" if declared else ""
    return words + (f"; {found['remark']}" if "remark" in found else "")


def _losses(measured: dict[str, Figures]) -> str:
    """Who did not get there, and where ours was not first."""
    lines = ["## Losses", "", "Who misses 1e-6 misses 1e-9, too, and is named once.", ""]
    for name, entry in measured.items():
        runs = {key: found for key, found in entry["entrants"].items() if found.get("path")}
        for level in ("1e-06", "1e-09"):  # the second for those that reached the first
            late = [
                f"{key} ({found['relative']:.0e} in {found['seconds']:.3g} s)"
                for key, found in runs.items()
                if found["seconds_to"][level] is None
                and (level == "1e-06" or found["seconds_to"]["1e-06"] is not None)
            ]
            if late:
                lines.append(f"- {name}: {_level(level)} not reached by {', '.join(late)}.")
        first = sorted((f["seconds_to"]["1e-06"], key) for key, f in runs.items() if f["seconds_to"]["1e-06"])
        ours = next((place for place, (_, key) in enumerate(first) if key.startswith("amtl-cvx")), len(first))
        if ours and first:
            ahead = ", ".join(f"{key} {_seconds(seconds)} s" for seconds, key in first[:ours])
            lines.append(f"- {name}: at 1e-6 before any of ours: {ahead}.")
    return "\n".join(lines) + "\n"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _level(key: str) -> str:
    return re.sub("e-0", "e-", key)


def _picture(entry: Figures, path: Path) -> None:
    """Residual over time, log-log."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9.0, 5.0), layout="constrained")
    for entrant in ENTRANTS:
        points = entry["entrants"].get(entrant.name, {}).get("path")
        if not points:
            continue
        seconds, relative = zip(*points, strict=True)
        style = {"color": entrant.colour, "linestyle": entrant.line, "label": entrant.name}
        axes.loglog(seconds, [max(value, 1e-16) for value in relative], linewidth=1.6, **style)
        axes.plot(seconds[-1], max(relative[-1], 1e-16), marker="o", markersize=4, color=entrant.colour)
    for level in (1e-3, 1e-6, 1e-9):
        axes.axhline(level, color="0.75", linewidth=0.8, zorder=0)
    axes.set_ylim(bottom=1e-14)
    axes.set_xlabel("seconds, set-up included")
    axes.set_ylabel("joint relative residual")
    axes.set_title(entry["title"], fontsize=10)
    axes.grid(visible=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)
