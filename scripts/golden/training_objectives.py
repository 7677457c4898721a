"""Makes test/golden/training/objectives.json and objectives.safetensors.gz: what a training may minimise beyond the joint
loss, by PyTorch's automatic gradients over the reference implementation's T5.

Made with: Python 3.11, torch 2.15.0, transformers 5.24.0, numpy 2.4.6, safetensors 0.8.0.
Run: python scripts/golden/training_objectives.py

Float64 throughout, as in training.py. The JSON has the losses and the norm of every weight's gradient; the gradients of a
few weights, chosen so that encoder, both parts of the decoder, final norm and head are seen, are kept whole.
"""
import math
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save
from training import META, T5LayerNorm, inputs_of, open_case, precise_norm, shortened, write_gzipped, write_json

KEPT = (
    "shared.weight",
    "encoder.block.0.layer.0.SelfAttention.k.weight",
    "decoder.block.0.layer.0.SelfAttention.q.weight",
    "decoder.block.1.layer.1.EncDecAttention.v.weight",
    "decoder.block.2.layer.2.DenseReluDense.wo.weight",
    "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
    "decoder.final_layer_norm.weight",
)
# name: model, S, and what differs from the joint loss by layer index
CASES = {
    "last": ("v10", 2, dict(distillation="last", alpha=0.7)),
    "uniform": ("v10", 2, dict(distillation="uniform", alpha=0.7)),
    "uniform of three": ("asymmetric", 3, dict(distillation="uniform", alpha=0.5)),
    "dynamic": ("asymmetric", 3, dict(distillation="dynamic", alpha=0.5)),
    "dynamic, mapped": ("asymmetric", 3, dict(distillation="dynamic", alpha=0.5, map=True)),
    "last, mapped": ("v10", 2, dict(distillation="last", alpha=2.0, map=True)),
    "logits, softened": ("v10", 2, dict(distillation="logits", alpha=0.7, temperature=2.5, smoothing=0.1)),
    "logits, sharpened": ("v11", 1, dict(distillation="logits", alpha=0.7, temperature=0.5)),
    "calm": ("v10", 2, dict(loss="calm", smoothing=0.1)),
    "calm, equal": ("asymmetric", 1, dict(loss="calm", equal=True)),
    "calm, logits": ("v10", 1, dict(loss="calm", distillation="logits", alpha=0.3)),
    "confidence head": ("v10", 2, dict(confidence=True)),
    "confidence head, calm": ("asymmetric", 2, dict(loss="calm", confidence=True, smoothing=0.1)),
    "layer left out": ("v10", 1, dict(skipped=[2])),
    "first layer left out": ("v10", 2, dict(skipped=[1])),
}


def teachers(S, L):
    return [math.ceil(i * L / S) for i in range(1, S + 1)]


def dynamic_pairs(S, L, error):
    """From the top teacher down; the students below the previous match; then that match again."""
    pairs, previous = [], S + 1
    for teacher in reversed(teachers(S, L)):
        students = [s for s in range(1, S + 1) if s < previous] or [previous]
        previous = min(students, key=lambda s: (error(s, teacher), s))
        pairs.append((previous, teacher))
    return pairs


