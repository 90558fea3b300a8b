// From ops to kernels: one call each, then fused, each with a kernel of the target, in an order.
// RUN: pock-opt %S/../Inputs/net.mlir --pipeline training --stop-after kernels | filecheck %s --check-prefix=EACH
// RUN: pock-opt %S/../Inputs/net.mlir --pipeline training --stop-after schedule --validate-each | filecheck %s --check-prefix=FUSED
// RUN: pock-opt %s -p select-kernels --verify-diagnostics | filecheck %s

// EACH-LABEL: func.func @infer
// EACH:         nn.linear
// EACH-NEXT:    kern.yield
// EACH:         nn.add
// EACH-NEXT:    kern.yield

// FUSED-LABEL: func.func @infer
// FUSED:         kern.call %{{.*}} {kernel = "reference"
// FUSED:         nn.linear
// FUSED-NEXT:    nn.broadcast
// FUSED-NEXT:    nn.add
// FUSED-NEXT:    nn.relu
// FUSED-NEXT:    kern.yield
// FUSED-NEXT:    }
// FUSED-NEXT:    func.return

// CHECK: error: the module names no target in its attribute pock.target
builtin.module attributes {pock.level = "kern"} {}
