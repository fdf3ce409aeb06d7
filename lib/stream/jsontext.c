/* SPDX-License-Identifier: Apache-2.0 */
/* jsontext - a parsed JSON value as text again, indented as transformers and most others do. */
#include "stream/stream.h"

static enum status
put_blank(struct buf *out, size_t depth, struct err *err)
{
    enum status st = buf_add(out, "\n", 1, err);

    for (size_t i = 0; st == OK && i < depth; i++)
        st = buf_add(out, "  ", 2, err);
    return st;
}

static enum status
put_number(struct buf *out, struct json v, struct err *err)
{
    char text[32];

    if (json_type(v) == JSON_F64)
        return buf_add(out, text, json_number_f64(text, json_f64(v)), err);
    return json_type(v) == JSON_I64 ? buf_printf(out, err, "%jd", (intmax_t)json_i64(v))
                                    : buf_printf(out, err, "%ju", (uintmax_t)json_u64(v));
}

/* Recursion is as deep as json_parse lets a document be. */
static enum status
put_container(struct buf *out, struct json v, size_t depth, struct err *err)
{
    bool object = json_type(v) == JSON_OBJECT, first = true;
    enum status st = buf_add(out, object ? "{" : "[", 1, err);

    for (struct json_iter it = json_iter(v); st == OK && json_next(&it); first = false) {
        if (!first && (st = buf_add(out, ",", 1, err)) != OK)
            break;
        if ((st = put_blank(out, depth + 1, err)) == OK && object && (st = json_quote(out, it.key, err)) == OK)
            st = buf_add(out, ": ", 2, err);
        if (st == OK)
            st = json_text(out, it.value, depth + 1, err);
    }
    if (st == OK && !first)
        st = put_blank(out, depth, err);
    return st == OK ? buf_add(out, object ? "}" : "]", 1, err) : st;
}

enum status
json_text(struct buf *out, struct json v, size_t depth, struct err *err)
{
    switch (json_type(v)) {
    case JSON_NULL:
        return buf_adds(out, STR("null"), err);
    case JSON_BOOL:
        return buf_adds(out, json_bool(v) ? STR("true") : STR("false"), err);
    case JSON_STRING:
        return json_quote(out, json_str(v), err);
    case JSON_ARRAY:
    case JSON_OBJECT:
        return put_container(out, v, depth, err);
    default:
        return put_number(out, v, err);
    }
}
