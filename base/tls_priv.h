/* What base/tls_ctx.c, base/tls_io.c and base/tls_lend.c share, and nobody else includes: the one header with
 * OpenSSL's types. */
#ifndef BASE_TLS_PRIV_H
#define BASE_TLS_PRIV_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/tls.h"

#define TLS_CTX_MAGIC 0x71c0a3d5u

struct tls_ctx {
    uint32_t magic;
    uint32_t refs;
    SSL_CTX *ctx;
    bool is_insecure;
};

#endif
