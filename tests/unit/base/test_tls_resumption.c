/* Sessions that are taken up again: by another context with the same keys, over rotations of the keys, and never where
 * more is demanded than was when they began. Ticket keys as such, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include "base/mem.h"
#include "tests/unit/base/meeting.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* A full handshake (or one that resumes `session`, which is borrowed); the session the client was given, or NULL. */
static SSL_SESSION *visit(const struct people *p, struct tls_ctx *c, int version, const char *name,
                          const struct papers *shown, SSL_SESSION *session, bool *is_resumed)
{
    struct meeting m;
    char subject[64];
    meeting_open(&m, p, c, name);
    SSL_set_max_proto_version(m.client, version);
    if (shown != NULL)
        meeting_show(&m, shown);
    if (session != NULL) { /* a copy: OpenSSL's client forgets one that it has used */
        SSL_SESSION *copy = SSL_SESSION_dup(session);
        assert_int_equal(SSL_set_session(m.client, copy), 1);
        SSL_SESSION_free(copy);
    }
    if (!meeting_run(&m))
        fail_msg("%s, %s", tls_failure_text(m.server), client_reason(&m));
    *is_resumed = tls_is_resumed(m.server);
    assert_int_equal(*is_resumed, SSL_session_reused(m.client));
    if (shown != NULL) /* known again without being shown */
        assert_true(strlen(tls_client_subject(m.server, subject, sizeof subject)) > 0);
    meeting_answer(&m);
    /* TLS 1.2 hands a renewed ticket over inside the handshake, TLS 1.3 with the first answer. */
    SSL_SESSION *got = version == TLS1_2_VERSION ? SSL_get1_session(m.client)
                       : m.session != NULL       ? SSL_SESSION_dup(m.session)
                                                 : NULL;
    meeting_close(&m);
    return got;
}

static void connect_tcp(int fds[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[1], (struct sockaddr *)&a, sizeof a), 0);
    fds[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fds[0] >= 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
        assert_int_equal(setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    }
    close(listener);
}

/* Of those with data, by the kernel's count. */
static uint32_t segments_sent(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    assert_true(len >= offsetof(struct tcp_info, tcpi_data_segs_out) + sizeof info.tcpi_data_segs_out);
    return info.tcpi_data_segs_out;
}

static struct tls_tickets *tickets_of(const struct tls_ticket_keys *k)
{
    struct tls_tickets *t = tls_tickets_create();
    assert_true(tls_tickets_set(t, k));
    return t;
}

static void test_another_context_with_the_same_keys_resumes(void **state)
{
    const struct people *p = *state;
    for (size_t i = 0; i < 2; i++) {
        struct tls_ticket_keys keys = {.count = 0};
        tls_ticket_keys_rotate(&keys);
        struct tls_tickets *here = tickets_of(&keys), *there = tickets_of(&keys), *foreign = tls_tickets_create();
        struct tls_ctx *a = server_ctx_of(&p->edge, (struct tls_server_opts){.tickets = here});
        struct papers renewed = papers_of(make_identity(&p->ca, "renewed", "DNS:edge.test"));
        struct tls_ctx *b = server_ctx_of(&renewed, (struct tls_server_opts){.tickets = there, .offer_h2 = true});
        struct tls_ctx *c = server_ctx_of(&p->edge, (struct tls_server_opts){.tickets = foreign});
        bool resumed;
        SSL_SESSION *session = visit(p, a, versions[i], "edge.test", NULL, NULL, &resumed);
        assert_false(resumed);
        assert_non_null(session);
        SSL_SESSION *s[3];
        s[0] = visit(p, a, versions[i], "edge.test", NULL, session, &resumed);
        assert_true(resumed);
        s[1] = visit(p, b, versions[i], "edge.test", NULL, session, &resumed); /* the same gateway after a reload */
        assert_true(resumed);
        s[2] = visit(p, c, versions[i], "edge.test", NULL, session, &resumed);
        assert_false(resumed);
        for (int k = 0; k < 3; k++)
            SSL_SESSION_free(s[k]);
        SSL_SESSION_free(session);
        tls_ctx_unref(&a);
        tls_ctx_unref(&b);
        tls_ctx_unref(&c);
        tls_tickets_unref(&here);
        tls_tickets_unref(&there);
        tls_tickets_unref(&foreign);
        papers_free(&renewed);
    }
}

