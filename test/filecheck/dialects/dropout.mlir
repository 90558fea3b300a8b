// Dropout: every op prints as it was read, and crosses the generic form.
// RUN: pock-opt %s --print-op-generic | pock-opt | filecheck %s

builtin.module attributes {pock.level = "train"} {
  // CHECK: nn.dropout %{{.*}}, %{{.*}}, %{{.*}} {p = 5.000000e-01 : f64, stream = 1 : i64} : (tensor<3x17xf32>, tensor<i32>, tensor<i32>) -> tensor<3x17xf32>
  func.func @dropout(%a: tensor<3x17xf32>, %b: tensor<i32>, %c: tensor<i32>) -> tensor<3x17xf32> {
    %r = nn.dropout %a, %b, %c
      {p = 5.000000e-01 : f64, stream = 1 : i64}
      : (tensor<3x17xf32>, tensor<i32>, tensor<i32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
}
