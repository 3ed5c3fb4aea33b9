"""What `cells.py` measured, as a page."""

from __future__ import annotations

from typing import Any

SOLVERS = ("CLARABEL", "OSQP", "SCS")
LIMIT = 60.0
"""CPU seconds of rounds from random weights; half of it from the end of L-BFGS."""
TIMES = (0.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0)
ENDS = {
    "L-BFGS from the start": "lbfgs",
    "and kink Newton": "newton",
    "kink Newton from the end of the rounds": "newton from the rounds",
}
"""What stands beside rounds from random weights."""


def page(rows: list[dict[str, Any]]) -> str:
    """What was measured, in words and tables."""
    runs = [row for row in rows if row["what"] == "rounds"]
    far = [run for run in runs if run["start"] == "random"]
    near = [run for run in runs if run["start"] == "L-BFGS"]
    written = f"Written by `python reports/features/cells.py`; do not edit. {rows[0]['machine']}"
    return "\n".join(
        [
            "# Steps in activation cells",
            "",
            f"{written} Other processes ran beside it: CPU seconds are upper figures.",
            "",
            f"N = 300, d = 20, k = 10, T = 6, squared loss: 320 weights. {len(far)} runs from random weights"
            f" over {LIMIT:.0f} CPU seconds, {len(near)} from where 3,000 iterations of L-BFGS ended over"
            f" {LIMIT / 2:.0f}. Residuals are the certificate's.",
            "",
            *_in_words(far, near),
            "",
            "## Rounds from random weights",
            "",
            *_table_of_rounds(far, ENDS),
            "",
            "## Rounds from the end of L-BFGS",
            "",
            *_table_of_rounds(near, {"kink Newton from there": "newton"}),
            "",
            "## Seconds of a step",
            "",
            *_table_of_steps([row for row in rows if row["what"] == "step"]),
            "",
        ]
    )


def _in_words(far: list[dict[str, Any]], near: list[dict[str, Any]]) -> list[str]:
    def above(runs: list[dict[str, Any]]) -> str:
        values = [100.0 * (run["objective"] / run["newton"]["objective"] - 1.0) for run in runs]
        return f"{_range(values, '+.3g')} %"

    def of(runs: list[dict[str, Any]], name: str) -> list[float]:
        return [run["newton"][name] for run in runs]

    fell = [100.0 * (1.0 - run["newton from the rounds"]["objective"] / run["objective"]) for run in far]
    runs, slow = [*far, *near], [run["seconds"] / run["rounds"] for run in far]
    fast = [run["seconds"] / run["rounds"] for run in near]
    ends = _range([run["residual"] for run in runs], ".2g")
    quick = _range(of(near, "seconds"), ".1f")
    far_round, near_round = _range(slow, ".2g"), _range(fast, ".2g")
    return [
        f"- Rounds end at residuals of {ends}, kink Newton at {_range(of(runs, 'residual'), '.0e')},"
        f" {quick} s from the end of L-BFGS. Minima in cells, block by block, are no stationary point.",
        f"- From the end of L-BFGS, J of the rounds ends {above(near)} above that of kink Newton, and stands"
        " still or nearly so by then.",
        f"- From random weights, J ends {above(far)} above that of L-BFGS and kink Newton from the same start"
        f" (below 0: another valley); kink Newton lowers it by another {_range(fell, '.2g')} % from there.",
        f"- A round takes {far_round} s from random weights and {near_round} s from the end of L-BFGS, nearly"
        " all of it the first layer.",
    ]


def _range(values: list[float], form: str) -> str:
    low, high = f"{min(values):{form}}", f"{max(values):{form}}"
    return low if low == high else f"{low} to {high}"


def _table_of_rounds(runs: list[dict[str, Any]], beside: dict[str, str]) -> list[str]:
    times = [t for n, t in enumerate(TIMES) if any(run["by time"][n] for run in runs)]
    names = ("alpha", "mu", "gamma", "decay", "seed", *(f"{t:.0f} s" for t in times), "rounds")
    names += ("the last two lower J by", *beside)
    lines = [
        "J / residual after so many CPU seconds.",
        "",
        f"| {' | '.join(names)} |",
        "|" + "---|" * len(names),
    ]
    for run in runs:
        cells = [*(f"{w:g}" for w in run["weights"]), str(run["seed"])]
        cells += ["" if e is None else f"{e[0]:.4f} / {e[1]:.1e}" for e in run["by time"][: len(times)]]
        cells += [str(run["rounds"]), ", ".join(f"{100 * fall:.2g} %" for fall in run["last falls"])]
        cells += [_shown(run[name]) for name in beside.values()]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _shown(end: dict[str, float]) -> str:
    return f"{end['objective']:.4f} / {end['residual']:.0e}, {end['seconds']:.0f} s"


def _table_of_steps(rows: list[dict[str, Any]]) -> list[str]:
    names = (
        "unknowns",
        "block",
        "when",
        *(f"{solver}, s" for solver in SOLVERS),
        "largest relative difference of J from Clarabel's",
    )
    lines = [
        "A star: another solver answered for one of the problems of the step, of which this one reached no"
        " optimum. All answers are polished. A is solved by columns of T = 6.",
        "",
        f"| {' | '.join(names)} |",
        "|" + "---|" * len(names),
    ]
    groups: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for row in rows:
        key = (row["block"], row["unknowns"], row["when"])
        groups.setdefault(key, {})[row["solver"]] = row
    for (block, unknowns, when), by in sorted(
        groups.items(), key=lambda item: (-ord(item[0][0][0]), *item[0][1:])
    ):
        shown = [
            f"{by[name]['seconds']:.2f}{'' if by[name]['answered'] == name else ' *'}" if name in by else ""
            for name in SOLVERS
        ]
        above = max(abs(each["above"]) for each in by.values())
        lines.append(f"| {unknowns} | {block} | {when} | {' | '.join(shown)} | {above:.0e} |")
    return lines
