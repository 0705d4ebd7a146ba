/* TLS contexts of listeners. Making one means parsing keys and certificates, and each keeps copies of them; so what is
 * the same is made once, within a configuration and from one configuration to the next. */
#include "conf/secure.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define SECURE_SET_MAGIC 0x5ec07e5eu

struct secure_set {
    uint32_t magic;
    struct conf *conf;        /* what the contexts were made from */
    struct tls_ctx **ctxs;    /* by place in conf->listen; NULL: plain */
    struct tls_tickets *with; /* what they were made with; only compared */
};

struct tls_ctx *secure_listen(const struct conf_listen *l, struct tls_tickets *tickets, char *error)
{
    struct tls_identity *identities = mem_alloc_array(l->tls.certificate_count, sizeof *identities);
    for (size_t i = 0; i < l->tls.certificate_count; i++) {
        const struct conf_certificate *c = &l->tls.certificates[i];
        identities[i] =
            (struct tls_identity){.cert_pem = c->cert.text, .key_pem = c->key.text, .ocsp_pem = c->ocsp.text};
    }
    const struct tls_server_opts opts = {.identities = identities,
                                         .identity_count = l->tls.certificate_count,
                                         .client_ca_pem = l->tls.client_ca.text,
                                         .clients = l->tls.client_certificate,
                                         .min_version = l->tls.min_version,
                                         .offer_h2 = l->http2,
                                         .tickets = tickets};
    struct tls_ctx *ctx = tls_ctx_create_server(&opts, error);
    mem_free(identities);
    return ctx;
}

static bool is_same_text(const struct conf_file *a, const struct conf_file *b)
{
    if (a->text == NULL || b->text == NULL)
        return a->text == b->text;
    return strcmp(a->text, b->text) == 0;
}

bool secure_listen_equal(const struct conf_listen *a, const struct conf_listen *b)
{
    if (a->tls.certificate_count != b->tls.certificate_count || a->tls.min_version != b->tls.min_version ||
        a->tls.client_certificate != b->tls.client_certificate || a->http2 != b->http2 ||
        !is_same_text(&a->tls.client_ca, &b->tls.client_ca))
        return false;
    for (size_t i = 0; i < a->tls.certificate_count; i++) {
        const struct conf_certificate *ca = &a->tls.certificates[i], *cb = &b->tls.certificates[i];
        if (!is_same_text(&ca->cert, &cb->cert) || !is_same_text(&ca->key, &cb->key) ||
            !is_same_text(&ca->ocsp, &cb->ocsp))
            return false;
    }
    return true;
}

/* A reference to a context in the first `count` places of `s` that does for `l`, or NULL. */
static struct tls_ctx *find_equal(const struct secure_set *s, size_t count, const struct conf_listen *l)
{
    for (size_t i = 0; i < count; i++)
        if (s->ctxs[i] != NULL && secure_listen_equal(&s->conf->listen[i], l))
            return tls_ctx_ref(s->ctxs[i]);
    return NULL;
}

static bool fill(struct secure_set *s, const struct secure_set *old, char *error)
{
    char why[TLS_ERROR_TEXT_BYTES];
    for (size_t i = 0; i < s->conf->listen_count; i++) {
        const struct conf_listen *l = &s->conf->listen[i];
        if (l->tls.certificate_count == 0)
            continue;
        s->ctxs[i] = find_equal(s, i, l);
        if (s->ctxs[i] == NULL && old != NULL && old->with == s->with)
            s->ctxs[i] = find_equal(old, old->conf->listen_count, l);
        if (s->ctxs[i] == NULL)
            s->ctxs[i] = secure_listen(l, s->with, why);
        if (s->ctxs[i] == NULL) {
            (void)snprintf(error, TLS_ERROR_TEXT_BYTES, "listen %.80s: tls: %.160s", l->text, why);
            return false;
        }
    }
    return true;
}

struct secure_set *secure_set_create(const struct conf *c, struct tls_tickets *tickets, const struct secure_set *old,
                                     char *error)
{
    struct secure_set *s;
    OBJ_NEW(s, SECURE_SET_MAGIC);
    s->conf = conf_ref(c);
    s->with = tickets;
    s->ctxs = mem_alloc_array(c->listen_count, sizeof(struct tls_ctx *));
    if (!fill(s, old, error))
        secure_set_destroy(&s);
    return s;
}

void secure_set_destroy(struct secure_set **sp)
{
    struct secure_set *s = *sp;
    CHECK_OBJ(s, SECURE_SET_MAGIC);
    for (size_t i = 0; i < s->conf->listen_count; i++)
        if (s->ctxs[i] != NULL)
            tls_ctx_unref(&s->ctxs[i]);
    mem_free(s->ctxs);
    conf_unref(&s->conf);
    OBJ_FREE(sp, SECURE_SET_MAGIC);
}

struct tls_ctx *secure_set_find(const struct secure_set *s, const char *address)
{
    CHECK_OBJ(s, SECURE_SET_MAGIC);
    for (size_t i = 0; i < s->conf->listen_count; i++)
        if (strcmp(s->conf->listen[i].text, address) == 0)
            return s->ctxs[i];
    return NULL;
}
