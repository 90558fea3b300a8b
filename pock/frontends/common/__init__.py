"""What importers share: refusals, source paths, the signature of a function, explicit steps."""
