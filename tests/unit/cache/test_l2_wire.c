/* Commands and replies as bytes, and what a reply may cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cache/l2_wire.h"

static void commands_are_safe_for_any_bytes(void **state)
{
    static const char wire[] = "*4\r\n$3\r\nSET\r\n$3\r\na\r\n\r\n$3\r\nx\0y\r\n$20\r\n-9223372036854775808\r\n";
    struct l2_args a = {0};
    struct l2_command c;
    (void)state;
    l2_args_text(&a, "SET");
    l2_args_text(&a, "a\r\n");
    l2_args_bytes(&a, "x\0y", 3);
    l2_args_int(&a, INT64_MIN);
    l2_command_init(&c, &a);
    assert_int_equal(c.len, sizeof wire - 1);
    assert_memory_equal(c.data, wire, c.len);
    l2_command_fini(&c);
    assert_null(c.data);
    l2_command_words(&c, "CLUSTER", "SLOTS", NULL);
    assert_int_equal(c.len, strlen("*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n"));
    l2_command_fini(&c);
}

/* A reply as text: kinds and contents. */
static void show(const struct l2_reply *r, char *out, size_t cap)
{
    const size_t at = strlen(out);
    switch (r->kind) {
    case L2_NIL:
        (void)snprintf(out + at, cap - at, "nil ");
        break;
    case L2_INTEGER:
        (void)snprintf(out + at, cap - at, "%lld ", (long long)r->integer);
        break;
    case L2_STATUS:
    case L2_ERROR:
    case L2_BULK:
        (void)snprintf(out + at, cap - at, "%c%zu'%s' ",
                       "+-$"[r->kind == L2_STATUS  ? 0
                             : r->kind == L2_ERROR ? 1
                                                   : 2],
                       r -> len, r -> text);
        break;
    case L2_ARRAY:
        (void)snprintf(out + at, cap - at, "[ ");
        for (size_t i = 0; i < r->len; i++)
            show(r->elements[i], out, cap);
        (void)snprintf(out + strlen(out), cap - strlen(out), "] ");
        break;
    }
}

/* All replies in `wire`, which arrives `piece` bytes at a time; what ended it in *e. */
static void read_all(const char *wire, size_t len, size_t piece, size_t reply_bytes_max, char *out, size_t cap,
                     enum err *e)
{
    struct l2_parser *p = l2_parser_create(reply_bytes_max);
    *out = '\0';
    *e = ERR_AGAIN;
    for (size_t at = 0; at < len && *e == ERR_AGAIN; at += piece) {
        struct l2_reply *r = NULL;
        *e = l2_parser_feed(p, wire + at, len - at < piece ? len - at : piece);
        while (*e == ERR_NONE)
            if ((*e = l2_parser_next(p, &r)) == ERR_NONE) {
                show(r, out, cap);
                l2_reply_destroy(&r);
                assert_null(r);
            }
    }
    l2_parser_destroy(&p);
}

static void replies_are_the_same_in_any_pieces(void **state)
{
    static const struct {
        const char *wire, *replies;
        enum err end;
    } cases[] = {
        {"+OK\r\n-ERR no\r\n:-42\r\n$-1\r\n$0\r\n\r\n$4\r\na\r\nb\r\n", "+2'OK' -6'ERR no' -42 nil $0'' $4'a\r\nb' ",
         ERR_AGAIN},
        {"*2\r\n*2\r\n$1\r\na\r\n*0\r\n*-1\r\n:7\r\n", "[ [ $1'a' [ ] ] nil ] 7 ", ERR_AGAIN},
        {"+OK\r\n$10\r\nhalf", "+2'OK' ", ERR_AGAIN},
        {"*3\r\n:1\r\n:2\r\n", "", ERR_AGAIN},
        {"+OK\r\nHTTP/1.1 400 Bad Request\r\n", "+2'OK' ", ERR_PROTOCOL},
        {"*2\r\n$1\r\na\r\n?\r\n", "", ERR_PROTOCOL},
        {"*65537\r\n", "", ERR_LIMIT},
        {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "[ [ [ [ [ [ [ 1 ] ] ] ] ] ] ] ", ERR_AGAIN},
        {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "", ERR_PROTOCOL},
    };
    char out[512];
    enum err e;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece <= strlen(cases[i].wire); piece++) {
            read_all(cases[i].wire, strlen(cases[i].wire), piece, 1000, out, sizeof out, &e);
            assert_string_equal(out, cases[i].replies);
            assert_int_equal(e, cases[i].end);
        }
}

