/* The last words of a process. By the time an assertion fails nothing can be trusted, least of all the heap and
 * stdio, so the sentence is put together by hand in a buffer on the stack, copied to the page and written out. */
#include "base/assert.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The one piece of state this file needs: a failed assertion has nobody to ask for its page. */
static char *last_words_page;

void last_words_register(char *page)
{
    last_words_page = page;
}

static size_t add_text(char *out, size_t len, const char *text)
{
    while (*text != '\0' && len + 2 < LAST_WORDS_BYTES) /* room for the newline and the NUL */
        out[len++] = *text++;
    return len;
}

static size_t add_number(char *out, size_t len, int number)
{
    char digits[12];
    size_t at = sizeof digits - 1;
    unsigned rest = number < 0 ? 0u : (unsigned)number;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + rest % 10u);
        rest /= 10u;
    } while (rest > 0);
    return add_text(out, len, digits + at);
}

void assert_failed(const char *what, const char *func, const char *file, int line)
{
    char words[LAST_WORDS_BYTES];
    size_t len = 0;

    len = add_text(words, len, "assertion failed: ");
    len = add_text(words, len, what);
    len = add_text(words, len, " in ");
    len = add_text(words, len, func);
    len = add_text(words, len, " at ");
    len = add_text(words, len, file);
    len = add_text(words, len, ":");
    len = add_number(words, len, line);
    words[len] = '\0';
    if (last_words_page != NULL)
        memcpy(last_words_page, words, len + 1);
    words[len] = '\n';
    if (write(STDERR_FILENO, words, len + 1) < 0)
        len = 0; /* nobody listens; the page has it */
    abort();
}
