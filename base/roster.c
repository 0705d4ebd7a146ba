/* Texts of roles and of a child's states. */
#include "base/roster.h"

#include <stddef.h>

#include "base/assert.h"

static const char *const role_names[] = {
#define X(id, name, exe) name,
    ROLE_TABLE(X)
#undef X
};
static const char *const role_executables[] = {
#define X(id, name, exe) exe,
    ROLE_TABLE(X)
#undef X
};
static const char *const state_texts[] = {
    [ROSTER_UNUSED] = "unused",     [ROSTER_STARTING] = "starting", [ROSTER_READY] = "ready",
    [ROSTER_DRAINING] = "draining", [ROSTER_WAITING] = "waiting",   [ROSTER_GONE] = "gone",
};
_Static_assert(sizeof role_names / sizeof *role_names == ROLE_COUNT, "one name per role");
_Static_assert(sizeof state_texts / sizeof *state_texts == ROSTER_GONE + 1, "one text per state");

const char *role_name(enum role r)
{
    ASSERT((unsigned)r < ROLE_COUNT);
    return role_names[r];
}

const char *role_executable(enum role r)
{
    ASSERT((unsigned)r < ROLE_COUNT);
    return role_executables[r];
}

/* The state comes out of shared memory, so it may be anything. */
const char *roster_state_text(enum roster_state s)
{
    return (unsigned)s <= ROSTER_GONE ? state_texts[s] : "unknown";
}
