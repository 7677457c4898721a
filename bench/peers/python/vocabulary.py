"""Names for token ids. CTranslate2 takes and gives words; with these it is asked for the same ids as every other peer."""

PAD, EOS, UNK = 0, 1, 2
SPECIAL = {PAD: "<pad>", EOS: "</s>", UNK: "<unk>"}
IDS = {piece: token for token, piece in SPECIAL.items()}


def piece_of(token):
    return SPECIAL.get(token) or str(token)


def token_of(piece):
    return IDS[piece] if piece in IDS else int(piece)
