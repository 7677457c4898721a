"""Makes the vectors of test/golden/training: optimisers, schedules, gradients and whole training steps.

Made with: Python 3.11, torch 2.15.0, transformers 5.23.0, numpy 2.4.6, safetensors 0.8.0.
Run: python scripts/golden/training.py      (writes into test/golden/training; models are those of test/golden/t5-parity)

All sums are float64, so that a float32 implementation is measured against the truth and not against another rounding.
The reference implementation's only float32 island, the variance in T5LayerNorm, is lifted for that; the float32 loss
without the lift is asserted to be the same to 1e-5. Tensors keep 16 significant bits (1.5e-5), so that the files are
a quarter smaller.
"""
import gzip, importlib.metadata, json, math, os
import numpy as np
import torch
import torch.nn.functional as F
import transformers
from safetensors.numpy import save
from transformers import T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5LayerNorm
from transformers.optimization import (
    Adafactor,
    get_cosine_schedule_with_warmup,
    get_inverse_sqrt_schedule,
    get_linear_schedule_with_warmup,
)

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)
HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "..", "..", "test", "golden")
OUT = os.path.join(GOLDEN, "training")
VERSIONS = {p: importlib.metadata.version(p) for p in ("torch", "transformers", "numpy", "safetensors")}
META = {"command": "python scripts/golden/training.py", **VERSIONS}
SHALLOW = 1  # S of the joint loss
ADAFACTOR = dict(scale_parameter=True, relative_step=False, warmup_init=False, clip_threshold=1.0, decay_rate=-0.8, eps=(1e-30, 1e-3))


def write_json(name, value):
    with open(os.path.join(OUT, name), "w") as file:
        file.write(json.dumps({"meta": META, **value}) + "\n")


def write_gzipped(name, data):
    with open(os.path.join(OUT, name + ".gz"), "wb") as file:
        file.write(gzip.compress(data, 9, mtime=0))


def shortened(tensor):
    """float32, rounded to 16 significant bits."""
    bits = tensor.detach().numpy().astype(np.float32).copy().view(np.uint32)
    return ((bits + np.uint32(0x80)) & np.uint32(0xFFFFFF00)).view(np.float32)


# ---------------------------------------------------------------- optimisers
# name: shape, size of its values, size of its gradients
PARAMETERS = {
    "wide": ([3, 5], 1, 1),
    "tall": ([5, 3], 0.5, 30),
    "square": ([4, 4], 2, 1e-3),
    "tiny": ([4, 4], 1, 1e-9),  # gradients near AdamW's epsilon
    "small": ([5, 3], 1e-5, 1),  # values below Adafactor's least scale
    "sparse": ([5, 3], 1, 1),  # each row has a gradient every third step, as rows of an embedding
    "vector": ([5], 1, 1),
    "still": ([5], 1, 0),  # never a gradient
    "stillMatrix": ([4, 4], 1, 0),
}
NUM_STEPS = 12
RATES = [0.01 * (step + 1) / 4 if step < 4 else 0.01 * (1 - (step - 4) / 10) for step in range(NUM_STEPS)]


def optimisers():
    rng = np.random.default_rng(1)
    draw = lambda shape, size: (rng.standard_normal(shape) * size).astype(np.float32)
    values = {name: draw(shape, size) for name, (shape, size, _) in PARAMETERS.items()}
    gradients = [{name: draw(shape, size) for name, (shape, _, size) in PARAMETERS.items()} for _ in range(NUM_STEPS)]
    for step, byName in enumerate(gradients):
        for row in range(5):
            if row % 3 != step % 3:
                byName["sparse"][row] = 0
    runs = []
    for optimiser in ("adafactor", "adamw"):
        for weightDecay in (0, 0.1):
            runs.append({"optimiser": optimiser, "weightDecay": weightDecay, "after": run_optimiser(optimiser, weightDecay, values, gradients)})
    numbers = lambda byName: {name: [float(x) for x in value.ravel()] for name, value in byName.items()}
    write_gzipped("optimisers.json", (json.dumps({
        "meta": META,
        "shapes": {name: shape for name, (shape, _, _) in PARAMETERS.items()},
        "values": numbers(values), "gradients": [numbers(g) for g in gradients], "learningRates": RATES, "runs": runs,
    }) + "\n").encode())


