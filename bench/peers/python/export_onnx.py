"""python export_onnx.py MODEL OUTPUT: a Hugging Face folder in the layout of transformers.js, as its authors' tools make it.

OUTPUT/onnx holds encoder_model and decoder_model_merged, exported by Optimum, each in float32, with suffix _quantized (q8:
dynamic 8 bits, one scale a matrix) and with suffix _q4 (MatMulNBits, blocks of 32, symmetric), by ONNX Runtime's quantisers.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from optimum.exporters.onnx import main_export

PARTS = ("encoder_model", "decoder_model_merged")


def quantise8(source, target):
    quantize_dynamic(
        source,
        target,
        weight_type=QuantType.QInt8,
        per_channel=False,
        reduce_range=False,
        extra_options={"EnableSubgraph": True},
    )


def quantise4(source, target):
    quantizer = MatMulNBitsQuantizer(onnx.load(source), block_size=32, is_symmetric=True)
    quantizer.process()
    onnx.save(quantizer.model.model, target)


model, output = map(Path, sys.argv[1:])
folder = output / "onnx"
folder.mkdir(parents=True)
with tempfile.TemporaryDirectory(dir=output.parent) as work:
    main_export(str(model), output=work, task="text2text-generation-with-past", do_validation=False)
    for part in PARTS:
        exported = Path(work) / f"{part}.onnx"
        quantise8(exported, folder / f"{part}_quantized.onnx")
        quantise4(exported, folder / f"{part}_q4.onnx")
        for file in Path(work).glob(f"{part}.onnx*"):
            shutil.copy(file, folder)
    for name in ("config.json", "generation_config.json"):
        shutil.copy(Path(work) / name, output)
