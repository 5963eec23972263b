"""Writes test/goldens/t5: small T5 folders of random weights, as v1.0, as v1.1 and as UMT5, and what they give.

Run once, with PyTorch 1.13 or later: python3 test/golden/t5.py. Running the tests needs none of it.

The forward pass is written after the paper (Raffel et al. 2020, section 2.1) and the layout of Hugging Face checkpoints, in
float64; buckets of distances are computed in float32 with PyTorch's log, as published models were trained. Nothing is cached: each
step runs the whole decoder again.
"""

import json
import math
import os
import struct

import torch

FOLDER = os.path.join(os.path.dirname(__file__), "..", "goldens", "t5")


def numbers(seed, n):
    """x <- (1664525 x + 1013904223) mod 2^32, of which the upper 8 bits are used (Press et al., Numerical Recipes)."""
    x = seed
    out = []
    for _ in range(n):
        x = (1664525 * x + 1013904223) % 2**32
        out.append(x >> 24)
    return out


def write_safetensors(path, tensors):
    """All as f16, which holds these numbers exactly."""
    header, data = {}, b""
    for name, values in tensors.items():
        flat = values.flatten().tolist()
        packed = struct.pack(f"<{len(flat)}e", *flat)
        assert list(struct.unpack(f"<{len(flat)}e", packed)) == flat, name
        header[name] = {"dtype": "F16", "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, separators=(",", ":"), ensure_ascii=False)
        f.write("\n")


# ---- the tokenizer: a unigram model of words and letters, as T5's

WORDS = ["\u2581the", "\u2581fox", "\u2581sat", "\u2581on", "\u2581a", "\u2581mat", "\u2581red", "\u2581ran", "\u2581home"]
PIECES = [["<pad>", 0], ["</s>", 0], ["<unk>", 0], ["\u2581", -4]]
PIECES += [[w, -2 - i / 8] for i, w in enumerate(WORDS)]
PIECES += [[c, -6 - i / 16] for i, c in enumerate("abcdefghijklmnopqrstuvwxyz.,")]
TOKENIZER = {
    "version": "1.0",
    "added_tokens": [
        {"id": i, "content": c, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        for i, c in enumerate(["<pad>", "</s>", "<unk>"])
    ],
    "normalizer": None,
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}]},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}},
    },
    "decoder": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
    "model": {"type": "Unigram", "unk_id": 2, "vocab": PIECES},
}

# ---- the model


def weights_of(c):
    """Names and shapes as Hugging Face has them; scales so that scores and logits spread."""
    inner = c["num_heads"] * c["d_kv"]
    dim, hidden = c["d_model"], c["d_ff"]
    isGated = c["feed_forward_proj"] == "gated-gelu"
    shapes = {"shared.weight": ((c["vocab_size"], dim), 2, 0)}
    if not c["tie_word_embeddings"]:
        shapes["lm_head.weight"] = ((c["vocab_size"], dim), 2, 0)
    for side, n in (("encoder", c["num_layers"]), ("decoder", c["num_decoder_layers"])):
        for block in range(n):
            at = f"{side}.block.{block}.layer"
            kinds = ["SelfAttention"] + (["EncDecAttention"] if side == "decoder" else [])
            for i, kind in enumerate(kinds):
                for m in "qkv":
                    shapes[f"{at}.{i}.{kind}.{m}.weight"] = ((inner, dim), 1, 0)
                shapes[f"{at}.{i}.{kind}.o.weight"] = ((dim, inner), 1, 0)
                shapes[f"{at}.{i}.layer_norm.weight"] = ((dim,), 1, 1)
            if block == 0 or c["model_type"] == "umt5":
                shapes[f"{at}.0.SelfAttention.relative_attention_bias.weight"] = ((c["relative_attention_num_buckets"], c["num_heads"]), 4, 0)
            i = len(kinds)
            for m in ["wi_0", "wi_1"] if isGated else ["wi"]:
                shapes[f"{at}.{i}.DenseReluDense.{m}.weight"] = ((hidden, dim), 1, 0)
            shapes[f"{at}.{i}.DenseReluDense.wo.weight"] = ((dim, hidden), 1, 0)
            shapes[f"{at}.{i}.layer_norm.weight"] = ((dim,), 1, 1)
        shapes[f"{side}.final_layer_norm.weight"] = ((dim,), 1, 1)
    tensors = {}
    for seed, (name, (shape, scale, shift)) in enumerate(shapes.items()):
        values = [(u / 256 - 0.5) * scale + shift for u in numbers(c["seed"] + seed, math.prod(shape))]
        tensors[name] = torch.tensor(values, dtype=torch.float64).reshape(shape)
    return tensors


def buckets(distance, n, far, isBidirectional):
    """distance: s - t, whole numbers. As mesh_tensorflow's T5 computes them, logarithms in float32."""
    result = torch.zeros_like(distance)
    if isBidirectional:
        n //= 2
        result += (distance > 0).long() * n
        d = distance.abs()
    else:
        d = (-distance).clamp(min=0)
    exact = n // 2
    ratio = torch.log(d.clamp(min=1).float() / exact) / math.log(far / exact) * (n - exact)
    large = (exact + ratio.long()).clamp(max=n - 1)
    return result + torch.where(d < exact, d, large)


