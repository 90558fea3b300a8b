"""Runs a compiled program in a C process of its own, in ways that Python cannot: with a painted
arena between guard bands, on a painted stack, with counted allocations, under sanitizers.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pock.program import Program, write_files
from pock_ir.targets.c.program.files import source_paths
from pock_ir.targets.c.program.header import public_ports
from pock_ir.targets.c.program.layout import Entry, Port
from pock_ir.targets.c.program.source import compile_flags
from pock_ir.targets.c.program.text import fill

COUNTED = ("malloc", "calloc", "realloc", "free")
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")


@dataclass(frozen=True)
class Outcome:
    """What a run printed.

    arena: bytes of the arena from its start to the last one written, by entry; stack: bytes of
    stack used, by entry (without what the harness itself needs); losses: of each step;
    allocations: calls of malloc and its like between init and the end; image: the saved state.
    Running it has checked guard bands and constants.
    """

    arena: Mapping[str, int]
    stack: Mapping[str, int]
    losses: Sequence[str]
    allocations: int
    image: bytes


def write_program(program: Program, root: Path) -> Path:
    """All files of `program`, and the harness as harness.c, under `root`."""
    write_files(root, program.files)
    (root / "harness.c").write_text(harness_text(program), encoding="utf-8")
    return root


def build(
    program: Program,
    root: Path,
    compiler: str = "gcc",
    flags: Sequence[str] = (),
    optimize: str | None = None,
) -> Path:
    """Compile the harness with the program; returns the executable.

    optimize: a flag like "-O1" in the place of the program's own.
    """
    own = [flag for flag in compile_flags(program.layout) if optimize is None or flag != "-O3"]
    wraps = [f"-Wl,--wrap={name}" for name in COUNTED]
    output = root / f"harness-{compiler}-{'-'.join(f.strip('-')[:9] for f in flags)}"
    command = [
        compiler,
        *own,
        *([optimize] if optimize else []),
        *flags,
        "-Iinclude",
        "harness.c",
        *source_paths(program.layout),
        *(wraps if not any("sanitize" in flag for flag in flags) else ["-DSANITIZED"]),
        # All at once: resolving memcpy on its first call saves the vector registers on the stack.
        "-Wl,-z,now",
        "-pthread",
        "-lm",
        "-o",
        str(output),
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
    return output


def run(
    program: Program,
    executable: Path,
    arrays: Sequence[Any],
    *,
    steps: int = 2,
    paint: int = 0xA5,
    environment: Mapping[str, str] | None = None,
) -> Outcome:
    """Run a built harness on one batch: `steps` training steps, then eval and infer if present."""
    root = executable.parent
    for index, array in enumerate(arrays):
        (root / f"given{index}.bin").write_bytes(np.ascontiguousarray(array).tobytes())
    done = subprocess.run(
        [str(executable), str(steps), str(paint)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env=None if environment is None else dict(environment),
    )
    assert done.returncode == 0, f"status {done.returncode}: {done.stderr[:4000]}"
    found = json.loads(done.stdout)
    nothing = found["stack"].pop("nothing")
    return Outcome(
        found["arena"],
        {entry: used - nothing for entry, used in found["stack"].items()},
        found["losses"],
        found["allocations"],
        (root / "after.bin").read_bytes(),
    )


def harness_text(program: Program) -> str:
    """The C harness for this program's entries."""
    layout = program.layout
    name = layout.name
    train = layout.entry("train_step")
    assert train is not None
    given = [port for port in public_ports(train) if not port.is_result]
    values = {
        "name": name,
        "NAME": name.upper(),
        "GIVEN": "".join(_buffer(f"given{i}", port) for i, port in enumerate(given)),
        "LOAD": "".join(
            f'  load("given{i}.bin", given{i}, sizeof given{i});\n' for i in range(len(given))
        ),
        "ENTRIES": "".join(_entry(name, entry, given) for entry in layout.entries),
        "RUNS": "".join(_measure(entry) for entry in layout.entries),
        "STACKS": "".join(
            f'  measure_stack("{entry.name}", run_{entry.name});\n' for entry in layout.entries
        ),
        "THREADS": "1" if layout.target.threads > 1 else "0",
    }
    return fill(_HARNESS, values)


