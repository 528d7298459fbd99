"""picket-sim: a fleet of agents in one process against picket-server, and what it says of it."""
import json
import os
import resource
import subprocess
import unittest

from fleet import AGENTS, PROFILES, SIM, Sim
from programs import get_json
from wire import wait_until


def run_sim(*args, text=None, timeout=120, **kwargs):
    """(exit status, stdout, stderr) of a run that ends by itself"""
    r = subprocess.run([SIM, *args], input=text, capture_output=True, text=True, timeout=timeout, check=False, **kwargs)
    return r.returncode, r.stdout, r.stderr


class Scenarios(Sim):
    def test_a_fleet_joins_and_is_ready(self):
        server, fleet = self.start()
        status = self.join(fleet)
        self.assertEqual(self.at_server(server), {'ready': AGENTS})
        self.assertEqual((status['errors'], status['missed']), (0, 0))
        calls = status['calls']
        self.assertEqual(calls['Node.Register']['count'], AGENTS)
        self.assertEqual(calls['Node.GetClientAllocs']['count'], AGENTS)
        self.assertEqual(status['connects'], AGENTS)
        nodes = server.nodes()
        self.assertEqual(len({n['ID'] for n in nodes}), AGENTS)
        self.assertEqual(len({n['Name'] for n in nodes}), AGENTS)
        self.assertEqual({n['SchedulingEligibility'] for n in nodes}, {'ineligible'})
        one = server.node(nodes[0]['ID'])
        self.assertEqual(one['Attributes']['unique.hostname'], one['Name'])
        self.assertEqual(one['SecretID'], '')
        code, summary = fleet.end()
        self.assertEqual(code, 0)
        self.assertEqual(summary['states']['ready'], AGENTS)
        self.assertGreater(summary['bytes_sent'], AGENTS * 3000)
        self.assertGreater(summary['cpu_seconds'], 0)

    def test_each_agent_comes_from_an_address_of_its_own(self):
        """so that a server's limit of connections by address lets all of them in"""
        server = self.server()
        with open(server.config_path, encoding='utf-8') as f:
            text = f.read().replace('rpc_max_conns_per_client = 0', 'rpc_max_conns_per_client = 30', 1)
        server.write_config(text)
        server.start().wait()
        fleet = self.fleet(server)
        self.join(fleet, 100)
        fleet.end()
        one = self.fleet(server, '-source=none', '-seed=2')
        one.do('join 40')
        wait_until('ten are turned away', lambda: one.status()['states']['ready'] == 30 and one.status()['cut_by_server'] >= 10)

    def test_a_second_run_is_the_same_fleet(self):
        server, fleet = self.start()
        self.join(fleet, 20)
        fleet.end()
        before = {n['ID'] for n in server.nodes()}
        again = self.fleet(server)
        self.join(again, 20)
        self.assertEqual({n['ID'] for n in server.nodes()}, before)
        again.end()
        other = self.fleet(server, '-seed=2', '-name=other')
        self.join(other, 20)
        self.assertEqual(len(server.nodes()), 40)
        self.assertEqual(len([n for n in server.nodes() if n['Name'].startswith('other-')]), 20)

    def test_half_drop_go_down_and_come_back(self):
        server, fleet = self.start(server='heartbeat_grace = "1s" min_heartbeat_ttl = "2s"')
        self.join(fleet)
        half = AGENTS // 2
        fleet.do('drop 50%')
        fleet.wait(dead=half)
        wait_until('half are down', lambda: self.at_server(server) == {'down': half, 'ready': AGENTS - half}, 120)
        fleet.do('restart all')
        fleet.wait(ready=AGENTS)
        wait_until('all are back', lambda: self.at_server(server) == {'ready': AGENTS}, 120)
        self.assertEqual(len(server.nodes()), AGENTS)  # the same nodes

    def test_a_partition_is_silence_on_open_connections(self):
        server, fleet = self.start(server='heartbeat_grace = "1s" min_heartbeat_ttl = "2s"')
        self.join(fleet)
        part = AGENTS // 5
        fleet.do(f'partition {part} for 12s')
        fleet.wait(parted=part)
        wait_until('they are down', lambda: self.at_server(server)['down'] == part, 60)
        # nothing was closed: the sockets are there as long as the server itself does not give them up
        self.assertEqual(fleet.status()['connects'], AGENTS)
        fleet.wait(ready=AGENTS)
        wait_until('all are back', lambda: self.at_server(server) == {'ready': AGENTS}, 60)
        self.assertGreaterEqual(fleet.status()['missed'], part)

    def test_flapping_and_steady(self):
        server, fleet = self.start()
        self.join(fleet, 50)
        fleet.do('flap 10 every 1s')
        fleet.wait(cut=10)
        fleet.wait(ready=50)
        fleet.wait(cut=10)
        fleet.do('steady')
        status = fleet.wait(ready=50)
        self.assertGreaterEqual(status['reconnects'], 20)
        self.assertEqual(self.at_server(server), {'ready': 50})

    def test_churn_brings_others(self):
        server, fleet = self.start()
        self.join(fleet, 50)
        fleet.do('churn 20/s for 1s')
        wait_until('others have come', lambda: len(server.nodes()) >= 60)
        status = fleet.wait(ready=50)
        self.assertEqual(status['agents'], 50)
        fleet.do('leave 20')
        fleet.wait(ready=30)
        self.assertEqual(fleet.status()['agents'], 30)

    def test_events_and_changes(self):
        server, fleet = self.start('-events=3600', '-changes=3600')
        self.join(fleet, 5)

        def seen():
            return any('Simulated event' in [e['Message'] for e in server.node(n['ID'])['Events']] and
                       server.node(n['ID'])['Attributes']['unique.picket-sim.changes'] != '0' for n in server.nodes())
        wait_until('an event and a change', seen, 60)
        self.assertEqual(fleet.status()['errors'], 0)

    def test_servers_that_ask_agents_get_words(self):
        server, fleet = self.start()
        self.join(fleet, 1)
        node = server.nodes()[0]['ID']
        with self.assertRaisesRegex(ValueError, 'this node is simulated'):
            get_json(server.http, f'/v1/client/stats?node_id={node}')
        self.assertEqual(fleet.status()['asked_by_server'], 1)


