/* probe/user.h - users by name or number, for daemons that must not block on a name service. */
#pragma once

#include "base/err.h"

/* Prints a struct answer_user as JSON.  who is a name, or a number when it consists of digits. That
 * there is no such user is an answer; an error is a name service that fails. */
int user_print(const char *who, struct err *e) _must_check_;
