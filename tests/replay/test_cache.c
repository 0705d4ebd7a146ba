/* What the cache promises when things happen at the same time: fetches that are late, overtaken by purges or left by
 * everybody, and answers that turn out not to be for sharing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/replay/caching.h"

#define HEAD                                                                                                           \
    "listen: [ { address: '127.0.0.1:1' } ]\n"                                                                         \
    "pools: { web: { circuit: { failures: 0 }, max_retries: 0, servers: [ { name: a, url: 'http://127.0.0.1:@a' } ] "  \
    "} }\n"                                                                                                            \
    "routes: [ { name: r, path: /, pool: web, cache: "

static const char first[] = HEAD "{ policy: cache-first, wait: 5s, tags: [ t ] } } ]\n";
static const char swr[] = HEAD "{ policy: stale-while-revalidate, fresh: 5s, stale: 10m, negative: 2s } } ]\n";
static const char network[] = HEAD "{ policy: network-first, timeout: 800ms, wait: 5s, stale: 1h } } ]\n";
static const char query[] = HEAD "{ policy: cache-first, fresh: 1m, post: true, post_body: 1KiB } } ]\n";
static const char compressing[] = HEAD "{ policy: cache-first, fresh: 1m, compress: [ gzip ] } } ]\n";
static const char long_patience[] = HEAD "{ policy: cache-first, fresh: 5s, stale_if_error: 1h, negative: 0 } } ]\n";

#define MINUTE "Cache-Control: max-age=60\r\n"

/* ---- tags of the gateway's own ---- */

/* "v1" went out as "v1-gzip" and is what the client means when it writes; a reader must not be told 304 for it. */
static void a_writer_is_known_to_the_origin_by_the_tag_it_was_given(void **state)
{
    struct rig r;
    char said[4096];
    (void)state;
    rig_open(&r, compressing);
    const int writer = ask(&r, "PUT", "/a", "If-Match: \"v1-gzip\"\r\nContent-Length: 0\r\n");
    int server = next_fetch(&r, said, sizeof said);
    assert_non_null(strstr(said, "\r\nIf-Match: \"v1-gzip\", \"v1\"\r\n"));
    answer(&r, server, "200 OK", "", "written");
    expect_answer(&r, writer, 200, "written");

    const int reader = ask(&r, "GET", "/a", "Cache-Control: no-store\r\nIf-None-Match: \"v1-gzip\"\r\n");
    server = next_fetch(&r, said, sizeof said);
    assert_non_null(strstr(said, "\r\nIf-None-Match: \"v1-gzip\"\r\n"));
    answer(&r, server, "200 OK", "", "new");
    expect_answer(&r, reader, 200, "new");
    close_all(&r, (const int[]){writer, reader}, 2);
    expect_calm(&r);
    rig_close(&r);
}

/* ---- answers that are not for sharing ---- */

static void head_of_what_is_not_stored_has_no_body(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, first);
    static const char *const lengths[] = {
        "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n"
        "\r\n5\r\nhello\r\n0\r\n\r\n"};
    for (int i = 0; i < 2; i++) {
        char path[16];
        (void)snprintf(path, sizeof path, "/%d", i);
        const int client = ask(&r, "HEAD", path, "");
        const int server = next_fetch(&r, NULL, 0);
        say(&r, server, lengths[i]);
        close(server);
        expect_answer(&r, client, 200, "");
        say(&r, client, "GET /x HTTP/1.1\r\nHost: app.example.com\r\n\r\n");
        answer(&r, next_fetch(&r, NULL, 0), "200 OK", "Cache-Control: no-store\r\n", "next");
        expect_answer(&r, client, 200, "next");
        close(client);
    }
    expect_calm(&r);
    rig_close(&r);
}

