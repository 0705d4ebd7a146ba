/* Slots of keys, CLUSTER SLOTS and the errors of clusters: what is believed, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "base/mem.h"
#include "cache/l2_slots.h"

/* ---- slots ---- */

static void check_slot(const char *key, uint16_t slot)
{
    assert_int_equal(l2_slot_of(key, strlen(key)), slot);
}

static void slots_are_those_of_the_specification(void **state)
{
    (void)state;
    check_slot("123456789", 0x31c3 % 16384); /* the check value of CRC16/XMODEM is 0x31c3 */
    check_slot("", 0);
    /* As CLUSTER KEYSLOT of a Redis 7 says. */
    check_slot("foo", 12182);
    check_slot("bar", 5061);
    check_slot("somekey", 11058);
}

static void a_hash_tag_decides_alone(void **state)
{
    (void)state;
    static const struct {
        const char *key, *same_as;
    } rows[] = {
        {"{user1000}.following", "user1000"},
        {"{user1000}.followers", "user1000"},
        {"foo{bar}zap", "bar"},
        {"foo{bar}{zap}", "bar"},  /* the first tag counts */
        {"foo{{bar}}zap", "{bar"}, /* up to the first closing brace */
        {"tidegate:e:{ab}", "ab"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_slot(rows[i].key, l2_slot_of(rows[i].same_as, strlen(rows[i].same_as)));
}

static void without_a_whole_tag_all_of_the_key_counts(void **state)
{
    (void)state;
    check_slot("foo{}{bar}", 8363); /* an empty tag is none, and no second one is looked for */
    assert_int_not_equal(l2_slot_of("foo{bar", 7), l2_slot_of("bar", 3));
    assert_int_not_equal(l2_slot_of("foo}bar{", 8), l2_slot_of("bar", 3));
    assert_int_equal(l2_slot_of("a\0b", 3), l2_slot_of("x{a\0b}", 6)); /* keys are bytes */
}

/* ---- places ---- */

static void check_at(const char *text, const char *host, uint16_t port)
{
    struct l2_at at;
    assert_true(l2_at_parse(&at, text, strlen(text)));
    assert_string_equal(at.host, host);
    assert_int_equal(at.port, port);
}

static void places_are_read_as_nodes_and_configurations_write_them(void **state)
{
    (void)state;
    check_at("127.0.0.1:6381", "127.0.0.1", 6381);
    check_at("[2001:db8::1]:6381", "2001:db8::1", 6381);
    check_at("2001:db8::1:6381", "2001:db8::1", 6381); /* nodes write no brackets */
    check_at("redis-3.example.com:1", "redis-3.example.com", 1);
    check_at(":6381", "", 6381);
    check_at("127.0.0.1:6381,redis-3.example.com", "127.0.0.1", 6381);
}

static void what_is_no_place_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {"",           "host",    "host:",   "host:0",
                                       "host:65536", "host:-1", "h:6379x", "a b:6379",
                                       "h\n:6379",   "?:6379",  "ho[st:1", "host:99999999999999999999",
                                       "/run/x:1",   ","};
    struct l2_at at;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_false(l2_at_parse(&at, rows[i], strlen(rows[i])));
        assert_int_equal(at.port, 0);
    }
    char host[L2_HOST_BYTES];
    memset(host, 'a', sizeof host);
    assert_true(l2_at_set(&at, host, sizeof host - 1, 1));
    assert_false(l2_at_set(&at, host, sizeof host, 1));
}

static void an_empty_host_is_that_of_the_teller(void **state)
{
    (void)state;
    struct l2_at teller, at;
    assert_true(l2_at_parse(&teller, "10.0.0.1:7000", 13));
    assert_true(l2_at_parse(&at, ":7001", 5));
    l2_at_complete(&at, &teller);
    assert_string_equal(at.host, "10.0.0.1");
    assert_int_equal(at.port, 7001);
}

