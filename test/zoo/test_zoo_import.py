"""The package itself must not need torch."""

import subprocess
import sys


def test_importing_the_zoo_does_not_import_torch():
    code = "import sys, pock.zoo; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
