/* Our TLS client against a server that is OpenSSL itself, over a socketpair: what is verified, what is negotiated, and
 * how each kind of failure is told apart. Certificates are made on the spot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/tls.h"
#include "tests/unit/base/authority.h"

#define BIG_BYTES 1000000u

/* Made once for all tests. */
struct authority {
    struct identity ca, server, client, stranger;
    char *ca_pem, *client_cert_pem, *client_key_pem, *stranger_key_pem;
};

/* One connection: our client, OpenSSL's server. */
struct link {
    int client_fd, server_fd;
    SSL_CTX *server_ctx;
    SSL *server;
    struct tls *client;
};

/* ---- certificates ---- */

static int authority_setup(void **state)
{
    struct authority *a = calloc(1, sizeof *a);
    a->ca = make_identity(NULL, "test authority", NULL);
    a->server = make_identity(&a->ca, "server", "DNS:edge.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1");
    a->client = make_identity(&a->ca, "client", NULL);
    a->stranger = make_identity(NULL, "stranger", "DNS:edge.test");
    a->ca_pem = cert_pem(&a->ca);
    a->client_cert_pem = cert_pem(&a->client);
    a->client_key_pem = key_pem(&a->client);
    a->stranger_key_pem = key_pem(&a->stranger);
    signal(SIGPIPE, SIG_IGN);
    *state = a;
    return 0;
}

static int authority_teardown(void **state)
{
    struct authority *a = *state;
    identity_free(&a->ca);
    identity_free(&a->server);
    identity_free(&a->client);
    identity_free(&a->stranger);
    free(a->ca_pem);
    free(a->client_cert_pem);
    free(a->client_key_pem);
    free(a->stranger_key_pem);
    free(a);
    return 0;
}

/* ---- one connection ---- */

static void link_open(struct link *l, const struct identity *server, struct tls_ctx *ctx, const char *name)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    l->client_fd = pair[0];
    l->server_fd = pair[1];
    l->server_ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(l->server_ctx, server->cert);
    SSL_CTX_use_PrivateKey(l->server_ctx, server->key);
    l->server = SSL_new(l->server_ctx);
    SSL_set_fd(l->server, l->server_fd);
    SSL_set_accept_state(l->server);
    l->client = tls_create_client(ctx, l->client_fd, name);
}

static void link_close(struct link *l)
{
    tls_destroy(&l->client);
    SSL_free(l->server);
    SSL_CTX_free(l->server_ctx);
    close(l->client_fd);
    close(l->server_fd);
}

/* Both sides take turns until the client is done, one way or the other. */
static enum err link_handshake(struct link *l)
{
    for (int turn = 0; turn < 20; turn++) {
        enum tls_want want;
        enum err e = tls_handshake(l->client, &want);
        int rc = SSL_is_init_finished(l->server) ? 1 : SSL_do_handshake(l->server);
        ERR_clear_error();
        if (e != ERR_AGAIN && (e != ERR_NONE || rc == 1))
            return e;
        assert_true(e == ERR_NONE || want == TLS_WANT_READ);
    }
    return ERR_TIMEOUT;
}

static struct tls_ctx *client_ctx(const struct tls_client_opts *o)
{
    char error[TLS_ERROR_TEXT_BYTES];
    struct tls_ctx *c = tls_ctx_create_client(o, error);
    if (c == NULL)
        fail_msg("%s", error);
    return c;
}

static enum err handshake_with(const struct identity *server, const char *ca_pem, bool insecure, const char *name)
{
    struct link l;
    struct tls_ctx *c = client_ctx(&(struct tls_client_opts){.ca_pem = ca_pem, .insecure = insecure});
    link_open(&l, server, c, name);
    tls_ctx_unref(&c); /* the connection keeps its own reference */
    enum err e = link_handshake(&l);
    if (e != ERR_NONE)
        assert_true(strlen(tls_failure_text(l.client)) > 0);
    link_close(&l);
    return e;
}

/* ---- tests ---- */