/* ---- maps ---- */

static struct l2_at teller_at(void)
{
    struct l2_at at;
    assert_true(l2_at_parse(&at, "10.0.0.9:7000", 13));
    return at;
}

/* Reads `wire` as the protocol has it: hiredis makes the reply, as it does at work. */
static enum err read_wire(struct l2_slots *s, const char *wire)
{
    void *reply = NULL;
    struct l2_at teller = teller_at();
    redisReader *reader = redisReaderCreate();
    assert_int_equal(redisReaderFeed(reader, wire, strlen(wire)), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    enum err e = l2_slots_read(s, reply, &teller);
    freeReplyObject(reply);
    redisReaderFree(reader);
    return e;
}

static void check_owner(const struct l2_slots *s, uint16_t slot, const char *host, uint16_t port)
{
    const struct l2_at *at = l2_slots_node(s, slot);
    assert_non_null(at);
    assert_string_equal(at->host, host);
    assert_int_equal(at->port, port);
}

#define NODE(host, host_len, port) "*3\r\n$" host_len "\r\n" host "\r\n:" port "\r\n$2\r\nid\r\n"

static void a_map_has_the_master_of_each_range(void **state)
{
    (void)state;
    struct l2_slots *s = mem_alloc(sizeof *s);
    assert_int_equal(read_wire(s,
                               "*3\r\n"
                               "*4\r\n:0\r\n:5460\r\n" NODE("10.0.0.1", "8", "7001")
                                   NODE("10.0.0.4", "8", "7004") "*3\r\n:5461\r\n:10922\r\n" NODE(
                                       "::1", "3", "7002") "*3\r\n:16000\r\n:16383\r\n" NODE("10.0.0.1", "8", "7001")),
                     ERR_NONE);
    assert_int_equal(s->node_count, 2); /* replicas are no concern of ours, and a master of two ranges is one */
    check_owner(s, 0, "10.0.0.1", 7001);
    check_owner(s, 5460, "10.0.0.1", 7001);
    check_owner(s, 5461, "::1", 7002);
    check_owner(s, 16383, "10.0.0.1", 7001);
    assert_null(l2_slots_node(s, 10923)); /* nobody serves it at the moment */
    mem_free(s);
}

static void a_node_without_a_name_of_its_own_is_found_by_what_is_known(void **state)
{
    (void)state;
    struct l2_slots *s = mem_alloc(sizeof *s);
    /* Unknown endpoint: the teller's host. "?": the address among the properties, else nobody. */
    assert_int_equal(read_wire(s, "*4\r\n"
                                  "*3\r\n:0\r\n:9\r\n*3\r\n$-1\r\n:7001\r\n$2\r\nid\r\n"
                                  "*3\r\n:10\r\n:19\r\n*3\r\n$0\r\n\r\n:7002\r\n$2\r\nid\r\n"
                                  "*3\r\n:20\r\n:29\r\n*4\r\n$1\r\n?\r\n:7003\r\n$2\r\nid\r\n"
                                  "*2\r\n$2\r\nip\r\n$8\r\n10.0.0.3\r\n"
                                  "*3\r\n:30\r\n:39\r\n*4\r\n$1\r\n?\r\n:7004\r\n$2\r\nid\r\n*0\r\n"),
                     ERR_NONE);
    check_owner(s, 0, "10.0.0.9", 7001);
    check_owner(s, 10, "10.0.0.9", 7002);
    check_owner(s, 20, "10.0.0.3", 7003);
    assert_null(l2_slots_node(s, 30));
    mem_free(s);
}

static void replies_of_another_shape_are_no_maps(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "+OK\r\n",
        "-ERR This instance has cluster support disabled\r\n",
        ":1\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "*1\r\n:1\r\n",                                                   /* a range that is none */
        "*1\r\n*0\r\n",                                                   /* an empty one */
        "*1\r\n*2\r\n:0\r\n:1\r\n",                                       /* without nodes */
        "*1\r\n*3\r\n:-1\r\n:5\r\n" NODE("h", "1", "1"),                  /* outside the slots */
        "*1\r\n*3\r\n:0\r\n:16384\r\n" NODE("h", "1", "1"),               /* outside the slots */
        "*1\r\n*3\r\n:9223372036854775807\r\n:3\r\n" NODE("h", "1", "1"), /* outside the slots */
        "*1\r\n*3\r\n:6\r\n:5\r\n" NODE("h", "1", "1"),                   /* backwards */
        "*1\r\n*3\r\n$1\r\n0\r\n:5\r\n" NODE("h", "1", "1"),              /* a number as text */
        "*1\r\n*3\r\n:0\r\n:5\r\n$1\r\nh\r\n",                            /* a node that is a text */
        "*1\r\n*3\r\n:0\r\n:5\r\n*1\r\n$1\r\nh\r\n",                      /* without a port */
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\nh\r\n$1\r\n7\r\n",           /* a port as text */
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n:5\r\n:7\r\n",                     /* a number for a host */
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n*0\r\n:7\r\n",                     /* an array for a host */
    };
    struct l2_slots *s = mem_alloc(sizeof *s);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(read_wire(s, rows[i]), ERR_INVALID);
    mem_free(s);
}