static void the_first_gets_what_is_not_stored_and_the_others_ask(void **state)
{
    struct rig r;
    int client[3];
    (void)state;
    rig_open(&r, first);
    for (int i = 0; i < 3; i++)
        client[i] = ask(&r, "GET", "/a", "");
    const int server = next_fetch(&r, NULL, 0);
    expect_no_fetch(&r);
    answer(&r, server, "200 OK", "Cache-Control: private\r\nSet-Cookie: s=1\r\n", "for one");
    expect_answer(&r, client[0], 200, "for one");
    answer(&r, next_fetch(&r, NULL, 0), "200 OK", "Cache-Control: private\r\n", "for two");
    answer(&r, next_fetch(&r, NULL, 0), "200 OK", "Cache-Control: private\r\n", "for three");
    expect_answer(&r, client[1], 200, "for two");
    expect_answer(&r, client[2], 200, "for three");
    close_all(&r, client, 3);
    expect_calm(&r);
    rig_close(&r);
}

static void an_answer_with_too_many_tags_reaches_its_client(void **state)
{
    struct rig r;
    char fields[1024] = MINUTE "Cache-Tag: t0";
    (void)state;
    rig_open(&r, first);
    for (int i = 1; i < 100; i++)
        (void)snprintf(fields + strlen(fields), sizeof fields - strlen(fields), ",t%d", i);
    strcat(fields, "\r\n");
    const int client = ask(&r, "GET", "/a", "");
    answer(&r, next_fetch(&r, NULL, 0), "200 OK", fields, "tagged");
    expect_answer(&r, client, 200, "tagged");
    close(client);
    expect_calm(&r);
    rig_close(&r);
}

static void what_the_origin_takes_back_is_not_served_stale(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, swr);
    store(&r, "/a", "", "old");
    rig_advance(&r, 6000);
    int client = ask(&r, "GET", "/a", "");
    expect_answer(&r, client, 200, "old");
    close(client);
    answer(&r, next_fetch(&r, NULL, 0), "401 Unauthorized", "", "who are you");
    client = ask(&r, "GET", "/a", "");
    answer(&r, next_fetch(&r, NULL, 0), "401 Unauthorized", "", "who are you");
    expect_answer(&r, client, 401, "who are you");
    close(client);
    expect_calm(&r);
    rig_close(&r);
}

/* ---- purges ---- */

static void purge(struct rig *r, const char *tag)
{
    struct cache_purge p = {.kind = PURGE_TAG};
    (void)snprintf(p.text, sizeof p.text, "%s", tag);
    (void)cache_purge(r->worker->cache, &p);
}

static void who_comes_after_a_purge_gets_nothing_from_before(void **state)
{
    struct rig r;
    int client[3];
    (void)state;
    rig_open(&r, first);
    client[0] = ask(&r, "GET", "/a", "");
    const int before = next_fetch(&r, NULL, 0);
    purge(&r, "t");
    client[1] = ask(&r, "GET", "/a", "");
    client[2] = ask(&r, "GET", "/a", "");
    answer(&r, before, "200 OK", MINUTE, "before");
    expect_answer(&r, client[0], 200, "before");
    answer(&r, next_fetch(&r, NULL, 0), "200 OK", MINUTE, "after");
    expect_answer(&r, client[1], 200, "after");
    expect_answer(&r, client[2], 200, "after");
    expect_no_fetch(&r);
    close_all(&r, client, 3);
    expect_calm(&r);
    rig_close(&r);
}

static void a_purge_of_something_else_disturbs_nobody(void **state)
{
    struct rig r;
    int client[2];
    (void)state;
    rig_open(&r, first);
    client[0] = ask(&r, "GET", "/a", "");
    const int server = next_fetch(&r, NULL, 0);
    purge(&r, "other");
    client[1] = ask(&r, "GET", "/a", "");
    answer(&r, server, "200 OK", MINUTE, "same");
    expect_answer(&r, client[0], 200, "same");
    expect_answer(&r, client[1], 200, "same");
    close_all(&r, client, 2);
    expect_calm(&r);
    rig_close(&r);
}

/* ---- Vary ---- */

