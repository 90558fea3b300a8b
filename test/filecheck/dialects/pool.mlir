// Pooling: every op prints as it was read, and crosses the generic form.
// RUN: pock-opt %s --print-op-generic | pock-opt | filecheck %s

builtin.module attributes {pock.level = "train"} {
  // CHECK: nn.max_pool2d %{{.*}} {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pad_low = array<i64: 0, 0>, pad_high = array<i64: 0, 0>, layout = "nchw", dilation = array<i64: 1, 1>} : (tensor<2x3x4x6xf32>) -> tensor<2x3x2x3xf32>
  func.func @max_pool2d(%a: tensor<2x3x4x6xf32>) -> tensor<2x3x2x3xf32> {
    %r = nn.max_pool2d %a
      {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pad_low = array<i64: 0, 0>, pad_high = array<i64: 0, 0>, layout = "nchw", dilation = array<i64: 1, 1>}
      : (tensor<2x3x4x6xf32>) -> tensor<2x3x2x3xf32>
    func.return %r : tensor<2x3x2x3xf32>
  }
  // CHECK: train.max_pool2d_grad %{{.*}}, %{{.*}} {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pad_low = array<i64: 0, 0>, pad_high = array<i64: 0, 0>, layout = "nchw", dilation = array<i64: 1, 1>} : (tensor<2x3x4x6xf32>, tensor<2x3x2x3xf32>) -> tensor<2x3x4x6xf32>
  func.func @max_pool2d_grad(%a: tensor<2x3x4x6xf32>, %b: tensor<2x3x2x3xf32>) -> tensor<2x3x4x6xf32> {
    %r = train.max_pool2d_grad %a, %b
      {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pad_low = array<i64: 0, 0>, pad_high = array<i64: 0, 0>, layout = "nchw", dilation = array<i64: 1, 1>}
      : (tensor<2x3x4x6xf32>, tensor<2x3x2x3xf32>) -> tensor<2x3x4x6xf32>
    func.return %r : tensor<2x3x4x6xf32>
  }
  // CHECK: nn.avg_pool2d %{{.*}} {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pad_low = array<i64: 0, 0>, pad_high = array<i64: 0, 0>, layout = "nchw", count_include_pad = true} : (tensor<2x3x4x6xf32>) -> tensor<2x3x2x3xf32>
  func.func @avg_pool2d(%a: tensor<2x3x4x6xf32>) -> tensor<2x3x2x3xf32> {
    %r = nn.avg_pool2d %a
      {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pad_low = array<i64: 0, 0>, pad_high = array<i64: 0, 0>, layout = "nchw", count_include_pad = true}
      : (tensor<2x3x4x6xf32>) -> tensor<2x3x2x3xf32>
    func.return %r : tensor<2x3x2x3xf32>
  }
  // CHECK: train.avg_pool2d_grad %{{.*}} {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pad_low = array<i64: 0, 0>, pad_high = array<i64: 0, 0>, layout = "nchw", count_include_pad = true, input_shape = array<i64: 2, 3, 4, 6>} : (tensor<2x3x2x3xf32>) -> tensor<2x3x4x6xf32>
  func.func @avg_pool2d_grad(%a: tensor<2x3x2x3xf32>) -> tensor<2x3x4x6xf32> {
    %r = train.avg_pool2d_grad %a
      {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pad_low = array<i64: 0, 0>, pad_high = array<i64: 0, 0>, layout = "nchw", count_include_pad = true, input_shape = array<i64: 2, 3, 4, 6>}
      : (tensor<2x3x2x3xf32>) -> tensor<2x3x4x6xf32>
    func.return %r : tensor<2x3x4x6xf32>
  }
}
