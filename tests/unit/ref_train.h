/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ref_train - training once more in double: the gradient of ref_llama.h's model by hand from its equations, the losses
 * of TalkPlay (Doh, Choi and Nam 2025, §4.3), clipping by the global norm (Pascanu et al. 2013), and AdamW (Loshchilov
 * and Hutter 2019) as PyTorch documents it. Plain loops, one sequence at a time, nothing of lib/: what whole runs are
 * held against.
 */
#ifndef REF_TRAIN_H
#define REF_TRAIN_H

#include <string.h>

#include "ref_llama.h"

/* A sequence of n tokens; token j is to be predicted from those before it where learnt[j], j > 0. */
struct ref_example {
    int task; /* 0: a dialogue, 1: a playlist */
    size_t n;
    const int32_t *id;
    const unsigned char *learnt;
};

/* Tokens of a modality, and the cosines (K,K) that their embeddings are to have. */
struct ref_target {
    size_t K;
    const int32_t *id;
    const float *cosine;
};

enum ref_decay { REF_COSINE, REF_LINEAR, REF_CONSTANT };

struct ref_run {
    struct ref_shape c;
    int tied;
    size_t n;        /* parameters, as ref_llama has them in one block */
    double *w, *g;   /* weights; the step's gradient before clipping */
    double *m, *v;   /* moments */
    double *decay;   /* 0 for norms, else 1 */
    double *trained; /* 1, or 0 for what stays as it is: to be changed after ref_run_new */
    double lambda, beta1, beta2, weight_decay, clip, rate;
    size_t warmup, steps;
    enum ref_decay fall;
};

struct ref_losses {
    double task[2], selfsim, whole, norm, rate;
};

/* ---- gradients of the layers: dx is added to, dw too ---- */

static inline void
ref_norm_back(
    double *dx, double *dw, const double *dy, const double *x, const double *w, double eps, size_t T, size_t D)
{
    for (size_t t = 0; t < T; t++, x += D, dx += D, dy += D) {
        double mean = eps, along = 0, r;

        for (size_t i = 0; i < D; i++)
            mean += x[i] * x[i] / (double)D;
        r = 1 / sqrt(mean);
        for (size_t i = 0; i < D; i++) {
            dw[i] += dy[i] * x[i] * r;
            along += dy[i] * w[i] * x[i];
        }
        for (size_t i = 0; i < D; i++)
            dx[i] += r * dy[i] * w[i] - r * r * r * x[i] * along / (double)D;
    }
}

static inline void
ref_linear_back(
    double *dx, double *dw, const double *dy, const double *x, const double *w, size_t T, size_t N, size_t K)
{
    for (size_t t = 0; t < T; t++)
        for (size_t n = 0; n < N; n++)
            for (size_t k = 0; k < K; k++) {
                dx[t * K + k] += dy[t * N + n] * w[n * K + k];
                dw[n * K + k] += dy[t * N + n] * x[t * K + k];
            }
}

/* A rotation's gradient is turned back. */
static inline void
ref_rope_back(double *dx, const struct ref_shape *c, size_t position)
{
    size_t half = c->E / 2;

    for (size_t i = 0; i < half; i++) {
        double angle = (double)position * ref_frequency(c, i), a = dx[i], b = dx[half + i];

        dx[i] = a * cos(angle) + b * sin(angle);
        dx[half + i] = b * cos(angle) - a * sin(angle);
    }
}

/* One query of one head at position t; p and dp are scratch. */
static inline void
ref_query_back(double *dqkv, const double *dy, const double *qkv, size_t t, size_t h, size_t H, size_t G, size_t E,
    double *p, double *dp)
{
    size_t ld = (H + 2 * G) * E, key = (H + h / (H / G)) * E, value = key + G * E, q = t * ld + h * E;
    double sum = 0, along = 0;

    for (size_t s = 0; s <= t; s++) {
        double dot = 0;

        for (size_t i = 0; i < E; i++)
            dot += qkv[q + i] * qkv[s * ld + key + i];
        sum += p[s] = exp(dot / sqrt((double)E));
    }
    for (size_t s = 0; s <= t; s++) {
        p[s] /= sum;
        dp[s] = 0;
        for (size_t i = 0; i < E; i++) {
            dp[s] += dy[i] * qkv[s * ld + value + i];
            dqkv[s * ld + value + i] += p[s] * dy[i];
        }
        along += p[s] * dp[s];
    }
    for (size_t s = 0; s <= t; s++) {
        double ds = p[s] * (dp[s] - along) / sqrt((double)E);

        for (size_t i = 0; i < E; i++) {
            dqkv[q + i] += ds * qkv[s * ld + key + i];
            dqkv[s * ld + key + i] += ds * qkv[q + i];
        }
    }
}

