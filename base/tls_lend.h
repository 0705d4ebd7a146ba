/* A TLS client context lent to a library that runs its handshakes itself (libwebsockets).
 *
 * Trust, policy and the rules about names are those of base/tls.h, so that a probe and the traffic it speaks for come
 * to the same opinion about a certificate. What the library does about names (from its Host header) is overruled:
 * every connection asks for and insists on the one name given here. */
#ifndef BASE_TLS_LEND_H
#define BASE_TLS_LEND_H

#include "base/err.h"
#include "base/tls.h"

struct tls_lend;

/* NULL on failure with a sentence in `error` (TLS_ERROR_TEXT_BYTES). `server_name` as in tls_create_client. */
struct tls_lend *tls_lend_create(const struct tls_client_opts *o, const char *server_name, char *error);
/* Only when no connection of the library uses the context any more. */
void tls_lend_destroy(struct tls_lend **lp);
/* The SSL_CTX, borrowed until tls_lend_destroy. */
void *tls_lend_native(const struct tls_lend *l);
/* Why the handshake of `ssl` (an SSL made from the context; NULL: none yet) failed: ERR_TLS_VERIFY with the reason
 * when the certificate was refused, else ERR_TLS; the text is constant. */
enum err tls_lend_failure(const struct tls_lend *l, const void *ssl, const char **text);
/* The alert by which the server ended the connection that was begun last, as constant text; NULL: none. With TLS 1.3 a
 * server refuses our certificate, or the lack of one, after the handshake is over for us. */
const char *tls_lend_alert(const struct tls_lend *l);
/* Until when the certificate holds that the server of `ssl` showed (wall clock); 0 when it showed none. */
int64_t tls_lend_peer_ends_ms(const struct tls_lend *l, const void *ssl);

#endif
