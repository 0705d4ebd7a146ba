/* Payloads of Phoenix messages seen as JSON. Private to the files about them. */
#ifndef GATEWAY_REALTIME_PHX_JSON_H
#define GATEWAY_REALTIME_PHX_JSON_H

#include "base/json_scan.h"
#include "gateway/realtime/phx_frame.h"

static inline struct json_text phx_json(struct phx_text t)
{
    return (struct json_text){t.data, t.len};
}

static inline struct phx_text phx_text_of(struct json_text t)
{
    return (struct phx_text){t.data, t.len};
}

/* The value when it is a string, with its quotes; else none. */
static inline struct phx_text phx_string_at(struct json_text object, const char *path)
{
    struct json_string string;
    const struct json_text value = json_find(object, path);
    return json_to_string(value, &string) ? phx_text_of(value) : (struct phx_text){NULL, 0};
}

#endif