static void a_field_learned_meanwhile_is_asked_with(void **state)
{
    struct rig r;
    char said[4096];
    int client[2];
    (void)state;
    rig_open(&r, first);
    client[0] = ask(&r, "GET", "/a", "X-Lang: fr\r\n");
    const int slow = next_fetch(&r, said, sizeof said);
    assert_null(strstr(said, "X-Lang"));
    client[1] = ask(&r, "GET", "/b", "X-Lang: de\r\n");
    answer(&r, next_fetch(&r, NULL, 0), "200 OK", MINUTE "Vary: X-Lang\r\n", "english");
    answer(&r, next_fetch(&r, said, sizeof said), "200 OK", MINUTE "Vary: X-Lang\r\n", "deutsch");
    assert_non_null(strstr(said, "X-Lang: de"));
    expect_answer(&r, client[1], 200, "deutsch");
    answer(&r, slow, "200 OK", MINUTE "Vary: X-Lang\r\n", "english");
    answer(&r, next_fetch(&r, said, sizeof said), "200 OK", MINUTE "Vary: X-Lang\r\n", "francais");
    assert_non_null(strstr(said, "X-Lang: fr"));
    expect_answer(&r, client[0], 200, "francais");
    close_all(&r, client, 2);
    expect_calm(&r);
    rig_close(&r);
}

static void also_of_an_answer_for_one_alone(void **state)
{
    struct rig r;
    char said[4096];
    (void)state;
    rig_open(&r, first);
    const int client = ask(&r, "GET", "/a", "X-Lang: fr\r\n");
    answer(&r, next_fetch(&r, NULL, 0), "200 OK", "Cache-Control: private\r\nVary: X-Lang\r\n", "english");
    answer(&r, next_fetch(&r, said, sizeof said), "200 OK", "Cache-Control: private\r\nVary: X-Lang\r\n", "francais");
    assert_non_null(strstr(said, "X-Lang: fr"));
    expect_answer(&r, client, 200, "francais");
    close(client);
    expect_calm(&r);
    rig_close(&r);
}

/* ---- time ---- */

static void the_network_is_waited_for_as_long_as_there_is_something_else(void **state)
{
    struct rig r;
    int client;
    (void)state;
    rig_open(&r, network);
    store(&r, "/a", MINUTE, "one");
    client = ask(&r, "GET", "/a", "");
    int server = next_fetch(&r, NULL, 0);
    rig_advance(&r, 799);
    expect_nothing(&r, client);
    rig_advance(&r, 1);
    expect_answer(&r, client, 200, "one");
    answer(&r, server, "200 OK", MINUTE, "two"); /* nobody waits, and it is kept all the same */
    expect_calm(&r);
    say(&r, client, "GET /a HTTP/1.1\r\nHost: app.example.com\r\n\r\n");
    server = next_fetch(&r, NULL, 0);
    close(server);
    expect_answer(&r, client, 200, "two");
    close(client);
    rig_close(&r);
}

static void with_nothing_else_all_wait_for_the_network_and_then_ask(void **state)
{
    struct rig r;
    int client[2];
    (void)state;
    rig_open(&r, network);
    client[0] = ask(&r, "GET", "/a", "");
    client[1] = ask(&r, "GET", "/a", "");
    const int slow = next_fetch(&r, NULL, 0);
    rig_advance(&r, 4999);
    expect_no_fetch(&r);
    rig_advance(&r, 1);
    answer(&r, next_fetch(&r, NULL, 0), "200 OK", MINUTE, "own");
    expect_answer(&r, client[1], 200, "own");
    expect_nothing(&r, client[0]);
    answer(&r, slow, "200 OK", MINUTE, "first");
    expect_answer(&r, client[0], 200, "first");
    close_all(&r, client, 2);
    expect_calm(&r);
    rig_close(&r);
}

static void a_refresh_that_fails_is_not_repeated_at_once(void **state)
{
    struct rig r;
    int client;
    (void)state;
    rig_open(&r, swr);
    store(&r, "/a", "", "old");
    rig_advance(&r, 6000);
    client = ask(&r, "GET", "/a", "");
    expect_answer(&r, client, 200, "old");
    close(next_fetch(&r, NULL, 0));
    expect_calm(&r);
    for (int i = 0; i < 3; i++) {
        say(&r, client, "GET /a HTTP/1.1\r\nHost: app.example.com\r\n\r\n");
        expect_answer(&r, client, 200, "old");
        expect_no_fetch(&r);
    }
    rig_advance(&r, 2000);
    say(&r, client, "GET /a HTTP/1.1\r\nHost: app.example.com\r\n\r\n");
    expect_answer(&r, client, 200, "old");
    answer(&r, next_fetch(&r, NULL, 0), "200 OK", "", "new");
    say(&r, client, "GET /a HTTP/1.1\r\nHost: app.example.com\r\n\r\n");
    expect_answer(&r, client, 200, "new");
    close(client);
    expect_calm(&r);
    rig_close(&r);
}

