/* Our TLS server meets a client that is OpenSSL itself, over a socketpair; include after cmocka.h. */
#ifndef TESTS_UNIT_BASE_MEETING_H
#define TESTS_UNIT_BASE_MEETING_H

#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/tls.h"
#include "base/tls_tickets.h"
#include "tests/unit/base/authority.h"

/* An identity as our side takes it. */
struct papers {
    struct identity identity;
    char *cert, *key;
};

/* Made once for all tests. */
struct people {
    struct identity ca;
    char *ca_pem;
    struct papers edge;     /* edge.test, ECDSA */
    struct papers edge_rsa; /* the same names, RSA */
    struct papers wild;     /* *.wild.test and exact.wild.test */
    struct papers exact;    /* deep.wild.test */
    struct papers client, stranger, old_client;
};

struct meeting {
    int fds[2]; /* ours, the client's */
    struct tls *server;
    SSL_CTX *client_ctx;
    SSL *client;
    enum err server_result; /* of the last meeting_run */
    bool client_is_done;
    unsigned long client_error; /* OpenSSL's reason */
    unsigned tickets;           /* that came */
    SSL_SESSION *session;       /* the latest that can be resumed */
};

static inline struct papers papers_of(struct identity i)
{
    return (struct papers){.identity = i, .cert = cert_pem(&i), .key = key_pem(&i)};
}

static inline void papers_free(struct papers *p)
{
    identity_free(&p->identity);
    free(p->cert);
    free(p->key);
}

static inline int people_setup(void **state)
{
    struct people *p = calloc(1, sizeof *p);
    const char *wild = "DNS:*.wild.test,DNS:exact.wild.test";
    p->ca = make_identity(NULL, "test authority", NULL);
    p->ca_pem = cert_pem(&p->ca);
    p->edge = papers_of(make_identity(&p->ca, "edge", "DNS:edge.test,DNS:EDGE2.test"));
    p->edge_rsa =
        papers_of(make_identity_with(EVP_RSA_gen(2048), &p->ca, "edge-rsa", "DNS:edge2.test,DNS:edge.test", 3600));
    p->wild = papers_of(make_identity(&p->ca, "wild", wild));
    p->exact = papers_of(make_identity(&p->ca, "deep.wild.test", NULL));
    p->client = papers_of(make_identity(&p->ca, "Jos\xc3\xa9, \x01 Ltd", NULL));
    p->stranger = papers_of(make_identity(NULL, "stranger", NULL));
    p->old_client = papers_of(make_identity_with(EVP_EC_gen("P-256"), &p->ca, "old", NULL, -60));
    signal(SIGPIPE, SIG_IGN);
    *state = p;
    return 0;
}

static inline int people_teardown(void **state)
{
    struct people *p = *state;
    struct papers *all[] = {&p->edge, &p->edge_rsa, &p->wild, &p->exact, &p->client, &p->stranger, &p->old_client};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        papers_free(all[i]);
    identity_free(&p->ca);
    free(p->ca_pem);
    free(p);
    return 0;
}

static inline struct tls_ctx *server_ctx(const struct tls_server_opts *o)
{
    char error[TLS_ERROR_TEXT_BYTES];
    struct tls_ctx *c = tls_ctx_create_server(o, error);
    if (c == NULL)
        fail_msg("%s", error);
    return c;
}

/* A context with one identity and whatever else `o` says. */
static inline struct tls_ctx *server_ctx_of(const struct papers *p, struct tls_server_opts o)
{
    const struct tls_identity id = {.cert_pem = p->cert, .key_pem = p->key};
    o.identities = &id;
    o.identity_count = 1;
    return server_ctx(&o);
}

static inline int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct meeting *m = SSL_get_app_data(ssl);
    m->tickets++;
    if (m->session != NULL)
        SSL_SESSION_free(m->session);
    m->session = session;
    return 1;
}

/* Over sockets that are connected already, which become the meeting's. */
static inline void meeting_open_over(struct meeting *m, const int fds[2], const struct people *p,
                                     struct tls_ctx *server, const char *name)
{
    *m = (struct meeting){.fds = {fds[0], fds[1]}, .server_result = ERR_AGAIN};
    m->server = tls_create_server(server, m->fds[0]);
    m->client_ctx = SSL_CTX_new(TLS_client_method());
    X509_STORE_add_cert(SSL_CTX_get_cert_store(m->client_ctx), p->ca.cert);
    SSL_CTX_set_verify(m->client_ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(m->client_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(m->client_ctx, on_session);
    m->client = SSL_new(m->client_ctx);
    SSL_set_app_data(m->client, m);
    SSL_set_fd(m->client, m->fds[1]);
    if (name != NULL)
        SSL_set_tlsext_host_name(m->client, name);
    SSL_set_connect_state(m->client);
}

/* `name` NULL asks for none. The client trusts `p`'s authority and may be changed before meeting_run. */
static inline void meeting_open(struct meeting *m, const struct people *p, struct tls_ctx *server, const char *name)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    meeting_open_over(m, fds, p, server, name);
}

static inline void meeting_close(struct meeting *m)
{
    tls_destroy(&m->server);
    if (m->client != NULL) /* a connection that was cut takes its session's good name along */
        SSL_set_shutdown(m->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(m->client);
    SSL_CTX_free(m->client_ctx);
    SSL_SESSION_free(m->session);
    close(m->fds[0]);
    close(m->fds[1]);
}

static inline void meeting_show(struct meeting *m, const struct papers *p)
{
    assert_int_equal(SSL_use_certificate(m->client, p->identity.cert), 1);
    assert_int_equal(SSL_use_PrivateKey(m->client, p->identity.key), 1);
}

/* One step of the client: the handshake, then reading, which is where tickets and late alerts come in. */
static inline void client_turn(struct meeting *m)
{
    char buf[16];
    ERR_clear_error();
    int rc = m->client_is_done ? SSL_read(m->client, buf, sizeof buf) : SSL_do_handshake(m->client);
    if (rc == 1 && !m->client_is_done)
        m->client_is_done = true;
    else if (SSL_get_error(m->client, rc) == SSL_ERROR_SSL && m->client_error == 0)
        m->client_error = ERR_peek_error();
    ERR_clear_error();
}

/* Both sides take turns until nothing more comes of it. True when both are content. */
static inline bool meeting_run(struct meeting *m)
{
    enum tls_want want;
    for (int turn = 0; turn < 10; turn++) {
        if (m->client_error == 0)
            client_turn(m);
        if (m->server_result == ERR_AGAIN)
            m->server_result = tls_handshake(m->server, &want);
    }
    return m->server_result == ERR_NONE && m->client_is_done && m->client_error == 0;
}

/* What the server says first, which brings the client its ticket with TLS 1.3. */
static inline void meeting_answer(struct meeting *m)
{
    enum tls_want want;
    size_t put;
    assert_int_equal(tls_write(m->server, "hi", 2, &put, &want), ERR_NONE);
    assert_int_equal(put, 2);
    client_turn(m);
}

static inline const char *client_reason(const struct meeting *m)
{
    const char *text = ERR_reason_error_string(m->client_error);
    return text != NULL ? text : "";
}

/* Common name of the certificate the client was shown. */
static inline const char *shown_name(const struct meeting *m, char *buf, int cap)
{
    X509 *cert = SSL_get0_peer_certificate(m->client);
    assert_non_null(cert);
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, buf, cap);
    return buf;
}

#endif
