"""Handlers of the importer, one module per op family as in `pock_ir.dialects`."""
