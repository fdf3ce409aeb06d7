/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Low-rank adapters (Hu et al. 2021, LoRA, §4.1): W stays, and W + LORA_SCALE B A is what a linear layer computes with.
 * A is drawn and B is 0, so that nothing changes at first. Linear layers that are one product here (queries, keys and
 * values; gate and up) share an A. 2 R (N + K) operations a token forward where the layer takes 2 N K, three times that
 * backward.
 */
#include <math.h>
#include <string.h>

#include "model/layers.h"

/* u (T,R) = LORA_SCALE x A^T. */
static void
narrow(struct lora_scratch *s, struct operand x, const struct adapter *w, struct operand a, size_t T, struct mul16 *m)
{
    linear_forward(s->u, x, a, T, s->R, w->K, 0, m);
    for (size_t i = 0; i < T * s->R; i++)
        s->u[i] *= LORA_SCALE;
    if (s->u16 != NULL)
        half_rows(s->u16, s->u, T, s->R);
}

void
adapter_forward(float *y, struct lora_scratch *s, struct operand x, const struct adapter *w, struct operand a,
    struct operand b, size_t T, struct mul16 *m)
{
    narrow(s, x, w, a, T, m);
    linear_forward(y, (struct operand){s->u, s->u16}, b, T, w->N, s->R, 1, m);
}

void
adapter_backward(float *dx, struct adapter *dw, struct lora_scratch *s, struct operand dy, struct operand x,
    const struct adapter *w, struct operand a, struct operand b, size_t T, struct mul16 *m)
{
    narrow(s, x, w, a, T, m);
    linear_backward(s->du, dw->b, dy, (struct operand){s->u, s->u16}, b, T, w->N, s->R, 0, m);
    for (size_t i = 0; i < T * s->R; i++)
        s->du[i] *= LORA_SCALE;
    if (s->du16 != NULL)
        half_rows(s->du16, s->du, T, s->R);
    linear_backward(dx, dw->a, (struct operand){s->du, s->du16}, x, a, T, s->R, w->K, 1, m);
}

enum status
params_adapt(struct params **out, const struct params *p, const struct model_config *c, size_t rank, uint64_t seed,
    struct err *err)
{
    enum status st = params_new(out, c, rank, err);

    if (st != OK)
        return st;
    memcpy((*out)->block, p->block, p->count * sizeof *p->block);
    for (size_t i = 0; i < c->L * ADAPTED; i++) {
        struct adapter *w = &(*out)->adapter[i];
        struct rng rng = rng_seed(seed, ADAPTER_STREAM + i);
        double bound = 1 / sqrt((double)w->K);

        for (size_t j = 0; j < rank * w->K; j++)
            w->a[j] = (float)(bound * (2 * rng_unit(&rng) - 1));
    }
    return OK;
}

enum status
params_merge(struct params **out, const struct params *p, const struct model_config *c, struct err *err)
{
    enum status st = params_new(out, c, 0, err);

    if (st != OK)
        return st;
    memcpy((*out)->block, p->block, (*out)->count * sizeof *p->block);
    for (size_t i = 0; p->rank > 0 && i < c->L; i++) {
        struct model_layer *l = &(*out)->layer[i];
        float *const to[ADAPTED] = {l->wq, l->wo, l->w_gate, l->w_down};

        for (int k = 0; k < ADAPTED; k++) {
            const struct adapter *w = &p->adapter[i * ADAPTED + (size_t)k];

            mat_mul(to[k], w->K, w->b, p->rank, false, w->a, w->K, false, w->N, w->K, p->rank, LORA_SCALE, 1);
        }
    }
    return OK;
}
