/* What the load tester says is what its own backend understands, and the answer is the one it waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/bench/phoenix.h"
#include "gateway/bench/words.h"
#include "gateway/ws/mask.h"

/* The payload of a client's frame, unmasked where it lies. */
static uint8_t *payload_of(const struct words *w, size_t *len)
{
    const size_t more = (w->message[1] & 0x7f) == 126 ? 2 : 0;
    uint8_t *payload = w->message + 2 + more + 4;
    assert_true((w->message[1] & 0x80) != 0);
    *len = w->message_len - 2 - more - 4;
    ws_mask(payload, *len, payload - 4, 0);
    return payload;
}

static void answered_as_expected(const struct words *w, bool is_binary)
{
    struct strbuf out;
    size_t len;
    const uint8_t *payload = payload_of(w, &len);
    strbuf_init(&out, 1 << 20);
    phoenix_answer(&out, payload, len, is_binary);
    assert_int_equal(out.len, w->echo_len);
    assert_memory_equal(out.data, w->echo, out.len);
    strbuf_fini(&out);
}

static void messages_are_answered(void **state)
{
    (void)state;
    for (int is_binary = 0; is_binary < 2; is_binary++) {
        const struct options o = {.mode = MODE_ECHO,
                                  .url = {.target = "/", .authority = "x"},
                                  .size_bytes = 300,
                                  .channel_count = 3,
                                  .topic = "realtime:bench",
                                  .event = "say",
                                  .is_binary = is_binary};
        struct vocabulary v;
        vocabulary_init(&v, &o, 1);
        for (uint32_t i = 0; i < o.channel_count; i++)
            answered_as_expected(&v.messages[i], is_binary);
        vocabulary_fini(&v);
    }
}

static void heartbeats_are_answered_and_nonsense_is_not(void **state)
{
    (void)state;
    static const char beat[] = "[null,\"12\",\"phoenix\",\"heartbeat\",{}]";
    static const char answer[] = "[null,\"12\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]";
    static const char *const nonsense[] = {"", "[", "[]", "[1,2,3]", "{\"topic\":\"x\"}"};
    struct strbuf out;
    strbuf_init(&out, 1 << 20);
    phoenix_answer(&out, (const uint8_t *)beat, strlen(beat), false);
    assert_int_equal(out.len, 2 + strlen(answer));
    assert_memory_equal(out.data + 2, answer, strlen(answer));
    strbuf_clear(&out);
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
        phoenix_answer(&out, (const uint8_t *)nonsense[i], strlen(nonsense[i]), false);
        phoenix_answer(&out, (const uint8_t *)nonsense[i], strlen(nonsense[i]), true);
    }
    phoenix_answer(&out, (const uint8_t *)"\x03\xff\xff\xff\xff\xff\x01 too short", 18, true);
    assert_int_equal(out.len, 0);
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_answered),
        cmocka_unit_test(heartbeats_are_answered_and_nonsense_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