/* The name leads to another face of the context, the keys are the same. */
static void test_any_name_of_a_context_resumes(void **state)
{
    const struct people *p = *state;
    const struct tls_identity ids[] = {{.cert_pem = p->edge.cert, .key_pem = p->edge.key},
                                       {.cert_pem = p->wild.cert, .key_pem = p->wild.key}};
    for (size_t i = 0; i < 2; i++) {
        struct tls_tickets *t = tls_tickets_create();
        struct tls_ctx *c = server_ctx(&(struct tls_server_opts){.identities = ids, .identity_count = 2, .tickets = t});
        bool resumed;
        SSL_SESSION *first = visit(p, c, versions[i], "a.wild.test", NULL, NULL, &resumed);
        SSL_SESSION *second = visit(p, c, versions[i], "a.wild.test", NULL, first, &resumed);
        assert_true(resumed);
        SSL_SESSION_free(first);
        SSL_SESSION_free(second);
        tls_ctx_unref(&c);
        tls_tickets_unref(&t);
    }
}

/* The keys change under a context in use. An old key opens for two periods more and the client gets a new ticket. */
static void test_an_old_key_opens_until_it_is_dropped(void **state)
{
    const struct people *p = *state;
    for (size_t i = 0; i < 2; i++) {
        struct tls_ticket_keys keys = {.count = 0};
        tls_ticket_keys_rotate(&keys);
        struct tls_tickets *t = tickets_of(&keys);
        struct tls_ctx *c = server_ctx_of(&p->edge, (struct tls_server_opts){.tickets = t});
        bool resumed;
        SSL_SESSION *old = visit(p, c, versions[i], "edge.test", NULL, NULL, &resumed);
        for (int turn = 1; turn <= 3; turn++) {
            tls_ticket_keys_rotate(&keys);
            assert_true(tls_tickets_set(t, &keys));
            SSL_SESSION *new = visit(p, c, versions[i], "edge.test", NULL, old, &resumed);
            assert_int_equal(resumed, turn < 3);
            assert_non_null(new);
            const unsigned char *ticket;
            size_t len;
            SSL_SESSION_get0_ticket(new, &ticket, &len);
            assert_memory_equal(ticket, keys.key[0].name, TLS_TICKET_NAME_BYTES);
            SSL_SESSION_free(new);
        }
        SSL_SESSION_free(old);
        tls_ctx_unref(&c);
        tls_tickets_unref(&t);
    }
}

/* Under the newest key TLS 1.2 keeps its ticket (RFC 5077 section 3.3); one that was tampered with is worth nothing. */
static void test_a_changed_ticket_is_not_opened(void **state)
{
    const struct people *p = *state;
    struct tls_tickets *t = tls_tickets_create();
    struct tls_ctx *c = server_ctx_of(&p->edge, (struct tls_server_opts){.tickets = t});
    bool resumed;
    SSL_SESSION *first = visit(p, c, TLS1_2_VERSION, "edge.test", NULL, NULL, &resumed);
    unsigned char *der = NULL;
    const unsigned char *ticket;
    size_t ticket_len;
    int len = i2d_SSL_SESSION(first, &der);
    SSL_SESSION_get0_ticket(first, &ticket, &ticket_len);
    unsigned char *at = memmem(der, (size_t)len, ticket, ticket_len);
    assert_non_null(at);
    at[ticket_len / 2] ^= 1;
    const unsigned char *read_from = der;
    SSL_SESSION *forged = d2i_SSL_SESSION(NULL, &read_from, len);
    assert_non_null(forged);
    SSL_SESSION *second = visit(p, c, TLS1_2_VERSION, "edge.test", NULL, forged, &resumed);
    assert_false(resumed);
    SSL_SESSION_free(first);
    SSL_SESSION_free(second);
    SSL_SESSION_free(forged);
    OPENSSL_free(der);
    tls_ctx_unref(&c);
    tls_tickets_unref(&t);
}

static void test_without_keys_nothing_is_resumed(void **state)
{
    const struct people *p = *state;
    for (size_t i = 0; i < 2; i++) {
        struct tls_ctx *c = server_ctx_of(&p->edge, (struct tls_server_opts){.offer_h2 = true});
        struct meeting m;
        meeting_open(&m, p, c, "edge.test");
        SSL_set_max_proto_version(m.client, versions[i]);
        assert_true(meeting_run(&m));
        meeting_answer(&m);
        if (versions[i] == TLS1_3_VERSION)
            assert_int_equal(m.tickets, 0);
        else if (m.session != NULL)
            assert_false(SSL_SESSION_has_ticket(m.session));
        meeting_close(&m);
        tls_ctx_unref(&c);
    }
}

