"""picketd with three real servers: the leader dies, a server accepts and never answers, everything comes back."""
import os
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from nomad import RealServer, version                                  # noqa: E402
from programs import ProgramCase, get_json                              # noqa: E402
from wire import wait_until                                             # noqa: E402


def result(text):
    print(f'# RESULT nomad {version()}: {text}', flush=True)


class Cluster(ProgramCase):
    def setUp(self):
        self.servers = []
        for _ in range(3):
            s = RealServer(3, self.servers)
            self.addCleanup(s.cleanup)
            self.servers.append(s.start())
        for s in self.servers:
            s.wait()
        # each server must know all three, else the agent learns a list that is too short
        wait_until('three peers', lambda: len(get_json(self.servers[0].http, '/v1/status/peers')) == 3, 60)
        self.agent = super().agent(self.servers).start()
        self.agent.wait_api()
        self.node_id = self.agent.node_id()
        self.ready(self.servers[0], self.node_id, 60)

    def leader(self, among):
        address = wait_until('a leader', lambda: get_json(among[0].http, '/v1/status/leader'), 60)
        return next(s for s in self.servers if address.endswith(f':{s.rpc}'))

    def client(self):
        return get_json(self.agent.http, '/v1/agent/self')['stats']['client']

    def beats(self):
        """seconds since the last accepted heartbeat"""
        text = self.client()['last_heartbeat']
        total, number = 0.0, ''
        units = {'h': 3600, 'm': 60, 's': 1, 'ms': 1e-3, '\u00b5s': 1e-6, 'us': 1e-6, 'ns': 1e-9}
        unit = ''
        for c in text + '0':
            if c.isdigit() or c == '.':
                if unit:
                    total, number, unit = total + float(number) * units[unit], '', ''
                number += c
            else:
                unit += c
        return total

    def in_use(self):
        """the server that the agent talks to"""
        first = self.client()['known_servers'].split(',')[0]
        return next(s for s in self.servers if first.endswith(f':{s.rpc}'))

    def no_beat_missed(self, server):
        events = [e['Message'] for e in server.node(self.node_id)['Events']]
        self.assertNotIn('Node heartbeat missed', events)

    def watch(self, server, seconds):
        """polls that the node stays ready; the longest age of a heartbeat seen"""
        end, longest = time.monotonic() + seconds, 0.0
        while time.monotonic() < end:
            self.assertEqual(server.node(self.node_id)['Status'], 'ready')
            longest = max(longest, self.beats())
            time.sleep(0.5)
        return longest

    def test_loss_of_the_leader(self):
        dead = self.leader(self.servers)
        rest = [s for s in self.servers if s is not dead]
        dead.kill()
        new = wait_until('a new leader', lambda: self.leader(rest) is not dead and self.leader(rest), 60)
        age = self.watch(new, 60)
        self.no_beat_missed(new)
        result(f'leader killed, another took over: node stays ready for 60 s, oldest heartbeat {age:.1f} s')

    def test_a_server_that_accepts_and_never_answers(self):
        silent = self.in_use()
        rest = [s for s in self.servers if s is not silent]
        silent.proc.send_signal(signal.SIGSTOP)
        self.addCleanup(silent.proc.send_signal, signal.SIGCONT)
        wait_until('a leader among the others', lambda: self.leader(rest) in rest, 60)
        age = self.watch(rest[0], 60)
        self.no_beat_missed(rest[0])
        self.assertIsNot(self.in_use(), silent)
        result(f'server in use stopped (accepts, never answers): node stays ready for 60 s, oldest heartbeat {age:.1f} s')
        silent.proc.send_signal(signal.SIGCONT)


if __name__ == '__main__':
    unittest.main()
