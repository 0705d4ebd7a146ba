/* The sifter: whatever the cut, the same messages are looked at, the same ones pass with the very bytes they came in,
 * and nobody hears anything once it was stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/gateway/ws/sift_stream.h"

/* ---- one who listens ---- */

/* What a message's first letter asks for: d, D to be dropped, everything else to pass; a capital letter only once it
 * has been seen whole or there will not be more. What is heard is written down as text. */
struct ear {
    struct sift sift;
    struct bytes passed;
    char log[4096];
    size_t log_len;
    uint32_t pass_count, look_count;
    const char *stops_at; /* the callback that stops the sifter: the first letter of its line */
    const char *drops_at; /* the same, for giving up the rest */
    const char *flushes_at;
    bool was_stopped;
};

static void heard(struct ear *e, const char *what, const char *text, size_t len)
{
    assert_false(e->was_stopped);
    const int n = snprintf(e->log + e->log_len, sizeof e->log - e->log_len, "%s%.*s\n", what, (int)len, text);
    e->log_len += (size_t)n;
    assert_true(e->log_len < sizeof e->log);
    if (e->stops_at != NULL && what[0] == e->stops_at[0]) {
        e->was_stopped = true;
        sift_stop(&e->sift);
    }
    if (e->drops_at != NULL && what[0] == e->drops_at[0])
        sift_drop_rest(&e->sift);
    if (e->flushes_at != NULL && what[0] == e->flushes_at[0])
        sift_flush(&e->sift);
}

static enum sift_verdict on_message(void *arg, const struct ws_message *m)
{
    struct ear *e = arg;
    assert_true(m->len <= TAKE);
    assert_true(m->is_whole || m->len >= LOOK || m->is_at_limit);
    assert_false(m->is_whole && m->is_at_limit);
    assert_true(m->is_whole == (m->frames != NULL) && m->is_whole == (m->frames_bytes > 0));
    e->look_count++;
    const char letter = m->len > 0 ? (char)m->payload[0] : 'p';
    const bool is_patient = letter >= 'A' && letter <= 'Z';
    if (is_patient && !m->is_whole && !m->is_at_limit)
        return SIFT_MORE;
    if (is_patient) /* what is seen of others depends on the cut */
        heard(e, m->is_whole ? "message " : "limit ", (const char *)m->payload, m->len);
    return letter == 'd' || letter == 'D' ? SIFT_DROP : SIFT_PASS;
}

static void on_pass(void *arg, const uint8_t *frames, size_t len)
{
    struct ear *e = arg;
    assert_true(len > 0 && !e->was_stopped);
    e->pass_count++;
    add(&e->passed, frames, len);
    if (e->stops_at != NULL && e->stops_at[0] == '>') {
        e->was_stopped = true;
        sift_stop(&e->sift);
    }
    if (e->drops_at != NULL && e->drops_at[0] == '>')
        sift_drop_rest(&e->sift);
}

static void on_ping(void *arg, const uint8_t *payload, size_t len)
{
    heard(arg, "ping ", (const char *)payload, len);
}

static void on_pong(void *arg, const uint8_t *payload, size_t len)
{
    heard(arg, "answer ", (const char *)payload, len);
}

static void on_close(void *arg, uint16_t code, const char *reason, size_t len)
{
    char what[32];
    (void)snprintf(what, sizeof what, "close %u ", code);
    heard(arg, what, reason, len);
}

static void on_bad(void *arg, uint16_t code, const char *error)
{
    char what[32];
    (void)snprintf(what, sizeof what, "bad %u ", code);
    heard(arg, what, error, strlen(error));
}

static const struct sift_ops ops = {.on_message = on_message,
                                    .on_pass = on_pass,
                                    .on_ping = on_ping,
                                    .on_pong = on_pong,
                                    .on_close = on_close,
                                    .on_bad = on_bad};

static void ear_open(struct ear *e, enum ws_sender sender)
{
    *e = (struct ear){.passed = {.len = 0}};
    sift_init(&e->sift, sender, MAX_MESSAGE, LOOK, TAKE, &ops, e);
}

/* Each piece from memory of its own size, so that a sanitizer sees who reads on. */
static void ear_feed(struct ear *e, const uint8_t *data, size_t len)
{
    uint8_t *copy = test_malloc(len > 0 ? len : 1);
    if (len > 0)
        memcpy(copy, data, len);
    sift_feed(&e->sift, copy, len);
    test_free(copy);
}

