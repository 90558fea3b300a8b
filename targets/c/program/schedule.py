"""The schedule: one C function per kernel call, one table per entry, and the entry itself."""

from __future__ import annotations

from pock_ir.diagnostics import PockError
from pock_ir.targets.c.program.header import (
    PortKey,
    parameter_names,
    port_key,
    prototype,
    public_ports,
)
from pock_ir.targets.c.program.layout import Call, Entry, Place, Port, ProgramLayout
from pock_ir.targets.c.program.text import comment, fill

FRAME = """\
/* Where one execution of an entry finds its memory. */
struct frame {
  unsigned char *arena;
  unsigned char *state;
  const unsigned char *constants;
  const void *in[@IN@];
  void *out[@OUT@];
};

struct step {
  @name@_task call;
  int parts;
};

static void run_step(const @name@_context *context, const struct step *step,
                     const struct frame *frame) {
  if (step->parts > 1 && context->run != NULL) {
    context->run(context->pool, step->call, frame, step->parts);
    return;
  }
  for (int part = 0; part < step->parts; part++) step->call(frame, part);
}
"""

ENTRY = """\
@PROTOTYPE@ {
  if (!is_ready(context)@NULLCHECKS@) return @NAME@_ERROR_ARGUMENT;
@RANGECHECKS@  struct frame frame = {.arena = context->arena, .state = context->state,
                        .constants = context->constants};
@BINDINGS@  const size_t count = sizeof @ENTRYNAME@_steps / sizeof @ENTRYNAME@_steps[0];
@RUN@  return @NAME@_OK;
}
"""

RUN_ALL = "  for (size_t i = 0; i < count; i++) run_step(context, &@ENTRYNAME@_steps[i], &frame);\n"

# The loss is complete before anything is updated, so a bad loss leaves the state as it was.
RUN_CHECKED = """\
  for (size_t i = 0; i < count; i++) {
    run_step(context, &@ENTRYNAME@_steps[i], &frame);
    if (i == @LOSSSTEP@u && !(*@LOSS@ - *@LOSS@ == 0)) return @NAME@_ERROR_NOT_FINITE;
  }
  if (context->step < INT32_MAX) context->step++;
"""


def frame_text(layout: ProgramLayout) -> str:
    """The frame type, large enough for every entry, and the function that runs one step."""
    inputs = max((len(_inputs(entry)) for entry in layout.entries), default=0)
    outputs = max((len(_outputs(entry)) for entry in layout.entries), default=0)
    values = {"name": layout.name, "IN": str(max(1, inputs)), "OUT": str(max(1, outputs))}
    return fill(FRAME, values)


def entry_text(layout: ProgramLayout, entry: Entry) -> str:
    """The calls of `entry`, its table, and the public function."""
    parts = {kernel.symbol: kernel.parts for kernel in layout.kernels}
    calls = [_call_text(entry, index, call) for index, call in enumerate(entry.calls)]
    rows = [
        f"    {{{entry.name}_{index}, {parts[call.kernel]}}},\n"
        for index, call in enumerate(entry.calls)
    ]
    table = f"static const struct step {entry.name}_steps[] = {{\n{''.join(rows)}}};\n"
    return "\n".join([*calls, table, _function_text(layout, entry)])


def _inputs(entry: Entry) -> list[Port]:
    return [port for port in entry.ports if not port.is_result]


def _outputs(entry: Entry) -> list[Port]:
    return [port for port in entry.ports if port.is_result]


def _call_text(entry: Entry, index: int, call: Call) -> str:
    arguments = [_place_text(entry, place, written=False) for place in call.operands]
    arguments += [_place_text(entry, place, written=True) for place in call.results]
    arguments.append("frame->arena" if not call.scratch else f"frame->arena + {call.scratch}")
    arguments.append("part")
    joined = ",\n      ".join(arguments)
    return (
        f"/* {comment(call.source)}: {comment(call.meaning)} */\n"
        f"static void {entry.name}_{index}(const void *argument, int part) {{\n"
        f"  const struct frame *frame = (const struct frame *)argument;\n"
        f"  {call.kernel}(\n      {joined});\n}}\n"
    )


def _place_text(entry: Entry, place: Place, written: bool) -> str:
    type = f"{'' if written else 'const '}{place.spec.dtype.c} *"
    if isinstance(place.base, str):
        offset = f" + {place.offset}" if place.offset else ""
        return (
            f"({type})(void *)(frame->{place.base}{offset})"
            if written
            else (f"({type})(const void *)(frame->{place.base}{offset})")
        )
    port = entry.ports[place.base]
    if port.is_result:
        return f"({type})frame->out[{_outputs(entry).index(port)}]"
    if written:
        raise PockError(f"entry {entry.name} writes its argument {port.name}")
    return f"({type})frame->in[{_inputs(entry).index(port)}]"


def _function_text(layout: ProgramLayout, entry: Entry) -> str:
    names = parameter_names(layout)
    public = public_ports(entry)
    values = {
        "PROTOTYPE": prototype(layout, entry),
        "NAME": layout.name.upper(),
        "ENTRYNAME": entry.name,
        "NULLCHECKS": "".join(f" || {names[port_key(port)]} == NULL" for port in public),
        "RANGECHECKS": "".join(_range_check(layout, port) for port in public),
        "BINDINGS": _bindings(entry, names),
    }
    values["RUN"] = fill(_run_text(entry), {**values, **_loss_values(entry, names)})
    return fill(ENTRY, values)


def _run_text(entry: Entry) -> str:
    return RUN_CHECKED if entry.name == "train_step" else RUN_ALL


def _loss_values(entry: Entry, names: dict[PortKey, str]) -> dict[str, str]:
    for index, port in enumerate(entry.ports):
        if port.kind == "loss":
            step = _last_writer(entry, index)
            _check_loss_comes_first(entry, step)
            return {"LOSS": names[port_key(port)], "LOSSSTEP": str(step)}
    return {}


def _last_writer(entry: Entry, base: int) -> int:
    return max(i for i, call in enumerate(entry.calls) if any(r.base == base for r in call.results))


def _check_loss_comes_first(entry: Entry, step: int) -> None:
    """A step that stops at a bad loss must not have changed anything by then."""
    early = [c for c in entry.calls[: step + 1] if any(r.base == "state" for r in c.results)]
    if early:
        raise AssertionError(f"{entry.name} updates the state before the loss: {early[0].meaning}")


def _bindings(entry: Entry, names: dict[PortKey, str]) -> str:
    lines: list[str] = []
    for index, port in enumerate(_inputs(entry)):
        own = port.kind in ("rate", "step", "seed")
        source = f"&context->{port.kind}" if own else names[port_key(port)]
        lines.append(f"  frame.in[{index}] = {source};\n")
    for index, port in enumerate(_outputs(entry)):
        lines.append(f"  frame.out[{index}] = {names[port_key(port)]};\n")
    return "".join(lines)


def _range_check(layout: ProgramLayout, port: Port) -> str:
    if port.limit is None or port.is_result:
        return ""
    name = parameter_names(layout)[port_key(port)]
    ignored = "" if port.ignored is None else f" && {name}[i] != {port.ignored}"
    return (
        f"  for (size_t i = 0; i < {port.spec.values}u; i++)\n"
        f"    if (({name}[i] < 0 || {name}[i] >= {port.limit}){ignored})"
        f" return {layout.name.upper()}_ERROR_INPUT;\n"
    )
