"""The quantization methods this version can do; a recipe may name ones that come later."""

BUILT_METHODS = frozenset({"auto", "dynamic", "weight-only", "rtn", "hqq", "k-quant"})
"""Values of `variants.<name>.method` that the quantize stage carries out."""
