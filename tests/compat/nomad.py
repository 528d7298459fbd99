"""A real Nomad (the program that NOMAD names) as server, client and command, bound to loopback, update check off."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'integration'))

from programs import Program, free_ports, get_json      # noqa: E402
from wire import wait_until                              # noqa: E402

NOMAD = os.environ['NOMAD']

COMMON = '''
bind_addr            = "127.0.0.1"
disable_update_check = true
data_dir             = "{data}"
ports {{
  http = {http}
  rpc  = {rpc}
  serf = {serf}
}}
advertise {{
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}}
'''


def command(*args, port, timeout=60):
    """standard output of the real command; raises when it fails"""
    env = {k: v for k, v in os.environ.items() if not k.startswith('NOMAD_')}
    env.update(NOMAD_ADDR=f'http://127.0.0.1:{port}', NOMAD_CLI_NO_COLOR='1', NOMAD_CLI_SHOW_HINTS='false')
    r = subprocess.run([NOMAD, *args], capture_output=True, text=True, env=env, timeout=timeout, check=False)
    if r.returncode:
        raise AssertionError(f'nomad {" ".join(args)}: {r.returncode}\n{r.stdout}{r.stderr}')
    return r.stdout


def version():
    return subprocess.run([NOMAD, 'version'], capture_output=True, text=True, check=True).stdout.split()[1].lstrip('v')


class RealProgram(Program):
    """one real agent"""

    def __init__(self, role, block):
        self.http, self.rpc, self.serf = free_ports(3)
        super().__init__('nomad-' + role, '')
        self.write_config(COMMON.format(data=self.data, http=self.http, rpc=self.rpc, serf=self.serf) + block)

    def start(self, *args, env=None, prefix=()):
        with open(self.log_path, 'ab') as log:
            self.proc = subprocess.Popen([NOMAD, 'agent', '-config', self.config_path], stdin=subprocess.DEVNULL,
                                         stdout=log, stderr=log)
        return self

    def complaints(self):
        """its own warnings and errors, one a line"""
        return [line.strip() for line in self.log().splitlines() if '[ERROR]' in line or '[WARN]' in line]


class RealServer(RealProgram):
    """expect: servers of its cluster; join: those that were made before it"""

    def __init__(self, expect=1, join=()):
        peers = ', '.join(f'"127.0.0.1:{p.serf}"' for p in join)
        super().__init__('server', f'''
server {{
  enabled          = true
  bootstrap_expect = {expect}
  server_join {{
    retry_join     = [{peers}]
    retry_interval = "1s"
  }}
}}
limits {{
  rpc_max_conns_per_client = 0
}}
''')
        # servers of one host need names of their own
        with open(self.config_path, 'a', encoding='utf-8') as f:
            f.write(f'name = "s{self.rpc}"\n')

    def wait(self):
        wait_until('real server leads', lambda: ':' in get_json(self.http, '/v1/status/leader'), 60)
        return self

    def node(self, node_id):
        return get_json(self.http, '/v1/node/' + node_id)

    def nodes(self):
        return get_json(self.http, '/v1/nodes')


class RealClient(RealProgram):
    def __init__(self, server, client=''):
        super().__init__('client', f'''
client {{
  enabled = true
  servers = ["127.0.0.1:{server.rpc}"]
  options {{
    "fingerprint.denylist"   = "env_aws,env_gce,env_azure,env_digitalocean"
    "driver.raw_exec.enable" = "1"
  }}
  {client}
}}
''')

    def node_id(self):
        def read():
            with open(os.path.join(self.data, 'client', 'client-id'), encoding='ascii') as f:
                return f.read()

        return wait_until('client has an id', read, 30)


def load(text):
    return json.loads(text)
