/* What our TLS servers show, agree to and refuse. Resumption has a file of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <openssl/ocsp.h>
#include <time.h>

#include "base/mem.h"
#include "tests/unit/base/meeting.h"

/* ---- names ---- */

static void test_the_name_selects_the_certificate(void **state)
{
    const struct people *p = *state;
    const struct tls_identity ids[] = {{.cert_pem = p->edge.cert, .key_pem = p->edge.key},
                                       {.cert_pem = p->wild.cert, .key_pem = p->wild.key},
                                       {.cert_pem = p->exact.cert, .key_pem = p->exact.key}};
    const struct {
        const char *name, *shown;
    } cases[] = {
        {"edge.test", "edge"},
        {"edge2.test", "edge"},
        {"a.wild.test", "wild"},
        {"A.Wild.TEST", "wild"},
        {"a.wild.test.", "wild"}, /* absolute */
        {"exact.wild.test", "wild"},
        {"deep.wild.test", "deep.wild.test"}, /* exact before wildcard; no DNS name, so by its common name */
        {"a.b.wild.test", "edge"},            /* a wildcard is one label */
        {"wild.test", "edge"},
        {".wild.test", "edge"},
        {"other.test", "edge"},
        {NULL, "edge"},
    };
    struct tls_ctx *c = server_ctx(&(struct tls_server_opts){.identities = ids, .identity_count = 3});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct meeting m;
        char shown[64];
        meeting_open(&m, p, c, cases[i].name);
        assert_true(meeting_run(&m));
        assert_string_equal(shown_name(&m, shown, sizeof shown), cases[i].shown);
        if (cases[i].name == NULL)
            assert_null(tls_server_name(m.server));
        else
            assert_string_equal(tls_server_name(m.server), cases[i].name);
        meeting_close(&m);
    }
    tls_ctx_unref(&c);
}

/* The same names in another order and case: one certificate of each kind, and the client decides. */
static void test_rsa_and_ecdsa_stand_in_for_each_other(void **state)
{
    const struct people *p = *state;
    const struct tls_identity ids[] = {{.cert_pem = p->wild.cert, .key_pem = p->wild.key},
                                       {.cert_pem = p->edge_rsa.cert, .key_pem = p->edge_rsa.key},
                                       {.cert_pem = p->edge.cert, .key_pem = p->edge.key}};
    const struct {
        int version;
        const char *algorithms, *shown;
    } cases[] = {
        {TLS1_2_VERSION, "RSA-PSS+SHA256:RSA+SHA256", "edge-rsa"},
        {TLS1_2_VERSION, "ECDSA+SHA256", "edge"},
        {TLS1_3_VERSION, "RSA-PSS+SHA256", "edge-rsa"},
        {TLS1_3_VERSION, "ECDSA+SHA256", "edge"},
    };
    struct tls_ctx *c = server_ctx(&(struct tls_server_opts){.identities = ids, .identity_count = 3});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct meeting m;
        char shown[64];
        meeting_open(&m, p, c, "edge.test");
        SSL_set_max_proto_version(m.client, cases[i].version);
        assert_int_equal(SSL_set1_sigalgs_list(m.client, cases[i].algorithms), 1);
        SSL_set_verify(m.client, SSL_VERIFY_NONE, NULL); /* the authority's own signature is ECDSA */
        assert_true(meeting_run(&m));
        assert_string_equal(shown_name(&m, shown, sizeof shown), cases[i].shown);
        meeting_close(&m);
    }
    tls_ctx_unref(&c);
}

/* ---- what is agreed on ---- */

