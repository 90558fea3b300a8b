// Forms in which frameworks take ops apart, and what is kept because its meaning differs.
// RUN: pock-opt %s -p raise-ops --validate-each | filecheck %s
// RUN: pock-opt %s -p 'raise-ops{fast-variance=true}' | filecheck %s --check-prefix=FAST

builtin.module attributes {pock.level = "nn"} {
  // jax.nn.softmax, its maximum guarded against empty slices.
  // CHECK-LABEL: func.func @jax_softmax(
  // CHECK-NEXT: nn.softmax {{.*}} {axis = 1 : i64}
  // CHECK-NEXT: func.return
  func.func @jax_softmax(%0: tensor<2x3xf32>) -> tensor<2x3xf32> {
    %1 = nn.max %0 {axes = array<i64: 1>} : (tensor<2x3xf32>) -> tensor<2xf32>
    %2 = nn.reshape %1 {shape = array<i64: 2, 1>} : (tensor<2xf32>) -> tensor<2x1xf32>
    %3 = nn.constant {value = 0xfff0000000000000 : f64, type = tensor<2x1xf32>}
      : () -> tensor<2x1xf32>
    %4 = nn.maximum %2, %3 : (tensor<2x1xf32>, tensor<2x1xf32>) -> tensor<2x1xf32>
    %5 = nn.reshape %4 {shape = array<i64: 2>} : (tensor<2x1xf32>) -> tensor<2xf32>
    %6 = nn.broadcast %5 {shape = array<i64: 2, 3>, axes = array<i64: 0>}
      : (tensor<2xf32>) -> tensor<2x3xf32>
    %7 = nn.sub %0, %6 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
    %8 = nn.exp %7 : (tensor<2x3xf32>) -> tensor<2x3xf32>
    %9 = nn.sum %8 {axes = array<i64: 1>} : (tensor<2x3xf32>) -> tensor<2xf32>
    %10 = nn.broadcast %9 {shape = array<i64: 2, 3>, axes = array<i64: 0>}
      : (tensor<2xf32>) -> tensor<2x3xf32>
    %11 = nn.div %8, %10 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
    func.return %11 : tensor<2x3xf32>
  }

  // jax.nn.gelu(approximate=False).
  // CHECK-LABEL: func.func @jax_gelu(
  // CHECK-NEXT: nn.gelu {{.*}} {approximation = "none"}
  // CHECK-NEXT: func.return
  func.func @jax_gelu(%0: tensor<4xf32>) -> tensor<4xf32> {
    %1 = nn.constant {value = 5.000000e-01 : f64, type = tensor<4xf32>} : () -> tensor<4xf32>
    %2 = nn.mul %1, %0 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %3 = nn.neg %0 : (tensor<4xf32>) -> tensor<4xf32>
    %4 = nn.constant {value = 0.70710678118654757 : f64, type = tensor<4xf32>} : () -> tensor<4xf32>
    %5 = nn.mul %3, %4 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %6 = nn.erfc %5 : (tensor<4xf32>) -> tensor<4xf32>
    %7 = nn.mul %2, %6 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    func.return %7 : tensor<4xf32>
  }

  // jax.nn.gelu(approximate=True).
  // CHECK-LABEL: func.func @flax_gelu(
  // CHECK-NEXT: nn.gelu {{.*}} {approximation = "tanh"}
  // CHECK-NEXT: func.return
  func.func @flax_gelu(%0: tensor<4xf32>) -> tensor<4xf32> {
    %1 = nn.mul %0, %0 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %2 = nn.mul %1, %0 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %3 = nn.constant {value = 4.471500e-02 : f64, type = tensor<4xf32>} : () -> tensor<4xf32>
    %4 = nn.mul %3, %2 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %5 = nn.add %0, %4 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %6 = nn.constant {value = 0.79788456080286541 : f64, type = tensor<4xf32>} : () -> tensor<4xf32>
    %7 = nn.mul %6, %5 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %8 = nn.tanh %7 : (tensor<4xf32>) -> tensor<4xf32>
    %9 = nn.constant {value = 1.000000e+00 : f64, type = tensor<4xf32>} : () -> tensor<4xf32>
    %10 = nn.add %9, %8 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %11 = nn.constant {value = 5.000000e-01 : f64, type = tensor<4xf32>} : () -> tensor<4xf32>
    %12 = nn.mul %11, %10 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %13 = nn.mul %0, %12 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    func.return %13 : tensor<4xf32>
  }

  // keras.layers.LayerNormalization: x * factor + (beta - mean * factor).
  // CHECK-LABEL: func.func @keras_layer_norm(
  // CHECK-NEXT: nn.layer_norm {{.*}} {axis = 2 : i64, eps = 1.000000e-03 : f64}
  // CHECK-NEXT: func.return
  func.func @keras_layer_norm(%0: tensor<2x3x4xf32>, %1: tensor<4xf32>, %2: tensor<4xf32>) -> tensor<2x3x4xf32> {
    %3 = nn.mean %0 {axes = array<i64: 2>} : (tensor<2x3x4xf32>) -> tensor<2x3xf32>
    %4 = nn.broadcast %3 {shape = array<i64: 2, 3, 4>, axes = array<i64: 0, 1>}
      : (tensor<2x3xf32>) -> tensor<2x3x4xf32>
    %5 = nn.sub %0, %4 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    %6 = nn.square %5 : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    %7 = nn.mean %6 {axes = array<i64: 2>} : (tensor<2x3x4xf32>) -> tensor<2x3xf32>
    %8 = nn.reshape %7 {shape = array<i64: 2, 3, 1>} : (tensor<2x3xf32>) -> tensor<2x3x1xf32>
    %9 = nn.constant {value = 1.000000e-03 : f64, type = tensor<2x3x1xf32>}
      : () -> tensor<2x3x1xf32>
    %10 = nn.add %8, %9 : (tensor<2x3x1xf32>, tensor<2x3x1xf32>) -> tensor<2x3x1xf32>
    %11 = nn.rsqrt %10 : (tensor<2x3x1xf32>) -> tensor<2x3x1xf32>
    %12 = nn.reshape %11 {shape = array<i64: 2, 3>} : (tensor<2x3x1xf32>) -> tensor<2x3xf32>
    %13 = nn.broadcast %12 {shape = array<i64: 2, 3, 4>, axes = array<i64: 0, 1>}
      : (tensor<2x3xf32>) -> tensor<2x3x4xf32>
    %14 = nn.broadcast %1 {shape = array<i64: 2, 3, 4>, axes = array<i64: 2>}
      : (tensor<4xf32>) -> tensor<2x3x4xf32>
    %15 = nn.mul %13, %14 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    %16 = nn.mul %0, %15 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    %17 = nn.reshape %3 {shape = array<i64: 2, 3, 1>} : (tensor<2x3xf32>) -> tensor<2x3x1xf32>
    %18 = nn.neg %17 : (tensor<2x3x1xf32>) -> tensor<2x3x1xf32>
    %19 = nn.reshape %18 {shape = array<i64: 2, 3>} : (tensor<2x3x1xf32>) -> tensor<2x3xf32>
    %20 = nn.broadcast %19 {shape = array<i64: 2, 3, 4>, axes = array<i64: 0, 1>}
      : (tensor<2x3xf32>) -> tensor<2x3x4xf32>
    %21 = nn.mul %20, %15 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    %22 = nn.broadcast %2 {shape = array<i64: 2, 3, 4>, axes = array<i64: 2>}
      : (tensor<4xf32>) -> tensor<2x3x4xf32>
    %23 = nn.add %21, %22 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    %24 = nn.add %16, %23 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    func.return %24 : tensor<2x3x4xf32>
  }

  // flax.linen.LayerNorm: its variance is E[x^2] - E[x]^2, which the whole op does not compute.
  // CHECK-LABEL: func.func @flax_layer_norm(
  // FAST-LABEL: func.func @flax_layer_norm(
  // CHECK-NOT: nn.layer_norm
  // CHECK: func.return
  // FAST-NEXT: nn.layer_norm {{.*}} {axis = 2 : i64, eps = 1.000000e-06 : f64}
  // FAST-NEXT: func.return
  func.func @flax_layer_norm(%0: tensor<2x3x4xf32>, %1: tensor<4xf32>, %2: tensor<4xf32>) -> tensor<2x3x4xf32> {
    %3 = nn.square %0 : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    %4 = nn.mean %3 {axes = array<i64: 2>} : (tensor<2x3x4xf32>) -> tensor<2x3xf32>
    %5 = nn.reshape %4 {shape = array<i64: 2, 3, 1>} : (tensor<2x3xf32>) -> tensor<2x3x1xf32>
    %6 = nn.mean %0 {axes = array<i64: 2>} : (tensor<2x3x4xf32>) -> tensor<2x3xf32>
    %7 = nn.reshape %6 {shape = array<i64: 2, 3, 1>} : (tensor<2x3xf32>) -> tensor<2x3x1xf32>
    %8 = nn.square %7 : (tensor<2x3x1xf32>) -> tensor<2x3x1xf32>
    %9 = nn.sub %5, %8 : (tensor<2x3x1xf32>, tensor<2x3x1xf32>) -> tensor<2x3x1xf32>
    %10 = nn.constant {value = 0.000000e+00 : f64, type = tensor<2x3x1xf32>}
      : () -> tensor<2x3x1xf32>
    %11 = nn.maximum %9, %10 : (tensor<2x3x1xf32>, tensor<2x3x1xf32>) -> tensor<2x3x1xf32>
    %12 = nn.constant {value = 1.000000e-06 : f64, type = tensor<2x3x1xf32>}
      : () -> tensor<2x3x1xf32>
    %13 = nn.add %11, %12 : (tensor<2x3x1xf32>, tensor<2x3x1xf32>) -> tensor<2x3x1xf32>
    %14 = nn.rsqrt %13 : (tensor<2x3x1xf32>) -> tensor<2x3x1xf32>
    %15 = nn.reshape %14 {shape = array<i64: 2, 3>} : (tensor<2x3x1xf32>) -> tensor<2x3xf32>
    %16 = nn.broadcast %15 {shape = array<i64: 2, 3, 4>, axes = array<i64: 0, 1>}
      : (tensor<2x3xf32>) -> tensor<2x3x4xf32>
    %17 = nn.broadcast %1 {shape = array<i64: 2, 3, 4>, axes = array<i64: 2>}
      : (tensor<4xf32>) -> tensor<2x3x4xf32>
    %18 = nn.mul %16, %17 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    %19 = nn.broadcast %6 {shape = array<i64: 2, 3, 4>, axes = array<i64: 0, 1>}
      : (tensor<2x3xf32>) -> tensor<2x3x4xf32>
    %20 = nn.sub %0, %19 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    %21 = nn.mul %20, %18 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    %22 = nn.broadcast %2 {shape = array<i64: 2, 3, 4>, axes = array<i64: 2>}
      : (tensor<4xf32>) -> tensor<2x3x4xf32>
    %23 = nn.add %21, %22 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    func.return %23 : tensor<2x3x4xf32>
  }

  // keras.layers.BatchNormalization in training; its running statistics read those of the op.
  // CHECK-LABEL: func.func @keras_batch_norm(
  // CHECK: [[Y:%.*]], [[M:%.*]], [[V:%.*]] = nn.batch_norm {{.*}} {axis = 3 : i64
  // CHECK-NOT: nn.mean
  // CHECK: func.return [[Y]], [[M]], [[V]]
  func.func @keras_batch_norm(%0: tensor<2x3x4x5xf32>, %1: tensor<5xf32>, %2: tensor<5xf32>) -> (tensor<2x3x4x5xf32>, tensor<5xf32>, tensor<5xf32>) {
    %3 = nn.mean %0 {axes = array<i64: 0, 1, 2>} : (tensor<2x3x4x5xf32>) -> tensor<5xf32>
    %4 = nn.broadcast %3 {shape = array<i64: 2, 3, 4, 5>, axes = array<i64: 3>}
      : (tensor<5xf32>) -> tensor<2x3x4x5xf32>
    %5 = nn.sub %0, %4 : (tensor<2x3x4x5xf32>, tensor<2x3x4x5xf32>) -> tensor<2x3x4x5xf32>
    %6 = nn.square %5 : (tensor<2x3x4x5xf32>) -> tensor<2x3x4x5xf32>
    %7 = nn.mean %6 {axes = array<i64: 0, 1, 2>} : (tensor<2x3x4x5xf32>) -> tensor<5xf32>
    %8 = nn.reshape %7 {shape = array<i64: 1, 1, 1, 5>} : (tensor<5xf32>) -> tensor<1x1x1x5xf32>
    %9 = nn.constant {value = 1.000000e-03 : f64, type = tensor<1x1x1x5xf32>}
      : () -> tensor<1x1x1x5xf32>
    %10 = nn.add %8, %9 : (tensor<1x1x1x5xf32>, tensor<1x1x1x5xf32>) -> tensor<1x1x1x5xf32>
    %11 = nn.rsqrt %10 : (tensor<1x1x1x5xf32>) -> tensor<1x1x1x5xf32>
    %12 = nn.broadcast %1 {shape = array<i64: 1, 1, 1, 5>, axes = array<i64: 3>}
      : (tensor<5xf32>) -> tensor<1x1x1x5xf32>
    %13 = nn.mul %11, %12 : (tensor<1x1x1x5xf32>, tensor<1x1x1x5xf32>) -> tensor<1x1x1x5xf32>
    %14 = nn.reshape %13 {shape = array<i64: 5>} : (tensor<1x1x1x5xf32>) -> tensor<5xf32>
    %15 = nn.broadcast %14 {shape = array<i64: 2, 3, 4, 5>, axes = array<i64: 3>}
      : (tensor<5xf32>) -> tensor<2x3x4x5xf32>
    %16 = nn.mul %0, %15 : (tensor<2x3x4x5xf32>, tensor<2x3x4x5xf32>) -> tensor<2x3x4x5xf32>
    %17 = nn.reshape %3 {shape = array<i64: 1, 1, 1, 5>} : (tensor<5xf32>) -> tensor<1x1x1x5xf32>
    %18 = nn.neg %17 : (tensor<1x1x1x5xf32>) -> tensor<1x1x1x5xf32>
    %19 = nn.mul %18, %13 : (tensor<1x1x1x5xf32>, tensor<1x1x1x5xf32>) -> tensor<1x1x1x5xf32>
    %20 = nn.broadcast %2 {shape = array<i64: 1, 1, 1, 5>, axes = array<i64: 3>}
      : (tensor<5xf32>) -> tensor<1x1x1x5xf32>
    %21 = nn.add %19, %20 : (tensor<1x1x1x5xf32>, tensor<1x1x1x5xf32>) -> tensor<1x1x1x5xf32>
    %22 = nn.reshape %21 {shape = array<i64: 5>} : (tensor<1x1x1x5xf32>) -> tensor<5xf32>
    %23 = nn.broadcast %22 {shape = array<i64: 2, 3, 4, 5>, axes = array<i64: 3>}
      : (tensor<5xf32>) -> tensor<2x3x4x5xf32>
    %24 = nn.add %16, %23 : (tensor<2x3x4x5xf32>, tensor<2x3x4x5xf32>) -> tensor<2x3x4x5xf32>
    func.return %24, %3, %7 : tensor<2x3x4x5xf32>, tensor<5xf32>, tensor<5xf32>
  }

  // tf.nn.batch_normalization with given statistics.
  // CHECK-LABEL: func.func @tf_batch_norm_inference(
  // CHECK-NEXT: nn.batch_norm_inference {{.*}} {axis = 2 : i64, eps = 1.000000e-03 : f64}
  // CHECK-NEXT: func.return
  func.func @tf_batch_norm_inference(%0: tensor<2x3x4xf32>, %1: tensor<4xf32>, %2: tensor<4xf32>, %3: tensor<4xf32>, %4: tensor<4xf32>) -> tensor<2x3x4xf32> {
    %5 = nn.constant {value = 1.000000e-03 : f64, type = tensor<4xf32>} : () -> tensor<4xf32>
    %6 = nn.add %4, %5 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %7 = nn.rsqrt %6 : (tensor<4xf32>) -> tensor<4xf32>
    %8 = nn.mul %7, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %9 = nn.broadcast %8 {shape = array<i64: 2, 3, 4>, axes = array<i64: 2>}
      : (tensor<4xf32>) -> tensor<2x3x4xf32>
    %10 = nn.mul %0, %9 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    %11 = nn.mul %3, %8 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %12 = nn.sub %2, %11 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %13 = nn.broadcast %12 {shape = array<i64: 2, 3, 4>, axes = array<i64: 2>}
      : (tensor<4xf32>) -> tensor<2x3x4xf32>
    %14 = nn.add %10, %13 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    func.return %14 : tensor<2x3x4xf32>
  }

  // The norm of Llama, as written in Hugging Face transformers.
  // CHECK-LABEL: func.func @llama_rms_norm(
  // CHECK-NEXT: nn.rms_norm {{.*}} {axis = 2 : i64, eps = 1.000000e-06 : f64}
  // CHECK-NEXT: func.return
  func.func @llama_rms_norm(%0: tensor<2x3x4xf32>, %1: tensor<4xf32>) -> tensor<2x3x4xf32> {
    %2 = nn.power %0 {exponent = 2.000000e+00 : f64} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    %3 = nn.mean %2 {axes = array<i64: 2>} : (tensor<2x3x4xf32>) -> tensor<2x3xf32>
    %4 = nn.reshape %3 {shape = array<i64: 2, 3, 1>} : (tensor<2x3xf32>) -> tensor<2x3x1xf32>
    %5 = nn.constant {value = 1.000000e-06 : f64, type = tensor<2x3x1xf32>}
      : () -> tensor<2x3x1xf32>
    %6 = nn.add %4, %5 : (tensor<2x3x1xf32>, tensor<2x3x1xf32>) -> tensor<2x3x1xf32>
    %7 = nn.rsqrt %6 : (tensor<2x3x1xf32>) -> tensor<2x3x1xf32>
    %8 = nn.reshape %7 {shape = array<i64: 2, 3>} : (tensor<2x3x1xf32>) -> tensor<2x3xf32>
    %9 = nn.broadcast %8 {shape = array<i64: 2, 3, 4>, axes = array<i64: 0, 1>}
      : (tensor<2x3xf32>) -> tensor<2x3x4xf32>
    %10 = nn.mul %0, %9 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    %11 = nn.broadcast %1 {shape = array<i64: 2, 3, 4>, axes = array<i64: 2>}
      : (tensor<4xf32>) -> tensor<2x3x4xf32>
    %12 = nn.mul %11, %10 : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
    func.return %12 : tensor<2x3x4xf32>
  }

  // flax.linen.MultiHeadDotProductAttention: [B, T, H, D], with einsum's order of factors.
  // CHECK-LABEL: func.func @flax_attention(
  // CHECK: nn.attention {{.*}}scale = 5.000000e-01
  // CHECK-NOT: nn.matmul
  // CHECK: func.return
  func.func @flax_attention(%0: tensor<2x4x3x5xf32>, %1: tensor<2x4x3x5xf32>, %2: tensor<2x4x3x5xf32>) -> tensor<2x4x3x5xf32> {
    %3 = nn.constant {value = 5.000000e-01 : f64, type = tensor<2x4x3x5xf32>}
      : () -> tensor<2x4x3x5xf32>
    %4 = nn.mul %0, %3 : (tensor<2x4x3x5xf32>, tensor<2x4x3x5xf32>) -> tensor<2x4x3x5xf32>
    %5 = nn.transpose %1 {permutation = array<i64: 0, 2, 1, 3>}
      : (tensor<2x4x3x5xf32>) -> tensor<2x3x4x5xf32>
    %6 = nn.transpose %4 {permutation = array<i64: 0, 2, 3, 1>}
      : (tensor<2x4x3x5xf32>) -> tensor<2x3x5x4xf32>
    %7 = nn.matmul %5, %6 {transpose_lhs = false, transpose_rhs = false}
      : (tensor<2x3x4x5xf32>, tensor<2x3x5x4xf32>) -> tensor<2x3x4x4xf32>
    %8 = nn.transpose %7 {permutation = array<i64: 0, 1, 3, 2>}
      : (tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
    %9 = nn.max %8 {axes = array<i64: 3>} : (tensor<2x3x4x4xf32>) -> tensor<2x3x4xf32>
    %10 = nn.broadcast %9 {shape = array<i64: 2, 3, 4, 4>, axes = array<i64: 0, 1, 2>}
      : (tensor<2x3x4xf32>) -> tensor<2x3x4x4xf32>
    %11 = nn.sub %8, %10 : (tensor<2x3x4x4xf32>, tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
    %12 = nn.exp %11 : (tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
    %13 = nn.sum %12 {axes = array<i64: 3>} : (tensor<2x3x4x4xf32>) -> tensor<2x3x4xf32>
    %14 = nn.broadcast %13 {shape = array<i64: 2, 3, 4, 4>, axes = array<i64: 0, 1, 2>}
      : (tensor<2x3x4xf32>) -> tensor<2x3x4x4xf32>
    %15 = nn.div %12, %14 : (tensor<2x3x4x4xf32>, tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
    %16 = nn.transpose %2 {permutation = array<i64: 0, 2, 3, 1>}
      : (tensor<2x4x3x5xf32>) -> tensor<2x3x5x4xf32>
    %17 = nn.matmul %16, %15 {transpose_lhs = false, transpose_rhs = true}
      : (tensor<2x3x5x4xf32>, tensor<2x3x4x4xf32>) -> tensor<2x3x5x4xf32>
    %18 = nn.transpose %17 {permutation = array<i64: 0, 3, 1, 2>}
      : (tensor<2x3x5x4xf32>) -> tensor<2x4x3x5xf32>
    func.return %18 : tensor<2x4x3x5xf32>
  }

  // Selections that take the bound where they are equal: no gradient there, as in nn.clamp.
  // CHECK-LABEL: func.func @keras_relu6(
  // CHECK-NEXT: nn.clamp {{.*}} {min = 0.000000e+00 : f64, max = 6.000000e+00 : f64}
  // CHECK-NEXT: func.return
  func.func @keras_relu6(%0: tensor<4xf32>) -> tensor<4xf32> {
    %1 = nn.constant {value = 0.000000e+00 : f64, type = tensor<4xf32>} : () -> tensor<4xf32>
    %2 = nn.compare %0, %1 {predicate = "le"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xi1>
    %3 = nn.select %2, %1, %0 : (tensor<4xi1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %4 = nn.constant {value = 6.000000e+00 : f64, type = tensor<4xf32>} : () -> tensor<4xf32>
    %5 = nn.compare %3, %4 {predicate = "ge"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xi1>
    %6 = nn.select %5, %4, %3 : (tensor<4xi1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    func.return %6 : tensor<4xf32>
  }

  // maximum and minimum share the gradient where they are equal, nn.clamp does not: kept.
  // CHECK-LABEL: func.func @jax_relu6(
  // CHECK-NOT: nn.clamp
  // CHECK: nn.maximum
  // CHECK: nn.minimum
  // CHECK: func.return
  func.func @jax_relu6(%0: tensor<4xf32>) -> tensor<4xf32> {
    %1 = nn.constant {value = 0.000000e+00 : f64, type = tensor<4xf32>} : () -> tensor<4xf32>
    %2 = nn.maximum %0, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %3 = nn.constant {value = 6.000000e+00 : f64, type = tensor<4xf32>} : () -> tensor<4xf32>
    %4 = nn.minimum %2, %3 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    func.return %4 : tensor<4xf32>
  }
}