static void a_map_of_nothing_is_none(void **state)
{
    (void)state;
    struct l2_slots *s = mem_alloc(sizeof *s);
    assert_int_equal(read_wire(s, "*0\r\n"), ERR_NOT_FOUND);
    /* Nor one whose nodes cannot be gone to: no port, a host with a line feed. */
    assert_int_equal(
        read_wire(s, "*2\r\n*3\r\n:0\r\n:5\r\n" NODE("h", "1", "0") "*3\r\n:6\r\n:7\r\n" NODE("h\ni", "3", "7")),
        ERR_NOT_FOUND);
    mem_free(s);
}

static void more_masters_than_the_bound_are_refused(void **state)
{
    (void)state;
    struct l2_slots *s = mem_alloc(sizeof *s);
    char wire[8192];
    for (unsigned count = L2_NODES_MAX; count <= L2_NODES_MAX + 1; count++) {
        size_t len = (size_t)snprintf(wire, sizeof wire, "*%u\r\n", count);
        for (unsigned i = 0; i < count; i++)
            len += (size_t)snprintf(wire + len, sizeof wire - len, "*3\r\n:%u\r\n:%u\r\n*2\r\n$1\r\nh\r\n:%u\r\n", i, i,
                                    i + 1);
        assert_int_equal(read_wire(s, wire), count <= L2_NODES_MAX ? ERR_NONE : ERR_LIMIT);
    }
    mem_free(s);
}

static void one_slot_moves_alone(void **state)
{
    (void)state;
    struct l2_slots *s = mem_alloc(sizeof *s);
    struct l2_at to;
    assert_int_equal(read_wire(s, "*1\r\n*3\r\n:0\r\n:16383\r\n" NODE("h", "1", "7")), ERR_NONE);
    assert_true(l2_at_parse(&to, "i:8", 3));
    assert_true(l2_slots_move(s, 3999, &to));
    check_owner(s, 3999, "i", 8);
    check_owner(s, 3998, "h", 7);
    check_owner(s, 4000, "h", 7);
    for (unsigned i = 0; i < L2_NODES_MAX - 2; i++) {
        assert_true(l2_at_set(&to, "j", 1, (int64_t)i + 1));
        assert_true(l2_slots_move(s, (uint16_t)i, &to));
    }
    assert_true(l2_at_set(&to, "k", 1, 1));
    assert_false(l2_slots_move(s, 4000, &to)); /* full; the slot stays where it was */
    check_owner(s, 4000, "h", 7);
    mem_free(s);
}

/* ---- pleas ---- */