static void test_the_certificate_must_carry_the_name_we_asked_for(void **state)
{
    const struct authority *a = *state;
    const struct {
        const char *name;
        enum err result;
    } cases[] = {
        {"edge.test", ERR_NONE},
        {"EDGE.test", ERR_NONE},
        {"a.wild.test", ERR_NONE},
        {"127.0.0.1", ERR_NONE},
        {"::1", ERR_NONE},
        {"other.test", ERR_TLS_VERIFY},
        {"a.b.wild.test", ERR_TLS_VERIFY},
        {"127.0.0.2", ERR_TLS_VERIFY},
        {"server", ERR_TLS_VERIFY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (handshake_with(&a->server, a->ca_pem, false, cases[i].name) != cases[i].result)
            fail_msg("%s", cases[i].name);
}

static void test_the_certificate_must_come_from_a_trusted_authority(void **state)
{
    const struct authority *a = *state;
    assert_int_equal(handshake_with(&a->stranger, a->ca_pem, false, "edge.test"), ERR_TLS_VERIFY);
    assert_int_equal(handshake_with(&a->server, NULL, false, "edge.test"), ERR_TLS_VERIFY); /* system's store */
    assert_int_equal(handshake_with(&a->stranger, NULL, true, "anything.test"), ERR_NONE);
}

static void test_the_name_is_sent_and_an_address_is_not(void **state)
{
    const struct authority *a = *state;
    struct tls_ctx *c = client_ctx(&(struct tls_client_opts){.ca_pem = a->ca_pem});
    struct link l;
    link_open(&l, &a->server, c, "edge.test");
    assert_int_equal(link_handshake(&l), ERR_NONE);
    assert_string_equal(SSL_get_servername(l.server, TLSEXT_NAMETYPE_host_name), "edge.test");
    assert_int_equal(SSL_version(l.server), TLS1_3_VERSION);
    link_close(&l);
    link_open(&l, &a->server, c, "127.0.0.1");
    assert_int_equal(link_handshake(&l), ERR_NONE);
    assert_null(SSL_get_servername(l.server, TLSEXT_NAMETYPE_host_name));
    link_close(&l);
    tls_ctx_unref(&c);
}

static void test_old_versions_and_weak_ciphers_are_refused(void **state)
{
    const struct authority *a = *state;
    const struct {
        int version;
        const char *ciphers;
        enum err result;
    } cases[] = {
        {TLS1_1_VERSION, "ALL:@SECLEVEL=0", ERR_TLS},
        {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", ERR_NONE},
        {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", ERR_NONE},
        {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256", ERR_TLS}, /* CBC */
    };
    struct tls_ctx *c = client_ctx(&(struct tls_client_opts){.ca_pem = a->ca_pem});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct link l;
        link_open(&l, &a->server, c, "edge.test");
        SSL_set_min_proto_version(l.server, cases[i].version);
        SSL_set_max_proto_version(l.server, cases[i].version);
        assert_int_equal(SSL_set_cipher_list(l.server, cases[i].ciphers), 1);
        assert_int_equal(link_handshake(&l), cases[i].result);
        link_close(&l);
    }
    tls_ctx_unref(&c);
}

static void test_a_client_certificate_is_shown_when_asked_for(void **state)
{
    const struct authority *a = *state;
    struct tls_ctx *c = client_ctx(
        &(struct tls_client_opts){.ca_pem = a->ca_pem, .cert_pem = a->client_cert_pem, .key_pem = a->client_key_pem});
    struct link l;
    link_open(&l, &a->server, c, "edge.test");
    X509_STORE_add_cert(SSL_CTX_get_cert_store(l.server_ctx), a->ca.cert);
    SSL_set_verify(l.server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    assert_int_equal(link_handshake(&l), ERR_NONE);
    X509 *shown = SSL_get1_peer_certificate(l.server);
    assert_int_equal(X509_cmp(shown, a->client.cert), 0);
    X509_free(shown);
    link_close(&l);
    tls_ctx_unref(&c);
}

/* A megabyte each way through small socket buffers: partial writes continue from another address. */
static void test_bytes_arrive_whole_in_both_directions(void **state)
{
    const struct authority *a = *state;
    struct tls_ctx *c = client_ctx(&(struct tls_client_opts){.ca_pem = a->ca_pem});
    struct link l;
    enum tls_want want;
    uint8_t *sent = malloc(BIG_BYTES), *echo = malloc(BIG_BYTES), *copy = malloc(BIG_BYTES);
    size_t put = 0, echoed = 0;
    for (size_t i = 0; i < BIG_BYTES; i++)
        sent[i] = (uint8_t)(i * 31 + i / 251);
    link_open(&l, &a->server, c, "edge.test");
    assert_int_equal(link_handshake(&l), ERR_NONE);
    bool writes_waited = false;
    for (int turn = 0; turn < 100000 && echoed < BIG_BYTES; turn++) {
        size_t n = 0;
        memcpy(copy, sent + put, BIG_BYTES - put); /* the same bytes elsewhere */
        enum err e = tls_write(l.client, copy, BIG_BYTES - put, &n, &want);
        assert_true(e == ERR_NONE || (e == ERR_AGAIN && want == TLS_WANT_WRITE));
        writes_waited = writes_waited || e == ERR_AGAIN;
        put += n;
        uint8_t buffer[5000];
        int got = SSL_read(l.server, buffer, sizeof buffer);
        if (got > 0)
            assert_int_equal(SSL_write(l.server, buffer, got), got);
        e = tls_read(l.client, echo + echoed, BIG_BYTES - echoed, &n, &want);
        assert_true(e == ERR_NONE || (e == ERR_AGAIN && want == TLS_WANT_READ));
        echoed += n;
    }
    assert_true(writes_waited);
    assert_int_equal(echoed, BIG_BYTES);
    assert_memory_equal(sent, echo, BIG_BYTES);
    free(sent);
    free(echo);
    free(copy);
    link_close(&l);
    tls_ctx_unref(&c);
}

static void test_bytes_read_in_part_are_pending(void **state)
{
    const struct authority *a = *state;
    struct tls_ctx *c = client_ctx(&(struct tls_client_opts){.ca_pem = a->ca_pem});
    struct link l;
    enum tls_want want;
    char buf[16];
    size_t got = 0;
    link_open(&l, &a->server, c, "edge.test");
    assert_int_equal(link_handshake(&l), ERR_NONE);
    SSL_write(l.server, "hello world", 11);
    assert_int_equal(tls_read(l.client, buf, 5, &got, &want), ERR_NONE);
    assert_int_equal(got, 5);
    assert_true(tls_has_pending(l.client));
    assert_int_equal(tls_read(l.client, buf, sizeof buf, &got, &want), ERR_NONE);
    assert_int_equal(got, 6);
    assert_false(tls_has_pending(l.client));
    assert_int_equal(tls_read(l.client, buf, sizeof buf, &got, &want), ERR_AGAIN);
    link_close(&l);
    tls_ctx_unref(&c);
}

static void test_records_that_came_together_are_read_together(void **state)
{
    const struct authority *a = *state;
    struct tls_ctx *c = client_ctx(&(struct tls_client_opts){.ca_pem = a->ca_pem});
    struct link l;
    enum tls_want want;
    char buf[16];
    size_t got = 0;
    link_open(&l, &a->server, c, "edge.test");
    assert_int_equal(link_handshake(&l), ERR_NONE);
    SSL_write(l.server, "hello ", 6);
    SSL_write(l.server, "world", 5);
    assert_int_equal(tls_read(l.client, buf, sizeof buf, &got, &want), ERR_NONE);
    assert_int_equal(got, 11);
    assert_memory_equal(buf, "hello world", 11);
    assert_false(tls_has_pending(l.client));
    link_close(&l);
    tls_ctx_unref(&c);
}

/* The socket will not tell of what was read along with the last record. */
static void test_the_end_that_came_with_the_last_record_is_pending(void **state)
{
    const struct authority *a = *state;
    struct tls_ctx *c = client_ctx(&(struct tls_client_opts){.ca_pem = a->ca_pem});
    struct link l;
    enum tls_want want;
    char buf[16];
    size_t got = 0;
    for (int is_broken = 0; is_broken < 2; is_broken++) {
        link_open(&l, &a->server, c, "edge.test");
        assert_int_equal(link_handshake(&l), ERR_NONE);
        SSL_write(l.server, "bye", 3);
        if (is_broken)
            assert_int_equal(write(l.server_fd, "\x17\x03\x03\x00\x11 not what it says", 22), 22);
        else
            SSL_shutdown(l.server);
        assert_int_equal(tls_read(l.client, buf, sizeof buf, &got, &want), ERR_NONE);
        assert_int_equal(got, 3);
        assert_true(tls_has_pending(l.client));
        assert_int_equal(tls_read(l.client, buf, sizeof buf, &got, &want), is_broken ? ERR_TLS : ERR_EOF);
        assert_int_equal(got, 0);
        link_close(&l);
    }
    tls_ctx_unref(&c);
}

/* Who reads again while something is pending would turn in circles until the rest of the record arrives. */
static void test_half_a_record_is_not_pending(void **state)
{
    const struct authority *a = *state;
    struct tls_ctx *c = client_ctx(&(struct tls_client_opts){.ca_pem = a->ca_pem});
    struct link l;
    enum tls_want want;
    char buf[16], *record = NULL;
    size_t got = 0;
    link_open(&l, &a->server, c, "edge.test");
    assert_int_equal(link_handshake(&l), ERR_NONE);
    BIO *wire = BIO_new(BIO_s_mem());
    SSL_set0_wbio(l.server, wire);
    SSL_write(l.server, "hello world", 11);
    size_t len = (size_t)BIO_get_mem_data(wire, &record);
    assert_int_equal(write(l.server_fd, record, len / 2), len / 2);
    assert_int_equal(tls_read(l.client, buf, sizeof buf, &got, &want), ERR_AGAIN);
    assert_int_equal(want, TLS_WANT_READ);
    assert_false(tls_has_pending(l.client));
    assert_int_equal(write(l.server_fd, record + len / 2, len - len / 2), len - len / 2);
    assert_int_equal(write(l.server_fd, record, 1), 1); /* another begins */
    assert_int_equal(tls_read(l.client, buf, sizeof buf, &got, &want), ERR_NONE);
    assert_int_equal(got, 11);
    assert_false(tls_has_pending(l.client));
    link_close(&l);
    tls_ctx_unref(&c);
}

/* A message of the handshake's that comes in parts is read to its end by whoever is next, also by a write. What came
 * behind it is nobody's but this connection's, and is still there. */
static void test_a_write_that_has_to_read_leaves_the_rest_alone(void **state)
{
    const struct authority *a = *state;
    char *cert = cert_pem(&a->server), *key = key_pem(&a->server); /* a long one */
    struct tls_ctx *c = client_ctx(&(struct tls_client_opts){.ca_pem = a->ca_pem, .cert_pem = cert, .key_pem = key});
    struct link l, other;
    enum tls_want want;
    char buf[16], *wire_bytes = NULL;
    size_t got = 0;
    link_open(&other, &a->server, c, "edge.test");
    assert_int_equal(link_handshake(&other), ERR_NONE);
    link_open(&l, &a->server, c, "edge.test");
    X509_STORE_add_cert(SSL_CTX_get_cert_store(l.server_ctx), a->ca.cert);
    SSL_set_verify(l.server, SSL_VERIFY_PEER, NULL);
    SSL_set_session_id_context(l.server, (const unsigned char *)"test", 4);
    SSL_set_max_send_fragment(l.server, 512); /* so that a ticket, which has the client's certificate in it, is two */
    assert_int_equal(link_handshake(&l), ERR_NONE);
    assert_int_equal(tls_read(l.client, buf, sizeof buf, &got, &want), ERR_AGAIN);
    BIO *wire = BIO_new(BIO_s_mem());
    SSL_set0_wbio(l.server, wire);
    assert_int_equal(SSL_new_session_ticket(l.server), 1);
    assert_int_equal(SSL_write(l.server, "hello", 5), 5);
    const size_t len = (size_t)BIO_get_mem_data(wire, &wire_bytes);
    const size_t first = 5 + ((size_t)(uint8_t)wire_bytes[3] << 8 | (uint8_t)wire_bytes[4]);
    assert_true(first + 5 + 22 < len); /* it is not all but the greeting */
    assert_int_equal(write(l.server_fd, wire_bytes, first), first);
    assert_int_equal(tls_read(l.client, buf, sizeof buf, &got, &want), ERR_AGAIN);
    assert_int_equal(write(l.server_fd, wire_bytes + first, len - first), len - first);
    assert_int_equal(tls_write(l.client, "x", 1, &got, &want), ERR_NONE);
    SSL_write(other.server, "nobody else's", 13);
    assert_int_equal(tls_read(other.client, buf, sizeof buf, &got, &want), ERR_NONE);
    assert_int_equal(tls_read(l.client, buf, sizeof buf, &got, &want), ERR_NONE);
    assert_int_equal(got, 5);
    assert_memory_equal(buf, "hello", 5);
    link_close(&other);
    link_close(&l);
    tls_ctx_unref(&c);
    free(cert);
    free(key);
}

static void test_a_good_bye_and_a_cut_are_told_apart(void **state)
{
    const struct authority *a = *state;
    struct tls_ctx *c = client_ctx(&(struct tls_client_opts){.ca_pem = a->ca_pem});
    struct link l;
    enum tls_want want;
    char buf[16];
    size_t n = 0;
    link_open(&l, &a->server, c, "edge.test");
    assert_int_equal(link_handshake(&l), ERR_NONE);
    SSL_shutdown(l.server);
    assert_int_equal(tls_read(l.client, buf, sizeof buf, &n, &want), ERR_EOF);
    tls_shutdown(l.client);
    link_close(&l);

    link_open(&l, &a->server, c, "edge.test");
    assert_int_equal(link_handshake(&l), ERR_NONE);
    assert_int_equal(tls_read(l.client, buf, sizeof buf, &n, &want), ERR_AGAIN); /* tickets, which nobody sees */
    shutdown(l.server_fd, SHUT_RDWR);
    assert_int_equal(tls_read(l.client, buf, sizeof buf, &n, &want), ERR_RESET);
    assert_int_equal(tls_write(l.client, "x", 1, &n, &want), ERR_RESET); /* stays failed */
    tls_shutdown(l.client);
    link_close(&l);
    tls_ctx_unref(&c);
}

static void test_our_good_bye_reaches_the_server(void **state)
{
    const struct authority *a = *state;
    struct tls_ctx *c = client_ctx(&(struct tls_client_opts){.ca_pem = a->ca_pem});
    struct link l;
    char buf[16];
    link_open(&l, &a->server, c, "edge.test");
    assert_int_equal(link_handshake(&l), ERR_NONE);
    tls_shutdown(l.client);
    int rc = SSL_read(l.server, buf, sizeof buf);
    assert_int_equal(SSL_get_error(l.server, rc), SSL_ERROR_ZERO_RETURN);
    link_close(&l);
    tls_ctx_unref(&c);
}

static void test_a_peer_that_does_not_speak_tls_fails_the_handshake(void **state)
{
    const struct authority *a = *state;
    struct tls_ctx *c = client_ctx(&(struct tls_client_opts){.ca_pem = a->ca_pem});
    struct link l;
    enum tls_want want;
    link_open(&l, &a->server, c, "edge.test");
    assert_int_equal(tls_handshake(l.client, &want), ERR_AGAIN);
    assert_int_equal(want, TLS_WANT_READ);
    assert_true(write(l.server_fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) == 28);
    assert_int_equal(tls_handshake(l.client, &want), ERR_TLS);
    assert_true(strlen(tls_failure_text(l.client)) > 0);
    link_close(&l);

    link_open(&l, &a->server, c, "edge.test");
    assert_int_equal(tls_handshake(l.client, &want), ERR_AGAIN);
    shutdown(l.server_fd, SHUT_WR);
    assert_int_equal(tls_handshake(l.client, &want), ERR_RESET);
    link_close(&l);
    tls_ctx_unref(&c);
}

static void test_bad_files_are_explained(void **state)
{
    const struct authority *a = *state;
    char half[64];
    memcpy(half, a->ca_pem, sizeof half);
    half[sizeof half - 1] = '\0';
    const struct {
        struct tls_client_opts opts;
        const char *begins;
    } cases[] = {
        {{.ca_pem = ""}, "ca: no certificate"},
        {{.ca_pem = "hello"}, "ca: no certificate"},
        {{.ca_pem = half}, "ca: not a PEM"},
        {{.ca_pem = a->ca_pem, .cert_pem = a->client_cert_pem}, "cert and key"},
        {{.ca_pem = a->ca_pem, .cert_pem = "x", .key_pem = a->client_key_pem}, "cert: no certificate"},
        {{.ca_pem = a->ca_pem, .cert_pem = a->client_cert_pem, .key_pem = "x"}, "key: no usable"},
        {{.ca_pem = a->ca_pem, .cert_pem = a->client_cert_pem, .key_pem = a->stranger_key_pem}, "key: does not belong"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char error[TLS_ERROR_TEXT_BYTES] = "";
        assert_null(tls_ctx_create_client(&cases[i].opts, error));
        if (strncmp(error, cases[i].begins, strlen(cases[i].begins)) != 0)
            fail_msg("%s", error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_certificate_must_carry_the_name_we_asked_for),
        cmocka_unit_test(test_the_certificate_must_come_from_a_trusted_authority),
        cmocka_unit_test(test_the_name_is_sent_and_an_address_is_not),
        cmocka_unit_test(test_old_versions_and_weak_ciphers_are_refused),
        cmocka_unit_test(test_a_client_certificate_is_shown_when_asked_for),
        cmocka_unit_test(test_bytes_arrive_whole_in_both_directions),
        cmocka_unit_test(test_bytes_read_in_part_are_pending),
        cmocka_unit_test(test_records_that_came_together_are_read_together),
        cmocka_unit_test(test_the_end_that_came_with_the_last_record_is_pending),
        cmocka_unit_test(test_half_a_record_is_not_pending),
        cmocka_unit_test(test_a_write_that_has_to_read_leaves_the_rest_alone),
        cmocka_unit_test(test_a_good_bye_and_a_cut_are_told_apart),
        cmocka_unit_test(test_our_good_bye_reaches_the_server),
        cmocka_unit_test(test_a_peer_that_does_not_speak_tls_fails_the_handshake),
        cmocka_unit_test(test_bad_files_are_explained),
    };
    return cmocka_run_group_tests(tests, authority_setup, authority_teardown);
}
