#!/usr/bin/python3
"""Pictures and what Pillow makes of them, for test/vision. Writes test/goldens/vision/*.json; the tests do not run this.

Needs Debian 12's python3-pil 9.4, python3-numpy and libjpeg-turbo-progs (cjpeg). Every picture is drawn here, but for cat.jpg:
with the path of scikit-image's chelsea.png (CC0, photographer Stefan van der Walt) as argument, the middle of it is written too.
"""
import base64, io, json, os, struct, subprocess, sys, tempfile, zlib
import numpy as np
from PIL import Image, ImageOps

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'goldens', 'vision')
ADAM7 = [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)]


def b64(data): return base64.b64encode(bytes(data)).decode()


def drawing(w, h, seed=1):
    """Slopes, edges, a disc of saturated colour, and noise: what filters and colour conversions find hard."""
    rng = np.random.RandomState(seed)
    y, x = np.mgrid[0:h, 0:w]
    p = np.stack([x * 255 // max(1, w - 1), y * 255 // max(1, h - 1), (x * 7 + y * 13) % 256], -1).astype(np.int64)
    p[(x - w / 2) ** 2 + (y - h / 2) ** 2 < (min(w, h) / 3) ** 2] = (255, 0, 40)
    p[(x + y) % 11 == 0] = (0, 255, 255)
    p[: h // 4, : w // 3] = rng.randint(0, 256, (h // 4, w // 3, 3))
    return p.astype(np.uint8)


# ---- PNG ----

def chunk(kind, data): return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def pack_row(samples, depth):
    """samples: [n] integers -> bytes, the first one highest."""
    if depth == 16: return b''.join(struct.pack('>H', int(v)) for v in samples)
    if depth == 8: return bytes(int(v) for v in samples)
    bits = ''.join(format(int(v), f'0{depth}b') for v in samples)
    bits += '0' * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def filtered(rows, back):
    """Row j has filter j mod 5."""
    out, above = b'', bytes(len(rows[0]))
    for j, row in enumerate(rows):
        kind, line = j % 5, bytearray()
        for i, v in enumerate(row):
            a = row[i - back] if i >= back else 0
            b, c = above[i], (above[i - back] if i >= back else 0)
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            line.append((v - (0, a, b, (a + b) // 2, paeth)[kind]) & 255)
        out += bytes([kind]) + bytes(line)
        above = row
    return out


def write_png(samples, depth, colour, interlace=0, palette=None, level=9, parts=1):
    """samples: [h, w, n] integers of that depth."""
    h, w, n = samples.shape
    raw = b''
    for sx, dx, sy, dy in (ADAM7 if interlace else [(0, 1, 0, 1)]):
        part = samples[sy::dy, sx::dx]
        if part.size == 0: continue
        raw += filtered([pack_row(r.reshape(-1), depth) for r in part], max(1, depth * n // 8))
    z = zlib.compress(raw, level)
    cuts = [len(z) * i // parts for i in range(parts + 1)]
    out = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, depth, colour, 0, 0, interlace))
    if palette is not None: out += chunk(b'PLTE', bytes(palette.reshape(-1)))
    for a, b in zip(cuts, cuts[1:]): out += chunk(b'IDAT', z[a:b])
    return out + chunk(b'IEND', b'')


def png_cases():
    cases = []
    def add(name, data, rgb=None, note=None):
        im = Image.open(io.BytesIO(data))
        got = np.array(im.convert('RGB')) if rgb is None else rgb
        cases.append(dict(name=name, width=im.width, height=im.height, file=b64(data), rgb=b64(got.tobytes()), **({'note': note} if note else {})))
    rng = np.random.RandomState(7)
    p = drawing(19, 13)
    grey = p[..., 1].astype(np.int64)
    for interlace in (0, 1):
        tail = ' interlaced' if interlace else ''
        for depth in (1, 2, 4, 8):
            add(f'grey {depth}{tail}', write_png((grey >> (8 - depth))[..., None], depth, 0, interlace))
        wide = grey[..., None] * 256 + rng.randint(0, 256, (13, 19, 1))
        high = np.repeat((wide >> 8).astype(np.uint8), 3, -1)
        add(f'grey 16{tail}', write_png(wide, 16, 0, interlace), high, 'not Pillow: the upper 8 bits')
        for depth in (1, 2, 4, 8):
            n = 1 << depth
            add(f'palette {depth}{tail}', write_png(rng.randint(0, n, (13, 19, 1)), depth, 3, interlace, rng.randint(0, 256, (n, 3)).astype(np.uint8)))
        for depth in (8, 16):
            up = lambda a: a if depth == 8 else a * 256 + rng.randint(0, 256, a.shape)
            rgb, alpha = up(p.astype(np.int64)), up(rng.randint(0, 256, (13, 19, 1)))
            add(f'rgb {depth}{tail}', write_png(rgb, depth, 2, interlace))
            add(f'rgba {depth}{tail}', write_png(np.concatenate([rgb, alpha], -1), depth, 6, interlace))
            add(f'grey alpha {depth}{tail}', write_png(np.concatenate([up(grey[..., None]), alpha], -1), depth, 4, interlace))
    add('one pixel', write_png(p[:1, :1].astype(np.int64), 8, 2, 1))
    add('three rows of one pixel, interlaced', write_png(p[:3, :1].astype(np.int64), 8, 2, 1))
    add('data in five chunks, stored', write_png(p.astype(np.int64), 8, 2, level=0, parts=5))
    add('fixed codes', write_png(p[:2, :2].astype(np.int64), 8, 2, level=1))
    flat = np.zeros((64, 97, 3), np.int64) + [10, 200, 90]
    add('long copies', write_png(flat, 8, 2))
    return cases


# ---- JPEG ----

def run(program, data): return subprocess.run(program, input=data, stdout=subprocess.PIPE, check=True).stdout


def ppm(p): return b'P6\n%d %d\n255\n' % (p.shape[1], p.shape[0]) + p.tobytes()


def jpeg_cases():
    cases = []
    def add(name, data, **more):
        im = Image.open(io.BytesIO(data))
        cases.append(dict(name=name, width=im.width, height=im.height, file=b64(data), rgb=b64(np.array(im.convert('RGB')).tobytes()), **more))
    p = drawing(37, 23, 3)
    cjpeg = lambda pic, *args: run(['cjpeg', *args], ppm(pic))
    for sample in ('1x1', '2x1', '1x2', '2x2', '4x1', '4x2', '1x4'):
        for kind in ('baseline', 'progressive'):
            add(f'{kind} {sample}', cjpeg(p, '-quality', '85', '-sample', sample, *(['-progressive'] if kind == 'progressive' else [])))
    add('chroma sampled more than luma', cjpeg(p, '-sample', '1x1,2x2,2x1'))
    add('quality 100', cjpeg(p, '-quality', '100', '-sample', '1x1'))
    add('quality 5', cjpeg(p, '-quality', '5'))
    add('optimized codes', cjpeg(p, '-optimize'))
    add('a restart marker after every unit', cjpeg(p, '-restart', '1B', '-sample', '2x2'))
    add('restart markers, progressive', cjpeg(p, '-restart', '2B', '-progressive'))
    add('grey', cjpeg(p, '-grayscale'))
    add('grey progressive, sampled 2x2', cjpeg(p, '-grayscale', '-progressive', '-sample', '2x2'))
    add('rgb', cjpeg(p, '-rgb', '-quality', '90'))
    add('one scan for each component', scans(p))
    for w, h in ((1, 1), (2, 3), (3, 2), (5, 5), (16, 16), (17, 33)):
        add(f'{w} x {h}, 4:2:0', cjpeg(drawing(w, h, 5), '-quality', '92'))
    add('5 x 4, 4:2:2', cjpeg(drawing(5, 4, 5), '-sample', '2x1'))
    add('3 x 5, 4:4:0', cjpeg(drawing(3, 5, 5), '-sample', '1x2'))
    ink = io.BytesIO()
    Image.fromarray(np.concatenate([p, 255 - p[..., :1] // 2], -1), 'CMYK').save(ink, 'JPEG', quality=90)
    ink = ink.getvalue()
    add('cmyk', ink)
    at = ink.index(b'Adobe') + 11
    add('ycck', ink[:at] + b'\x02' + ink[at + 1:])
    for orientation in range(1, 9):
        exif = Image.Exif(); exif[0x0112] = orientation
        out = io.BytesIO(); im = Image.fromarray(drawing(7, 5, 9)); im.save(out, 'JPEG', exif=exif, quality=95)
        turned = ImageOps.exif_transpose(Image.open(io.BytesIO(out.getvalue()))).convert('RGB')
        add(f'orientation {orientation}', out.getvalue(), orientation=orientation, upright=b64(np.array(turned).tobytes()), uprightWidth=turned.width)
    return cases


def scans(p):
    """Sequential, a scan for each component."""
    with tempfile.NamedTemporaryFile('w', suffix='.txt') as f:
        f.write('0;\n1;\n2;\n'); f.flush()
        return run(['cjpeg', '-sample', '2x2', '-scans', f.name], ppm(p))


# ---- resize ----

FILTERS = dict(nearest=Image.NEAREST, lanczos=Image.LANCZOS, bilinear=Image.BILINEAR, bicubic=Image.BICUBIC, box=Image.BOX, hamming=Image.HAMMING)


def resize_cases():
    rng = np.random.RandomState(11)
    noise = rng.randint(0, 256, (23, 37, 3)).astype(np.uint8)
    noise[5:15, 8:20] = 255; noise[5:15, 20:30] = 0
    cases = []
    for name, resample in FILTERS.items():
        for w, h in ((16, 16), (61, 40), (37, 9), (5, 23), (1, 1), (38, 22), (3, 60)):
            out = np.array(Image.fromarray(noise).resize((w, h), resample=resample))
            cases.append(dict(filter=name, width=w, height=h, rgb=b64(out.tobytes())))
    return dict(width=37, height=23, rgb=b64(noise.tobytes()), cases=cases)


if __name__ == '__main__':
    os.makedirs(OUT, exist_ok=True)
    for name, made in (('png', png_cases()), ('jpeg', jpeg_cases()), ('resize', resize_cases())):
        with open(os.path.join(OUT, f'{name}.json'), 'w') as f:
            items = made if isinstance(made, list) else made.pop('cases')
            head = '[' if isinstance(made, list) else json.dumps(made)[:-1] + ', "cases": ['
            f.write(head + '\n' + ',\n'.join(json.dumps(c) for c in items) + '\n]' + ('' if isinstance(made, list) else '}') + '\n')
        print(name, os.path.getsize(os.path.join(OUT, f'{name}.json')), 'bytes')
    if len(sys.argv) > 1:
        cat = Image.open(sys.argv[1]).convert('RGB').crop((75, 0, 375, 300)).resize((160, 160), Image.LANCZOS)
        cat.save(os.path.join(OUT, 'cat.jpg'), quality=85)