static void pleas_are_told_from_ordinary_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum l2_plea plea;
    } rows[] = {
        {"MOVED 3999 127.0.0.1:6381", L2_PLEA_MOVED},
        {"ASK 3999 127.0.0.1:6381", L2_PLEA_ASK},
        {"TRYAGAIN Multiple keys request during rehashing of slot", L2_PLEA_TRYAGAIN},
        {"CLUSTERDOWN Hash slot not served", L2_PLEA_CLUSTERDOWN},
        {"CLUSTERDOWN", L2_PLEA_CLUSTERDOWN},
        {"LOADING Redis is loading the dataset in memory", L2_PLEA_LOADING},
        {"READONLY You can't write against a read only replica.", L2_PLEA_READONLY},
        {"MASTERDOWN Link with MASTER is down", L2_PLEA_MASTERDOWN},
        {"", L2_PLEA_NONE},
        {"ERR unknown command", L2_PLEA_NONE},
        {"moved 3999 127.0.0.1:6381", L2_PLEA_NONE},
        {"MOVEDX 3999 127.0.0.1:6381", L2_PLEA_NONE},
        {"ASKING", L2_PLEA_NONE},
        {"OOM command not allowed when used memory > 'maxmemory'.", L2_PLEA_NONE},
        /* Redirects that lead nowhere. */
        {"MOVED", L2_PLEA_NONE},
        {"MOVED ", L2_PLEA_NONE},
        {"MOVED 3999", L2_PLEA_NONE},
        {"MOVED 16384 127.0.0.1:6381", L2_PLEA_NONE},
        {"MOVED -1 127.0.0.1:6381", L2_PLEA_NONE},
        {"MOVED 99999999999999999999 127.0.0.1:6381", L2_PLEA_NONE},
        {"MOVED x 127.0.0.1:6381", L2_PLEA_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(l2_plea_of(rows[i].text, strlen(rows[i].text), NULL), rows[i].plea);
}

static void redirects_name_a_slot_and_a_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        uint16_t slot, port;
    } rows[] = {
        {"MOVED 3999 127.0.0.1:6381", "127.0.0.1", 3999, 6381},
        {"ASK 0 2001:db8::1:6381", "2001:db8::1", 0, 6381},
        {"MOVED 16383 :6381", "", 16383, 6381}, /* the host that said so */
        {"MOVED 5 ?:6381", "", 5, 0},           /* it does not know: the map has to be asked for */
        {"MOVED 5 127.0.0.1:0", "", 5, 0},
        {"MOVED 5 127.0.0.1", "", 5, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct l2_redirect r;
        assert_int_not_equal(l2_plea_of(rows[i].text, strlen(rows[i].text), &r), L2_PLEA_NONE);
        assert_int_equal(r.slot, rows[i].slot);
        assert_int_equal(r.to.port, rows[i].port);
        assert_string_equal(r.to.host, rows[i].host);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_those_of_the_specification),
        cmocka_unit_test(a_hash_tag_decides_alone),
        cmocka_unit_test(without_a_whole_tag_all_of_the_key_counts),
        cmocka_unit_test(places_are_read_as_nodes_and_configurations_write_them),
        cmocka_unit_test(what_is_no_place_is_refused),
        cmocka_unit_test(an_empty_host_is_that_of_the_teller),
        cmocka_unit_test(a_map_has_the_master_of_each_range),
        cmocka_unit_test(a_node_without_a_name_of_its_own_is_found_by_what_is_known),
        cmocka_unit_test(replies_of_another_shape_are_no_maps),
        cmocka_unit_test(a_map_of_nothing_is_none),
        cmocka_unit_test(more_masters_than_the_bound_are_refused),
        cmocka_unit_test(one_slot_moves_alone),
        cmocka_unit_test(pleas_are_told_from_ordinary_errors),
        cmocka_unit_test(redirects_name_a_slot_and_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
