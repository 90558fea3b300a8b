"""Tests of the command line and of IR text: `lit -v test/filecheck`."""

import os
import sys
import tempfile

import lit.formats

config.name = "pock"
config.test_format = lit.formats.ShTest()
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(os.path.abspath(__file__))
config.test_exec_root = os.path.join(tempfile.gettempdir(), "pock-lit")
# The tools that were installed beside the interpreter that runs lit.
config.environment["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
config.environment["COLUMNS"] = "100"
# A test of an exit status: `exits 2 pock-opt ...`.
config.substitutions.append(
    ("exits", f"{sys.executable} {os.path.join(config.test_source_root, 'Inputs', 'exits.py')}")
)
