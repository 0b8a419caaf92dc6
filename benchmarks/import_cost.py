"""What does `import meanfield` cost beyond NumPy and scipy.special? Run: python benchmarks/import_cost.py.

Whole processes, in turn: the two libraries alone, and meanfield, which needs them. Which modules are loaded is what a
test can check, and does.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import numpy as np
from clock import in_turn

from meanfield.records import table

ROUNDS = 11
BASE = "import numpy, scipy.special"


def main() -> None:
    """Print the table."""
    commands = {"numpy, scipy.special": BASE, "meanfield": "import meanfield", "montecarlo": "import montecarlo"}
    times = in_turn(ROUNDS, *(partial(run, code) for code in commands.values()))
    base = np.array(times[0])
    rows = [
        (name, f"{np.median(one):.3f}", f"{np.median(np.array(one) - base):+.3f}")
        for name, one in zip(commands, times, strict=True)
    ]
    print(table(rows, ("import", "seconds", "beyond the first")))


def run(code: str) -> None:
    """Run code in a process of its own."""
    subprocess.run([sys.executable, "-c", code], check=True)


if __name__ == "__main__":
    main()
