/* A TLS 1.3 server sends its tickets behind the handshake, so a session is there after the first answer was read. A
 * connection that ends without close_notify would take its session along: whoever is done says so. And OpenSSL resumes
 * from a ticket once: who shares one with others finds it used up whenever their next ones are still on the way. So
 * each client has its own, as in life, and somebody else's only for its first connection. */
#include "gateway/bench/secure.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/mem.h"

#define SECURE_MAGIC      0x5ec04b1du
#define SECURE_LINK_MAGIC 0x5ec04b1eu

/* Four records of full length: one read for them all, not two for each. */
#define READ_AHEAD_BYTES (4u * (SSL3_RT_MAX_PLAIN_LENGTH + SSL3_RT_MAX_ENCRYPTED_OVERHEAD + SSL3_RT_HEADER_LENGTH))

struct secure {
    uint32_t magic;
    SSL_CTX *ctx;
    const char *name;     /* to be asked for; NULL: an address is no name */
    SSL_SESSION *session; /* the newest of all; NULL: none yet, or not wanted */
};

struct secure_link {
    uint32_t magic;
    SSL *ssl;
    SSL_SESSION **newest; /* of its client */
};

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct secure *s = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const struct secure_link *k = SSL_get_app_data(ssl);
    SSL_SESSION_free(s->session);
    s->session = session;
    SSL_SESSION_free(*k->newest);
    *k->newest = SSL_SESSION_up_ref(session) == 1 ? session : NULL;
    return 1; /* kept */
}

/* Whose certificate is expected, and who may vouch for it. */
static bool set_trust(SSL_CTX *ctx, const char *host, const char *ca_file)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, host) != 1 && X509_VERIFY_PARAM_set1_host(param, host, 0) != 1)
        return false;
    ERR_clear_error();
    return (ca_file != NULL ? SSL_CTX_load_verify_file(ctx, ca_file) : SSL_CTX_set_default_verify_paths(ctx)) == 1;
}

static bool is_address(const char *host)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(host);
    const bool is_one = address != NULL;
    ASN1_OCTET_STRING_free(address);
    ERR_clear_error();
    return is_one;
}

struct secure *secure_create(const char *host, const char *ca_file, bool is_insecure, bool resumes)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        (!is_insecure && !set_trust(ctx, host, ca_file))) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD_BYTES);
    SSL_CTX_set_session_cache_mode(ctx,
                                   resumes ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL : SSL_SESS_CACHE_OFF);
    if (resumes)
        SSL_CTX_sess_set_new_cb(ctx, on_session);
    struct secure *s;
    OBJ_NEW(s, SECURE_MAGIC);
    s->ctx = ctx;
    s->name = is_address(host) ? NULL : host;
    SSL_CTX_set_app_data(ctx, s);
    return s;
}

void secure_destroy(struct secure **sp)
{
    CHECK_OBJ(*sp, SECURE_MAGIC);
    SSL_SESSION_free((*sp)->session);
    SSL_CTX_free((*sp)->ctx);
    OBJ_FREE(sp, SECURE_MAGIC);
}

struct secure_link *secure_link_create(struct secure *s, int fd, struct ssl_session_st **newest)
{
    struct secure_link *k;
    CHECK_OBJ(s, SECURE_MAGIC);
    OBJ_NEW(k, SECURE_LINK_MAGIC);
    k->ssl = SSL_new(s->ctx);
    if (k->ssl == NULL || SSL_set_fd(k->ssl, fd) != 1 ||
        (s->name != NULL && SSL_set_tlsext_host_name(k->ssl, s->name) != 1)) {
        SSL_free(k->ssl);
        OBJ_FREE(&k, SECURE_LINK_MAGIC);
        return NULL;
    }
    k->newest = newest;
    SSL_set_app_data(k->ssl, k);
    if (*newest == NULL && s->session != NULL)
        *newest = SSL_SESSION_dup(s->session);
    if (*newest != NULL)
        (void)SSL_set_session(k->ssl, *newest);
    return k;
}

void secure_link_destroy(struct secure_link **kp)
{
    CHECK_OBJ(*kp, SECURE_LINK_MAGIC);
    if (SSL_is_init_finished((*kp)->ssl))
        (void)SSL_shutdown((*kp)->ssl);
    ERR_clear_error();
    SSL_free((*kp)->ssl);
    OBJ_FREE(kp, SECURE_LINK_MAGIC);
}

void secure_session_free(struct ssl_session_st **newest)
{
    SSL_SESSION_free(*newest);
    *newest = NULL;
}

enum secure_result secure_handshake(struct secure_link *k)
{
    ERR_clear_error();
    const int n = SSL_connect(k->ssl);
    if (n == 1)
        return SECURE_DONE;
    switch (SSL_get_error(k->ssl, n)) {
    case SSL_ERROR_WANT_READ:
        return SECURE_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return SECURE_WANTS_WRITE;
    default:
        return SECURE_FAILED;
    }
}

bool secure_is_resumed(const struct secure_link *k)
{
    return SSL_session_reused(k->ssl) == 1;
}

const char *secure_link_failure_text(const struct secure_link *k)
{
    CHECK_OBJ(k, SECURE_LINK_MAGIC);
    const long verdict = SSL_get_verify_result(k->ssl);
    return verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : secure_failure_text();
}

const char *secure_failure_text(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text != NULL ? text : "ended by the peer";
}

static ssize_t outcome(struct secure_link *k, int n)
{
    if (n > 0)
        return n;
    switch (SSL_get_error(k->ssl, n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        if (errno == 0 || errno == EAGAIN)
            errno = EPROTO;
        return -1;
    }
}

ssize_t secure_send(struct secure_link *k, const void *data, size_t len)
{
    ERR_clear_error();
    errno = 0;
    return outcome(k, SSL_write(k->ssl, data, (int)len));
}

ssize_t secure_recv(struct secure_link *k, void *data, size_t cap)
{
    size_t got = 0;
    int n;
    ERR_clear_error();
    errno = 0;
    do {
        n = SSL_read(k->ssl, (char *)data + got, (int)(cap - got));
        got += n > 0 ? (size_t)n : 0;
    } while (n > 0 && got < cap && SSL_has_pending(k->ssl) == 1);
    return got > 0 ? (ssize_t)got : outcome(k, n);
}

bool secure_has_more(const struct secure_link *k)
{
    return SSL_has_pending(k->ssl) == 1 || (SSL_get_shutdown(k->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}
