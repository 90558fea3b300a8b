"""Models in the manner of the Flax, Equinox and JAX examples, at a small size.

Modules here import the frameworks: only `benchmarks.census.flax_models` imports them, when a job is
made. Their functions return jobs.
"""
