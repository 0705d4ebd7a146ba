/* A TLS 1.3 server sends its tickets behind the handshake, so a session is there after the first answer was read. A
 * connection that ends without close_notify would take its session along: whoever is done says so. */
#include "gateway/bench/secure.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/mem.h"

struct secure {
    SSL_CTX *ctx;
    SSL_SESSION *session; /* the newest; NULL: none yet, or not wanted */
};

struct secure_link {
    SSL *ssl;
};

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct secure *s = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(s->session);
    s->session = session;
    return 1; /* kept */
}

struct secure *secure_create(bool resumes)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx,
                                   resumes ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL : SSL_SESS_CACHE_OFF);
    if (resumes)
        SSL_CTX_sess_set_new_cb(ctx, on_session);
    struct secure *s = mem_alloc(sizeof *s);
    s->ctx = ctx;
    SSL_CTX_set_app_data(ctx, s);
    return s;
}

void secure_destroy(struct secure **sp)
{
    SSL_SESSION_free((*sp)->session);
    SSL_CTX_free((*sp)->ctx);
    mem_free(*sp);
    *sp = NULL;
}

struct secure_link *secure_link_create(struct secure *s, int fd)
{
    struct secure_link *k = mem_alloc(sizeof *k);
    k->ssl = SSL_new(s->ctx);
    if (k->ssl == NULL || SSL_set_fd(k->ssl, fd) != 1) {
        SSL_free(k->ssl);
        mem_free(k);
        return NULL;
    }
    if (s->session != NULL)
        (void)SSL_set_session(k->ssl, s->session);
    return k;
}

void secure_link_destroy(struct secure_link **kp)
{
    if (SSL_is_init_finished((*kp)->ssl))
        (void)SSL_shutdown((*kp)->ssl);
    ERR_clear_error();
    SSL_free((*kp)->ssl);
    mem_free(*kp);
    *kp = NULL;
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
    ERR_clear_error();
    errno = 0;
    return outcome(k, SSL_read(k->ssl, data, (int)cap));
}