class CommandLine(Sim):
    def test_a_script_with_expectations(self):
        server = self.server()
        server.start().wait()
        path = os.path.join(self.tmpdir(), 'day.sim')
        with open(path, 'w', encoding='utf-8') as f:
            f.write('# a short day\n0s join 10\n1s restart 5\n3s status\n3s end\n')
        args = [f'-server=127.0.0.1:{server.rpc}', '-profiles', PROFILES, '-script', path, '-dev', '-profile=vm,docker=2']
        code, out, err = run_sim(*args, '-expect=ready=10,errors=0,register.count>=15,late=0')
        self.assertEqual(code, 0, err)
        self.assertEqual(json.loads(out.splitlines()[0])['agents'], 10)
        self.assertIn('10 agents: ready 10\n', out)
        self.assertRegex(err, r'(?m)^ +\d+\.\ds  10 agents: ')
        code, out, err = run_sim(*args, '-q', '-json', '-expect=ready=11,missed<1')
        self.assertEqual(code, 1)
        self.assertEqual(err, 'expected ready=11, but ready is 10\n')
        self.assertEqual(json.loads(out.splitlines()[-1])['states']['ready'], 10)

    def test_agents_for_a_time(self):
        server = self.server()
        server.start().wait()
        code, out, err = run_sim(f'-server=127.0.0.1:{server.rpc}', '-profiles', PROFILES, '-agents=5', '-for=3s', '-q', '-json',
                                 '-expect=ready=5')
        self.assertEqual((code, err), (0, ''))
        self.assertEqual(json.loads(out)['agents'], 5)

    def test_without_a_server(self):
        server = self.server()  # not started
        code, out, err = run_sim(f'-server=127.0.0.1:{server.rpc}', '-profiles', PROFILES, '-agents=5', '-for=2s', '-q', '-dev',
                                 '-expect=ready=5')
        self.assertEqual(code, 1)
        self.assertEqual(err, 'expected ready=5, but ready is 0\n')
        self.assertRegex(out, r'5 agents: ready 0, starting|5 agents: starting 5')
        self.assertIn('Connection refused', out)

    def test_bad_input_is_explained(self):
        path = os.path.join(self.tmpdir(), 'bad.sim')
        with open(path, 'w', encoding='utf-8') as f:
            f.write('0s join 10\n\n5s jion 3\n')
        for args, text in [
                (['-script', path], f'picket-sim: {path}:3: there is no step "jion", did you mean "join"?\n'),
                (['-script', path + 'x'], f'picket-sim: cannot read {path}x: No such file or directory\n'),
                (['-agents=1', '-profile=dokcer'],
                 f'picket-sim: there is no profile "dokcer" in {PROFILES}, did you mean "docker"?\n'),
                (['-agents=1', '-server=server.example'],
                 'picket-sim: "server.example" is no server address: ip[:port]; names are not looked up\n'),
                (['-agents=1', '-source=10.0.0.0/40'], 'picket-sim: "10.0.0.0/40": "40" is no length of a prefix\n'),
                (['-agents=1', '-expect=raedy=1'],
                 'picket-sim: nothing that is counted is named "raedy", did you mean "ready"?\n'),
                (['-agents=1', '-expect=ready'], 'picket-sim: "ready" is no expectation: ready=100, errors=0, late<=5\n'),
                ([], 'picket-sim: nothing is to happen: -agents or -script is missing\nFor help: picket-sim -help\n')]:
            code, out, err = run_sim('-profiles', PROFILES, *args)
            self.assertEqual((code, out, err), (1, '', text), args)

    def test_bad_steps_of_standard_input_are_said_and_skipped(self):
        server = self.server()
        server.start().wait()
        code, out, err = run_sim(f'-server=127.0.0.1:{server.rpc}', '-profiles', PROFILES, '-script=-', '-q', '-json',
                                 text='join 2\njion\n\n5s join 3\nstatus\n')
        self.assertEqual(code, 1)
        self.assertEqual(err, 'picket-sim: <stdin>:2: there is no step "jion", did you mean "join"?\n'
                              'picket-sim: <stdin>:4: steps of the standard input have no time\n')
        self.assertEqual([json.loads(line)['agents'] for line in out.splitlines()], [2, 2])

    def test_too_few_descriptors_are_counted(self):
        code, out, err = run_sim('-profiles', PROFILES, '-agents=500', preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200)))
        self.assertEqual((code, out), (1, ''))
        self.assertEqual(err, 'picket-sim: 500 agents need as many file descriptors, and there are enough for 136: '
                              'raise the limit (ulimit -Hn, LimitNOFILE=), or start fewer\n')

    def test_a_profile_from_a_running_node(self):
        server, fleet = self.start('-profile=docker')
        self.join(fleet, 1)
        node = get_json(server.http, '/v1/node/' + server.nodes()[0]['ID'])
        code, out, err = run_sim('profile', '-', text=json.dumps(node))
        self.assertEqual((code, err), (0, ''))
        profile = json.loads(out)
        self.assertEqual((profile['ID'], profile['Name'], profile['Events']), ('{id}', '{name}', None))
        self.assertNotIn(node['ID'], out)
        self.assertNotIn(node['Name'], out)
        path = os.path.join(self.tmpdir(), 'mine.json')
        with open(path, 'w', encoding='utf-8') as f:
            f.write(out)
        other = self.fleet(server, '-seed=9', '-profile=' + path)
        self.join(other, 3)
        self.assertEqual(len(server.nodes()), 4)
        code, _, err = run_sim('profile', '-', text='{}')
        self.assertEqual(code, 1)
        self.assertIn('this is no node', err)


if __name__ == '__main__':
    unittest.main()
