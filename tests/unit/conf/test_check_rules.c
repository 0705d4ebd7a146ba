/* What routes demand of requests: every kind of mistake with its words, what a sound route becomes, and that no secret
 * shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/conf.h"

#define SECRET "0123456789abcdef0123456789abcdef"

static struct conf *load_route(const char *route, struct conf_errors *errors)
{
    char *text = mem_printf("listen: [ { address: \"127.0.0.1:1\" } ]\n"
                            "pools: { p: { servers: [ { name: s, url: \"http://h\" } ] } }\n"
                            "routes:\n"
                            "  - { pool: p, %s }\n",
                            route);
    struct conf *c = conf_load_text("t.yaml", text, strlen(text), false, errors);
    mem_free(text);
    return c;
}

/* Only what stands behind "t.yaml:4:COLUMN: routes[0]." is written here. */
static const struct {
    const char *route, *wanted;
} mistakes[] = {
    {"methods: [ get ]", "methods: \"get\" is no method, expected names in upper case\n"},
    {"methods: [ \"*\" ]", "methods: \"*\" is no method, expected names in upper case\n"},
    {"methods: [ \"G T\" ]",
     "methods: \"G T\" has a character that header names may not have, expected letters, digits "
     "and hyphens\n"},
    {"methods: GET", "methods: \"GET\" is a single value, expected a list of names, at most 32 items\n"},
    {"methods: { GET: x }", "methods: is a section, not a list, expected a list of names, at most 32 items\n"},
    {"allow: [ 10.0.0.0/33 ]",
     "allow: \"10.0.0.0/33\" is not an address block, expected one such as 10.0.0.0/8, 192.0.2.1 "
     "or fd00::/8\n"},
    {"websocket: { origins: [ \"*\", \"https://a\" ] }",
     "websocket.origins: has \"*\" beside others, expected it alone or not at all\n"},
    /* CORS */
    {"cors: { origins: [ a.example ] }", "cors.origins: \"a.example\" has no scheme, expected one such as "
                                         "https://app.example.com, https://*.example.com or \"*\"\n"},
    {"cors: { origins: [ \"https://a/\" ] }", "cors.origins: \"https://a/\" has a path, expected one such as "
                                              "https://app.example.com, https://*.example.com or \"*\"\n"},
    {"cors: { origins: [ \"https://a:443\" ] }",
     "cors.origins: \"https://a:443\" has a port that browsers leave out, expected one such as "
     "https://app.example.com, https://*.example.com or \"*\"\n"},
    {"cors: { origins: [ \"https://A\" ] }",
     "cors.origins: \"https://A\" has an upper case letter, expected one such as "
     "https://app.example.com, https://*.example.com or \"*\"\n"},
    {"cors: { origins: [ \"https://a.*.b\" ] }",
     "cors.origins: \"https://a.*.b\" has a host that is neither a name nor an address, expected one such as "
     "https://app.example.com, https://*.example.com or \"*\"\n"},
    {"cors: { origins: [ \"*\" ], credentials: true }",
     "cors.credentials: would let every page act with its visitor's cookies, expected origins other than \"*\" with "
     "it\n"},
    {"cors: { headers: [ X-A ] }", "cors.headers: has no use by itself, expected origins with it\n"},
    {"cors: { origins: [ \"https://a\" ], methods: [ put ] }",
     "cors.methods: \"put\" is no method, expected names in upper case\n"},
    /* rate */
    {"rate: { burst: 5 }", "rate.burst: has no use by itself, expected requests with it\n"},
    {"rate: { requests: 5, per: header }", "rate.name: is missing, expected the name of the header to count by\n"},
    {"rate: { requests: 5, per: claim, name: sub }",
     "rate.per: counts by a claim, expected jwt on the route as well\n"},
    {"rate: { requests: 5, name: X-A }", "rate.name: has no use with per: ip, expected per: header or per: claim\n"},
    {"rate: { requests: 5, per: header, name: a b }",
     "rate.name: \"a b\" has a character that header names may not have, expected the name of a header\n"},
    {"rate: { requests: 100, every: 1ms }",
     "rate.requests: are too many for the time of every, expected at most 10 each ms\n"},
    {"rate: { requests: 1, every: 1d, burst: 400 }",
     "rate.burst: would take more than a year to fill, expected less\n"},
    /* tokens */
    {"jwt: { required: { iss: x } }",
     "jwt.required: has no use by itself, expected secret, public_key, jwks.file or jwks.pool with it\n"},
    {"jwt: { secret: short }", "jwt.secret: is too short to be safe, expected at least 32 bytes\n"},
    {"jwt: { secret: " SECRET ", jwks: { pool: p } }", "jwt.jwks.pool: is given beside secret, expected one of them\n"},
    {"jwt: { jwks: { pool: q } }", "jwt.jwks.pool: \"q\" is not a pool, expected the name of one\n"},
    {"jwt: { secret: " SECRET ", algorithms: [ RS256 ] }",
     "jwt.algorithms: do not go with a secret, expected HS256 alone\n"},
    {"jwt: { jwks: { pool: p }, algorithms: [ HS256 ] }",
     "jwt.algorithms: have HS256, which takes a secret, expected RS256 or ES256\n"},
    {"jwt: { secret: " SECRET ", algorithms: [ none ] }",
     "jwt.algorithms: \"none\" is not known, expected a list of HS256, RS256 or ES256\n"},
    {"jwt: { secret: " SECRET ", header: \"\" }",
     "jwt.header: is empty, as are query and cookie, expected one of them\n"},
    {"jwt: { secret: " SECRET ", forward: { sub: Host } }",
     "jwt.forward: \"host\" is not for users to set, expected the name of a header\n"},
    {"jwt: { secret: " SECRET ", forward: { sub: \"a b\" } }",
     "jwt.forward: \"a b\" has a character that header names may not have, expected the name of a header\n"},
    {"jwt: { secret: " SECRET ", required: { iss: { a: b } } }",
     "jwt.required.iss: is not a name with a value, expected one\n"},
    {"jwt: { secret: " SECRET ", required: [ iss ] }",
     "jwt.required: does not give names, expected names with a value, or a list of values, each\n"},
    {"jwt: { public_key: \"no key\\n\" }", NULL}, /* a file of that name is looked for */
};

