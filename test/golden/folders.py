"""What decoders.py and encoders.py share: Hugging Face folders of random weights in f16, and their parts in float64."""
import json, math, os, struct
import numpy as np


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, t in tensors.items():
        header[name] = {'dtype': 'F16', 'shape': list(t.shape), 'data_offsets': [at, at + 2 * t.size]}
        at += 2 * t.size
    head = json.dumps(header).encode()
    head += b' ' * (-len(head) % 8)
    with open(path, 'wb') as f:
        f.write(struct.pack('<Q', len(head)) + head)
        for t in tensors.values(): f.write(t.astype('<f2').tobytes())


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f: f.write(json.dumps(value) + '\n')


class Weights:
    """Draws tensors, rounds them to f16, and gives them back as float64.

    reach: numbers of a matrix [out, in] are within reach / sqrt(in). bias_reach: those of a product's bias are within this.
    bias: whether products have one where nothing is said.
    """

    def __init__(self, seed, reach, bias_reach, bias):
        self.rng, self.tensors = np.random.RandomState(seed), {}
        self.reach, self.bias_reach, self.bias = reach, bias_reach, bias

    def draw(self, name, shape, middle=0.0, reach=None):
        reach = self.reach / math.sqrt(shape[-1]) if reach is None else reach
        t = (middle + reach * (2 * self.rng.rand(*shape) - 1)).astype(np.float16)
        self.tensors[name] = t
        return t.astype(np.float64)

    def linear(self, name, n_out, n_in, bias=None):
        w = self.draw(f'{name}.weight', (n_out, n_in))
        has_bias = self.bias if bias is None else bias
        b = self.draw(f'{name}.bias', (n_out,), reach=self.bias_reach) if has_bias else 0.0
        return lambda x: x @ w.T + b

    def layer_norm(self, name, width, eps, bias=True):
        g = self.draw(f'{name}.weight', (width,), 1.0, 0.4)
        b = self.draw(f'{name}.bias', (width,), reach=0.3) if bias else 0.0

        def apply(x):
            d = x - x.mean(-1, keepdims=True)
            return g * d / np.sqrt((d * d).mean(-1, keepdims=True) + eps) + b
        return apply

    def rms_norm(self, name, width, eps):
        g = self.draw(f'{name}.weight', (width,), 1.0, 0.4)
        return lambda x: g * x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)


gelu = np.vectorize(lambda v: 0.5 * v * (1 + math.erf(v / math.sqrt(2))))
def silu(x): return x / (1 + np.exp(-x))