static inline void
ref_attention_back(double *dqkv, const double *dy, const double *qkv, size_t S, size_t H, size_t G, size_t E)
{
    double *p = malloc(2 * S * sizeof *p);

    for (size_t h = 0; h < H; h++)
        for (size_t t = 0; t < S; t++)
            ref_query_back(dqkv, dy + (t * H + h) * E, qkv, t, h, H, G, E, p, p + S);
    free(p);
}

static inline void
ref_swiglu_back(double *dgu, const double *dy, const double *gu, size_t T, size_t F)
{
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < F; i++) {
            double g = gu[t * 2 * F + i], up = gu[t * 2 * F + F + i], sigmoid = 1 / (1 + exp(-g)), d = dy[t * F + i];

            dgu[t * 2 * F + i] += d * up * sigmoid * (1 + g * (1 - sigmoid));
            dgu[t * 2 * F + F + i] += d * g * sigmoid;
        }
}

/* dx, the gradient of what a layer gives, becomes that of x, which came in; w and g: its parameters and gradients. */
static inline void
ref_layer_back(double *dx, double *g, const double *x, const double *w, const struct ref_shape *c, size_t S)
{
    size_t D = c->D, F = c->F, q = c->H * c->E, n = (c->H + 2 * c->G) * c->E;
    size_t wo = D + n * D, ffn = wo + D * q, gate = ffn + D, down = gate + 2 * F * D;
    double *block = calloc(S * (3 * D + 2 * n + 2 * q + 6 * F + 2 * D), sizeof *block), *at = block;
    double *norm = at, *mid = (at += S * D), *norm2 = (at += S * D), *qkv = (at += S * D), *att = (at += S * n);
    double *gu = (at += S * q), *act = (at += S * 2 * F), *dnorm = (at += S * F), *dnorm2 = (at += S * D);
    double *dqkv = (at += S * D), *datt = (at += S * n), *dgu = (at += S * q), *dact = at + S * 2 * F;

    ref_norm(norm, x, w, c->eps, S, D);
    ref_linear(qkv, norm, w + D, S, n, D);
    for (size_t t = 0; t < S; t++)
        for (size_t h = 0; h < c->H + c->G; h++)
            ref_rope(qkv + t * n + h * c->E, c, t);
    ref_attention(att, qkv, S, c->H, c->G, c->E);
    ref_linear(mid, att, w + wo, S, D, q);
    for (size_t i = 0; i < S * D; i++)
        mid[i] += x[i];
    ref_norm(norm2, mid, w + ffn, c->eps, S, D);
    ref_linear(gu, norm2, w + gate, S, 2 * F, D);
    ref_swiglu(act, gu, S, F);

    ref_linear_back(dact, g + down, dx, act, w + down, S, D, F);
    ref_swiglu_back(dgu, dact, gu, S, F);
    ref_linear_back(dnorm2, g + gate, dgu, norm2, w + gate, S, 2 * F, D);
    ref_norm_back(dx, g + ffn, dnorm2, mid, w + ffn, c->eps, S, D);
    ref_linear_back(datt, g + wo, dx, att, w + wo, S, D, q);
    ref_attention_back(dqkv, datt, qkv, S, c->H, c->G, c->E);
    for (size_t t = 0; t < S; t++)
        for (size_t h = 0; h < c->H + c->G; h++)
            ref_rope_back(dqkv + t * n + h * c->E, c, t);
    ref_linear_back(dnorm, g + D, dqkv, norm, w + D, S, n, D);
    ref_norm_back(dx, g, dnorm, x, w, c->eps, S, D);
    free(block);
}

