"""Whoever may only connect to an agent cannot take it away from the servers."""
import os
import shutil
import signal
import socket
import tempfile
import unittest

from programs import Agent, Server, get_json, run_cli
from wire import wait_until

NOBODY = 65534
LIMIT = 256  # descriptors of the agent


def crowd(path, n):
    """a process of a user without rights that holds as many connections as it gets"""
    ready, done = os.pipe()
    pid = os.fork()
    if pid:
        os.close(done)
        os.read(ready, 1)
        os.close(ready)
        return pid
    try:
        os.close(ready)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        held, refused = [], 0
        for i in range(n):
            if refused > 8:
                break
            s = socket.socket(socket.AF_UNIX) if i % 2 else socket.socket()
            s.settimeout(1)
            try:
                if i % 2:
                    s.connect(path[0])
                else:
                    s.bind((f'127.0.1.{i % 250 + 1}', 0))  # an address each
                    s.connect(('127.0.0.1', path[1]))
                held.append(s)
                refused = 0
            except OSError:
                s.close()
                refused += 1
        os.write(done, b'.')
        while True:
            signal.pause()
    finally:
        os._exit(1)


@unittest.skipUnless(os.getuid() == 0, 'needs root to be somebody else')
class Crowd(unittest.TestCase):
    def setUp(self):
        self.runtime = tempfile.mkdtemp(prefix='crowd-')
        os.chmod(self.runtime, 0o755)
        self.addCleanup(shutil.rmtree, self.runtime, True)
        self.server = Server().start().wait()
        self.addCleanup(self.server.cleanup)
        self.agent = Agent([self.server])
        self.addCleanup(self.agent.cleanup)
        self.agent.start(env={'RUNTIME_DIRECTORY': self.runtime}, prefix=('prlimit', f'--nofile={LIMIT}:{LIMIT}'))
        self.agent.wait_api()
        wait_until('ready', lambda: [n for n in self.server.nodes() if n['Status'] == 'ready'])

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.agent.proc.pid}/fd'))

    def test_a_crowd_leaves_what_the_agent_needs(self):
        path = os.path.join(self.runtime, 'agent.sock')
        pid = crowd((path, self.agent.http), 2 * LIMIT)
        try:
            wait_until('all have come', lambda: self.descriptors() > LIMIT / 2)
            self.assertLess(self.descriptors(), LIMIT - 16)
            self.server.stop()
            wait_until('the agent misses it', lambda: 'exchange with the servers failed' in self.agent.log(), seconds=60)
            self.server.start().wait()
            wait_until('the agent is back', lambda: self.agent.log().count('a server answers') >= 2, seconds=60)
            # and root still gets through
            status, out, _ = run_cli('agent', 'reload', f'-address=unix://{path}')
            self.assertEqual((status, out), (0, 'Configuration reloaded, nothing has changed\n'))
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        wait_until('all have gone', lambda: self.descriptors() < LIMIT / 2)
        self.assertTrue(get_json(self.agent.http, '/v1/agent/health')['client']['ok'])


if __name__ == '__main__':
    unittest.main()
