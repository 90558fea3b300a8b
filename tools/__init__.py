"""The commands: `pock` for people with a model, `pock-opt` for people with IR."""
