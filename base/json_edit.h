/* Changes members of a JSON object by copying its text around them: what is not changed stays as it was written, number
 * by number and escape by escape. */
#ifndef BASE_JSON_EDIT_H
#define BASE_JSON_EDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/json_scan.h"

#define JSON_EDITS_MAX 8u

struct json_edit {
    const char *path;       /* as for json_find(), not "" */
    struct json_text value; /* JSON; {NULL, 0}: the member goes */
};

/* Adds `object` with these changes to `out`. A member that is set is added where it is not there, at the end; objects
 * on the way to it are not. Members with the same name are all taken for it. False, and nothing is added, when `object`
 * is no JSON object; whether `out` had room for it is for the caller to see. */
bool json_edit(struct strbuf *out, struct json_text object, const struct json_edit *edits, size_t count);

#endif
