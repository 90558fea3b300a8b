// Rows of a table: every op prints as it was read, and crosses the generic form.
// RUN: pock-opt %s --print-op-generic | pock-opt | filecheck %s

builtin.module attributes {pock.level = "train"} {
  // CHECK: nn.embedding %{{.*}}, %{{.*}} {padding_index = -1 : i64} : (tensor<7x5xf32>, tensor<2x3xi64>) -> tensor<2x3x5xf32>
  func.func @embedding(%a: tensor<7x5xf32>, %b: tensor<2x3xi64>) -> tensor<2x3x5xf32> {
    %r = nn.embedding %a, %b
      {padding_index = -1 : i64}
      : (tensor<7x5xf32>, tensor<2x3xi64>) -> tensor<2x3x5xf32>
    func.return %r : tensor<2x3x5xf32>
  }
  // CHECK: train.embedding_grad %{{.*}}, %{{.*}} {rows = 7 : i64, padding_index = -1 : i64} : (tensor<2x3xi64>, tensor<2x3x5xf32>) -> tensor<7x5xf32>
  func.func @embedding_grad(%a: tensor<2x3xi64>, %b: tensor<2x3x5xf32>) -> tensor<7x5xf32> {
    %r = train.embedding_grad %a, %b
      {rows = 7 : i64, padding_index = -1 : i64}
      : (tensor<2x3xi64>, tensor<2x3x5xf32>) -> tensor<7x5xf32>
    func.return %r : tensor<7x5xf32>
  }
}
