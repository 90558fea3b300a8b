"""IR text that must be refused: name -> text. What it attacks is in the name."""

HEAD = 'builtin.module attributes {pock.level = "nn", pock.target = "c"} {\n'
F = "func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {\n"
END = "func.return %x : tensor<4xf32>\n}\n}\n"


def body(line: str) -> str:
    """A module with one function that holds `line`."""
    return f"{HEAD}{F}{line}\n{END}"


TEXTS: dict[str, str] = {
    "unclosed module": "builtin.module {",
    "unclosed string": 'builtin.module attributes {a = "' + "x" * 60,
    "string of escapes without end": 'builtin.module attributes {a = "' + "\\n" * 40,
    "deep attributes": "builtin.module attributes {a = " + "[" * 500 + "]" * 500 + "} {}",
    "deep regions": '"t.r"() (' * 400 + ")" * 400,
    "deep locations": "builtin.module {} loc(" + 'fused["a", ' * 300 + "]" * 300 + ")",
    "only closing braces": "}" * 1000,
    "nul byte": "builtin.module {\0}",
    "binary": "\x7fELF\x02\x01\x01\0",
    "mlir bytecode": "ML\xefR\x06MLIR",
    "undefined value": body("%y = nn.relu %z : (tensor<4xf32>) -> tensor<4xf32>"),
    "use before definition": body(
        "%y = nn.relu %z : (tensor<4xf32>) -> tensor<4xf32>\n"
        "%z = nn.relu %x : (tensor<4xf32>) -> tensor<4xf32>"
    ),
    "use of itself": body("%y = nn.relu %y : (tensor<4xf32>) -> tensor<4xf32>"),
    "unknown op": body('%y = "evil.op"(%x) : (tensor<4xf32>) -> tensor<4xf32>'),
    "unknown dialect type": body("%y = nn.relu %x : (!evil.type) -> tensor<4xf32>"),
    "wrong result": body("%y = nn.relu %x : (tensor<4xf32>) -> tensor<5xf32>"),
    "dynamic shape": body(
        "%y = nn.broadcast %x {shape = array<i64: -1>, axes = array<i64: 0>}"
        " : (tensor<4xf32>) -> tensor<?xf32>"
    ),
    "terabyte shape": body(
        "%y = nn.broadcast %x {shape = array<i64: 9223372036854775807, 4>, axes = array<i64: 1>}"
        " : (tensor<4xf32>) -> tensor<4xf32>"
    ),
    "integer beyond 64 bits": body(
        "%y = nn.sum %x {axes = array<i64: 99999999999999999999999>}"
        " : (tensor<4xf32>) -> tensor<f32>"
    ),
    "million digits": body(
        "%y = nn.clamp %x {min = 1" + "0" * 100_000 + ".0 : f64, max = 1.0 : f64}"
        " : (tensor<4xf32>) -> tensor<4xf32>"
    ),
    "integer type of a billion bits": "builtin.module attributes {a = 0 : i1000000000} {}",
    "float overflow": "builtin.module attributes {a = dense<1e999999> : tensor<1xf16>} {}",
    "dense bomb": "builtin.module attributes {a = dense<0.0> : tensor<1000000x1000000xf32>} {}",
    "dense of wrong count": "builtin.module attributes {a = dense<[1.0, 2.0]> : tensor<3xf32>} {}",
    "dense resource": "builtin.module attributes {a = dense_resource<w> : tensor<3xf32>} {}",
    "negative axis": body(
        "%y = nn.sum %x {axes = array<i64: -1>} : (tensor<4xf32>) -> tensor<f32>"
    ),
    "axis out of range": body(
        "%y = nn.sum %x {axes = array<i64: 7>} : (tensor<4xf32>) -> tensor<f32>"
    ),
    "missing property": body("%y = nn.sum %x : (tensor<4xf32>) -> tensor<f32>"),
    "property twice": body(
        "%y = nn.relu %x {evil = 1 : i64, evil = 2 : i64} : (tensor<4xf32>) -> tensor<4xf32>"
    ),
    "property of wrong type": body(
        '%y = nn.sum %x {axes = "all"} : (tensor<4xf32>) -> tensor<f32>'
    ),
    "stride of zero": body(
        "%y = nn.slice %x {begin = array<i64: 0>, end = array<i64: 4>, stride = array<i64: 0>}"
        " : (tensor<4xf32>) -> tensor<4xf32>"
    ),
    "not a number as parameter": body(
        "%y = nn.clamp %x {min = 0x7FF8000000000000 : f64, max = 1.0 : f64}"
        " : (tensor<4xf32>) -> tensor<4xf32>"
    ),
    "two functions of one name": HEAD + (F + END.removesuffix("}\n")) * 2 + "}\n",
    "no terminator": f"{HEAD}{F}}}\n}}\n",
    "two blocks": f"{HEAD}{F}func.return %x : tensor<4xf32>\n^b:\n{END}",
    "branch to nowhere": f"{HEAD}{F}cf.br ^nowhere\n}}\n}}\n",
    "op of another level": body(
        "%r = nn.constant {value = 0.0 : f64, type = tensor<f32>} : () -> tensor<f32>\n"
        "%y = train.sgd %x, %x, %r {weight_decay = 0.0 : f64, axis = 0 : i64, begin = 0 : i64}"
        " : (tensor<4xf32>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>"
    ),
    "unknown level": 'builtin.module attributes {pock.level = "../../etc"} {}',
    "level of wrong type": "builtin.module attributes {pock.level = 7 : i64} {}",
    "recursive alias": "!a = tensor<4x!a>\nbuiltin.module {}",
    "alias bomb": "".join(
        f"#a{i + 1} = [{', '.join([f'#a{i}'] * 16)}]\n" if i else '#a1 = ["x"]\n' for i in range(12)
    )
    + "builtin.module attributes {a = #a12} {}",
    "affine bomb": "builtin.module attributes {a = affine_map<(d0) -> ("
    + " + ".join(["d0"] * 20000)
    + ")>} {}",
    "comment without end": "builtin.module { /" * 10,
    "right to left override": "builtin.module {\u202e}",
    "terminal escape": "builtin.module {\x1b[2J}",
    "empty tensor": f"{HEAD}func.func @f(%x: tensor<0xf32>) -> tensor<0xf32> {{\n"
    "func.return %x : tensor<0xf32>\n}\n}\n",
    "update of an operand that is not there": HEAD.replace('"nn"', '"kern"')
    + F
    + '%y = kern.call %x {kernel = "", updates = array<i64: 5>, reuses = array<i64: -1>}'
    " : (tensor<4xf32>) -> tensor<4xf32> {\n"
    "^bb0(%a: tensor<4xf32>):\nkern.yield %a : tensor<4xf32>\n}\n" + END,
    "view out of memory": HEAD.replace('"nn"', '"mem"') + "func.func @f(%a: memref<8xi8>) {\n"
    '%v = mem.view %a {offset = 1099511627776 : i64, buffer = -1 : i64, content = "",'
    " type = memref<2xf32>} : (memref<8xi8>) -> memref<2xf32>\nfunc.return\n}\n}\n",
    "view before memory": HEAD.replace('"nn"', '"mem"') + "func.func @f(%a: memref<8xi8>) {\n"
    '%v = mem.view %a {offset = -8 : i64, buffer = -1 : i64, content = "",'
    " type = memref<2xf32>} : (memref<8xi8>) -> memref<2xf32>\nfunc.return\n}\n}\n",
    "call of no kernel": HEAD.replace('"nn"', '"mem"') + "func.func @f(%a: memref<2xf32>) {\n"
    "mem.call @nothing ins(%a : memref<2xf32>) {reads = array<i64: 0>, writes = array<i64>}\n"
    "func.return\n}\n}\n",
}

PASSES: dict[str, str] = {
    "unknown pass": "evil",
    "unknown option": "autodiff{evil=1}",
    "unclosed options": "add-optimizer{eps=1.0",
    "unclosed text": 'apply-scheme{update="full',
    "empty name": ",,",
    "option twice": "add-optimizer{eps=1.0 eps=2.0}",
    "text for a number": "add-optimizer{eps=small}",
    "number for a text": "apply-scheme{update=7}",
    "list for a number": "add-optimizer{eps=1.0,2.0}",
    "no value": "add-optimizer{eps=}",
    "code": "__import__('os').system('true')",
    "shell": "autodiff; rm -rf /",
    "unknown optimizer": 'add-optimizer{optimizer="evil"}',
    "wrong level": "fuse",
    "unknown update": "apply-scheme{update=evil}",
    "update of a device": 'apply-scheme{update="/dev/zero.json"}',
    "many blocks": 'apply-scheme{update="last:99999999999999999999"}',
    "no blocks": 'apply-scheme{update="last:0"}',
    "huge name": "x" * 100_000,
}
