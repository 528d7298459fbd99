#include "probe/user.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/parse.h"
#include "base/str.h"
#include "codec/js.h"
#include "fingerprint/answer.h"

static const struct passwd *look_up(const char *who, struct err *e)
{
    bool digits = strspn(who, "0123456789") == strlen(who);
    uint64_t uid;

    if (!digits) {
        errno = 0;
        return getpwnam(who);
    }
    /* the highest one stands for "none" */
    if (parse_u64(who, &uid) < 0 || uid >= UINT32_MAX) {
        (void)err_set(e, -ERANGE, "\"%.40s\" is no number of a user", who);
        return NULL;
    }
    errno = 0;
    return getpwuid((uid_t)uid);
}

/* getpwnam(3) lists these for an entry that is not there */
static bool means_absent(int error)
{
    return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
}

int user_print(const char *who, struct err *e)
{
    _cleanup_buf_ struct buf b = BUF_INIT(READ_CAP_STATE);
    struct answer_user a = {0};
    const struct passwd *pw;

    e->code = 0;
    pw = look_up(who, e);
    if (!pw && e->code < 0)
        return e->code;
    if (!pw && !means_absent(errno))
        return err_errno(e, -errno, "user %.100s", who);
    if (pw)
        a = (struct answer_user){.found = true,
                                 .name = pw->pw_name,
                                 .uid = pw->pw_uid,
                                 .gid = pw->pw_gid,
                                 .home = pw->pw_dir};
    js_encode(&b, &desc_answer_user, &a, 0);
    if (buf_ok(&b) < 0)
        return err_set(e, -EMSGSIZE, "the entry of user %.100s is too long", who);
    (void)printf("%s\n", buf_str(&b));
    return 0;
}
