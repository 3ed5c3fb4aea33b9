"""Figures and README.md of the campaign."""

from __future__ import annotations

from collections import Counter
from typing import Any

from judge import ENTRY, ROUNDING, SECONDS, TOL
from machine import machine

NARROW, SHARE = 4.0, 0.95
Verdicts = list[dict[str, Any]]


def figures(found: Verdicts, *, seed: int, seconds: float) -> dict[str, Any]:
    """Counts by kind and loss, and every wrong verdict in full."""
    oracle = [each for each in found if each["what"] == "oracle"]
    narrow = [each for each in oracle if each["reach"] <= NARROW]
    wide = [each for each in oracle if each["reach"] > NARROW]
    silent = [each for each in wide if not each["passes"] and not _names_rounding(each)]
    return {
        "seed": seed,
        "seconds": seconds,
        "machine": machine(),
        "points": len(found),
        "table": [_cell(kind, loss, group) for (kind, loss), group in _groups(found).items()],
        "what": [_what(name, found) for name in sorted({_short(each) for each in found})],
        "oracle": {
            "narrow": len(narrow),
            "narrow passes": sum(bool(each["passes"]) for each in narrow),
            "wide": len(wide),
            "wide passes": sum(bool(each["passes"]) for each in wide),
            "wide, no cause named": len(silent),
        },
        "wrong": [each for each in found if each["faults"]],
        "refused": [each for each in oracle if not each["passes"]],
        "silent": [each["number"] for each in silent],
        "idle refusals": [each for each in found if _idle(each)],
    }


def _names_rounding(each: dict[str, Any]) -> bool:
    """In its reasons; the verdict before them calls the limit by its name."""
    reasons = each["words"].partition(" | ")[2] or each["words"]
    return "rounding" in reasons or "units" in reasons


def _idle(each: dict[str, Any]) -> bool:
    """A refused fit from which neither block gains even a thousandth of its limit."""
    gains = max(each["gain_W"], each["gain_B"])
    return each["what"] == "fit" and each["passes"] is False and gains <= 1e-3 * each["limit"]


def _groups(found: Verdicts) -> dict[tuple[str, str], Verdicts]:
    groups: dict[tuple[str, str], Verdicts] = {}
    for each in found:
        groups.setdefault((each["kind"], each["loss"]), []).append(each)
    return groups


def _cell(kind: str, loss: str, group: Verdicts) -> dict[str, Any]:
    return {
        "kind": kind,
        "loss": loss,
        "passes": sum(bool(each["passes"]) for each in group),
        "refused": sum(not each["passes"] for each in group),
        "wrong": sum(bool(each["faults"]) for each in group),
    }


def _short(each: dict[str, Any]) -> str:
    return str(each["what"])


def _what(name: str, found: Verdicts) -> dict[str, Any]:
    group = [each for each in found if _short(each) == name]
    faults = Counter(fault for each in group for fault in each["faults"])
    c3 = Counter(each["local"].split(":")[0] for each in group if each["local"])
    return {**_cell(name, "", group), "faults": dict(faults), "C3": dict(c3)}


def faulty(figures: dict[str, Any]) -> bool:
    oracle = figures["oracle"]
    few = oracle["narrow passes"] < SHARE * oracle["narrow"]
    return bool(figures["wrong"] or few or oracle["wide, no cause named"])


def text(figures: dict[str, Any]) -> str:
    """README.md."""
    oracle, wrong = figures["oracle"], figures["wrong"]
    faults = Counter(fault for each in wrong for fault in each["faults"])
    lines = [
        "# Adversary",
        "",
        "Written by `python reports/adversary/campaign.py`; do not edit.",
        "",
        f"{figures['points']} random points and default fits of tiny problems (at most 4 tasks, 4 features, 8"
        " rows), rows, features and tasks of sizes from 1e-10 to 1e10, judged by the package and by an oracle"
        " of its own in 120 digits. A verdict is wrong if a point passes although a move of W alone or of B"
        f" alone lowers J by more than max({TOL:g} J, {ROUNDING[False]:.1g} J(0, 0); hinge, quantile:"
        f" {ROUNDING[True]:.1g} J(0, 0)), or a move of one entry gains"
        f" more than {ENTRY:g} of what its own task costs; if C3 is claimed where the oracle sees J fall; or"
        f" after a crash. No answer within {SECONDS} s is a refusal.",
        "",
        f"Seed {figures['seed']}, {figures['seconds']:.0f} s in two processes. {figures['machine']}",
        "",
        f"Wrong: {len(wrong)} of {figures['points']}"
        + (f" ({', '.join(f'{k} {v}' for k, v in faults.items())})" if faults else "")
        + ". First-order points of the oracle, rounded to doubles: scales up to 1e4"
        f" {oracle['narrow passes']} of {oracle['narrow']} pass; wider ones {oracle['wide passes']} of"
        f" {oracle['wide']}, and"
        f" {oracle['wide, no cause named']} refusals do not name rounding or units as the cause. Fits refused"
        f" though neither block gains a thousandth of the limit: {len(figures['idle refusals'])}.",
        "",
        *_by_loss(figures["table"]),
        *_by_what(figures["what"]),
        *_wrong(wrong),
        *_refused(figures["refused"]),
    ]
    return "\n".join(lines) + "\n"


def _by_loss(table: list[dict[str, Any]]) -> list[str]:
    losses = list(dict.fromkeys(cell["loss"] for cell in table))
    cells = {(c["kind"], c["loss"]): f"{c['passes']} / {c['refused']} / {c['wrong']}" for c in table}
    kinds = list(dict.fromkeys(cell["kind"] for cell in table))
    rows = [[kind, *(cells.get((kind, loss), "") for loss in losses)] for kind in kinds]
    return ["Passes / refused / wrong:", "", *_table(["kind", *losses], rows)]


def _by_what(whats: list[dict[str, Any]]) -> list[str]:
    rows = [
        [w["kind"], w["passes"], w["refused"], w["wrong"], _counts(w["faults"]), _counts(w["C3"])]
        for w in whats
    ]
    return _table(["point", "passes", "refused", "wrong", "faults", "where C3 is claimed, J is"], rows)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _wrong(wrong: Verdicts) -> list[str]:
    rows = [
        [
            e["number"],
            e["kind"],
            e["loss"],
            f"1e{e['reach']:.0f}",
            e["what"],
            ", ".join(e["faults"]),
            e["level"],
            *(f"{e[key]:.0e}" for key in ("gain_W", "gain_B", "limit", "entry_W", "entry_B")),
            e["words"][:80],
        ]
        for e in wrong[:60]
    ]
    head = [
        "case",
        "kind",
        "loss",
        "scale",
        "point",
        "fault",
        "level",
        "W gains",
        "B gains",
        "limit",
        "entry W",
        "entry B",
        "words",
    ]
    return _table(head, rows)


def _refused(refused: Verdicts) -> list[str]:
    rows = [
        [
            e["number"],
            e["kind"],
            e["loss"],
            f"1e{e['reach']:.0f}",
            f"{e['gain_W']:.0e}",
            f"{e['gain_B']:.0e}",
            e["words"][:300],
        ]
        for e in refused[:60]
    ]
    if not rows:
        return []
    return [
        "First-order points of the oracle that are refused:",
        "",
        *_table(["case", "kind", "loss", "scale", "W gains", "B gains", "words"], rows),
    ]


def _table(head: list[str], rows: list[list[Any]]) -> list[str]:
    if not rows:
        return []
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    cells = ([str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows)
    return [*lines, *(f"| {' | '.join(row)} |" for row in cells), ""]
