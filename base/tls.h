/* TLS over a non-blocking socket. OpenSSL stays inside base/tls_ctx.c (contexts), base/tls_io.c (bytes) and
 * base/tls_lend.c (contexts for libraries that run the handshake themselves). */
#ifndef BASE_TLS_H
#define BASE_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define TLS_ERROR_TEXT_BYTES 256u

struct tls_ctx; /* ref-counted: certificates, trust, policy */
struct tls;     /* one connection */

/* PEM text is passed in memory because the process that uses it may not be allowed to read the file. */
struct tls_client_opts {
    const char *ca_pem;   /* NULL: the system's trust store */
    const char *cert_pem; /* client certificate, or NULL */
    const char *key_pem;
    bool insecure; /* true: the server's certificate is not checked */
};

/* NULL on failure with a sentence in `error` (TLS_ERROR_TEXT_BYTES). TLS 1.2 or later, AEAD with forward secrecy. */
struct tls_ctx *tls_ctx_create_client(const struct tls_client_opts *o, char *error);
struct tls_ctx *tls_ctx_ref(struct tls_ctx *c);
void tls_ctx_unref(struct tls_ctx **cp);

/* A client connection over `fd` (borrowed until tls_destroy). `server_name` is sent as SNI and must match the
 * certificate; a numeric address is matched against its IP names and sends no SNI. Keeps a reference to `c`. */
struct tls *tls_create_client(struct tls_ctx *c, int fd, const char *server_name);
void tls_destroy(struct tls **tp);

enum tls_want { TLS_WANT_NONE = 0, TLS_WANT_READ, TLS_WANT_WRITE };

/* Each returns ERR_NONE (progress), ERR_AGAIN (then *want says for what), ERR_EOF, or a failure. After a failure only
 * tls_destroy is allowed. A write that returned ERR_AGAIN may be repeated with a longer buffer at another address. */
enum err tls_handshake(struct tls *t, enum tls_want *want) MUST_CHECK;
enum err tls_read(struct tls *t, void *buf, size_t cap, size_t *got, enum tls_want *want) MUST_CHECK;
enum err tls_write(struct tls *t, const void *buf, size_t len, size_t *put, enum tls_want *want) MUST_CHECK;
bool tls_has_pending(const struct tls *t); /* decrypted bytes wait although the socket may be silent */
void tls_shutdown(struct tls *t);          /* sends close_notify, does not wait */
/* Why the last call failed, for the log; valid until the next call. */
const char *tls_failure_text(const struct tls *t);

#endif
