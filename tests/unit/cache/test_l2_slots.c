/* Slots of keys, CLUSTER SLOTS and redirects: what is believed, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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

/* ---- maps ---- */

static const struct l2_address teller = {.host = "10.0.0.9", .port = 7000};

/* What comes over the wire, parsed as it is at work. */
static struct l2_reply *reply_of(const char *wire)
{
    struct l2_reply *reply = NULL;
    struct l2_parser *p = l2_parser_create(1u << 20);
    assert_int_equal(l2_parser_feed(p, wire, strlen(wire)), ERR_NONE);
    assert_int_equal(l2_parser_next(p, &reply), ERR_NONE);
    assert_non_null(reply);
    l2_parser_destroy(&p);
    return reply;
}

static enum err read_wire(struct l2_slots *s, const char *wire)
{
    struct l2_reply *reply = reply_of(wire);
    enum err e = l2_slots_read(s, reply, &teller);
    l2_reply_destroy(&reply);
    return e;
}

static void check_owner(const struct l2_slots *s, uint16_t slot, const char *host, uint16_t port)
{
    int owner = l2_slots_owner(s, slot);
    assert_true(owner >= 0);
    assert_string_equal(s->node[owner].host, host);
    assert_int_equal(s->node[owner].port, port);
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
    assert_int_equal(l2_slots_owner(s, 10923), -1); /* nobody serves it at the moment */
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
    assert_int_equal(l2_slots_owner(s, 30), -1);
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
    struct l2_address to = {.host = "i", .port = 8};
    assert_int_equal(read_wire(s, "*1\r\n*3\r\n:0\r\n:16383\r\n" NODE("h", "1", "7")), ERR_NONE);
    assert_int_equal(l2_slots_move(s, 3999, &to), 1);
    check_owner(s, 3999, "i", 8);
    check_owner(s, 3998, "h", 7);
    check_owner(s, 4000, "h", 7);
    for (unsigned i = 2; i < L2_NODES_MAX; i++) {
        to.port = (uint16_t)(100 + i);
        assert_int_equal(l2_slots_move(s, (uint16_t)i, &to), i);
    }
    to.port = 99;
    assert_int_equal(l2_slots_move(s, 4000, &to), -1); /* full; the slot stays where it was */
    check_owner(s, 4000, "h", 7);
    mem_free(s);
}

/* ---- redirects ---- */

static void redirects_name_a_slot_and_a_place(void **state)
{
    (void)state;
    static const struct {
        const char *wire, *host;
        uint16_t slot, port;
    } rows[] = {
        {"-MOVED 3999 127.0.0.1:6381\r\n", "127.0.0.1", 3999, 6381},
        {"-ASK 0 2001:db8::1:6381\r\n", "2001:db8::1", 0, 6381}, /* nodes write no brackets */
        {"-MOVED 16383 redis-3.example.com:1\r\n", "redis-3.example.com", 16383, 1},
        {"-MOVED 16383 :6381\r\n", "10.0.0.9", 16383, 6381}, /* the host that said so */
        {"-MOVED 1 127.0.0.1:6381,redis-3.example.com\r\n", "127.0.0.1", 1, 6381},
        {"-MOVED 1 127.0.0.1:6381 and more\r\n", "127.0.0.1", 1, 6381},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct l2_redirect r;
        struct l2_reply *error = reply_of(rows[i].wire);
        assert_true(l2_redirect_read(&r, error, &teller));
        assert_int_equal(r.slot, rows[i].slot);
        assert_int_equal(r.to.port, rows[i].port);
        assert_string_equal(r.to.host, rows[i].host);
        assert_false(r.to.is_unix);
        l2_reply_destroy(&error);
    }
}

static void redirects_that_lead_nowhere_are_told(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "-MOVED\r\n",
        "-MOVED \r\n",
        "-MOVED 3999\r\n",
        "-MOVED 3999 \r\n",
        "-MOVED  127.0.0.1:6381\r\n",
        "-MOVED x 127.0.0.1:6381\r\n",
        "-MOVED -1 127.0.0.1:6381\r\n",
        "-MOVED 16384 127.0.0.1:6381\r\n",
        "-MOVED 99999999999999999999 127.0.0.1:6381\r\n",
        "-ASK 5 ?:6381\r\n", /* it does not know */
        "-ASK 5 127.0.0.1\r\n",
        "-ASK 5 127.0.0.1:\r\n",
        "-ASK 5 127.0.0.1:0\r\n",
        "-ASK 5 127.0.0.1:65536\r\n",
        "-ASK 5 127.0.0.1:99999999999999999999\r\n",
        "-ASK 5 127.0.0.1:6381x\r\n",
        "-ASK 5 /run/redis.sock:6381\r\n",
        "-ASK 5 \x7f:6381\r\n",
        "-ASK 5 ,:6381\r\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct l2_redirect r;
        struct l2_reply *error = reply_of(rows[i]);
        assert_false(l2_redirect_read(&r, error, &teller));
        l2_reply_destroy(&error);
    }
}

static void hosts_are_bounded_and_those_of_sockets_are_not_borrowed(void **state)
{
    (void)state;
    char wire[2 * L2_HOST_BYTES];
    for (size_t host_len = L2_HOST_BYTES - 1; host_len <= L2_HOST_BYTES; host_len++) {
        (void)snprintf(wire, sizeof wire, "-MOVED 1 %0*d:6381\r\n", (int)host_len, 7);
        struct l2_redirect r;
        struct l2_reply *error = reply_of(wire);
        assert_int_equal(l2_redirect_read(&r, error, &teller), host_len < L2_HOST_BYTES);
        l2_reply_destroy(&error);
    }
    static const struct l2_address socket_teller = {.is_unix = true, .host = "/run/redis.sock"};
    struct l2_redirect r;
    struct l2_reply *error = reply_of("-MOVED 1 :6381\r\n");
    assert_false(l2_redirect_read(&r, error, &socket_teller));
    l2_reply_destroy(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_those_of_the_specification),
        cmocka_unit_test(a_hash_tag_decides_alone),
        cmocka_unit_test(without_a_whole_tag_all_of_the_key_counts),
        cmocka_unit_test(a_map_has_the_master_of_each_range),
        cmocka_unit_test(a_node_without_a_name_of_its_own_is_found_by_what_is_known),
        cmocka_unit_test(replies_of_another_shape_are_no_maps),
        cmocka_unit_test(a_map_of_nothing_is_none),
        cmocka_unit_test(more_masters_than_the_bound_are_refused),
        cmocka_unit_test(one_slot_moves_alone),
        cmocka_unit_test(redirects_name_a_slot_and_a_place),
        cmocka_unit_test(redirects_that_lead_nowhere_are_told),
        cmocka_unit_test(hosts_are_bounded_and_those_of_sockets_are_not_borrowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
