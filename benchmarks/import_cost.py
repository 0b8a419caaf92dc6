"""What does `import meanfield` cost beyond NumPy and scipy.special? Run: python benchmarks/import_cost.py.

Whole processes, in turn: the two libraries alone, and meanfield, which needs them. Which modules are loaded is what a
test can check, and does.
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np

from meanfield.records import table

ROUNDS = 11
BASE = "import numpy, scipy.special"


def main() -> None:
    """Print the table."""
    commands = {"numpy, scipy.special": BASE, "meanfield": "import meanfield", "montecarlo": "import montecarlo"}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS + 1):
        for name, code in commands.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            seconds[name].append(time.perf_counter() - start)
    base = np.array(seconds["numpy, scipy.special"][1:])
    rows = [
        (name, f"{np.median(times[1:]):.3f}", f"{np.median(np.array(times[1:]) - base):+.3f}")
        for name, times in seconds.items()
    ]
    print(table(rows, ("import", "seconds", "beyond the first")))


if __name__ == "__main__":
    main()
