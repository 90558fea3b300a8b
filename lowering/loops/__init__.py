"""From kernel bodies to loops: `func.func` over scf, arith, math, memref and vector ops."""
