/* The words of servers, by tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/realtime/phx_answer.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct phx_text text_of(const char *s)
{
    return (struct phx_text){s, strlen(s)};
}

static void assert_text(struct phx_text t, const char *expected)
{
    if (!phx_text_is(t, expected))
        fail_msg("\"%.*s\" instead of \"%s\"", (int)t.len, t.data != NULL ? t.data : "", expected);
}

/* clang-format off */
static const struct {
    const char *payload;
    bool is_ok;
    const char *response, *reason, *changes;
} replies[] = {
    {"{\"status\":\"ok\",\"response\":{}}", true, "{}", "", ""},
    {"{\"response\":{},\"status\":\"ok\"}", true, "{}", "", ""},
    {"{\"status\":\"ok\",\"response\":{\"postgres_changes\":[{\"id\":1}]}}", true, "{\"postgres_changes\":[{\"id\":1}]}", "", "[{\"id\":1}]"},
    {"{\"status\":\"error\",\"response\":{\"reason\":\"Unauthorized: no\"}}", false, "{\"reason\":\"Unauthorized: no\"}", "\"Unauthorized: no\"", ""},
    {"{\"status\":\"error\",\"response\":\"payload_size_exceeded\"}", false, "\"payload_size_exceeded\"", "\"payload_size_exceeded\"", ""},
    {"{\"status\":\"error\"}", false, "", "", ""},
    {"{\"status\":\"error\",\"response\":{\"reason\":{\"a\":1}}}", false, "{\"reason\":{\"a\":1}}", "", ""},
    {"{\"status\":\"timeout\",\"response\":null}", false, "null", "", ""},
};
/* clang-format on */

static void replies_are_read(void **state)
{
    static const char *const others[] = {
        "", "{}", "[]", "{\"status\":1}", "{\"status\":\"ok\"", "{\"status\":\"ok\"}}"};
    struct phx_reply r;
    (void)state;
    for (size_t i = 0; i < COUNT(replies); i++) {
        assert_true(phx_reply_read(&r, text_of(replies[i].payload)));
        assert_int_equal(r.is_ok, replies[i].is_ok);
        assert_text(r.response, replies[i].response);
        assert_text(r.reason, replies[i].reason);
        assert_text(r.changes, replies[i].changes);
    }
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(phx_reply_read(&r, text_of(others[i])));
}

static const struct {
    const char *reason;
    enum phx_refusal refusal;
} refusals[] = {
    {"\"Unauthorized: You do not have permissions to read from this Channel topic: room\"", PHX_REFUSED},
    {"\"PrivateOnly: This project only allows private channels\"", PHX_REFUSED},
    {"\"unmatched topic\"", PHX_REFUSED},
    {"\"you are banned\"", PHX_REFUSED},
    {"\"\"", PHX_REFUSED},
    {"", PHX_REFUSED},
    {"\"UnauthorizedToo: x\"", PHX_REFUSED},
    {"\"InvalidJWTToken: Token has expired 10 seconds ago\"", PHX_REFUSED_TOKEN},
    {"\"MalformedJWT: The token provided is not a valid JWT\"", PHX_REFUSED_TOKEN},
    {"\"RealtimeRestarting: Realtime is restarting, please standby\"", PHX_REFUSED_RESTARTING},
    {"\"Unknown Error on Channel\"", PHX_REFUSED_HERE},
    {"\"ClientJoinRateLimitReached: Too many joins per second\"", PHX_REFUSED_FOR_MOMENT},
    {"\"IncreaseConnectionPool: Please increase your connection pool size\"", PHX_REFUSED_FOR_MOMENT},
    {"\"InitializingProjectConnection: Realtime is initializing the project connection\"", PHX_REFUSED_FOR_MOMENT},
};

static void refusals_say_what_to_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++)
        assert_int_equal(phx_refusal_of(text_of(refusals[i].reason)), refusals[i].refusal);
}

