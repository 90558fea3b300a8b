"""The generated C program: everything around the kernels.

`layout` reads a planned module, `blob` makes the binary images, `header`, `schedule` and `api`
print C, `files` puts the parts together.
"""
