/* Trace context (W3C Recommendation "Trace Context", levels 1 and 2): the traceparent a request came with, and the one
 * it goes on with. The gateway is a span of its own: it passes the trace on under a span id that its access log names
 * beside the one it came from. Pure: random bytes are handed in. */
#ifndef GATEWAY_HTTP_TRACE_H
#define GATEWAY_HTTP_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "gateway/http/head.h"

#define TRACE_ID_BYTES     32u
#define TRACE_SPAN_BYTES   16u
#define TRACE_PARENT_BYTES 55u /* 00-<trace id>-<span id>-<flags> */
#define TRACE_RANDOM_BYTES 25u

struct trace_policy {
    enum conf_trace_mode mode;
    bool is_believed;        /* what this peer says about traces counts */
    uint32_t sample_percent; /* of the traces begun here, how many are marked as sampled */
};

struct trace {
    bool owns_fields;  /* traceparent and tracestate of the request are the gateway's to write; false: they pass */
    bool is_continued; /* tracestate goes on as well */
    uint8_t flags;
    /* NUL-terminated; "" when there is none. */
    char trace_id[TRACE_ID_BYTES + 1];
    char parent_id[TRACE_SPAN_BYTES + 1]; /* the span it came from */
    char span_id[TRACE_SPAN_BYTES + 1];   /* the gateway's own */
    char parent[TRACE_PARENT_BYTES + 1];  /* traceparent for the server */
};

/* Parses a traceparent into trace_id, parent_id and flags. False for what must not be continued: a wrong form, version
 * ff, ids of zeros, upper case. A later version is read as far as version 00 is known. */
bool trace_parse(struct http_view value, struct trace *t);
/* What becomes of the request's trace. Several traceparent fields are as good as none. */
void trace_begin(struct trace *t, const struct http_head *request, const struct trace_policy *p,
                 const uint8_t random[TRACE_RANDOM_BYTES]);

#endif
