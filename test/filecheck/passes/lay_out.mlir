// Weights are stored as kernels want them; `keep` changes nothing, an unknown layout is refused.
// RUN: pock-opt %S/../Inputs/net.mlir -p lay-out --validate-each | filecheck %s
// RUN: pock-opt %S/../Inputs/net.mlir -p 'lay-out{layout=keep linear=oi}' | filecheck %s --check-prefix=KEEP
// RUN: exits 2 pock-opt %S/../Inputs/net.mlir -p 'lay-out{layout=evil}' | filecheck %s --check-prefix=EVIL

// CHECK: %w: tensor<5x3xf32> {pock.kind = "parameter", pock.name = "fc.weight", pock.permute = array<i64: 1, 0>}
// CHECK: nn.linear %x, %w {weight_layout = "io"}

// KEEP: %w: tensor<3x5xf32>
// KEEP: nn.linear %x, %w {weight_layout = "oi"}

// EVIL: error: {{.*}}'evil'
