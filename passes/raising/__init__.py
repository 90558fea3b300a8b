"""Recognising whole ops in graphs that a framework has taken apart: views, patterns, tables.

`views` sees through ops that only move elements, `match` is the pattern language, `forms` holds
the sub-patterns that several families share, and each family has its table of `Raise` rows.
"""
