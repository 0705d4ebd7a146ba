/* Validators and conditions (RFC 9110 sections 8.8 and 13), against an entry in one of its codings. Pure. */
#ifndef CACHE_VALIDATOR_H
#define CACHE_VALIDATOR_H

#include "cache/entry.h"
#include "gateway/http/texts.h"

/* The tag of the entry's body in that coding: its own for each. data NULL: none, or no room. */
struct http_view validator_etag(struct http_texts *t, const struct cache_entry *e, enum cache_coding c);
/* Takes the next entity tag off a list: with quotes and W/, or something else up to the next comma. */
bool validator_next_tag(struct http_view *list, struct http_view *tag);

/* The fields of a request that hold conditions; NULL: not there. Of several of the last three none counts. */
struct validator_conditions {
    bool has_match, has_none_match;
    const struct http_head *request; /* where the lists are */
    struct http_view if_modified_since, if_unmodified_since, if_range;
};
/* Whether a tag in them names the entry in that coding. */
bool validator_is_named(const struct validator_conditions *q, const struct cache_entry *e, enum cache_coding c);
/* The status that the conditions lead to: 412, 304, or 0 when the request is to be answered as if there were none. */
uint16_t validator_judge(const struct validator_conditions *q, const struct cache_entry *e, enum cache_coding c);
/* Whether an If-Range (not there: data NULL) lets a range of that body be sent. */
bool validator_allows_range(struct http_view if_range, const struct cache_entry *e, enum cache_coding c);

#endif
