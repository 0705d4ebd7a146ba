/* The mistakes found while reading one configuration, with their places. They are collected in any order, bounded in
 * number, and printed sorted by position so that the user mends the file from top to bottom. */
#ifndef CONF_COMPLAINT_H
#define CONF_COMPLAINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/arena.h"

struct conf_errors;

#define COMPLAINTS_MAGIC 0xc03b1a17u

struct complaint; /* in complaint.c */

struct complaints {
    uint32_t magic;
    struct arena *arena; /* borrowed */
    const char *file;    /* for the message */
    struct complaint *all;
    size_t kept_count;
    size_t total_count; /* also counts those that were not kept */
    bool is_muted;      /* what follows from a mistake already told */
};

/* A place in the file; line and column count from 1, in characters. */
struct place {
    uint32_t line;
    uint32_t column;
};

void complaints_init(struct complaints *c, struct arena *arena, const char *file);
void complain(struct complaints *c, struct place at, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Whether another complaint would be kept. When not, it is counted, and the caller saves itself the wording. */
bool complaints_want_more(struct complaints *c);
/* The text for the caller of conf_load_*; an empty list gives count 0 and text NULL. */
void complaints_render(struct complaints *c, struct conf_errors *out);

/* `text` in quotes, made printable and shortened, for use in a message; lives in the arena. */
const char *complaint_quote(struct complaints *c, const char *text);
/* The same without the quotes, for keys. */
const char *complaint_show(struct complaints *c, const char *text);

#endif
