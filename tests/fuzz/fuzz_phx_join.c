/* Payloads of joins and answers, one a line, as anything. Laws: a join that is changed is JSON again, with what it was
 * changed to and otherwise saying what it said; and changes are the same as themselves. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/json_scan.h"
#include "gateway/realtime/phx_answer.h"
#include "gateway/realtime/phx_changes.h"
#include "gateway/realtime/phx_join.h"

#define TEXT(s) ((struct phx_text){(s), sizeof(s) - 1})

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_join(struct phx_text payload, enum phx_replay replay)
{
    const struct phx_join_changes changes = {
        .token = TEXT("\"a.b.c\""), .presence_key = TEXT("k\"1"), .replay = replay, .replay_since_ms = 1234567890123};
    struct phx_join before, after;
    struct strbuf out;
    const bool is_json = phx_join_read(&before, payload);
    strbuf_init(&out, 1 << 20);
    if (phx_join_rewrite(&out, payload, &changes)) {
        ASSERT(is_json && !out.failed && phx_join_read(&after, (struct phx_text){out.data, out.len}));
        ASSERT(phx_text_is(after.token, "\"a.b.c\"") && !after.has_random_key);
        ASSERT(after.is_supabase == before.is_supabase && after.is_private == before.is_private);
        ASSERT(after.acks_broadcasts == before.acks_broadcasts && after.gets_own == before.gets_own);
        ASSERT(after.has_no_presence == before.has_no_presence);
        ASSERT(phx_text_equal(after.changes, before.changes) && after.change_count == before.change_count);
        ASSERT(replay != PHX_REPLAY_REMOVE || !after.wants_replay);
        ASSERT(replay != PHX_REPLAY_KEEP || after.wants_replay == before.wants_replay);
        ASSERT(replay != PHX_REPLAY_SINCE || after.wants_replay == after.is_supabase);
        ASSERT(!before.has_random_key || phx_text_is(after.presence_key, "\"k\\\"1\""));
    } else {
        ASSERT(out.len == 0 && !(is_json && json_text_is_object((struct json_text){payload.data, payload.len})));
    }
    (void)phx_token_expires_ms(before.token);
    strbuf_fini(&out);
}

static void check_ids(struct phx_text payload, const struct phx_ids *ids)
{
    struct strbuf out;
    strbuf_init(&out, 1 << 20);
    const int count = phx_ids_rewrite(&out, payload, ids);
    ASSERT((count > 0) == (out.len > 0));
    ASSERT(count <= 0 || json_is_value((struct json_text){out.data, out.len}));
    strbuf_fini(&out);
}

static void check_changes(struct phx_text told, struct phx_text got, struct phx_text payload)
{
    struct phx_ids *ids, *back;
    ASSERT(phx_changes_compare(told, told, &ids) == PHX_CHANGES_SAME && ids == NULL);
    const enum phx_changes there = phx_changes_compare(told, got, &ids);
    ASSERT(phx_changes_compare(got, told, &back) == there);
    ASSERT((ids != NULL) == (there == PHX_CHANGES_RENUMBERED) && (back != NULL) == (ids != NULL));
    if (ids == NULL)
        return;
    check_ids(payload, ids);
    phx_ids_destroy(&ids);
    phx_ids_destroy(&back);
}

static void check_answers(struct phx_text payload)
{
    struct phx_reply r;
    if (phx_reply_read(&r, payload))
        (void)phx_refusal_of(r.reason);
    (void)phx_system_of(payload);
    (void)phx_presence_of(payload);
    (void)phx_token_expires_ms(phx_token_read(payload));
    (void)phx_token_expires_ms(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct phx_text lines[3] = {{NULL, 0}};
    const char *at = (const char *)data, *end = at + len;
    for (size_t i = 0; i < 3 && at < end; i++) {
        const char *newline = i < 2 ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        const char *line_end = newline != NULL ? newline : end;
        lines[i] = (struct phx_text){at, (size_t)(line_end - at)};
        at = line_end + (newline != NULL);
    }
    check_join(lines[0], (enum phx_replay)(len % 3));
    check_answers(lines[0]);
    check_changes(lines[0], lines[1], lines[2]);
    return 0;
}
