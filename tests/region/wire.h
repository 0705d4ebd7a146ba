/* Phoenix Channels on the wire, vsn 1.0.0 (objects) and 2.0.0 (arrays), and the two binary frames with which Supabase's
 * clients exchange broadcasts in vsn 2. Pure: bytes in, frames out. */
#ifndef REGION_WIRE_H
#define REGION_WIRE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum wire_vsn { WIRE_V1 = 1, WIRE_V2 = 2 };

/* What a client said. Everything is borrowed from `root` and from the message it was read from. */
struct frame {
    json_t *root;
    json_t *join_ref; /* string, number or JSON null, kept as they came */
    json_t *ref;
    const char *topic;
    const char *event;
    json_t *payload;        /* NULL in a user broadcast */
    const char *user_event; /* of a binary user broadcast (kind 3), else NULL; its event is then "broadcast" */
    const uint8_t *user_bytes;
    size_t user_len;
    bool user_is_json;
};

/* ERR_INVALID when it is none of the known forms; then there is nothing to release. */
enum err frame_read(struct frame *f, enum wire_vsn vsn, const void *bytes, size_t len, bool is_binary) MUST_CHECK;
void frame_fini(struct frame *f);

/* Writes one text frame to a client; `payload` is JSON text. NULL references become null; vsn 1 has no join_ref. */
void wire_write(struct strbuf *out, enum wire_vsn vsn, const json_t *join_ref, const json_t *ref, const char *topic,
                const char *event, const char *payload, size_t payload_len);

/* What goes to all subscribers of a topic. */
struct shout {
    const char *topic;
    const char *event; /* the frame's, or the user's event inside a "broadcast" */
    const char *meta;  /* JSON: of one that has an id; NULL: none */
    bool is_user;
    bool is_json; /* false: bytes that only the binary form can carry */
    const void *bytes;
    size_t len;
};
enum wire_form { WIRE_FORM_V1 = 0, WIRE_FORM_V2, WIRE_FORM_V2_USER, WIRE_FORM_COUNT };
/* False when this form cannot carry it. *is_binary tells the kind of WebSocket message. */
bool wire_write_shout(struct strbuf *out, enum wire_form form, const struct shout *s, bool *is_binary);

#endif
