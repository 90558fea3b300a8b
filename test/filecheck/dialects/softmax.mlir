// Softmax: every op prints as it was read, and crosses the generic form.
// RUN: pock-opt %s --print-op-generic | pock-opt | filecheck %s

builtin.module attributes {pock.level = "train"} {
  // CHECK: nn.softmax %{{.*}} {axis = 1 : i64} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @softmax(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.softmax %a {axis = 1 : i64} : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.log_softmax %{{.*}} {axis = 1 : i64} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @log_softmax(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.log_softmax %a {axis = 1 : i64} : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: train.softmax_grad %{{.*}}, %{{.*}} {axis = 1 : i64} : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @softmax_grad(%a: tensor<3x17xf32>, %b: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = train.softmax_grad %a, %b
      {axis = 1 : i64}
      : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: train.log_softmax_grad %{{.*}}, %{{.*}} {axis = 1 : i64} : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @log_softmax_grad(%a: tensor<3x17xf32>, %b: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = train.log_softmax_grad %a, %b
      {axis = 1 : i64}
      : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
}
