"""The JAX importer; needs jax, which nothing else of pock does.

Flax and Equinox are only looked at if a model comes from them.
"""
