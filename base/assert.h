/* Assertions that stay on in release builds, and the last words of a process that fails one.
 *
 * Assert what callers promise; handle what the outside world may do. A failed assertion writes one line to
 * the process's last-words page (shared with the supervisor, which logs it when it reaps the child) and to
 * stderr, then aborts. The page is registered once at birth; before that stderr alone is used. */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#include <stddef.h>
#include <stdint.h>

#define LAST_WORDS_BYTES 512u

/* Registers `page` (at least LAST_WORDS_BYTES, borrowed for the life of the process) for the last words. */
void last_words_register(char *page);

_Noreturn void assert_failed(const char *what, const char *func, const char *file, int line);

#define ASSERT(cond) ((cond) ? (void)0 : assert_failed(#cond, __func__, __FILE__, __LINE__))

/* Every heap struct begins with `uint32_t magic`; public functions check each pointer they receive. */
#define CHECK_OBJ(p, m) ASSERT((p) != NULL && (p)->magic == (m))

#endif
