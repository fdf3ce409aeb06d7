# SPDX-License-Identifier: Apache-2.0
"""audio.py OUT FORMAT RATE CHANNELS SECONDS SEED [PART] - a recording made up from SEED, for tests; PART is which piece of it.

audio.py OUT FORMAT from IN.wav - the same sound (16-bit WAV) in another format. FORMAT is wav, float, flac, ogg or mp3, written through
libsndfile. A seed has its own timbre (weights of partials), tempo and scale; pieces differ in their notes.
"""
import array, ctypes, math, random, struct, sys, wave

FORMATS = {'wav': 0x010002, 'float': 0x010006, 'flac': 0x170002, 'ogg': 0x200060, 'mp3': 0x230082}


class Info(ctypes.Structure):
    _fields_ = [('frames', ctypes.c_int64), ('rate', ctypes.c_int), ('channels', ctypes.c_int), ('format', ctypes.c_int),
                ('sections', ctypes.c_int), ('seekable', ctypes.c_int)]


def write(out, form, rate, channels, samples):
    lib = ctypes.CDLL('libsndfile.so.1')
    lib.sf_open.restype = ctypes.c_void_p
    info = Info(0, rate, channels, FORMATS[form], 0, 0)
    f = lib.sf_open(out.encode(), 0x20, ctypes.byref(info))
    if not f:
        sys.exit('%s: libsndfile does not write %s' % (out, form))
    raw = (ctypes.c_float * len(samples)).from_buffer(samples)
    lib.sf_writef_float.restype = ctypes.c_int64
    for at in range(0, len(samples), 65536 * channels):  # a Vorbis encoder of a whole file at once overflows its stack
        n = min(65536 * channels, len(samples) - at)
        part = (ctypes.c_float * n).from_buffer(samples, at * 4)
        lib.sf_writef_float(ctypes.c_void_p(f), part, ctypes.c_int64(n // channels))
    del raw
    lib.sf_close(ctypes.c_void_p(f))


def synth(rate, channels, seconds, seed, part):
    of_all = random.Random(seed)
    tilt, odd, beat, decay = (of_all.uniform(a, b) for a, b in ((0.3, 2.5), (0, 1), (0.15, 0.6), (2, 12)))
    low = of_all.uniform(80, 400)
    noise = of_all.uniform(0, 0.05)
    notes = random.Random(seed * 1000 + part)
    out = array.array('f', bytes(4 * channels * int(rate * seconds)))
    table = [sum((k + 1) ** -tilt * (odd if k % 2 else 1) * math.sin(2 * math.pi * (k + 1) * i / 2048) for k in range(max(1, int(2500 / low)))) / 4 for i in range(2048)]
    phase = at = 0
    held = -1
    for i in range(int(rate * seconds)):
        t = i / rate
        if t >= at:
            step, at, start = low * 2 ** (notes.choice((0, 2, 4, 7, 9, 12)) / 12) * 2048 / rate, at + beat, t
        phase += step
        if held != int(t * 8000):  # as much noise at any rate
            held, hiss = int(t * 8000), notes.uniform(-noise, noise)
        x = table[int(phase) & 2047] * math.exp(-decay * (t - start)) * 0.7 + hiss
        for c in range(channels):
            out[i * channels + c] = x
    return out


if __name__ == '__main__':
    out, form = sys.argv[1:3]
    if sys.argv[3] == 'from':
        w = wave.open(sys.argv[4])
        samples = array.array('f', (x / 32768 for x in struct.iter_unpack('<h', w.readframes(w.getnframes())) for x in x))
        write(out, form, w.getframerate(), w.getnchannels(), samples)
    else:
        rate, channels, seconds, seed = int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6])
        write(out, form, rate, channels, synth(rate, channels, seconds, seed, int((sys.argv + ['0'])[7])))