static void test_protocols_by_alpn(void **state)
{
    const struct people *p = *state;
    const struct {
        bool offer_h2;
        const char *client;
        enum tls_alpn result;
        bool is_refused;
    } cases[] = {
        {true, "\x02h2\x08http/1.1", TLS_ALPN_H2, false},
        {true, "\x08http/1.1\x02h2", TLS_ALPN_H2, false}, /* ours is the order */
        {true, "\x08http/1.1", TLS_ALPN_HTTP11, false},
        {true, "", TLS_ALPN_NONE, false},
        {true,
         "\x03"
         "foo",
         TLS_ALPN_NONE, true},
        {false, "\x02h2\x08http/1.1", TLS_ALPN_HTTP11, false},
        {false, "\x02h2", TLS_ALPN_NONE, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct meeting m;
        struct tls_ctx *c = server_ctx_of(&p->edge, (struct tls_server_opts){.offer_h2 = cases[i].offer_h2});
        meeting_open(&m, p, c, "edge.test");
        SSL_set_alpn_protos(m.client, (const unsigned char *)cases[i].client, (unsigned)strlen(cases[i].client));
        assert_int_equal(meeting_run(&m), !cases[i].is_refused);
        if (cases[i].is_refused) {
            assert_string_equal(client_reason(&m), "tlsv1 alert no application protocol");
            assert_string_equal(tls_failure_text(m.server), "no application protocol");
        }
        assert_int_equal(tls_alpn(m.server), cases[i].result);
        meeting_close(&m);
        tls_ctx_unref(&c);
    }
}

static void test_our_client_offers_what_it_is_told(void **state)
{
    const struct people *p = *state;
    const struct {
        enum tls_offer offer;
        bool server_has_h2;
        enum tls_alpn result;
    } cases[] = {
        {TLS_OFFER_NOTHING, true, TLS_ALPN_NONE},
        {TLS_OFFER_HTTP11, true, TLS_ALPN_HTTP11},
        {TLS_OFFER_H2, true, TLS_ALPN_H2},
        {TLS_OFFER_H2, false, TLS_ALPN_HTTP11},
    };
    char error[TLS_ERROR_TEXT_BYTES];
    struct tls_ctx *cc = tls_ctx_create_client(&(struct tls_client_opts){.ca_pem = p->ca_pem}, error);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fds[2];
        enum tls_want want;
        enum err s = ERR_AGAIN, c = ERR_AGAIN;
        struct tls_ctx *sc = server_ctx_of(&p->edge, (struct tls_server_opts){.offer_h2 = cases[i].server_has_h2});
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        struct tls *server = tls_create_server(sc, fds[0]);
        struct tls *client = tls_create_client_offer(cc, fds[1], "edge.test", cases[i].offer);
        for (int turn = 0; turn < 10 && (s != ERR_NONE || c != ERR_NONE); turn++) {
            c = tls_handshake(client, &want);
            s = tls_handshake(server, &want);
        }
        assert_int_equal(s, ERR_NONE);
        assert_int_equal(tls_alpn(client), cases[i].result);
        assert_int_equal(tls_alpn(server), cases[i].result);
        assert_string_equal(tls_version_text(server), "TLSv1.3");
        assert_string_equal(tls_cipher_text(server), "TLS_AES_128_GCM_SHA256");
        tls_destroy(&client);
        tls_destroy(&server);
        tls_ctx_unref(&sc);
        close(fds[0]);
        close(fds[1]);
    }
    tls_ctx_unref(&cc);
}

