// Matrix products: every op prints as it was read, and crosses the generic form.
// RUN: pock-opt %s --print-op-generic | pock-opt | filecheck %s

builtin.module attributes {pock.level = "train"} {
  // CHECK: nn.matmul %{{.*}}, %{{.*}} {transpose_lhs = false, transpose_rhs = false} : (tensor<3x7xf32>, tensor<7x5xf32>) -> tensor<3x5xf32>
  func.func @matmul(%a: tensor<3x7xf32>, %b: tensor<7x5xf32>) -> tensor<3x5xf32> {
    %r = nn.matmul %a, %b
      {transpose_lhs = false, transpose_rhs = false}
      : (tensor<3x7xf32>, tensor<7x5xf32>) -> tensor<3x5xf32>
    func.return %r : tensor<3x5xf32>
  }
  // CHECK: nn.linear %{{.*}}, %{{.*}} {weight_layout = "oi"} : (tensor<5x7xf32>, tensor<3x7xf32>) -> tensor<5x3xf32>
  func.func @linear(%a: tensor<5x7xf32>, %b: tensor<3x7xf32>) -> tensor<5x3xf32> {
    %r = nn.linear %a, %b
      {weight_layout = "oi"}
      : (tensor<5x7xf32>, tensor<3x7xf32>) -> tensor<5x3xf32>
    func.return %r : tensor<5x3xf32>
  }
  // CHECK: train.linear_grad_weight %{{.*}}, %{{.*}} {weight_layout = "oi"} : (tensor<5x7xf32>, tensor<5x3xf32>) -> tensor<3x7xf32>
  func.func @linear_grad_weight(%a: tensor<5x7xf32>, %b: tensor<5x3xf32>) -> tensor<3x7xf32> {
    %r = train.linear_grad_weight %a, %b
      {weight_layout = "oi"}
      : (tensor<5x7xf32>, tensor<5x3xf32>) -> tensor<3x7xf32>
    func.return %r : tensor<3x7xf32>
  }
}
