// Elementwise ops: every op prints as it was read, and crosses the generic form.
// RUN: pock-opt %s --print-op-generic | pock-opt | filecheck %s

builtin.module attributes {pock.level = "train"} {
  // CHECK: nn.exp %{{.*}} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @exp(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.exp %a : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.tanh %{{.*}} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @tanh(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.tanh %a : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.sigmoid %{{.*}} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @sigmoid(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.sigmoid %a : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.erf %{{.*}} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @erf(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.erf %a : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.silu %{{.*}} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @silu(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.silu %a : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.neg %{{.*}} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @neg(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.neg %a : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.square %{{.*}} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @square(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.square %a : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.abs %{{.*}} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @abs(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.abs %a : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.relu %{{.*}} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @relu(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.relu %a : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.log %{{.*}} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @log(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.log %a : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.sqrt %{{.*}} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @sqrt(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.sqrt %a : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.rsqrt %{{.*}} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @rsqrt(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.rsqrt %a : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.reciprocal %{{.*}} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @reciprocal(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.reciprocal %a : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.hard_sigmoid %{{.*}} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @hard_sigmoid(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.hard_sigmoid %a : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.hard_swish %{{.*}} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @hard_swish(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.hard_swish %a : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.gelu %{{.*}} {approximation = "none"} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @gelu(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.gelu %a {approximation = "none"} : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.clamp %{{.*}} {min = -1.000000e+00 : f64, max = 5.000000e-01 : f64} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @clamp(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.clamp %a
      {min = -1.000000e+00 : f64, max = 5.000000e-01 : f64}
      : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.power %{{.*}} {exponent = 1.000000e+00 : f64} : (tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @power(%a: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.power %a {exponent = 1.000000e+00 : f64} : (tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.add %{{.*}}, %{{.*}} : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @add(%a: tensor<3x17xf32>, %b: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.add %a, %b : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.sub %{{.*}}, %{{.*}} : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @sub(%a: tensor<3x17xf32>, %b: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.sub %a, %b : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.mul %{{.*}}, %{{.*}} : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @mul(%a: tensor<3x17xf32>, %b: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.mul %a, %b : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.div %{{.*}}, %{{.*}} : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @div(%a: tensor<3x17xf32>, %b: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.div %a, %b : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.maximum %{{.*}}, %{{.*}} : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @maximum(%a: tensor<3x17xf32>, %b: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.maximum %a, %b : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.minimum %{{.*}}, %{{.*}} : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
  func.func @minimum(%a: tensor<3x17xf32>, %b: tensor<3x17xf32>) -> tensor<3x17xf32> {
    %r = nn.minimum %a, %b : (tensor<3x17xf32>, tensor<3x17xf32>) -> tensor<3x17xf32>
    func.return %r : tensor<3x17xf32>
  }
  // CHECK: nn.compare %{{.*}}, %{{.*}} {predicate = "lt"} : (tensor<10xf32>, tensor<10xf32>) -> tensor<10xi1>
  func.func @compare(%a: tensor<10xf32>, %b: tensor<10xf32>) -> tensor<10xi1> {
    %r = nn.compare %a, %b {predicate = "lt"} : (tensor<10xf32>, tensor<10xf32>) -> tensor<10xi1>
    func.return %r : tensor<10xi1>
  }
  // CHECK: nn.logical_and %{{.*}}, %{{.*}} : (tensor<3x7xi1>, tensor<3x7xi1>) -> tensor<3x7xi1>
  func.func @logical_and(%a: tensor<3x7xi1>, %b: tensor<3x7xi1>) -> tensor<3x7xi1> {
    %r = nn.logical_and %a, %b : (tensor<3x7xi1>, tensor<3x7xi1>) -> tensor<3x7xi1>
    func.return %r : tensor<3x7xi1>
  }
  // CHECK: nn.logical_or %{{.*}}, %{{.*}} : (tensor<3x7xi1>, tensor<3x7xi1>) -> tensor<3x7xi1>
  func.func @logical_or(%a: tensor<3x7xi1>, %b: tensor<3x7xi1>) -> tensor<3x7xi1> {
    %r = nn.logical_or %a, %b : (tensor<3x7xi1>, tensor<3x7xi1>) -> tensor<3x7xi1>
    func.return %r : tensor<3x7xi1>
  }
  // CHECK: nn.logical_not %{{.*}} : (tensor<3x7xi1>) -> tensor<3x7xi1>
  func.func @logical_not(%a: tensor<3x7xi1>) -> tensor<3x7xi1> {
    %r = nn.logical_not %a : (tensor<3x7xi1>) -> tensor<3x7xi1>
    func.return %r : tensor<3x7xi1>
  }
  // CHECK: nn.select %{{.*}}, %{{.*}}, %{{.*}} : (tensor<3x7xi1>, tensor<3x7xf32>, tensor<3x7xf32>) -> tensor<3x7xf32>
  func.func @select(%a: tensor<3x7xi1>, %b: tensor<3x7xf32>, %c: tensor<3x7xf32>) -> tensor<3x7xf32> {
    %r = nn.select %a, %b, %c
      : (tensor<3x7xi1>, tensor<3x7xf32>, tensor<3x7xf32>) -> tensor<3x7xf32>
    func.return %r : tensor<3x7xf32>
  }
  // CHECK: nn.cast %{{.*}} {to = "f64"} : (tensor<3x7xf32>) -> tensor<3x7xf64>
  func.func @cast(%a: tensor<3x7xf32>) -> tensor<3x7xf64> {
    %r = nn.cast %a {to = "f64"} : (tensor<3x7xf32>) -> tensor<3x7xf64>
    func.return %r : tensor<3x7xf64>
  }
}