static void ear_close(struct ear *e)
{
    sift_fini(&e->sift);
}

/* ---- streams ---- */

struct part {
    uint8_t first;
    const char *payload;
    bool passes;
};
#define TEXT(t, passes)                                                                                                \
    {                                                                                                                  \
        WS_FIN | WS_OPCODE_TEXT, t, passes                                                                             \
    }
#define BIN(t, passes)                                                                                                 \
    {                                                                                                                  \
        WS_FIN | WS_OPCODE_BINARY, t, passes                                                                           \
    }
#define BEGIN(t, passes)                                                                                               \
    {                                                                                                                  \
        WS_OPCODE_TEXT, t, passes                                                                                      \
    }
#define MID(t, passes)                                                                                                 \
    {                                                                                                                  \
        WS_OPCODE_CONTINUATION, t, passes                                                                              \
    }
#define END(t, passes)                                                                                                 \
    {                                                                                                                  \
        WS_FIN | WS_OPCODE_CONTINUATION, t, passes                                                                     \
    }
#define PING(t)                                                                                                        \
    {                                                                                                                  \
        WS_FIN | WS_OPCODE_PING, t, false                                                                              \
    }
#define PONG(t)                                                                                                        \
    {                                                                                                                  \
        WS_FIN | WS_OPCODE_PONG, t, false                                                                              \
    }
#define CLOSE(t)                                                                                                       \
    {                                                                                                                  \
        WS_FIN | WS_OPCODE_CLOSE, t, false                                                                             \
    }
#define PARTS_MAX 12u

struct stream {
    const char *name;
    struct part parts[PARTS_MAX];
    const char *log; /* what is heard, in whatever cut */
};

static const struct stream streams[] = {
    {"nothing", {{0}}, ""},
    {"short ones", {TEXT("p1", true), TEXT("d2", false), BIN("p3", true), TEXT("", true), TEXT("p4", true)}, ""},
    {"looked at whole",
     {TEXT("Pass me", true), TEXT("Drop me", false), BIN("Pass me as well, I am longer", true)},
     "message Pass me\nmessage Drop me\nmessage Pass me as well, I am longer\n"},
    {"exactly what is looked at", {TEXT("P2345678", true), TEXT("p2345678", true)}, "message P2345678\n"},
    {"exactly what is taken",
     {TEXT("P234567890123456789012345678901234567890", true), TEXT("p", true)},
     "message P234567890123456789012345678901234567890\n"},
    {"longer than is taken",
     {TEXT("P2345678901234567890123456789012345678901", true),
      TEXT("D2345678901234567890123456789012345678901 and so on", false), TEXT("p", true)},
     "limit P234567890123456789012345678901234567890\nlimit D234567890123456789012345678901234567890\n"},
    {"long, decided early",
     {TEXT("pass all of these bytes, which are too many to be taken", true),
      TEXT("drop all of these bytes, which are too many to be taken", false), TEXT("p", true)},
     ""},
    {"in pieces",
     {BEGIN("P one ", true), MID("two ", true), END("three", true), BEGIN("D four ", false), END("five", false),
      BEGIN("", true), MID("", true), END("P six", true), TEXT("p", true)},
     "message P one two three\nmessage D four five\nmessage P six\n"},
    {"in pieces, decided early",
     {BEGIN("pass all ", true), MID("of these ", true), END("bytes", true), BEGIN("drop all ", false),
      END("of these", false), TEXT("p", true)},
     ""},
    {"in pieces, longer than is taken",
     {BEGIN("P2345678901234567890", true), MID("12345678901234567890", true), END("rest", true),
      BEGIN("D234567890123456789", false), MID("012345678901234567890", false), MID("rest", false), END("", false)},
     "limit P234567890123456789012345678901234567890\nlimit D234567890123456789012345678901234567890\n"},
    {"control frames in between",
     {PING("1"), TEXT("p", true), PONG("two"), BEGIN("P a", true), PING(""), MID("b", true), PONG("3"), END("c", true),
      PING("4"), TEXT("Drop", false), PONG("")},
     "ping 1\nanswer two\nping \nanswer 3\nmessage P abc\nping 4\nmessage Drop\nanswer \n"},
    {"closed",
     {TEXT("p", true),
      CLOSE("\x03\xe8"
            "bye"),
      TEXT("p", false), PING("x")},
     "close 1000 bye\n"},
    {"closed inside a message", {BEGIN("P a", false), CLOSE("\x03\xf4"), MID("b", false)}, "close 1012 \n"},
    {"closed without a code", {CLOSE(""), PING("x")}, "close 1005 \n"},
    {"a close code nobody may use",
     {TEXT("p", true), CLOSE("\x03\xed"), PING("x")},
     "bad 1002 close code not allowed\n"},
    {"an unknown opcode",
     {TEXT("p", true), PING("x"), {WS_FIN | 3, "y", false}, TEXT("p", false)},
     "ping x\nbad 1002 unknown opcode\n"},
    {"compressed", {TEXT("p", true), {WS_FIN | WS_RSV1 | WS_OPCODE_TEXT, "y", false}}, "bad 1002 reserved bits set\n"},
    {"a message inside another", {BEGIN("P a", false), TEXT("P b", false)}, "bad 1002 new message inside another\n"},
    {"the end of nothing", {TEXT("p", true), END("b", false)}, "bad 1002 continuation of nothing\n"},
};

