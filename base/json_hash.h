/* By what a JSON value is known, whoever wrote it: a keyed hash of what it means. Those who read JSON and write it anew
 * choose the order of members, white space, escapes and how a fraction is written; none of that changes the hash. */
#ifndef BASE_JSON_HASH_H
#define BASE_JSON_HASH_H

#include <stdint.h>

#include "base/json_scan.h"

#define JSON_HASH_DEPTH_MAX 32u /* what is nested deeper is taken as it is written */

/* Numbers with a fraction or an exponent are told apart as doubles are, and whole ones by their digits, so 1 is not
 * 1.0. Of members with the same name all count. A text that is no JSON is known by its bytes. Takes time in the order
 * of the text's length, and room as long as its longest string with escapes. */
uint64_t json_hash(const uint8_t key[16], struct json_text text);

#endif
