/* picket - the operator's command. */
#include <signal.h>

#include "cli/command.h"

int main(int argc, char **argv)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGPIPE, &ignore, NULL); /* a reader that goes away is a write error */
    return command_main(argc, argv);
}
