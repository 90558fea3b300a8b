// What text is refused, each with the place of the op. The rules of each op have tests of their
// own, see test/dialects.
// RUN: pock-opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: errors.mlir:{{[0-9]+}}:17: error: Expected 2 operands, but got 1
builtin.module {
  func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
    %y = nn.add %x : (tensor<4xf32>) -> tensor<4xf32>
    func.return %y : tensor<4xf32>
  }
}

// -----

// CHECK: errors.mlir:{{[0-9]+}}:5: error: nn.add: result types should be (tensor<4xf32>), not (tensor<5xf32>)
builtin.module {
  func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
    %y = nn.add %x, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<5xf32>
    func.return %x : tensor<4xf32>
  }
}

// -----

// CHECK: errors.mlir:{{[0-9]+}}:18: error: Operation nn.leak is not registered
builtin.module {
  func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
    %y = nn.leak %x : (tensor<4xf32>) -> tensor<4xf32>
    func.return %y : tensor<4xf32>
  }
}

// -----

// CHECK: errors.mlir:{{[0-9]+}}:1: error: values used but not defined: {{.%z.}}
builtin.module {
  func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
    %y = nn.relu %z : (tensor<4xf32>) -> tensor<4xf32>
    func.return %y : tensor<4xf32>
  }
}

// -----

// CHECK: errors.mlir:{{[0-9]+}}:5: error: nn.relu uses a value that is not defined there: operand 0 '%z'
builtin.module {
  func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
    %y = nn.relu %z : (tensor<4xf32>) -> tensor<4xf32>
    %z = nn.relu %x : (tensor<4xf32>) -> tensor<4xf32>
    func.return %y : tensor<4xf32>
  }
}

// -----

// CHECK: errors.mlir:{{[0-9]+}}:5: error: train.sgd is not legal at level nn
builtin.module attributes {pock.level = "nn"} {
  func.func @f(%x: tensor<4xf32>, %r: tensor<f32>) -> tensor<4xf32> {
    %y = train.sgd %x, %x, %r {weight_decay = 0.0 : f64, axis = 0 : i64, begin = 0 : i64} : (tensor<4xf32>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
    func.return %y : tensor<4xf32>
  }
}

// -----

// CHECK: errors.mlir:{{[0-9]+}}:5: error: nn.relu is not legal at level kern
builtin.module attributes {pock.level = "kern"} {
  func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
    %y = nn.relu %x : (tensor<4xf32>) -> tensor<4xf32>
    func.return %y : tensor<4xf32>
  }
}

// -----

// CHECK: error: unknown level 'nowhere'
builtin.module attributes {pock.level = "nowhere"} {
}

// -----

// CHECK: errors.mlir:{{[0-9]+}}:5: error: nn.relu: operand 0 should have a static shape, not tensor<?xf32>
builtin.module {
  func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
    %y = nn.relu %x : (tensor<?xf32>) -> tensor<?xf32>
    func.return %y : tensor<?xf32>
  }
}

// -----

// CHECK: errors.mlir:{{[0-9]+}}:5: error: nn.sum: property 'axes' expected in operation 'nn.sum'
builtin.module {
  func.func @f(%x: tensor<4xf32>) -> tensor<f32> {
    %y = nn.sum %x : (tensor<4xf32>) -> tensor<f32>
    func.return %y : tensor<f32>
  }
}

// -----

// CHECK: errors.mlir:{{[0-9]+}}:5: error: nn.sum: axes: 1 is out of range for rank 1
builtin.module {
  func.func @f(%x: tensor<4xf32>) -> tensor<f32> {
    %y = nn.sum %x {axes = array<i64: 1>} : (tensor<4xf32>) -> tensor<f32>
    func.return %y : tensor<f32>
  }
}

// -----

// CHECK: errors.mlir:{{[0-9]+}}:5: error: kern.call: kern.call: updates has no operand 1
builtin.module {
  func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
    %y = kern.call %x {kernel = "", updates = array<i64: 1>, reuses = array<i64: -1>} : (tensor<4xf32>) -> tensor<4xf32> {
    ^bb0(%a: tensor<4xf32>):
      kern.yield %a : tensor<4xf32>
    }
    func.return %y : tensor<4xf32>
  }
}

// -----

// CHECK: errors.mlir:{{[0-9]+}}:5: error: kern.call: Operation using value defined out of its IsolatedFromAbove parent
builtin.module {
  func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
    %y = kern.call %x {kernel = "", updates = array<i64: -1>, reuses = array<i64: -1>} : (tensor<4xf32>) -> tensor<4xf32> {
    ^bb0(%a: tensor<4xf32>):
      %b = nn.relu %x : (tensor<4xf32>) -> tensor<4xf32>
      kern.yield %b : tensor<4xf32>
    }
    func.return %y : tensor<4xf32>
  }
}

// -----

// CHECK: errors.mlir:{{[0-9]+}}:5: error: mem.view: bytes 4 to 12 are not within 8
builtin.module {
  func.func @f(%a: memref<8xi8>) {
    %v = mem.view %a {offset = 4 : i64, buffer = -1 : i64, content = "", type = memref<2xf32>} : (memref<8xi8>) -> memref<2xf32>
    func.return
  }
}

// -----

// CHECK: errors.mlir:{{[0-9]+}}:5: error: mem.call: mem.call: @k is no mem.kernel
builtin.module {
  func.func @f(%a: memref<2xf32>) {
    mem.call @k ins(%a : memref<2xf32>) {reads = array<i64: 0>, writes = array<i64>}
    func.return
  }
}

// -----

// CHECK: errors.mlir:{{[0-9]+}}:3: error: nn.relu: Expected 1 operand, but got 0
builtin.module {
  "nn.relu"() : () -> ()
}

// -----

// CHECK: errors.mlir:{{[0-9]+}}:1: error: in block definition
builtin.module {
  func.func @f(%x: tensor<4xf32>) { func.return
