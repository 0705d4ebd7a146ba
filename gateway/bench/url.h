/* What is to be loaded, as the user writes it: ws://host:port/path?query, and wss, http and https. */
#ifndef GATEWAY_BENCH_URL_H
#define GATEWAY_BENCH_URL_H

#include <stdbool.h>
#include <stdint.h>

#define URL_HOST_BYTES   256u
#define URL_TARGET_BYTES 4096u
#define URL_ERROR_BYTES  192u

struct url {
    bool is_tls;
    bool speaks_http;                    /* http or https */
    bool has_path;                       /* more than the "/" that stands for none */
    uint16_t port;                       /* 80 or 443 when none is given */
    char host[URL_HOST_BYTES];           /* a name or a numeric address, without brackets */
    char authority[URL_HOST_BYTES + 10]; /* for the Host field: the port only when it is not the scheme's own */
    char target[URL_TARGET_BYTES];       /* path and query, as they go into the request */
};

/* False with a few words in `error` (URL_ERROR_BYTES). A fragment and user names are refused. */
bool url_parse(struct url *u, const char *text, char *error);
/* Another path and query: "/x?y=z". False when it is none, or too long. */
bool url_set_target(struct url *u, const char *target);
/* Adds key=value to the query, percent-encoded where needed. False when there is no room. */
bool url_add_param(struct url *u, const char *key, const char *value);
/* Whether the query has this key. */
bool url_has_param(const struct url *u, const char *key);

#endif
