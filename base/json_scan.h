/* A scanner of JSON (RFC 8259) over bytes that lie somewhere else: nothing is built, nothing is allocated, nothing is
 * changed. What it finds are spans of the text itself, to be looked at, cut out or sent on as they were written.
 *
 * A cursor also works on the beginning of a text: it tells what is no JSON from what could still become some. Strings
 * are checked for their escapes and for control characters, not for UTF-8. Of members with the same name the last one
 * counts, as it does for those who build trees. */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 512u /* arrays and objects within each other; more is bad */

/* Text somewhere else, not NUL-terminated. {NULL, 0}: none. */
struct json_text {
    const char *data;
    size_t len;
};

enum json_read {
    JSON_OK = 0,
    JSON_END,  /* of the array or object that is walked */
    JSON_MORE, /* good so far, and the text is only the beginning of it */
    JSON_BAD
};

/* ---- the cursor ---- */

struct json_scan {
    const char *at, *end;
    bool is_whole; /* nothing comes behind `end` */
};

/* A string as it is written, between its quotes. */
struct json_string {
    const char *data;
    size_t len;
    bool has_escapes;
};

static inline struct json_scan json_scan_of(const char *data, size_t len, bool is_whole)
{
    return (struct json_scan){.at = data, .end = len > 0 ? data + len : data, .is_whole = is_whole};
}

/* From `at`, inside a string: the first byte that is not plain text, which is a quote, a backslash or not allowed
 * there; `end` when there is none. */
const char *json_skip_plain(const char *at, const char *end);
/* Of the first 64 bytes, a bit for each one where json_skip_plain() would stop (the lowest is the first byte's). With
 * `len` below 64 the bits from there on are set. */
uint64_t json_special_bits(const char *at, size_t len);

/* All of these skip white space first. Only with JSON_OK (and JSON_END) the cursor has moved, behind what was read. */

/* The first character of what comes, which stays. */
enum json_read json_peek(struct json_scan *s, char *first);
enum json_read json_read_string(struct json_scan *s, struct json_string *string);
/* Any value; `value` is its exact span. A number needs its end to be seen. */
enum json_read json_skip(struct json_scan *s, struct json_text *value);

/* Walks an array or an object, whichever comes: each json_next*() stands in front of a value, which the caller must
 * read, skip or walk before it asks for the next. */
struct json_walk {
    struct json_scan *scan;
    bool is_object, is_begun;
};
enum json_read json_enter(struct json_walk *w, struct json_scan *s); /* JSON_BAD also when it is neither */
enum json_read json_next(struct json_walk *w);                       /* of an array */
enum json_read json_next_member(struct json_walk *w, struct json_string *name);

/* ---- strings ---- */

/* What the string means, in UTF-8: its length, or SIZE_MAX when that is over `room`. Halves of surrogate pairs become
 * U+FFFD. */
size_t json_decode(struct json_string string, char *out, size_t room);
/* Whether it means this text. */
bool json_string_is(struct json_string string, const char *text, size_t len);

/* ---- whole texts ---- */

/* Whether this is one value, with nothing but white space around it. */
bool json_is_value(struct json_text text);
/* The value at a path of names, "config.broadcast.ack"; {NULL, 0} when it is not there. "" is the value itself. The
 * names of the path contain neither dots nor what JSON would escape. */
struct json_text json_find(struct json_text text, const char *path);
bool json_text_is_object(struct json_text value);
bool json_text_is_array(struct json_text value);
/* The string that a value is, false when it is none. */
bool json_to_string(struct json_text value, struct json_string *string);
/* Whether it is a string that means this text. */
bool json_text_is(struct json_text value, const char *text);

#endif
