# SPDX-License-Identifier: Apache-2.0
# .npy files for tests, by Python's struct: what NumPy would write, and what it would not.
# shellcheck shell=bash

# npy FILE VERSION DESCR True|False [SHAPE]: the matrix [[0.5, -1, 2], [3, 0, -0.25]] as DESCR (f2, f4 or f8); SHAPE is what the header
# claims. Several files at once, since Python takes longer to start than to write: their words one after another, SHAPE included.
npy() {
    python3 - "$@" <<'PY'
import struct, sys
def write(name, version, descr, fortran, shape='(2, 3)'):
    rows = [[0.5, -1, 2], [3, 0, -0.25]]
    cells = [rows[i][j] for j in range(3) for i in range(2)] if fortran == 'True' else [x for r in rows for x in r]
    order = '>' if descr[0] == '>' else '<'
    data = struct.pack(order + '6' + {'2': 'e', '4': 'f', '8': 'd'}.get(descr[-1], 'f'), *cells)
    header = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, fortran, shape)
    size = '<H' if version == '1' else '<I'
    before = 8 + struct.calcsize(size)
    header += ' ' * (-(before + len(header) + 1) % 64) + '\n'
    open(name, 'wb').write(b'\x93NUMPY' + bytes([int(version), 0]) + struct.pack(size, len(header)) + header.encode() + data)
words = sys.argv[1:]
while words:
    write(*words[:5])
    words = words[5:]
PY
}

# raw_npy FILE HEADER [BYTES]: version 1.0 with this header as it stands, and as many bytes 0 of data.
raw_npy() {
    local n=${#2}
    {
        printf '\x93NUMPY\1\0'
        printf '%b' "\\x$(printf %02x $((n % 256)))\\x$(printf %02x $((n / 256)))"
        printf %s "$2"
        head -c "${3:-0}" /dev/zero
    } >"$1"
}

# strings FILE DESCR TEXT...: one column of strings, '<U4', '>U4' or '|S4'.
strings() {
    python3 - "$@" <<'PY'
import struct, sys
name, descr, texts = sys.argv[1], sys.argv[2], sys.argv[3:]
width = int(descr[2:])
if descr[1] == 'U':
    data = b''.join(t.encode('utf-32-' + ('be' if descr[0] == '>' else 'le')).ljust(4 * width, b'\0') for t in texts)
else:
    data = b''.join(t.encode().ljust(width, b'\0') for t in texts)
header = "{'descr': '%s', 'fortran_order': False, 'shape': (%d,), }\n" % (descr, len(texts))
open(name, 'wb').write(b'\x93NUMPY\1\0' + struct.pack('<H', len(header)) + header.encode() + data)
PY
}
