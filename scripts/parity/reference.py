"""What the reference implementation computes from exported folders, held against ours; prints one JSON object a line.

    python reference.py EXPORT OURS [EXPORT OURS ...]

EXPORT is loaded by T5ForConditionalGeneration.from_pretrained (and AutoTokenizer, where it has a tokenizer), float32, eval
mode. OURS holds inputs.json (sources, targets, maxNewTokens, greedy, texts with ids) and logits.safetensors: `<row>.deep` and
`<row>.shallow` [T, V]. Differences are the largest absolute ones over all rows, positions and vocabulary.
"""

import json
import os
import sys

import torch
import transformers
from safetensors.torch import load_file

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def compare(export, ours):
    inputs = json.load(open(f"{ours}/inputs.json"))
    theirs = load_file(f"{ours}/logits.safetensors")
    model, info = transformers.T5ForConditionalGeneration.from_pretrained(
        export, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    model.eval()
    config = model.config
    scale = config.d_model**-0.5 if getattr(config, "scale_decoder_outputs", False) else 1.0
    differences = {"deep": 0.0, "shallow": 0.0}
    largest = 0.0
    greedy_differs = 0
    with torch.no_grad():
        for row, (source, target) in enumerate(zip(inputs["sources"], inputs["targets"])):
            source, target = torch.tensor([source]), torch.tensor([target])
            out = model(input_ids=source, decoder_input_ids=target, output_hidden_states=True, use_cache=False)
            state = model.decoder.final_layer_norm(out.decoder_hidden_states[config.shallow_layers])
            for exit, logits in (("deep", out.logits[0]), ("shallow", model.lm_head(state * scale)[0])):
                differences[exit] = max(differences[exit], (logits - theirs[f"{row}.{exit}"]).abs().max().item())
                largest = max(largest, logits.abs().max().item())
            ids = model.generate(source, max_new_tokens=inputs["maxNewTokens"], num_beams=1, do_sample=False, use_cache=False)
            greedy_differs += ids[0, 1:].tolist() != inputs["greedy"][row]
    tokenizer_differs = 0
    if os.path.exists(f"{export}/tokenizer.json"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(export)
        tokenizer_differs = sum(tokenizer(text).input_ids != ids for text, ids in inputs["texts"])
    return {
        "transformers": transformers.__version__,
        "rows": len(inputs["sources"]),
        "deepDifference": differences["deep"],
        "shallowDifference": differences["shallow"],
        "largestLogit": largest,
        "greedyDiffers": greedy_differs,
        "texts": len(inputs["texts"]),
        "tokenizerDiffers": tokenizer_differs,
        "missing": sorted(info["missing_keys"]),
        "unexpected": sorted(info["unexpected_keys"]),
    }


for export, ours in zip(sys.argv[1::2], sys.argv[2::2]):
    print(json.dumps(compare(export, ours)), flush=True)
