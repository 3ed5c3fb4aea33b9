"""The reliability campaign: hostile and damaged files, kills, killed and continued fits; anyone can run it.

    python reports/reliability/campaign.py                 everything, at most 45 minutes on two cores
    python reports/reliability/campaign.py --sample 100    100 files and 8 kills, for CI; writes nothing

Without --sample it writes figures.json and README.md beside itself. It exits 1 if anything is faulty, and
says what.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "reports"), str(ROOT)]

import inputs  # noqa: E402
from machine import machine  # noqa: E402

MUTATED, KILLS, FITS, PROCESSES = 1600, 120, 20, 2
SAMPLED_KILLS = 8
PARTS = ("inputs", "kills", "resumed")


def main() -> int:
    """Run the parts that were asked for; 1 if anything is faulty."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sample", type=int, metavar="N", help="N of the files and a few kills; writes nothing"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="these parts alone; the others keep their figures"
    )
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    if arguments.sample is None and (HERE / "figures.json").exists():
        figures = json.loads((HERE / "figures.json").read_text())
    parts = arguments.only or (PARTS if arguments.sample is None else PARTS[:2])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
        for part in parts:
            began = time.perf_counter()
            found = measured(part, Path(work) / part, arguments.seed, arguments.sample)
            figures[part] = {
                "seed": arguments.seed,
                "seconds": time.perf_counter() - began,
                "machine": machine(),
                "found": found,
            }
            faulty = [each for each in found if each["faults"]]
            print(
                f"{part}: {len(found)} cases, {len(faulty)} faulty, {figures[part]['seconds']:.0f} s",
                flush=True,
            )
            for each in faulty:
                print(f"  {each.get('name', each.get('number'))}: {'; '.join(each['faults'])}", flush=True)
    if arguments.sample is None:
        (HERE / "figures.json").write_text(json.dumps(_short(figures), indent=1) + "\n")
        (HERE / "README.md").write_text(page(figures))
    return int(any(each["faults"] for part in parts for each in figures[part]["found"]))


def measured(part: str, work: Path, seed: int, sample: int | None) -> list[dict[str, Any]]:
    """The results of one part."""
    work.mkdir()
    if part == "inputs":
        return [asdict(each) for each in inputs.run(work, seed, MUTATED, processes=PROCESSES, sample=sample)]
    count = FITS if part == "resumed" else KILLS if sample is None else SAMPLED_KILLS
    return shared(f"{part}.py", work, seed, count)


def shared(script: str, work: Path, seed: int, count: int) -> list[dict[str, Any]]:
    """A script's results over `PROCESSES` processes; one that fails is an error here."""
    running = []
    for first in range(PROCESSES):
        words = [str(HERE / script), str(work / str(first)), *map(str, (seed, first, PROCESSES, count))]
        files = [(work / f"{first}.{what}").open("wb") for what in ("jsonl", "log")]
        running.append(subprocess.Popen([sys.executable, *words], stdout=files[0], stderr=files[1]))
    for first, process in enumerate(running):
        if process.wait():
            raise RuntimeError(f"{script} failed: {(work / f'{first}.log').read_text()[-2000:]}")
    lines = [line for path in sorted(work.glob("*.jsonl")) for line in path.read_text().splitlines()]
    return sorted(map(json.loads, lines), key=lambda each: int(each["number"]))


def _short(figures: dict[str, Any]) -> dict[str, Any]:
    """What is kept: of the files only the counts and the faulty, the slowest and the largest."""
    part = figures.get("inputs", {})
    if "found" not in part:
        return figures
    found = part["found"]
    kept = {
        "cases": len(found),
        "mutated": sum(_is_mutated(each) for each in found),
        "codes": {str(code): count for code, count in Counter(each["code"] for each in found).items()},
        "slowest": max(found, key=lambda each: each["seconds"]),
        "largest": max(found, key=lambda each: each["peak"]),
        "faulty": [each for each in found if each["faults"]],
    }
    return {**figures, "inputs": {**{k: v for k, v in part.items() if k != "found"}, **kept}}


def _is_mutated(case: dict[str, Any]) -> bool:
    return str(case["name"]).split(" ")[0].isdigit()


