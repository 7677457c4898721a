"""Trains as a `shallowdeep train` or `finetune` run did, in the reference implementation (PyTorch, Transformers' T5).

A low score of a small model may be right or a sign of a fault. This script tells which: the same data, tokenizer, shape,
number of steps, optimiser and joint loss, none of our code. It reads the run's own `config.yaml`, prints validation
cross-entropies of both exits and their agreement, and writes the greedy outputs of both, one a line, for
`shallowdeep score`. Order of examples and dropout differ, and so do the initial weights of a model from scratch, so figures
are close, not equal.

    python3 -m venv .reference && .reference/bin/pip install torch transformers tokenizers pyyaml
    .reference/bin/python scripts/reference/train.py RUN --test test.csv --output FOLDER
"""

import argparse
import csv
import gzip
import json
import math
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml
from tokenizers import Tokenizer
from transformers import Adafactor, T5Config, T5ForConditionalGeneration

IGNORED = -100


def read_rows(path):
    """Rows of a CSV file; of a SQuAD file, questions with their first answers as `source` and `target`."""
    name = str(path)
    opener = gzip.open if name.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        if name.removesuffix(".gz").endswith(".json"):
            yield from read_squad(json.load(file))
        else:
            yield from csv.DictReader(file)


def read_squad(content):
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                source = f"question: {question['question']} context: {paragraph['context']}"
                yield {"source": source, "target": question["answers"][0]["text"]}


def join_columns(row, columns):
    """One column as it is; several as `column: text`, as the readers of shallowdeep join them."""
    names = columns.split(",")
    return row[columns] if len(names) == 1 else " ".join(f"{name}: {row[name]}" for name in names)


def encode(tokenizer, texts, limit):
    """Ids with the end of sequence; longer ones keep it and lose what is before it."""
    ids = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    return [row if len(row) <= limit else row[: limit - 1] + row[-1:] for row in ids]


def read_examples(path, columns, tokenizer, config, prefix):
    rows = list(read_rows(path))
    targets = [row[columns["target"]] for row in rows]
    if columns["json"]:
        targets = [json.loads(cell)[0] for cell in targets]
    sources = [prefix + join_columns(row, columns["source"]) for row in rows]
    return list(
        zip(
            encode(tokenizer, sources, config["maxSourceLength"]),
            encode(tokenizer, targets, config["maxTargetLength"]),
        )
    )


def pad(rows, value):
    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


def batches(examples, size, rng):
    """Shuffled; neighbours of similar length together, within pools of 50 batches."""
    order = list(range(len(examples)))
    rng.shuffle(order)
    found = []
    for start in range(0, len(order), 50 * size):
        pool = sorted(order[start : start + 50 * size], key=lambda i: tuple(map(len, examples[i])))
        found += [pool[i : i + size] for i in range(0, len(pool), size)]
    rng.shuffle(found)
    for indices in found:
        yield [examples[i] for i in indices]


class ShallowDeep:
    """T5 with a second exit after `shallow` decoder layers, through the same final norm and head."""

    def __init__(self, model, shallow):
        self.model, self.shallow = model, shallow

    def logits(self, sources, decoder_inputs):
        mask = (sources != 0).long()
        memory = self.model.encoder(input_ids=sources, attention_mask=mask).last_hidden_state
        return self.decode(memory, mask, decoder_inputs)

    def decode(self, memory, mask, decoder_inputs):
        decoder = self.model.decoder
        out = decoder(
            input_ids=decoder_inputs,
            encoder_hidden_states=memory,
            encoder_attention_mask=mask,
            output_hidden_states=True,
            use_cache=False,
        )
        shallow = decoder.dropout(decoder.final_layer_norm(out.hidden_states[self.shallow]))
        return self.head(shallow), self.head(out.last_hidden_state)

    def head(self, states):
        scale = self.model.config.d_model**-0.5 if self.model.config.scale_decoder_outputs else 1
        return self.model.lm_head(states * scale)


