"""Runs the census; see the package."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from typing import Any

from benchmarks.census.one import FAILED
from benchmarks.census.sources import all_models
from benchmarks.census.table import REFRESH, ROOT, problems, read, write

TIMEOUT = 300
"""Seconds after which a model has failed."""


def main() -> int:
    """Run models, or check the table; 1 if a model failed or the table is not complete."""
    parser = argparse.ArgumentParser(prog=REFRESH, description="Verify models of public packages.")
    parser.add_argument("--only", metavar="PATTERN", nargs="+", default=["*"])
    parser.add_argument("--jobs", type=int, default=1, help="models at a time")
    parser.add_argument("--timeout", type=int, default=TIMEOUT, help="seconds for one model")
    parser.add_argument("--check", action="store_true", help="run nothing")
    options = parser.parse_args()
    models = all_models()
    if options.check:
        return _report(problems(read(), models))
    chosen = [n for n in models if any(fnmatchcase(n, pattern) for pattern in options.only)]
    if not chosen:
        parser.error(f"no model is called {' or '.join(options.only)}")
    verdicts = run(chosen, options.jobs, options.timeout)
    print(dict(Counter(verdicts)))
    return int(FAILED in verdicts)


def _report(found: Sequence[str]) -> int:
    for problem in found:
        print(problem)
    if found:
        print(f"refresh the table: {REFRESH}")
    return int(bool(found))


def run(chosen: Sequence[str], jobs: int, timeout: int) -> list[str]:
    """Run the models, store each row as soon as it is known, and return the verdicts."""
    known = set(all_models())
    verdicts: list[str] = []
    with ThreadPoolExecutor(jobs) as pool:
        for name, row in zip(chosen, pool.map(lambda n: measure(n, timeout), chosen), strict=True):
            # Rows of models that are listed no more disappear; what others wrote meanwhile stays.
            write({n: r for n, r in read().items() if n in known} | {name: row})
            reasons = "".join(f"\n  {reason}" for reason in row.get("reasons", ()))
            print(f"{name}: {row['verdict']}, {row['seconds']} s{reasons}", flush=True)
            verdicts.append(row["verdict"])
    return verdicts


def measure(name: str, timeout: int) -> dict[str, Any]:
    """The row of one model, from a process of its own, which gives back all of its memory."""
    command = [sys.executable, "-m", "benchmarks.census.one", name]
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)  # its compilers too
        child.communicate()
        return _failure(f"no result after {timeout} s", timeout)
    lines = output.splitlines()
    if child.returncode != 0 or not lines:
        last = errors.strip().splitlines()[-1:] or ["no output"]
        return _failure(f"exit status {child.returncode}: {last[0]}", 0)
    row = json.loads(lines[-1])
    if row["verdict"] == FAILED:
        print(errors, file=sys.stderr)
    return row


def _failure(reason: str, seconds: float) -> dict[str, Any]:
    return {"versions": {}, "verdict": FAILED, "reasons": [reason], "seconds": seconds}


if __name__ == "__main__":
    sys.exit(main())
