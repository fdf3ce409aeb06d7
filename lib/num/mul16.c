/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of bfloat16 matrices over oneDNN's matmul primitive.
 *
 * As in mat.c, C is cut into tiles whose size follows from its own alone, and a tile is one call on one thread: bits
 * depend on neither the number of threads nor which of them took it. oneDNN is told that it has one thread by the
 * OpenMP setting of the calling one, which its choice of blocks looks at. A primitive is compiled for one shape; each
 * thread keeps its own, since the memory objects that go with it hold addresses.
 *
 * Where oneDNN has no such products (before AVX-512), the tiles are widened to float32 (widened.c).
 */
#include "num/num.h"

#include <stdlib.h>
#include <string.h>

#include <dnnl.h>
#include <omp.h>

#include "num/tile.h"
#include "num/widened.h"

#define SLOTS 2048 /* shapes that a thread keeps; beyond three quarters of it all are forgotten */
#define ALIGN 64

struct shape {
    size_t m, n, k, lda, ldb, ldc;
    bool ta, tb;
    int beta;
};

struct compiled {
    struct shape shape;
    dnnl_primitive_t primitive; /* NULL: an empty slot */
    dnnl_memory_t a, b, c, scratch;
    size_t scratch_bytes;
};

/* What is one thread's. */
struct lane {
    struct compiled *slot; /* (SLOTS) */
    size_t used, scratch_bytes;
    void *scratch;
    dnnl_stream_t stream;
    dnnl_status_t status; /* the first failure */
};

struct mul16 {
    dnnl_engine_t engine;
    bool widened; /* instead of oneDNN */
    int lanes;
    struct lane *lane;
};

/* ---- compiling ---- */

static void
forget(struct compiled *c)
{
    (void)dnnl_primitive_destroy(c->primitive);
    (void)dnnl_memory_destroy(c->a);
    (void)dnnl_memory_destroy(c->b);
    (void)dnnl_memory_destroy(c->c);
    (void)dnnl_memory_destroy(c->scratch);
    *c = (struct compiled){0};
}

static void
forget_all(struct lane *l)
{
    for (size_t i = 0; l->slot != NULL && i < SLOTS; i++)
        if (l->slot[i].primitive != NULL)
            forget(&l->slot[i]);
    l->used = 0;
}

static dnnl_status_t
describe(dnnl_memory_desc_t *d, size_t rows, size_t cols, size_t ld, bool transposed, dnnl_data_type_t type)
{
    dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)cols};
    dnnl_dims_t strides = {transposed ? 1 : (dnnl_dim_t)ld, transposed ? (dnnl_dim_t)ld : 1};

    return dnnl_memory_desc_init_by_strides(d, 2, dims, type, strides);
}

/* The description of the primitive for a shape, to be destroyed by the caller. */
static dnnl_status_t
plan(dnnl_primitive_desc_t *out, dnnl_memory_desc_t md[3], const struct shape *s, dnnl_engine_t engine)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_matmul_desc_t d;
    dnnl_status_t st;

    if ((st = describe(&md[0], s->m, s->k, s->lda, s->ta, dnnl_bf16)) == dnnl_success &&
        (st = describe(&md[1], s->k, s->n, s->ldb, s->tb, dnnl_bf16)) == dnnl_success &&
        (st = describe(&md[2], s->m, s->n, s->ldc, false, dnnl_f32)) == dnnl_success &&
        (st = dnnl_matmul_desc_init(&d, &md[0], &md[1], NULL, &md[2])) == dnnl_success &&
        (st = dnnl_primitive_attr_create(&attr)) == dnnl_success &&
        (st = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user)) == dnnl_success &&
        (st = dnnl_post_ops_create(&ops)) == dnnl_success &&
        (s->beta == 0 || (st = dnnl_post_ops_append_sum(ops, 1)) == dnnl_success) &&
        (st = dnnl_primitive_attr_set_post_ops(attr, ops)) == dnnl_success)
        st = dnnl_primitive_desc_create(out, &d, attr, engine, NULL);
    (void)dnnl_post_ops_destroy(ops);
    (void)dnnl_primitive_attr_destroy(attr);
    return st;
}