static void build(const struct stream *st, enum ws_sender sender, struct bytes *in, struct bytes *expected)
{
    in->len = expected->len = 0;
    for (size_t i = 0; i < PARTS_MAX && st->parts[i].payload != NULL; i++) {
        const struct part *p = &st->parts[i];
        const size_t from = in->len;
        add_frame(in, sender, p->first, p->payload, strlen(p->payload));
        if (p->passes)
            add(expected, in->data + from, in->len - from);
    }
}

static void check_heard(const struct ear *e, const struct stream *st, const struct bytes *expected)
{
    if (strcmp(e->log, st->log) != 0 || e->passed.len != expected->len ||
        memcmp(e->passed.data, expected->data, expected->len) != 0)
        fail_msg("%s: heard %s, %zu bytes passed of %zu", st->name, e->log, e->passed.len, expected->len);
}

static const enum ws_sender senders[] = {WS_SENDER_CLIENT, WS_SENDER_SERVER};

static void every_stream_in_every_cut(void **state)
{
    (void)state;
    static struct bytes in, expected;
    static struct ear e;
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        for (size_t j = 0; j < 2; j++) {
            build(&streams[i], senders[j], &in, &expected);
            for (size_t cut = 0; cut <= in.len; cut++) { /* in two */
                ear_open(&e, senders[j]);
                ear_feed(&e, in.data, cut);
                ear_feed(&e, in.data + cut, in.len - cut);
                check_heard(&e, &streams[i], &expected);
                ear_close(&e);
            }
            for (size_t piece = 1; piece < in.len; piece++) { /* in as many as there are */
                ear_open(&e, senders[j]);
                for (size_t at = 0; at < in.len; at += piece)
                    ear_feed(&e, in.data + at, in.len - at < piece ? in.len - at : piece);
                check_heard(&e, &streams[i], &expected);
                ear_close(&e);
            }
        }
    }
}

/* ---- what it costs ---- */

static void a_read_full_of_messages_is_one_write(void **state)
{
    (void)state;
    static struct bytes in;
    static struct ear e;
    for (size_t j = 0; j < 2; j++) {
        in.len = 0;
        for (size_t i = 0; i < 100; i++)
            add_frame(&in, senders[j], WS_FIN | WS_OPCODE_TEXT, i % 2 == 0 ? "p, one of many" : "P",
                      i % 2 == 0 ? 14 : 1);
        ear_open(&e, senders[j]);
        ear_feed(&e, in.data, in.len);
        assert_int_equal(e.pass_count, 1);
        assert_int_equal(e.passed.len, in.len);
        assert_int_equal(e.look_count, 100);
        assert_null(e.sift.frames.data); /* nothing was kept */
        assert_null(e.sift.payload.data);
        ear_close(&e);
    }
}

static void a_dropped_one_ends_the_run(void **state)
{
    (void)state;
    static struct bytes in;
    static struct ear e;
    in.len = 0;
    add_frame(&in, WS_SENDER_SERVER, WS_FIN | WS_OPCODE_TEXT, "p1", 2);
    add_frame(&in, WS_SENDER_SERVER, WS_FIN | WS_OPCODE_TEXT, "d2", 2);
    add_frame(&in, WS_SENDER_SERVER, WS_FIN | WS_OPCODE_TEXT, "p3", 2);
    ear_open(&e, WS_SENDER_SERVER);
    ear_feed(&e, in.data, in.len);
    assert_int_equal(e.pass_count, 2);
    assert_memory_equal(e.passed.data, "\x81\x02p1\x81\x02p3", 8);
    ear_close(&e);
}

