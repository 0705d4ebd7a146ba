/* From what the configuration says about TLS to contexts that do it. */
#ifndef CONF_SECURE_H
#define CONF_SECURE_H

#include <stdbool.h>

#include "base/tls.h"
#include "conf/conf.h"

/* The context of one listener that has certificates. NULL on failure with a sentence in `error`
 * (TLS_ERROR_TEXT_BYTES). `tickets` as in struct tls_server_opts. */
struct tls_ctx *secure_listen(const struct conf_listen *l, struct tls_tickets *tickets, char *error);
/* Whether one context does for both. */
bool secure_listen_equal(const struct conf_listen *a, const struct conf_listen *b);

/* The contexts of all listeners of a configuration. Those that would be equal are one. */
struct secure_set;

/* NULL on failure with a sentence in `error` that names the listener. What a context of `old` (may be NULL) does as
 * well is taken over from there, so that a reload that changes no certificate costs nothing. */
struct secure_set *secure_set_create(const struct conf *c, struct tls_tickets *tickets, const struct secure_set *old,
                                     char *error);
void secure_set_destroy(struct secure_set **sp);
/* Borrowed; NULL for an address where plain text is spoken. */
struct tls_ctx *secure_set_find(const struct secure_set *s, const char *address);

#endif
