/* Messages of Phoenix from anybody. The first byte chooses version, sender and encoding, the second where the message
 * is cut. Laws: what is known from a beginning stays known; and what was read and is written reads the same. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/json_scan.h"
#include "gateway/realtime/phx_answer.h"
#include "gateway/realtime/phx_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_same_names(const struct phx_frame *a, const struct phx_frame *b)
{
    ASSERT(phx_text_equal(a->topic, b->topic) && phx_text_equal(a->event, b->event));
    ASSERT(phx_ref_equal(a->ref, b->ref) && phx_ref_equal(a->join_ref, b->join_ref));
}

static void check_written(const struct phx_frame *f, enum phx_vsn vsn, enum phx_sender as)
{
    char event[PHX_NAME_BYTES + 1];
    struct phx_frame again;
    struct strbuf out;
    const bool is_json = f->payload_is_json && json_is_value((struct json_text){f->payload.data, f->payload.len});
    memcpy(event, f->event.data, f->event.len);
    event[f->event.len] = '\0';
    const struct phx_say say = {.join_ref = f->join_ref,
                                .ref = f->ref,
                                .topic = f->topic,
                                .event = event,
                                .payload = is_json ? f->payload : (struct phx_text){NULL, 0}};
    strbuf_init(&out, 1 << 20);
    phx_write(&out, vsn, as, &say);
    ASSERT(!out.failed);
    /* What is not UTF-8 becomes longer, and may not be understood again. */
    const enum phx_read r = phx_frame_read(&again, vsn, as, (const uint8_t *)out.data, out.len, false, true);
    ASSERT(r == PHX_READ_OK || f->topic.len > PHX_NAME_BYTES / 3 || f->event.len > PHX_NAME_BYTES / 3);
    if (r == PHX_READ_OK && vsn == PHX_V2)
        ASSERT(phx_ref_equal(again.join_ref, f->join_ref) && phx_ref_equal(again.ref, f->ref));
    if (r == PHX_READ_OK && is_json)
        ASSERT(phx_text_equal(again.payload, (struct phx_text){f->payload.data, f->payload.len}) ||
               memchr(" \t\r\n", f->payload.data[0], 4) != NULL ||
               memchr(" \t\r\n", f->payload.data[f->payload.len - 1], 4) != NULL);
    strbuf_fini(&out);
}

static void check_meta(const struct phx_frame *f)
{
    struct phx_meta m, after;
    struct strbuf out;
    if (!phx_meta_read(&m, f) || !m.is_replayed || f->metadata.len > 200)
        return;
    strbuf_init(&out, 1 << 20);
    phx_write_not_replayed(&out, PHX_V2, f);
    struct phx_frame again;
    if (!out.failed && phx_frame_read(&again, PHX_V2, PHX_FROM_SERVER, (const uint8_t *)out.data, out.len,
                                      f->kind != PHX_JSON, true) == PHX_READ_OK)
        ASSERT(!phx_meta_read(&after, &again) || !after.is_replayed);
    strbuf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct phx_frame whole, some;
    if (len < 2)
        return 0;
    const enum phx_vsn vsn = (data[0] & 1) != 0 ? PHX_V1 : PHX_V2;
    const enum phx_sender from = (data[0] & 2) != 0 ? PHX_FROM_SERVER : PHX_FROM_CLIENT;
    const bool is_binary = (data[0] & 4) != 0;
    const size_t cut = data[1] % (len - 1);
    data += 2;
    len -= 2;

    const enum phx_read r = phx_frame_read(&whole, vsn, from, data, len, is_binary, true);
    const enum phx_read e = phx_frame_read(&some, vsn, from, data, cut, is_binary, false);
    ASSERT(r != PHX_READ_MORE);
    if (e == PHX_READ_BAD)
        ASSERT(r == PHX_READ_BAD);
    if (e == PHX_READ_OK && r == PHX_READ_OK)
        check_same_names(&some, &whole);
    if (r != PHX_READ_OK)
        return 0;
    check_written(&whole, PHX_V2, from);
    check_written(&whole, PHX_V1, PHX_FROM_CLIENT);
    if (from == PHX_FROM_SERVER && (whole.kind == PHX_JSON || whole.kind == PHX_USER_BROADCAST))
        check_meta(&whole);
    return 0;
}