def evaluate(model, batch, S, mapping=None, loss="joint", distillation="none", alpha=0.0, temperature=1.0, smoothing=0.0, equal=False, head=None, **_):
    L = model.config.num_decoder_layers
    out = model(**inputs_of(batch), output_hidden_states=True, use_cache=False)
    hidden = list(out.decoder_hidden_states)  # embeddings, layers 1..L-1, the last one after the final norm
    norm = model.decoder.final_layer_norm
    normed = {layer: norm(hidden[layer]) if layer < len(hidden) - 1 else hidden[-1] for layer in range(1, len(hidden))}
    labels = torch.tensor(batch["labels"]).flatten()
    valid = labels != -100
    rows = {layer: state.flatten(0, 1)[valid] for layer, state in normed.items()}
    scale = model.config.d_model**-0.5 if model.config.scale_decoder_outputs else 1.0
    logits = {layer: state * scale @ model.lm_head.weight.T for layer, state in rows.items()}

    def cross_entropy(layer):
        lp = F.log_softmax(logits[layer], -1)
        nll = F.nll_loss(lp, labels[valid], reduction="none")
        return ((1 - smoothing) * nll - smoothing / lp.shape[1] * lp.sum(1)).mean()

    layers = range(1, L + 1) if loss == "calm" else (S, L)
    weights = [1 if equal else layer for layer in layers]
    total = sum(w * cross_entropy(layer) for w, layer in zip(weights, layers)) / sum(weights)
    pairs, distilled = [], torch.zeros(())
    if distillation == "logits":
        student, teacher = (F.log_softmax(x / temperature, -1) for x in (logits[S], logits[L].detach()))
        distilled = temperature**2 * F.kl_div(student, teacher, log_target=True, reduction="batchmean")
    elif distillation != "none":
        student = {s: rows[s] @ mapping if mapping is not None else rows[s] for s in range(1, S + 1)}
        error = lambda s, t: F.mse_loss(student[s], rows[t].detach())
        if distillation == "last":
            pairs = [(S, L)]
        elif distillation == "uniform":
            pairs = list(zip(range(1, S + 1), teachers(S, L)))
        else:
            pairs = dynamic_pairs(S, L, lambda s, t: error(s, t).item())
        distilled = sum(error(s, t) for s, t in pairs) / len(pairs)
    total = total + alpha * distilled
    confidence = torch.zeros(())
    if head is not None:
        agree = (logits[S].argmax(-1) == logits[L].argmax(-1)).long()
        assert 0 < agree.sum() < len(agree), "both kinds of tokens"
        confidence = F.cross_entropy(F.linear(rows[S].detach(), *head), agree)
        total = total + confidence
    return total, [x.item() for x in (total, cross_entropy(S), cross_entropy(L), distilled, confidence)], pairs


class Identity(torch.nn.Module):
    """A layer that is left out; the position bias, which the first layer owns, is still made for the others."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, hidden, *args, **kwargs):
        return (hidden, *self.block(hidden, *args, **kwargs)[1:])


def main():
    T5LayerNorm.forward = precise_norm
    cases, tensors = {}, {}
    for name, (model_name, S, options) in CASES.items():
        model, batch = open_case(model_name)
        model = model.double().eval()
        names = {id(p): n for n, p in model.named_parameters()}
        width = model.config.d_model
        mapping = None
        if options.get("map"):
            random = np.random.default_rng(5).standard_normal((width, width)).astype(np.float32)
            mapping = torch.nn.Parameter(torch.tensor(np.float32(0.2) * random).double())
        head = None
        if options.get("confidence"):
            random = np.random.default_rng(6).standard_normal((3, width)).astype(np.float32)
            head = [torch.nn.Parameter(torch.tensor(x).double()) for x in (random[:2], random[2, :2])]
        for layer in options.get("skipped", []):
            model.decoder.block[layer - 1] = Identity(model.decoder.block[layer - 1])
        total, parts, pairs = evaluate(model, batch, S, mapping, head=head, **options)
        total.backward()
        grads = {names[id(p)]: torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()}
        cases[name] = {
            "model": model_name,
            "shallowLayers": S,
            "options": options,
            "pairs": pairs,
            "parts": parts,
            "norms": {n: g.norm().item() for n, g in grads.items()},
        }
        tensors.update({f"{name}/{n}": shortened(g) for n, g in grads.items() if n in KEPT})
        if mapping is not None:
            tensors[f"{name}/map"] = mapping.detach().numpy().astype(np.float32)
            tensors[f"{name}/map gradient"] = shortened(mapping.grad)
        for part, x in zip(("weight", "bias"), head or ()):
            tensors[f"{name}/shallow_confidence_head.{part}"] = x.detach().numpy().astype(np.float32)
            tensors[f"{name}/shallow_confidence_head.{part} gradient"] = shortened(x.grad)
        print(name, pairs, [round(x, 6) for x in parts])
    META["command"] = "python scripts/golden/training_objectives.py"
    write_json("objectives.json", {"cases": cases})
    write_gzipped("objectives.safetensors", save(tensors))


if __name__ == "__main__":
    main()
