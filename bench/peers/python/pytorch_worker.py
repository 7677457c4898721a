"""Transformers on PyTorch as a worker: T5ForConditionalGeneration.generate, eager mode, the attention that it chooses itself.

dtype int8: the linear layers' weights in 8 bits, activations quantised as they come (torch.ao.quantization).
"""

import platform
import time

import torch
import transformers
from transformers import DynamicCache, EncoderDecoderCache

from protocol import serve, until_end

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def load(request):
    torch.set_num_threads(request["threads"])
    torch.set_num_interop_threads(1)
    model = transformers.T5ForConditionalGeneration.from_pretrained(request["model"], dtype=torch.float32).eval()
    if request["dtype"] == "int8":
        model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    versions = {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }
    return Timed(model), {"versions": versions, "threads": torch.get_num_threads()}


class Timed:
    """A model, and how long its encoder took."""

    def __init__(self, model):
        self.model = model
        self.encoder_ms = 0.0
        self.start = 0.0
        encoder = model.get_encoder()
        encoder.register_forward_pre_hook(self.begin)
        encoder.register_forward_hook(self.end)

    def begin(self, *_):
        self.start = time.perf_counter()

    def end(self, *_):
        self.encoder_ms += (time.perf_counter() - self.start) * 1000


def decode(timed, request):
    config = timed.model.config
    sources = request["sources"]
    timed.encoder_ms = 0.0
    start = time.perf_counter()
    width = max(map(len, sources))
    ids = torch.tensor([row + [config.pad_token_id] * (width - len(row)) for row in sources])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in sources])
    with torch.inference_mode():
        output = timed.model.generate(
            ids,
            attention_mask=mask,
            do_sample=False,
            num_beams=1,
            max_new_tokens=request["maxNewTokens"],
            # Its own has as many layers as the encoder, and fails where the decoder has more.
            past_key_values=EncoderDecoderCache(DynamicCache(), DynamicCache()),
        )
    rows = output[:, 1:].tolist()
    ms = (time.perf_counter() - start) * 1000
    tokens = [until_end(row, config.eos_token_id) for row in rows]
    return {"ms": ms, "encoderMs": timed.encoder_ms, "tokens": tokens}


serve(load, decode)
