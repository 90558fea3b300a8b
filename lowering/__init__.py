"""From level to level: each module turns IR of one level into the next one's."""