static void what_is_stale_stands_in_for_a_failure_that_is_not_remembered(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, long_patience);
    store(&r, "/a", "", "old");
    rig_advance(&r, 6000);
    const int client = ask(&r, "GET", "/a", "");
    answer(&r, next_fetch(&r, NULL, 0), "503 Service Unavailable", "", "no");
    expect_answer(&r, client, 200, "old");
    close(client);
    expect_calm(&r);
    rig_close(&r);
}

/* The body that takes its time is older when it is there than its head was. */
static void an_answer_ages_while_its_body_comes(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, first);
    const int client = ask(&r, "GET", "/a", "");
    const int server = next_fetch(&r, NULL, 0);
    say(&r, server, "HTTP/1.1 200 OK\r\n" MINUTE "Content-Length: 4\r\n\r\nsl");
    rig_advance(&r, 10000);
    say(&r, server, "ow");
    expect_at(&r, client, "Age: 10\r\n");
    close(server);
    close(client);
    expect_calm(&r);
    rig_close(&r);
}

/* ---- clients that go ---- */

static void a_fetch_survives_those_who_wait_for_it(void **state)
{
    struct rig r;
    int client[2];
    (void)state;
    rig_open(&r, first);
    client[0] = ask(&r, "GET", "/a", "");
    client[1] = ask(&r, "GET", "/a", "");
    const int server = next_fetch(&r, NULL, 0);
    close_all(&r, client, 2);
    assert_int_equal(front_client_count(r.worker->front), 0);
    answer(&r, server, "200 OK", MINUTE, "kept");
    expect_calm(&r);
    client[0] = ask(&r, "GET", "/a", "");
    expect_answer(&r, client[0], 200, "kept");
    close(client[0]);
    rig_close(&r);
}

static void a_fetch_ends_with_the_client_that_reads_along(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, first);
    const int client = ask(&r, "GET", "/a", "");
    const int server = next_fetch(&r, NULL, 0);
    say(&r, server, "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 100\r\n\r\nhello");
    assert_non_null(strstr(text_at(&r, client, buf, sizeof buf), "hello"));
    assert_int_equal(r.worker->env.fetch_count, 1);
    const struct linger at_once = {.l_onoff = 1}; /* an orderly end would only mean that it asks no more */
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(client);
    expect_calm(&r);
    assert_int_equal(rig_read(&r, server, buf, sizeof buf), -2); /* given up in the middle of an answer */
    close(server);
    rig_close(&r);
}

/* One connection, two requests: the second begins inside the end of the first. */
static void pipelined_requests_wait_for_their_turn(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, first);
    const int client = rig_client(&r, "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n"
                                      "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    answer(&r, next_fetch(&r, NULL, 0), "200 OK", MINUTE, "A");
    answer(&r, next_fetch(&r, NULL, 0), "200 OK", "Cache-Control: no-store\r\n", "B");
    char buf[8192];
    const char *text = text_at(&r, client, buf, sizeof buf);
    int count = 0;
    for (const char *at = text; (at = strstr(at, "HTTP/1.1 200 OK\r\n")) != NULL; at++)
        count++;
    assert_int_equal(count, 4);
    assert_non_null(strstr(text, "\r\n\r\nB"));
    assert_int_equal(counted(&r, STAT_ROUTE_CACHE_HITS), 2);
    close(client);
    expect_calm(&r);
    rig_close(&r);
}

