/* libwebsockets on our loop: one engine per process, one host per target.
 *
 * A host carries what libwebsockets keeps per "vhost" (the TLS context) and every connection it has opened, also those
 * whose probe is over and which are only saying good-bye. libwebsockets' types stay in lws_engine.c, probe_lws.c and
 * canary_line.c (lws_priv.h). */
#ifndef HEALTH_CHECKER_LWS_ENGINE_H
#define HEALTH_CHECKER_LWS_ENGINE_H

#include <stddef.h>

#include "base/loop.h"
#include "base/tls.h"

struct lws_engine;
struct lws_host;

/* NULL when libwebsockets cannot use the loop; the log says why. Connections go straight to where they are sent: the
 * environment's http_proxy is removed. */
struct lws_engine *lws_engine_create(struct loop *l);
void lws_engine_destroy(struct lws_engine **ep); /* all hosts must be destroyed */

/* `tls` NULL: connections in clear text, `server_name` not used. NULL on failure with a sentence in `error`
 * (TLS_ERROR_TEXT_BYTES). */
struct lws_host *lws_host_create(struct lws_engine *e, const struct tls_client_opts *tls, const char *server_name,
                                 char *error);
/* All its probes must be over or cancelled; connections still saying good-bye are cut. */
void lws_host_destroy(struct lws_host **hp);
/* Connections it has open, for tests. */
size_t lws_host_open_count(const struct lws_host *h);

#endif
