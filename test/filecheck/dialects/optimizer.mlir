// Optimizer steps: every op prints as it was read, and crosses the generic form.
// RUN: pock-opt %s --print-op-generic | pock-opt | filecheck %s

builtin.module attributes {pock.level = "train"} {
  // CHECK: train.sgd %{{.*}}, %{{.*}}, %{{.*}} {weight_decay = 0.000000e+00 : f64, axis = 0 : i64, begin = 0 : i64} : (tensor<3x17xf32>, tensor<3x17xf32>, tensor<f32>) -> tensor<3x17xf32>
  func.func @sgd(%a: tensor<3x17xf32>, %b: tensor<3x17xf32>, %c: tensor<f32>) -> tensor<3x17xf32> {
    %r = train.sgd %a, %b, %c
      {weight_decay = 0.000000e+00 : f64, axis = 0 : i64, begin = 0 : i64}
      : (tensor<3x17xf32>, tensor<3x17xf32>, tensor<f32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: train.momentum %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {weight_decay = 0.000000e+00 : f64, momentum = 9.000000e-01 : f64, dampening = 0.000000e+00 : f64, nesterov = false, axis = 0 : i64, begin = 0 : i64} : (tensor<3x17xf32>, tensor<3x17xf32>, tensor<3x17xf32>, tensor<f32>, tensor<i32>) -> (tensor<3x17xf32>, tensor<3x17xf32>)
  func.func @momentum(%a: tensor<3x17xf32>, %b: tensor<3x17xf32>, %c: tensor<3x17xf32>, %d: tensor<f32>, %e: tensor<i32>) -> (tensor<3x17xf32>, tensor<3x17xf32>) {
    %r0, %r1 = train.momentum %a, %b, %c, %d, %e
      {weight_decay = 0.000000e+00 : f64, momentum = 9.000000e-01 : f64, dampening = 0.000000e+00 : f64, nesterov = false, axis = 0 : i64, begin = 0 : i64}
      : (tensor<3x17xf32>, tensor<3x17xf32>, tensor<3x17xf32>, tensor<f32>, tensor<i32>) -> (tensor<3x17xf32>, tensor<3x17xf32>)
    func.return %r0, %r1 : tensor<3x17xf32>, tensor<3x17xf32>
  }
  // CHECK: train.adam %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {weight_decay = 0.000000e+00 : f64, beta1 = 9.000000e-01 : f64, beta2 = 9.990000e-01 : f64, eps = 1.000000e-08 : f64, decoupled = false, eps_before_correction = false, axis = 0 : i64, begin = 0 : i64} : (tensor<3x17xf32>, tensor<3x17xf32>, tensor<3x17xf32>, tensor<3x17xf32>, tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<3x17xf32>, tensor<3x17xf32>, tensor<3x17xf32>)
  func.func @adam(%a: tensor<3x17xf32>, %b: tensor<3x17xf32>, %c: tensor<3x17xf32>, %d: tensor<3x17xf32>, %e: tensor<f32>, %f: tensor<f32>, %g: tensor<f32>) -> (tensor<3x17xf32>, tensor<3x17xf32>, tensor<3x17xf32>) {
    %r0, %r1, %r2 = train.adam %a, %b, %c, %d, %e, %f, %g
      {weight_decay = 0.000000e+00 : f64, beta1 = 9.000000e-01 : f64, beta2 = 9.990000e-01 : f64, eps = 1.000000e-08 : f64, decoupled = false, eps_before_correction = false, axis = 0 : i64, begin = 0 : i64}
      : (tensor<3x17xf32>, tensor<3x17xf32>, tensor<3x17xf32>, tensor<3x17xf32>, tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<3x17xf32>, tensor<3x17xf32>, tensor<3x17xf32>)
    func.return %r0, %r1, %r2 : tensor<3x17xf32>, tensor<3x17xf32>, tensor<3x17xf32>
  }
  // CHECK: train.adam_correction %{{.*}} {beta1 = 9.000000e-01 : f64, beta2 = 9.990000e-01 : f64} : (tensor<i32>) -> (tensor<f32>, tensor<f32>)
  func.func @adam_correction(%a: tensor<i32>) -> (tensor<f32>, tensor<f32>) {
    %r0, %r1 = train.adam_correction %a
      {beta1 = 9.000000e-01 : f64, beta2 = 9.990000e-01 : f64}
      : (tensor<i32>) -> (tensor<f32>, tensor<f32>)
    func.return %r0, %r1 : tensor<f32>, tensor<f32>
  }
}