def schedule(config, step, total):
    """Learning rate of a step from 1: linear warm-up, then constant or cosine to zero."""
    warmup = config["warmupSteps"]
    if step <= warmup:
        return config["learningRate"] * step / warmup
    if config["schedule"] == "constant":
        return config["learningRate"]
    return config["learningRate"] * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def joint_loss(both, labels, config, layers):
    """(S CE_shallow + L CE_deep) / (S + L), plus alpha KL(deep || shallow) where the run distils logits."""
    shallow, deep = (logits.flatten(0, 1) for logits in both)
    labels = labels.flatten()
    smoothing = config["labelSmoothing"]
    ce = [F.cross_entropy(x, labels, ignore_index=IGNORED, label_smoothing=smoothing) for x in (shallow, deep)]
    loss = (layers[0] * ce[0] + layers[1] * ce[1]) / sum(layers)
    if config["distillation"] == "logits":
        valid = labels != IGNORED
        teacher = F.log_softmax(deep[valid].detach(), -1)
        student = F.log_softmax(shallow[valid], -1)
        divergence = F.kl_div(student, teacher, log_target=True, reduction="batchmean")
        loss = loss + config["distillationWeight"] * divergence
    return loss


def as_tensors(examples):
    sources = pad([source for source, _ in examples], 0)
    labels = pad([target for _, target in examples], IGNORED)
    decoder_inputs = torch.cat([torch.zeros_like(labels[:, :1]), labels[:, :-1]], 1).clamp(min=0)
    return sources, decoder_inputs, labels


@torch.no_grad()
def validate(model, examples):
    sums, agreeing, tokens = [0.0, 0.0], 0, 0
    for start in range(0, len(examples), 64):
        sources, decoder_inputs, labels = as_tensors(examples[start : start + 64])
        both = model.logits(sources, decoder_inputs)
        valid = labels != IGNORED
        tokens += int(valid.sum())
        for i, logits in enumerate(both):
            sums[i] += F.cross_entropy(logits[valid], labels[valid], reduction="sum").item()
        agreeing += int((both[0].argmax(-1) == both[1].argmax(-1))[valid].sum())
    return {"shallow": sums[0] / tokens, "deep": sums[1] / tokens, "agreement": agreeing / tokens}


@torch.no_grad()
def greedy(model, sources, exit_index, limit):
    """Greedy ids of one exit, without a cache: slow, and nothing to go wrong."""
    outputs = []
    for start in range(0, len(sources), 32):
        batch = pad(sources[start : start + 32], 0)
        mask = (batch != 0).long()
        memory = model.model.encoder(input_ids=batch, attention_mask=mask).last_hidden_state
        ids = torch.zeros((len(batch), 1), dtype=torch.long)
        ended = torch.zeros(len(batch), dtype=torch.bool)
        for _ in range(limit):
            token = model.decode(memory, mask, ids)[exit_index][:, -1].argmax(-1)
            ids = torch.cat([ids, torch.where(ended, 0, token)[:, None]], 1)
            ended |= token == 1
            if ended.all():
                break
        outputs += [[t for t in row if t > 1] for row in ids.tolist()]
    return outputs


def from_scratch(config, tokenizer):
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=tokenizer.get_vocab_size(),
            d_model=config["dModel"],
            d_kv=config["dKv"],
            d_ff=config["dFf"],
            num_heads=config["numHeads"],
            num_layers=config["encoderLayers"],
            num_decoder_layers=config["decoderLayers"],
            dropout_rate=config["dropout"],
            feed_forward_proj=config["feedForward"],
            tie_word_embeddings=True,
            pad_token_id=0,
            eos_token_id=1,
            decoder_start_token_id=0,
        )
    )


def checkpoint_folder(path):
    """The folder of a checkpoint; of a training run, its best one."""
    index = Path(path) / "index.json"
    return Path(path) / json.loads(index.read_text())["best"] if index.exists() else Path(path)


