/* A TLS context in foreign hands.
 *
 * The borrower decides how a connection is made and would decide about names and verification too. Three hooks of the
 * context take that back, whatever he sets on the connection: the name to insist on is set in the context's verify
 * parameters, which connections inherit; the name to ask for (SNI) is set when the handshake begins, after he has set
 * his; and where nothing is to be verified, a callback replaces the verification, since he may ask for one. */
#include "base/tls_lend.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/sock.h"
#include "base/tls_priv.h"

#define TLS_LEND_MAGIC 0x71e4d50bu

struct tls_lend {
    uint32_t magic;
    struct tls_ctx *ctx;
    char *sni; /* NULL: a numeric address, which is never sent (RFC 6066 section 3) */
    int alert; /* the fatal one the newest connection was sent; 0: none */
};

static void on_info(const SSL *ssl, int where, int value)
{
    struct tls_lend *l = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    CHECK_OBJ(l, TLS_LEND_MAGIC);
    if (where == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL)
        l->alert = value & 0xff;
    if ((where & SSL_CB_HANDSHAKE_START) == 0 || SSL_is_init_finished(ssl))
        return;
    l->alert = 0;
    /* The callback's SSL is const because callbacks are meant to watch; the connection itself is not. */
    (void)SSL_set_tlsext_host_name((SSL *)(uintptr_t)ssl, l->sni);
}

static int on_verify_nothing(X509_STORE_CTX *store, void *arg)
{
    (void)arg;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

static bool insist_on_name(SSL_CTX *ctx, const char *name, bool is_numeric)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
    if (is_numeric)
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

struct tls_lend *tls_lend_create(const struct tls_client_opts *o, const char *server_name, char *error)
{
    struct tls_ctx *ctx = tls_ctx_create_client(o, error);
    if (ctx == NULL)
        return NULL;
    struct addr ip;
    bool is_numeric = addr_from_ip(&ip, server_name, 0);
    if (!insist_on_name(ctx->ctx, server_name, is_numeric)) {
        snprintf(error, TLS_ERROR_TEXT_BYTES, "the server name cannot be used");
        tls_ctx_unref(&ctx);
        return NULL;
    }

    struct tls_lend *l;
    OBJ_NEW(l, TLS_LEND_MAGIC);
    l->ctx = ctx;
    l->sni = is_numeric ? NULL : mem_strdup(server_name);
    (void)SSL_CTX_set_app_data(ctx->ctx, l);
    SSL_CTX_set_info_callback(ctx->ctx, on_info);
    if (o->insecure)
        SSL_CTX_set_cert_verify_callback(ctx->ctx, on_verify_nothing, NULL);
    return l;
}

void tls_lend_destroy(struct tls_lend **lp)
{
    CHECK_OBJ(*lp, TLS_LEND_MAGIC);
    tls_ctx_unref(&(*lp)->ctx);
    mem_free((*lp)->sni);
    OBJ_FREE(lp, TLS_LEND_MAGIC);
}

void *tls_lend_native(const struct tls_lend *l)
{
    CHECK_OBJ(l, TLS_LEND_MAGIC);
    return l->ctx->ctx;
}

enum err tls_lend_failure(const struct tls_lend *l, const void *ssl, const char **text)
{
    CHECK_OBJ(l, TLS_LEND_MAGIC);
    long result = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;
    bool is_refused = result != X509_V_OK && !l->ctx->is_insecure;
    const char *alert = tls_lend_alert(l);
    *text = is_refused ? X509_verify_cert_error_string(result) : alert != NULL ? alert : "handshake failed";
    return is_refused ? ERR_TLS_VERIFY : ERR_TLS;
}

const char *tls_lend_alert(const struct tls_lend *l)
{
    CHECK_OBJ(l, TLS_LEND_MAGIC);
    if (l->alert == 0)
        return NULL;
    const char *text = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET + l->alert));
    return text != NULL ? text : "unknown alert";
}

int64_t tls_lend_peer_ends_ms(const struct tls_lend *l, const void *ssl)
{
    CHECK_OBJ(l, TLS_LEND_MAGIC);
    return ssl != NULL ? tls_ends_ms(SSL_get0_peer_certificate(ssl)) : 0;
}
