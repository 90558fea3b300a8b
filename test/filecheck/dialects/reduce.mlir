// Reductions: every op prints as it was read, and crosses the generic form.
// RUN: pock-opt %s --print-op-generic | pock-opt | filecheck %s

builtin.module attributes {pock.level = "train"} {
  // CHECK: nn.sum %{{.*}} {axes = array<i64: 1>} : (tensor<3x17xf32>) -> tensor<3xf32>
  func.func @sum(%a: tensor<3x17xf32>) -> tensor<3xf32> {
    %r = nn.sum %a {axes = array<i64: 1>} : (tensor<3x17xf32>) -> tensor<3xf32>
    func.return %r : tensor<3xf32>
  }
  // CHECK: nn.mean %{{.*}} {axes = array<i64: 1>} : (tensor<3x17xf32>) -> tensor<3xf32>
  func.func @mean(%a: tensor<3x17xf32>) -> tensor<3xf32> {
    %r = nn.mean %a {axes = array<i64: 1>} : (tensor<3x17xf32>) -> tensor<3xf32>
    func.return %r : tensor<3xf32>
  }
  // CHECK: nn.max %{{.*}} {axes = array<i64: 1>} : (tensor<3x17xf32>) -> tensor<3xf32>
  func.func @max(%a: tensor<3x17xf32>) -> tensor<3xf32> {
    %r = nn.max %a {axes = array<i64: 1>} : (tensor<3x17xf32>) -> tensor<3xf32>
    func.return %r : tensor<3xf32>
  }
}
