// Attention: every op prints as it was read, and crosses the generic form.
// RUN: pock-opt %s --print-op-generic | pock-opt | filecheck %s

builtin.module attributes {pock.level = "train"} {
  // CHECK: nn.attention %{{.*}}, %{{.*}}, %{{.*}} {layout = "bhtd", scale = 5.000000e-01 : f64, causal = false, mask = "none", masked_rows = "zero", dropout = 0.000000e+00 : f64, stream = 0 : i64} : (tensor<2x3x5x4xf32>, tensor<2x3x7x4xf32>, tensor<2x3x7x6xf32>) -> (tensor<2x3x5x6xf32>, tensor<2x3x5xf32>)
  func.func @attention(%a: tensor<2x3x5x4xf32>, %b: tensor<2x3x7x4xf32>, %c: tensor<2x3x7x6xf32>) -> (tensor<2x3x5x6xf32>, tensor<2x3x5xf32>) {
    %r0, %r1 = nn.attention %a, %b, %c
      {layout = "bhtd", scale = 5.000000e-01 : f64, causal = false, mask = "none", masked_rows = "zero", dropout = 0.000000e+00 : f64, stream = 0 : i64}
      : (tensor<2x3x5x4xf32>, tensor<2x3x7x4xf32>, tensor<2x3x7x6xf32>) -> (tensor<2x3x5x6xf32>, tensor<2x3x5xf32>)
    func.return %r0, %r1 : tensor<2x3x5x6xf32>, tensor<2x3x5xf32>
  }
  // CHECK: train.attention_grad %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {layout = "bhtd", scale = 5.000000e-01 : f64, causal = false, mask = "none", masked_rows = "zero", dropout = 0.000000e+00 : f64, stream = 0 : i64} : (tensor<2x3x5x6xf32>, tensor<2x3x5x4xf32>, tensor<2x3x7x4xf32>, tensor<2x3x7x6xf32>, tensor<2x3x5x6xf32>, tensor<2x3x5xf32>) -> (tensor<2x3x5x4xf32>, tensor<2x3x7x4xf32>, tensor<2x3x7x6xf32>)
  func.func @attention_grad(%a: tensor<2x3x5x6xf32>, %b: tensor<2x3x5x4xf32>, %c: tensor<2x3x7x4xf32>, %d: tensor<2x3x7x6xf32>, %e: tensor<2x3x5x6xf32>, %f: tensor<2x3x5xf32>) -> (tensor<2x3x5x4xf32>, tensor<2x3x7x4xf32>, tensor<2x3x7x6xf32>) {
    %r0, %r1, %r2 = train.attention_grad %a, %b, %c, %d, %e, %f
      {layout = "bhtd", scale = 5.000000e-01 : f64, causal = false, mask = "none", masked_rows = "zero", dropout = 0.000000e+00 : f64, stream = 0 : i64}
      : (tensor<2x3x5x6xf32>, tensor<2x3x5x4xf32>, tensor<2x3x7x4xf32>, tensor<2x3x7x6xf32>, tensor<2x3x5x6xf32>, tensor<2x3x5xf32>) -> (tensor<2x3x5x4xf32>, tensor<2x3x7x4xf32>, tensor<2x3x7x6xf32>)
    func.return %r0, %r1, %r2 : tensor<2x3x5x4xf32>, tensor<2x3x7x4xf32>, tensor<2x3x7x6xf32>
  }
}
