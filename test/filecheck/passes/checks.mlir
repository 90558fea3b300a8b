// The checkers re-check what the optimising passes decided, with the place of what is wrong.
// RUN: pock-opt %s -p check-kernels --split-input-file --verify-diagnostics | filecheck %s

// CHECK: checks.mlir:{{[0-9]+}}:{{[0-9]+}}: error: {{.*}}'evil'
builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
  func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
    %y = kern.call %x {kernel = "evil", updates = array<i64: -1>, reuses = array<i64: -1>} : (tensor<4xf32>) -> tensor<4xf32> {
    ^bb0(%a: tensor<4xf32>):
      %b = nn.relu %a : (tensor<4xf32>) -> tensor<4xf32>
      kern.yield %b : tensor<4xf32>
    }
    func.return %y : tensor<4xf32>
  }
}