static void every_mistake_has_its_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct conf_errors errors = {0};
        struct conf *c = load_route(mistakes[i].route, &errors);
        if (c != NULL)
            fail_msg("%s was taken", mistakes[i].route);
        const char *what = strstr(errors.text, "routes[0].");
        assert_memory_equal(errors.text, "t.yaml:4:", 9);
        assert_non_null(what);
        if (mistakes[i].wanted != NULL && strcmp(what + strlen("routes[0]."), mistakes[i].wanted) != 0)
            fail_msg("%s\nwanted: %sgot:    %s", mistakes[i].route, mistakes[i].wanted, what);
        conf_errors_fini(&errors);
    }
}

static struct conf *good(const char *route)
{
    struct conf_errors errors = {0};
    struct conf *c = load_route(route, &errors);
    if (c == NULL)
        fail_msg("%s", errors.text);
    conf_errors_fini(&errors);
    return c;
}

static void what_nobody_wrote(void **state)
{
    (void)state;
    struct conf *c = good("path: /");
    const struct conf_route *r = &c->routes[0];
    assert_string_equal(r->methods_text, "");
    assert_int_equal(r->rate.requests, 0);
    assert_false(conf_jwt_is_on(&r->jwt));
    assert_string_equal(r->cors.methods_text, "");
    conf_unref(&c);

    c = good(
        "methods: [ GET, PUT ], cors: { origins: [ \"https://a\" ] }, rate: { requests: 7 }, jwt: { secret: " SECRET
        ", forward: { sub: X-User } }");
    r = &c->routes[0];
    assert_string_equal(r->methods_text, "GET, PUT");
    assert_string_equal(r->cors.methods_text, "GET, PUT"); /* the route's */
    assert_int_equal(r->cors.max_age_ms, 600000);
    assert_int_equal(r->rate.burst, 7);
    assert_int_equal(r->rate.every_ms, 1000);
    assert_int_equal(r->jwt.algorithms, 1u << JWT_HS256);
    assert_string_equal(r->jwt.header, "authorization");
    assert_string_equal(r->jwt.forward[0].value, "x-user");
    conf_unref(&c);

    c = good("cors: { origins: [ \"https://a\" ] }, jwt: { jwks: { pool: p }, header: \"\", query: token }");
    r = &c->routes[0];
    assert_string_equal(r->cors.methods_text, "GET, HEAD, POST, PUT, PATCH, DELETE");
    assert_int_equal(r->jwt.algorithms, 1u << JWT_RS256 | 1u << JWT_ES256); /* a public set never signs HS256 */
    assert_string_equal(r->jwt.header, "");
    assert_string_equal(r->jwt.jwks_path, "/.well-known/jwks.json");
    assert_int_equal(c->log.token_query_count, 1); /* which the access log hides */
    assert_string_equal(c->log.token_queries[0], "token");
    conf_unref(&c);
}

