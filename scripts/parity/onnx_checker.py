"""Holds exported ONNX folders to the ONNX checker: format, operators, shapes. Prints a line a graph.

    shallowdeep export --checkpoint checkpoints/translation-de-en --format onnx --dtype q4 --output /tmp/onnx
    python -m venv /tmp/venv && /tmp/venv/bin/pip install onnx onnxruntime
    /tmp/venv/bin/python scripts/parity/onnx_checker.py /tmp/onnx

The checker knows ONNX's own operators only; that ONNX Runtime's are used rightly is seen as each graph is loaded.
"""

import pathlib
import sys

import onnx
import onnxruntime

for folder in sys.argv[1:]:
    paths = sorted(pathlib.Path(folder).glob("*.onnx"))
    assert paths, f"{folder} holds no graphs"
    for path in paths:
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        print(path, f"{len(model.graph.node)} nodes", f"{path.stat().st_size} bytes", len(session.get_inputs()), "inputs")
print(f"valid under onnx {onnx.__version__}, loaded by onnxruntime {onnxruntime.__version__}")
