#!/usr/bin/python3
"""Small decoders of random weights that no other engine at hand runs, and their logits, for test/models/decoder_goldens.test.ts.
Writes test/goldens/decoders/<name>/: a Hugging Face folder (weights in f16) and golden.json. The tests do not run this.

Needs numpy. Everything is computed in float64 from the weights as they are stored, straight from the papers' formulas and the layout
of Hugging Face checkpoints, with no code of the engine: a matrix for each head, masks as matrices, one run over the whole text.
"""
import math, os, sys
import numpy as np
from folders import gelu, silu, Weights, write_json, write_safetensors

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'goldens', 'decoders')
VOCAB, DIM, HIDDEN, LAYERS, HEADS, KV_HEADS = 11, 16, 20, 3, 4, 2
LENGTH = 12


# ---- parts ----

def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def rotate(x, base):
    """x [T, d], halves: element i turns with element i + d/2."""
    d = x.shape[-1]
    angle = np.arange(len(x))[:, None] * base ** (-2 * np.arange(d // 2) / d)[None, :]
    c, s = np.cos(angle), np.sin(angle)
    a, b = x[:, :d // 2], x[:, d // 2:]
    return np.concatenate([a * c - b * s, b * c + a * s], -1)


def attention(q, k, v, window=None, turn=lambda head: head, norms=(None, None), n_heads=HEADS, slopes=None):
    """q [T, nHeads * d], k and v [T, nKvHeads * d]: a row sees itself and those before, the last `window` of them. slopes: ALiBi's."""
    n_kv, rows = n_heads * k.shape[-1] // q.shape[-1], np.arange(len(q))
    d = q.shape[-1] // n_heads
    back = rows[:, None] - rows[None, :]
    seen = (back >= 0) & (back < (window or len(q)))
    heads = lambda x, h: x[:, h * d:(h + 1) * d]
    normed = lambda x, norm: x if norm is None else norm(x)
    out = []
    for h in range(n_heads):
        g = h // (n_heads // n_kv)
        s = turn(normed(heads(q, h), norms[0])) @ turn(normed(heads(k, g), norms[1])).T
        if slopes is not None: s = s + slopes[h] * rows[None, :]
        s = s / math.sqrt(d)
        out.append(softmax(np.where(seen, s, -np.inf)) @ heads(v, g))
    return np.concatenate(out, -1)


# ---- models: each gives its config and a function from ids to logits ----

def swiglu(w, at):
    gate, up, down = w.linear(at + 'mlp.gate_proj', HIDDEN, DIM), w.linear(at + 'mlp.up_proj', HIDDEN, DIM), w.linear(at + 'mlp.down_proj', DIM, HIDDEN)
    return lambda f: down(silu(gate(f)) * up(f))


def llama(w, model_type, own, eps=1e-5, base=10000.0, qkv_bias=False, head_dim=DIM // HEADS, head_norms=False, window_of=lambda layer: None,
          feed_forward=None):
    """own: the keys of config.json beside the sizes. window_of: of each layer. feed_forward: in place of a SwiGLU, by its layer's name."""
    if feed_forward is None: feed_forward = lambda at: swiglu(w, at)
    words = w.draw('model.embed_tokens.weight', (VOCAB, DIM), reach=1)
    layers = []
    for i in range(LAYERS):
        at = f'model.layers.{i}.'
        qkv = [w.linear(at + f'self_attn.{c}_proj', n * head_dim, DIM, qkv_bias) for c, n in (('q', HEADS), ('k', KV_HEADS), ('v', KV_HEADS))]
        norms = [w.rms_norm(at + f'self_attn.{c}_norm', head_dim, eps) if head_norms else None for c in 'qk']
        layers.append((w.rms_norm(at + 'input_layernorm', DIM, eps), qkv, norms, w.linear(at + 'self_attn.o_proj', DIM, HEADS * head_dim),
                       w.rms_norm(at + 'post_attention_layernorm', DIM, eps), feed_forward(at)))
    last, head = w.rms_norm('model.norm', DIM, eps), w.linear('lm_head', VOCAB, DIM)

    def logits(ids):
        x = words[ids]
        for i, (norm1, qkv, norms, o, norm2, feed) in enumerate(layers):
            q, k, v = (project(norm1(x)) for project in qkv)
            x = x + o(attention(q, k, v, window_of(i), lambda y: rotate(y, base), norms))
            x = x + feed(norm2(x))
        return head(last(x))
    config = {'model_type': model_type, 'vocab_size': VOCAB, 'hidden_size': DIM, 'intermediate_size': HIDDEN, 'num_hidden_layers': LAYERS,
              'num_attention_heads': HEADS, 'num_key_value_heads': KV_HEADS, 'max_position_embeddings': 64, 'hidden_act': 'silu',
              'rms_norm_eps': eps, 'rope_theta': 10000.0, 'tie_word_embeddings': False, **own}
    return config, logits


def experts(w, at, n_experts, n_chosen, hidden, shared_hidden, is_normalized):
    """Of Qwen 2: a softmax over all experts, of which each row uses the best, and one behind a gate that all rows use."""
    parts = lambda name, h: (w.linear(f'{name}.gate_proj', h, DIM), w.linear(f'{name}.up_proj', h, DIM), w.linear(f'{name}.down_proj', DIM, h))
    run = lambda e, f: e[2](silu(e[0](f)) * e[1](f))
    router = w.linear(at + 'mlp.gate', n_experts, DIM)
    all_experts = [parts(at + f'mlp.experts.{e}', hidden) for e in range(n_experts)]
    shared, gate = parts(at + 'mlp.shared_expert', shared_hidden), w.linear(at + 'mlp.shared_expert_gate', 1, DIM)

    def feed(f):
        out = np.zeros_like(f)
        for t, row in enumerate(f):
            p = softmax(router(row))
            best = np.argsort(-p)[:n_chosen]
            share = p[best] / (p[best].sum() if is_normalized else 1)
            out[t] = sum(s * run(all_experts[e], row) for s, e in zip(share, best)) + run(shared, row) / (1 + np.exp(-gate(row)))
        return out
    return feed


def qwen2_moe(w, is_normalized):
    sizes = {'num_experts': 5, 'num_experts_per_tok': 2, 'moe_intermediate_size': 6, 'shared_expert_intermediate_size': 9}
    own = {**sizes, 'norm_topk_prob': is_normalized, 'decoder_sparse_step': 1, 'mlp_only_layers': [], 'use_sliding_window': False}
    return llama(w, 'qwen2_moe', own, qkv_bias=True, feed_forward=lambda at: experts(w, at, *sizes.values(), is_normalized))


def qwen2_windows(w):
    own = {'use_sliding_window': True, 'sliding_window': 4, 'max_window_layers': 1}
    return llama(w, 'qwen2', own, qkv_bias=True, window_of=lambda i: 4 if i >= 1 else None)


def qwen3_windows(w):
    kinds = ['sliding_attention', 'full_attention', 'sliding_attention']
    own = {'use_sliding_window': True, 'sliding_window': 3, 'max_window_layers': 2, 'layer_types': kinds, 'head_dim': 6}
    return llama(w, 'qwen3', own, head_dim=6, head_norms=True, window_of=lambda i: 3 if kinds[i] == 'sliding_attention' else None)


def mistral_window(w):
    return llama(w, 'mistral', {'sliding_window': 5}, window_of=lambda i: 5)


def dynamic_ntk(w):
    """Of a text of LENGTH tokens, twice as many as the model was trained with: transformers' dynamic NTK takes the length as it is."""
    factor, trained, d = 3.0, LENGTH // 2, DIM // HEADS
    base = 10000.0 * (factor * LENGTH / trained - (factor - 1)) ** (d / (d - 2))
    own = {'max_position_embeddings': trained, 'rope_scaling': {'rope_type': 'dynamic', 'factor': factor}}
    return llama(w, 'llama', own, base=base)


def falcon(w, own, slopes, d=4):
    """Of the old architecture, as many heads as slopes. Rows of query_key_value: of each head its query, key and value; of multi-query, all
    queries, the key, the value. Slopes over sqrt(d) are exact in f32, as which the engine has them."""
    eps, n_heads, bias, is_parallel = 1e-5, len(slopes), own.get('bias', False), own.get('parallel_attn', True)
    dim = n_heads * d
    is_multi_query = own.get('multi_query', True)
    words = w.draw('transformer.word_embeddings.weight', (VOCAB, dim), reach=1)
    layers = []
    for i in range(LAYERS):
        at = f'transformer.h.{i}.'
        layers.append((w.layer_norm(at + 'input_layernorm', dim, eps),
                       w.linear(at + 'self_attention.query_key_value', (n_heads + 2) * d if is_multi_query else 3 * dim, dim, bias),
                       w.linear(at + 'self_attention.dense', dim, dim, bias),
                       None if is_parallel else w.layer_norm(at + 'post_attention_layernorm', dim, eps),
                       w.linear(at + 'mlp.dense_h_to_4h', 4 * dim, dim, bias), w.linear(at + 'mlp.dense_4h_to_h', dim, 4 * dim, bias)))
    last = w.layer_norm('transformer.ln_f', dim, eps)

    def logits(ids):
        x = words[ids]
        for norm1, qkv, o, norm2, up, down in layers:
            h = norm1(x)
            if is_multi_query:
                q, k, v = np.split(qkv(h), [dim, dim + d], -1)
            else:
                q, k, v = (part.reshape(len(ids), dim) for part in qkv(h).reshape(len(ids), n_heads, 3, d).transpose(2, 0, 1, 3))
            a = o(attention(q, k, v, n_heads=n_heads, slopes=slopes))
            x = x + a + down(gelu(up(h if is_parallel else norm2(x + a))))
        return last(x) @ words.T
    config = {'model_type': 'falcon', 'vocab_size': VOCAB, 'hidden_size': dim, 'num_hidden_layers': LAYERS, 'num_attention_heads': n_heads,
              'layer_norm_epsilon': eps, 'max_position_embeddings': 64, 'new_decoder_architecture': False, 'alibi': True, **own}
    return config, logits


def falcon_rw(w):
    own = {'bias': True, 'parallel_attn': False, 'multi_query': False, 'apply_residual_connection_post_layernorm': False}
    return falcon(w, own, [2.0 ** -e for e in (2, 4, 6, 8)])


def falcon_alibi(w):
    """Six heads: the slopes of four, and every other one of eight."""
    return falcon(w, {}, [2.0 ** -e for e in (2, 4, 6, 8, 1, 3)])


def write(name, seed, build):
    if len(sys.argv) > 1 and name not in sys.argv[1:]: return
    w = Weights(seed, 3, 0.5, False)
    config, logits = build(w)
    ids = np.random.RandomState(100 + seed).randint(0, VOCAB, LENGTH)
    folder = os.path.join(OUT, name)
    write_json(os.path.join(folder, 'config.json'), config)
    write_safetensors(os.path.join(folder, 'model.safetensors'), w.tensors)
    write_json(os.path.join(folder, 'golden.json'), {'ids': ids.tolist(), 'logits': logits(ids).flatten().tolist()})


write('qwen2_windows', 1, qwen2_windows)
write('qwen3_windows', 2, qwen3_windows)
write('mistral_window', 3, mistral_window)
write('dynamic_ntk', 4, dynamic_ntk)
write('qwen2_moe', 5, lambda w: qwen2_moe(w, False))
write('qwen2_moe_normalized', 6, lambda w: qwen2_moe(w, True))
write('falcon_rw', 7, falcon_rw)
write('falcon_alibi', 8, falcon_alibi)
