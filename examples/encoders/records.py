# SPDX-License-Identifier: Apache-2.0
"""records - a stage in Python without a MessagePack library: records come and go as JSON lines, through mp2json and json2mp.

    stage = Stage('vectors of tracks', {'--model': dict(required=True)})
    for batch in stage.batches(stage.options.batch_size):
        stage.write(batch, vectors)
    stage.finish()

Options are those that text-embed and audio-embed have too, so that a stage takes their place: what does not mean anything here
(--dim, --seed, --threads) is taken and left alone. Exit status as talkplay(1) has it.
"""
import argparse
import atexit
import json
import math
import os
import signal
import subprocess
import sys
import time


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(64, '%s: %s\n' % (self.prog, message))


class Stage:
    def __init__(self, purpose, options, modality=None):
        parser = Parser(description=purpose)
        parser.add_argument('files', nargs='*', default=['-'], help='streams of track records')
        parser.add_argument('-o', '--output', default='-')
        parser.add_argument('-m', '--modality', required=modality is None, default=modality)
        parser.add_argument('--batch-size', type=int, default=16)
        for unused in ('--dim', '--seed', '--threads'):
            parser.add_argument(unused, help=argparse.SUPPRESS)
        for name, how in options.items():
            parser.add_argument(name, **how)
        self.options = parser.parse_args()
        self.name, self.start = parser.prog, time.monotonic()
        self.n_in = self.n_out = self.without = 0
        # Written beside and renamed in the end: whatever stops this program, half of a file is never taken for all of it.
        out = self.options.output
        self.part = out + '.part' if out != '-' and (os.path.isfile(out) or not os.path.exists(out)) else None
        self.children = []
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        atexit.register(self.undo)
        self.reader = self.child(['mp2json'] + self.options.files, stdout=subprocess.PIPE)
        self.writer = self.child(['json2mp', '--force', '-o', self.part or out], stdin=subprocess.PIPE)

    def child(self, command, **streams):
        self.children.append(subprocess.Popen(command, encoding='utf-8', **streams))
        return self.children[-1]

    def undo(self):
        """At the end of the program; does nothing after finish()."""
        for child in self.children:
            if child.poll() is None:
                child.terminate()
                child.wait()
        if self.part and os.path.exists(self.part):
            os.remove(self.part)

    def fail(self, status, message):
        print('%s: %s' % (self.name, message), file=sys.stderr)
        sys.exit(status)

    def batches(self, size, wanted=lambda track: True):
        """Lists of at most size tracks that are wanted; the others are counted as without."""
        batch = []
        for line in self.reader.stdout:
            track = json.loads(line)
            self.n_in += 1
            if not wanted(track):
                self.without += 1
                continue
            batch.append(track)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch
        if self.reader.wait() != 0:
            sys.exit(self.reader.returncode)  # it has said why

    def write(self, tracks, vectors):
        """An embedding record for each track; vectors: as many rows of numbers (a list, an array, a tensor)."""
        vectors = vectors.tolist() if hasattr(vectors, 'tolist') else vectors
        if len(vectors) != len(tracks):
            self.fail(70, 'the model gave %d vectors for %d tracks' % (len(vectors), len(tracks)))
        for track, vector in zip(tracks, vectors):
            vector = [float(x) for x in vector]
            if not all(map(math.isfinite, vector)):
                self.fail(65, '%s: a vector with a number that is not finite' % track['track_id'])
            record = {'track_id': track['track_id'], 'modality': self.options.modality, 'vector': vector}
            try:
                self.writer.stdin.write(json.dumps(record, ensure_ascii=False) + '\n')
            except BrokenPipeError:
                self.give_up()
            self.n_out += 1

    def give_up(self):
        """json2mp has failed, and has said why."""
        status = self.writer.wait()
        sys.exit(status if status > 0 else 128 - status)  # a signal, as a shell counts it

    def finish(self):
        try:
            self.writer.stdin.close()
        except BrokenPipeError:
            self.give_up()
        if self.writer.wait() != 0:
            self.give_up()
        if self.part:
            os.replace(self.part, self.options.output)
        print('%s: in=%d out=%d rejected=0 without=%d seconds=%.1f' %
              (self.name, self.n_in, self.n_out, self.without, time.monotonic() - self.start), file=sys.stderr)


def sound(stage, track, rate, seconds, folder):
    """The first seconds of a track's recording, one channel at rate."""
    import librosa
    path = os.path.join(folder, track['audio_path'])
    try:
        return librosa.load(path, sr=rate, mono=True, duration=seconds)[0]
    except Exception as reason:  # whatever its decoders raise
        stage.fail(65, '%s: audio_path: %s: %s' % (track['track_id'], path, reason))
