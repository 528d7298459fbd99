"""A fleet of picket-sim agents that a test drives over its standard input.

SIM_AGENTS is the number of agents (300): with 10000 the same tests are the full ones.
"""
import collections
import json
import os
import subprocess

from programs import BIN, ProgramCase
from wire import wait_until

AGENTS = int(os.environ.get('SIM_AGENTS', '300'))
SIM = os.path.join(BIN, 'picket-sim')
PROFILES = 'sim/profiles'


class Fleet:
    """picket-sim driven over its standard input"""

    def __init__(self, server, *args):
        self.proc = subprocess.Popen([SIM, f'-server=127.0.0.1:{server.rpc}', '-profiles', PROFILES, '-script=-', '-q', '-json', '-dev',
                                      '-events=0', '-changes=0', *args],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, step):
        self.proc.stdin.write(step + '\n')
        self.proc.stdin.flush()

    def status(self):
        self.do('status')
        return json.loads(self.proc.stdout.readline())

    def wait(self, seconds=120, **states):
        """until so many agents are in each state; the status then"""
        def there():
            s = self.status()
            return s if all(s['states'][k] == n for k, n in states.items()) else None
        return wait_until(f'agents {states}', there, seconds)

    def end(self):
        """exit status and summary"""
        out, _ = self.proc.communicate(timeout=60)
        return self.proc.returncode, json.loads(out.splitlines()[-1])

    def cleanup(self):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.communicate()


class Sim(ProgramCase):
    def fleet(self, server, *args):
        f = Fleet(server, *args)
        self.addCleanup(f.cleanup)
        return f

    def start(self, *args, **kwargs):
        server = self.server(**kwargs)
        server.start().wait()
        return server, self.fleet(server, *args)

    @staticmethod
    def at_server(server):
        return collections.Counter(n['Status'] for n in server.nodes())

    def join(self, fleet, n=AGENTS):
        fleet.do(f'join {n} over {max(1, n // 500)}s')
        return fleet.wait(ready=n)
