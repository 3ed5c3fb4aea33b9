"""Executables that go wrong: shell scripts, each a wrong answer to ``solve IN_DIR OUT_DIR``.

`SCRIPTS` maps a name to the body of a script and what the judge has to say of it; ``$1`` is IN_DIR, ``$2``
OUT_DIR. `CHANGES` maps a name to a change of one place of `solve.cpp`.
"""

from __future__ import annotations

from pathlib import Path

SCRIPTS: dict[str, tuple[str, str]] = {
    "crash": ("kill -SEGV $$", "SIGSEGV"),
    "hang": ("sleep 600", "no answer within"),
    "hang in a child": ("(sleep 600; echo late) & wait", "no answer within"),
    "deaf": ("trap '' TERM INT HUP; while true; do sleep 1; done", "no answer within"),
    "memory": ("exec tail /dev/zero", "memory"),
    "garbage": ("head -c 4000 /dev/zero | tr '\\0' 'x' > $2/W.npy", "W.npy"),
    "an empty file": (": > $2/W.npy", "W.npy"),
    "a header without numbers": ("head -c 128 $1/W.npy > $2/W.npy", "W.npy"),
    "a huge file": ("head -c 3000000 /dev/zero > $2/W.npy", "W.npy"),
    "no output": ("exit 0", "none of W.npy"),
    "another shape": ("cp $1/B.npy $2/W.npy", "shape"),
    "a link": ("ln -s $1/W.npy $2/W.npy", "plain file"),
    "a pipe": ("mkfifo $2/W.npy", "plain file"),
    "text": ("echo 'W = 1, 2, 3' > $2/W.csv", "W.csv"),
    "NaN": ("echo 'nan' > $2/W.csv; : > $2/W.npy", "W"),
    "writes into its input": ("cp $1/W.npy $2/W.npy; echo 'mu 0' >> $1/ask.txt", "ask.txt"),
    "removes its input": ("cp $1/W.npy $2/W.npy; rm $1/y.npy", "y.npy"),
    "exit code": ("echo 'singular matrix' >&2; exit 3", "singular matrix"),
    "talks without end": ("yes | head -c 5000000; exit 1", "exit code 1"),
}
"""Name: what the script does, and a word of what is said of its W-step."""

CHANGES: dict[str, tuple[str, str, str, str, str]] = {
    "incoming": ("incoming for outgoing", "out += B(t, u)", "out += B(u, t)", "L0/*", "squares"),
    "half the coupling": (
        "factor 2 in the coupling",
        'p.coupling = R(number(keys, "coupling"))',
        'p.coupling = R(number(keys, "coupling")) / 2',
        "L1/*",
        "squares",
    ),
    "means": ("mean for sum", "return mean ? 1 / n : R(1)", "return 1 / n", "L0/*", "sums"),
    "no mu": ("mu ignored", 'p.mu = R(number(keys, "mu"))', "p.mu = R(0)", "L1/*", "squares"),
    "no row weights": (
        "row weights ignored",
        'exists(in + "sample_weight.npy")',
        "false",
        "L0/*",
        "row weights",
    ),
    "other labels": ("labels flipped", "p.y[t].push_back(y[i])", "p.y[t].push_back(-y[i])", "L0/*", "labels"),
    "takes NaN": ("", "!std::isfinite(array.values[i])", "false", "L5/nan-in-X/*", "squares"),
    "takes mu < 0": ("", "std::isfinite(p.mu) && p.mu >= 0", "true", "L5/negative-mu/*", "squares"),
}
"""Name: the cause, the sound and the faulty words, a check that has to fail, and where it shows (`PACKS`)."""


def script(folder: Path, name: str) -> Path:
    """The script of a name, written into a folder."""
    path = folder / f"{name.replace(' ', '-')}.sh"
    path.write_text(f"#!/bin/sh\n{SCRIPTS[name][0]}\n")
    path.chmod(0o755)
    return path
