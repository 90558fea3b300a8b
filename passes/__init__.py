"""IR to IR: one pass per file, and the small checkers that re-check what could corrupt results."""
