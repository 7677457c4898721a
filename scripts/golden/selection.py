"""Makes test/golden/decoding: what transformers' logits processors and generate() say of n-grams, warpers and beams.

Made with: Python 3.11, torch 2.15.0, transformers 5.24.0.
Run: python scripts/golden/selection.py

no_repeat_ngram.json
  banned     decoder ids (start token first), n -> ids that NoRepeatNGramLogitsProcessor sets to -inf
  outputs    ids of generate() on checkpoints of test/golden/t5-parity, greedy and with four beams (and their scores)
warpers.json
  logits (float64), temperature, top_k, top_p (null = off) -> probabilities after the warpers in generate()'s order, and how many tokens are kept
"""
import json, os
import torch
import transformers
from transformers import T5ForConditionalGeneration
from transformers.generation import (
    LogitsProcessorList, NoRepeatNGramLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper,
)

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "test", "golden")
VERSIONS = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__,
            "command": "python scripts/golden/selection.py"}
rng = torch.Generator().manual_seed(7)


def banned_cases():
    cases = []
    for n in (1, 2, 3, 4):
        for length in (1, 2, 3, 5, 9, 20, 40):
            ids = torch.cat([torch.zeros(1, dtype=torch.long), torch.randint(0, 5, (length - 1,), generator=rng)])
            scores = NoRepeatNGramLogitsProcessor(n)(ids[None], torch.zeros(1, 8))
            cases.append({"n": n, "ids": ids.tolist(), "banned": torch.isinf(scores[0]).nonzero()[:, 0].tolist()})
    return cases


def outputs():
    strip = lambda row: (lambda r: r[: r.index(1) + 1] if 1 in r else r)(row.tolist()[1:])
    made = []
    for name in ("v10", "v11", "free-v11"):
        folder = f"{GOLDEN}/t5-parity/{name}"
        model = T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        batch = json.load(open(f"{folder}/cases.json"))["batches"][0]
        for n in (1, 2, 3):
            for i, (ids, mask) in enumerate(zip(batch["input_ids"], batch["attention_mask"])):
                source = [t for t, m in zip(ids, mask) if m]
                common = dict(input_ids=torch.tensor([source]), max_new_tokens=16, do_sample=False, no_repeat_ngram_size=n,
                              use_cache=model.config.num_decoder_layers <= model.config.num_layers)
                greedy = strip(model.generate(num_beams=1, **common)[0])
                o = model.generate(num_beams=4, num_return_sequences=4, return_dict_in_generate=True, output_scores=True, **common)
                made.append({"checkpoint": name, "source": source, "n": n, "max_new_tokens": 16, "greedy": greedy,
                             "beams": [strip(r) for r in o.sequences], "scores": o.sequences_scores.tolist()})
    return made


def warper_cases():
    cases = []
    for spread in (0.5, 2.0, 6.0):
        for temperature in (0.3, 1.0, 1.7):
            for top_k in (None, 1, 5, 30):
                for top_p in (None, 0.1, 0.6, 0.95, 1.0):
                    logits = (torch.randn(40, generator=rng, dtype=torch.float64) * spread).round(decimals=4)
                    warpers = LogitsProcessorList()
                    if temperature != 1.0:
                        warpers.append(TemperatureLogitsWarper(temperature))
                    if top_k is not None:
                        warpers.append(TopKLogitsWarper(top_k))
                    if top_p is not None and top_p < 1.0:
                        warpers.append(TopPLogitsWarper(top_p))
                    scores = warpers(torch.zeros(1, 1, dtype=torch.long), logits[None].clone())
                    cases.append({"temperature": temperature, "top_k": top_k, "top_p": top_p, "logits": logits.tolist(), "kept": int(torch.isfinite(scores).sum()),
                                  "probabilities": [round(p, 9) for p in scores.softmax(-1)[0].tolist()]})
    return cases


def save(name, content):
    os.makedirs(f"{GOLDEN}/decoding", exist_ok=True)
    with open(f"{GOLDEN}/decoding/{name}.json", "w") as f:
        rows = ",\n".join('"%s": [\n%s\n]' % (key, ",\n".join(json.dumps(r, separators=(",", ":")) for r in value))
                          for key, value in content.items())
        f.write('{"meta": %s,\n%s}\n' % (json.dumps(VERSIONS), rows))


save("no_repeat_ngram", {"banned": banned_cases(), "outputs": outputs()})
save("warpers", {"cases": warper_cases()})
