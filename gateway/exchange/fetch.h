/* What the cache asks an origin for: an exchange of its own, begun for a client's request or for none, that outlives
 * whoever wanted it. Its answer is collected whole, made an entry, stored, and given to all who wait for the flight
 * (cache/flight.h). An answer that is not for storing goes to the first of them as it comes, and to nobody else.
 *
 * What is not part of the key does not reach the origin: the request is made anew, of the fields that may pass. */
#ifndef GATEWAY_EXCHANGE_FETCH_H
#define GATEWAY_EXCHANGE_FETCH_H

#include "cache/flight.h"
#include "gateway/exchange/exchange_priv.h"

/* A key with this behind it holds what is known of the key instead of an answer: that the origin failed a moment ago
 * (an entry with its words, or without any fields), or that its answers are not for storing. */
#define FETCH_FAILED_MARK "!"
#define FETCH_PASSED_MARK "?"

/* A fetch outlives its client, so what clients begin and leave is bounded; beyond it requests go as if there were no
 * cache. What all of them collect at once is bounded by what the cache may hold, or by four of the largest entries. */
#define FETCHES_MAX 4096u

struct fetch_start {
    struct http_view key;        /* under which the answer is stored */
    struct http_view flight_key; /* who may share it: the same, or narrower; then no failure is remembered */
    struct cache_entry *known;   /* what is stored and not fresh, to be validated; NULL: nothing */
    bool is_scoped;              /* the key says who is asking */
    bool is_refresh;             /* nobody is going to wait for it */
    bool must_ask;               /* the client wants the origin's word, not what Redis has */
};
/* Begins a flight for the request of `x`, whose body, if it is a POST, was read. */
struct flight *fetch_start(struct exchange *x, const struct fetch_start *o);
/* Gives up all that are under way: the process ends. No client may be left. */
void fetch_cancel_all(struct exchange_env *env);

/* ---- for deliver.c: what an exchange of a fetch hears ---- */
/* The head of the origin's answer; its body follows as that of any requester. */
void fetch_head(struct fetch *f, const struct http_head *head, bool has_body);
/* There is no answer: no server, or none that could be used. The exchange is gone. */
void fetch_failed(struct fetch *f, uint16_t status, const char *reason);

/* Notes in an exchange that gets the answer which server it came from, for its line of the access log. */
void fetch_credit(const struct fetch *f, struct exchange *x);

/* ---- for the exchange that reads the answer as it comes ---- */
void fetch_reader_drained(struct fetch *f);
void fetch_reader_gone(struct fetch *f);

#endif
