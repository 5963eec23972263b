#!/usr/bin/python3
"""Small encoders of random weights, and what they compute, for test/models/encoders.test.ts. Writes test/goldens/encoders/<name>/:
a Hugging Face folder (weights in f16) and golden.json. The tests do not run this.

Needs numpy. Everything is computed in float64 from the weights as they are stored, straight from the papers' formulas and with no
code of the engine: a matrix for each head, masks as matrices, tokenizers in five lines.
"""
import math, os
import numpy as np
from folders import gelu, silu, Weights, write_json, write_safetensors

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'goldens', 'encoders')
DIM, HIDDEN, LAYERS, HEADS, MAX = 16, 24, 3, 2, 24
TEXTS = ['a cat', 'a cat sat on a mat', 'zq', 'the dog ran', 'rain']
PAIRS = [('a cat', 'on a mat'), ('a cat', 'the dog ran'), ('zq', 'rain')]


# ---- parts ----

def attention(q, k, v, seen=None, bias=None):
    """[n, DIM] each, heads side by side. seen[i, j]: row i sees row j. bias [HEADS, n, n]: added to scores."""
    d = DIM // HEADS
    out = []
    for h in range(HEADS):
        part = slice(h * d, (h + 1) * d)
        s = q[:, part] @ k[:, part].T / math.sqrt(d)
        if bias is not None: s = s + bias[h]
        if seen is not None: s = np.where(seen, s, -np.inf)
        e = np.exp(s - s.max(-1, keepdims=True))
        out.append((e / e.sum(-1, keepdims=True)) @ v[:, part])
    return np.concatenate(out, -1)


