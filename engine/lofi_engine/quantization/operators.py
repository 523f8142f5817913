"""Which operators a variant's graphs may be made of.

A pass changes the operators it looks for and leaves the rest as they are. An operator nobody
thought of could keep its weights wide in silence, or not exist in the runtimes a variant promises,
so whatever is not listed here is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lofi_engine.errors import StageError

if TYPE_CHECKING:
    import onnx_ir as ir

WITH_WEIGHTS = frozenset({"Conv", "ConvTranspose", "Gather", "Gemm", "MatMul"})
"""What reads large weights; `weights.find_weights` knows what each does with them."""

_NORMS = {"GroupNormalization", "InstanceNormalization", "LayerNormalization"}
_ARITHMETIC = {"Abs", "Add", "Ceil", "Clip", "Cos", "Div", "Erf", "Exp", "Floor", "Gelu", "Log"}
_ARITHMETIC |= {"LeakyRelu", "Max", "Min", "Mod", "Mul", "Neg", "Pow", "Reciprocal", "Relu"}
_ARITHMETIC |= {"Round", "Sigmoid", "Sign", "Sin", "Softmax", "Sqrt", "Sub", "Tanh"}
_SUMS = {"CumSum", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"}
_LOGIC = {"And", "Equal", "Greater", "GreaterOrEqual", "IsNaN", "Less", "LessOrEqual", "Not"}
_LOGIC |= {"Or", "Where"}
_SHAPES = {"Cast", "Concat", "Constant", "ConstantOfShape", "Expand", "Flatten", "GatherND"}
_SHAPES |= {"Identity", "Pad", "Range", "Reshape", "Resize", "Shape", "Slice", "Split", "Squeeze"}
_SHAPES |= {"DepthToSpace", "SpaceToDepth", "Tile", "Transpose", "Unsqueeze"}

KNOWN = WITH_WEIGHTS | _NORMS | _ARITHMETIC | _SUMS | _LOGIC | _SHAPES
"""Operators of ONNX itself that the export may write; every runtime from the oldest on has them."""


LEAST_OPSET = 21
"""What the export writes, for 4-bit tensors: no pass was tried on graphs of an older one."""


def check_opset(file: str, opset: int) -> None:
    """Refuse a float32 graph of an operator set in which some variant has no operators.

    Raises:
        StageError: names the file and its opset.
    """
    if opset < LEAST_OPSET:
        raise StageError(
            f"{file}: opset {opset} is too old to quantize, at least {LEAST_OPSET} is needed: "
            "before it ONNX has no 4-bit tensors",
            hint="run the export stage again",
        )


def check_operators(file: str, graph: ir.Graph) -> None:
    """Refuse a float32 graph that has an operator the passes do not know.

    Raises:
        StageError: names the file, the node and the operator.
    """
    for node in graph:
        if node.domain or node.op_type not in KNOWN:
            kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise StageError(
                f"{file}: node '{node.name}' is a {kind}, an operator that quantizing does not "
                "know: its weights would stay wide in silence",
                hint="report this with the recipe; known operators stand in "
                "lofi_engine.quantization.operators",
            )
