/* The keys under which servers seal session tickets (RFC 5077; TLS 1.3 tickets are made the same way).
 *
 * A ticket is only worth something where its key is known, so the supervisor makes the keys, gives every worker the
 * same set and a new one each period. The newest key seals; older ones still open what was sealed with them, for as
 * long as they stay in the set. All contexts of a worker share one object, so a new set needs no new context. */
#ifndef BASE_TLS_TICKETS_H
#define BASE_TLS_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

#define TLS_TICKET_KEYS       3u /* the one in use and two periods' worth of older ones */
#define TLS_TICKET_NAME_BYTES 16u
#define TLS_TICKET_AES_BYTES  32u
#define TLS_TICKET_HMAC_BYTES 32u
#define TLS_TICKET_PERIOD_MS  (INT64_C(12) * 3600 * 1000)

struct tls_ticket_key {
    uint8_t name[TLS_TICKET_NAME_BYTES]; /* public: stands at the head of each ticket */
    uint8_t aes[TLS_TICKET_AES_BYTES];
    uint8_t hmac[TLS_TICKET_HMAC_BYTES];
};

/* Plain data, to be sent as it is; whoever is done with a copy wipes it. */
struct tls_ticket_keys {
    uint32_t count;                             /* 1 to TLS_TICKET_KEYS */
    struct tls_ticket_key key[TLS_TICKET_KEYS]; /* newest first */
};
/* Puts a new random key in front; the oldest one falls out of a full set. A zeroed set gets its first one. */
void tls_ticket_keys_rotate(struct tls_ticket_keys *k);

struct tls_tickets; /* ref-counted; wiped when freed */

/* Begins with one key nobody else has. */
struct tls_tickets *tls_tickets_create(void);
struct tls_tickets *tls_tickets_ref(struct tls_tickets *t);
void tls_tickets_unref(struct tls_tickets **tp);
/* False, and nothing changed, for a set whose count is out of bounds. */
bool tls_tickets_set(struct tls_tickets *t, const struct tls_ticket_keys *k);

/* For the server context. The key to seal with; the key of that name, NULL when it is not (or no longer) known. */
const struct tls_ticket_key *tls_tickets_newest(const struct tls_tickets *t);
const struct tls_ticket_key *tls_tickets_find(const struct tls_tickets *t, const uint8_t name[TLS_TICKET_NAME_BYTES]);

#endif
