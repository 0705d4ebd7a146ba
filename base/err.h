/* One table of the ways things fail at run time; the text is what the log, the status and the CLI show. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/* clang-format off */
/*    name            text (also the value of cause= in logs) */
#define ERR_TABLE(X)                                                                                         \
    X(ERR_AGAIN,       "again")          /* nothing yet; the loop will say when */                           \
    X(ERR_EOF,         "closed")         /* orderly end of stream */                                         \
    X(ERR_RESET,       "reset")          /* RST or EPIPE */                                                  \
    X(ERR_REFUSED,     "refused")        /* nobody listens there */                                          \
    X(ERR_UNREACHABLE, "unreachable")                                                                        \
    X(ERR_TIMEOUT,     "timeout")                                                                            \
    X(ERR_RESOLVE,     "resolve")        /* the name has no usable address */                                \
    X(ERR_TLS,         "tls")            /* handshake or record failure */                                   \
    X(ERR_TLS_VERIFY,  "tls_verify")     /* certificate not acceptable */                                    \
    X(ERR_PROTOCOL,    "protocol")       /* the peer broke its protocol */                                   \
    X(ERR_LIMIT,       "limit")          /* a configured or built-in limit was reached */                    \
    X(ERR_FULL,        "full")           /* a bounded queue or table has no room */                          \
    X(ERR_NOT_FOUND,   "not_found")                                                                          \
    X(ERR_BUSY,        "busy")           /* address in use, or an exclusive thing is taken */                \
    X(ERR_DENIED,      "denied")                                                                             \
    X(ERR_INVALID,     "invalid")        /* input that does not parse */                                     \
    X(ERR_CANCELLED,   "cancelled")                                                                          \
    X(ERR_SYSTEM,      "system")         /* any other errno */

enum err {
    ERR_NONE = 0,
#define X(name, text) name,
    ERR_TABLE(X)
#undef X
    ERR_COUNT
};
/* clang-format on */

/* A function that returns enum err must have its result looked at. */
#define MUST_CHECK __attribute__((warn_unused_result))

const char *err_text(enum err e);
/* Maps an errno value of a socket or file call; 0 gives ERR_NONE. */
enum err err_from_errno(int errno_value);

#endif
