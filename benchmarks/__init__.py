"""Benchmarks of compiled training programs.

This file must exist: the xdsl wheel installs a top-level package of the same name, which would
otherwise be found first.
"""
