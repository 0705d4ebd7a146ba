/* A probe's own connection: TCP, with or without TLS, to the address it was given.
 *
 * Everything that goes wrong ends the probe with the reason; nothing is told the kind any more after that, so it never
 * has to look. Part of the kind's struct: zeroed memory is a contact that was never opened. */
#ifndef HEALTH_CHECKER_CONTACT_H
#define HEALTH_CHECKER_CONTACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/sock.h"
#include "base/tls.h"
#include "health/checker/probe.h"

/* What may wait to be sent; a probe that wants to say more has failed. */
#define CONTACT_OUT_BYTES_MAX (64u * 1024u)

/* They may end the probe (probe_finish), but not destroy it. */
struct contact_ops {
    void (*on_open)(struct probe *p);                                  /* connected, TLS done, certificate good */
    void (*on_data)(struct probe *p, const uint8_t *data, size_t len); /* borrowed; NULL: nothing is expected */
};

struct contact {
    struct probe *probe; /* NULL: never opened */
    const struct contact_ops *ops;
    struct addr addr;
    struct tls_ctx *ctx; /* referenced; NULL: clear text */
    char *name;
    enum tls_offer offer;
    struct probe_expiry expiry;
    struct tls *tls; /* NULL: not connected yet, or clear text */
    int fd;          /* -1: none */
    struct io io;
    bool is_connected, is_open;
    bool must_write; /* the socket has to take something before we go on */
    struct strbuf out;
    size_t sent_bytes;
};

/* Begins to connect to plan->addr. `tls` (NULL: clear text) is referenced; the server has to prove plan->tls_name with
 * a certificate that lasts, and is offered `offer`. */
void contact_open(struct contact *c, struct probe *p, const struct probe_plan *plan, struct tls_ctx *tls,
                  enum tls_offer offer, const struct contact_ops *ops);
/* Sends it now or, before it is open, later. What was written is wiped when the contact closes. */
void contact_write(struct contact *c, const void *data, size_t len);
/* Lets go of everything; with TLS the server is told. */
void contact_close(struct contact *c);

enum tls_alpn contact_alpn(const struct contact *c); /* once open */

#endif