/* ---- bounds ---- */

static void what_passes_is_not_held(void **state)
{
    (void)state;
    static uint8_t text[MAX_MESSAGE];
    static struct bytes in;
    static struct ear e;
    memset(text, 'P', sizeof text);
    for (size_t j = 0; j < 2; j++) {
        in.len = 0;
        add_frame(&in, senders[j], WS_FIN | WS_OPCODE_BINARY, text, sizeof text);
        ear_open(&e, senders[j]);
        for (size_t at = 0; at < in.len; at += 100) {
            ear_feed(&e, in.data + at, in.len - at < 100 ? in.len - at : 100);
            assert_true(e.passed.len == (at + 100 < in.len ? at + 100 : in.len));
            assert_null(e.sift.frames.data);
            assert_true(sift_is_between_messages(&e.sift) == (at + 100 >= in.len));
        }
        assert_memory_equal(e.passed.data, in.data, in.len);
        ear_close(&e);
    }
}

static void frames_without_payload_use_up_what_may_be_held(void **state)
{
    (void)state;
    static struct bytes in;
    static struct ear e;
    for (size_t j = 0; j < 2; j++) {
        in.len = 0;
        add_frame(&in, senders[j], WS_OPCODE_TEXT, "P", 1);
        while (in.len < 10000)
            add_frame(&in, senders[j], WS_OPCODE_CONTINUATION, "", 0);
        add_frame(&in, senders[j], WS_FIN | WS_OPCODE_CONTINUATION, "", 0);
        ear_open(&e, senders[j]);
        for (size_t at = 0; at < in.len; at++) {
            ear_feed(&e, in.data + at, 1);
            assert_true(e.sift.frames.len <= TAKE + 4096);
        }
        assert_string_equal(e.log, "limit P\n");
        assert_memory_equal(e.passed.data, in.data, in.len);
        ear_close(&e);
    }
}

static void too_long_a_message_is_refused_at_its_header(void **state)
{
    (void)state;
    static struct bytes in;
    static struct ear e;
    uint8_t header[WS_HEADER_BYTES];
    in.len = 0;
    add_frame(&in, WS_SENDER_SERVER, WS_FIN | WS_OPCODE_TEXT, "p", 1);
    const size_t good = in.len;
    add(&in, header, ws_header_build(header, WS_OPCODE_TEXT, MAX_MESSAGE + 1, NULL));
    ear_open(&e, WS_SENDER_SERVER);
    ear_feed(&e, in.data, in.len);
    assert_string_equal(e.log, "bad 1009 message too big\n");
    assert_int_equal(e.passed.len, good);
    ear_close(&e);
}

static void a_frame_of_the_other_side_is_refused(void **state)
{
    (void)state;
    static struct bytes in;
    static struct ear e;
    for (size_t j = 0; j < 2; j++) {
        in.len = 0;
        add_frame(&in, senders[1 - j], WS_FIN | WS_OPCODE_TEXT, "p", 1);
        ear_open(&e, senders[j]);
        ear_feed(&e, in.data, in.len);
        assert_string_equal(e.log, senders[j] == WS_SENDER_CLIENT ? "bad 1002 unmasked frame from a client\n"
                                                                  : "bad 1002 masked frame from a server\n");
        assert_int_equal(e.passed.len, 0);
        ear_close(&e);
    }
}

/* ---- what callbacks may do ---- */

/* Each callback in turn stops the sifter; heard() and on_pass() fail when they are called after that. */
static void stopping_is_honoured_at_once(void **state)
{
    (void)state;
    static const char *const stops[] = {"message", "limit", "ping", "answer", "close", "bad", ">"};
    static struct bytes in, expected;
    static struct ear e;
    uint32_t stopped_count = 0;
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        for (size_t k = 0; k < 2 * sizeof stops / sizeof stops[0]; k++) {
            const enum ws_sender sender = senders[k % 2];
            build(&streams[i], sender, &in, &expected);
            for (size_t piece = 1; piece <= in.len; piece++) {
                ear_open(&e, sender);
                e.stops_at = stops[k / 2];
                for (size_t at = 0; at < in.len; at += piece)
                    ear_feed(&e, in.data + at, in.len - at < piece ? in.len - at : piece);
                assert_true(e.passed.len <= expected.len);
                assert_memory_equal(e.passed.data, expected.data, e.passed.len);
                stopped_count += e.was_stopped;
                ear_close(&e);
            }
        }
    }
    assert_true(stopped_count > 1000);
}