def _buffer(name: str, port: Port) -> str:
    return f"static _Alignas(64) unsigned char {name}[{max(1, port.spec.bytes)}];\n"


def _measure(entry: Entry) -> str:
    times = "steps" if entry.name == "train_step" else "1"
    return f'  measure("{entry.name}", run_{entry.name}, {times});\n'


def _entry(name: str, entry: Entry, given: Sequence[Port]) -> str:
    """Result buffers of `entry`, and a function that calls it."""
    order = {port.name: index for index, port in enumerate(given)}
    buffers, arguments = "", []
    for index, port in enumerate(public_ports(entry)):
        place = f"{entry.name}_result{index}"
        if port.kind == "loss":
            arguments.append("&loss")
        elif port.is_result:
            buffers += _buffer(place, port)
            arguments.append(f"({port.spec.dtype.c} *)(void *){place}")
        else:
            arguments.append(f"(const {port.spec.dtype.c} *)(const void *)given{order[port.name]}")
    call = f"{name}_{entry.name}(&context, {', '.join(arguments)})"
    return f"{buffers}static void run_{entry.name}(void) {{ status = {call}; }}\n"


_HARNESS = """\
#define _GNU_SOURCE
#include "@name@.h"
#if @THREADS@
#include "@name@_threads.h"
#endif
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define GUARD 4096u
#define STACK ((size_t)(4u << 20))

static @name@_context context;
static int status;
static float loss;
static size_t allocations;
static unsigned char *arena_memory, *state_memory, *constant_memory;
static unsigned paint;

#ifndef SANITIZED
void *__real_malloc(size_t), *__real_calloc(size_t, size_t), *__real_realloc(void *, size_t);
void __real_free(void *);
void *__wrap_malloc(size_t n) { allocations++; return __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t m) { allocations++; return __real_calloc(n, m); }
void *__wrap_realloc(void *p, size_t n) { allocations++; return __real_realloc(p, n); }
void __wrap_free(void *p) { allocations++; __real_free(p); }
#endif

@GIVEN@
@ENTRIES@static void run_nothing(void) { status = @NAME@_OK; }

static void fail(const char *what) {
  fprintf(stderr, "%s (status %d: %s)\\n", what, status, @name@_status_text(status));
  exit(1);
}

static void load(const char *path, unsigned char *to, size_t size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fread(to, 1, size, file) != size || fgetc(file) != EOF) fail(path);
  fclose(file);
}

/* Memory between two guard bands, all of it painted. */
static unsigned char *guarded(size_t size) {
  void *memory = NULL;
  if (posix_memalign(&memory, GUARD, size + 2u * GUARD) != 0) fail("out of memory");
  memset(memory, (int)paint, size + 2u * GUARD);
  return (unsigned char *)memory + GUARD;
}

static size_t painted_from(const unsigned char *memory, size_t size) {
  while (size > 0 && memory[size - 1u] == paint) size--;
  return size;
}

static void check_guards(const unsigned char *memory, size_t size, const char *what) {
  for (size_t i = 0; i < GUARD; i++)
    if (memory[-(ptrdiff_t)i - 1] != paint || memory[size + i] != paint) fail(what);
}

struct job {
  void (*call)(void);
  unsigned char *stack;
  size_t used;
};

/* The stack grows downwards: what lies below this frame is the callee's. */
static void *on_own_stack(void *argument) {
  struct job *job = (struct job *)argument;
  unsigned char here;
  unsigned char *volatile top = &here;
  memset(job->stack, (int)paint, (size_t)(top - 256 - job->stack));
  job->call();
  size_t i = 0;
  while (job->stack[i] == paint) i++;
  job->used = (size_t)(top - job->stack) - i;
  return NULL;
}

static size_t call_on_stack(void (*call)(void)) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
  unsigned char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (stack == MAP_FAILED) fail("no stack");
  struct job job = {call, stack, 0};
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack, STACK);
  const size_t before = allocations;
  if (pthread_create(&thread, &attributes, on_own_stack, &job) != 0) fail("no thread");
  pthread_join(thread, NULL);
  allocations = before; /* those of pthread_create; the program's own are counted below */
  pthread_attr_destroy(&attributes);
  munmap(stack, STACK);
  return job.used;
}

static void append(char *text, const char *name, size_t value) {
  sprintf(text + strlen(text), "%s\\"%s\\": %zu", text[0] ? ", " : "", name, value);
}

static char arena_text[4096], stack_text[4096], loss_text[65536];

static void measure(const char *name, void (*call)(void), long times) {
  for (long i = 0; i < times; i++) {
    memset(arena_memory, (int)paint, @NAME@_ARENA_BYTES);
    const size_t before = allocations;
    call();
    if (allocations != before) fail("an entry allocated memory");
    if (status != @NAME@_OK) fail(name);
    check_guards(arena_memory, @NAME@_ARENA_BYTES, "outside of the arena");
    check_guards(state_memory, @NAME@_STATE_BYTES, "outside of the state");
    const size_t used = painted_from(arena_memory, @NAME@_ARENA_BYTES);
    if (i == 0) append(arena_text, name, used);
    sprintf(loss_text + strlen(loss_text), "%s\\"%a\\"", loss_text[0] ? ", " : "", (double)loss);
  }
}

static void measure_stack(const char *name, void (*call)(void)) {
  const size_t used = call_on_stack(call);
  if (status != @NAME@_OK) fail(name);
  append(stack_text, name, used);
}

int main(int count, char **arguments) {
  if (count != 3) fail("usage: STEPS PAINT");
  const long steps = strtol(arguments[1], NULL, 10);
  paint = (unsigned)strtoul(arguments[2], NULL, 10);
  arena_memory = guarded(@NAME@_ARENA_BYTES);
  state_memory = guarded(@NAME@_STATE_BYTES);
  constant_memory = guarded(@NAME@_CONSTANTS_IMAGE_BYTES);
  unsigned char *image = guarded(@NAME@_IMAGE_BYTES);
  unsigned char *copy = guarded(@NAME@_CONSTANTS_IMAGE_BYTES);
  load("@name@.constants.bin", constant_memory, @NAME@_CONSTANTS_IMAGE_BYTES);
  load("@name@.state.bin", image, @NAME@_IMAGE_BYTES);
  memcpy(copy, constant_memory, @NAME@_CONSTANTS_IMAGE_BYTES);
@LOAD@
  allocations = 0;
  status = @name@_init(&context, arena_memory, state_memory, constant_memory,
                       @NAME@_CONSTANTS_IMAGE_BYTES);
  if (status == @NAME@_OK) status = @name@_load(&context, image, @NAME@_IMAGE_BYTES);
  if (status != @NAME@_OK || allocations != 0) fail("init");
#if @THREADS@
  @name@_threads *pool = @name@_threads_start();
  if (pool == NULL) fail("threads");
  @name@_threads_attach(pool, &context);
  allocations = 0;
#endif
@RUNS@
  const size_t counted = allocations;
  if (@name@_save(&context, image, @NAME@_IMAGE_BYTES) != @NAME@_OK) fail("save");
  check_guards(image, @NAME@_IMAGE_BYTES, "outside of the image");
  check_guards(constant_memory, @NAME@_CONSTANTS_IMAGE_BYTES, "outside of the constants");
  if (memcmp(copy, constant_memory, @NAME@_CONSTANTS_IMAGE_BYTES) != 0) fail("constants changed");
  FILE *file = fopen("after.bin", "wb");
  if (file == NULL || fwrite(image, 1, @NAME@_IMAGE_BYTES, file) != @NAME@_IMAGE_BYTES)
    fail("after.bin");
  fclose(file);
#ifndef SANITIZED /* sanitizers move locals to stacks of their own */
  measure_stack("nothing", run_nothing);
@STACKS@#else
  append(stack_text, "nothing", 0);
  (void)measure_stack, (void)run_nothing;
#endif
#if @THREADS@
  @name@_threads_stop(pool);
#endif
  printf("{\\"arena\\": {%s}, \\"stack\\": {%s}, \\"losses\\": [%s], \\"allocations\\": %zu}\\n",
         arena_text, stack_text, loss_text, counted);
  free(arena_memory - GUARD), free(state_memory - GUARD), free(constant_memory - GUARD);
  free(image - GUARD), free(copy - GUARD);
  return 0;
}
"""
