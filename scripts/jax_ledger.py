"""Write the ledger of JAX's primitive test harnesses: what each f32 harness becomes.

Every harness is imported, run in the reference interpreter and compared with JAX, forward and,
where JAX has a gradient, backward. Run it after changes to handlers of the JAX importer, to ops
or to gradient rules; `--only PREFIX` shows some harnesses and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "test" / "frontends" / "jax"
LEDGER = FOLDER / "harness_ledger.json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="PREFIX", help="show the harnesses that begin so")
    only: str | None = parser.parse_args().only
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    sys.path[:0] = [str(FOLDER), str(ROOT / "test")]
    from jax_harnesses import FAILED, Outcome, harnesses, outcome_of

    found: dict[str, Outcome] = {}
    for name in sorted(harnesses()):
        if only is not None and not name.startswith(only):
            continue
        try:
            found[name] = outcome_of(name)
        except Exception as error:
            traceback.print_exc()
            found[name] = Outcome(FAILED, f"{type(error).__name__}: {error}")
        if only is not None or found[name].status == FAILED:
            print(f"{name}: {found[name].status} {found[name].reason}", flush=True)
    print(dict(Counter(outcome.status for outcome in found.values())))
    if only is None:
        LEDGER.write_text(ledger_text({n: (o.status, o.reason) for n, o in found.items()}))
    return int(any(outcome.status == FAILED for outcome in found.values()))


def ledger_text(rows: dict[str, tuple[str, str]]) -> str:
    """The ledger as JSON, one line for each harness."""
    lines = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(rows.items())]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
