/* The part of `tidegatectl status` about targets, steered names and the quorum. */
#ifndef GATEWAY_CTL_RENDER_DNS_H
#define GATEWAY_CTL_RENDER_DNS_H

#include <jansson.h>

#include "base/buf.h"

/* Adds what there is of "targets", "dns" and "quorum"; nothing when the gateway has none of them. */
void render_dns(const json_t *status, struct strbuf *out);

#endif
