/* Probes over TLS: which certificates are accepted, which name is asked for, and what the cause says when it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "health/checker/lws_engine.h"
#include "health/checker/probe.h"
#include "tests/unit/health/checker/backend.h"

#define DEADLINE_MS 5000 /* for probes that answer */
#define HANGING_MS  300  /* for those that do not */

struct identity {
    EVP_PKEY *key;
    X509 *cert;
    char *cert_pem, *key_pem;
};

struct bench {
    struct identity ca, server, client, stranger;
    SSL_CTX *server_tls;
    struct loop *loop;
    struct lws_engine *engine;
    struct lws_host *host;
    struct tls_ctx *tls;
    int64_t expiry_degraded_ms, expiry_down_ms;
    struct backend backend;
    struct tls_client_opts opts;
    const char *server_name;
    enum conf_check_type type;
    /* the probe under way */
    struct probe *probe;
    struct timer deadline;
    bool is_done, is_overdue;
    char waited_for[64];
    struct probe_result result;
};

/* ---- certificates ---- */

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
}

static char *pem_text(BIO *bio)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    char *text = strndup(data, (size_t)len);
    BIO_free(bio);
    return text;
}

/* Signed by `issuer`, or by itself as an authority. */
static struct identity identity_make(const struct identity *issuer, long serial, const char *names)
{
    char common_name[32];
    struct identity i = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};
    X509_set_version(i.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(i.cert), serial);
    X509_gmtime_adj(X509_getm_notBefore(i.cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(i.cert), 3600);
    X509_set_pubkey(i.cert, i.key);
    X509_NAME *subject = X509_get_subject_name(i.cert);
    snprintf(common_name, sizeof common_name, "number %ld", serial);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(i.cert, issuer != NULL ? X509_get_subject_name(issuer->cert) : subject);
    add_extension(i.cert, i.cert, NID_basic_constraints, issuer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (names != NULL)
        add_extension(i.cert, i.cert, NID_subject_alt_name, names);
    assert_true(X509_sign(i.cert, issuer != NULL ? issuer->key : i.key, EVP_sha256()) > 0);
    BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(cert, i.cert);
    PEM_write_bio_PrivateKey(key, i.key, NULL, NULL, 0, NULL, NULL);
    i.cert_pem = pem_text(cert);
    i.key_pem = pem_text(key);
    return i;
}

static void identity_free(struct identity *i)
{
    EVP_PKEY_free(i->key);
    X509_free(i->cert);
    free(i->cert_pem);
    free(i->key_pem);
}

/* ---- probing ---- */

static void on_done(void *arg, const struct probe_result *result)
{
    struct bench *t = arg;
    t->is_done = true;
    t->probe = NULL;
    t->result = *result;
}

static void on_deadline(void *arg)
{
    struct bench *t = arg;
    t->is_overdue = true;
    snprintf(t->waited_for, sizeof t->waited_for, "%s", probe_waiting_for(t->probe));
    probe_cancel(&t->probe);
}

static void host_open(struct bench *t)
{
    char error[TLS_ERROR_TEXT_BYTES];
    if (t->host != NULL)
        lws_host_destroy(&t->host);
    if (t->tls != NULL)
        tls_ctx_unref(&t->tls);
    t->host = lws_host_create(t->engine, &t->opts, t->server_name, error);
    t->tls = tls_ctx_create_client(&t->opts, error);
    assert_non_null(t->host);
    assert_non_null(t->tls);
}

static void ask_for(struct bench *t, int64_t deadline_ms)
{
    struct conf_check check = {.type = t->type,
                               .path = "/",
                               .expect_statuses = {.count = 1, .range = {{200, 200}}},
                               .speak = SPEAK_PING,
                               .expiry_degraded_ms = t->expiry_degraded_ms,
                               .expiry_down_ms = t->expiry_down_ms};
    struct probe_plan plan = {
        .check = &check,
        .addr = t->backend.addr,
        .host = t->host,
        .host_header = "front.test",
        .tls = t->tls,
        .tls_name = t->server_name,
    };
    t->is_done = t->is_overdue = false;
    t->probe = probe_start(t->loop, &plan, on_done, t);
    timer_start(&t->deadline, deadline_ms);
    while (!t->is_done && !t->is_overdue)
        loop_run_once(t->loop, true);
    timer_cancel(&t->deadline);
}

static void ask(struct bench *t)
{
    ask_for(t, DEADLINE_MS);
}

static void expect_hanging(struct bench *t, const char *waiting_for)
{
    ask_for(t, HANGING_MS);
    assert_true(t->is_overdue);
    assert_string_equal(t->waited_for, waiting_for);
}

static void expect_up(struct bench *t)
{
    host_open(t);
    ask(t);
    if (!t->is_done || t->result.err != ERR_NONE)
        fail_msg("down: %s", t->is_done ? t->result.cause : t->waited_for);
}

static void expect_refused_certificate(struct bench *t, const char *reason)
{
    host_open(t);
    ask(t);
    assert_true(t->is_done);
    assert_int_equal(t->result.err, ERR_TLS_VERIFY);
    assert_non_null(strstr(t->result.cause, "tls_verify: "));
    if (strstr(t->result.cause, reason) == NULL)
        fail_msg("%s", t->result.cause);
}

static void serve_as(struct bench *t, const struct identity *i)
{
    SSL_CTX_use_certificate(t->server_tls, i->cert);
    SSL_CTX_use_PrivateKey(t->server_tls, i->key);
}

static int setup(void **state)
{
    struct bench *t = calloc(1, sizeof *t);
    t->ca = identity_make(NULL, 1, NULL);
    t->server = identity_make(&t->ca, 2, "DNS:edge.test,IP:127.0.0.1,IP:::1");
    t->client = identity_make(&t->ca, 3, NULL);
    t->stranger = identity_make(NULL, 4, "DNS:edge.test");
    t->server_tls = SSL_CTX_new(TLS_server_method());
    X509_STORE_add_cert(SSL_CTX_get_cert_store(t->server_tls), t->ca.cert);
    serve_as(t, &t->server);
    t->loop = loop_create();
    t->engine = lws_engine_create(t->loop);
    assert_non_null(t->engine);
    backend_open(&t->backend, t->loop);
    t->backend.tls = t->server_tls;
    t->backend.does = BACKEND_ANSWERS;
    timer_init(&t->deadline, t->loop, on_deadline, t);
    t->opts.ca_pem = t->ca.cert_pem;
    t->server_name = "edge.test";
    t->type = CHECK_HTTP;
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct bench *t = *state;
    backend_close(&t->backend);
    if (t->host != NULL)
        lws_host_destroy(&t->host);
    if (t->tls != NULL)
        tls_ctx_unref(&t->tls);
    lws_engine_destroy(&t->engine);
    loop_destroy(&t->loop);
    SSL_CTX_free(t->server_tls);
    identity_free(&t->ca);
    identity_free(&t->server);
    identity_free(&t->client);
    identity_free(&t->stranger);
    free(t);
    return 0;
}

/* ---- tests ---- */

static void test_https_asks_for_the_configured_name(void **state)
{
    struct bench *t = *state;
    expect_up(t);
    assert_string_equal(t->backend.sni, "edge.test"); /* and not the Host header's */
    assert_non_null(strstr(t->backend.request, "Host: front.test\r\n"));
}

static void test_wss_with_a_ping(void **state)
{
    struct bench *t = *state;
    t->type = CHECK_WEBSOCKET;
    t->backend.does = BACKEND_UPGRADES;
    expect_up(t);
    t->backend.pings = BACKEND_IGNORES_PINGS;
    expect_hanging(t, "pong");
}

static void test_numeric_name_is_matched_and_not_sent(void **state)
{
    struct bench *t = *state;
    t->server_name = "127.0.0.1";
    expect_up(t);
    assert_string_equal(t->backend.sni, "");
    t->server_name = "::1";
    expect_up(t);
    t->server_name = "127.0.0.2";
    expect_refused_certificate(t, "IP address mismatch");
}

static void test_certificate_for_another_name(void **state)
{
    struct bench *t = *state;
    t->server_name = "front.test"; /* the Host header's name does not count */
    expect_refused_certificate(t, "ostname mismatch");
}

static void test_certificate_of_a_stranger(void **state)
{
    struct bench *t = *state;
    serve_as(t, &t->stranger);
    expect_refused_certificate(t, "self-signed certificate");
    t->opts.ca_pem = NULL; /* the system's trust store does not know our authority */
    serve_as(t, &t->server);
    expect_refused_certificate(t, "certificate chain");
}

static void test_insecure_accepts_anybody(void **state)
{
    struct bench *t = *state;
    t->opts = (struct tls_client_opts){.insecure = true};
    t->server_name = "nowhere.test";
    serve_as(t, &t->stranger);
    expect_up(t);
    assert_string_equal(t->backend.sni, "nowhere.test");
}

static void test_client_certificate(void **state)
{
    struct bench *t = *state;
    SSL_CTX_set_verify(t->server_tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    host_open(t);
    ask(t);
    assert_true(t->is_done);
    assert_int_equal(t->result.err, ERR_TLS);
    if (strstr(t->result.cause, "certificate required") == NULL) /* the words of its alert */
        fail_msg("%s", t->result.cause);
    t->opts.cert_pem = t->client.cert_pem;
    t->opts.key_pem = t->client.key_pem;
    expect_up(t);
}

static void test_server_without_tls(void **state)
{
    struct bench *t = *state;
    t->backend.tls = NULL;
    t->backend.does = BACKEND_CLOSES;
    host_open(t);
    ask(t);
    assert_true(t->is_done);
    assert_int_equal(t->result.err, ERR_TLS);
    assert_string_equal(t->result.cause, "tls: handshake failed");
}

/* The certificates of this test hold for an hour. */
static void test_certificate_that_ends_soon(void **state)
{
    struct bench *t = *state;
    static const enum conf_check_type types[] = {CHECK_TLS, CHECK_HTTP};
    for (size_t i = 0; i < 2; i++) {
        t->type = types[i];
        t->expiry_degraded_ms = t->expiry_down_ms = 1800000;
        expect_up(t);
        assert_in_range(t->result.certificate_ends_wall_ms - loop_wall_ms(t->loop), 3400000, 3600000);
        assert_false(t->result.is_certificate_ending);
        t->expiry_degraded_ms = 7200000;
        expect_up(t);
        assert_true(t->result.is_certificate_ending);
        t->expiry_down_ms = 7200000;
        expect_refused_certificate(t, "certificate ends in 0 hours");
    }
}

static void test_tls_probe_shakes_hands_as_the_traffic_does(void **state)
{
    struct bench *t = *state;
    t->type = CHECK_TLS;
    expect_up(t);
    assert_string_equal(t->backend.sni, "edge.test");
    t->server_name = "other.test";
    expect_refused_certificate(t, "hostname mismatch");
    t->opts.insecure = true;
    expect_up(t);
    t->opts.insecure = false;
    t->server_name = "edge.test";
    serve_as(t, &t->stranger);
    expect_refused_certificate(t, "self-signed certificate");
    t->backend.does = BACKEND_HANGS;
    expect_hanging(t, "tls handshake");
    t->backend.tls = NULL;
    t->backend.does = BACKEND_CLOSES;
    ask(t);
    assert_true(t->is_done);
    assert_int_not_equal(t->result.err, ERR_NONE);
}

static void test_server_that_hangs_in_the_handshake(void **state)
{
    struct bench *t = *state;
    t->backend.does = BACKEND_HANGS;
    host_open(t);
    expect_hanging(t, "tls handshake");
}

static void test_unusable_trust_is_reported(void **state)
{
    struct bench *t = *state;
    char error[TLS_ERROR_TEXT_BYTES] = "";
    t->opts.ca_pem = "not a certificate";
    assert_null(lws_host_create(t->engine, &t->opts, "edge.test", error));
    assert_non_null(strstr(error, "ca:"));
}

static void test_many_probes_and_hosts(void **state)
{
    struct bench *t = *state;
    for (int i = 0; i < 200; i++) {
        t->type = i % 2 == 0 ? CHECK_HTTP : CHECK_WEBSOCKET;
        t->backend.does = i % 2 == 0 ? BACKEND_ANSWERS : BACKEND_UPGRADES;
        if (i % 10 == 0)
            host_open(t); /* while the last one still says good-bye */
        ask(t);
        assert_true(t->is_done);
        assert_int_equal(t->result.err, ERR_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_https_asks_for_the_configured_name),
        T(test_wss_with_a_ping),
        T(test_numeric_name_is_matched_and_not_sent),
        T(test_certificate_for_another_name),
        T(test_certificate_of_a_stranger),
        T(test_insecure_accepts_anybody),
        T(test_client_certificate),
        T(test_server_without_tls),
        T(test_certificate_that_ends_soon),
        T(test_tls_probe_shakes_hands_as_the_traffic_does),
        T(test_server_that_hangs_in_the_handshake),
        T(test_unusable_trust_is_reported),
        T(test_many_probes_and_hosts),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
