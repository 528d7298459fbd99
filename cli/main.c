/* picket - the operator's command. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

int main(int argc, char **argv)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    int code;

    (void)sigaction(SIGPIPE, &ignore, NULL); /* a reader that goes away is no error */
    code = command_main(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE) {
        (void)fprintf(stderr, "Error writing the output: %s\n", strerror(errno));
        return EXIT_ERROR;
    }
    return code;
}
