// A kernel call says in its body what it computes; the call is isolated from what surrounds it.
// RUN: pock-opt %s --print-op-generic | pock-opt | filecheck %s

builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
  // CHECK:      kern.call %{{.*}}, %{{.*}} {kernel = "reference", updates = array<i64: 1>, reuses = array<i64: -1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  // CHECK-NEXT: ^bb0(%{{.*}}: tensor<4xf32>, %{{.*}}: tensor<4xf32>):
  // CHECK-NEXT:   nn.add %{{.*}}, %{{.*}} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT:   kern.yield %{{.*}} : tensor<4xf32>
  func.func @add(%x: tensor<4xf32>, %w: tensor<4xf32>) -> tensor<4xf32> {
    %y = kern.call %x, %w {kernel = "reference", updates = array<i64: 1>, reuses = array<i64: -1>}
      : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
    ^bb0(%a: tensor<4xf32>, %b: tensor<4xf32>):
      %c = nn.add %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      kern.yield %c : tensor<4xf32>
    }
    func.return %y : tensor<4xf32>
  }
}
