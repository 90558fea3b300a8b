// Convolution: every op prints as it was read, and crosses the generic form.
// RUN: pock-opt %s --print-op-generic | pock-opt | filecheck %s

builtin.module attributes {pock.level = "train"} {
  // CHECK: nn.conv2d %{{.*}}, %{{.*}} {strides = array<i64: 1, 1>, dilation = array<i64: 1, 1>, pad_low = array<i64: 1, 1>, pad_high = array<i64: 1, 1>, groups = 1 : i64, layout = "nchw", weight_layout = "oihw"} : (tensor<2x3x5x7xf32>, tensor<4x3x3x3xf32>) -> tensor<2x4x5x7xf32>
  func.func @conv2d(%a: tensor<2x3x5x7xf32>, %b: tensor<4x3x3x3xf32>) -> tensor<2x4x5x7xf32> {
    %r = nn.conv2d %a, %b
      {strides = array<i64: 1, 1>, dilation = array<i64: 1, 1>, pad_low = array<i64: 1, 1>, pad_high = array<i64: 1, 1>, groups = 1 : i64, layout = "nchw", weight_layout = "oihw"}
      : (tensor<2x3x5x7xf32>, tensor<4x3x3x3xf32>) -> tensor<2x4x5x7xf32>
    func.return %r : tensor<2x4x5x7xf32>
  }
  // CHECK: train.conv2d_grad_input %{{.*}}, %{{.*}} {strides = array<i64: 1, 1>, dilation = array<i64: 1, 1>, pad_low = array<i64: 1, 1>, pad_high = array<i64: 1, 1>, groups = 1 : i64, layout = "nchw", weight_layout = "oihw", input_shape = array<i64: 2, 3, 5, 7>} : (tensor<2x4x5x7xf32>, tensor<4x3x3x3xf32>) -> tensor<2x3x5x7xf32>
  func.func @conv2d_grad_input(%a: tensor<2x4x5x7xf32>, %b: tensor<4x3x3x3xf32>) -> tensor<2x3x5x7xf32> {
    %r = train.conv2d_grad_input %a, %b
      {strides = array<i64: 1, 1>, dilation = array<i64: 1, 1>, pad_low = array<i64: 1, 1>, pad_high = array<i64: 1, 1>, groups = 1 : i64, layout = "nchw", weight_layout = "oihw", input_shape = array<i64: 2, 3, 5, 7>}
      : (tensor<2x4x5x7xf32>, tensor<4x3x3x3xf32>) -> tensor<2x3x5x7xf32>
    func.return %r : tensor<2x3x5x7xf32>
  }
  // CHECK: train.conv2d_grad_weight %{{.*}}, %{{.*}} {strides = array<i64: 1, 1>, dilation = array<i64: 1, 1>, pad_low = array<i64: 1, 1>, pad_high = array<i64: 1, 1>, groups = 1 : i64, layout = "nchw", weight_layout = "oihw", weight_shape = array<i64: 4, 3, 3, 3>} : (tensor<2x3x5x7xf32>, tensor<2x4x5x7xf32>) -> tensor<4x3x3x3xf32>
  func.func @conv2d_grad_weight(%a: tensor<2x3x5x7xf32>, %b: tensor<2x4x5x7xf32>) -> tensor<4x3x3x3xf32> {
    %r = train.conv2d_grad_weight %a, %b
      {strides = array<i64: 1, 1>, dilation = array<i64: 1, 1>, pad_low = array<i64: 1, 1>, pad_high = array<i64: 1, 1>, groups = 1 : i64, layout = "nchw", weight_layout = "oihw", weight_shape = array<i64: 4, 3, 3, 3>}
      : (tensor<2x3x5x7xf32>, tensor<2x4x5x7xf32>) -> tensor<4x3x3x3xf32>
    func.return %r : tensor<4x3x3x3xf32>
  }
}