static dnnl_status_t
compile(struct compiled *c, const struct shape *s, dnnl_engine_t engine)
{
    dnnl_memory_desc_t md[3];
    dnnl_primitive_desc_t pd = NULL;
    const dnnl_memory_desc_t *scratch;
    dnnl_status_t st = plan(&pd, md, s, engine);

    c->shape = *s;
    if (st == dnnl_success && (st = dnnl_primitive_create(&c->primitive, pd)) == dnnl_success &&
        (st = dnnl_memory_create(&c->a, &md[0], engine, DNNL_MEMORY_NONE)) == dnnl_success &&
        (st = dnnl_memory_create(&c->b, &md[1], engine, DNNL_MEMORY_NONE)) == dnnl_success &&
        (st = dnnl_memory_create(&c->c, &md[2], engine, DNNL_MEMORY_NONE)) == dnnl_success) {
        scratch = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
        c->scratch_bytes = scratch == NULL ? 0 : dnnl_memory_desc_get_size(scratch);
        if (scratch != NULL)
            st = dnnl_memory_create(&c->scratch, scratch, engine, DNNL_MEMORY_NONE);
    }
    (void)dnnl_primitive_desc_destroy(pd);
    if (st != dnnl_success)
        forget(c);
    return st;
}

static bool
same(const struct shape *a, const struct shape *b)
{
    return a->m == b->m && a->n == b->n && a->k == b->k && a->lda == b->lda && a->ldb == b->ldb && a->ldc == b->ldc &&
           a->ta == b->ta && a->tb == b->tb && a->beta == b->beta;
}

/* The primitive for a shape, compiled if it is new. */
static dnnl_status_t
look_up(struct compiled **out, struct lane *l, const struct shape *s, dnnl_engine_t engine)
{
    size_t key[] = {
        s->m, s->n, s->k, s->lda, s->ldb, s->ldc, (size_t)s->ta << 2 | (size_t)s->tb << 1 | (size_t)s->beta};
    size_t at = hash64(0, key, sizeof key) % SLOTS;
    dnnl_status_t st;

    while (l->slot[at].primitive != NULL && !same(&l->slot[at].shape, s))
        at = (at + 1) % SLOTS;
    *out = &l->slot[at];
    if (l->slot[at].primitive != NULL)
        return dnnl_success;
    if (l->used >= SLOTS / 4 * 3) {
        forget_all(l);
        *out = &l->slot[hash64(0, key, sizeof key) % SLOTS];
    }
    if ((st = compile(*out, s, engine)) == dnnl_success)
        l->used++;
    return st;
}

/* ---- running ---- */

static dnnl_status_t
grow_scratch(struct lane *l, size_t bytes)
{
    if (bytes <= l->scratch_bytes)
        return dnnl_success;
    free(l->scratch);
    l->scratch_bytes = 0;
    if ((l->scratch = aligned_alloc(ALIGN, (bytes + ALIGN - 1) / ALIGN * ALIGN)) == NULL)
        return dnnl_out_of_memory;
    l->scratch_bytes = bytes;
    return dnnl_success;
}

/* oneDNN takes what it only reads without const. */
static void *
unconst(const void *p)
{
    return (void *)(uintptr_t)p;
}

static dnnl_status_t
run_widened(struct lane *l, float *C, const bf16 *A, const bf16 *B, const struct shape *s)
{
    dnnl_status_t st = grow_scratch(l, widened_floats(s->m, s->n) * sizeof(float));

    if (st == dnnl_success)
        widened_mul(C, s->ldc, A, s->lda, s->ta, B, s->ldb, s->tb, s->m, s->n, s->k, s->beta, l->scratch);
    return st;
}

static dnnl_status_t
run(struct lane *l, float *C, const bf16 *A, const bf16 *B, const struct shape *s, dnnl_engine_t engine)
{
    struct compiled *c = NULL;
    dnnl_exec_arg_t args[4];
    dnnl_status_t st;

    if ((st = look_up(&c, l, s, engine)) != dnnl_success || (st = grow_scratch(l, c->scratch_bytes)) != dnnl_success ||
        (st = dnnl_memory_set_data_handle(c->a, unconst(A))) != dnnl_success ||
        (st = dnnl_memory_set_data_handle(c->b, unconst(B))) != dnnl_success ||
        (st = dnnl_memory_set_data_handle(c->c, C)) != dnnl_success ||
        (c->scratch != NULL && (st = dnnl_memory_set_data_handle(c->scratch, l->scratch)) != dnnl_success))
        return st;
    args[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, c->a};
    args[1] = (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, c->b};
    args[2] = (dnnl_exec_arg_t){DNNL_ARG_DST, c->c};
    args[3] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, c->scratch};
    if ((st = dnnl_primitive_execute(c->primitive, l->stream, c->scratch != NULL ? 4 : 3, args)) == dnnl_success)
        st = dnnl_stream_wait(l->stream);
    return st;
}

