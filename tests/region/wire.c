/* Binary layouts: push of a user broadcast (kind 3) is kind, six one-byte sizes (join_ref, ref, topic, event, metadata,
 * then the encoding: 0 bytes, 1 JSON), the strings, the payload; towards the client (kind 4) it is kind, topic,
 * event and metadata size, encoding, strings, payload. */
#include "tests/region/wire.h"

#include <string.h>

#include "base/mem.h"

#define KIND_USER_PUSH      3u
#define KIND_USER_BROADCAST 4u
#define PUSH_SIZES          6u

static bool is_ref(const json_t *j)
{
    return json_is_string(j) || json_is_number(j) || json_is_null(j);
}

static enum err accept_frame(struct frame *f)
{
    if (f->join_ref != NULL && f->ref != NULL && is_ref(f->join_ref) && is_ref(f->ref) && f->topic != NULL &&
        f->event != NULL)
        return ERR_NONE;
    frame_fini(f);
    return ERR_INVALID;
}

static enum err read_text(struct frame *f, enum wire_vsn vsn, const char *text, size_t len)
{
    f->root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (f->root == NULL)
        return ERR_INVALID;
    if (vsn == WIRE_V1) {
        f->join_ref = json_object_get(f->root, "join_ref");
        if (f->join_ref == NULL)
            f->join_ref = json_null();
        f->ref = json_object_get(f->root, "ref");
        f->topic = json_string_value(json_object_get(f->root, "topic"));
        f->event = json_string_value(json_object_get(f->root, "event"));
        f->payload = json_object_get(f->root, "payload");
    } else {
        f->join_ref = json_array_get(f->root, 0);
        f->ref = json_array_get(f->root, 1);
        f->topic = json_string_value(json_array_get(f->root, 2));
        f->event = json_string_value(json_array_get(f->root, 3));
        f->payload = json_array_get(f->root, 4);
    }
    if (f->payload == NULL) {
        frame_fini(f);
        return ERR_INVALID;
    }
    return accept_frame(f);
}

static enum err read_user_push(struct frame *f, const uint8_t *b, size_t len)
{
    size_t at = 1 + PUSH_SIZES;

    if (len < at || b[0] != KIND_USER_PUSH)
        return ERR_INVALID;
    f->root = json_array();
    for (size_t i = 0; i < 5; i++) {
        size_t size = b[1 + i];

        if (len - at < size) {
            frame_fini(f);
            return ERR_INVALID;
        }
        json_array_append_new(f->root, i < 2 && size == 0 ? json_null() : json_stringn((const char *)b + at, size));
        at += size;
    }
    f->join_ref = json_array_get(f->root, 0);
    f->ref = json_array_get(f->root, 1);
    f->topic = json_string_value(json_array_get(f->root, 2));
    f->event = "broadcast";
    f->user_event = json_string_value(json_array_get(f->root, 3));
    f->user_is_json = b[PUSH_SIZES] == 1;
    f->user_bytes = b + at;
    f->user_len = len - at;
    if (f->user_event == NULL) {
        frame_fini(f);
        return ERR_INVALID;
    }
    return accept_frame(f);
}

enum err frame_read(struct frame *f, enum wire_vsn vsn, const void *bytes, size_t len, bool is_binary)
{
    memset(f, 0, sizeof(*f));
    if (!is_binary)
        return read_text(f, vsn, bytes, len);
    return vsn == WIRE_V2 ? read_user_push(f, bytes, len) : ERR_INVALID;
}

void frame_fini(struct frame *f)
{
    json_decref(f->root);
    memset(f, 0, sizeof(*f));
}

static void put_ref(struct strbuf *out, const json_t *ref)
{
    char *text = ref == NULL ? NULL : json_dumps(ref, JSON_ENCODE_ANY);

    strbuf_puts(out, text == NULL ? "null" : text);
    mem_free(text);
}

void wire_write(struct strbuf *out, enum wire_vsn vsn, const json_t *join_ref, const json_t *ref, const char *topic,
                const char *event, const char *payload, size_t payload_len)
{
    if (vsn == WIRE_V1) {
        strbuf_puts(out, "{\"topic\":");
        strbuf_json_string(out, topic, strlen(topic));
        strbuf_puts(out, ",\"event\":");
        strbuf_json_string(out, event, strlen(event));
        strbuf_puts(out, ",\"ref\":");
        put_ref(out, ref);
        strbuf_puts(out, ",\"payload\":");
        strbuf_add(out, payload, payload_len);
        strbuf_puts(out, "}");
        return;
    }
    strbuf_puts(out, "[");
    put_ref(out, join_ref);
    strbuf_puts(out, ",");
    put_ref(out, ref);
    strbuf_puts(out, ",");
    strbuf_json_string(out, topic, strlen(topic));
    strbuf_puts(out, ",");
    strbuf_json_string(out, event, strlen(event));
    strbuf_puts(out, ",");
    strbuf_add(out, payload, payload_len);
    strbuf_puts(out, "]");
}

static bool write_kind_4(struct strbuf *out, const struct shout *s)
{
    size_t topic_len = strlen(s->topic), event_len = strlen(s->event), meta_len = s->meta == NULL ? 0 : strlen(s->meta);
    const uint8_t head[5] = {KIND_USER_BROADCAST, (uint8_t)topic_len, (uint8_t)event_len, (uint8_t)meta_len,
                             s->is_json ? 1 : 0};

    if (topic_len > 255 || event_len > 255 || meta_len > 255)
        return false;
    strbuf_add(out, head, sizeof(head));
    strbuf_add(out, s->topic, topic_len);
    strbuf_add(out, s->event, event_len);
    strbuf_add(out, s->meta, meta_len);
    strbuf_add(out, s->bytes, s->len);
    return true;
}

bool wire_write_shout(struct strbuf *out, enum wire_form form, const struct shout *s, bool *is_binary)
{
    enum wire_vsn vsn = form == WIRE_FORM_V1 ? WIRE_V1 : WIRE_V2;
    struct strbuf wrapped;

    *is_binary = s->is_user && form == WIRE_FORM_V2_USER;
    if (*is_binary)
        return write_kind_4(out, s) && !out->failed;
    if (!s->is_user) {
        wire_write(out, vsn, NULL, NULL, s->topic, s->event, s->bytes, s->len);
        return !out->failed;
    }
    if (!s->is_json)
        return false;
    strbuf_init(&wrapped, s->len + 2048);
    strbuf_puts(&wrapped, "{\"type\":\"broadcast\",\"event\":");
    strbuf_json_string(&wrapped, s->event, strlen(s->event));
    strbuf_puts(&wrapped, ",\"payload\":");
    strbuf_add(&wrapped, s->bytes, s->len);
    if (s->meta != NULL)
        strbuf_printf(&wrapped, ",\"meta\":%s", s->meta);
    strbuf_puts(&wrapped, "}");
    if (!wrapped.failed)
        wire_write(out, vsn, NULL, NULL, s->topic, "broadcast", wrapped.data, wrapped.len);
    strbuf_fini(&wrapped);
    return !wrapped.failed && !out->failed;
}