def page(figures: dict[str, Any]) -> str:
    """README.md."""
    short = _short(figures)
    lines = ["# Reliability", "", "Written by `python reports/reliability/campaign.py`; do not edit.", ""]
    lines += _inputs_page(short["inputs"]) if "inputs" in short else []
    lines += _kills_page(short["kills"]) if "kills" in short else []
    lines += _resumed_page(short["resumed"]) if "resumed" in short else []
    return "\n".join(lines) + "\n"


def _head(part: dict[str, Any]) -> str:
    return f"Seed {part['seed']}, {part['seconds']:.0f} s in {PROCESSES} processes. {part['machine']}"


def _inputs_page(part: dict[str, Any]) -> list[str]:
    crafted = part["cases"] - part["mutated"]
    codes = ", ".join(f"{count} with {code}" for code, count in sorted(part["codes"].items()))
    slowest, largest = part["slowest"], part["largest"]
    return [
        "## Damaged and hostile files",
        "",
        f"{part['mutated']} mutated and {crafted} crafted inputs over every reader of data, rows, solutions,"
        " runs and proofs, each through the command that reads it. A case is faulty if the process crashes,"
        " prints a traceback or exits 70, if a refusal is not one line, takes more than"
        f" {inputs.SECONDS:g} s or {inputs.MEMORY / 2**30:g} GiB, if control characters reach the"
        " terminal, or if what must be refused is read or the reverse.",
        "",
        _head(part),
        "",
        f"Exit codes: {codes}. Faulty: {len(part['faulty'])}. Longest {slowest['seconds']:.1f} s"
        f" ({slowest['name']}), largest {largest['peak'] / 2**20:.0f} MiB ({largest['name']}).",
        "",
        *_table(
            ("case", "exit", "fault"),
            [(e["name"], e["code"], "; ".join(e["faults"])) for e in part["faulty"]],
        ),
    ]


def _kills_page(part: dict[str, Any]) -> list[str]:
    found = part["found"]
    stands = Counter((each["signal"], each["stands"]) for each in found)
    signals = sorted({each["signal"] for each in found})
    rows = [
        (
            name,
            sum(s == name for s, _ in stands.elements()),
            stands[name, "old"],
            stands[name, "new"],
            stands[name, "none"],
            sum(bool(each["faults"]) for each in found if each["signal"] == name),
        )
        for name in signals
    ]
    return [
        "## Kills",
        "",
        "A fit is killed at a random moment, half of them while it writes, with an earlier certified run and"
        " a file of the user's in DIR. Afterwards DIR must hold one whole certified run and that file,"
        " and after the next run nothing may lie beside it that nobody was told of.",
        "",
        _head(part),
        "",
        *_table(("signal", "kills", "the old run stands", "the new run stands", "none", "faulty"), rows),
    ]


def _resumed_page(part: dict[str, Any]) -> list[str]:
    rows = [
        (
            e["number"],
            e["kind"],
            f"{e['seconds']:.0f}",
            f"{e['killed']:.0f}",
            f"{e['resumed_seconds']:.0f}",
            f"{e['difference_J']:.1e}",
            f"{e['difference_W']:.1e}",
            f"{e['difference_B']:.1e}",
            " / ".join(e["levels"]),
            "; ".join(e["faults"]) or "-",
        )
        for e in part["found"]
    ]
    head = (
        "fit",
        "kind",
        "s, left alone",
        "killed after s",
        "s, continued",
        "J apart",
        "W apart",
        "B apart",
        "levels",
        "faults",
    )
    return [
        "## Killed and continued",
        "",
        "Fits of at least a minute, killed (SIGKILL) after their first checkpoint and continued with"
        " `fit --start`, against the same fit left alone: certified, J to 1e-10, W and B to 1e-8 of their"
        " largest entry where both are strict local minima (C3).",
        "",
        _head(part),
        "",
        *_table(head, rows),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    if not rows:
        return []
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    cells = ([str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows)
    return [*lines, *(f"| {' | '.join(row)} |" for row in cells), ""]


if __name__ == "__main__":
    sys.exit(main())