void
mul16(struct mul16 *m, float *C, size_t ldc, const bf16 *A, size_t lda, bool ta, const bf16 *B, size_t ldb, bool tb,
    size_t M, size_t N, size_t K, int beta)
{
    struct tiles t;

    if (M == 0 || N == 0 || K == 0)
        return;
    t = tiles_of(M, N);
#pragma omp parallel num_threads(m->lanes)
    {
        struct lane *l = &m->lane[omp_get_thread_num()];

        omp_set_num_threads(1); /* of this thread, within this region: what oneDNN asks for */
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < t.rows * t.cols; i++) {
            size_t r = i / t.cols * t.m, c = i % t.cols * t.n;
            struct shape s = {.m = M - r < t.m ? M - r : t.m,
                .n = N - c < t.n ? N - c : t.n,
                .k = K,
                .lda = lda,
                .ldb = ldb,
                .ldc = ldc,
                .ta = ta,
                .tb = tb,
                .beta = beta};
            const bf16 *a = A + (ta ? r : r * lda), *b = B + (tb ? c * ldb : c);
            dnnl_status_t st =
                m->widened ? run_widened(l, C + r * ldc + c, a, b, &s) : run(l, C + r * ldc + c, a, b, &s, m->engine);

            l->status = l->status == dnnl_success ? st : l->status;
        }
    }
}

/* ---- the whole ---- */

bool
mul16_fast(void)
{
    unsigned isa = (unsigned)dnnl_get_effective_cpu_isa(), need = (unsigned)dnnl_cpu_isa_avx512_core_bf16;

    return (isa & need) == need; /* the sets are bit masks: what a later one has in addition does not matter */
}

static enum status
explain(dnnl_status_t st, struct err *err)
{
    if (st == dnnl_success)
        return OK;
    if (st == dnnl_out_of_memory)
        return err_memory(err);
    return err_set(err, SYSTEM, "oneDNN: status %d", (int)st);
}

enum status
mul16_status(const struct mul16 *m, struct err *err)
{
    dnnl_status_t st = dnnl_success;

    for (int i = 0; i < m->lanes && st == dnnl_success; i++)
        st = m->lane[i].status;
    return explain(st, err);
}

/* Whether oneDNN can at all is known before the work begins. */
static dnnl_status_t
choose(struct mul16 *m)
{
    static const bf16 one[16 * 16];
    float C[16 * 16];
    struct shape s = {.m = 16, .n = 16, .k = 16, .lda = 16, .ldb = 16, .ldc = 16, .tb = true};
    dnnl_status_t st = run(&m->lane[0], C, one, one, &s, m->engine);

    m->widened = st == dnnl_unimplemented;
    return m->widened ? dnnl_success : st;
}

enum status
mul16_new(struct mul16 **out, struct err *err)
{
    struct mul16 *m = calloc(1, sizeof *m);
    dnnl_status_t st = dnnl_out_of_memory;

    *out = NULL;
    if (m == NULL)
        return err_memory(err);
    m->lanes = num_threads();
    if ((m->lane = calloc((size_t)m->lanes, sizeof *m->lane)) != NULL)
        st = dnnl_engine_create(&m->engine, dnnl_cpu, 0);
    for (int i = 0; i < m->lanes && st == dnnl_success; i++) {
        st = dnnl_stream_create(&m->lane[i].stream, m->engine, dnnl_stream_default_flags);
        if ((m->lane[i].slot = calloc(SLOTS, sizeof *m->lane[i].slot)) == NULL)
            st = dnnl_out_of_memory;
    }
    if (st == dnnl_success && (st = choose(m)) == dnnl_success) {
        *out = m;
        return OK;
    }
    mul16_free(m);
    return explain(st, err);
}

void
mul16_free(struct mul16 *m)
{
    if (m == NULL)
        return;
    for (int i = 0; m->lane != NULL && i < m->lanes; i++) {
        forget_all(&m->lane[i]);
        free(m->lane[i].slot);
        free(m->lane[i].scratch);
        (void)dnnl_stream_destroy(m->lane[i].stream);
    }
    free(m->lane);
    (void)dnnl_engine_destroy(m->engine);
    free(m);
}
