// Unused ops go, equal ones are computed once; parameters with equal shapes are never merged.
// RUN: pock-opt %s -p simplify --validate-each | filecheck %s

builtin.module attributes {pock.level = "nn"} {
  // CHECK-LABEL: func.func @f
  // CHECK-NEXT:    [[E:%.*]] = nn.exp %a
  // CHECK-NEXT:    [[F:%.*]] = nn.exp %b
  // CHECK-NEXT:    [[S:%.*]] = nn.add [[E]], [[E]]
  // CHECK-NEXT:    [[T:%.*]] = nn.add [[S]], [[F]]
  // CHECK-NEXT:    func.return [[T]]
  func.func @f(
    %a: tensor<4xf32> {pock.kind = "parameter", pock.name = "a"},
    %b: tensor<4xf32> {pock.kind = "parameter", pock.name = "b"}
  ) -> (tensor<4xf32> {pock.kind = "output", pock.name = "y"}) {
    %e = nn.exp %a : (tensor<4xf32>) -> tensor<4xf32>
    %unused = nn.tanh %a : (tensor<4xf32>) -> tensor<4xf32>
    %f = nn.exp %b : (tensor<4xf32>) -> tensor<4xf32>
    %g = nn.exp %a : (tensor<4xf32>) -> tensor<4xf32>
    %s = nn.add %e, %g : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %t = nn.add %s, %f : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    func.return %t : tensor<4xf32>
  }
}
