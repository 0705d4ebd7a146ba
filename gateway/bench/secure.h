/* TLS of the load tester's links: 1.2 or later, and on request every connection resumes the session of the one before
 * it: its client's own, or if that had none, anybody's. The server's certificate is checked, unless that is not wanted.
 * OpenSSL directly, not base/tls.h: what is measured should not share its mistakes with what measures. */
#ifndef GATEWAY_BENCH_SECURE_H
#define GATEWAY_BENCH_SECURE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct secure;      /* what all connections share */
struct secure_link; /* one connection */
struct ssl_session_st;

/* `host` must be a name of the certificate, and is asked for (SNI) when it is no address. `ca_file` NULL: the system's
 * authorities. NULL when OpenSSL cannot, or the file is no good. */
struct secure *secure_create(const char *host, const char *ca_file, bool is_insecure, bool resumes);
void secure_destroy(struct secure **sp);

/* Over a connected, non-blocking socket, which stays the caller's. `*newest` is its client's session, NULL before the
 * first: it is replaced by those that come, must outlive the connection, and goes with secure_session_free(). */
struct secure_link *secure_link_create(struct secure *s, int fd, struct ssl_session_st **newest);
void secure_session_free(struct ssl_session_st **newest);
/* Says goodbye (close_notify) if the socket takes it. */
void secure_link_destroy(struct secure_link **kp);

enum secure_result { SECURE_DONE = 0, SECURE_WANTS_READ, SECURE_WANTS_WRITE, SECURE_FAILED };
enum secure_result secure_handshake(struct secure_link *k);
bool secure_is_resumed(const struct secure_link *k);
/* Why the handshake failed: what is wrong with the certificate, if anything. */
const char *secure_link_failure_text(const struct secure_link *k);
/* Why something else did. */
const char *secure_failure_text(void);

/* As send() and recv(): a count, 0 at the end of the stream, or -1 with errno. */
ssize_t secure_send(struct secure_link *k, const void *data, size_t len);
ssize_t secure_recv(struct secure_link *k, void *data, size_t cap);
/* Whether bytes, or the end, were read already, of which the socket does not tell again: ask until EAGAIN or 0. */
bool secure_has_more(const struct secure_link *k);

#endif
