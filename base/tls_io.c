/* One TLS connection, of either side: handshake, bytes, what was agreed on, and why it failed.
 *
 * The hard part is OpenSSL's error queue, which is one per thread: what an earlier call left there would be taken for
 * the result of this one, so it is emptied before every call. A connection cut without close_notify is reported as
 * ERR_RESET, not as an orderly end, since somebody on the path may have cut it. */
#include "base/tls_priv.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sock.h"

#define TLS_MAGIC 0x71510b9eu

struct tls {
    uint32_t magic;
    SSL *ssl;
    struct tls_ctx *ctx;
    struct tls_wire wire;
    enum err failed; /* the failure after which only tls_destroy is allowed */
    bool is_established;
    bool is_starved; /* the last read found no whole record: what OpenSSL holds is the beginning of one at most */
    bool is_untold;  /* it brought something, and what it met then is for the next one to tell */
    bool owes_ticket;
    char *failure; /* NULL: none */
};

static enum err fail(struct tls *t, enum err e, const char *text)
{
    char *old = t->failure; /* which `text` may be */
    t->failure = mem_strdup(text != NULL ? text : err_text(e));
    mem_free(old);
    ERR_clear_error();
    t->failed = e;
    return e;
}

/* RFC 6125: the name the user configured is the one the certificate must carry. */
static bool expect_name(SSL *ssl, const char *name)
{
    struct addr ip;
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (addr_from_ip(&ip, name, 0))
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, name) == 1 && X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

/* Lists as they stand in a ClientHello (RFC 7301 section 3.1). */
static const struct {
    const char *wire;
    unsigned int len;
} offers[] = {[TLS_OFFER_NOTHING] = {"", 0},
              [TLS_OFFER_HTTP11] = {"\x08http/1.1", 9},
              [TLS_OFFER_H2] = {"\x02h2\x08http/1.1", 12}};

static bool offer_protocols(SSL *ssl, enum tls_offer offer)
{
    return offer == TLS_OFFER_NOTHING ||
           SSL_set_alpn_protos(ssl, (const unsigned char *)offers[offer].wire, offers[offer].len) == 0;
}

static struct tls *create(struct tls_ctx *c, int fd)
{
    CHECK_OBJ(c, TLS_CTX_MAGIC);
    struct tls *t;
    OBJ_NEW(t, TLS_MAGIC);
    t->ctx = tls_ctx_ref(c);
    ERR_clear_error();
    t->ssl = SSL_new(c->ctx);
    ASSERT(t->ssl != NULL); /* out of memory */
    tls_wire_lay(&t->wire, c, t->ssl, fd);
    return t;
}

struct tls *tls_create_client_offer(struct tls_ctx *c, int fd, const char *server_name, enum tls_offer offer)
{
    struct tls *t = create(c, fd);
    ASSERT(c->server == NULL);
    if (!expect_name(t->ssl, server_name) || !offer_protocols(t->ssl, offer))
        (void)fail(t, ERR_INVALID, "the server name cannot be used");
    SSL_set_connect_state(t->ssl);
    return t;
}

struct tls *tls_create_client(struct tls_ctx *c, int fd, const char *server_name)
{
    return tls_create_client_offer(c, fd, server_name, TLS_OFFER_NOTHING);
}

struct tls *tls_create_server(struct tls_ctx *c, int fd)
{
    struct tls *t = create(c, fd);
    ASSERT(c->server != NULL);
    SSL_set_accept_state(t->ssl);
    return t;
}

void tls_destroy(struct tls **tp)
{
    CHECK_OBJ(*tp, TLS_MAGIC);
    SSL_free((*tp)->ssl);
    tls_wire_fini(&(*tp)->wire);
    tls_ctx_unref(&(*tp)->ctx);
    mem_free((*tp)->failure);
    ERR_clear_error();
    OBJ_FREE(tp, TLS_MAGIC);
}