/* What is not agreed to, and what the log will say about it. */
static void test_what_is_refused(void **state)
{
    const struct people *p = *state;
    const struct {
        enum tls_min_version min;
        int version;
        const char *ciphers, *groups;
        const char *text; /* NULL: fine */
    } cases[] = {
        {TLS_MIN_1_2, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", "X25519:P-256", NULL},
        {TLS_MIN_1_2, TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", "P-384:P-256", NULL},
        {TLS_MIN_1_2, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256", "P-256", "no shared cipher"}, /* CBC */
        {TLS_MIN_1_2, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", "P-521", "no shared cipher"},
        {TLS_MIN_1_2, TLS1_1_VERSION, "ALL:@SECLEVEL=0", "P-256", "unsupported protocol"},
        {TLS_MIN_1_3, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", "P-256", "unsupported protocol"},
        {TLS_MIN_1_3, TLS1_3_VERSION, "ALL", "P-256", NULL},
        {TLS_MIN_1_2, TLS1_3_VERSION, "ALL", "P-521", "no suitable key share"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct meeting m;
        struct tls_ctx *c = server_ctx_of(&p->edge, (struct tls_server_opts){.min_version = cases[i].min});
        meeting_open(&m, p, c, "edge.test");
        SSL_set_min_proto_version(m.client, cases[i].version);
        SSL_set_max_proto_version(m.client, cases[i].version);
        assert_int_equal(SSL_set_cipher_list(m.client, cases[i].ciphers), 1);
        assert_int_equal(SSL_set1_groups_list(m.client, cases[i].groups), 1);
        if (meeting_run(&m) != (cases[i].text == NULL))
            fail_msg("case %zu: %s, %s", i, tls_failure_text(m.server), client_reason(&m));
        if (cases[i].text != NULL) {
            assert_int_equal(m.server_result, ERR_TLS);
            assert_string_equal(tls_failure_text(m.server), cases[i].text);
        }
        meeting_close(&m);
        tls_ctx_unref(&c);
    }
}

static void test_the_order_of_ciphers_is_ours(void **state)
{
    const struct people *p = *state;
    struct tls_ctx *c = server_ctx_of(&p->edge, (struct tls_server_opts){.min_version = TLS_MIN_1_2});
    const struct {
        const char *client, *chosen;
    } cases[] = {
        {"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"},
        /* Who puts ChaCha first has no AES in hardware. */
        {"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct meeting m;
        meeting_open(&m, p, c, "edge.test");
        SSL_set_max_proto_version(m.client, TLS1_2_VERSION);
        assert_int_equal(SSL_set_cipher_list(m.client, cases[i].client), 1);
        assert_true(meeting_run(&m));
        assert_string_equal(tls_cipher_text(m.server), cases[i].chosen);
        meeting_close(&m);
    }
    tls_ctx_unref(&c);
}

static void test_there_is_no_renegotiation(void **state)
{
    const struct people *p = *state;
    struct tls_ctx *c = server_ctx_of(&p->edge, (struct tls_server_opts){.min_version = TLS_MIN_1_2});
    struct meeting m;
    char buf[16];
    size_t got = 0;
    enum tls_want want;
    meeting_open(&m, p, c, "edge.test");
    SSL_set_max_proto_version(m.client, TLS1_2_VERSION);
    assert_true(meeting_run(&m));
    assert_int_equal(SSL_renegotiate(m.client), 1);
    (void)SSL_do_handshake(m.client);
    assert_int_equal(tls_read(m.server, buf, sizeof buf, &got, &want), ERR_AGAIN);
    ERR_clear_error();
    int rc = SSL_do_handshake(m.client);
    assert_int_equal(SSL_get_error(m.client, rc), SSL_ERROR_SSL);
    assert_string_equal(ERR_reason_error_string(ERR_peek_error()), "no renegotiation");
    ERR_clear_error();
    meeting_close(&m);
    tls_ctx_unref(&c);
}

static void test_who_does_not_speak_tls_is_told_apart(void **state)
{
    const struct people *p = *state;
    const struct {
        const char *said, *text;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "http request"},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "wrong version number"},
        {"\x05\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a", "wrong version number"},
    };
    struct tls_ctx *c = server_ctx_of(&p->edge, (struct tls_server_opts){.min_version = TLS_MIN_1_2});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct meeting m;
        enum tls_want want;
        meeting_open(&m, p, c, NULL);
        assert_int_equal(write(m.fds[1], cases[i].said, strlen(cases[i].said)), strlen(cases[i].said));
        assert_int_equal(tls_handshake(m.server, &want), ERR_TLS);
        assert_string_equal(tls_failure_text(m.server), cases[i].text);
        meeting_close(&m);
    }
    struct meeting m;
    enum tls_want want;
    meeting_open(&m, p, c, NULL);
    shutdown(m.fds[1], SHUT_WR);
    assert_int_equal(tls_handshake(m.server, &want), ERR_RESET);
    meeting_close(&m);
    tls_ctx_unref(&c);
}

static void test_a_client_that_refuses_us_says_why(void **state)
{
    const struct people *p = *state;
    struct tls_ctx *c = server_ctx_of(&p->stranger, (struct tls_server_opts){.min_version = TLS_MIN_1_2});
    struct meeting m;
    meeting_open(&m, p, c, "edge.test");
    assert_false(meeting_run(&m));
    assert_int_equal(m.server_result, ERR_TLS);
    assert_string_equal(tls_failure_text(m.server), "tlsv1 alert unknown ca");
    meeting_close(&m);
    tls_ctx_unref(&c);
}

/* ---- client certificates ---- */

static void test_client_certificates(void **state)
{
    const struct people *p = *state;
    const char *subject = "CN=Jos\xc3\xa9\\, \\01 Ltd"; /* RFC 4514: the comma escaped, the control character in hex */
    const struct {
        enum tls_client_cert clients;
        const struct papers *shown;
        enum err result;
        const char *text; /* subject, or why not */
    } cases[] = {
        {TLS_CLIENT_CERT_NONE, &p->client, ERR_NONE, ""},
        {TLS_CLIENT_CERT_OPTIONAL, NULL, ERR_NONE, ""},
        {TLS_CLIENT_CERT_OPTIONAL, &p->client, ERR_NONE, subject},
        {TLS_CLIENT_CERT_OPTIONAL, &p->stranger, ERR_TLS_VERIFY, "self-signed certificate"},
        {TLS_CLIENT_CERT_OPTIONAL, &p->old_client, ERR_TLS_VERIFY, "certificate has expired"},
        {TLS_CLIENT_CERT_REQUIRED, NULL, ERR_TLS, "peer did not return a certificate"},
        {TLS_CLIENT_CERT_REQUIRED, &p->client, ERR_NONE, subject},
        {TLS_CLIENT_CERT_REQUIRED, &p->stranger, ERR_TLS_VERIFY, "self-signed certificate"},
    };
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        struct meeting m;
        char buf[128];
        size_t at = i / 2;
        struct tls_ctx *c =
            server_ctx_of(&p->edge, (struct tls_server_opts){.clients = cases[at].clients, .client_ca_pem = p->ca_pem});
        meeting_open(&m, p, c, "edge.test");
        SSL_set_max_proto_version(m.client, versions[i % 2]);
        if (cases[at].shown != NULL)
            meeting_show(&m, cases[at].shown);
        assert_int_equal(meeting_run(&m), cases[at].result == ERR_NONE);
        assert_int_equal(m.server_result, cases[at].result);
        if (m.server_result == ERR_NONE)
            assert_string_equal(tls_client_subject(m.server, buf, sizeof buf), cases[at].text);
        else
            assert_string_equal(tls_failure_text(m.server), cases[at].text);
        assert_string_equal(tls_client_subject(m.server, buf, 4), m.server_result != ERR_NONE ? ""
                                                                  : cases[at].text[0]         ? "CN="
                                                                                              : "");
        meeting_close(&m);
        tls_ctx_unref(&c);
    }
}

/* The client is told whose certificates are wanted, whatever name it asks for. */
static void test_clients_are_told_the_authorities(void **state)
{
    const struct people *p = *state;
    const struct tls_identity ids[] = {{.cert_pem = p->edge.cert, .key_pem = p->edge.key},
                                       {.cert_pem = p->wild.cert, .key_pem = p->wild.key}};
    struct tls_ctx *c = server_ctx(&(struct tls_server_opts){
        .identities = ids, .identity_count = 2, .clients = TLS_CLIENT_CERT_REQUIRED, .client_ca_pem = p->ca_pem});
    static const char *const names[] = {"edge.test", "a.wild.test"};
    for (size_t i = 0; i < 2; i++) {
        struct meeting m;
        meeting_open(&m, p, c, names[i]);
        meeting_show(&m, &p->client);
        assert_true(meeting_run(&m));
        const STACK_OF(X509_NAME) *wanted = SSL_get0_peer_CA_list(m.client);
        assert_int_equal(sk_X509_NAME_num(wanted), 1);
        assert_int_equal(X509_NAME_cmp(sk_X509_NAME_value(wanted, 0), X509_get_subject_name(p->ca.cert)), 0);
        meeting_close(&m);
    }
    tls_ctx_unref(&c);
}

/* ---- stapling ---- */

/* A response about `cert`, as its authority would give it; `left_s` until its nextUpdate. */
static char *make_ocsp(const struct people *p, const X509 *cert, int status, long left_s, unsigned char **der,
                       int *der_len)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), cert, p->ca.cert);
    ASN1_TIME *this = X509_gmtime_adj(NULL, -3600), *next = X509_gmtime_adj(NULL, left_s);
    ASN1_TIME *revoked = X509_gmtime_adj(NULL, -1800);
    OCSP_basic_add1_status(basic, id, status, 0, status == V_OCSP_CERTSTATUS_REVOKED ? revoked : NULL, this, next);
    assert_int_equal(OCSP_basic_sign(basic, p->ca.cert, p->ca.key, EVP_sha256(), NULL, 0), 1);
    OCSP_RESPONSE *r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    *der = NULL;
    *der_len = i2d_OCSP_RESPONSE(r, der);
    char *pem = tls_ocsp_pem(*der, (size_t)*der_len);
    assert_non_null(pem);
    OCSP_RESPONSE_free(r);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(this);
    ASN1_TIME_free(next);
    ASN1_TIME_free(revoked);
    return pem;
}

