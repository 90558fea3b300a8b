// Normalisation: every op prints as it was read, and crosses the generic form.
// RUN: pock-opt %s --print-op-generic | pock-opt | filecheck %s

builtin.module attributes {pock.level = "train"} {
  // CHECK: nn.batch_norm %{{.*}}, %{{.*}}, %{{.*}} {axis = 1 : i64, eps = 1.000000e-05 : f64} : (tensor<4x3xf32>, tensor<3xf32>, tensor<3xf32>) -> (tensor<4x3xf32>, tensor<3xf32>, tensor<3xf32>)
  func.func @batch_norm(%a: tensor<4x3xf32>, %b: tensor<3xf32>, %c: tensor<3xf32>) -> (tensor<4x3xf32>, tensor<3xf32>, tensor<3xf32>) {
    %r0, %r1, %r2 = nn.batch_norm %a, %b, %c
      {axis = 1 : i64, eps = 1.000000e-05 : f64}
      : (tensor<4x3xf32>, tensor<3xf32>, tensor<3xf32>) -> (tensor<4x3xf32>, tensor<3xf32>, tensor<3xf32>)
    func.return %r0, %r1, %r2 : tensor<4x3xf32>, tensor<3xf32>, tensor<3xf32>
  }
  // CHECK: nn.batch_norm_inference %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {axis = 1 : i64, eps = 1.000000e-05 : f64} : (tensor<4x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<4x3xf32>
  func.func @batch_norm_inference(%a: tensor<4x3xf32>, %b: tensor<3xf32>, %c: tensor<3xf32>, %d: tensor<3xf32>, %e: tensor<3xf32>) -> tensor<4x3xf32> {
    %r = nn.batch_norm_inference %a, %b, %c, %d, %e
      {axis = 1 : i64, eps = 1.000000e-05 : f64}
      : (tensor<4x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<4x3xf32>
    func.return %r : tensor<4x3xf32>
  }
  // CHECK: nn.moments %{{.*}} {axis = 1 : i64} : (tensor<4x3xf32>) -> (tensor<3xf32>, tensor<3xf32>)
  func.func @moments(%a: tensor<4x3xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
    %r0, %r1 = nn.moments %a {axis = 1 : i64} : (tensor<4x3xf32>) -> (tensor<3xf32>, tensor<3xf32>)
    func.return %r0, %r1 : tensor<3xf32>, tensor<3xf32>
  }
  // CHECK: train.batch_norm_grad_sums %{{.*}}, %{{.*}}, %{{.*}} {axis = 1 : i64} : (tensor<4x3xf32>, tensor<4x3xf32>, tensor<3xf32>) -> (tensor<3xf64>, tensor<3xf64>)
  func.func @batch_norm_grad_sums(%a: tensor<4x3xf32>, %b: tensor<4x3xf32>, %c: tensor<3xf32>) -> (tensor<3xf64>, tensor<3xf64>) {
    %r0, %r1 = train.batch_norm_grad_sums %a, %b, %c
      {axis = 1 : i64}
      : (tensor<4x3xf32>, tensor<4x3xf32>, tensor<3xf32>) -> (tensor<3xf64>, tensor<3xf64>)
    func.return %r0, %r1 : tensor<3xf64>, tensor<3xf64>
  }
  // CHECK: nn.layer_norm %{{.*}}, %{{.*}}, %{{.*}} {axis = 2 : i64, eps = 1.000000e-05 : f64} : (tensor<2x3x17xf32>, tensor<17xf32>, tensor<17xf32>) -> (tensor<2x3x17xf32>, tensor<2x3xf32>, tensor<2x3xf32>)
  func.func @layer_norm(%a: tensor<2x3x17xf32>, %b: tensor<17xf32>, %c: tensor<17xf32>) -> (tensor<2x3x17xf32>, tensor<2x3xf32>, tensor<2x3xf32>) {
    %r0, %r1, %r2 = nn.layer_norm %a, %b, %c
      {axis = 2 : i64, eps = 1.000000e-05 : f64}
      : (tensor<2x3x17xf32>, tensor<17xf32>, tensor<17xf32>) -> (tensor<2x3x17xf32>, tensor<2x3xf32>, tensor<2x3xf32>)
    func.return %r0, %r1, %r2 : tensor<2x3x17xf32>, tensor<2x3xf32>, tensor<2x3xf32>
  }
  // CHECK: train.layer_norm_grad_input %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {axis = 2 : i64} : (tensor<2x3x17xf32>, tensor<2x3x17xf32>, tensor<2x3xf32>, tensor<2x3xf32>, tensor<17xf32>) -> tensor<2x3x17xf32>
  func.func @layer_norm_grad_input(%a: tensor<2x3x17xf32>, %b: tensor<2x3x17xf32>, %c: tensor<2x3xf32>, %d: tensor<2x3xf32>, %e: tensor<17xf32>) -> tensor<2x3x17xf32> {
    %r = train.layer_norm_grad_input %a, %b, %c, %d, %e
      {axis = 2 : i64}
      : (tensor<2x3x17xf32>, tensor<2x3x17xf32>, tensor<2x3xf32>, tensor<2x3xf32>, tensor<17xf32>) -> tensor<2x3x17xf32>
    func.return %r : tensor<2x3x17xf32>
  }
  // CHECK: train.layer_norm_grad_params %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {axis = 2 : i64} : (tensor<2x3x17xf32>, tensor<2x3x17xf32>, tensor<2x3xf32>, tensor<2x3xf32>) -> (tensor<17xf32>, tensor<17xf32>)
  func.func @layer_norm_grad_params(%a: tensor<2x3x17xf32>, %b: tensor<2x3x17xf32>, %c: tensor<2x3xf32>, %d: tensor<2x3xf32>) -> (tensor<17xf32>, tensor<17xf32>) {
    %r0, %r1 = train.layer_norm_grad_params %a, %b, %c, %d
      {axis = 2 : i64}
      : (tensor<2x3x17xf32>, tensor<2x3x17xf32>, tensor<2x3xf32>, tensor<2x3xf32>) -> (tensor<17xf32>, tensor<17xf32>)
    func.return %r0, %r1 : tensor<17xf32>, tensor<17xf32>
  }
}
