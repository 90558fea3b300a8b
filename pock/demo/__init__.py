"""The demo: fine-tune EfficientNet-Lite0 on photographs of fruit with a sparse update."""
