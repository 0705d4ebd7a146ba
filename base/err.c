/* Texts of the failures, and what the kernel's error numbers mean to a proxy. */
#include "base/err.h"

#include <errno.h>
#include <stddef.h>

#include "base/assert.h"

static const char *const err_texts[] = {[ERR_NONE] = "ok",
#define X(name, text) [name] = text,
                                        ERR_TABLE(X)
#undef X
};
_Static_assert(sizeof err_texts / sizeof *err_texts == ERR_COUNT, "every failure has a text");

/* Several numbers may mean the same to us; what is not listed is ERR_SYSTEM. */
static const struct {
    int errno_value;
    enum err err;
} errno_kinds[] = {
    {0, ERR_NONE},
    {EAGAIN, ERR_AGAIN},
    {EINPROGRESS, ERR_AGAIN},
    {EALREADY, ERR_AGAIN},
    {EINTR, ERR_AGAIN},
    {ECONNRESET, ERR_RESET},
    {EPIPE, ERR_RESET},
    {ECONNABORTED, ERR_RESET},
    {ENOTCONN, ERR_RESET},
    {ECONNREFUSED, ERR_REFUSED},
    {EHOSTUNREACH, ERR_UNREACHABLE},
    {ENETUNREACH, ERR_UNREACHABLE},
    {EHOSTDOWN, ERR_UNREACHABLE},
    {ENETDOWN, ERR_UNREACHABLE},
    {EADDRNOTAVAIL, ERR_UNREACHABLE},
    {ENONET, ERR_UNREACHABLE},
    {ETIMEDOUT, ERR_TIMEOUT},
    {EPROTO, ERR_PROTOCOL},
    {EMFILE, ERR_LIMIT},
    {ENFILE, ERR_LIMIT},
    {ENOBUFS, ERR_LIMIT},
    {ENOMEM, ERR_LIMIT},
    {EMSGSIZE, ERR_LIMIT},
    {EFBIG, ERR_LIMIT},
    {ENOSPC, ERR_FULL},
    {EDQUOT, ERR_FULL},
    {ENOENT, ERR_NOT_FOUND},
    {ENOTDIR, ERR_NOT_FOUND},
    {EADDRINUSE, ERR_BUSY},
    {EBUSY, ERR_BUSY},
    {EEXIST, ERR_BUSY},
    {EACCES, ERR_DENIED},
    {EPERM, ERR_DENIED},
    {EROFS, ERR_DENIED},
    {EINVAL, ERR_INVALID},
    {EAFNOSUPPORT, ERR_INVALID},
    {ENAMETOOLONG, ERR_INVALID},
    {ECANCELED, ERR_CANCELLED},
};

const char *err_text(enum err e)
{
    ASSERT((unsigned)e < ERR_COUNT);
    return err_texts[e];
}

enum err err_from_errno(int errno_value)
{
    for (size_t i = 0; i < sizeof errno_kinds / sizeof *errno_kinds; i++)
        if (errno_kinds[i].errno_value == errno_value)
            return errno_kinds[i].err;
    return ERR_SYSTEM;
}
