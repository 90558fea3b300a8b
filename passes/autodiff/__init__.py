"""Reverse-mode differentiation at compile time: the engine, the rule table and the pass."""
