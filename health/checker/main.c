/* tidegate-checker: judges the servers by asking them. Started by tidegate, never by hand. */
#include "health/checker/checker.h"

int main(void)
{
    return checker_main();
}
