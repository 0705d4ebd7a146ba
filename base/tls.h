/* TLS over a non-blocking socket, both sides. OpenSSL stays inside base/tls_*.c: contexts (tls_ctx.c, tls_server.c,
 * tls_ocsp.c), bytes (tls_io.c), certificates as such (tls_cert.c) and contexts for libraries that run the handshake
 * themselves (tls_lend.c). */
#ifndef BASE_TLS_H
#define BASE_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TLS_ERROR_TEXT_BYTES 256u

struct tls_ctx; /* ref-counted: certificates, trust, policy */
struct tls;     /* one connection */
struct tls_tickets;

/* ---- contexts ---- */

/* PEM text is passed in memory because the process that uses it may not be allowed to read the file. */
struct tls_client_opts {
    const char *ca_pem;   /* NULL: the system's trust store */
    const char *cert_pem; /* client certificate, or NULL */
    const char *key_pem;
    bool insecure; /* true: the server's certificate is not checked */
};

/* NULL on failure with a sentence in `error` (TLS_ERROR_TEXT_BYTES). TLS 1.2 or later, AEAD with forward secrecy. */
struct tls_ctx *tls_ctx_create_client(const struct tls_client_opts *o, char *error);

/* A certificate with its chain, its key, and what its authority says about it. */
struct tls_identity {
    const char *cert_pem, *key_pem;
    const char *ocsp_pem; /* tls_ocsp_pem(), or NULL */
};
enum tls_client_cert { TLS_CLIENT_CERT_NONE = 0, TLS_CLIENT_CERT_OPTIONAL, TLS_CLIENT_CERT_REQUIRED };
enum tls_min_version { TLS_MIN_1_2 = 0, TLS_MIN_1_3 };

struct tls_server_opts {
    const struct tls_identity *identities;
    size_t identity_count;        /* at least one; the first is shown to who asks for no name we have */
    const char *client_ca_pem;    /* who may vouch for clients; needed when they are asked */
    enum tls_client_cert clients; /* OPTIONAL: none is fine, a bad one is not */
    enum tls_min_version min_version;
    bool offer_h2;               /* ALPN: h2 before http/1.1; else http/1.1 alone */
    struct tls_tickets *tickets; /* referenced; NULL: no session is ever resumed */
};

/* NULL on failure with a sentence in `error` that names the certificate by its place ("certificate 2: key: ...").
 *
 * The name a client asks for (SNI) selects the identity: an exact name of a certificate, then a wildcard, else the
 * first identity. Identities of the same names and different kinds of keys (RSA and ECDSA) stand in for each other and
 * the client's abilities decide. TLS 1.2 or later, AEAD with forward secrecy, our order of ciphers, no renegotiation,
 * no compression, no early data. A client that offers ALPN and none of ours is refused (RFC 7301 section 3.2). */
struct tls_ctx *tls_ctx_create_server(const struct tls_server_opts *o, char *error);
struct tls_ctx *tls_ctx_ref(struct tls_ctx *c);
void tls_ctx_unref(struct tls_ctx **cp);

/* ---- connections ---- */

/* What a client says it can speak (ALPN). Nothing leaves the choice to the server's habits: HTTP/1.1. */
enum tls_offer { TLS_OFFER_NOTHING = 0, TLS_OFFER_HTTP11, TLS_OFFER_H2 /* and HTTP/1.1 */ };

/* A client connection over `fd` (borrowed until tls_destroy). `server_name` is sent as SNI and must match the
 * certificate; a numeric address is matched against its IP names and sends no SNI. Keeps a reference to `c`. */
struct tls *tls_create_client(struct tls_ctx *c, int fd, const char *server_name);
struct tls *tls_create_client_offer(struct tls_ctx *c, int fd, const char *server_name, enum tls_offer offer);
/* A server connection over `fd` (borrowed until tls_destroy). Keeps a reference to `c`. */
struct tls *tls_create_server(struct tls_ctx *c, int fd);
void tls_destroy(struct tls **tp);

enum tls_want { TLS_WANT_NONE = 0, TLS_WANT_READ, TLS_WANT_WRITE };

/* Each returns ERR_NONE (progress), ERR_AGAIN (then *want says for what), ERR_EOF, or a failure. After a failure only
 * tls_destroy is allowed. A read takes as many of the records that have come as there is room for; a write takes one,
 * and who has more than one writes the rest at once, unless it returned ERR_AGAIN; then it may be repeated with a
 * longer buffer at another address. */
enum err tls_handshake(struct tls *t, enum tls_want *want) MUST_CHECK;
enum err tls_read(struct tls *t, void *buf, size_t cap, size_t *got, enum tls_want *want) MUST_CHECK;
enum err tls_write(struct tls *t, const void *buf, size_t len, size_t *put, enum tls_want *want) MUST_CHECK;
/* Something that came is here, though the socket may be silent: whole records, the end, or the beginning of a record,
 * which is known for one only when a read finds nothing. */
bool tls_has_pending(const struct tls *t);
void tls_shutdown(struct tls *t); /* sends close_notify, does not wait */
/* Why the last call failed, for the log; valid until the next call. */
const char *tls_failure_text(const struct tls *t);

/* ---- what a finished handshake agreed on ---- */

enum tls_alpn { TLS_ALPN_NONE = 0, TLS_ALPN_HTTP11, TLS_ALPN_H2 };
enum tls_alpn tls_alpn(const struct tls *t);
/* The name the client asked for (SNI), as it wrote it; NULL if none. Valid as long as `t`. */
const char *tls_server_name(const struct tls *t);
/* Subject of the verified client certificate as RFC 4514 text (UTF-8, control characters escaped), cut to fit `cap`
 * bytes with its NUL; "" if there is none. Returns `buf`. */
const char *tls_client_subject(const struct tls *t, char *buf, size_t cap);
/* Until when the peer's certificate holds (wall clock, as loop_wall_ms()); 0 when it showed none. */
int64_t tls_peer_ends_ms(const struct tls *t);
bool tls_is_resumed(const struct tls *t);
const char *tls_version_text(const struct tls *t); /* "TLSv1.3"; constant */
const char *tls_cipher_text(const struct tls *t);  /* "TLS_AES_128_GCM_SHA256"; constant */

/* ---- certificates as such ---- */

#define TLS_NAMES_BYTES 256u
struct tls_certificate_info {
    char names[TLS_NAMES_BYTES]; /* DNS names, or the common name without any; commas between, "..." when cut */
    int64_t not_before_ms;       /* wall clock, as loop_wall_ms() */
    int64_t not_after_ms;
};
/* The first certificate of a PEM text. False when there is none that parses. */
bool tls_certificate_info(const char *pem, struct tls_certificate_info *info);
/* An OCSP response (RFC 6960), DER or PEM in `data`, as PEM text; NULL when it does not parse. mem_free. */
char *tls_ocsp_pem(const void *data, size_t len);

#endif
