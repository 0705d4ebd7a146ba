/* One command to a running gateway over its control socket: connect, send a line, read to the end. The first line of
 * the answer is `ok` or `error: text`; after `ok` comes the body. */
#ifndef GATEWAY_CTL_CALL_H
#define GATEWAY_CTL_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CALL_ANSWER_BYTES_MAX (16u << 20)

struct call_answer {
    bool is_ok;
    struct strbuf text; /* the body, or why not; NUL-terminated, never NULL */
};

/* `command` is one line without its end. All of it takes `timeout_ms` at most. ERR_NONE: *answer is filled and
 * call_answer_fini is due; ERR_REFUSED and ERR_NOT_FOUND: nobody listens there; ERR_PROTOCOL: that was no gateway. */
enum err call_gateway(const char *socket_path, const char *command, int64_t timeout_ms,
                      struct call_answer *answer) MUST_CHECK;
void call_answer_fini(struct call_answer *answer);

#endif
