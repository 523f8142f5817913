"""Torch modules to ONNX graphs: export, strip, compare, describe."""
