"""Source locations: where in the user's model an op comes from, kept through every rewrite."""

from collections.abc import Iterable

from xdsl.dialects.builtin import (
    UNKNOWN_LOC,
    CallSiteLoc,
    FileLineColLoc,
    FusedLoc,
    IntAttr,
    LocationAttr,
    NameLoc,
    NoneAttr,
    StringAttr,
    UnknownLoc,
    UnregisteredOp,
)
from xdsl.ir import Attribute, Operation
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern


def file_location(file: str, line: int, column: int) -> FileLineColLoc:
    """The place `column` (from 1) in `line` (from 1) of `file`; 0 where it is not known.

    Raises ValueError for a negative line or column: such a location has no textual form.
    """
    if line < 0 or column < 0:
        raise ValueError(f"no such place: line {line}, column {column}")
    return FileLineColLoc(StringAttr(file), IntAttr(line), IntAttr(column))


def describe_location(location: Attribute) -> str | None:
    """Text such as "model.py:12:7", or None if nothing is known.

    A fused location is described by its first known part, a call site by its callee, and a
    named location by the place it holds or else by its name.
    """
    match location:
        case FileLineColLoc(filename=file, line=line, column=column):
            return f"{file.data}:{line.data}:{column.data}"
        case NameLoc(desc=name, location=inner):
            return describe_location(inner) or name.data
        case CallSiteLoc(callee=callee, caller=caller):
            return describe_location(callee) or describe_location(caller)
        case FusedLoc():
            return next(filter(None, map(describe_location, _parts(location))), None)
        case _:
            return None


def name_of(op: Operation) -> str:
    """The name of `op` as it stands in text; xDSL calls all unregistered ops the same."""
    return op.op_name.data if isinstance(op, UnregisteredOp) else op.name


def location_of(op: Operation) -> str | None:
    """Text such as "model.py:12:7" for the place of `op`, or None if it is not known."""
    return describe_location(op.location)


def fuse_locations(ops: Iterable[Operation]) -> LocationAttr:
    """One location for an op that replaces all of `ops`.

    Unknown locations and duplicates are left out and fused ones are flattened, so that
    repeated fusion grows with the number of source places only. The order is that of `ops`.
    """
    places: dict[LocationAttr, None] = {}
    for op in ops:
        places.update(dict.fromkeys(_flatten(op.location)))
    if len(places) < 2:
        return next(iter(places), UNKNOWN_LOC)
    return FusedLoc(tuple(places), NoneAttr())


def _flatten(location: LocationAttr) -> list[LocationAttr]:
    if isinstance(location, UnknownLoc):
        return []
    if isinstance(location, FusedLoc) and isinstance(location.metadata, NoneAttr):
        return [place for part in _parts(location) for place in _flatten(part)]
    return [location]


def _parts(location: FusedLoc) -> Iterable[LocationAttr]:
    # xDSL types the parts as plain attributes.
    parts: Iterable[LocationAttr] = location.locations  # pyright: ignore[reportAssignmentType]
    return parts  # xDSL declares them as Attribute; its constraint admits only an array of these


def stamp(new_ops: Operation | Iterable[Operation], location: LocationAttr) -> None:
    """Give `location` to each of `new_ops`, and to each op inside, that has none yet."""
    roots = (new_ops,) if isinstance(new_ops, Operation) else new_ops
    for new in roots:
        for op in new.walk():
            if isinstance(op.location, UnknownLoc):
                op.location = location


def unlocated(root: Operation) -> list[Operation]:
    """The ops inside `root` whose location is not known; `root` itself is not asked.

    The promise that no op loses its location is: a pass never makes this list longer.
    """
    return [op for op in root.walk() if op is not root and isinstance(op.location, UnknownLoc)]


class Located(RewritePattern):
    """Runs `pattern`; each op that it inserts gets the location of the matched op.

    xDSL drops locations in rewrites (xdslproject/xdsl#814). Wrap the whole applier rather
    than each pattern: then folded constants are stamped too. A pattern that merges several
    ops sets `fuse_locations` on the new op itself; what has a location keeps it.
    """

    def __init__(self, pattern: RewritePattern) -> None:
        self.pattern = pattern

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter, /) -> None:
        """Run the wrapped pattern on `op`. Raises what that pattern raises."""
        location = op.location

        def handle(inserted: Operation) -> None:
            stamp(inserted, location)

        rewriter.operation_insertion_handler.append(handle)
        try:
            self.pattern.match_and_rewrite(op, rewriter)
        finally:
            rewriter.operation_insertion_handler.remove(handle)
