// Updates are made in place, the arena is planned, and every step is checked by running it.
// RUN: pock-opt %S/../Inputs/net.mlir --pipeline 'training{optimizer=momentum}' --validate-each | filecheck %s
// RUN: pock-opt %s -p check-memory --verify-diagnostics | filecheck %s --check-prefix=CLOBBERED

// CHECK: pock.arena = {train_step = {bytes = {{[0-9]+}} : i64
// CHECK: mem.object @object0 {label = "fc.weight", kind = "parameter", region = "state", offset = 0 : i64
// CHECK: mem.object @{{.*}} {label = "momentum:fc.weight", kind = "state", region = "state"
// CHECK: func.func @train_step(%arena: memref<{{[0-9]+}}xi8>
// CHECK-NOT: mem.buffer
// CHECK: func.func @infer(

// The second call reads what the first has overwritten.
// CLOBBERED: memory.mlir:{{[0-9]+}}:{{[0-9]+}}: error:
builtin.module attributes {pock.level = "mem", pock.target = "reference"} {
  mem.kernel @k0 {scratch_bytes = 0 : i64, parts = 1 : i64} means {
  ^bb0(%p: tensor<2xf32>):
    %r = kern.call %p {kernel = "reference", updates = array<i64: -1>, reuses = array<i64: -1>} : (tensor<2xf32>) -> tensor<2xf32> {
    ^bb1(%q: tensor<2xf32>):
      %s = nn.neg %q : (tensor<2xf32>) -> tensor<2xf32>
      kern.yield %s : tensor<2xf32>
    }
    kern.yield %r : tensor<2xf32>
  }
  func.func @f(
    %arena: memref<64xi8> {pock.kind = "arena"},
    %state: memref<0xi8> {pock.kind = "state"},
    %constants: memref<0xi8> {pock.kind = "constants"},
    %x: memref<2xf32> {pock.kind = "input", pock.name = "x", pock.value = 0 : i64},
    %y: memref<2xf32> {pock.kind = "output", pock.name = "y", pock.value = 3 : i64}
  ) attributes {pock.begin = {}, pock.end = {}} {
    %a = mem.view %arena {offset = 0 : i64, buffer = 0 : i64, content = "activation", type = memref<2xf32>} : (memref<64xi8>) -> memref<2xf32>
    %b = mem.view %arena {offset = 0 : i64, buffer = 1 : i64, content = "activation", type = memref<2xf32>} : (memref<64xi8>) -> memref<2xf32>
    mem.call @k0 ins(%x : memref<2xf32>) outs(%a : memref<2xf32>) {reads = array<i64: 0>, writes = array<i64: 1>}
    mem.call @k0 ins(%x : memref<2xf32>) outs(%b : memref<2xf32>) {reads = array<i64: 0>, writes = array<i64: 2>}
    mem.call @k0 ins(%a : memref<2xf32>) outs(%y : memref<2xf32>) {reads = array<i64: 1>, writes = array<i64: 3>}
    func.return
  }
}
