/* Which listeners get a TLS context, and which share one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/tls_tickets.h"
#include "conf/secure.h"
#include "tests/unit/base/authority.h"

/* A configuration made by hand: a plain listener and two with TLS. */
struct edition {
    struct conf conf;
    struct conf_listen listen[3];
    struct conf_certificate certificates[3];
};

struct fixture {
    struct identity ca, one, two;
    char *ca_pem, *one_cert, *one_key, *two_cert, *two_key;
    struct edition before, after;
    struct tls_tickets *tickets;
};

static void edition_make(struct edition *e, const struct fixture *f)
{
    static const char *const addresses[] = {"127.0.0.1:80", "127.0.0.1:443", "[::1]:443"};
    *e = (struct edition){.conf = {.magic = CONF_MAGIC, .refs = 1, .listen = e->listen, .listen_count = 3}};
    for (size_t i = 0; i < 3; i++) {
        e->listen[i] = (struct conf_listen){.text = addresses[i], .http2 = true};
        if (i == 0)
            continue;
        e->certificates[i] = (struct conf_certificate){.cert.text = f->one_cert, .key.text = f->one_key};
        e->listen[i].tls.certificates = &e->certificates[i];
        e->listen[i].tls.certificate_count = 1;
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->ca = make_identity(NULL, "test authority", NULL);
    f->one = make_identity(&f->ca, "one", "DNS:one.test");
    f->two = make_identity(&f->ca, "two", "DNS:two.test");
    f->ca_pem = cert_pem(&f->ca);
    f->one_cert = cert_pem(&f->one);
    f->one_key = key_pem(&f->one);
    f->two_cert = cert_pem(&f->two);
    f->two_key = key_pem(&f->two);
    f->tickets = tls_tickets_create();
    edition_make(&f->before, f);
    edition_make(&f->after, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->before.conf.refs, 1); /* no set is left */
    assert_int_equal(f->after.conf.refs, 1);
    identity_free(&f->ca);
    identity_free(&f->one);
    identity_free(&f->two);
    free(f->ca_pem);
    free(f->one_cert);
    free(f->one_key);
    free(f->two_cert);
    free(f->two_key);
    tls_tickets_unref(&f->tickets);
    free(f);
    return 0;
}

static struct secure_set *make_set(const struct conf *c, struct tls_tickets *t, const struct secure_set *old)
{
    char error[TLS_ERROR_TEXT_BYTES];
    struct secure_set *s = secure_set_create(c, t, old, error);
    if (s == NULL)
        fail_msg("%s", error);
    return s;
}

static void test_listeners_that_say_the_same_share_a_context(void **state)
{
    struct fixture *f = *state;
    struct secure_set *s = make_set(&f->before.conf, f->tickets, NULL);
    assert_null(secure_set_find(s, "127.0.0.1:80"));
    assert_null(secure_set_find(s, "127.0.0.1:1"));
    assert_non_null(secure_set_find(s, "127.0.0.1:443"));
    assert_ptr_equal(secure_set_find(s, "127.0.0.1:443"), secure_set_find(s, "[::1]:443"));
    secure_set_destroy(&s);
    f->before.listen[2].http2 = false;
    s = make_set(&f->before.conf, f->tickets, NULL);
    assert_ptr_not_equal(secure_set_find(s, "127.0.0.1:443"), secure_set_find(s, "[::1]:443"));
    secure_set_destroy(&s);
}

/* Each change by itself makes a new context; without one, the old goes on. */
static void test_a_reload_keeps_what_did_not_change(void **state)
{
    struct fixture *f = *state;
    struct conf_listen *l = &f->after.listen[1];
    for (int change = 0; change <= 6; change++) {
        edition_make(&f->after, f);
        f->before.listen[2].http2 = f->after.listen[2].http2 = false; /* the other listener stays out of it */
        char *copy = strdup(f->one_cert);                             /* the same text from another file */
        f->after.certificates[1].cert.text = copy;
        if (change == 1)
            f->after.certificates[1] = (struct conf_certificate){.cert.text = f->two_cert, .key.text = f->two_key};
        if (change == 2)
            l->tls.min_version = TLS_MIN_1_3;
        if (change == 3)
            l->http2 = false, f->after.listen[2].http2 = true;
        if (change == 4)
            l->tls.client_certificate = TLS_CLIENT_CERT_OPTIONAL, l->tls.client_ca.text = f->ca_pem;
        if (change == 5)
            l->tls.certificate_count = 0;
        struct tls_tickets *other = tls_tickets_create();
        struct secure_set *old = make_set(&f->before.conf, f->tickets, NULL);
        struct secure_set *new = make_set(&f->after.conf, change == 6 ? other : f->tickets, old);
        bool is_kept = secure_set_find(new, "127.0.0.1:443") == secure_set_find(old, "127.0.0.1:443");
        if (is_kept != (change == 0))
            fail_msg("change %d", change);
        secure_set_destroy(&old);
        secure_set_destroy(&new);
        tls_tickets_unref(&other);
        free(copy);
    }
}

static void test_a_mistake_names_the_listener(void **state)
{
    struct fixture *f = *state;
    char error[TLS_ERROR_TEXT_BYTES];
    f->before.certificates[2].key.text = f->two_key;
    assert_null(secure_set_create(&f->before.conf, f->tickets, NULL, error));
    static const char begins[] = "listen [::1]:443: tls: certificate 1: key: does not belong to the certificate";
    if (strncmp(error, begins, sizeof begins - 1) != 0)
        fail_msg("%s", error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_listeners_that_say_the_same_share_a_context, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reload_keeps_what_did_not_change, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_mistake_names_the_listener, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