static void clients_go_while_the_body_of_a_query_is_gathered(void **state)
{
    struct rig r;
    char said[4096];
    (void)state;
    rig_open(&r, query);
    static const char *const beginnings[] = {
        "POST /q HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhal",
        "POST /q HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n",
        "POST /q HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        "POST /q HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    };
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        const int client = rig_client(&r, beginnings[i]);
        expect_no_fetch(&r);
        close(client);
        expect_calm(&r);
    }
    int client =
        rig_client(&r, "POST /q HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
    expect_at(&r, client, "100 Continue");
    say(&r, client, "2\r\nab\r\n0\r\n\r\n");
    answer(&r, next_fetch(&r, said, sizeof said), "200 OK", "", "found");
    assert_non_null(strstr(said, "\r\n\r\nab"));
    expect_answer(&r, client, 200, "found");
    say(&r, client, "POST /q HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
    expect_answer(&r, client, 200, "found");
    close(client);
    expect_calm(&r);
    rig_close(&r);
}

/* ---- the worker's own life ---- */

static void a_fetch_goes_on_over_a_reload_that_removes_its_route(void **state)
{
    static const char other[] = "listen: [ { address: '127.0.0.1:1' } ]\n"
                                "pools: { web: { servers: [ { name: b, url: 'http://127.0.0.1:@b' } ] } }\n"
                                "routes: [ { name: other, path: /other, pool: web } ]\n";
    struct rig r;
    (void)state;
    rig_open(&r, first);
    const int client = ask(&r, "GET", "/a", "");
    const int server = next_fetch(&r, NULL, 0);
    rig_reload(&r, other);
    rig_reload(&r, first);
    rig_reload(&r, other);
    answer(&r, server, "200 OK", MINUTE, "still");
    expect_answer(&r, client, 200, "still");
    close(client);
    expect_calm(&r);
    rig_close(&r);
}

/* The sanitizers look for what is left. */
static void a_worker_ends_with_everything_under_way(void **state)
{
    struct rig r;
    int client[6];
    (void)state;
    rig_open(&r, first);
    client[0] = ask(&r, "GET", "/waits", "");
    client[1] = ask(&r, "GET", "/waits", "");
    client[2] = ask(&r, "GET", "/reads", "");
    (void)next_fetch(&r, NULL, 0);
    say(&r, next_fetch(&r, NULL, 0), "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 100\r\n\r\nhello");
    client[3] = ask(&r, "GET", "/collects", "");
    say(&r, next_fetch(&r, NULL, 0), "HTTP/1.1 200 OK\r\n" MINUTE "Content-Length: 100\r\n\r\nhello");
    client[4] = ask(&r, "GET", "/left", "");
    (void)next_fetch(&r, NULL, 0);
    close(client[4]);
    client[5] = ask(&r, "GET", "/waits", "");
    sim_settle(r.loop);
    assert_int_equal(r.worker->env.fetch_count, 4);
    rig_close(&r);
    for (int i = 0; i < 6; i++)
        if (i != 4)
            close(client[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_writer_is_known_to_the_origin_by_the_tag_it_was_given),
        cmocka_unit_test(head_of_what_is_not_stored_has_no_body),
        cmocka_unit_test(the_first_gets_what_is_not_stored_and_the_others_ask),
        cmocka_unit_test(an_answer_with_too_many_tags_reaches_its_client),
        cmocka_unit_test(what_the_origin_takes_back_is_not_served_stale),
        cmocka_unit_test(who_comes_after_a_purge_gets_nothing_from_before),
        cmocka_unit_test(a_purge_of_something_else_disturbs_nobody),
        cmocka_unit_test(a_field_learned_meanwhile_is_asked_with),
        cmocka_unit_test(also_of_an_answer_for_one_alone),
        cmocka_unit_test(the_network_is_waited_for_as_long_as_there_is_something_else),
        cmocka_unit_test(with_nothing_else_all_wait_for_the_network_and_then_ask),
        cmocka_unit_test(a_refresh_that_fails_is_not_repeated_at_once),
        cmocka_unit_test(what_is_stale_stands_in_for_a_failure_that_is_not_remembered),
        cmocka_unit_test(an_answer_ages_while_its_body_comes),
        cmocka_unit_test(a_fetch_survives_those_who_wait_for_it),
        cmocka_unit_test(a_fetch_ends_with_the_client_that_reads_along),
        cmocka_unit_test(pipelined_requests_wait_for_their_turn),
        cmocka_unit_test(clients_go_while_the_body_of_a_query_is_gathered),
        cmocka_unit_test(a_fetch_goes_on_over_a_reload_that_removes_its_route),
        cmocka_unit_test(a_worker_ends_with_everything_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
