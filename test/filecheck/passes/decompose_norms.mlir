// Batch norm becomes its statistics and elementwise ops, with the same values.
// RUN: pock-opt %s -p decompose-norms --validate-each | filecheck %s

builtin.module attributes {pock.level = "train"} {
  // CHECK:     nn.moments
  // CHECK:     nn.rsqrt
  // CHECK-NOT: nn.batch_norm
  func.func @f(
    %x: tensor<4x3xf32> {pock.kind = "input", pock.name = "x"},
    %g: tensor<3xf32> {pock.kind = "parameter", pock.name = "g"},
    %b: tensor<3xf32> {pock.kind = "parameter", pock.name = "b"}
  ) -> (tensor<4x3xf32> {pock.kind = "output", pock.name = "y"}, tensor<3xf32> {pock.kind = "output", pock.name = "m"}) {
    %y, %m, %v = nn.batch_norm %x, %g, %b {axis = 1 : i64, eps = 1.0e-05 : f64}
      : (tensor<4x3xf32>, tensor<3xf32>, tensor<3xf32>) -> (tensor<4x3xf32>, tensor<3xf32>, tensor<3xf32>)
    func.return %y, %m : tensor<4x3xf32>, tensor<3xf32>
  }
}
