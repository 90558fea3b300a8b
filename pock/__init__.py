"""pock: a compiler for training.

`pock.compile` turns a model, a loss, an optimizer and an update scheme into a training program in
C, with its weights, its header and a report that states its memory to the byte.
"""
