"""What the reference packs hold, read and verified one by one.

    python reports/reference/packs.py [--no-verify]

writes README.md and packs.json beside itself. Every number of the tables is read from the packs that are
shipped; the seconds are those of `verify` of that pack, every claim computed again, in one process. Without
verification the stored seconds are kept.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from machine import machine  # noqa: E402

from amtl_cvx.reference import Pack, pack_names, packs_folder, read_pack  # noqa: E402

STORE = HERE / "packs.json"


def facts(pack: Pack) -> dict[str, Any]:
    """What the table says of a pack."""
    about, claims = pack.about, pack.claims
    digits, bound = claims.get("digits") or {}, claims.get("bound") or {}
    files = [pack.folder / "pack.json", *(pack.folder / name for name in about["files"])]
    return {
        "name": pack.name,
        "ask": pack.ask,
        "family": about["family"],
        "loss": about["loss"],
        "reduction": about["reduction"],
        "transfer": about["transfer"],
        "omega": about["omega"],
        "T": about["T"],
        "d": about["d"],
        "rows": sum(about["rows"]),
        "grade": about["grade"],
        "level": claims.get("level"),
        "digits": digits.get("proven"),
        "shared": (claims.get("routes") or {}).get("digits"),
        "width": bound.get("width"),
        "bound": bound.get("method"),
        "unique": sorted(name for name, flag in (claims.get("unique") or {}).items() if flag is True),
        "all unique": bool(claims.get("unique")) and all(flag is True for flag in claims["unique"].values()),
        "minima": len(claims.get("minima") or ()),
        "kappa": (claims.get("condition") or {}).get("kappa"),
        "bytes": sum(path.stat().st_size for path in files),
        "holds": all(value is True for value in (claims.get("checks") or {}).values()),
        "weighted": "problem/sample_weight.npy" in about["files"],
    }


def verified(pack: Pack) -> tuple[float, list[str]]:
    """Seconds of `verify`, and the findings that do not hold."""
    from amtl_cvx.reference.verify import verify

    started = time.perf_counter()
    findings = verify(pack)
    return time.perf_counter() - started, [each.name for each in findings if each.holds is False]


def measured(verifies: bool) -> dict[str, Any]:
    """Everything on the page."""
    stored = json.loads(STORE.read_text()) if STORE.exists() else {}
    kept = {row["name"]: row for row in stored.get("packs", [])}
    rows = []
    for name in pack_names():
        row, before = facts(read_pack(name)), kept.get(name, {})
        row["seconds"], row["fails"] = before.get("seconds"), before.get("fails", [])
        if verifies:
            row["seconds"], row["fails"] = verified(read_pack(name))
            print(f"{name}: {row['seconds']:.1f} s {' '.join(row['fails'])}", file=sys.stderr)
        rows.append(row)
    stray = sum(path.stat().st_size for path in packs_folder().rglob("*") if path.is_file())
    return {
        "machine": machine() if verifies else stored.get("machine", machine()),
        "packs": rows,
        "all": stray,
    }


def counted(rows: list[dict[str, Any]], of: Callable[[dict[str, Any]], Any]) -> str:
    """How many packs of each kind, in words."""
    found = Counter(str(of(row)) for row in rows if of(row) is not None)
    return ", ".join(f"{name} {count}" for name, count in sorted(found.items(), key=lambda x: (-x[1], x[0])))


def bounded(rows: list[dict[str, Any]], method: str) -> int:
    """How many have a lower bound of J by a method."""
    return sum(1 for row in rows if row["bound"] == method)


def page(found: dict[str, Any]) -> str:
    """README.md."""
    rows = found["packs"]
    seconds = [row["seconds"] for row in rows if row["seconds"] is not None]
    failing = [row["name"] for row in rows if row["fails"]]
    proven = [row for row in rows if (row["digits"] or 0) >= 30]
    shared = [row["shared"] for row in rows if row["all unique"] and row["shared"] is not None]
    lines = [
        "# Reference packs",
        "",
        "Written by `python reports/reference/packs.py`; do not edit. " + found["machine"],
        "",
        "What each pack is and how it is judged: [the guide](../guide/backends.md). Beside this page:"
        " [the saved MATLAB runs, judged](matlab.md).",
        "",
        "| what | asked for | found |",
        "|---|---|---|",
        f"| packs | at least 100 | {len(rows)} |",
        f"| with 30 or more proven digits | at least 60 | {len(proven)} |",
        f"| with an exact enclosure | at least 40 | {bounded(rows, 'exact')} |",
        f"| convex, with a global bound by duality | | {bounded(rows, 'convex-duality')} |",
        f"| in which every check of the maker holds | all | {sum(1 for row in rows if row['holds'])} |",
        f"| digits that two derivations share, least of {len(shared)} unique answers | 11 |"
        f" {min(shared, default='-')} |",
        f"| MiB in all | at most 20 | {found['all'] / 2**20:.2f} |",
        f"| T | 1 to 40 | {_range(rows, 'T')} |",
        f"| d | 1 to 100 | {_range(rows, 'd')} |",
    ]
    if seconds:
        lines += [
            f"| seconds of `verify`, all, one process | 600 on two cores | {sum(seconds):.0f} |",
            f"| seconds of `verify`, the longest | | {max(seconds):.1f} |",
            f"| claims that do not hold when computed again | none | {', '.join(failing) or 'none'} |",
        ]
    lines += [
        "",
        "## How many of what",
        "",
        f"- asked: {counted(rows, lambda row: row['ask'])}",
        f"- family: {counted(rows, lambda row: row['family'])}",
        f"- loss: {counted(rows, lambda row: row['loss'])}",
        f"- reduction: {counted(rows, lambda row: row['reduction'])}; row weights"
        f" {sum(1 for row in rows if row['weighted'])}",
        f"- penalty on B: {counted(rows, lambda row: row['transfer'])}",
        f"- penalty on W: {counted(rows, lambda row: row['omega']) or 'none'}",
        f"- grade: {counted(rows, lambda row: row['grade'])}",
        f"- level: {counted(rows, lambda row: row['level'])}",
        f"- with other known minima: {sum(1 for row in rows if row['minima'])}",
        "",
        "## Every pack",
        "",
        "Digits: of the answer, proven by ball or exact arithmetic. Shared: those that two derivations"
        " share. Width: relative, of the bounds of min J, exact for joint problems and by duality for convex"
        " ones. Only: the blocks of which there is"
        " proven to be one answer. kappa: the relative condition number of the answer.",
        "",
        "| pack | ask | loss | penalties | T | d | rows | grade | level | digits | shared | width | only |"
        " minima | kappa | kB | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        *(_row(row) for row in rows),
    ]
    return "\n".join([*lines, ""])


def _range(rows: list[dict[str, Any]], name: str) -> str:
    values = [row[name] for row in rows]
    return f"{min(values)} to {max(values)}" if values else "-"


def _row(row: dict[str, Any]) -> str:
    penalties = " + ".join(str(row[name]) for name in ("transfer", "omega") if row[name]) or row["family"]
    cells = [
        row["name"],
        row["ask"],
        f"{row['loss']} {row['reduction']}",
        penalties,
        *(str(row[name]) for name in ("T", "d", "rows", "grade")),
        row["level"] or "-",
        *("-" if row[name] is None else str(row[name]) for name in ("digits", "shared")),
        "-" if row["width"] is None else f"{row['width']:.1e}",
        ", ".join(row["unique"]) or "-",
        str(row["minima"] or "-"),
        "-" if row["kappa"] is None else f"{row['kappa']:.1e}",
        f"{row['bytes'] / 1024:.0f}",
        "-" if row["seconds"] is None else f"{row['seconds']:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    figures = measured("--no-verify" not in sys.argv[1:])
    STORE.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    (HERE / "README.md").write_text(page(figures), encoding="utf-8")
