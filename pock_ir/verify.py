"""Verifies a module and says where each error is; xDSL's verifier names neither op nor place."""

from collections.abc import Callable, Iterator

from xdsl.ir import Operation

from pock_ir.compat import linear_symbol_lookup
from pock_ir.diagnostics import DiagnosticCollector
from pock_ir.dominance import MAX_REPORTED, check_dominance
from pock_ir.location import location_of, name_of


def verify_module(module: Operation) -> None:
    """Verify every op inside `module`, then that each value exists where it is used.

    Linear in the number of ops, calls included. Raises PockError that names each invalid op
    (the first `MAX_REPORTED`) and its location, whatever exception its verifier raised.
    """
    with linear_symbol_lookup():
        try:
            module.verify()
        except Exception as error:
            errors = _locate(module) or _unlocated_error(error)
            errors.raise_if_any()
    check_dominance(module)


def explain(error: Exception) -> str:
    """One line of text for an exception that xDSL raised about its input."""
    text = " ".join(str(error).split())
    kind = type(error).__name__
    is_sentence = isinstance(error, ValueError) or type(error).__module__ == "xdsl.utils.exceptions"
    if not text or is_sentence:
        return text or kind
    return f"{kind}: {text}"


def _locate(module: Operation) -> DiagnosticCollector:
    # `verify_` alone first: `verify` prints the whole module into each error that it raises.
    for verify in (_verify_own, _verify_shallow, _verify_empty_blocks):
        errors = DiagnosticCollector()
        for op, error in _failures(module, verify):
            errors.add(f"{name_of(op)}: {explain(error)}", location_of(op))
            if len(errors.diagnostics) == MAX_REPORTED:
                break
        if errors:
            return errors
    return DiagnosticCollector()


def _failures(
    module: Operation, verify: Callable[[Operation], None]
) -> Iterator[tuple[Operation, Exception]]:
    for op in module.walk():
        try:
            verify(op)
        except Exception as error:
            yield op, error


def _verify_own(op: Operation) -> None:
    op.verify_()


def _verify_shallow(op: Operation) -> None:
    op.verify(verify_nested_ops=False)


def _verify_empty_blocks(op: Operation) -> None:
    for region in op.regions:
        for block in region.blocks:
            if block.first_op is None:
                block.verify()


def _unlocated_error(error: Exception) -> DiagnosticCollector:
    errors = DiagnosticCollector()
    errors.add(explain(error))
    return errors
