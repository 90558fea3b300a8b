"""Write the ledger of Keras: which layers, activations, losses and optimizers can be trained.

Each is put into the smallest model that has it, imported from Keras's JAX backend and
differentiated; what is refused stands in the ledger with the reason. `pock ops --frontend keras`
and docs/support-keras.md show it. Run it after changes to the importers of JAX and Keras, or for a
new Keras; tests try a sample again. `--only PREFIX` shows some and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "test" / "frontends" / "keras"
LEDGER = FOLDER / "ledger.json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="PREFIX", help="show those that begin so: layers.Conv")
    only: str | None = parser.parse_args().only
    os.environ |= {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    sys.path[:0] = [str(ROOT), str(FOLDER)]
    warnings.simplefilter("ignore")
    from layer_outcomes import outcome_of, parts

    found = {part: outcome_of(part) for part in parts() if part.startswith(only or "")}
    if only is not None:
        for part, outcome in found.items():
            print(f"{part}: {outcome.forward} / {outcome.backward}")
    print(dict(Counter(outcome.forward == "yes" for outcome in found.values())))
    if only is None:
        rows = {part: (outcome.forward, outcome.backward) for part, outcome in found.items()}
        lines = [f"{json.dumps(part)}: {json.dumps(row)}" for part, row in sorted(rows.items())]
        LEDGER.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
