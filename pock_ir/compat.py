"""Every work-around for xDSL 0.74.0, in one place, each with its issue at xdslproject/xdsl.

`HardenedParser` differs from xDSL's parser in these ways:

- hex floats inside `dense<...>` and `array<...>` keep their bits (#3370 fixed scalars only);
- strings are lexed in linear time and comments without memory (no issue known; the stock
  lexer is exponential in the one and takes gigabytes for the other);
- an op without `loc(...)` is located at its place in the text (no issue known);
- `loc(...)` is read behind every block argument that the printer puts it behind (none known);
- entering a region is free; the stock parser copies all visible values (none known);
- `dense_resource` is refused: its table is global to the process and never freed (none known);
- everything a short text can make huge or deep is capped by `Limits`.

`linear_symbol_lookup` makes verifying calls linear (#6137 to #6197 changed the tables only).
Dropped locations in rewrites (#814) are repaired in `location`, the missing dominance check
(#1033) in `dominance`.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import prod
from typing import NoReturn

from xdsl.context import Context
from xdsl.dialects.builtin import (
    AnyDenseElement,
    AnyFloat,
    ComplexType,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    FileLineColLoc,
    IndexType,
    IntAttr,
    IntegerType,
    LocationAttr,
    ModuleOp,
    RankedStructure,
    StringAttr,
    SymbolRefAttr,
    UnknownLoc,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue, TypeAttribute
from xdsl.ir.affine import AffineExpr, AffineMap, AffineSet
from xdsl.parser import AttrParser, Parser
from xdsl.parser.affine_parser import AffineParser
from xdsl.parser.generic_parser import ParserState
from xdsl.traits import SymbolOpInterface, SymbolTable
from xdsl.utils.exceptions import ParseError
from xdsl.utils.hints import isa
from xdsl.utils.lexer import Input, Position, Span
from xdsl.utils.mlir_lexer import MLIRLexer, MLIRToken, MLIRTokenKind


@dataclass(frozen=True)
class Limits:
    """What a text may cost. Each limit is far above what pock writes and keeps parsing short.

    characters: length of the text, and again of all that its aliases expand to.
    operations: a training graph of a 7 B parameter model has 10,000.
    nesting: regions, attributes, types and locations inside each other; xDSL itself fails at
        about 150 nested regions.
    blocks: of one region; xDSL verifies them in quadratic time.
    dense_elements: of all dense constants together; weights belong in a safetensors file.
    affine_terms: of one affine map or set; xDSL simplifies them in quadratic time.
    integer_bits: of an integer type; the value range of a wider one takes megabytes.
    number_characters: of one number; the longest exact f64 has 767 digits.
    """

    characters: int = 8 << 20
    operations: int = 250_000
    nesting: int = 64
    blocks: int = 512
    dense_elements: int = 1 << 20
    affine_terms: int = 1024
    integer_bits: int = 1 << 16
    number_characters: int = 1024


DEFAULT_LIMITS = Limits()


class HardenedLexer(MLIRLexer):
    """The stock lexer in linear time, refusing numbers longer than `number_characters`."""

    # The stock patterns, made possessive: they match the same text and never backtrack. The
    # string pattern takes exponential time otherwise, the other one 200 bytes per line.
    _unescaped_characters_regex = re.compile(r'"(?:[^"\\\n\v\f]++|\\(?:["nt\\]|[0-9A-Fa-f]{2}))*+"')
    _whitespace_regex = re.compile(r"(?:\s++|//[^\n]*+)*+", re.ASCII)
    number_characters = DEFAULT_LIMITS.number_characters

    def _lex_number(self, start_pos: Position) -> MLIRToken:
        token = super()._lex_number(start_pos)
        if token.span.len > self.number_characters:
            raise ParseError(token.span, "number is too long")
        return token


class _HexInteger(int):
    """An integer that was written in hex: the bits of a value, where a float is expected."""


def _float_of_bits(parser: AttrParser, bits: int, type: AnyFloat, span: Span) -> float:
    size = type.compile_time_size
    if bits >> (8 * size):
        parser.raise_error(f"hex literal does not fit {type}", span)
    return next(type.iter_unpack(int(bits).to_bytes(size, "little")))


class _Values(dict[str, tuple[SSAValue, ...]]):
    """Values by name. A scope is left by dropping what was added, so it needs no copy."""

    def copy(self) -> "_Values":
        return self

    def truncate(self, size: int) -> None:
        """Forget all but the first `size` values."""
        while len(self) > size:
            self.popitem()


class _Aliases(dict[str, Attribute]):
    """Aliases by name; each use is charged with the length of the text it stands for."""

    def __init__(self, charge: Callable[[int], None]) -> None:
        super().__init__()
        self.lengths: dict[str, int] = {}
        self._charge = charge

    def __getitem__(self, name: str) -> Attribute:
        self._charge(self.lengths.get(name, 0))
        return super().__getitem__(name)


class _Places:
    """Turns a position in a text into a location. Built once per text, linear in its length."""

    def __init__(self, text: str, name: str) -> None:
        self._file = StringAttr(name)
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def location(self, position: Position) -> FileLineColLoc:
        line = bisect_right(self._starts, position)
        column = position - self._starts[line - 1] + 1
        return FileLineColLoc(self._file, IntAttr(line), IntAttr(column))


class _HardenedAffineParser(AffineParser):
    """Parses one affine map or set of limited size; its parser shares the position."""

    def __init__(self, state: ParserState[MLIRTokenKind], limits: Limits) -> None:
        super().__init__(state)
        self._limits = limits
        self._terms = 0
        self._depth = 0

    def _count(self, terms: int) -> None:
        self._terms += terms
        if self._terms > self._limits.affine_terms:
            self.raise_error(f"affine map is too long (the limit is {self._limits.affine_terms})")

    def _parse_affine_space(self) -> tuple[list[str], list[str]]:
        dimensions, symbols = super()._parse_affine_space()
        self._count(len(dimensions) + len(symbols))
        return dimensions, symbols

    def _parse_primary(self, parse_optional_bare_id: Callable[[], AffineExpr | None]) -> AffineExpr:
        self._count(1)
        self._depth += 1
        if self._depth > self._limits.nesting:
            self.raise_error(f"nested too deeply (the limit is {self._limits.nesting})")
        expression = super()._parse_primary(parse_optional_bare_id)
        self._depth -= 1
        return expression


class HardenedParser(Parser):
    """xDSL's parser with the repairs and limits that this module's docstring lists.

    It still raises exceptions of any kind; `parse.parse_module` is the guarded entry.
    """

    # xDSL has no public hook for the elements of a dense literal.
    class _TensorLiteralElement(Parser._TensorLiteralElement):  # pyright: ignore[reportPrivateUsage]
        def to_type(
            self,
            parser: AttrParser,
            type: AnyFloat | IntegerType | IndexType | ComplexType,
        ) -> float | int | tuple[float, float] | tuple[int, int]:
            if isinstance(type, AnyFloat) and isinstance(self.value, _HexInteger):
                return _float_of_bits(parser, self.value, type, self.span)
            return super().to_type(parser, type)

        def to_complex(
            self, parser: AttrParser, type: ComplexType
        ) -> tuple[float, float] | tuple[int, int]:
            part = type.element_type
            if not isinstance(self.value, tuple):
                parser.raise_error("expected a complex literal", self.span)
            real, imaginary = self.value
            if (
                isinstance(part, AnyFloat)
                and isinstance(real, _HexInteger)
                and isinstance(imaginary, _HexInteger)
            ):
                return (
                    _float_of_bits(parser, real, part, self.span),
                    _float_of_bits(parser, imaginary, part, self.span),
                )
            return super().to_complex(parser, type)

    def __init__(
        self,
        ctx: Context,
        input: str,
        name: str = "<input>",
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Raises ParseError if the first token is malformed."""
        super().__init__(ctx, "", name)
        lexer = HardenedLexer(Input(input, name))
        lexer.number_characters = limits.number_characters
        self._parser_state = ParserState(lexer)
        self.limits = limits
        self.ssa_values = _Values()
        self._aliases = self.attribute_aliases = _Aliases(self._expand)
        self._expanded = 0
        self._depth = 0
        self._operations = 0
        self._dense_elements = 0
        self._places = _Places(input, name)
        self._location_end = -1
        self._argument_location: LocationAttr | None = None

    # Limits

    def _too_much(self, what: str, limit: int) -> NoReturn:
        self.raise_error(f"{what} (the limit is {limit})")

    def _enter(self) -> None:
        # Left by `self._depth -= 1`; an exception ends the whole parse, so no `finally`.
        self._depth += 1
        if self._depth > self.limits.nesting:
            self._too_much("nested too deeply", self.limits.nesting)

    def _expand(self, characters: int) -> None:
        self._expanded += characters
        if self._expanded > self.limits.characters:
            self._too_much("aliases expand to too much text", self.limits.characters)

    def _parse_alias_def(self) -> None:
        start, expanded = self.pos, self._expanded
        super()._parse_alias_def()
        name = next(reversed(self._aliases))
        self._aliases.lengths[name] = self.pos - start + self._expanded - expanded

    def parse_optional_attribute(self) -> Attribute | None:
        """An attribute, if present. Raises ParseError if it is malformed or nested too deeply."""
        self._enter()
        result = super().parse_optional_attribute()
        self._depth -= 1
        return result

    def parse_optional_type(self) -> TypeAttribute | None:
        """A type, if present. Raises ParseError if it is malformed or nested too deeply."""
        self._enter()
        result = super().parse_optional_type()
        self._depth -= 1
        return result

    def _parse_optional_integer_or_float_type(self) -> TypeAttribute | None:
        type = super()._parse_optional_integer_or_float_type()
        if isa(type, IntegerType) and type.width.data > self.limits.integer_bits:
            self._too_much("integer type is too wide", self.limits.integer_bits)
        return type

    def _parse_block(self) -> Block:
        if len(self.blocks) > self.limits.blocks:
            self._too_much("too many blocks in one region", self.limits.blocks)
        return super()._parse_block()

    def _check_dense_type(self, type: RankedStructure[AnyDenseElement]) -> None:
        self._dense_elements += prod(type.get_shape())
        if self._dense_elements > self.limits.dense_elements:
            self._too_much(
                "dense constants are too large; keep weights in a safetensors file",
                self.limits.dense_elements,
            )

    def _parse_dense_literal_type(self) -> RankedStructure[AnyDenseElement]:
        type = super()._parse_dense_literal_type()
        self._check_dense_type(type)
        return type

    def parse_dense_int_or_fp_elements_attr(
        self, type: RankedStructure[AnyDenseElement] | None
    ) -> DenseIntOrFPElementsAttr:
        """The rest of a dense constant of `type`, or of the type that follows if it is None.

        Raises ParseError if it is malformed or has more elements than the limit.
        """
        if type is not None:
            self._check_dense_type(type)
        return super().parse_dense_int_or_fp_elements_attr(type)

    def parse_affine_map(self) -> AffineMap:
        """An affine map. Raises ParseError if it is malformed or has too many terms."""
        return _HardenedAffineParser(self._parser_state, self.limits).parse_affine_map()

    def parse_affine_set(self) -> AffineSet:
        """An affine set. Raises ParseError if it is malformed or has too many terms."""
        return _HardenedAffineParser(self._parser_state, self.limits).parse_affine_set()

    def _parse_file_metadata_dictionary(self) -> None:
        self.raise_error("file metadata is not supported")

    def _parse_builtin_dense_resource_attr(self) -> NoReturn:
        self.raise_error("dense_resource is not supported; keep weights in a safetensors file")

    # Exact hex floats

    def _parse_optional_bool_int_or_float(
        self,
    ) -> tuple[bool, Span] | tuple[int, Span] | tuple[float, Span] | None:
        is_hex = self._current_token.text[:2] == "0x"
        number = super()._parse_optional_bool_int_or_float()
        if not is_hex or number is None:
            return number
        value, span = number
        return _HexInteger(value), span

    def _parse_builtin_densearray_attr(self) -> DenseArrayBase | None:
        start = self.pos
        self.parse_characters("<", " in dense array")
        type = self.parse_attribute()
        if not isinstance(type, AnyFloat) or self.parse_optional_punctuation(":") is None:
            self._resume_from(start)
            return super()._parse_builtin_densearray_attr()

        values = self.parse_comma_separated_list(
            self.Delimiter.NONE, lambda: self._parse_float_element(type)
        )
        self.parse_characters(">", " in dense array")
        return DenseArrayBase.from_list(type, values)

    def _parse_float_element(self, type: AnyFloat) -> float:
        element = self._parse_tensor_literal_element()
        if isinstance(element.value, _HexInteger):
            return _float_of_bits(self, element.value, type, element.span)
        if not isinstance(element.value, float):
            self.raise_error("expected a float literal", element.span)
        return element.value

    # Locations

    def parse_operation(self) -> Operation:
        """An op; without `loc(...)` it is located at its place in the text.

        `loc(unknown)` stays unknown: a dump must show which op has lost its location.
        Raises ParseError if the op is malformed, and whatever its class lets escape.
        """
        self._operations += 1
        if self._operations > self.limits.operations:
            self._too_much("too many operations", self.limits.operations)
        start = self.pos
        op = super().parse_operation()
        if isinstance(op.location, UnknownLoc) and self._location_end != self.pos:
            op.location = self._places.location(start)
        return op

    def parse_module(self, allow_implicit_module: bool = True) -> ModuleOp:
        """A module; one that the text leaves out is located at the beginning of the text.

        Raises as `parse_operation` does.
        """
        module = super().parse_module(allow_implicit_module)
        if isinstance(module.location, UnknownLoc) and self._location_end != self.pos:
            module.location = self._places.location(0)
        return module

    def location_at(self, position: Position | None = None) -> FileLineColLoc:
        """The place of `position` in the text; of the next token if it is None."""
        return self._places.location(self.pos if position is None else position)

    def _parse_location(self) -> LocationAttr:
        self._enter()
        result = super()._parse_location()
        self._depth -= 1
        return result

    def parse_optional_location(self) -> LocationAttr | None:
        """A location, if present, or that of the argument that was just read.

        Raises ParseError if it is malformed.
        """
        location = super().parse_optional_location()
        if location is not None:
            self._location_end = self.pos
        elif self._location_end == self.pos and self._argument_location is not None:
            location, self._argument_location = self._argument_location, None
        return location

    # The stock method is overloaded on `expect_type`; this one serves both.
    def parse_optional_argument(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, expect_type: bool = True
    ) -> Parser.UnresolvedArgument | Parser.Argument | None:
        """A region argument, if present, with the location that the printer puts behind it.

        Raises ParseError if it is malformed.
        """
        argument = super().parse_optional_argument(expect_type)
        self._argument_location = None
        if isinstance(argument, Parser.Argument):
            argument.location = self.parse_optional_location()
            self._argument_location = argument.location
        return argument

    # Scopes

    def parse_optional_region(
        self, arguments: Iterable[Parser.Argument] | None = None
    ) -> Region | None:
        """A region, if present. Raises ParseError if it is malformed or nested too deeply."""
        values, size = self.ssa_values, len(self.ssa_values)
        self._enter()
        region = super().parse_optional_region(arguments)
        self._depth -= 1
        if isinstance(values, _Values):
            values.truncate(size)
        return region


