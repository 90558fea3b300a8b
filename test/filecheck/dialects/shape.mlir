// Ops that make and move elements: every op prints as it was read, and crosses the generic form.
// RUN: pock-opt %s --print-op-generic | pock-opt | filecheck %s

builtin.module attributes {pock.level = "train"} {
  // CHECK: nn.constant {value = 1.000000e-01 : f64, type = tensor<2x3xf32>} : () -> tensor<2x3xf32>
  func.func @constant() -> tensor<2x3xf32> {
    %r = nn.constant {value = 1.000000e-01 : f64, type = tensor<2x3xf32>} : () -> tensor<2x3xf32>
    func.return %r : tensor<2x3xf32>
  }
  // CHECK: nn.iota {axis = 0 : i64, type = tensor<5xi32>} : () -> tensor<5xi32>
  func.func @iota() -> tensor<5xi32> {
    %r = nn.iota {axis = 0 : i64, type = tensor<5xi32>} : () -> tensor<5xi32>
    func.return %r : tensor<5xi32>
  }
  // CHECK: nn.broadcast %{{.*}} {shape = array<i64: 2, 3>, axes = array<i64>} : (tensor<f32>) -> tensor<2x3xf32>
  func.func @broadcast(%a: tensor<f32>) -> tensor<2x3xf32> {
    %r = nn.broadcast %a
      {shape = array<i64: 2, 3>, axes = array<i64>}
      : (tensor<f32>) -> tensor<2x3xf32>
    func.return %r : tensor<2x3xf32>
  }
  // CHECK: nn.reshape %{{.*}} {shape = array<i64: 2, 12>} : (tensor<2x3x4xf32>) -> tensor<2x12xf32>
  func.func @reshape(%a: tensor<2x3x4xf32>) -> tensor<2x12xf32> {
    %r = nn.reshape %a {shape = array<i64: 2, 12>} : (tensor<2x3x4xf32>) -> tensor<2x12xf32>
    func.return %r : tensor<2x12xf32>
  }
  // CHECK: nn.transpose %{{.*}} {permutation = array<i64: 1, 0>} : (tensor<3x5xf32>) -> tensor<5x3xf32>
  func.func @transpose(%a: tensor<3x5xf32>) -> tensor<5x3xf32> {
    %r = nn.transpose %a {permutation = array<i64: 1, 0>} : (tensor<3x5xf32>) -> tensor<5x3xf32>
    func.return %r : tensor<5x3xf32>
  }
  // CHECK: nn.slice %{{.*}} {begin = array<i64: 1, 2>, end = array<i64: 4, 7>, stride = array<i64: 1, 1>} : (tensor<5x7xf32>) -> tensor<3x5xf32>
  func.func @slice(%a: tensor<5x7xf32>) -> tensor<3x5xf32> {
    %r = nn.slice %a
      {begin = array<i64: 1, 2>, end = array<i64: 4, 7>, stride = array<i64: 1, 1>}
      : (tensor<5x7xf32>) -> tensor<3x5xf32>
    func.return %r : tensor<3x5xf32>
  }
  // CHECK: nn.pad %{{.*}} {low = array<i64: 1, 0>, high = array<i64: 0, 2>, value = 5.000000e-01 : f64} : (tensor<2x3xf32>) -> tensor<3x5xf32>
  func.func @pad(%a: tensor<2x3xf32>) -> tensor<3x5xf32> {
    %r = nn.pad %a
      {low = array<i64: 1, 0>, high = array<i64: 0, 2>, value = 5.000000e-01 : f64}
      : (tensor<2x3xf32>) -> tensor<3x5xf32>
    func.return %r : tensor<3x5xf32>
  }
  // CHECK: nn.concat %{{.*}}, %{{.*}} {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2x5xf32>) -> tensor<2x8xf32>
  func.func @concat(%a: tensor<2x3xf32>, %b: tensor<2x5xf32>) -> tensor<2x8xf32> {
    %r = nn.concat %a, %b {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2x5xf32>) -> tensor<2x8xf32>
    func.return %r : tensor<2x8xf32>
  }
}
