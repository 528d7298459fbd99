"""picket-sim's agents at a real server: all become ready and stay ready, none is missed."""
import json
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from nomad import RealServer, version                                  # noqa: E402
from programs import BIN, ProgramCase                                  # noqa: E402
from wire import wait_until                                            # noqa: E402

AGENTS = 50


class Sim(ProgramCase):
    def test_fifty_agents_are_ready_and_stay_ready(self):
        server = RealServer()
        self.addCleanup(server.cleanup)
        server.start().wait()
        sim = subprocess.Popen([os.path.join(BIN, 'picket-sim'), f'-server=127.0.0.1:{server.rpc}', '-profiles=sim/profiles', '-q', '-json',
                                f'-agents={AGENTS}', '-over=5s', '-for=90s', '-events=60', '-changes=60',
                                f'-expect=ready={AGENTS},errors=0,missed=0,reconnects=0,register.count>={AGENTS}'],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            wait_until('all are ready', lambda: [n['Status'] for n in server.nodes()] == ['ready'] * AGENTS, 60)
            end = time.monotonic() + 60
            while time.monotonic() < end:
                nodes = server.nodes()
                self.assertEqual({n['Status'] for n in nodes}, {'ready'})
                self.assertEqual(len(nodes), AGENTS)
                time.sleep(1)
            out, err = sim.communicate(timeout=120)
        finally:
            sim.kill()
            sim.communicate()
        self.assertEqual((sim.returncode, err), (0, ''), out)
        calls = json.loads(out)['calls']
        self.assertGreater(calls['Node.EmitEvents']['count'], 0)
        beat = calls['Node.UpdateStatus']
        print(f'# RESULT nomad {version()}: {AGENTS} simulated agents ready for a minute, {beat["count"]} heartbeats, '
              f'p99 {beat["p99_ms"]} ms', flush=True)
        for n in nodes[:5]:
            self.assertNotIn('Node heartbeat missed', [e['Message'] for e in server.node(n['ID'])['Events']])


if __name__ == '__main__':
    unittest.main()
