/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token - music tokens as text: <|playlist-53|>, and a track as a block of them (Doh, Choi, Nam 2025, §4.1).
 * A name is canonical: no sign, no leading zero, so that a token has one spelling. Constant time and memory.
 */
#include <string.h>

#include "music/music.h"

size_t
token_name(char out[32], enum modality m, int32_t code)
{
    return (size_t)snprintf(out, 32, "<|%s-%d|>", modality_name[m], (int)code);
}

/* The digits s as a code; false for anything else. */
static bool
parse_code(int32_t *code, struct str s)
{
    int32_t x = 0;

    if (s.n == 0 || s.n > 5 || (s.p[0] == '0' && s.n > 1))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        x = x * 10 + (s.p[i] - '0');
    }
    *code = x;
    return x <= CODE_MAX;
}

bool
token_parse(enum modality *m, int32_t *code, struct str s)
{
    const char *dash;
    struct str name;
    int found;

    if (s.n < 4 || memcmp(s.p, "<|", 2) != 0 || memcmp(s.p + s.n - 2, "|>", 2) != 0)
        return false;
    name = (struct str){s.p + 2, s.n - 4};
    if ((dash = memchr(name.p, '-', name.n)) == NULL)
        return false;
    found = modality_find((struct str){name.p, (size_t)(dash - name.p)});
    if (found < 0 || !parse_code(code, (struct str){dash + 1, name.n - (size_t)(dash + 1 - name.p)}))
        return false;
    *m = (enum modality)found;
    return true;
}

enum status
token_block(struct buf *out, const struct codes *codes, struct err *err)
{
    char name[32];

    if (buf_adds(out, STR(MUSIC_START), err) != OK)
        return SYSTEM;
    for (int m = 0; m < MODALITIES; m++)
        if (codes->code[m] != CODE_NONE &&
            buf_add(out, name, token_name(name, (enum modality)m, codes->code[m]), err) != OK)
            return SYSTEM;
    return buf_adds(out, STR(MUSIC_END), err);
}
