"""Makes test/golden/training/lora-*: adapters as PEFT saves them, and what a T5 computes with them.

Made with: Python 3.11, torch 2.15.0, transformers 5.24.0, peft 0.21.2, safetensors 0.8.0.
Run: python scripts/golden/training_lora.py

Each folder has PEFT's own adapter_config.json and adapter_model.safetensors, and expected.safetensors.gz: logits of the
deep exit, joint loss, its gradient for every factor, and a few merged weights. Float64 but for the saved files.
"""
import os, shutil
import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.numpy import save
from training import OUT, T5LayerNorm, inputs_of, joint_loss, open_case, precise_norm, shortened, write_gzipped

CASES = {  # model: rank, alpha, target modules
    "v10": (3, 5, ["q", "v"]),
    "v11": (2, 8, ["q", "k", "v", "o", "wi_0", "wi_1", "wo"]),
    "asymmetric": (4, 4, "decoder\\..*\\.(k|wi)"),
}


def main():
    T5LayerNorm.forward = precise_norm
    for name, (rank, alpha, targets) in CASES.items():
        folder = os.path.join(OUT, f"lora-{name}")
        shutil.rmtree(folder, ignore_errors=True)
        model, batch = open_case(name)
        config = LoraConfig(task_type="SEQ_2_SEQ_LM", r=rank, lora_alpha=alpha, target_modules=targets, lora_dropout=0.0)
        adapted = get_peft_model(model, config)
        rng = np.random.default_rng(3)
        for key, parameter in adapted.named_parameters():
            if "lora_" in key:
                parameter.data = torch.tensor(rng.standard_normal(parameter.shape).astype(np.float32) * 0.2)
        adapted.peft_config["default"].base_model_name_or_path = f"t5-parity/{name}"
        adapted.save_pretrained(folder)
        os.remove(os.path.join(folder, "README.md"))
        adapted = adapted.double().eval()
        inner = adapted.get_base_model()
        total, parts = joint_loss(inner, batch)
        total.backward()
        tensors = {"logits": shortened(inner(**inputs_of(batch)).logits), "parts": np.array(parts_of(parts), np.float32)}
        for key, parameter in adapted.named_parameters():
            if "lora_" in key:
                tensors[f"gradient/{key.replace('.default', '')}"] = shortened(parameter.grad)
            else:
                assert parameter.grad is None
        merged = adapted.merge_and_unload()
        for key, parameter in merged.named_parameters():
            if "block.1." in key and parameter.ndim > 1:
                tensors[f"merged/{key}"] = parameter.detach().numpy().astype(np.float32)
        write_gzipped(os.path.join(f"lora-{name}", "expected.safetensors"), save(tensors))
        print(name, [x.item() for x in parts], len(tensors))


def parts_of(parts):
    return [x.item() for x in parts[:3]]


if __name__ == "__main__":
    main()
