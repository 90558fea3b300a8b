"""The compiler of pock: training graphs as IR, from a framework's model to a plain C program.

The modules of this folder are the ground floor and know no op; `dialects`, `passes`, `lowering`
and `targets` are the rooms above it, in the order of imports.
"""

VERSION = "0.1.0"
"""The version of pock; it stands in every generated program."""
