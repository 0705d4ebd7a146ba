/* What a server is asked, derived from its configuration. Pure. */
#ifndef HEALTH_CHECKER_QUESTION_H
#define HEALTH_CHECKER_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/tls.h"
#include "conf/conf.h"

#define QUESTION_HOST_BYTES 272u /* a name of 255, brackets, port */

uint16_t question_port(const struct conf_server *s);
/* The Host header: the check's, or the url's host with the port asked where that is not the scheme's own (RFC 9110
 * section 7.2; IPv6 addresses in brackets). Returns `out`. */
const char *question_host_header(const struct conf_server *s, char out[QUESTION_HOST_BYTES]);
/* The name for SNI and certificate: the one configured, or the url's host. */
const char *question_server_name(const struct conf_server *s);
/* Trust and identity; the texts are borrowed from `s`. */
struct tls_client_opts question_tls(const struct conf_server *s);
/* True when the check needs libwebsockets. */
bool question_needs_host(const struct conf_server *s);
/* Which HTTP the probe speaks; OVER_AUTO: both are offered. OVER_H1 for probes that are not http. */
enum conf_over question_over(const struct conf_server *s);
/* Whether its connections tell of its end: check.watch, where the check is one over TCP. */
bool question_is_watched(const struct conf_server *s);
bool question_has_canary(const struct conf_server *s);
/* True when both lead to the same probe, so that what is known from `a` holds for `b`. Intervals, limits, timeouts and
 * what only concerns the traffic do not matter. */
bool question_is_same(const struct conf_server *a, const struct conf_server *b);

#endif
