/* What a request asks for, as far as routing needs it: host, path, query (RFC 3986, RFC 9110 section 4.2). */
#ifndef GATEWAY_HTTP_TARGET_H
#define GATEWAY_HTTP_TARGET_H

#include "gateway/http/h1.h"

/* False for a path that could mean something else to a server behind the gateway than to the routes: a segment that is
 * "." or ".." once decoded (encoded slashes, backslashes and ";parameters" do not hide it), a broken percent escape, an
 * encoded control character. Such a request is answered with 400. */
bool target_path_is_safe(struct http_view path);

/* True only for a path that is safe and plain, as nearly all are; of some that are both it is false. At the price of a
 * look at each byte. */
bool target_path_is_simple(struct http_view path);

/* Whether `path` (still encoded) lies under the route `prefix`. A prefix without a trailing slash matches whole
 * segments: "/a" has "/a" and "/a/b", not "/ab". "/a/" has all that begins with it. Escaped characters equal the plain
 * ones, except that "%2F" is not a segment border. */
bool target_matches_prefix(struct http_view path, const char *prefix);
/* Whether all servers read the path alike: no slashes in a row, no "\" or "%2F", no ";parameters". */
bool target_path_is_plain(struct http_view path);
/* Whether some server behind the gateway may take `path` for one under the prefix: read with slashes in a row as one,
 * "\" and "%2F" as a slash, and without ";parameters". True whenever the prefix matches. */
bool target_may_match_prefix(struct http_view path, const char *prefix);
/* How many bytes of `path`, as it is written, a prefix that matches takes; -1 when it does not match. */
ptrdiff_t target_prefix_bytes(struct http_view path, const char *prefix);

/* Whether `authority` (host[:port], may be absent) is meant by the route's host `pattern`: "" any host, "*.example.com"
 * one or more labels before it, else the very name. Without case, port and the dot at the end. */
bool target_matches_host(struct http_view authority, const char *pattern);

/* Takes the next parameter, "name=value" or a name alone, off a query; both stay encoded, and lie in a row. False at
 * the query's end. */
bool target_query_next(struct http_view *query, struct http_view *name, struct http_view *value);
/* Takes one character off an encoded name or value (not empty), 0-255: "+" is a space, a broken escape is as written.
 */
int target_query_unit(struct http_view *encoded);
/* The first value of a query parameter, decoded ("+" is a space). Returns its whole length and writes at most
 * `cap_bytes` of it, without NUL; -1 when the parameter is not there. A broken escape stays as it is written. */
ptrdiff_t target_query_value(struct http_view query, const char *name, char *out, size_t cap_bytes);

#endif
