// What changes nothing disappears; what is not exact stays.
// RUN: pock-opt %s -p canonicalize-nn --validate-each | filecheck %s

builtin.module attributes {pock.level = "nn"} {
  // CHECK-LABEL: func.func @times_one
  // CHECK-NEXT:    func.return %x
  func.func @times_one(%x: tensor<4xf32> {pock.kind = "input", pock.name = "x"}) -> (tensor<4xf32> {pock.kind = "output", pock.name = "y"}) {
    %one = nn.constant {value = 1.0 : f64, type = tensor<4xf32>} : () -> tensor<4xf32>
    %y = nn.mul %x, %one : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    func.return %y : tensor<4xf32>
  }
  // x + 0 is not x for x = -0.
  // CHECK-LABEL: func.func @plus_zero
  // CHECK:         nn.add
  func.func @plus_zero(%x: tensor<4xf32> {pock.kind = "input", pock.name = "x"}) -> (tensor<4xf32> {pock.kind = "output", pock.name = "y"}) {
    %zero = nn.constant {value = 0.0 : f64, type = tensor<4xf32>} : () -> tensor<4xf32>
    %y = nn.add %x, %zero : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    func.return %y : tensor<4xf32>
  }
  // CHECK-LABEL: func.func @there_and_back
  // CHECK-NEXT:    func.return %x
  func.func @there_and_back(%x: tensor<2x3xf32> {pock.kind = "input", pock.name = "x"}) -> (tensor<2x3xf32> {pock.kind = "output", pock.name = "y"}) {
    %t = nn.transpose %x {permutation = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
    %y = nn.transpose %t {permutation = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
    func.return %y : tensor<2x3xf32>
  }
}
