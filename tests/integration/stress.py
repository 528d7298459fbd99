"""What the tests of heartbeats under stress have in common: a tapped server, and what "in time" means."""
import os
import shutil

from programs import BIN, ProgramCase
from standin import Tap
from wire import wait_until

TTL, GRACE = 2, 6
SERVER = f'min_heartbeat_ttl = "{TTL}s" heartbeat_grace = "{GRACE}s"'


def wrapper(path, text):
    with open(path, 'w', encoding='utf-8') as f:
        f.write('#!/bin/sh\n' + text + '\n')
    os.chmod(path, 0o755)


class StressCase(ProgramCase):
    def tapped(self):
        """a real server with a tap in front that it tells everybody to use"""
        srv = self.server(server=SERVER)
        tap = Tap(srv.rpc)
        self.addCleanup(tap.close)
        with open(srv.config_path, encoding='utf-8') as f:
            text = f.read()
        srv.write_config(text.replace('advertise { http = "127.0.0.1" rpc = "127.0.0.1" }',
                                      f'advertise {{ http = "127.0.0.1" rpc = "127.0.0.1:{tap.rpc}" }}'))
        srv.start().wait()
        return srv, tap

    def with_probe(self, agent, script):
        """picketd beside a picket-probe of the test's own"""
        agent.bin = self.tmpdir()
        os.chmod(agent.bin, 0o755)
        shutil.copy(os.path.join(BIN, 'picketd'), agent.bin)
        wrapper(os.path.join(agent.bin, 'picket-probe'), script)
        return agent

    def started(self, server, tap, **kwargs):
        agt = self.agent([tap], **kwargs).start().wait_api()
        self.ready(server, agt.node_id())
        return agt

    def beats_go_on(self, beats, n=3, seconds=90):
        had = len(beats.at)
        wait_until(f'{n} more beats', lambda: len(beats.at) >= had + n, seconds)

    def in_time(self, beats, since=0.0):
        gaps = beats.gaps(since)
        self.assertTrue(gaps)
        for gap, ttl in gaps:
            self.assertLessEqual(gap, ttl + GRACE / 2, gaps)

    def event(self, server, node_id, start, seconds=60):
        """the first event whose message begins so, once it is there"""
        def look():
            return [e for e in server.node(node_id)['Events'] if e['Message'].startswith(start)]
        return wait_until(f'event "{start}"', look, seconds)[0]

    def never_down(self, server, node_id):
        texts = [e['Message'] for e in server.node(node_id)['Events']]
        self.assertNotIn('Node heartbeat missed', texts)
        self.assertEqual(server.node(node_id)['Status'], 'ready')
