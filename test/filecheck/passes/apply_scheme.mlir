// The scheme marks parameters, whole or by channels, and changes no op.
// RUN: pock-opt %S/../Inputs/net.mlir -p 'apply-scheme{update=head}' | filecheck %s --check-prefix=HEAD
// RUN: pock-opt %s -p 'apply-scheme{update="last:1"}' --split-input-file --verify-diagnostics | filecheck %s
// RUN: exits 2 pock-opt %S/../Inputs/net.mlir -p 'apply-scheme{update=none}' | filecheck %s --check-prefix=UNKNOWN
// RUN: exits 2 pock-opt %S/../Inputs/net.mlir -p 'apply-scheme{update=7}' | filecheck %s --check-prefix=TYPE

// HEAD: func.func @train(
// HEAD-SAME: pock.name = "fc.weight", pock.train
// HEAD-SAME: pock.name = "fc.bias", pock.train
// HEAD: func.func @infer(
// HEAD-NOT: pock.train

// UNKNOWN: error: there is no update 'none'
// UNKNOWN-NEXT: help: use one of full, head, bias, last:K

// TYPE: error: pass apply-scheme: option update should be a text, not 7

// CHECK: error: the module has no function @train
builtin.module attributes {pock.level = "nn"} {}
