/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpewrite - a trained vocabulary as a tokenizer.json in the form of Llama 3's: Split and ByteLevel, ignore_merges, a
 * template that begins with <|begin_of_text|>. Laid out as the tokenizers library prints it.
 */
#include "text/bpe.h"

static enum status
put_special(struct buf *out, const struct learnt *x, struct err *err)
{
    for (uint32_t i = 0; i < x->n_special; i++)
        if (buf_printf(out, err,
                "%s\n    {\n      \"id\": %u,\n      \"content\": \"%s\",\n      \"single_word\": false,\n"
                "      \"lstrip\": false,\n      \"rstrip\": false,\n      \"normalized\": false,\n"
                "      \"special\": true\n    }",
                i > 0 ? "," : "", ids_count(x->tokens) + i, x->special[i]) != OK)
            return err->status;
    return OK;
}

static enum status
put_parts(struct buf *out, const struct learnt *x, struct err *err)
{
    const char *bos = x->special[0];

    if (buf_adds(out,
            STR("\n  ],\n  \"normalizer\": null,\n  \"pre_tokenizer\": {\n    \"type\": \"Sequence\",\n"
                "    \"pretokenizers\": [\n      {\n        \"type\": \"Split\",\n        \"pattern\": {\n"
                "          \"Regex\": "),
            err) != OK ||
        json_quote(out, STR(LLAMA3_SPLIT("{1,3}")), err) != OK ||
        buf_adds(out,
            STR("\n        },\n        \"behavior\": \"Isolated\",\n        \"invert\": false\n      },\n"
                "      {\n        \"type\": \"ByteLevel\",\n        \"add_prefix_space\": false,\n"
                "        \"trim_offsets\": true,\n        \"use_regex\": false\n      }\n    ]\n  },\n"),
            err) != OK)
        return err->status;
    return buf_printf(out, err,
        "  \"post_processor\": {\n    \"type\": \"Sequence\",\n    \"processors\": [\n"
        "      {\n        \"type\": \"ByteLevel\",\n        \"add_prefix_space\": true,\n        \"trim_offsets\": "
        "false,\n"
        "        \"use_regex\": true\n      },\n"
        "      {\n        \"type\": \"TemplateProcessing\",\n"
        "        \"single\": [\n          {\"SpecialToken\": {\"id\": \"%s\", \"type_id\": 0}},\n"
        "          {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}\n        ],\n"
        "        \"pair\": [\n          {\"SpecialToken\": {\"id\": \"%s\", \"type_id\": 0}},\n"
        "          {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}},\n"
        "          {\"SpecialToken\": {\"id\": \"%s\", \"type_id\": 1}},\n"
        "          {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}\n        ],\n"
        "        \"special_tokens\": {\n          \"%s\": {\"id\": \"%s\", \"ids\": [%u], \"tokens\": [\"%s\"]}\n"
        "        }\n      }\n    ]\n  },\n"
        "  \"decoder\": {\n    \"type\": \"ByteLevel\",\n    \"add_prefix_space\": true,\n    \"trim_offsets\": true,\n"
        "    \"use_regex\": true\n  },\n",
        bos, bos, bos, bos, bos, ids_count(x->tokens), bos);
}

/* A token as a JSON string; between is what a merge has between its two. */
static enum status
put_token(struct buf *out, const struct learnt *x, uint32_t a, const uint32_t *b, struct buf *spelled, struct err *err)
{
    spelled->n = 0;
    if (alphabet_spell(spelled, ids_str(x->tokens, a), err) != OK)
        return err->status;
    if (b != NULL &&
        (buf_add(spelled, " ", 1, err) != OK || alphabet_spell(spelled, ids_str(x->tokens, *b), err) != OK))
        return err->status;
    return json_quote(out, (struct str){spelled->p, spelled->n}, err);
}

static enum status
put_model(struct buf *out, const struct learnt *x, struct err *err)
{
    struct buf spelled = {0};
    enum status st = buf_adds(out,
        STR("  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n"
            "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n    \"fuse_unk\": false,\n"
            "    \"byte_fallback\": false,\n    \"ignore_merges\": true,\n    \"vocab\": {"),
        err);

    for (uint32_t i = 0; i < ids_count(x->tokens) && st == OK; i++)
        if ((st = buf_adds(out, i > 0 ? STR(",\n      ") : STR("\n      "), err)) == OK &&
            (st = put_token(out, x, i, NULL, &spelled, err)) == OK)
            st = buf_printf(out, err, ": %u", i);
    if (st == OK)
        st = buf_adds(out, STR("\n    },\n    \"merges\": ["), err);
    for (uint32_t i = 0; i < x->n_merges && st == OK; i++)
        if ((st = buf_adds(out, i > 0 ? STR(",\n      ") : STR("\n      "), err)) == OK)
            st = put_token(out, x, x->merge[i][0], &x->merge[i][1], &spelled, err);
    if (st == OK)
        st = buf_adds(out, x->n_merges > 0 ? STR("\n    ]\n  }\n}\n") : STR("]\n  }\n}\n"), err);
    buf_free(&spelled);
    return st;
}

enum status
bpe_write(struct buf *out, const struct learnt *x, struct err *err)
{
    if (buf_adds(out,
            STR("{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": ["),
            err) != OK ||
        put_special(out, x, err) != OK || put_parts(out, x, err) != OK)
        return err->status;
    return put_model(out, x, err);
}
