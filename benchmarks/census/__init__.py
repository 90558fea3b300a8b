"""A census: models of public packages, each verified on one step, or refused with its reasons.

    python -m benchmarks.census                    # every model; writes docs/census.md
    python -m benchmarks.census --only '*/resnet*' # some models; the others keep their rows
    python -m benchmarks.census --check            # runs nothing: is the table complete?

A source is a module of this package whose `MODELS` maps names to functions that make a job. The
modules are importable without the packages that they take models from.
"""
