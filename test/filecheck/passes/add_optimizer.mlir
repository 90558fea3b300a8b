// Each optimizer adds its arguments, its state and one op for each parameter.
// RUN: pock-opt %S/../Inputs/net.mlir -p 'apply-scheme,autodiff,add-optimizer{optimizer=adamw weight-decay=0.1}' | filecheck %s --check-prefix=ADAMW
// RUN: pock-opt %S/../Inputs/net.mlir -p 'apply-scheme,autodiff,add-optimizer{optimizer=nesterov}' | filecheck %s --check-prefix=NESTEROV
// RUN: pock-opt %S/../Inputs/net.mlir -p 'apply-scheme,autodiff,add-optimizer{gradients}' | filecheck %s --check-prefix=GRADIENTS
// RUN: exits 2 pock-opt %S/../Inputs/net.mlir -p 'apply-scheme,autodiff,add-optimizer{beta1=1.5 optimizer=adam}' | filecheck %s --check-prefix=RANGE
// RUN: exits 2 pock-opt %S/../Inputs/net.mlir -p 'apply-scheme,add-optimizer' | filecheck %s --check-prefix=LEVEL

// ADAMW: pock.kind = "rate"
// ADAMW-SAME: pock.kind = "step"
// ADAMW-SAME: pock.kind = "state", pock.name = "exp_avg:fc.weight"
// ADAMW-SAME: pock.kind = "state", pock.name = "exp_avg_sq:fc.weight"
// ADAMW: train.adam_correction
// ADAMW: train.adam {{.*}}weight_decay = 1.000000e-01 : f64
// ADAMW-SAME: decoupled = true

// NESTEROV: train.momentum {{.*}}nesterov = true

// GRADIENTS: pock.kind = "update", pock.name = "fc.weight"
// GRADIENTS-SAME: pock.kind = "gradient", pock.name = "fc.weight"

// RANGE: error: Adam: betas[0] should be at least 0 and below 1, not 1.5

// LEVEL: error: pass add-optimizer works at level 'train', but the module is at 'nn'
// LEVEL-NEXT: help: run first: autodiff