_symbol_tables: ContextVar[dict[Operation, dict[str, Operation]] | None] = ContextVar(
    "symbol_tables", default=None
)
_stock_lookup = SymbolTable.lookup_symbol


def _nearest_table(op: Operation | None) -> Operation | None:
    while op is not None and not op.has_trait(SymbolTable):
        op = op.parent_op()
    return op


def _symbols_of(table: Operation) -> dict[str, Operation]:
    symbols: dict[str, Operation] = {}
    for op in table.regions[0].block.ops:
        trait = op.get_trait(SymbolOpInterface)
        name = None if trait is None else trait.get_sym_attr_name(op)
        if name is not None:
            symbols.setdefault(name.data, op)
    return symbols


def _lookup_symbol(op: Operation, name: str | StringAttr | SymbolRefAttr) -> Operation | None:
    tables = _symbol_tables.get()
    table = _nearest_table(op)
    is_nested = isinstance(name, SymbolRefAttr) and len(name.nested_references) > 0
    if tables is None or table is None or is_nested:
        return _stock_lookup(op, name)
    if table not in tables:
        tables[table] = _symbols_of(table)
    if isinstance(name, SymbolRefAttr):
        name = name.root_reference
    return tables[table].get(name if isinstance(name, str) else name.data)


@contextmanager
def linear_symbol_lookup() -> Generator[None, None, None]:
    """Within it, `SymbolTable.lookup_symbol` reads each table once (stock: once per call).

    For verification only: the IR must not change within it. Other threads and contexts keep
    the stock behaviour.
    """
    SymbolTable.lookup_symbol = staticmethod(_lookup_symbol)
    token = _symbol_tables.set({})
    try:
        yield
    finally:
        _symbol_tables.reset(token)
