/* TLS contexts: which certificates are trusted, which one is shown, and what may be negotiated.
 *
 * Everything comes as PEM text in memory. The policy is one place: TLS 1.2 or later, forward secrecy and AEAD only,
 * no renegotiation, no compression, and buffers given back while a connection is idle, because idle connections are
 * what this program has most of.
 *
 * What an idle server connection takes with OpenSSL 3.0, measured (tests/unit/base/test_tls_server.c keeps watch):
 * 13.9 KB in 40 pieces with TLS 1.3, 12.9 KB in 32 with TLS 1.2, 6.6 KB more where the client showed a certificate. Of
 * that 7.6 KB are the SSL itself, 2.6 KB the keys of both directions, 0.9 KB the session, the rest what the handshake
 * leaves behind and no call gives back (key shares, the client's lists). SSL_MODE_RELEASE_BUFFERS keeps the 33 KB of
 * two record buffers from standing around; the stapled response, up to 2 KB, is dropped after the handshake
 * (base/tls_io.c). Smaller fragments would save nothing while idle and cost records while busy. */
#include "base/tls_priv.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "base/mem.h"

/* AES with 128 bits first: nobody breaks it, and with 256 each byte costs four rounds more in ten. */
#define TLS13_CIPHERS "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define TLS12_CIPHERS                                                                                                  \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"                         \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE+CHACHA20"

bool tls_complain(char *error, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(error, TLS_ERROR_TEXT_BYTES, reason != NULL ? "%s: %s" : "%s", what, reason);
    ERR_clear_error();
    return false;
}

int tls_refuse_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf, (void)size, (void)rwflag, (void)arg;
    return -1;
}

/* The end of the file shows as this "error"; any other one means that a certificate did not parse. */
static bool pem_ended(void)
{
    unsigned long last = ERR_peek_last_error();
    bool ended = last == 0 || (ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE);
    if (ended)
        ERR_clear_error();
    return ended;
}

bool tls_load_authorities(X509_STORE *store, const char *pem, char *error)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    if (bio == NULL)
        return tls_complain(error, "ca");
    size_t count = 0;
    bool ok = true;
    X509 *cert;
    while (ok && (cert = PEM_read_bio_X509(bio, NULL, tls_refuse_passphrase, NULL)) != NULL) {
        ok = X509_STORE_add_cert(store, cert) == 1;
        X509_free(cert);
        count++;
    }
    BIO_free(bio);
    if (!ok || !pem_ended())
        return tls_complain(error, "ca: not a PEM file of certificates");
    return count > 0 || tls_complain(error, "ca: no certificate in it");
}

static bool load_trust(SSL_CTX *ctx, const char *pem, char *error)
{
    if (pem == NULL)
        return SSL_CTX_set_default_verify_paths(ctx) == 1 || tls_complain(error, "the system's trust store");
    return tls_load_authorities(SSL_CTX_get_cert_store(ctx), pem, error);
}

static bool load_chain(SSL_CTX *ctx, BIO *bio, char *error)
{
    X509 *cert = PEM_read_bio_X509(bio, NULL, tls_refuse_passphrase, NULL);
    if (cert == NULL)
        return tls_complain(error, "cert: no certificate in it");
    bool ok = SSL_CTX_use_certificate(ctx, cert) == 1;
    X509_free(cert);
    while (ok && (cert = PEM_read_bio_X509(bio, NULL, tls_refuse_passphrase, NULL)) != NULL) {
        ok = SSL_CTX_add1_chain_cert(ctx, cert) == 1;
        X509_free(cert);
    }
    return (ok && pem_ended()) || tls_complain(error, "cert: the certificate or its chain cannot be used");
}

/* Compared before it is put in: a context that has certificates of several kinds puts a key to the one it fits. */
static bool load_key(SSL_CTX *ctx, BIO *bio, char *error)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, tls_refuse_passphrase, NULL);
    if (key == NULL)
        return tls_complain(error, "key: no usable private key in it");
    bool ok = X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1;
    EVP_PKEY_free(key);
    return ok || tls_complain(error, "key: does not belong to the certificate");
}

bool tls_load_identity(SSL_CTX *ctx, const char *cert_pem, const char *key_pem, char *error)
{
    BIO *cert = BIO_new_mem_buf(cert_pem, -1);
    BIO *key = BIO_new_mem_buf(key_pem, -1);
    bool ok = cert != NULL && key != NULL && load_chain(ctx, cert, error) && load_key(ctx, key, error);
    BIO_free(cert);
    BIO_free(key);
    return ok;
}

static bool load_client_identity(SSL_CTX *ctx, const struct tls_client_opts *o, char *error)
{
    if (o->cert_pem == NULL && o->key_pem == NULL)
        return true;
    if (o->cert_pem == NULL || o->key_pem == NULL)
        return tls_complain(error, "cert and key: one without the other");
    return tls_load_identity(ctx, o->cert_pem, o->key_pem, error);
}

static bool set_policy(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(ctx, tls_refuse_passphrase);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(ctx, TLS13_CIPHERS) == 1 && SSL_CTX_set_cipher_list(ctx, TLS12_CIPHERS) == 1;
}

SSL_CTX *tls_new_native(const SSL_METHOD *method, char *error)
{
    error[0] = '\0';
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (ctx != NULL && set_policy(ctx))
        return ctx;
    tls_complain(error, "TLS cannot be set up");
    SSL_CTX_free(ctx);
    return NULL;
}

struct tls_ctx *tls_ctx_around(SSL_CTX *ctx)
{
    struct tls_ctx *c;
    OBJ_NEW(c, TLS_CTX_MAGIC);
    c->refs = 1;
    c->ctx = ctx;
    c->wire_method = tls_wire_method();
    return c;
}

struct tls_ctx *tls_ctx_create_client(const struct tls_client_opts *o, char *error)
{
    SSL_CTX *ctx = tls_new_native(TLS_client_method(), error);
    bool ok = ctx != NULL && (o->insecure || load_trust(ctx, o->ca_pem, error)) && load_client_identity(ctx, o, error);
    if (!ok) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_verify(ctx, o->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);

    struct tls_ctx *c = tls_ctx_around(ctx);
    c->is_insecure = o->insecure;
    return c;
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *c)
{
    CHECK_OBJ(c, TLS_CTX_MAGIC);
    c->refs++;
    return c;
}

void tls_ctx_unref(struct tls_ctx **cp)
{
    struct tls_ctx *c = *cp;
    CHECK_OBJ(c, TLS_CTX_MAGIC);
    *cp = NULL;
    if (--c->refs > 0)
        return;
    SSL_CTX_free(c->ctx);
    BIO_meth_free(c->wire_method);
    mem_free(c->wire_bytes);
    if (c->server != NULL)
        tls_server_destroy(&c->server);
    OBJ_FREE(&c, TLS_CTX_MAGIC);
}
