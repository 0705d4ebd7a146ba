/* What routes demand of requests (CORS, rates, tokens): rules over several keys. A mistake here either locks everybody
 * out or lets everybody in, so what would do nothing is complained about as well. */
#include <string.h>

#include "base/mem.h"
#include "conf/build.h"
#include "conf/value.h"

#define SECRET_MIN_BYTES 32u /* RFC 7518 section 3.2: as long as the digest */
#define REQUESTS_PER_MS  10u /* the clock of a bucket ticks 64 times in a millisecond */
#define BUCKET_MAX_MS    (UINT64_C(365) * 24 * 3600 * 1000)
#define SHOWN_BYTES      40 /* of a line of a file */

void check_unused(struct build *b, const void *section, const struct check_use *uses, size_t count,
                  const char *expected)
{
    for (size_t i = 0; i < count; i++)
        if (uses[i].is_set)
            build_complain(b, section, uses[i].member, uses[i].key, "has no use by itself, expected %s with it",
                           expected);
}

/* ---- methods, origins ---- */

static void check_methods(struct build *b, const void *section, const void *member, const char *const *methods,
                          size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strpbrk(methods[i], "abcdefghijklmnopqrstuvwxyz*") != NULL)
            build_complain(b, section, member, "methods", "\"%s\" is no method, expected names in upper case",
                           methods[i]);
}

static bool has_text(const char *const *texts, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(texts[i], text) == 0)
            return true;
    return false;
}

/* "*" beside others says that somebody was not sure what it does. */
static void check_star(struct build *b, const void *section, const void *member, const char *key,
                       const char *const *texts, size_t count)
{
    if (count > 1 && has_text(texts, count, "*"))
        build_complain(b, section, member, key, "has \"*\" beside others, expected it alone or not at all");
}

static void check_cors(struct build *b, const struct conf_cors *c)
{
    check_methods(b, c, &c->methods, c->methods, build_is_given(b, &c->methods) ? c->method_count : 0);
    check_star(b, c, &c->origins, "origins", c->origins, c->origin_count);
    check_star(b, c, &c->headers, "headers", c->headers, c->header_count);
    if (c->credentials && has_text(c->origins, c->origin_count, "*"))
        build_complain(
            b, c, &c->credentials, "credentials",
            "would let every page act with its visitor's cookies, expected origins other than \"*\" with it");
    const struct check_use uses[] = {{&c->methods, "methods", c->method_count > 0},
                                     {&c->headers, "headers", c->header_count > 0},
                                     {&c->expose, "expose", c->expose_count > 0},
                                     {&c->credentials, "credentials", c->credentials}};
    if (c->origin_count == 0 && !build_is_broken(b, &c->origins))
        check_unused(b, c, uses, sizeof uses / sizeof uses[0], "origins");
}

/* ---- rate ---- */

static void check_rate(struct build *b, const struct conf_rate *r, const struct conf_jwt *j)
{
    bool has_name = r->name[0] != '\0';
    const struct check_use uses[] = {
        {&r->per, "per", r->per != RATE_PER_IP}, {&r->name, "name", has_name}, {&r->burst, "burst", r->burst != 0}};
    if (r->requests == 0) {
        if (!build_is_broken(b, &r->requests))
            check_unused(b, r, uses, sizeof uses / sizeof uses[0], "requests");
        return;
    }
    if (r->per != RATE_PER_IP && !has_name && !build_is_broken(b, &r->name))
        build_complain(b, r, &r->per, "name", "is missing, expected the name of the %s to count by",
                       r->per == RATE_PER_HEADER ? "header" : "claim");
    if (r->per == RATE_PER_IP && has_name && !build_is_broken(b, &r->per))
        build_complain(b, r, &r->name, "name", "has no use with per: ip, expected per: header or per: claim");
    if (r->per == RATE_PER_HEADER && has_name && value_token(r->name) != NULL)
        build_complain(b, r, &r->name, "name", "\"%s\" %s, expected the name of a header", r->name,
                       value_token(r->name));
    if (r->per == RATE_PER_CLAIM && !conf_jwt_is_on(j))
        build_complain(b, r, &r->per, "per", "counts by a claim, expected jwt on the route as well");
    if (r->requests / REQUESTS_PER_MS > (uint64_t)r->every_ms)
        build_complain(b, r, &r->requests, "requests",
                       "are too many for the time of every, expected at most %u each ms", REQUESTS_PER_MS);
    else if ((uint64_t)r->every_ms * r->burst / r->requests > BUCKET_MAX_MS)
        build_complain(b, r, &r->burst, "burst", "would take more than a year to fill, expected less");
}

/* ---- tokens ---- */

