/* tidegate-admin: health, metrics and status over HTTP. Started by tidegate, never by hand. */
#include <sysexits.h>

#include "base/log.h"
#include "gateway/admin/admin.h"
#include "health/steering.h"

int main(void)
{
    struct birth birth;
    struct loop *loop;
    struct admin *admin;
    int rc = EX_OK;

    birth_attach(&birth, ROLE_ADMIN, sizeof(struct health_table));
    loop = loop_create();
    admin = admin_create(loop, &birth);
    birth_drop_privileges(&birth);
    if (admin == NULL) {
        LOG_ERR("cannot start the admin server", KV_STR("cause", "libwebsockets"));
        rc = EX_OSERR;
    } else {
        loop_run(loop);
        admin_destroy(&admin);
    }
    loop_destroy(&loop);
    return rc;
}