/* clang-format off */
static const struct {
    const char *payload;
    enum phx_system system;
} systems[] = {
    {"{\"extension\":\"postgres_changes\",\"status\":\"ok\",\"message\":\"Subscribed to PostgreSQL\",\"channel\":\"room\"}", PHX_SYSTEM_CHANGES_READY},
    {"{\"extension\":\"system\",\"status\":\"ok\",\"message\":\"Replication connection established\"}", PHX_SYSTEM_REPLICATION_READY},
    {"{\"extension\":\"postgres_changes\",\"status\":\"error\",\"message\":\"Unable to subscribe to changes with given parameters\"}", PHX_SYSTEM_CHANGES_FAILED},
    {"{\"extension\":\"postgres_changes\",\"status\":\"error\",\"message\":{\"a\":1}}", PHX_SYSTEM_CHANGES_FAILED},
    {"{\"extension\":\"system\",\"status\":\"error\",\"message\":\"Token has expired 3 seconds ago\",\"channel\":\"room\"}", PHX_SYSTEM_TOKEN},
    {"{\"extension\":\"system\",\"status\":\"error\",\"message\":\"Access token has expired: 3 seconds ago\"}", PHX_SYSTEM_TOKEN},
    {"{\"extension\":\"system\",\"status\":\"error\",\"message\":\"The token provided is not a valid JWT\"}", PHX_SYSTEM_TOKEN},
    {"{\"extension\":\"system\",\"status\":\"error\",\"message\":\"Fields `role` and `exp` are required in JWT\"}", PHX_SYSTEM_TOKEN},
    {"{\"extension\":\"system\",\"status\":\"error\",\"message\":\"Too many messages per second\"}", PHX_SYSTEM_RATE},
    {"{\"extension\":\"system\",\"status\":\"error\",\"message\":\"Client presence rate limit exceeded\"}", PHX_SYSTEM_RATE},
    {"{\"extension\":\"system\",\"status\":\"error\",\"message\":\"You no longer have permission to read from this topic\"}", PHX_SYSTEM_FORBIDDEN},
    {"{\"extension\":\"system\",\"status\":\"ok\",\"message\":\"Server requested disconnect\"}", PHX_SYSTEM_LEAVING},
    {"{\"extension\":\"system\",\"status\":\"error\",\"message\":\"something else\"}", PHX_SYSTEM_FAILED},
    {"{\"extension\":\"system\",\"status\":\"error\"}", PHX_SYSTEM_FAILED},
    {"{\"extension\":\"system\",\"status\":\"ok\",\"message\":\"Token has expired\"}", PHX_SYSTEM_OTHER},
    {"{\"status\":\"ok\"}", PHX_SYSTEM_OTHER},
    {"{\"status\":\"error\",\"message\":\"Too many\"", PHX_SYSTEM_OTHER},
    {"[]", PHX_SYSTEM_OTHER},
    {"", PHX_SYSTEM_OTHER},
};
/* clang-format on */

static void system_messages_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(systems); i++)
        if (phx_system_of(text_of(systems[i].payload)) != systems[i].system)
            fail_msg("%d: %s", (int)phx_system_of(text_of(systems[i].payload)), systems[i].payload);
}

static const struct {
    const char *payload;
    enum phx_presence presence;
} presences[] = {
    {"{\"type\":\"presence\",\"event\":\"track\",\"payload\":{\"name\":\"Ann\"}}", PHX_PRESENCE_TRACK},
    {"{\"payload\":{\"event\":\"untrack\"},\"event\":\"TRACK\"}", PHX_PRESENCE_TRACK},
    {"{\"type\":\"presence\",\"event\":\"untrack\"}", PHX_PRESENCE_UNTRACK},
    {"{\"type\":\"presence\",\"event\":\"tracks\"}", PHX_PRESENCE_OTHER},
    {"{\"event\":\"track\"", PHX_PRESENCE_OTHER},
    {"{\"event\":\"track\"},1", PHX_PRESENCE_OTHER},
    {"{\"event\":1}", PHX_PRESENCE_OTHER},
    {"", PHX_PRESENCE_OTHER},
};

