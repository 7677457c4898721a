"""CTranslate2 as a worker. The model is what convert_ctranslate2.py wrote; int8 is made of its float32 when it is loaded."""

import platform
import time

import ctranslate2

from protocol import serve, until_end
from vocabulary import EOS, piece_of, token_of


def load(request):
    translator = ctranslate2.Translator(
        request["model"],
        device="cpu",
        compute_type=request["dtype"],
        inter_threads=1,
        intra_threads=request["threads"],
    )
    # int8 is told as int8_float32: weights and products in 8 bits, the rest in float32.
    if not translator.compute_type.startswith(request["dtype"]):
        raise ValueError(f"asked for {request['dtype']}, got {translator.compute_type}")
    versions = {"ctranslate2": ctranslate2.__version__, "python": platform.python_version()}
    return translator, {"versions": versions, "threads": request["threads"]}


def decode(translator, request):
    start = time.perf_counter()
    results = translator.translate_batch(
        [[piece_of(token) for token in row] for row in request["sources"]],
        beam_size=1,
        max_input_length=0,
        max_decoding_length=request["maxNewTokens"],
        return_end_token=True,
    )
    tokens = [[token_of(piece) for piece in result.hypotheses[0]] for result in results]
    ms = (time.perf_counter() - start) * 1000
    return {"ms": ms, "encoderMs": None, "tokens": [until_end(row, EOS) for row in tokens]}


serve(load, decode)