static void what_a_reply_may_take_is_bounded(void **state)
{
    char wire[2048], out[512];
    enum err e;
    (void)state;
    /* A bulk that is announced as huge is given up as soon as more came than a reply may have. */
    memset(wire, 'x', sizeof wire);
    memcpy(wire, "$2000000000\r\n", 13);
    read_all(wire, 1000, 100, 1000, out, sizeof out, &e);
    assert_int_equal(e, ERR_AGAIN);
    read_all(wire, 1001, 100, 1000, out, sizeof out, &e);
    assert_int_equal(e, ERR_LIMIT);
    /* So is a line that never ends, and an array of small things. */
    wire[0] = '+';
    read_all(wire, sizeof wire, 100, 1000, out, sizeof out, &e);
    assert_true(e == ERR_LIMIT || e == ERR_PROTOCOL);
    memcpy(wire, "*60000\r\n", 8);
    for (size_t i = 8; i + 4 <= sizeof wire; i += 4)
        memcpy(wire + i, ":1\r\n", 4);
    read_all(wire, sizeof wire, 100, 1000, out, sizeof out, &e);
    assert_int_equal(e, ERR_LIMIT);
    /* Arrays announced within arrays, with nothing in them yet, would take memory for all their elements. */
    *wire = '\0';
    for (int i = 0; i < 6; i++)
        (void)snprintf(wire + strlen(wire), sizeof wire - strlen(wire), "*65536\r\n");
    read_all(wire, strlen(wire), 1, 1000, out, sizeof out, &e);
    assert_int_equal(e, ERR_LIMIT);
}

/* The bound is on each reply, not on what a connection ever carries. */
static void many_replies_are_not_one_large_one(void **state)
{
    char wire[4000];
    char out[16384];
    enum err e;
    (void)state;
    for (size_t i = 0; i < sizeof wire; i += 10)
        memcpy(wire + i, "$4\r\nabcd\r\n", 10);
    for (size_t piece = 1; piece < 100; piece += 7) {
        read_all(wire, sizeof wire, piece, 100, out, sizeof out, &e);
        assert_int_equal(e, ERR_AGAIN);
        assert_int_equal(strlen(out), 400 * strlen("$4'abcd' "));
    }
}

static void errors_are_told_apart_by_their_first_word(void **state)
{
    static const struct {
        const char *wire;
        enum l2_fault fault;
    } cases[] = {
        {"+OOM\r\n", L2_FAULT_NONE},
        {"-OOM command not allowed\r\n", L2_FAULT_FULL},
        {"-MISCONF Redis is configured to save\r\n", L2_FAULT_FULL},
        {"-LOADING\r\n", L2_FAULT_ILL},
        {"-BUSY Redis is busy running a script.\r\n", L2_FAULT_ILL},
        {"-CLUSTERDOWN The cluster is down\r\n", L2_FAULT_ILL},
        {"-NOAUTH Authentication required.\r\n", L2_FAULT_ACCESS},
        {"-MOVED 1 127.0.0.1:1\r\n", L2_FAULT_MOVED},
        {"-ASK 1 127.0.0.1:1\r\n", L2_FAULT_ASK},
        {"-ASKING\r\n", L2_FAULT_OTHER},
        {"-READONLY You can't write\r\n", L2_FAULT_READONLY},
        {"-WRONGTYPE Operation\r\n", L2_FAULT_TYPE},
        {"-moved 1 127.0.0.1:1\r\n", L2_FAULT_OTHER},
        {"-ERR MOVED\r\n", L2_FAULT_OTHER},
        {"-\r\n", L2_FAULT_OTHER},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct l2_parser *p = l2_parser_create(1000);
        struct l2_reply *r;
        assert_int_equal(l2_parser_feed(p, cases[i].wire, strlen(cases[i].wire)), ERR_NONE);
        assert_int_equal(l2_parser_next(p, &r), ERR_NONE);
        assert_int_equal(l2_reply_fault(r), cases[i].fault);
        l2_reply_destroy(&r);
        l2_parser_destroy(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_safe_for_any_bytes),
        cmocka_unit_test(replies_are_the_same_in_any_pieces),
        cmocka_unit_test(what_a_reply_may_take_is_bounded),
        cmocka_unit_test(many_replies_are_not_one_large_one),
        cmocka_unit_test(errors_are_told_apart_by_their_first_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