def rotate(x, base):
    """Halves: element i of a head turns with element i + d/2."""
    d = DIM // HEADS
    angle = np.arange(len(x))[:, None] * base ** (-2 * np.arange(d // 2) / d)[None, :]
    c, s = np.cos(angle), np.sin(angle)
    out = np.empty_like(x)
    for h in range(HEADS):
        a, b = x[:, h * d:h * d + d // 2], x[:, h * d + d // 2:(h + 1) * d]
        out[:, h * d:h * d + d // 2] = a * c - b * s
        out[:, h * d + d // 2:(h + 1) * d] = b * c + a * s
    return out


# ---- tokenizers ----

LETTERS = 'abcdefghijklmnopqrstuvwxyz'
WORD_PIECES = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', *LETTERS, *('##' + c for c in LETTERS),
               'cat', 'sat', 'mat', 'the', 'do', '##in']


def word_pieces(text):
    ids = []
    for word in text.split():
        at = 0
        while at < len(word):
            end = next(e for e in range(len(word), at, -1) if ('##' if at else '') + word[at:e] in WORD_PIECES)
            ids.append(WORD_PIECES.index(('##' if at else '') + word[at:end]))
            at = end
    return ids


def bert_ids(text): return [2, *word_pieces(text), 3], None


def bert_pair(a, b):
    first, second = [2, *word_pieces(a), 3], [*word_pieces(b), 3]
    return first + second, [0] * len(first) + [1] * len(second)


def special(i, content): return {'id': i, 'content': content, 'single_word': False, 'lstrip': False, 'rstrip': False,
                                 'normalized': False, 'special': True}


WORD_PIECE_JSON = {
    'version': '1.0', 'truncation': None, 'padding': None,
    'added_tokens': [special(i, t) for i, t in enumerate(WORD_PIECES[:5])],
    'normalizer': {'type': 'BertNormalizer', 'clean_text': True, 'handle_chinese_chars': True, 'strip_accents': None, 'lowercase': True},
    'pre_tokenizer': {'type': 'BertPreTokenizer'},
    'post_processor': {'type': 'TemplateProcessing',
        'single': [{'SpecialToken': {'id': '[CLS]', 'type_id': 0}}, {'Sequence': {'id': 'A', 'type_id': 0}}, {'SpecialToken': {'id': '[SEP]', 'type_id': 0}}],
        'pair': [{'SpecialToken': {'id': '[CLS]', 'type_id': 0}}, {'Sequence': {'id': 'A', 'type_id': 0}}, {'SpecialToken': {'id': '[SEP]', 'type_id': 0}},
                 {'Sequence': {'id': 'B', 'type_id': 1}}, {'SpecialToken': {'id': '[SEP]', 'type_id': 1}}],
        'special_tokens': {'[CLS]': {'id': '[CLS]', 'ids': [2], 'tokens': ['[CLS]']}, '[SEP]': {'id': '[SEP]', 'ids': [3], 'tokens': ['[SEP]']}}},
    'decoder': {'type': 'WordPiece', 'prefix': '##', 'cleanup': True},
    'model': {'type': 'WordPiece', 'unk_token': '[UNK]', 'continuing_subword_prefix': '##', 'max_input_chars_per_word': 100,
              'vocab': {t: i for i, t in enumerate(WORD_PIECES)}},
}

MP_PIECES = ['<s>', '<pad>', '</s>', '[UNK]', '<mask>', *WORD_PIECES[5:]]
MP_JSON = {**WORD_PIECE_JSON, 'added_tokens': [special(i, t) for i, t in enumerate(MP_PIECES[:5])],
           'post_processor': {'type': 'RobertaProcessing', 'sep': ['</s>', 2], 'cls': ['<s>', 0], 'trim_offsets': True, 'add_prefix_space': False},
           'model': {**WORD_PIECE_JSON['model'], 'vocab': {t: i for i, t in enumerate(MP_PIECES)}}}


def mpnet_ids(text): return [0, *word_pieces(text), 2], None
def mpnet_pair(a, b):
    ids = [0, *word_pieces(a), 2, 2, *word_pieces(b), 2]
    return ids, [0] * len(ids)


BYTES = ['<s>', '<pad>', '</s>', '<unk>', '\u0120', *LETTERS]


def letters(text): return [BYTES.index('\u0120' if c == ' ' else c) for c in text]
def roberta_ids(text): return [0, *letters(text), 2], None
def roberta_pair(a, b):
    ids = [0, *letters(a), 2, 2, *letters(b), 2]
    return ids, [0] * len(ids)


BYTES_JSON = {
    'version': '1.0', 'truncation': None, 'padding': None,
    'added_tokens': [special(i, t) for i, t in enumerate(BYTES[:4])],
    'normalizer': None,
    'pre_tokenizer': {'type': 'ByteLevel', 'add_prefix_space': False, 'trim_offsets': True, 'use_regex': True},
    'post_processor': {'type': 'RobertaProcessing', 'sep': ['</s>', 2], 'cls': ['<s>', 0], 'trim_offsets': True, 'add_prefix_space': False},
    'decoder': {'type': 'ByteLevel', 'add_prefix_space': True, 'trim_offsets': True, 'use_regex': True},
    'model': {'type': 'BPE', 'dropout': None, 'unk_token': None, 'continuing_subword_prefix': '', 'end_of_word_suffix': '',
              'fuse_unk': False, 'byte_fallback': False, 'vocab': {t: i for i, t in enumerate(BYTES)}, 'merges': []},
}


# ---- models: each gives its config and a function (ids, types) -> rows, and draws a head where it has one ----

def post_norm_layers(w, names, eps):
    layers = []
    for i in range(LAYERS):
        n = {k: v.format(i) for k, v in names.items()}
        layers.append((*(w.linear(n[k], DIM, DIM) for k in 'qkvo'), w.layer_norm(n['norm1'], DIM, eps),
                       w.linear(n['up'], HIDDEN, DIM), w.linear(n['down'], DIM, HIDDEN), w.layer_norm(n['norm2'], DIM, eps)))

    def run(x, bias=None):
        for q, k, v, o, norm1, up, down, norm2 in layers:
            h = norm1(o(attention(q(x), k(x), v(x), None, bias)) + x)
            x = norm2(down(gelu(up(h))) + h)
        return x
    return run


def bert(w, model_type, n_vocab, prefix='', pad=None):
    eps, n_types = (1e-12, 2) if pad is None else (1e-5, 1)
    n_unused = 0 if pad is None else pad + 1
    e = f'{prefix}embeddings'
    words = w.draw(f'{e}.word_embeddings.weight', (n_vocab, DIM), reach=1)
    places = w.draw(f'{e}.position_embeddings.weight', (MAX + n_unused, DIM), reach=1)
    types = w.draw(f'{e}.token_type_embeddings.weight', (n_types, DIM), reach=1)
    norm = w.layer_norm(f'{e}.LayerNorm', DIM, eps)
    at = f'{prefix}encoder.layer.{{}}.'
    layers = post_norm_layers(w, {
        'q': at + 'attention.self.query', 'k': at + 'attention.self.key', 'v': at + 'attention.self.value',
        'o': at + 'attention.output.dense', 'norm1': at + 'attention.output.LayerNorm',
        'up': at + 'intermediate.dense', 'down': at + 'output.dense', 'norm2': at + 'output.LayerNorm'}, eps)

    def rows(ids, kinds):
        place = np.arange(len(ids)) + n_unused
        return layers(norm(words[ids] + types[kinds or [0] * len(ids)] + places[place]))
    config = {'model_type': model_type, 'vocab_size': n_vocab, 'hidden_size': DIM, 'intermediate_size': HIDDEN,
              'num_hidden_layers': LAYERS, 'num_attention_heads': HEADS, 'max_position_embeddings': MAX + n_unused,
              'type_vocab_size': n_types, 'hidden_act': 'gelu', 'layer_norm_eps': eps, 'position_embedding_type': 'absolute',
              **({} if pad is None else {'pad_token_id': pad})}
    return config, rows


def distilbert(w, n_vocab):
    eps = 1e-12
    words = w.draw('distilbert.embeddings.word_embeddings.weight', (n_vocab, DIM), reach=1)
    places = w.draw('distilbert.embeddings.position_embeddings.weight', (MAX, DIM), reach=1)
    norm = w.layer_norm('distilbert.embeddings.LayerNorm', DIM, eps)
    at = 'distilbert.transformer.layer.{}.'
    layers = post_norm_layers(w, {
        'q': at + 'attention.q_lin', 'k': at + 'attention.k_lin', 'v': at + 'attention.v_lin', 'o': at + 'attention.out_lin',
        'norm1': at + 'sa_layer_norm', 'up': at + 'ffn.lin1', 'down': at + 'ffn.lin2', 'norm2': at + 'output_layer_norm'}, eps)
    config = {'model_type': 'distilbert', 'vocab_size': n_vocab, 'dim': DIM, 'hidden_dim': HIDDEN, 'n_layers': LAYERS, 'n_heads': HEADS,
              'max_position_embeddings': MAX, 'activation': 'gelu', 'sinusoidal_pos_embds': False}
    return config, lambda ids, _: layers(norm(words[ids] + places[np.arange(len(ids))]))


def mpnet(w, n_vocab, prefix=''):
    eps, n_unused, n_buckets, far = 1e-5, 2, 32, 128
    words = w.draw(f'{prefix}embeddings.word_embeddings.weight', (n_vocab, DIM), reach=1)
    places = w.draw(f'{prefix}embeddings.position_embeddings.weight', (MAX + n_unused, DIM), reach=1)
    norm = w.layer_norm(f'{prefix}embeddings.LayerNorm', DIM, eps)
    buckets = w.draw(f'{prefix}encoder.relative_attention_bias.weight', (n_buckets, HEADS), reach=2)
    at = f'{prefix}encoder.layer.{{}}.'
    layers = post_norm_layers(w, {
        'q': at + 'attention.attn.q', 'k': at + 'attention.attn.k', 'v': at + 'attention.attn.v', 'o': at + 'attention.attn.o',
        'norm1': at + 'attention.LayerNorm', 'up': at + 'intermediate.dense', 'down': at + 'output.dense', 'norm2': at + 'output.LayerNorm'}, eps)

    def bucket(distance):
        """Of s - t: half of the buckets for rows that follow; of each half, half for one distance each, the rest by logarithms."""
        half, d = n_buckets // 2, abs(distance)
        exact = half // 2
        log = exact + int(math.log(max(d, 1) / exact) / math.log(far / exact) * (half - exact))
        return (half if distance > 0 else 0) + (d if d < exact else min(log, half - 1))

    def rows(ids, _):
        n = len(ids)
        bias = np.array([[buckets[bucket(s - t)] for s in range(n)] for t in range(n)]).transpose(2, 0, 1)
        return layers(norm(words[ids] + places[np.arange(n) + n_unused]), bias)
    config = {'model_type': 'mpnet', 'vocab_size': n_vocab, 'hidden_size': DIM, 'intermediate_size': HIDDEN, 'num_hidden_layers': LAYERS,
              'num_attention_heads': HEADS, 'max_position_embeddings': MAX + n_unused, 'hidden_act': 'gelu', 'layer_norm_eps': eps,
              'relative_attention_num_buckets': n_buckets, 'pad_token_id': 1}
    return config, rows


def nomic_bert(w, n_vocab):
    eps, base = 1e-12, 1000
    words = w.draw('embeddings.word_embeddings.weight', (n_vocab, DIM), reach=1)
    types = w.draw('embeddings.token_type_embeddings.weight', (2, DIM), reach=1)
    norm = w.layer_norm('emb_ln', DIM, eps)
    layers = []
    for i in range(LAYERS):
        at = f'encoder.layers.{i}.'
        layers.append((w.linear(at + 'attn.Wqkv', 3 * DIM, DIM, False), w.linear(at + 'attn.out_proj', DIM, DIM, False), w.layer_norm(at + 'norm1', DIM, eps),
                       w.linear(at + 'mlp.fc11', HIDDEN, DIM, False), w.linear(at + 'mlp.fc12', HIDDEN, DIM, False),
                       w.linear(at + 'mlp.fc2', DIM, HIDDEN, False), w.layer_norm(at + 'norm2', DIM, eps)))

    def rows(ids, kinds):
        x = norm(words[ids] + types[kinds or [0] * len(ids)])
        for qkv, o, norm1, up, gate, down, norm2 in layers:
            q, k, v = np.split(qkv(x), 3, -1)
            h = norm1(o(attention(rotate(q, base), rotate(k, base), v)) + x)
            x = norm2(down(up(h) * silu(gate(h))) + h)
        return x
    config = {'model_type': 'nomic_bert', 'vocab_size': n_vocab, 'n_embd': DIM, 'n_inner': HIDDEN, 'n_layer': LAYERS, 'n_head': HEADS,
              'n_positions': 8192, 'max_trained_positions': MAX, 'type_vocab_size': 2, 'activation_function': 'swiglu',
              'layer_norm_epsilon': eps, 'qkv_proj_bias': False, 'mlp_fc1_bias': False, 'mlp_fc2_bias': False, 'prenorm': False,
              'causal': False, 'parallel_block': False, 'use_rms_norm': False, 'rotary_emb_base': base, 'rotary_emb_fraction': 1.0,
              'rotary_emb_interleaved': False, 'rotary_emb_scale_base': None, 'rotary_scaling_factor': None}
    return config, rows


def modernbert(w, n_vocab):
    eps, window, local_base, global_base, every = 1e-5, 6, 100.0, 1600.0, 2
    words = w.draw('model.embeddings.tok_embeddings.weight', (n_vocab, DIM), reach=1)
    norm = w.layer_norm('model.embeddings.norm', DIM, eps, False)
    layers = []
    for i in range(LAYERS):
        at = f'model.layers.{i}.'
        layers.append((w.layer_norm(at + 'attn_norm', DIM, eps, False) if i > 0 else lambda x: x,
                       w.linear(at + 'attn.Wqkv', 3 * DIM, DIM, False), w.linear(at + 'attn.Wo', DIM, DIM, False),
                       w.layer_norm(at + 'mlp_norm', DIM, eps, False), w.linear(at + 'mlp.Wi', 2 * HIDDEN, DIM, False),
                       w.linear(at + 'mlp.Wo', DIM, HIDDEN, False)))
    last = w.layer_norm('model.final_norm', DIM, eps, False)

    def rows(ids, _):
        x = norm(words[ids])
        far = np.abs(np.arange(len(ids))[:, None] - np.arange(len(ids))[None, :])
        for i, (norm1, qkv, o, norm2, wi, wo) in enumerate(layers):
            is_global = i % every == 0
            base = global_base if is_global else local_base
            q, k, v = np.split(qkv(norm1(x)), 3, -1)
            x = x + o(attention(rotate(q, base), rotate(k, base), v, None if is_global else far <= window // 2))
            active, gate = np.split(wi(norm2(x)), 2, -1)
            x = x + wo(gelu(active) * gate)
        return last(x)
    config = {'model_type': 'modernbert', 'vocab_size': n_vocab, 'hidden_size': DIM, 'intermediate_size': HIDDEN, 'num_hidden_layers': LAYERS,
              'num_attention_heads': HEADS, 'max_position_embeddings': MAX, 'norm_eps': eps, 'norm_bias': False, 'attention_bias': False,
              'mlp_bias': False, 'hidden_activation': 'gelu', 'local_attention': window, 'global_attn_every_n_layers': every,
              'local_rope_theta': local_base, 'global_rope_theta': global_base}
    return config, rows


# ---- goldens ----

def unit(v): return (v / math.sqrt((v * v).sum())).tolist()


def write(name, seed, build, tokens, encode, pair=None, head=None, pooling=None):
    w = Weights(seed, 2, 0.3, True)
    config, rows = build(w)
    score = None
    if head is not None:
        dense, out = w.linear(head[0], DIM, DIM), w.linear(head[1], 1, DIM)
        score = lambda x: float(out(np.tanh(dense(x[0])))[0])
        config['id2label'] = {'0': 'LABEL_0'}
    folder = os.path.join(OUT, name)
    write_json(os.path.join(folder, 'config.json'), config)
    write_json(os.path.join(folder, 'tokenizer.json'), tokens)
    write_safetensors(os.path.join(folder, 'model.safetensors'), w.tensors)
    if pooling is not None:
        modes = {f'pooling_mode_{m}': m == pooling for m in ('cls_token', 'mean_tokens', 'max_tokens', 'mean_sqrt_len_tokens', 'lasttoken')}
        write_json(os.path.join(folder, '1_Pooling', 'config.json'), {'word_embedding_dimension': DIM, **modes})
        kinds = ['Transformer', 'Pooling', 'Normalize']
        write_json(os.path.join(folder, 'modules.json'), [{'idx': i, 'name': str(i), 'path': ['', '1_Pooling', '2_Normalize'][i],
                   'type': f'sentence_transformers.models.{k}'} for i, k in enumerate(kinds)])
    golden = {'texts': [], 'pairs': []}
    for text in TEXTS:
        ids, kinds = encode(text)
        x = rows(ids, kinds)
        golden['texts'].append({'text': text, 'ids': ids, 'mean': unit(x.mean(0)), 'cls': unit(x[0]), 'last': unit(x[-1]), 'raw': x.mean(0).tolist()})
    for a, b in PAIRS if score is not None else []:
        ids, kinds = pair(a, b)
        golden['pairs'].append({'query': a, 'document': b, 'ids': ids, 'types': kinds, 'score': score(rows(ids, kinds))})
    write_json(os.path.join(folder, 'golden.json'), golden)


N_PIECES, N_BYTES = len(WORD_PIECES), len(BYTES)
write('bert', 1, lambda w: bert(w, 'bert', N_PIECES), WORD_PIECE_JSON, bert_ids, pooling='mean_tokens')
write('bert_reranker', 2, lambda w: bert(w, 'bert', N_PIECES, 'bert.'), WORD_PIECE_JSON, bert_ids, bert_pair, ('bert.pooler.dense', 'classifier'))
write('roberta', 3, lambda w: bert(w, 'roberta', N_BYTES, '', 1), BYTES_JSON, roberta_ids, pooling='cls_token')
write('xlm_roberta_reranker', 4, lambda w: bert(w, 'xlm-roberta', N_BYTES, 'roberta.', 1), BYTES_JSON, roberta_ids, roberta_pair,
      ('classifier.dense', 'classifier.out_proj'))
write('distilbert', 5, lambda w: distilbert(w, N_PIECES), WORD_PIECE_JSON, bert_ids, pooling='lasttoken')
write('nomic_bert', 6, lambda w: nomic_bert(w, N_PIECES), WORD_PIECE_JSON, bert_ids, pooling='mean_tokens')
write('modernbert', 7, lambda w: modernbert(w, N_PIECES), WORD_PIECE_JSON, bert_ids, pooling='cls_token')
write('mpnet', 8, lambda w: mpnet(w, len(MP_PIECES)), MP_JSON, mpnet_ids, pooling='mean_tokens')
write('mpnet_reranker', 9, lambda w: mpnet(w, len(MP_PIECES), 'mpnet.'), MP_JSON, mpnet_ids, mpnet_pair, ('classifier.dense', 'classifier.out_proj'))