/* SSL_ERROR_SSL: a certificate that was refused, a connection that was cut, or anything else in the protocol. */
static enum err protocol_failure(struct tls *t)
{
    unsigned long code = ERR_peek_error();
    long verdict = SSL_get_verify_result(t->ssl);
    if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return fail(t, ERR_RESET, "closed without close_notify");
    if (!t->ctx->is_insecure && verdict != X509_V_OK && !SSL_is_init_finished(t->ssl))
        return fail(t, ERR_TLS_VERIFY, X509_verify_cert_error_string(verdict));
    return fail(t, ERR_TLS, ERR_reason_error_string(code));
}

/* Sorts out what a call of OpenSSL returned; `errno_value` is errno right after it. */
static enum err outcome(struct tls *t, int rc, int errno_value, enum tls_want *want)
{
    *want = TLS_WANT_NONE;
    switch (SSL_get_error(t->ssl, rc)) {
    case SSL_ERROR_NONE:
        return ERR_NONE;
    case SSL_ERROR_WANT_READ:
        *want = TLS_WANT_READ;
        return ERR_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        *want = TLS_WANT_WRITE;
        return ERR_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return ERR_EOF;
    case SSL_ERROR_SYSCALL:
        return fail(t, errno_value != 0 ? err_from_errno(errno_value) : ERR_RESET, NULL);
    default:
        return protocol_failure(t);
    }
}

static enum err begin(struct tls *t)
{
    CHECK_OBJ(t, TLS_MAGIC);
    if (ERR_peek_error() != 0) /* clearing goes through all its sixteen places, also when nothing is there */
        ERR_clear_error();
    errno = 0;
    return t->failed;
}

/* OpenSSL keeps the stapled response for as long as the connection lives. */
static void establish(struct tls *t)
{
    if (!t->is_established && t->ctx->server != NULL) {
        (void)SSL_set_tlsext_status_ocsp_resp(t->ssl, NULL, 0);
        t->owes_ticket = tls_server_gives_tickets(t->ctx->server);
    }
    t->is_established = true;
}

/* A session ticket (RFC 8446 section 4.6.1), of which what is written next is the rest of the segment: sent by itself,
 * it would be a packet and a waking of the client more. Before TLS 1.3 it was part of the handshake. What fails here
 * fails again in that write, which says so. */
static void send_ticket(struct tls *t)
{
    t->owes_ticket = false;
    if (SSL_new_session_ticket(t->ssl) != 1)
        return;
    t->wire.has_more = true;
    (void)SSL_do_handshake(t->ssl);
    if (strcmp(SSL_rstate_string(t->ssl), "RH") == 0) /* at the beginning of a record's header */
        (void)SSL_free_buffers(t->ssl);
}

enum err tls_handshake(struct tls *t, enum tls_want *want)
{
    enum err e = begin(t);
    *want = TLS_WANT_NONE;
    if (e != ERR_NONE)
        return e;
    tls_wire_begin(&t->wire, t->ctx);
    int rc = SSL_do_handshake(t->ssl);
    e = outcome(t, rc, errno, want);
    tls_wire_settle(&t->wire);
    if (e == ERR_NONE)
        establish(t);
    return e == ERR_EOF ? fail(t, ERR_RESET, "closed during the handshake") : e;
}

static bool has_unread(const struct tls *t)
{
    return SSL_has_pending(t->ssl) != 0 || t->wire.ready_len > 0;
}

/* Records that came together are read together. What ended that is told by this call if it brought nothing, else by the
 * next one: a failure is kept, and all else OpenSSL says again. */