/* dlogits (S,V) of one sequence to g. */
static inline void
ref_llama_back(
    double *g, const double *dlogits, const double *w, const struct ref_shape *c, int tied, const int32_t *id, size_t S)
{
    size_t D = c->D, layers = c->V * D, norm_at = layers + c->L * ref_layer_size(c), head = tied ? 0 : norm_at + D;
    double *x = calloc((c->L + 1) * S * D, sizeof *x), *last = x + c->L * S * D;
    double *norm = calloc(3 * S * D, sizeof *norm), *dnorm = norm + S * D, *dx = dnorm + S * D;

    for (size_t t = 0; t < S; t++)
        memcpy(x + t * D, w + (size_t)id[t] * D, D * sizeof *x);
    for (size_t l = 0; l < c->L; l++) {
        memcpy(x + (l + 1) * S * D, x + l * S * D, S * D * sizeof *x);
        ref_layer(x + (l + 1) * S * D, w + layers + l * ref_layer_size(c), c, S);
    }
    ref_norm(norm, last, w + norm_at, c->eps, S, D);
    ref_linear_back(dnorm, g + head, dlogits, norm, w + head, S, c->V, D);
    ref_norm_back(dx, g + norm_at, dnorm, last, w + norm_at, c->eps, S, D);
    for (size_t l = c->L; l-- > 0;) {
        size_t at = layers + l * ref_layer_size(c);

        ref_layer_back(dx, g + at, x + l * S * D, w + at, c, S);
    }
    for (size_t t = 0; t < S; t++)
        for (size_t i = 0; i < D; i++)
            g[(size_t)id[t] * D + i] += dx[t * D + i];
    free(x);
    free(norm);
}

/* ---- the objective ---- */

/* The sum of one example's token losses; share times its gradient is added to g unless that is NULL. */
static inline double
ref_example_loss(const struct ref_run *r, double *g, const struct ref_example *e, double share)
{
    size_t V = r->c.V, S = e->n - 1;
    double *logits = calloc(2 * S * V, sizeof *logits), *d = logits + S * V, sum = 0;

    ref_llama(logits, r->w, &r->c, r->tied, e->id, S);
    for (size_t t = 0; t < S; t++)
        if (e->learnt[t + 1]) {
            sum += ref_cross_entropy(logits + t * V, V, e->id[t + 1]);
            for (size_t i = 0; i < V; i++)
                d[t * V + i] = share * exp(-ref_cross_entropy(logits + t * V, V, (int32_t)i));
            d[t * V + (size_t)e->id[t + 1]] -= share;
        }
    if (g != NULL)
        ref_llama_back(g, d, r->w, &r->c, r->tied, e->id, S);
    free(logits);
    return sum;
}

/* |cos(e_i, e_j) - c| of embeddings a and b; factor times its gradient to da and db unless g is NULL. */
static inline double
ref_pair(const double *a, const double *b, double c, size_t D, double *da, double *db, double factor)
{
    double ab = 0, aa = 0, bb = 0, cosine;

    for (size_t i = 0; i < D; i++) {
        ab += a[i] * b[i];
        aa += a[i] * a[i];
        bb += b[i] * b[i];
    }
    cosine = ab / sqrt(aa * bb);
    if (cosine < c)
        factor = -factor;
    for (size_t i = 0; da != NULL && i < D; i++) {
        da[i] += factor * (b[i] / sqrt(aa * bb) - cosine * a[i] / aa);
        db[i] += factor * (a[i] / sqrt(aa * bb) - cosine * b[i] / bb);
    }
    return fabs(cosine - c);
}

static inline double
ref_selfsim(const struct ref_run *r, double *g, const struct ref_target *target, size_t n)
{
    double whole = 0;

    for (size_t m = 0; m < n; m++) {
        const struct ref_target *t = &target[m];
        double pairs = (double)t->K * (double)(t->K - 1) / 2, sum = 0;

        for (size_t i = 0; i < t->K; i++)
            for (size_t j = i + 1; j < t->K; j++) {
                size_t a = (size_t)t->id[i] * r->c.D, b = (size_t)t->id[j] * r->c.D;

                sum += ref_pair(r->w + a, r->w + b, (double)t->cosine[i * t->K + j], r->c.D, g == NULL ? NULL : g + a,
                    g == NULL ? NULL : g + b, r->lambda / pairs / (double)n);
            }
        whole += sum / pairs / (double)n;
    }
    return whole;
}