/* TLS 1.3: each connection brings one, resumed or not, in the segment of the first answer. */
static void test_a_ticket_comes_with_the_first_answer(void **state)
{
    const struct people *p = *state;
    struct tls_tickets *t = tls_tickets_create();
    struct tls_ctx *c = server_ctx_of(&p->edge, (struct tls_server_opts){.tickets = t});
    SSL_SESSION *session = NULL;
    for (int turn = 0; turn < 2; turn++) {
        struct meeting m;
        int fds[2];
        connect_tcp(fds);
        meeting_open_over(&m, fds, p, c, "edge.test");
        if (session != NULL)
            assert_int_equal(SSL_set_session(m.client, session), 1);
        assert_true(meeting_run(&m));
        assert_int_equal(tls_is_resumed(m.server), session != NULL);
        assert_int_equal(m.tickets, 0);
        const uint32_t before = segments_sent(m.fds[0]);
        meeting_answer(&m);
        assert_int_equal(m.tickets, 1);
        assert_int_equal(segments_sent(m.fds[0]) - before, 1);
        meeting_answer(&m);
        assert_int_equal(m.tickets, 1);
        SSL_SESSION_free(session);
        session = m.session;
        m.session = NULL;
        meeting_close(&m);
    }
    SSL_SESSION_free(session);
    tls_ctx_unref(&c);
    tls_tickets_unref(&t);
}

/* The ticket waits with what it goes with, until the client reads again. */
static void test_a_ticket_waits_for_a_slow_client(void **state)
{
    const struct people *p = *state;
    struct tls_tickets *t = tls_tickets_create();
    struct tls_ctx *c = server_ctx_of(&p->edge, (struct tls_server_opts){.tickets = t});
    struct meeting m;
    enum tls_want want;
    size_t put, filled = 0;
    meeting_open(&m, p, c, "edge.test");
    assert_true(meeting_run(&m));
    char buf[4096] = {0};
    for (ssize_t n; filled < (1u << 24) && (n = send(m.fds[0], buf, sizeof buf, 0)) > 0;) /* beneath TLS */
        filled += (size_t)n;
    assert_true(filled < (1u << 24));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tls_write(m.server, "hi", 2, &put, &want), ERR_AGAIN);
        assert_int_equal(want, TLS_WANT_WRITE);
    }
    for (size_t left = filled; left > 0;) {
        const ssize_t n = recv(m.fds[1], buf, left < sizeof buf ? left : sizeof buf, 0);
        assert_true(n > 0);
        left -= (size_t)n;
    }
    meeting_answer(&m);
    assert_int_equal(m.tickets, 1);
    assert_int_equal(m.client_error, 0);
    meeting_close(&m);
    tls_ctx_unref(&c);
    tls_tickets_unref(&t);
}

/* What the client says while its ticket is written may be there in part. */
static void test_a_ticket_leaves_half_a_record_alone(void **state)
{
    const struct people *p = *state;
    struct tls_tickets *t = tls_tickets_create();
    struct tls_ctx *c = server_ctx_of(&p->edge, (struct tls_server_opts){.tickets = t});
    for (int cut = 0; cut <= 6; cut++) { /* a header is five bytes; 6: all but the last byte of the record */
        struct meeting m;
        enum tls_want want;
        char buf[16], *record;
        size_t got;
        meeting_open(&m, p, c, "edge.test");
        assert_true(meeting_run(&m));
        SSL_set0_wbio(m.client, BIO_new(BIO_s_mem()));
        assert_int_equal(SSL_write(m.client, "hello", 5), 5);
        const long len = BIO_get_mem_data(SSL_get_wbio(m.client), &record);
        const long first = cut < 6 ? cut : len - 1;
        assert_int_equal(send(m.fds[1], record, (size_t)first, 0), first);
        assert_int_equal(tls_read(m.server, buf, sizeof buf, &got, &want), ERR_AGAIN);
        meeting_answer(&m);
        assert_int_equal(m.tickets, 1);
        assert_int_equal(send(m.fds[1], record + first, (size_t)(len - first), 0), len - first);
        assert_int_equal(tls_read(m.server, buf, sizeof buf, &got, &want), ERR_NONE);
        assert_int_equal(got, 5);
        assert_memory_equal(buf, "hello", 5);
        meeting_close(&m);
    }
    tls_ctx_unref(&c);
    tls_tickets_unref(&t);
}