enum err tls_read(struct tls *t, void *buf, size_t cap, size_t *got, enum tls_want *want)
{
    enum err e;
    *want = TLS_WANT_NONE;
    *got = 0;
    tls_wire_begin(&t->wire, t->ctx);
    while ((e = begin(t)) == ERR_NONE) {
        const size_t room = cap - *got;
        const int rc = SSL_read(t->ssl, (uint8_t *)buf + *got, room > INT_MAX ? INT_MAX : (int)room);
        if (rc <= 0) {
            e = outcome(t, rc, errno, want);
            break;
        }
        *got += (size_t)rc;
        if (*got == cap || !has_unread(t))
            break;
    }
    tls_wire_settle(&t->wire);
    t->is_starved = e == ERR_AGAIN && *want == TLS_WANT_READ;
    t->is_untold = *got > 0 && e != ERR_NONE && !t->is_starved;
    if (*got == 0)
        return e;
    *want = TLS_WANT_NONE;
    return ERR_NONE;
}

enum err tls_write(struct tls *t, const void *buf, size_t len, size_t *put, enum tls_want *want)
{
    enum err e = begin(t);
    *want = TLS_WANT_NONE;
    *put = 0;
    if (e != ERR_NONE || len == 0)
        return e;
    if (t->owes_ticket)
        send_ticket(t);
    t->wire.has_more = len > SSL3_RT_MAX_PLAIN_LENGTH;
    int rc = SSL_write(t->ssl, buf, len > INT_MAX ? INT_MAX : (int)len);
    t->wire.has_more = false;
    if (rc > 0) {
        *put = (size_t)rc;
        return ERR_NONE;
    }
    e = outcome(t, rc, errno, want);
    /* The peer said good-bye; it will not read what we have to say. */
    return e == ERR_EOF ? fail(t, ERR_RESET, "closed by the peer") : e;
}

bool tls_has_pending(const struct tls *t)
{
    CHECK_OBJ(t, TLS_MAGIC);
    return t->is_untold || (!t->is_starved && has_unread(t));
}

void tls_shutdown(struct tls *t)
{
    if (begin(t) != ERR_NONE || !SSL_is_init_finished(t->ssl))
        return;
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

const char *tls_failure_text(const struct tls *t)
{
    CHECK_OBJ(t, TLS_MAGIC);
    return t->failure != NULL ? t->failure : "";
}

/* ---- what was agreed on ---- */

enum tls_alpn tls_alpn(const struct tls *t)
{
    CHECK_OBJ(t, TLS_MAGIC);
    const unsigned char *name = NULL;
    unsigned int len = 0;
    SSL_get0_alpn_selected(t->ssl, &name, &len);
    if (len == 2 && memcmp(name, "h2", 2) == 0)
        return TLS_ALPN_H2;
    return len == 8 && memcmp(name, "http/1.1", 8) == 0 ? TLS_ALPN_HTTP11 : TLS_ALPN_NONE;
}

const char *tls_server_name(const struct tls *t)
{
    CHECK_OBJ(t, TLS_MAGIC);
    return SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
}

const char *tls_client_subject(const struct tls *t, char *buf, size_t cap)
{
    CHECK_OBJ(t, TLS_MAGIC);
    const X509 *cert = t->ctx->server != NULL ? SSL_get0_peer_certificate(t->ssl) : NULL;
    buf[0] = '\0';
    if (cert != NULL && SSL_get_verify_result(t->ssl) == X509_V_OK)
        tls_subject_text(cert, buf, cap);
    return buf;
}

int64_t tls_peer_ends_ms(const struct tls *t)
{
    CHECK_OBJ(t, TLS_MAGIC);
    return tls_ends_ms(SSL_get0_peer_certificate(t->ssl));
}

bool tls_is_resumed(const struct tls *t)
{
    CHECK_OBJ(t, TLS_MAGIC);
    return SSL_session_reused(t->ssl) == 1;
}

const char *tls_version_text(const struct tls *t)
{
    CHECK_OBJ(t, TLS_MAGIC);
    return SSL_get_version(t->ssl);
}

const char *tls_cipher_text(const struct tls *t)
{
    CHECK_OBJ(t, TLS_MAGIC);
    return SSL_CIPHER_get_name(SSL_get_current_cipher(t->ssl));
}
