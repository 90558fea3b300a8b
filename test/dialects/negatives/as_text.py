"""What only a reader of text can get wrong, and a part of the message."""

AXIS = "the property should be an integer, like 1 : i64."
AXES = "the property should be a list of integers, like array<i64: 0, 2>."
NUMBER = "the property should be a number, like 0.5 : f64."
TEXTS = (
    (
        "%y = nn.relu %x : (tensor<4xf32>) -> tensor<5xf32>",
        "nn.relu: result types should be (tensor<4xf32>), not (tensor<5xf32>)",
    ),
    ("%y = nn.softmax %x {axis = 0 : i32} : (tensor<4xf32>) -> tensor<4xf32>", AXIS),
    ('%y = nn.softmax %x {axis = "0"} : (tensor<4xf32>) -> tensor<4xf32>', AXIS),
    (
        "%y = nn.softmax %x : (tensor<4xf32>) -> tensor<4xf32>",
        "property 'axis' expected in operation 'nn.softmax'",
    ),
    ("%y = nn.sum %x {axes = array<i32: 0>} : (tensor<4xf32>) -> tensor<f32>", AXES),
    ("%y = nn.sum %x {axes = [0]} : (tensor<4xf32>) -> tensor<f32>", AXES),
    ("%y = nn.power %x {exponent = 2.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>", NUMBER),
    ("%y = nn.power %x {exponent = 2} : (tensor<4xf32>) -> tensor<4xf32>", NUMBER),
    (
        "%y = nn.gelu %x {approximation = @none} : (tensor<4xf32>) -> tensor<4xf32>",
        "the property should be text in quotes.",
    ),
    (
        '%y = "nn.matmul"(%x, %x) <{transpose_lhs = 1, transpose_rhs = true}>'
        " : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>",
        "the property should be true or false.",
    ),
    (
        '%y = "nn.add"(%x) : (tensor<4xf32>) -> tensor<4xf32>',
        "nn.add: Expected 2 operands, but got 1",
    ),
    (
        '%y:2 = "nn.relu"(%x) : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)',
        "nn.relu: Expected 1 result, but got 2",
    ),
    (
        "%y = nn.exp %x : (tensor<4xf32>) -> i32",
        "i32 should be of base attribute tensor",
    ),
    (
        '%y = "nn.relu"(%x) <{extra = 1}> : (tensor<4xf32>) -> tensor<4xf32>',
        "property 'extra' is not defined",
    ),
)