def run_optimiser(optimiser, weight_decay, values, gradients):
    """Values after each step; only matrices decay."""
    parameters = {name: torch.nn.Parameter(torch.tensor(value).double()) for name, value in values.items()}
    matrices = [p for p in parameters.values() if p.ndim > 1]
    vectors = [p for p in parameters.values() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    used = Adafactor(groups, lr=1.0, **ADAFACTOR) if optimiser == "adafactor" else torch.optim.AdamW(groups, lr=1.0)
    after = []
    for rate, byName in zip(RATES, gradients):
        for group in used.param_groups:
            group["lr"] = rate
        for name, parameter in parameters.items():
            parameter.grad = torch.tensor(byName[name]).double()
        used.step()
        after.append({name: [float(f"{x:.9g}") for x in p.detach().flatten().tolist()] for name, p in parameters.items()})
    return after


# ---------------------------------------------------------------- schedules
def schedules():
    """Factors of the peak rate. The reference counts from 0: its first optimiser step has lambda(0)."""
    made = {"cosine": get_cosine_schedule_with_warmup, "linear": get_linear_schedule_with_warmup, "inverse-sqrt": get_inverse_sqrt_schedule}
    cases = []
    for schedule, make in made.items():
        for warmup, total in ((0, 10), (1, 7), (10, 100), (1000, 3178), (5, 8)):
            if schedule == "inverse-sqrt" and warmup == 0:
                continue  # there the reference puts a time scale of its own
            optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
            args = (warmup,) if schedule == "inverse-sqrt" else (warmup, total)
            factor = make(optimiser, *args).lr_lambdas[0]
            steps = sorted({n for n in (0, 1, 2, 3, warmup - 1, warmup, warmup + 1, total // 3, total // 2, total - 1, total) if n >= 0})
            cases.append({"schedule": schedule, "warmupSteps": warmup, "totalSteps": total, "counts": steps, "factors": [factor(n) for n in steps]})
    write_json("schedules.json", {"cases": cases})


# ---------------------------------------------------------------- the model's loss
def precise_norm(self, hidden):
    return self.weight * hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)


def open_case(name, dropout=0.0):
    folder = os.path.join(GOLDEN, "t5-parity", name)
    model = T5ForConditionalGeneration.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32, dropout_rate=dropout)
    batch = next(b for b in json.load(open(os.path.join(folder, "cases.json")))["batches"] if b["name"] == "main")
    return model, batch


def inputs_of(batch):
    return {key: torch.tensor(batch[key]) for key in ("input_ids", "attention_mask", "labels")}


def joint_loss(model, batch, smoothing=0.0, distillation=0.0):
    """(S CE_shallow + L CE_deep) / (S + L) + alpha KL(deep || shallow), and its parts."""
    out = model(**inputs_of(batch), output_hidden_states=True, use_cache=False)
    hidden = out.decoder_hidden_states
    decoder, layers = model.decoder, model.config.num_decoder_layers
    scale = model.config.d_model**-0.5 if model.config.scale_decoder_outputs else 1.0
    head = lambda state: state * scale @ model.lm_head.weight.T
    shallow = head(decoder.dropout(decoder.final_layer_norm(hidden[SHALLOW])))
    deep = head(hidden[-1])
    assert torch.equal(deep, out.logits) or (deep - out.logits).abs().max() < 1e-12
    labels = torch.tensor(batch["labels"]).flatten()
    valid = labels != -100
    log_p = lambda logits: F.log_softmax(logits.flatten(0, 1)[valid], -1)

    def cross_entropy(logits):
        lp = log_p(logits)
        nll = -lp.gather(1, labels[valid, None])[:, 0]
        return ((1 - smoothing) * nll - smoothing / lp.shape[1] * lp.sum(1)).mean()

    ce = [cross_entropy(shallow), cross_entropy(deep)]
    kl = F.kl_div(log_p(shallow), log_p(deep.detach()), log_target=True, reduction="sum") / valid.sum()
    total = (SHALLOW * ce[0] + layers * ce[1]) / (SHALLOW + layers) + distillation * kl
    return total, [total, ce[0], ce[1], kl]


def gradients_of(model, loss):
    model.zero_grad()
    loss.backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    assert all(g is not None for g in grads.values()), [n for n, g in grads.items() if g is None]
    return grads


# A mask by place alone: the same in every implementation, whatever the order of its calls.
RATE = 0.25
drops = []


def fixed_dropout(x, p=0.5, training=True, inplace=False):
    if not training:
        return x
    assert p == RATE
    drops.append(list(x.shape))
    place = torch.arange(x.numel(), dtype=torch.int64)
    kept = ((place * 2654435761) % 2**32) >= RATE * 2**32
    return x * (kept.reshape(x.shape).to(x.dtype) / (1 - RATE))


def gradients():
    cases = {}
    for name in ("v10", "v11"):
        T5LayerNorm.forward = original_norm
        model, batch = open_case(name)
        plain = model.eval()(**inputs_of(batch)).loss.item()
        T5LayerNorm.forward = precise_norm
        model = model.double()
        found = {}

        def add(case, loss, parts):
            found[case] = gradients_of(model, loss)
            cases[f"{name}/{case}"] = {"parts": [x.item() for x in parts]}

        loss = model(**inputs_of(batch)).loss
        assert abs(loss.item() - plain) < 1e-5 and abs(batch["loss"] - plain) < 1e-5
        _, parts = joint_loss(model, batch)
        assert abs(parts[2].item() - loss.item()) < 1e-12
        add("deep", loss, parts)
        add("joint", *joint_loss(model, batch))
        trained = gradients_of(model.train(), joint_loss(model, batch)[0])
        assert all(torch.equal(g, found["joint"][n]) for n, g in trained.items()), "train mode without dropout is eval mode"
        model.eval()
        if name == "v10":
            add("distilled", *joint_loss(model, batch, smoothing=0.2, distillation=0.7))

        model = open_case(name, dropout=RATE)[0].double().train()
        drops.clear()
        F.dropout, before = fixed_dropout, F.dropout
        add("dropped", *joint_loss(model, batch))
        F.dropout = before
        cases[f"{name}/dropped"].update(rate=RATE, dropped=drops[:])
        tensors = {f"{case}/{key}": shortened(g) for case, byName in found.items() for key, g in byName.items()}
        write_gzipped(f"gradients-{name}.safetensors", save(tensors, metadata=META))
    write_json("gradients.json", {"shallowLayers": SHALLOW, "cases": cases})


# ---------------------------------------------------------------- whole steps
def steps():
    """Three steps on the whole batch: Adafactor at 1e-2, gradients clipped to norm 1, smoothing 0.1, no dropout."""
    T5LayerNorm.forward = precise_norm
    model, batch = open_case("v10")
    model = model.double().train()
    optimiser = Adafactor(model.parameters(), lr=1e-2, **ADAFACTOR)
    done = []
    for _ in range(3):
        loss, parts = joint_loss(model, batch, smoothing=0.1)
        gradients_of(model, loss)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        done.append({"parts": [x.item() for x in parts], "gradientNorm": norm.item()})
    final = joint_loss(model, batch, smoothing=0.1)[1]
    write_json("steps.json", {"shallowLayers": SHALLOW, "learningRate": 1e-2, "maxGradientNorm": 1, "labelSmoothing": 0.1, "steps": done, "final": [x.item() for x in final]})
    write_gzipped("steps-v10.safetensors", save({name: shortened(p) for name, p in model.named_parameters()}, metadata=META))


original_norm = T5LayerNorm.forward
if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    optimisers()
    schedules()
    gradients()
    steps()
