/* tidegate-checker: judges the servers by asking them. Started by tidegate, without arguments and with all it needs on
 * its descriptors; or by hand, alone, with a configuration. */
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "base/birth.h"
#include "health/checker/alone.h"
#include "health/checker/checker.h"

int main(int argc, char **argv)
{
    struct stat st;

    if (argc > 1)
        return alone_main(argc, argv);
    if (fstat(BIRTH_FD_CONTROL, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        fputs(
            "cannot start: no control socket on descriptor 3; without arguments this program is started by tidegate,\n"
            "by hand it wants a configuration: tidegate-checker -c FILE\n",
            stderr);
        return EX_OSERR;
    }
    return checker_main();
}
