/* postgres_changes: whether a server that was joined anew listens to the same changes as the client was told, and under
 * which numbers. Supabase computes the numbers from what is listened to, so that they are the same everywhere; where
 * they are not, those in each message are changed into the client's. Pure. */
#ifndef GATEWAY_REALTIME_PHX_CHANGES_H
#define GATEWAY_REALTIME_PHX_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "gateway/realtime/phx_frame.h"

#define PHX_CHANGES_MAX 256u /* per join; more are not compared: PHX_CHANGES_DIFFER */

struct phx_ids;

enum phx_changes {
    PHX_CHANGES_SAME = 0, /* numbers and all; nothing to do */
    PHX_CHANGES_RENUMBERED,
    PHX_CHANGES_DIFFER /* other changes, or in another order: the client would take it for an error */
};

/* Compares response.postgres_changes of the reply that the client got with that of another server (JSON arrays; len 0
 * is an empty one): by order, event, schema, table and filter, where null is as good as not there. With RENUMBERED
 * `*ids` is created, the caller's to destroy; else it is NULL. */
enum phx_changes phx_changes_compare(struct phx_text told, struct phx_text got, struct phx_ids **ids);
void phx_ids_destroy(struct phx_ids **ids);

/* Writes the payload of a postgres_changes message with the client's numbers; those that are not among them are left
 * out. How many are left: with 0 nobody listens to it, and nothing is written. -1: it is no such payload. */
int phx_ids_rewrite(struct strbuf *out, struct phx_text payload, const struct phx_ids *ids);

#endif