/* Asks for a staple by a client that can only verify one kind of key; its length, 0 for none. */
static size_t staple_seen(const struct people *p, struct tls_ctx *c, const char *algorithms, unsigned char *copy,
                          size_t cap)
{
    struct meeting m;
    const unsigned char *seen = NULL;
    meeting_open(&m, p, c, "edge.test");
    SSL_set_tlsext_status_type(m.client, TLSEXT_STATUSTYPE_ocsp);
    SSL_set1_sigalgs_list(m.client, algorithms);
    SSL_set_verify(m.client, SSL_VERIFY_NONE, NULL);
    assert_true(meeting_run(&m));
    long len = SSL_get_tlsext_status_ocsp_resp(m.client, &seen);
    assert_true(len <= (long)cap);
    if (len > 0)
        memcpy(copy, seen, (size_t)len);
    meeting_close(&m);
    return len > 0 ? (size_t)len : 0;
}

static void test_each_certificate_has_its_own_staple(void **state)
{
    const struct people *p = *state;
    unsigned char *rsa_der, *ec_der, seen[4096];
    int rsa_len, ec_len;
    char *rsa = make_ocsp(p, p->edge_rsa.identity.cert, V_OCSP_CERTSTATUS_GOOD, 3600, &rsa_der, &rsa_len);
    char *ec = make_ocsp(p, p->edge.identity.cert, V_OCSP_CERTSTATUS_GOOD, 3600, &ec_der, &ec_len);
    const struct tls_identity ids[] = {{.cert_pem = p->edge.cert, .key_pem = p->edge.key, .ocsp_pem = ec},
                                       {.cert_pem = p->edge_rsa.cert, .key_pem = p->edge_rsa.key, .ocsp_pem = rsa}};
    struct tls_ctx *c = server_ctx(&(struct tls_server_opts){.identities = ids, .identity_count = 2});
    assert_int_equal(staple_seen(p, c, "ECDSA+SHA256", seen, sizeof seen), ec_len);
    assert_memory_equal(seen, ec_der, (size_t)ec_len);
    assert_int_equal(staple_seen(p, c, "RSA-PSS+SHA256", seen, sizeof seen), rsa_len);
    assert_memory_equal(seen, rsa_der, (size_t)rsa_len);
    tls_ctx_unref(&c);
    OPENSSL_free(rsa_der);
    OPENSSL_free(ec_der);
    mem_free(rsa);
    mem_free(ec);
}

