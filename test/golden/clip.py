"""Writes test/goldens/clip: two small CLIP folders of random weights, and what they give.

Run once, with PyTorch 1.13 or later and tokenizers 0.22: python3 test/golden/clip.py. Running the tests needs neither.

The forward pass is written after the paper (Radford et al. 2021) and the layout of Hugging Face checkpoints, in float64, with
PyTorch's own convolution, norms and softmax.
"""

import json
import math
import os
import struct

import torch
import torch.nn.functional as F
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

FOLDER = os.path.join(os.path.dirname(__file__), "..", "goldens", "clip")

# The generator: x <- (1664525 x + 1013904223) mod 2^32, of which the upper 8 bits are used (Press et al., Numerical Recipes);
# test/support/clip_golden.ts has it too, for the pictures.


def numbers(seed, n):
    x = seed
    out = []
    for _ in range(n):
        x = (1664525 * x + 1013904223) % 2**32
        out.append(x >> 24)
    return out


def weight(seed, shape, scale, shift):
    """(u / 2^8 - 1/2) * scale + shift: scale is a power of two, so that it is an f16 number."""
    n = math.prod(shape)
    values = [(u / 256 - 0.5) * scale + shift for u in numbers(seed, n)]
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def write_safetensors(path, tensors):
    """All as f16, which holds these numbers exactly."""
    header, data = {}, b""
    for name, values in tensors.items():
        half = values.to(torch.float16)
        assert torch.equal(half.double(), values), name
        numbers = half.flatten().tolist()
        packed = struct.pack(f"<{len(numbers)}e", *numbers)
        header[name] = {"dtype": "F16", "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


# ---- the tokenizer


CORPUS = """a photo of a cat a photo of a dog a photo of the sea a picture of two small birds on a green tree the cat's paw
a drawing of an old house a red car in the rain a man with a dog a woman who reads it's raining they're here""".split()


def byte_characters():
    printable = [b for b in range(256) if 0x21 <= b <= 0x7E or 0xA1 <= b <= 0xAC or b >= 0xAE]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(0x100 + i) for i in range(len(others))]


def merges_of(words, n):
    """Byte-pair encoding: the most frequent pair first, of equals the one that sorts first."""
    split = [list(w[:-1]) + [w[-1] + "</w>"] for w in words]
    merges = []
    for _ in range(n):
        counts = {}
        for w in split:
            for pair in zip(w, w[1:]):
                counts[pair] = counts.get(pair, 0) + 1
        best = min(counts, key=lambda p: (-counts[p], p))
        merges.append(best)
        for w in split:
            i = 0
            while i + 1 < len(w):
                if (w[i], w[i + 1]) == best:
                    w[i : i + 2] = [w[i] + w[i + 1]]
                i += 1
    return merges


