// A value that is used twice gets the sum of both gradients; what is frozen costs nothing.
// RUN: pock-opt %s -p autodiff --split-input-file --verify-diagnostics | filecheck %s
// RUN: pock-opt %S/../Inputs/net.mlir -p 'apply-scheme,autodiff' --validate-each | filecheck %s --check-prefix=NET

// NET: builtin.module attributes {{{.*}}pock.level = "train"
// NET: func.func @train_step({{.*}}) -> (tensor<f32> {pock.kind = "loss"}, tensor<3x5xf32> {pock.kind = "gradient", pock.name = "fc.weight"}, tensor<3xf32> {pock.kind = "gradient", pock.name = "fc.bias"})
// NET: train.cross_entropy_grad
// NET: train.linear_grad_weight
// NET-NOT: nn.linear
// NET: func.func @infer

// CHECK-LABEL: func.func @train_step
// CHECK-SAME:  tensor<4xf32> {pock.kind = "gradient", pock.name = "w"}
// CHECK:       [[A:%.*]] = nn.mul
// CHECK:       [[B:%.*]] = nn.mul
// CHECK:       nn.add
// CHECK:       func.return
builtin.module attributes {pock.level = "nn"} {
  func.func @train(
    %w: tensor<4xf32> {pock.kind = "parameter", pock.name = "w", pock.train},
    %v: tensor<4xf32> {pock.kind = "parameter", pock.name = "v"}
  ) -> (tensor<f32> {pock.kind = "loss"}) {
    %a = nn.mul %w, %v : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %b = nn.mul %a, %w : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %loss = nn.sum %b {axes = array<i64: 0>} : (tensor<4xf32>) -> tensor<f32>
    func.return %loss : tensor<f32>
  }
}

// -----

// CHECK: error: @train trains no parameter: apply a scheme first
builtin.module attributes {pock.level = "nn"} {
  func.func @train(%w: tensor<f32> {pock.kind = "parameter", pock.name = "w"}) -> (tensor<f32> {pock.kind = "loss"}) {
    %loss = nn.neg %w : (tensor<f32>) -> tensor<f32>
    func.return %loss : tensor<f32>
  }
}