static void presence_calls_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(presences); i++)
        assert_int_equal(phx_presence_of(text_of(presences[i].payload)), presences[i].presence);
}

/* ---- marks of broadcasts ---- */

/* clang-format off */
static const struct {
    const char *bytes;
    size_t len;
    bool is_binary, has_meta, is_replayed;
    const char *id, *without; /* the mark */
    size_t without_len;
} broadcasts[] = {
#define BYTES(s) s, sizeof(s) - 1
    {BYTES("[null,null,\"t\",\"broadcast\",{\"event\":\"e\",\"payload\":{\"meta\":{\"id\":\"no\"}},\"type\":\"broadcast\"}]"), false, false, false, "", "", 0},
    {BYTES("[null,null,\"t\",\"broadcast\",{\"event\":\"e\",\"payload\":{},\"meta\":{\"id\":\"u-1\"}}]"), false, true, false, "\"u-1\"", "", 0},
    {BYTES("[\"3\",null,\"t\",\"broadcast\",{\"meta\":{\"replayed\":true,\"id\":\"u-1\"},\"payload\":1.0}]"), false, true, true, "\"u-1\"",
     BYTES("[\"3\",null,\"t\",\"broadcast\",{\"meta\":{\"id\":\"u-1\"},\"payload\":1.0}]")},
    {BYTES("[null,null,\"t\",\"broadcast\",{\"meta\":{\"replayed\":false}}]"), false, true, false, "", "", 0},
    {BYTES("[null,null,\"t\",\"broadcast\",{\"meta\":7}]"), false, false, false, "", "", 0},
    {BYTES("\x04\x01\x01\x00\x01" "tu{}"), true, false, false, "", "", 0},
    {BYTES("\x04\x01\x01\x0c\x01" "tu{\"id\":\"u-1\"}{}"), true, true, false, "\"u-1\"", "", 0},
    {BYTES("\x04\x01\x01\x1c\x01" "tu{\"id\":\"u-1\",\"replayed\":true}{}"), true, true, true, "\"u-1\"", BYTES("\x04\x01\x01\x0c\x01" "tu{\"id\":\"u-1\"}{}")},
    {BYTES("\x04\x01\x01\x03\x00" "tu{]}raw"), true, true, false, "", "", 0},
    {BYTES("\x04\x01\x01\x12\x01" "tu{\"replayed\":true}{}"), true, false, false, "", "", 0},
};
/* clang-format on */

static void broadcasts_have_marks(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(broadcasts); i++) {
        struct phx_frame f;
        struct phx_meta m;
        struct strbuf out;
        assert_int_equal(phx_frame_read(&f, PHX_V2, PHX_FROM_SERVER, (const uint8_t *)broadcasts[i].bytes,
                                        broadcasts[i].len, broadcasts[i].is_binary, true),
                         PHX_READ_OK);
        assert_int_equal(phx_meta_read(&m, &f), broadcasts[i].has_meta);
        assert_int_equal(m.is_replayed, broadcasts[i].is_replayed);
        assert_text(m.id, broadcasts[i].id);
        if (!m.is_replayed)
            continue;
        strbuf_init(&out, 1024);
        phx_write_not_replayed(&out, PHX_V2, &f);
        assert_int_equal(out.len, broadcasts[i].without_len);
        assert_memory_equal(out.data, broadcasts[i].without, out.len);
        strbuf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_read),
        cmocka_unit_test(refusals_say_what_to_do),
        cmocka_unit_test(system_messages_are_told_apart),
        cmocka_unit_test(presence_calls_are_told_apart),
        cmocka_unit_test(broadcasts_have_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
