/* What values bring in from outside the file: the environment and other files. Both come with bounds, because neither
 * was written by whoever wrote the configuration, and both must be clean text, because that is what the rest of conf/
 * takes for granted. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/node.h"
#include "conf/value.h"

#define NAME_MAX_BYTES 128u

static bool is_name_byte(char c, bool is_first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (!is_first && c >= '0' && c <= '9');
}

/* One `${...}`; `s` points behind the "${". Returns where to go on, or NULL with *why. */
static const char *expand_one(struct expansion *e, const char *s, struct strbuf *out, const char **why)
{
    const char *end = strchr(s, '}');
    if (end == NULL) {
        *why = "has a ${ without }, expected ${NAME}, ${NAME:-default}, or $${ for the text ${ itself";
        return NULL;
    }
    size_t name_len = 0;
    while (is_name_byte(s[name_len], name_len == 0))
        name_len++;
    bool has_default = s[name_len] == ':' && s[name_len + 1] == '-';
    if (name_len == 0 || name_len > NAME_MAX_BYTES || (!has_default && s + name_len != end)) {
        *why = "has an unknown form of ${...}, expected ${NAME}, ${NAME:-default}, or $${ for the text ${ itself";
        return NULL;
    }
    char name[NAME_MAX_BYTES + 1];
    memcpy(name, s, name_len);
    name[name_len] = '\0';
    const char *value = getenv(name);
    const char *unclean = NULL;
    if (value != NULL && value[0] == '\0' && has_default)
        value = NULL; /* as in the shell: ":-" also stands in for an empty value */
    if (value == NULL && !has_default) {
        *why = arena_printf(e->arena, "environment variable %s is not set, expected it to be, or ${%s:-default}", name,
                            name);
        return NULL;
    }
    if (value != NULL && text_first_bad(value, strlen(value), &unclean) != strlen(value)) {
        *why = arena_printf(e->arena, "environment variable %s has %s, expected UTF-8 text", name, unclean);
        return NULL;
    }
    if (value != NULL)
        strbuf_puts(out, value);
    else
        strbuf_add(out, s + name_len + 2, (size_t)(end - s) - name_len - 2);
    return end + 1;
}

const char *expand_text(struct expansion *e, const char *text, const char **why)
{
    if (e->is_off || strstr(text, "${") == NULL)
        return text;
    struct strbuf out;
    strbuf_init(&out, e->left_bytes);
    const char *s = text;
    while (s != NULL && *s != '\0' && !out.failed) {
        if (strncmp(s, "$${", 3) == 0) {
            strbuf_puts(&out, "${");
            s += 3;
        } else if (strncmp(s, "${", 2) == 0) {
            s = expand_one(e, s + 2, &out, why);
        } else {
            strbuf_add(&out, s, 1);
            s++;
        }
    }
    const char *result = NULL;
    if (s != NULL && out.failed)
        *why = arena_printf(e->arena, "brings in too much, expected at most %zu bytes over all values",
                            EXPANSION_MAX_BYTES);
    else if (s != NULL) {
        result = arena_strndup(e->arena, out.len > 0 ? out.data : "", out.len);
        e->left_bytes -= out.len;
    }
    strbuf_fini(&out);
    return result;
}

const char *expand_path(struct expansion *e, const char *path)
{
    if (e->is_off || path[0] == '/' || path[0] == '\0' || e->dir[0] == '\0')
        return path;
    return arena_printf(e->arena, "%s/%s", e->dir, path);
}

/* Opens without waiting: a FIFO or a device in the place of a certificate must not hang the start. */
static int open_regular(const char *path, size_t *size_bytes, const char **why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        *why = strerror(errno);
        return -1;
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        *why = "not a regular file";
    else if ((size_t)st.st_size > FILE_MAX_BYTES)
        *why = "longer than 1 MiB";
    else {
        *size_bytes = (size_t)st.st_size;
        return fd;
    }
    (void)close(fd);
    return -1;
}

/* NULL with *why. */
static char *read_whole(struct expansion *e, const char *path, size_t *len, const char **why)
{
    size_t size_bytes = 0;
    const char *reason = NULL;
    const char *full = expand_path(e, path);
    if (value_file_path(full) != NULL) {
        *why = "names a file with a control character or too long a name, expected a path";
        return NULL;
    }
    int fd = open_regular(full, &size_bytes, &reason);
    if (fd < 0) {
        *why = arena_printf(e->arena, "cannot read the file %.256s: %s, expected a readable text file", full, reason);
        return NULL;
    }
    if (size_bytes > e->left_bytes) {
        (void)close(fd);
        *why = "brings in too much, expected at most 4 MiB over all values";
        return NULL;
    }
    char *data = arena_alloc(e->arena, size_bytes + 1, 1);
    ssize_t got = 1;
    *len = 0;
    while (*len < size_bytes && (got = read(fd, data + *len, size_bytes - *len)) > 0)
        *len += (size_t)got;
    (void)close(fd);
    e->left_bytes -= *len;
    return data;
}

const char *expand_bytes(struct expansion *e, const char *path, size_t *len, const char **why)
{
    return read_whole(e, path, len, why);
}

const char *expand_file(struct expansion *e, const char *path, const char **why)
{
    const char *reason = NULL;
    size_t len = 0;
    char *text = read_whole(e, path, &len, why);
    if (text == NULL)
        return NULL;
    if (text_first_bad(text, len, &reason) != len) {
        *why = arena_printf(e->arena, "the file %.256s has %s, expected UTF-8 text", expand_path(e, path), reason);
        return NULL;
    }
    if (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    if (len > 0 && text[len - 1] == '\r')
        text[--len] = '\0';
    return text;
}

/* Length of the UTF-8 character at `s` and its code point; 0 when it is malformed (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF). */
static size_t decode(const unsigned char *s, size_t left, uint32_t *point)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (s[0] < 0x80) {
        *point = s[0];
        return 1;
    }
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || left < len)
        return 0;
    uint32_t p = s[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0u) != 0x80u)
            return 0;
        p = p << 6 | (s[i] & 0x3fu);
    }
    if (p < lowest[len] || p > 0x10ffff || (p >= 0xd800 && p <= 0xdfff))
        return 0;
    *point = p;
    return len;
}

size_t text_first_bad(const char *text, size_t len, const char **why)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < len;) {
        uint32_t point = 0;
        size_t step = decode(s + i, len - i, &point);
        if (step == 0)
            *why = "a byte that is not UTF-8";
        else if (point == 0)
            *why = "a NUL byte";
        else if ((point < 0x20 && point != '\t' && point != '\n' && point != '\r') ||
                 (point >= 0x7f && point < 0xa0 && point != 0x85) || point == 0xfeff || point == 0xfffe ||
                 point == 0xffff)
            *why = "a control character";
        else {
            i += step;
            continue;
        }
        return i;
    }
    return len;
}
