"""Writes test/goldens/unigram.json: small Unigram vocabularies, and the tokens that SentencePiece and Hugging Face's tokenizers make.

Run once, with sentencepiece 0.2.2 and tokenizers 0.23.2: python3 test/golden/unigram.py. Running the tests needs neither.

Replacements of characters are rules of our own, in the manner of NFKC: SentencePiece compiles them to a table of a few kilobytes, where
that of NFKC has a quarter of a million bytes.
"""

import base64
import json
import os
import random
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer

OUT = os.path.join(os.path.dirname(__file__), "..", "goldens", "unigram.json")

TRAINED_ON = """the red fox sat on a mat and the old dog ran home to the farm by the river
one two three foxes and four dogs read the same letters again and again until the evening
a model reads a text as pieces; each piece has a score, and the best cut is that of the highest sum
an encoder reads the whole text, a decoder writes one token after the other, and both of them attend
was ist das für ein schöner Tag, sagte der Fuchs und ging über die Brücke nach Hause
numbers such as 10, 200 and 3000 are cut into digits; words such as understanding are not, or seldom
""".splitlines()

# What is written -> what is read. Keys of several characters, longer texts than keys, spaces, nothing at all.
RULES = {
    "\t": " ",
    "\n": " ",
    "\r": " ",
    "\u00a0": " ",
    "\u3000": " ",
    "\u2581": " ",
    "\u200b": " ",
    "\u0001": "",
    "\uff21": "A",
    "\uff76": "\u30ab",
    "\uff76\uff9e": "\u30ac",
    "e\u0301": "\u00e9",
    "u\u0308": "\u00fc",
    "\u1100\u1161": "\uac00",
    "\u1100\u1161\u11a8": "\uac01",
    "\ufb01": "fi",
    "\u2026": "...",
    "\u00b4": " \u0301",
    "\ufdfa": "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647",
    "\u2460": "1",
    "\u3314": "\u30ad\u30ed",
    "\U0001d400": "A",
}

VARIANTS = {
    "t5": {},
    "byte fallback": {"byte_fallback": True},
    "spaces kept": {"remove_extra_whitespaces": False},
    "no prefix": {"add_dummy_prefix": False, "remove_extra_whitespaces": False},
    "no prefix, no spaces": {"add_dummy_prefix": False},
}

PARTS = list("abcdefgxyz  .,;019") + list(RULES) + ["the", " the ", "fox", "\u00fcber", "Br\u00fccke", "understanding", "  ", "\r\n", "A\u0301", "\uff21\u0301", "\u6f22\u5b57", "\u00df", "\U0001f44d", "\U0001f469\u200d\U0001f467", "\ufeff", "\x00", "\x85", "\u0e01\u0e33", "\u06001", "<", "<0x41", "<un", "k>", "</s", "\ufffd"]
N_TEXTS = 90


def texts_of(seed):
    r = random.Random(seed)
    fixed = ["", " ", "  ", "\u2581", "\n", "a", " a", "a ", "  the fox  ", "the  red   fox", "the red fox sat on a mat", "<unk>", "a</s>", "</s>a", "a </s> <pad>", "<0x41>"]
    return fixed + ["".join(r.choice(PARTS) for _ in range(r.randint(1, 14))) for _ in range(N_TEXTS - len(fixed))]


def trained(folder, options):
    rules = os.path.join(folder, "rules.tsv")
    with open(rules, "w") as f:
        for key, value in RULES.items():
            hexes = lambda text: " ".join(f"{ord(c):X}" for c in text)
            f.write(f"{hexes(key)}\t{hexes(value)}\n")
    prefix = os.path.join(folder, "m")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TRAINED_ON), model_prefix=prefix, model_type="unigram", vocab_size=400 if "byte_fallback" in options else 140,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False, normalization_rule_tsv=rules, minloglevel=2, num_threads=1, **options)
    with open(prefix + ".model", "rb") as f:
        data = f.read()
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(data)
    return sentencepiece.SentencePieceProcessor(model_proto=data), model


def tokenizer_json(model, style, has_bytes):
    """As transformers writes it: for T5 in former years, and since."""
    charsmap = base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
    precompiled = {"type": "Precompiled", "precompiled_charsmap": charsmap}
    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    if style == "former":
        normalizer = precompiled
        cut = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]}
    else:
        strip = {"type": "Strip", "strip_left": False, "strip_right": True}
        merge = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}
        normalizer = {"type": "Sequence", "normalizers": [precompiled, strip, merge]}
        cut = metaspace
    added = [{"id": i, "content": c, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for i, c in enumerate(["<pad>", "</s>", "<unk>"])]
    vocab = [[p.piece, p.score] for p in model.pieces]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer, "pre_tokenizer": cut, "post_processor": None, "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": vocab, "byte_fallback": has_bytes},
    }


cases = []
for seed, (name, options) in enumerate(VARIANTS.items()):
    with tempfile.TemporaryDirectory() as folder:
        processor, model = trained(folder, options)
    texts = texts_of(seed)
    case = {
        "name": name,
        "prefix": model.normalizer_spec.add_dummy_prefix,
        "merges": model.normalizer_spec.remove_extra_whitespaces,
        "charsmap": base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode(),
        "pieces": [[p.piece, p.score, p.type] for p in model.pieces],
        "texts": texts,
        "sentencePiece": [processor.encode(t) for t in texts],
        "huggingFace": [],
    }
    if case["prefix"] and case["merges"]:
        for style in ("former", "today"):
            full = tokenizer_json(model, style, "byte_fallback" in options)
            tokenizer = Tokenizer.from_str(json.dumps(full))
            del full["model"]["vocab"]  # the case's pieces
            ids = [tokenizer.encode(t).ids for t in texts]
            case["huggingFace"].append({"style": style, "json": full, "ids": ids})
    cases.append(case)
with open(OUT + ".part", "w") as f:
    json.dump(cases, f, separators=(",", ":"), ensure_ascii=False)
    f.write("\n")
os.replace(OUT + ".part", OUT)