def begin(config):
    """The model that training begins with, its tokenizer and its shallow exit's layer."""
    if "from" not in config:
        tokenizer = Tokenizer.from_file(config["tokenizer"])
        return from_scratch(config, tokenizer), tokenizer, config["shallowLayers"]
    folder = checkpoint_folder(config["from"])
    shallow = config.get("shallowLayers") or json.loads((folder / "config.json").read_text())["shallow_layers"]
    t5 = T5ForConditionalGeneration.from_pretrained(folder)
    return t5, Tokenizer.from_file(str(folder / "tokenizer.json")), shallow


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="folder of a shallowdeep training run")
    parser.add_argument("--test", type=Path, required=True, help="CSV file whose sources are decoded")
    parser.add_argument("--test-source-column", help="default: that of the training data")
    parser.add_argument("--output", type=Path, required=True, help="folder for the outputs and figures")
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    config = yaml.safe_load((args.run / "config.yaml").read_text())
    torch.set_num_threads(args.threads)
    torch.manual_seed(config["seed"])
    rng = random.Random(config["seed"])
    t5, tokenizer, shallow_layers = begin(config)
    prefix = config.get("prefix") or {"summarization": "summarize: "}.get(config["task"], "")
    columns = {"source": config["sourceColumn"], "target": config["targetColumn"], "json": config["jsonReferences"]}
    other = {
        "source": config.get("validationSourceColumn") or columns["source"],
        "target": config.get("validationTargetColumn") or columns["target"],
        "json": config.get("validationJsonReferences", columns["json"]),
    }
    examples = read_examples(config["data"], columns, tokenizer, config, prefix)
    validation = read_examples(config["validation"], other, tokenizer, config, prefix)

    layers = (shallow_layers, t5.config.num_decoder_layers)
    model = ShallowDeep(t5, layers[0])
    optimiser = Adafactor(
        t5.parameters(), lr=1, scale_parameter=True, relative_step=False, warmup_init=False, weight_decay=0.0
    )
    per_epoch = math.ceil(len(examples) / config["batchSize"])
    total = config.get("steps") or math.ceil(config["epochs"] * per_epoch)
    print(f"{sum(p.numel() for p in t5.parameters()):,} parameters, {len(examples):,} examples, {total:,} steps")

    t5.train()
    step, started, figures = 0, time.time(), []
    while step < total:
        for batch in batches(examples, config["batchSize"], rng):
            step += 1
            for group in optimiser.param_groups:
                group["lr"] = schedule(config, step, total)
            sources, decoder_inputs, labels = as_tensors(batch)
            loss = joint_loss(model.logits(sources, decoder_inputs), labels, config, layers)
            optimiser.zero_grad()
            loss.backward()
            if config["maxGradientNorm"]:
                torch.nn.utils.clip_grad_norm_(t5.parameters(), config["maxGradientNorm"])
            optimiser.step()
            if step % 50 == 0 or step == total:
                rate = (time.time() - started) / step
                print(f"step {step:,} of {total:,}  loss {loss.item():.3f}  {rate * 1000:.0f} ms a step", flush=True)
            if step % per_epoch == 0 or step == total:
                t5.eval()
                figures.append({"step": step, **validate(model, validation)})
                print(json.dumps(figures[-1]), flush=True)
                t5.train()
            if step == total:
                break

    t5.eval()
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "validation.json").write_text(json.dumps(figures, indent=1) + "\n")
    column = args.test_source_column or columns["source"]
    texts = [prefix + join_columns(row, column) for row in read_rows(args.test)]
    test = encode(tokenizer, texts, config["maxSourceLength"])
    for i, name in enumerate(("static", "full")):
        lines = tokenizer.decode_batch(greedy(model, test, i, args.max_new_tokens))
        text = "".join(" ".join(line.split()) + "\n" for line in lines)
        (args.output / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