/* All four listeners of one gateway share the ticket keys. */
static void test_a_session_does_not_slip_past_demands(void **state)
{
    const struct people *p = *state;
    for (size_t i = 0; i < 2; i++) {
        struct tls_tickets *t = tls_tickets_create();
        struct identity other = make_identity(NULL, "other authority", NULL);
        char *other_pem = cert_pem(&other);
        struct tls_ctx *open = server_ctx_of(&p->edge, (struct tls_server_opts){.tickets = t});
        struct tls_ctx *asking = server_ctx_of(
            &p->edge,
            (struct tls_server_opts){.tickets = t, .clients = TLS_CLIENT_CERT_OPTIONAL, .client_ca_pem = p->ca_pem});
        struct tls_ctx *strict = server_ctx_of(
            &p->edge,
            (struct tls_server_opts){.tickets = t, .clients = TLS_CLIENT_CERT_REQUIRED, .client_ca_pem = p->ca_pem});
        struct tls_ctx *elsewhere = server_ctx_of(
            &p->edge,
            (struct tls_server_opts){.tickets = t, .clients = TLS_CLIENT_CERT_OPTIONAL, .client_ca_pem = other_pem});
        const struct {
            struct tls_ctx *from;
            const struct papers *shown;
            struct tls_ctx *to;
            bool is_resumed;
        } cases[] = {
            {open, NULL, open, true},           {strict, &p->client, strict, true}, /* and the subject is known */
            {asking, &p->client, asking, true}, {open, NULL, strict, false},
            {asking, NULL, strict, false},      {asking, &p->client, strict, false},
            {open, NULL, asking, false},
        };
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            bool resumed;
            SSL_SESSION *s = visit(p, cases[k].from, versions[i], "edge.test", cases[k].shown, NULL, &resumed);
            const struct papers *shown = cases[k].to == strict ? &p->client : cases[k].shown;
            SSL_SESSION *again = visit(p, cases[k].to, versions[i], "edge.test", shown, s, &resumed);
            if (resumed != cases[k].is_resumed)
                fail_msg("case %zu", k);
            SSL_SESSION_free(s);
            SSL_SESSION_free(again);
        }
        bool resumed;
        SSL_SESSION *s = visit(p, asking, versions[i], "edge.test", &p->client, NULL, &resumed);
        struct meeting m; /* another authority: the certificate is looked at again, and refused */
        meeting_open(&m, p, elsewhere, "edge.test");
        SSL_set_max_proto_version(m.client, versions[i]);
        meeting_show(&m, &p->client);
        SSL_set_session(m.client, s);
        assert_false(meeting_run(&m));
        assert_int_equal(m.server_result, ERR_TLS_VERIFY);
        meeting_close(&m);
        SSL_SESSION_free(s);
        tls_ctx_unref(&open);
        tls_ctx_unref(&asking);
        tls_ctx_unref(&strict);
        tls_ctx_unref(&elsewhere);
        tls_tickets_unref(&t);
        identity_free(&other);
        free(other_pem);
    }
}

/* ---- keys ---- */

static void test_keys_turn_over(void **state)
{
    struct tls_ticket_keys k = {.count = 0};
    struct tls_ticket_key first, second;
    (void)state;
    tls_ticket_keys_rotate(&k);
    assert_int_equal(k.count, 1);
    first = k.key[0];
    tls_ticket_keys_rotate(&k);
    assert_int_equal(k.count, 2);
    assert_memory_equal(&k.key[1], &first, sizeof first);
    assert_memory_not_equal(&k.key[0], &first, sizeof first);
    second = k.key[0];
    tls_ticket_keys_rotate(&k);
    tls_ticket_keys_rotate(&k);
    assert_int_equal(k.count, TLS_TICKET_KEYS);
    assert_memory_equal(&k.key[2], &second, sizeof second);
}

static void test_a_set_is_taken_whole_or_not_at_all(void **state)
{
    struct tls_ticket_keys k = {.count = 0};
    struct tls_tickets *t = tls_tickets_create();
    struct tls_ticket_key own = *tls_tickets_newest(t);
    (void)state;
    assert_false(tls_tickets_set(t, &k));
    tls_ticket_keys_rotate(&k);
    k.count = TLS_TICKET_KEYS + 1;
    assert_false(tls_tickets_set(t, &k));
    assert_memory_equal(tls_tickets_newest(t), &own, sizeof own);
    k.count = 1;
    assert_true(tls_tickets_set(t, &k));
    assert_memory_equal(tls_tickets_newest(t), &k.key[0], sizeof own);
    assert_non_null(tls_tickets_find(t, k.key[0].name));
    assert_null(tls_tickets_find(t, own.name));
    struct tls_tickets *again = tls_tickets_ref(t);
    tls_tickets_unref(&t);
    assert_non_null(tls_tickets_newest(again));
    tls_tickets_unref(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_another_context_with_the_same_keys_resumes),
        cmocka_unit_test(test_any_name_of_a_context_resumes),
        cmocka_unit_test(test_an_old_key_opens_until_it_is_dropped),
        cmocka_unit_test(test_a_changed_ticket_is_not_opened),
        cmocka_unit_test(test_without_keys_nothing_is_resumed),
        cmocka_unit_test(test_a_ticket_comes_with_the_first_answer),
        cmocka_unit_test(test_a_ticket_waits_for_a_slow_client),
        cmocka_unit_test(test_a_ticket_leaves_half_a_record_alone),
        cmocka_unit_test(test_a_session_does_not_slip_past_demands),
        cmocka_unit_test(test_keys_turn_over),
        cmocka_unit_test(test_a_set_is_taken_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, people_setup, people_teardown);
}