/* Losses of n examples: of each task the mean over all tokens that are to be learnt. */
static inline void
ref_objective(struct ref_losses *out, const struct ref_run *r, double *g, const struct ref_example *const *e, size_t n,
    const struct ref_target *target, size_t n_targets)
{
    double count[2] = {0, 0};

    *out = (struct ref_losses){0};
    for (size_t k = 0; k < n; k++)
        for (size_t j = 1; j < e[k]->n; j++)
            count[e[k]->task] += e[k]->learnt[j];
    for (size_t k = 0; k < n; k++)
        if (count[e[k]->task] > 0)
            out->task[e[k]->task] += ref_example_loss(r, g, e[k], 1 / count[e[k]->task]) / count[e[k]->task];
    out->selfsim = ref_selfsim(r, g, target, n_targets);
    out->whole = out->task[0] + out->task[1] + r->lambda * out->selfsim;
}

/* ---- steps ---- */

/* The rate rises to its peak at the last step of the warm-up. Then it falls along half a cosine, or a line, that would
 * reach 0 a step behind the last. */
static inline double
ref_rate(const struct ref_run *r, size_t step)
{
    double peak_at = r->warmup > 0 ? (double)r->warmup : 1, zero_at = (double)r->steps + 1, done;

    if (step < r->warmup)
        return r->rate * (double)step / (double)r->warmup;
    done = ((double)step - peak_at) / (zero_at - peak_at);
    if (r->fall == REF_CONSTANT)
        return r->rate;
    return r->fall == REF_LINEAR ? r->rate * (1 - done) : r->rate * (1 + cos(M_PI * done)) / 2;
}

/* One parameter. */
static inline void
ref_adamw(struct ref_run *r, size_t i, double gradient, double rate, double step)
{
    double m, v;

    r->w[i] -= rate * r->weight_decay * r->decay[i] * r->w[i];
    r->m[i] = r->beta1 * r->m[i] + (1 - r->beta1) * gradient;
    r->v[i] = r->beta2 * r->v[i] + (1 - r->beta2) * gradient * gradient;
    m = r->m[i] / (1 - pow(r->beta1, step));
    v = r->v[i] / (1 - pow(r->beta2, step));
    r->w[i] -= rate * m / (sqrt(v) + 1e-8);
}

/* Step number 1, 2, … over n examples. out: as they were before it. */
static inline void
ref_step(struct ref_losses *out, struct ref_run *r, size_t step, const struct ref_example *const *e, size_t n,
    const struct ref_target *target, size_t n_targets)
{
    double factor = 1;

    memset(r->g, 0, r->n * sizeof *r->g);
    ref_objective(out, r, r->g, e, n, target, n_targets);
    for (size_t i = 0; i < r->n; i++)
        out->norm += r->trained[i] * r->g[i] * r->g[i];
    out->norm = sqrt(out->norm);
    out->rate = ref_rate(r, step);
    if (r->clip > 0 && out->norm > r->clip)
        factor = r->clip / out->norm;
    for (size_t i = 0; i < r->n; i++)
        if (r->trained[i] > 0)
            ref_adamw(r, i, factor * r->g[i], out->rate, (double)step);
}

/* Weights of shape c, which the caller fills; the rest of r is the caller's too. */
static inline void
ref_run_new(struct ref_run *r, const struct ref_shape *c, int tied)
{
    size_t D = c->D, at = c->V * D, layer = ref_layer_size(c), ffn = D + (2 * c->H + 2 * c->G) * c->E * D;

    *r = (struct ref_run){.c = *c, .tied = tied, .n = (tied ? 1 : 2) * c->V * D + c->L * layer + D};
    r->w = calloc(6 * r->n, sizeof *r->w);
    r->g = r->w + r->n;
    r->m = r->g + r->n;
    r->v = r->m + r->n;
    r->decay = r->v + r->n;
    r->trained = r->decay + r->n;
    for (size_t i = 0; i < r->n; i++)
        r->decay[i] = r->trained[i] = 1;
    for (size_t l = 0; l <= c->L; l++, at += layer) {
        memset(r->decay + at, 0, D * sizeof *r->decay);
        if (l < c->L)
            memset(r->decay + at + ffn, 0, D * sizeof *r->decay);
    }
}

static inline void
ref_run_free(struct ref_run *r)
{
    free(r->w);
}

#endif