class T5:
    def __init__(self, c):
        self.c = c
        self.w = weights_of(c)

    def norm(self, name, x):
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + self.c["layer_norm_epsilon"]) * self.w[f"{name}.weight"]

    def attention(self, at, x, rows, bias):
        """x [T, dim] asks, rows [S, dim] answer; bias [nHeads, T, S]."""
        n, d = self.c["num_heads"], self.c["d_kv"]
        heads = lambda y, m: (y @ self.w[f"{at}.{m}.weight"].T).reshape(-1, n, d).transpose(0, 1)
        scores = heads(x, "q") @ heads(rows, "k").transpose(1, 2) + bias
        mix = (torch.softmax(scores, -1) @ heads(rows, "v")).transpose(0, 1).reshape(len(x), n * d)
        return mix @ self.w[f"{at}.o.weight"].T

    def feed_forward(self, at, x):
        w = lambda m: self.w[f"{at}.{m}.weight"].T
        if self.c["feed_forward_proj"] == "relu":
            return torch.relu(x @ w("wi")) @ w("wo")
        g = x @ w("wi_0")
        gelu = g / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (g + 0.044715 * g**3)))
        return (gelu * (x @ w("wi_1"))) @ w("wo")

    def run(self, side, ids, rows=None):
        c = self.c
        x = self.w["shared.weight"][ids]
        t = torch.arange(len(ids))
        b = buckets(t[None, :] - t[:, None], c["relative_attention_num_buckets"], c["relative_attention_max_distance"], side == "encoder")
        def bias_of(block):
            own = block if c["model_type"] == "umt5" else 0
            bias = self.w[f"{side}.block.{own}.layer.0.SelfAttention.relative_attention_bias.weight"][b].permute(2, 0, 1)
            return bias.masked_fill(t[None, :] > t[:, None], -math.inf) if side == "decoder" else bias

        for block in range(c["num_layers"] if side == "encoder" else c["num_decoder_layers"]):
            at = f"{side}.block.{block}.layer"
            h = self.norm(f"{at}.0.layer_norm", x)
            x = x + self.attention(f"{at}.0.SelfAttention", h, h, bias_of(block))
            if side == "decoder":
                x = x + self.attention(f"{at}.1.EncDecAttention", self.norm(f"{at}.1.layer_norm", x), rows, 0)
            last = 1 if side == "encoder" else 2
            x = x + self.feed_forward(f"{at}.{last}.DenseReluDense", self.norm(f"{at}.{last}.layer_norm", x))
        return self.norm(f"{side}.final_layer_norm", x)

    def logits(self, ids, rows):
        x = self.run("decoder", ids, rows)
        if self.c["tie_word_embeddings"]:
            return x * self.c["d_model"] ** -0.5 @ self.w["shared.weight"].T
        return x @ self.w["lm_head.weight"].T


SHARED = {
    "model_type": "t5",
    "architectures": ["T5ForConditionalGeneration"],
    "is_encoder_decoder": True,
    "vocab_size": len(PIECES),
    "decoder_start_token_id": 0,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "n_positions": 64,
    "layer_norm_epsilon": 1e-6,
}
MODELS = {
    "v1.0": {**SHARED, "d_model": 12, "d_kv": 8, "d_ff": 20, "num_heads": 3, "num_layers": 2, "num_decoder_layers": 2, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 12, "feed_forward_proj": "relu", "tie_word_embeddings": True, "seed": 64001},
    "v1.1": {**SHARED, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_heads": 2, "num_layers": 1, "num_decoder_layers": 3, "relative_attention_num_buckets": 12, "relative_attention_max_distance": 20, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "seed": 1},
    "umt5": {**SHARED, "model_type": "umt5", "architectures": ["UMT5ForConditionalGeneration"], "d_model": 12, "d_kv": 4, "d_ff": 16, "num_heads": 2, "num_layers": 2, "num_decoder_layers": 2, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 16, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "seed": 6},
}
# The text, and its ids as the tokenizer above has them: words, letters of an unknown word, the end.
TEXTS = [
    ("the red fox sat on a mat", [4, 10, 5, 6, 7, 8, 9, 1]),
    ("a", [8, 1]),
    ("the fox ran home on the red mat, the fox sat on a red mat.", None),
]
STEPS = 24


def ids_of(text):
    """Whole words, and what follows them letter by letter: with these scores the likeliest pieces."""
    index = {p: i for i, (p, _) in enumerate(PIECES)}
    out = []
    for word in text.split():
        letters = word.rstrip(".,")
        out.append(index["\u2581" + letters])
        out += [index[c] for c in word[len(letters):]]
    return out + [1]


def main():
    cases = []
    for name, config in MODELS.items():
        folder = os.path.join(FOLDER, name)
        os.makedirs(folder, exist_ok=True)
        model = T5(config)
        write_safetensors(os.path.join(folder, "model.safetensors"), model.w)
        write_json(os.path.join(folder, "config.json"), {k: v for k, v in config.items() if k != "seed"})
        write_json(os.path.join(folder, "tokenizer.json"), TOKENIZER)
        texts = []
        for text, known in TEXTS:
            source = ids_of(text)
            assert known is None or known == source, (known, source)
            rows = model.run("encoder", torch.tensor(source))
            ids = [0]
            margin = math.inf
            while len(ids) <= STEPS and ids[-1] != 1:
                best, other = model.logits(torch.tensor(ids), rows)[-1].topk(2)[0].tolist()
                margin = min(margin, best - other)
                ids.append(int(model.logits(torch.tensor(ids), rows)[-1].argmax()))
            assert margin > 1e-3, margin
            logits = model.logits(torch.tensor(ids), rows)
            texts.append({"text": text, "source": source, "rows": rows.flatten().tolist(), "ids": ids, "logits": logits[:: 6].flatten().tolist()})
            print(name, text, ids, margin)
        cases.append({"name": name, "texts": texts})
    distances = torch.arange(-200, 201)
    golden = {
        "cases": cases,
        "buckets": {side: buckets(distances, 32, 128, side == "encoder").tolist() for side in ("encoder", "decoder")},
    }
    write_json(os.path.join(FOLDER, "golden.json"), golden)


main()