def clip_tokenizer():
    """As CLIP's tokenizer.json: characters, characters that end a word, merges, start and end."""
    characters = byte_characters()
    merges = merges_of(CORPUS, 60)
    pieces = characters + [c + "</w>" for c in characters] + ["".join(m) for m in merges]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    t = Tokenizer(models.BPE(vocab, merges, unk_token="<|endoftext|>", continuing_subword_prefix="", end_of_word_suffix="</w>", fuse_unk=False))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    pattern = Regex(r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+""")
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(pattern, behavior="removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    start, end = vocab["<|startoftext|>"], vocab["<|endoftext|>"]
    t.post_processor = processors.RobertaProcessing(sep=("<|endoftext|>", end), cls=("<|startoftext|>", start), add_prefix_space=False, trim_offsets=False)
    t.add_special_tokens([AddedToken("<|startoftext|>", normalized=True), AddedToken("<|endoftext|>", normalized=False)])
    return t, end


TEXTS = [
    "a photo of a cat",
    "A Photo  of\ta DOG",
    "",
    "   the sea  ",
    "the cat's paw, isn't it? they'RE here!!!",
    "2 birds in 1984",
    "Übergrößenträger caf\u0065\u0301 \u0130stanbul \u03a3\u0391\u03a3",
    "\u732b\u3068\u72ac \U0001f408\u200d\u2b1b",
    "x\u00a0y\u0085z\u2003w\ufeffv",
    "raining_rains re-reads ''d 'LL'",
    "\r\n a\n\nb ",
]


# ---- the model


def tower_tensors(prefix, size):
    """[name, shape, scale, shift] of what the towers have in common."""
    dim, hidden = size["hidden_size"], size["intermediate_size"]

    def dense(stem, n_out, n_in):
        return [[stem + ".weight", [n_out, n_in], 0.5, 0.0], [stem + ".bias", [n_out], 0.25, 0.0]]

    def norm(stem):
        return [[stem + ".weight", [dim], 1.0, 1.0], [stem + ".bias", [dim], 0.25, 0.0]]

    tensors = []
    for layer in range(size["num_hidden_layers"]):
        at = f"{prefix}.encoder.layers.{layer}"
        for part in ["q", "k", "v", "out"]:
            tensors += dense(f"{at}.self_attn.{part}_proj", dim, dim)
        tensors += norm(f"{at}.layer_norm1") + norm(f"{at}.layer_norm2")
        tensors += dense(f"{at}.mlp.fc1", hidden, dim) + dense(f"{at}.mlp.fc2", dim, hidden)
    return tensors


def tensors_of(text, vision, vector_dim):
    t, v = text["hidden_size"], vision["hidden_size"]
    n_rows = (vision["image_size"] // vision["patch_size"]) ** 2 + 1
    tensors = [
        ["logit_scale", [], 0.0, 2.5],
        ["text_model.embeddings.token_embedding.weight", [text["vocab_size"], t], 1.0, 0.0],
        ["text_model.embeddings.position_embedding.weight", [text["max_position_embeddings"], t], 1.0, 0.0],
        ["vision_model.embeddings.class_embedding", [v], 1.0, 0.0],
        ["vision_model.embeddings.patch_embedding.weight", [v, 3, vision["patch_size"], vision["patch_size"]], 0.5, 0.0],
        ["vision_model.embeddings.position_embedding.weight", [n_rows, v], 1.0, 0.0],
        ["text_projection.weight", [vector_dim, t], 1.0, 0.0],
        ["visual_projection.weight", [vector_dim, v], 1.0, 0.0],
    ]
    tensors += tower_tensors("text_model", text) + tower_tensors("vision_model", vision)
    for stem, dim in [["text_model.final_layer_norm", t], ["vision_model.pre_layrnorm", v], ["vision_model.post_layernorm", v]]:
        tensors += [[stem + ".weight", [dim], 1.0, 1.0], [stem + ".bias", [dim], 0.25, 0.0]]
    return tensors


def activation(name, x):
    return x * torch.sigmoid(1.702 * x) if name == "quick_gelu" else F.gelu(x)


def norm(w, stem, x, eps):
    return F.layer_norm(x, x.shape[-1:], w[stem + ".weight"], w[stem + ".bias"], eps)


def dense(w, stem, x):
    return F.linear(x, w[stem + ".weight"], w[stem + ".bias"])


def encoder(w, prefix, size, x, is_causal, seen):
    n_rows, dim = x.shape
    n_heads, eps = size["num_attention_heads"], size.get("layer_norm_eps", 1e-5)
    mask = torch.full((n_rows, n_rows), -math.inf, dtype=torch.float64).triu(1) if is_causal else torch.zeros(n_rows, n_rows, dtype=torch.float64)
    for layer in range(size["num_hidden_layers"]):
        at = f"{prefix}.encoder.layers.{layer}"
        h = norm(w, at + ".layer_norm1", x, eps)
        q, k, v = [dense(w, f"{at}.self_attn.{p}_proj", h).reshape(n_rows, n_heads, -1).transpose(0, 1) for p in "qkv"]
        scores = q @ k.transpose(1, 2) * (dim // n_heads) ** -0.5 + mask
        mixed = (torch.softmax(scores, -1) @ v).transpose(0, 1).reshape(n_rows, dim)
        x = x + dense(w, at + ".self_attn.out_proj", mixed)
        h = activation(size.get("hidden_act", "quick_gelu"), dense(w, at + ".mlp.fc1", norm(w, at + ".layer_norm2", x, eps)))
        x = x + dense(w, at + ".mlp.fc2", h)
        seen[f"blk.{layer}.residual"] = x
    return x


def image_vector(w, size, pixels, seen):
    """pixels [3, H, W], normalized."""
    e = "vision_model.embeddings"
    p = size["patch_size"]
    patches = F.conv2d(pixels[None], w[f"{e}.patch_embedding.weight"], stride=p)[0].flatten(1).T
    x = torch.cat([w[f"{e}.class_embedding"][None], patches]) + w[f"{e}.position_embedding.weight"]
    seen["embedding"] = x
    eps = size.get("layer_norm_eps", 1e-5)
    x = norm(w, "vision_model.pre_layrnorm", x, eps)
    seen["pre_norm"] = x
    x = encoder(w, "vision_model", size, x, False, seen)
    seen["norm"] = norm(w, "vision_model.post_layernorm", x[0], eps)
    seen["vectors"] = w["visual_projection.weight"] @ seen["norm"]
    return seen["vectors"] / seen["vectors"].norm()


def text_vector(w, size, ids, seen):
    e = "text_model.embeddings"
    x = w[f"{e}.token_embedding.weight"][ids] + w[f"{e}.position_embedding.weight"][: len(ids)]
    seen["embedding"] = x
    x = encoder(w, "text_model", size, x, True, seen)
    # The end token's row. 2 is what files say that were written before the class knew better: the largest id then.
    end = size["eos_token_id"]
    row = ids.index(max(ids)) if end == 2 else ids.index(end)
    seen["norm"] = norm(w, "text_model.final_layer_norm", x, size.get("layer_norm_eps", 1e-5))[row]
    seen["vectors"] = w["text_projection.weight"] @ seen["norm"]
    return seen["vectors"] / seen["vectors"].norm()


MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


def case(name, config, seed, n_pictures, texts, tokenizer, with_first):
    text = config.get("text_config_dict") or config["text_config"]
    vision = config.get("vision_config_dict") or config["vision_config"]
    tensors = tensors_of(text, vision, config["projection_dim"])
    w = {t[0]: weight(seed + i, *t[1:]) for i, t in enumerate(tensors)}
    side = vision["image_size"]
    seen_text, seen_picture = {}, {}
    vectors = [text_vector(w, text, tokenizer.encode(t).ids, seen_text if i == 0 else {}) for i, t in enumerate(texts)]
    pictures = []
    for i in range(n_pictures):
        pixels = torch.tensor(numbers(1000 + i, 3 * side * side), dtype=torch.float64).reshape(side, side, 3)
        planes = torch.stack([(pixels[:, :, c] * (1 / 255) - MEAN[c]) / STD[c] for c in range(3)])
        vector = image_vector(w, vision, planes, seen_picture if i == 0 else {})
        logits = w["logit_scale"].exp() * torch.stack(vectors) @ vector
        pictures.append({"seed": 1000 + i, "vector": vector.tolist(), "logits": logits.tolist(), "probs": torch.softmax(logits, 0).tolist()})
    flat = lambda seen: {k: v.flatten().tolist() for k, v in seen.items()}
    folder = os.path.join(FOLDER, name)
    os.makedirs(folder, exist_ok=True)
    write_safetensors(os.path.join(folder, "model.safetensors"), w)
    crop = {"height": side, "width": side}
    preprocessor = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": side}, "crop_size": crop, "image_mean": MEAN, "image_std": STD}
    write_json(os.path.join(folder, "config.json"), config)
    write_json(os.path.join(folder, "preprocessor_config.json"), preprocessor)
    write_json(os.path.join(folder, "tokenizer.json"), json.loads(tokenizer.to_str()))
    return {
        "name": name,
        "texts": [{"text": t, "vector": v.tolist()} for t, v in zip(texts, vectors)],
        "pictures": pictures,
        "first": {"text": flat(seen_text), "picture": flat(seen_picture)} if with_first else None,
    }


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


def main():
    tokenizer, end = clip_tokenizer()
    vocab = tokenizer.get_vocab_size()
    text = dict(vocab_size=vocab, hidden_size=16, intermediate_size=36, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=40)
    vision = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, image_size=12, patch_size=4)
    frame = dict(architectures=["CLIPModel"], model_type="clip", projection_dim=10)
    old = dict(frame, text_config=dict(text, eos_token_id=2, hidden_act="quick_gelu"), vision_config=vision, text_config_dict=None)
    new_text = dict(text, hidden_size=8, intermediate_size=20, eos_token_id=end, hidden_act="gelu", layer_norm_eps=1e-6, num_hidden_layers=1)
    new_vision = dict(vision, hidden_act="gelu", patch_size=3, num_hidden_layers=1)
    # The dict counts, whatever text_config says.
    new = dict(frame, text_config=dict(text, num_attention_heads=4), text_config_dict=new_text, vision_config=new_vision)
    labels = ["a photo of a cat", "a photo of a dog", "a photo of two small birds", "the sea"]
    cases = [
        case("quick_gelu", old, 1, 2, labels, tokenizer, True),
        case("gelu", new, 5000, 1, labels, tokenizer, False),
    ]
    tokens = [{"text": t, "ids": tokenizer.encode(t).ids} for t in TEXTS]
    write_json(os.path.join(FOLDER, "golden.json"), {"tokens": tokens, "cases": cases})


main()