static void values_of_one_claim_stand_together(void **state)
{
    (void)state;
    struct conf *c = good("jwt: { secret: " SECRET ", required: { iss: me, aud: [ a, b ], \"x.y\": 3 } }");
    const struct conf_jwt *j = &c->routes[0].jwt;
    static const char *const wanted[][2] = {{"iss", "me"}, {"aud", "a"}, {"aud", "b"}, {"x.y", "3"}};
    assert_int_equal(j->required_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(j->required[i].name, wanted[i][0]);
        assert_string_equal(j->required[i].value, wanted[i][1]);
    }
    conf_unref(&c);
}

static void the_secret_stays_in_the_seal(void **state)
{
    (void)state;
    struct conf *c = good("jwt: { secret: " SECRET " }");
    char *dump = conf_dump(c), *seal = conf_seal(c);
    assert_null(strstr(dump, SECRET));
    assert_non_null(strstr(dump, "secret: \"***\""));
    assert_non_null(strstr(seal, SECRET));
    struct conf_errors errors = {0};
    struct conf *again = conf_load_text("sealed", seal, strlen(seal), true, &errors);
    assert_non_null(again);
    assert_string_equal(again->routes[0].jwt.secret, SECRET);
    conf_unref(&again);
    mem_free(dump);
    mem_free(seal);
    conf_unref(&c);
    /* nor does a complaint about it show it */
    assert_null(load_route("jwt: { secret: [ " SECRET " ] }", &errors));
    assert_null(strstr(errors.text, SECRET));
    conf_errors_fini(&errors);
}

static void files_travel_in_the_seal(void **state)
{
    (void)state;
    char name[] = "/tmp/tidegate-revoked-XXXXXX";
    const int fd = mkstemp(name);
    assert_true(fd >= 0);
    static const char list[] = "# who left\nsub:mallory\r\njti:1\n";
    assert_int_equal(write(fd, list, sizeof list - 1), sizeof list - 1);
    close(fd);
    char *route = mem_printf("jwt: { secret: " SECRET ", revoked: \"%s\" }", name);
    struct conf *c = good(route);
    char *seal = conf_seal(c);
    unlink(name);
    struct conf_errors errors = {0};
    struct conf *again = conf_load_text("sealed", seal, strlen(seal), true, &errors);
    assert_non_null(again);
    assert_string_equal(again->routes[0].jwt.revoked.path, name);
    assert_string_equal(again->routes[0].jwt.revoked.text, "# who left\nsub:mallory\r\njti:1");
    conf_unref(&again);
    assert_null(load_route(route, &errors)); /* it is gone */
    assert_non_null(strstr(errors.text, "routes[0].jwt.revoked: "));
    conf_errors_fini(&errors);
    mem_free(seal);
    mem_free(route);
    conf_unref(&c);
}

static void a_list_of_something_else_is_no_list_of_tokens(void **state)
{
    (void)state;
    char name[] = "/tmp/tidegate-revoked-XXXXXX";
    const int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "jti:1\n\nmallory\n", 15), 15);
    close(fd);
    char *route = mem_printf("jwt: { secret: " SECRET ", revoked: \"%s\" }", name);
    struct conf_errors errors = {0};
    assert_null(load_route(route, &errors));
    assert_non_null(strstr(errors.text, "jwt.revoked: has \"mallory\" on line 3, expected jti:... or sub:...\n"));
    conf_errors_fini(&errors);
    mem_free(route);
    unlink(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_has_its_message),
        cmocka_unit_test(what_nobody_wrote),
        cmocka_unit_test(values_of_one_claim_stand_together),
        cmocka_unit_test(the_secret_stays_in_the_seal),
        cmocka_unit_test(files_travel_in_the_seal),
        cmocka_unit_test(a_list_of_something_else_is_no_list_of_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