static void check_key_source(struct build *b, const struct conf_jwt *j)
{
    const struct {
        const void *member;
        const char *key;
        bool is_set;
    } sources[] = {{&j->secret, "secret", j->secret[0] != '\0'},
                   {&j->public_key, "public_key", j->public_key.text != NULL},
                   {&j->jwks_file, "jwks.file", j->jwks_file.text != NULL},
                   {&j->jwks_pool, "jwks.pool", j->jwks_pool[0] != '\0'}};
    const char *first = NULL;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (sources[i].is_set && first != NULL)
            build_complain(b, j, sources[i].member, sources[i].key, "is given beside %s, expected one of them", first);
        else if (sources[i].is_set)
            first = sources[i].key;
    }
    if (j->secret[0] != '\0' && strlen(j->secret) < SECRET_MIN_BYTES)
        build_complain(b, j, &j->secret, "secret", "is too short to be safe, expected at least %u bytes",
                       SECRET_MIN_BYTES);
    if (j->jwks_pool[0] != '\0' && conf_find_pool(b->conf, j->jwks_pool) == NULL)
        build_complain(b, j, &j->jwks_pool, "jwks.pool", "\"%s\" is not a pool, expected the name of one",
                       j->jwks_pool);
}

/* A public key taken for a shared secret is the oldest trick there is; what could never be right is said early. */
static void check_algorithms(struct build *b, const struct conf_jwt *j)
{
    bool has_shared = (j->algorithms & 1u << JWT_HS256) != 0;
    bool has_public = (j->algorithms & ~(1u << JWT_HS256)) != 0;
    if (j->secret[0] != '\0' && has_public)
        build_complain(b, j, &j->algorithms, "algorithms", "do not go with a secret, expected HS256 alone");
    else if (j->secret[0] == '\0' && j->jwks_file.text == NULL && has_shared)
        build_complain(b, j, &j->algorithms, "algorithms", "have HS256, which takes a secret, expected RS256 or ES256");
}

static void check_forward(struct build *b, const struct conf_jwt *j)
{
    static const char *const refused[] = {"host", "connection", "content-length", "transfer-encoding", "upgrade", "te"};
    for (size_t i = 0; i < j->forward_count; i++) {
        const char *header = j->forward[i].value;
        const char *why = value_token(header);
        if (why == NULL && has_text(refused, sizeof refused / sizeof refused[0], header))
            why = "is not for users to set";
        if (why != NULL)
            build_complain(b, j, &j->forward, "forward", "\"%s\" %s, expected the name of a header", header, why);
    }
}

static void check_revoked(struct build *b, const struct conf_jwt *j)
{
    uint32_t number = 1;
    for (const char *line = j->revoked.text; line != NULL && *line != '\0'; number++) {
        size_t len = strcspn(line, "\r\n");
        bool is_fine = len == 0 || line[0] == '#' || (len > 4 && strncmp(line, "jti:", 4) == 0) ||
                       (len > 4 && strncmp(line, "sub:", 4) == 0);
        if (!is_fine) {
            build_complain(b, j, &j->revoked, "revoked", "has \"%.*s\" on line %u, expected jti:... or sub:...",
                           (int)(len < SHOWN_BYTES ? len : SHOWN_BYTES), line, number);
            return;
        }
        line += len;
        line += *line == '\r';
        line += *line == '\n';
    }
}

static bool has_broken_source(const struct build *b, const struct conf_jwt *j)
{
    return build_is_broken(b, &j->secret) || build_is_broken(b, &j->public_key) || build_is_broken(b, &j->jwks_file) ||
           build_is_broken(b, &j->jwks_pool);
}

static void check_jwt(struct build *b, const struct conf_jwt *j)
{
    const struct check_use uses[] = {{&j->required, "required", j->required_count > 0},
                                     {&j->forward, "forward", j->forward_count > 0},
                                     {&j->revoked, "revoked", j->revoked.text != NULL},
                                     {&j->algorithms, "algorithms", j->algorithms != 0},
                                     {&j->query, "query", j->query[0] != '\0'},
                                     {&j->cookie, "cookie", j->cookie[0] != '\0'},
                                     {&j->optional, "optional", j->optional}};
    if (!conf_jwt_is_on(j)) {
        if (!has_broken_source(b, j))
            check_unused(b, j, uses, sizeof uses / sizeof uses[0], "secret, public_key, jwks.file or jwks.pool");
        return;
    }
    check_key_source(b, j);
    check_algorithms(b, j);
    check_forward(b, j);
    check_revoked(b, j);
    if (j->header[0] == '\0' && j->query[0] == '\0' && j->cookie[0] == '\0')
        build_complain(b, j, &j->header, "header", "is empty, as are query and cookie, expected one of them");
    if (j->header[0] != '\0' && value_token(j->header) != NULL)
        build_complain(b, j, &j->header, "header", "\"%s\" %s, expected the name of a header", j->header,
                       value_token(j->header));
    if (j->cookie[0] != '\0' && value_token(j->cookie) != NULL)
        build_complain(b, j, &j->cookie, "cookie", "\"%s\" %s, expected the name of a cookie", j->cookie,
                       value_token(j->cookie));
}

void check_rules(struct build *b)
{
    const struct conf *c = b->conf;
    for (size_t i = 0; i < c->route_count; i++) {
        const struct conf_route *r = &c->routes[i];
        check_methods(b, r, &r->methods, r->methods, r->method_count);
        check_star(b, r, &r->ws_origins, "websocket.origins", r->ws_origins, r->ws_origin_count);
        check_cors(b, &r->cors);
        check_rate(b, &r->rate, &r->jwt);
        check_jwt(b, &r->jwt);
    }
}
