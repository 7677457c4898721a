"""python convert_ctranslate2.py MODEL OUTPUT: a Hugging Face folder, in CTranslate2's format, float32, its words the ids."""

import json
import sys
from types import SimpleNamespace

from ctranslate2.converters import TransformersConverter

from vocabulary import EOS, PAD, UNK, piece_of


class IdConverter(TransformersConverter):
    """Reads no tokenizer: random models have none, and words are of no concern here."""

    def load_tokenizer(self, tokenizer_class, model_name_or_path, **kwargs):
        with open(f"{model_name_or_path}/config.json") as file:
            num_pieces = json.load(file)["vocab_size"]
        return SimpleNamespace(
            get_vocab=lambda: {piece_of(token): token for token in range(num_pieces)},
            convert_ids_to_tokens=piece_of,
            pad_token=piece_of(PAD),
            eos_token=piece_of(EOS),
            unk_token=piece_of(UNK),
        )


model, output = sys.argv[1:]
IdConverter(model).convert(output, force=True)
