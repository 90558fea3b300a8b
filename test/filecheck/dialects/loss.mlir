// Losses: every op prints as it was read, and crosses the generic form.
// RUN: pock-opt %s --print-op-generic | pock-opt | filecheck %s

builtin.module attributes {pock.level = "train"} {
  // CHECK: nn.cross_entropy %{{.*}}, %{{.*}} {ignore_index = -100 : i64, reduction = "mean", label_smoothing = 0.000000e+00 : f64} : (tensor<5x7xf32>, tensor<5xi64>) -> (tensor<f32>, tensor<5xf32>)
  func.func @cross_entropy(%a: tensor<5x7xf32>, %b: tensor<5xi64>) -> (tensor<f32>, tensor<5xf32>) {
    %r0, %r1 = nn.cross_entropy %a, %b
      {ignore_index = -100 : i64, reduction = "mean", label_smoothing = 0.000000e+00 : f64}
      : (tensor<5x7xf32>, tensor<5xi64>) -> (tensor<f32>, tensor<5xf32>)
    func.return %r0, %r1 : tensor<f32>, tensor<5xf32>
  }
  // CHECK: train.cross_entropy_grad %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {ignore_index = -100 : i64, reduction = "mean", label_smoothing = 0.000000e+00 : f64} : (tensor<5x7xf32>, tensor<5xi64>, tensor<5xf32>, tensor<f32>) -> tensor<5x7xf32>
  func.func @cross_entropy_grad(%a: tensor<5x7xf32>, %b: tensor<5xi64>, %c: tensor<5xf32>, %d: tensor<f32>) -> tensor<5x7xf32> {
    %r = train.cross_entropy_grad %a, %b, %c, %d
      {ignore_index = -100 : i64, reduction = "mean", label_smoothing = 0.000000e+00 : f64}
      : (tensor<5x7xf32>, tensor<5xi64>, tensor<5xf32>, tensor<f32>) -> tensor<5x7xf32>
    func.return %r : tensor<5x7xf32>
  }
}