static void the_rest_of_a_message_can_be_given_up(void **state)
{
    (void)state;
    static struct bytes in;
    static struct ear e;
    for (size_t j = 0; j < 2; j++) {
        in.len = 0;
        add_frame(&in, senders[j], WS_OPCODE_TEXT, "passes, but its receiver", 24);
        const size_t gone = in.len - 3;
        add_frame(&in, senders[j], WS_FIN | WS_OPCODE_CONTINUATION, "dies", 4);
        const size_t next = in.len;
        add_frame(&in, senders[j], WS_FIN | WS_OPCODE_TEXT, "p", 1);
        ear_open(&e, senders[j]);
        ear_feed(&e, in.data, gone);
        assert_int_equal(e.passed.len, gone);
        assert_false(sift_is_between_messages(&e.sift));
        sift_drop_rest(&e.sift);
        assert_true(sift_is_between_messages(&e.sift));
        ear_feed(&e, in.data + gone, in.len - gone);
        assert_int_equal(e.passed.len, gone + in.len - next);
        assert_memory_equal(e.passed.data + gone, in.data + next, in.len - next);
        sift_drop_rest(&e.sift); /* of nothing */
        ear_feed(&e, in.data + next, in.len - next);
        assert_int_equal(e.passed.len, gone + 2 * (in.len - next));
        ear_close(&e);
    }
}

/* Whoever finds out while handing a part on that nobody takes it. */
static void the_rest_can_be_given_up_from_within(void **state)
{
    (void)state;
    static struct bytes in, expected;
    static struct ear e;
    for (size_t j = 0; j < 2; j++) {
        in.len = expected.len = 0;
        add_frame(&in, senders[j], WS_OPCODE_TEXT, "pass this part only", 19);
        add(&expected, in.data, in.len);
        add_frame(&in, senders[j], WS_FIN | WS_OPCODE_PING, "1", 1);
        add_frame(&in, senders[j], WS_FIN | WS_OPCODE_CONTINUATION, "not this", 8);
        const size_t next = in.len;
        add_frame(&in, senders[j], WS_FIN | WS_OPCODE_TEXT, "p", 1);
        add(&expected, in.data + next, in.len - next);
        ear_open(&e, senders[j]);
        e.drops_at = ">";
        ear_feed(&e, in.data, in.len);
        assert_int_equal(e.passed.len, expected.len);
        assert_memory_equal(e.passed.data, expected.data, expected.len);
        ear_close(&e);
    }
}

static void a_flush_keeps_what_passed_in_front(void **state)
{
    (void)state;
    static struct bytes in;
    static struct ear e;
    in.len = 0;
    add_frame(&in, WS_SENDER_SERVER, WS_FIN | WS_OPCODE_TEXT, "p1", 2);
    add_frame(&in, WS_SENDER_SERVER, WS_FIN | WS_OPCODE_TEXT, "P2", 2); /* says something of its own first */
    add_frame(&in, WS_SENDER_SERVER, WS_FIN | WS_OPCODE_TEXT, "p3", 2);
    ear_open(&e, WS_SENDER_SERVER);
    e.flushes_at = "message";
    ear_feed(&e, in.data, in.len);
    assert_int_equal(e.pass_count, 2);
    assert_int_equal(e.passed.len, in.len);
    assert_memory_equal(e.passed.data, in.data, in.len);
    sift_flush(&e.sift);
    assert_int_equal(e.pass_count, 2);
    ear_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stream_in_every_cut),
        cmocka_unit_test(a_read_full_of_messages_is_one_write),
        cmocka_unit_test(a_dropped_one_ends_the_run),
        cmocka_unit_test(what_passes_is_not_held),
        cmocka_unit_test(frames_without_payload_use_up_what_may_be_held),
        cmocka_unit_test(too_long_a_message_is_refused_at_its_header),
        cmocka_unit_test(a_frame_of_the_other_side_is_refused),
        cmocka_unit_test(stopping_is_honoured_at_once),
        cmocka_unit_test(the_rest_of_a_message_can_be_given_up),
        cmocka_unit_test(the_rest_can_be_given_up_from_within),
        cmocka_unit_test(a_flush_keeps_what_passed_in_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