static void test_a_stale_or_bad_response_is_not_stapled(void **state)
{
    const struct people *p = *state;
    const struct {
        int status;
        long left_s;
    } cases[] = {{V_OCSP_CERTSTATUS_GOOD, -1}, {V_OCSP_CERTSTATUS_REVOKED, 3600}, {V_OCSP_CERTSTATUS_UNKNOWN, 3600}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char *der, seen[4096];
        int len;
        char *pem = make_ocsp(p, p->edge.identity.cert, cases[i].status, cases[i].left_s, &der, &len);
        const struct tls_identity id = {.cert_pem = p->edge.cert, .key_pem = p->edge.key, .ocsp_pem = pem};
        struct tls_ctx *c = server_ctx(&(struct tls_server_opts){.identities = &id, .identity_count = 1});
        assert_int_equal(staple_seen(p, c, "ECDSA+SHA256", seen, sizeof seen), 0);
        tls_ctx_unref(&c);
        OPENSSL_free(der);
        mem_free(pem);
    }
}

static void test_what_is_no_ocsp_response(void **state)
{
    const struct people *p = *state;
    unsigned char *der;
    int len;
    char *pem = make_ocsp(p, p->edge.identity.cert, V_OCSP_CERTSTATUS_GOOD, 3600, &der, &len);
    char *again = tls_ocsp_pem(pem, strlen(pem));
    assert_string_equal(again, pem);
    assert_null(tls_ocsp_pem(der, (size_t)len - 1));
    assert_null(tls_ocsp_pem("", 0));
    assert_null(tls_ocsp_pem("hello", 5));
    assert_null(tls_ocsp_pem(p->ca_pem, strlen(p->ca_pem)));
    mem_free(again);
    mem_free(pem);
    OPENSSL_free(der);
}

