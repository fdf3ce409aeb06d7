/* SPDX-License-Identifier: Apache-2.0 */
/* nfc - the canonical composition of a text, for this room alone. */
#ifndef TEXT_NFC_H
#define TEXT_NFC_H

#include "text/text.h"

#define NFC_PAIRS 1043
#define NFC_RUNS 22
#define NFC_SINGLES 1017
#define NFC_CLASSES 334
#define NFC_EXCLUDED UINT32_C(0x80000000)
extern const uint32_t nfc_pair[NFC_PAIRS][3], nfc_run[NFC_RUNS][3], nfc_single[NFC_SINGLES], nfc_class[NFC_CLASSES][3];

/* Read-only once made: threads may share it. */
struct nfc;
enum status nfc_new(struct nfc **out, struct err *err);
void nfc_free(struct nfc *n);

/* What a thread needs; all zero is empty. */
struct nfc_work {
    struct buf text;
    struct nfc_char *p; /* (cap) */
    struct nfc_char *other;
    size_t cap;
};
void nfc_work_free(struct nfc_work *w);
/* text, which is UTF-8, in normalisation form C: itself where it is that already, else in w until the next call. */
enum status nfc_apply(struct str *out, struct nfc_work *w, const struct nfc *n, struct str text, struct err *err);

#endif
