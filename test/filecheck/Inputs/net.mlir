builtin.module attributes {pock.name = "net", pock.level = "nn", pock.target = "reference"} {
  func.func @train(
    %w: tensor<3x5xf32> {pock.kind = "parameter", pock.name = "fc.weight"},
    %b: tensor<3xf32> {pock.kind = "parameter", pock.name = "fc.bias"},
    %x: tensor<4x5xf32> {pock.kind = "input", pock.name = "x"},
    %t: tensor<4xi64> {pock.kind = "target", pock.name = "t"}
  ) -> (tensor<f32> {pock.kind = "loss"}) {
    %y = nn.linear %x, %w {weight_layout = "oi"} : (tensor<4x5xf32>, tensor<3x5xf32>) -> tensor<4x3xf32>
    %c = nn.broadcast %b {shape = array<i64: 4, 3>, axes = array<i64: 1>} : (tensor<3xf32>) -> tensor<4x3xf32>
    %z = nn.add %y, %c : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
    %r = nn.relu %z : (tensor<4x3xf32>) -> tensor<4x3xf32>
    %loss, %n = nn.cross_entropy %r, %t {ignore_index = -100 : i64, reduction = "mean", label_smoothing = 0.0 : f64} : (tensor<4x3xf32>, tensor<4xi64>) -> (tensor<f32>, tensor<4xf32>)
    func.return %loss : tensor<f32>
  }
  func.func @infer(
    %w: tensor<3x5xf32> {pock.kind = "parameter", pock.name = "fc.weight"},
    %b: tensor<3xf32> {pock.kind = "parameter", pock.name = "fc.bias"},
    %x: tensor<4x5xf32> {pock.kind = "input", pock.name = "x"}
  ) -> (tensor<4x3xf32> {pock.kind = "output", pock.name = "y"}) {
    %y = nn.linear %x, %w {weight_layout = "oi"} : (tensor<4x5xf32>, tensor<3x5xf32>) -> tensor<4x3xf32>
    %c = nn.broadcast %b {shape = array<i64: 4, 3>, axes = array<i64: 1>} : (tensor<3xf32>) -> tensor<4x3xf32>
    %z = nn.add %y, %c : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
    %r = nn.relu %z : (tensor<4x3xf32>) -> tensor<4x3xf32>
    func.return %r : tensor<4x3xf32>
  }
}
