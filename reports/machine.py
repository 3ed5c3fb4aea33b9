"""The machine a report was written on, in words."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from amtl_cvx.runfolder import versions


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def hardware() -> str:
    """Processor, cores and memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GiB"


def machine() -> str:
    """Hardware and versions, one sentence."""
    listed = ", ".join(f"{name} {version}" for name, version in versions().items())
    return f"{hardware()}, Python {platform.python_version()}; {listed}."
