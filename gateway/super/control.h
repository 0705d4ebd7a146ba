/* The control socket: a unix socket for the operator's tool. A client sends one line, gets an answer whose first line
 * is `ok` or `error: text`, then the body, then the end. Who may open the socket may give every command. */
#ifndef GATEWAY_SUPER_CONTROL_H
#define GATEWAY_SUPER_CONTROL_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/loop.h"

#define CONTROL_CLIENTS_MAX 16u
#define CONTROL_LINE_BYTES  2048u /* of a request, with its end */
#define CONTROL_BODY_BYTES  (8u << 20)

struct control;

/* One request that waits for its answer. */
struct control_request {
    struct list link;   /* free for whoever holds the request */
    struct strbuf body; /* what goes out after the first line; the bound is CONTROL_BODY_BYTES */
};

/* Runs a command and calls control_answer(), at once or later. `rest` is the line after the command's name, without
 * spaces around it; borrowed for the call. */
typedef void control_command_fn(void *arg, struct control_request *r, const char *rest);

struct control_command {
    const char *name;
    control_command_fn *run;
};

/* Listens on `path`. The table ends with a NULL name and is borrowed, as is `arg`. NULL with *err set on failure. */
struct control *control_create(struct loop *l, const char *path, const struct control_command *commands, void *arg,
                               enum err *err);
/* Requests that wait are gone without an answer. */
void control_destroy(struct control **cp);

/* Sends the answer: `error` NULL is success. The request is gone afterwards, also when its client is. */
void control_answer(struct control_request **rp, const char *error);

#endif
