"""The real programs as objects: started with files of their own on free loopback ports, stopped, killed, looked at."""
import http.client
import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from wire import Rpc, fake_node, register, wait_until

BIN = os.environ.get('PICKET_BIN', 'build/bin')
PREFIX = shlex.split(os.environ.get('PROGRAM_PREFIX', ''))      # a command that runs the daemons


def free_ports(n):
    """Below those that the kernel gives to outgoing connections, which would take one before its program does."""
    socks, ports = [], []
    try:
        while len(ports) < n:
            s = socket.socket()
            socks.append(s)
            try:
                s.bind(('127.0.0.1', random.randrange(10000, 32000)))
                ports.append(s.getsockname()[1])
            except OSError:
                pass
        return ports
    finally:
        for s in socks:
            s.close()


def http_get(port, target, method='GET', body=None, headers=None, timeout=10, host='127.0.0.1'):
    """(status, headers with lower-case names, body as text)"""
    c = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        c.request(method, target, body, headers or {})
        r = c.getresponse()
        return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read().decode()
    finally:
        c.close()


def get_json(port, target, timeout=10):
    status, _, body = http_get(port, target, timeout=timeout)
    if status != 200:
        raise ValueError(f'{target}: {status} {body}')
    return json.loads(body)


class Program:
    """One daemon: its folder, its configuration, its process, its log."""

    def __init__(self, name, config):
        self.name = name
        self.dir = tempfile.mkdtemp(prefix=f'{name}-')
        os.chmod(self.dir, 0o755)
        self.log_path = os.path.join(self.dir, 'log')
        self.config_path = os.path.join(self.dir, 'config.hcl')
        self.data = os.path.join(self.dir, 'data')
        self.proc = None
        self.bin = BIN
        self.write_config(config)

    def write_config(self, config):
        with open(self.config_path, 'w', encoding='utf-8') as f:
            f.write(config)

    def start(self, *args, env=None, prefix=()):
        with open(self.log_path, 'ab') as log:
            self.proc = subprocess.Popen([*PREFIX, *prefix, os.path.join(self.bin, self.name), '-config', self.config_path, *args],
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(env or {})})
        return self

    def stop(self, sig=signal.SIGTERM, seconds=20):
        """exit status after an ordered stop"""
        if not self.proc:
            return None
        if self.proc.poll() is None:
            self.proc.send_signal(sig)
        try:
            return self.proc.wait(seconds)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            raise AssertionError(f'{self.name} did not stop within {seconds} s:\n{self.log()}') from None

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def exit_status(self, seconds=20):
        """waits for a program that is expected to end by itself"""
        try:
            return self.proc.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'{self.name} still runs after {seconds} s:\n{self.log()}') from None

    def log(self):
        with open(self.log_path, encoding='utf-8', errors='replace') as f:
            return f.read()

    def cleanup(self):
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        subprocess.run(['chmod', '-R', 'u+rwX', self.dir], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)

    def keeps_freed_memory(self):
        """as under AddressSanitizer"""
        with open(f'/proc/{self.proc.pid}/maps', encoding='utf-8') as f:
            return 'libasan' in f.read()

    def resident_kb(self):
        """(resident, private) of the process, in KB"""
        rss = private = 0
        with open(f'/proc/{self.proc.pid}/smaps_rollup', encoding='ascii') as f:
            for line in f:
                key, _, rest = line.partition(':')
                if key == 'Rss':
                    rss = int(rest.split()[0])
                elif key in ('Private_Clean', 'Private_Dirty') and key == 'Private_Dirty':
                    private += int(rest.split()[0])
        return rss, private


class Server(Program):
    def __init__(self, extra='', server='', limits='', ports=None):
        self.http, self.rpc = ports or free_ports(2)
        super().__init__('picket-server', '')
        self.settings = extra, server, limits
        self.configure()

    def configure(self):
        extra, server, limits = self.settings
        self.write_config(f'''
data_dir  = "{self.data}"
bind_addr = "127.0.0.1"
ports {{ http = {self.http} rpc = {self.rpc} }}
advertise {{ http = "127.0.0.1" rpc = "127.0.0.1" }}
limits {{ rpc_max_conns_per_client = 0 http_max_conns_per_client = 0 {limits} }}
server {{
  enabled = true
  {server}
}}
{extra}
''')

    def wait(self):
        wait_until('server answers', lambda: self.alive() and get_json(self.http, '/v1/status/leader'))
        return self

    def alive(self):
        if self.proc.poll() is not None:
            raise AssertionError(f'{self.name} ended with {self.proc.returncode}:\n{self.log()}')
        return True

    def nodes(self, query=''):
        return get_json(self.http, '/v1/nodes' + query)

    def node(self, node_id):
        return get_json(self.http, '/v1/node/' + node_id)


class Agent(Program):
    def __init__(self, servers, extra='', client=''):
        self.http, = free_ports(1)
        self.servers = servers
        super().__init__('picketd', '')
        self.settings = extra, client
        self.configure()

    def configure(self):
        extra, client = self.settings
        servers = ', '.join(f'"127.0.0.1:{s.rpc if hasattr(s, "rpc") else s}"' for s in self.servers)
        self.write_config(f'''
data_dir  = "{self.data}"
bind_addr = "127.0.0.1"
ports {{ http = {self.http} }}
advertise {{ http = "127.0.0.1" rpc = "127.0.0.1" }}
client {{
  enabled = true
  servers = [{servers}]
  {client}
}}
{extra}
''')

    def wait_api(self):
        wait_until('agent answers', lambda: self.alive() and get_json(self.http, '/v1/agent/self'))
        return self

    alive = Server.alive

    def node_id(self):
        with open(os.path.join(self.data, 'client', 'client-id'), encoding='ascii') as f:
            return f.read()


def run_cli(*args, port=None, env=None, timeout=30):
    """(exit status, stdout, stderr) of the picket command"""
    full = {k: v for k, v in os.environ.items() if not k.startswith('NOMAD_')}
    if port:
        full['NOMAD_ADDR'] = f'http://127.0.0.1:{port}'
    full.update(env or {})
    r = subprocess.run([os.path.join(BIN, 'picket'), *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       env=full, timeout=timeout, check=False)
    return r.returncode, r.stdout, r.stderr


class ProgramCase(unittest.TestCase):
    """a test that starts programs: whatever it made is stopped and removed"""

    def server(self, *args, **kwargs):
        s = Server(*args, **kwargs)
        self.addCleanup(s.cleanup)
        return s

    def agent(self, *args, **kwargs):
        a = Agent(*args, **kwargs)
        self.addCleanup(a.cleanup)
        return a

    def ready(self, server, node_id, seconds=30):
        return wait_until('node ready', lambda: server.node(node_id)['Status'] == 'ready' and server.node(node_id), seconds)

    def tmpdir(self):
        path = tempfile.mkdtemp(prefix='picket-')
        self.addCleanup(shutil.rmtree, path, True)
        return path


def now():
    return time.monotonic()


class SharedServer:
    """for test cases whose tests all ask one server, which has a node (mixed into a ProgramCase)"""
    NODE = fake_node('aaaaaaaa-0000-0000-0000-000000000001', 'aaaaaaaa-1111-1111-1111-000000000001')

    @classmethod
    def setUpClass(cls):
        cls.case = cls()
        cls.srv = cls.case.server().start().wait()
        with Rpc(cls.srv.rpc) as r:
            register(r, cls.NODE)

    @classmethod
    def tearDownClass(cls):
        cls.case.doCleanups()

    def runTest(self):
        pass
