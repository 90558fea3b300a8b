// Objects, kernels, and functions that call kernels on views of three regions.
// RUN: pock-opt %s --print-op-generic | pock-opt | filecheck %s
// RUN: pock-opt %s --run f --values | filecheck %s --check-prefix=VALUES

// VALUES: output:y: f32[2] = [{{.*}}, {{.*}}]
builtin.module attributes {pock.level = "mem", pock.target = "reference"} {
  // CHECK: mem.object @w {label = "fc.weight", kind = "parameter", region = "constants", offset = 0 : i64, type = tensor<2xf32>, permute = array<i64>}
  mem.object @w {label = "fc.weight", kind = "parameter", region = "constants", offset = 0 : i64, type = tensor<2xf32>, permute = array<i64>}
  // CHECK: mem.kernel @k0 {scratch_bytes = 0 : i64, parts = 1 : i64} means {
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
    %constants: memref<64xi8> {pock.kind = "constants"},
    %y: memref<2xf32> {pock.kind = "output", pock.name = "y", pock.value = 2 : i64}
  ) attributes {pock.begin = {w = 0 : i64}, pock.end = {}} {
    // CHECK: mem.view %{{.*}} {offset = 0 : i64, buffer = -1 : i64, content = "", type = memref<2xf32>} : (memref<64xi8>) -> memref<2xf32>
    %v = mem.view %constants {offset = 0 : i64, buffer = -1 : i64, content = "", type = memref<2xf32>} : (memref<64xi8>) -> memref<2xf32>
    %t = mem.view %arena {offset = 0 : i64, buffer = 0 : i64, content = "activation", type = memref<2xf32>} : (memref<64xi8>) -> memref<2xf32>
    // CHECK: mem.call @k0 ins(%{{.*}} : memref<2xf32>) outs(%{{.*}} : memref<2xf32>) {reads = array<i64: 0>, writes = array<i64: 1>}
    mem.call @k0 ins(%v : memref<2xf32>) outs(%t : memref<2xf32>) {reads = array<i64: 0>, writes = array<i64: 1>}
    mem.call @k0 ins(%t : memref<2xf32>) outs(%y : memref<2xf32>) {reads = array<i64: 1>, writes = array<i64: 2>}
    func.return
  }
}