/* ---- mistakes ---- */

static void test_bad_options_are_explained(void **state)
{
    const struct people *p = *state;
    unsigned char *der;
    int len;
    char *ocsp = make_ocsp(p, p->wild.identity.cert, V_OCSP_CERTSTATUS_GOOD, 3600, &der, &len);
    const struct tls_identity good = {.cert_pem = p->edge.cert, .key_pem = p->edge.key};
    const struct tls_identity none = {.cert_pem = "x", .key_pem = p->edge.key};
    const struct tls_identity crossed[] = {good, {.cert_pem = p->wild.cert, .key_pem = p->edge.key}};
    const struct tls_identity mixed[] = {good, {.cert_pem = p->edge_rsa.cert, .key_pem = p->edge.key}};
    const struct tls_identity keyless = {.cert_pem = p->edge.cert, .key_pem = p->edge.cert};
    const struct tls_identity twice[] = {good, good};
    const struct tls_identity stapled = {.cert_pem = p->edge.cert, .key_pem = p->edge.key, .ocsp_pem = ocsp};
    const struct {
        struct tls_server_opts opts;
        const char *error;
    } cases[] = {
        {{.identities = NULL}, "no certificate"},
        {{.identities = &none, .identity_count = 1}, "certificate 1: cert: no certificate in it"},
        {{.identities = crossed, .identity_count = 2}, "certificate 2: key: does not belong to the certificate"},
        {{.identities = mixed, .identity_count = 2}, "certificate 2: key: does not belong to the certificate"},
        {{.identities = &keyless, .identity_count = 1}, "certificate 1: key: no usable private key in it"},
        {{.identities = twice, .identity_count = 2}, "certificate 2: same names and kind of key as certificate 1"},
        {{.identities = &stapled, .identity_count = 1}, "certificate 1: ocsp: is about another certificate"},
        {{.identities = &good, .identity_count = 1, .clients = TLS_CLIENT_CERT_OPTIONAL}, "client_ca: is missing"},
        {{.identities = &good, .identity_count = 1, .clients = TLS_CLIENT_CERT_OPTIONAL, .client_ca_pem = "x"},
         "client_ca: no certificate in it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char error[TLS_ERROR_TEXT_BYTES] = "";
        assert_null(tls_ctx_create_server(&cases[i].opts, error));
        if (strncmp(error, cases[i].error, strlen(cases[i].error)) != 0)
            fail_msg("%s", error);
    }
    mem_free(ocsp);
    OPENSSL_free(der);
}

/* ---- certificates as such ---- */

static void test_what_a_certificate_says(void **state)
{
    const struct people *p = *state;
    struct tls_certificate_info info;
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    assert_true(tls_certificate_info(p->edge.cert, &info));
    assert_string_equal(info.names, "edge.test,EDGE2.test");
    assert_in_range(now_ms - info.not_before_ms, 3600000 - 1000, 3700000);
    assert_in_range(info.not_after_ms - now_ms, 3500000, 3600000);
    assert_true(tls_certificate_info(p->exact.cert, &info));
    assert_string_equal(info.names, "deep.wild.test");
    assert_true(tls_certificate_info(p->client.cert, &info)); /* its common name is no host name */
    assert_string_equal(info.names, "");
    assert_false(tls_certificate_info("", &info));
    assert_false(tls_certificate_info(p->edge.key, &info));

    char many[2048] = "", *end = many;
    for (int i = 0; i < 40; i++)
        end += sprintf(end, "%sDNS:name-%02d.example.test", i > 0 ? "," : "", i);
    struct papers big = papers_of(make_identity(&p->ca, "big", many));
    assert_true(tls_certificate_info(big.cert, &info));
    size_t len = strlen(info.names);
    assert_in_range(len, 200, TLS_NAMES_BYTES - 1);
    assert_string_equal(info.names + len - 4, ",...");
    papers_free(&big);
}

/* ---- memory ---- */

#define IDLE_COUNT 64
#define IDLE_BYTES_MAX                                                                                                 \
    18000 /* 14,700 today, with malloc's own; the buffers of a record each way would be 33,000 more */

/* Has been used and waits, having spoken last; the client's side is thrown away. */
static void make_idle(struct meeting *m, const struct people *p, struct tls_ctx *c)
{
    char buf[16];
    size_t n = 0;
    enum tls_want want;
    meeting_open(m, p, c, "edge.test");
    assert_true(meeting_run(m));
    assert_int_equal(SSL_write(m->client, "hello", 5), 5);
    assert_int_equal(tls_read(m->server, buf, sizeof buf, &n, &want), ERR_NONE);
    assert_int_equal(tls_write(m->server, "world", 5, &n, &want), ERR_NONE);
    SSL_free(m->client);
    SSL_CTX_free(m->client_ctx);
    SSL_SESSION_free(m->session);
    m->client = NULL;
    m->client_ctx = NULL;
    m->session = NULL;
}

/* A sanitizer's allocator does not keep the count, and the figure is 0 there. */
static void test_an_idle_connection_is_small(void **state)
{
    const struct people *p = *state;
    struct tls_tickets *tickets = tls_tickets_create();
    struct tls_ctx *c = server_ctx_of(&p->edge, (struct tls_server_opts){.offer_h2 = true, .tickets = tickets});
    struct meeting all[IDLE_COUNT];
    make_idle(&all[0], p, c); /* what OpenSSL keeps for all connections */
    size_t before = mallinfo2().uordblks;
    for (int i = 1; i < IDLE_COUNT; i++)
        make_idle(&all[i], p, c);
    size_t each_bytes = (mallinfo2().uordblks - before) / (IDLE_COUNT - 1);
    print_message("an idle connection takes %zu bytes\n", each_bytes);
    assert_true(each_bytes < IDLE_BYTES_MAX);
    for (int i = 0; i < IDLE_COUNT; i++)
        meeting_close(&all[i]);
    tls_ctx_unref(&c);
    tls_tickets_unref(&tickets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_name_selects_the_certificate),
        cmocka_unit_test(test_rsa_and_ecdsa_stand_in_for_each_other),
        cmocka_unit_test(test_protocols_by_alpn),
        cmocka_unit_test(test_our_client_offers_what_it_is_told),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_the_order_of_ciphers_is_ours),
        cmocka_unit_test(test_there_is_no_renegotiation),
        cmocka_unit_test(test_who_does_not_speak_tls_is_told_apart),
        cmocka_unit_test(test_a_client_that_refuses_us_says_why),
        cmocka_unit_test(test_client_certificates),
        cmocka_unit_test(test_clients_are_told_the_authorities),
        cmocka_unit_test(test_each_certificate_has_its_own_staple),
        cmocka_unit_test(test_a_stale_or_bad_response_is_not_stapled),
        cmocka_unit_test(test_what_is_no_ocsp_response),
        cmocka_unit_test(test_bad_options_are_explained),
        cmocka_unit_test(test_what_a_certificate_says),
        cmocka_unit_test(test_an_idle_connection_is_small),
    };
    return cmocka_run_group_tests(tests, people_setup, people_teardown);
}
