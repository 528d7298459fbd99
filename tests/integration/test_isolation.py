"""Nothing that a probe, a name server or a file system does can hurt the agent: one test for each way to try.

The node is ready while it hangs, no heartbeat is late, the reason is told wherever an operator looks, what was wrong is
noticed to be gone, and no process stays behind.  The programs are copies in a folder of their own, where a script stands in
for picket-probe: it does what the file "mode" says when it comes to the row in "row", and is the real one otherwise.
"""
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import side_by_side
from programs import BIN, Agent, ProgramCase, get_json, run_cli
from wire import wait_until

load_tests = side_by_side.load_tests

QUICK_BEATS = 'min_heartbeat_ttl = "1s"\n  heartbeat_grace = "4s"'
RAW_EXEC = '''
  options {
    "driver.raw_exec.enable" = "1"
    "test.round" = "0"
  }'''


def contained():
    """whether children of the agent get a PID namespace: privileged, and no build for ThreadSanitizer"""
    with open(os.path.join(BIN, 'picketd'), 'rb') as f:
        tsan = b'__tsan_init' in f.read()
    return not tsan and subprocess.run(['unshare', '-p', 'true'], stderr=subprocess.DEVNULL, check=False).returncode == 0


CONTAINED = contained()

WRAPPER = '''#!/bin/sh
D='%(dir)s'
mode=$(cat $D/mode) row=$(cat $D/row)
case "$mode $1 $2 " in
" "*) exec '%(real)s' "$@";;
*"-conf - ");;
*) exec '%(real)s' "$@";;
esac
shift 2
read -r pid rest </proc/self/stat
conf=$D/conf.$pid
cat >$conf
trap 'rm -f $conf' EXIT
crash() { crash; }
for name; do
    if [ "$name" != "$row" ]; then
        '%(real)s' -conf - "$name" <$conf || exit
        continue
    fi
    echo "about to $mode" >&2
    case "$mode" in
    sleep) echo $pid >$D/pid.new; mv $D/pid.new $D/pid; exec sleep %(mark)s;;
    spin) while :; do :; done;;
    crash) ulimit -s 128; crash;;
    exit) exit 3;;
    fork) i=0; while [ $i -lt 200 ]; do setsid sleep %(mark)s & i=$((i+1)); done; while :; do sleep 1; done;;
    flood) head -c 100000000 /dev/zero; sleep %(mark)s;;
    garbage) echo hello world; sleep %(mark)s;;
    memory) echo out of memory >&2; exit 134;;
    esac
done
'''


class Lab(Agent):
    """an agent whose programs are its own copies and whose picket-probe does what a test wants"""

    def __init__(self, servers, extra='', client='', mode='', row='driver.raw_exec', wrapped=True):
        super().__init__(servers, extra, client)
        self.bin = os.path.join(self.dir, 'bin')
        self.mark = f'7777.{os.getpid()}{time.monotonic_ns() % 10**9:09}'
        os.mkdir(self.bin)
        for name in ('picketd', 'picket'):
            shutil.copy(os.path.join(BIN, name), self.bin)
        self.probe = os.path.join(self.bin, 'picket-probe')
        self.set(mode, row)
        if wrapped:
            self.put_probe()

    def put_probe(self):
        text = WRAPPER % {'dir': self.dir, 'real': os.path.abspath(os.path.join(BIN, 'picket-probe')), 'mark': self.mark}
        with open(self.probe + '.new', 'w', encoding='ascii') as f:
            f.write(text)
        os.chmod(self.probe + '.new', 0o755)
        os.rename(self.probe + '.new', self.probe)

    def set(self, mode, row=None):
        for name, value in (('mode', mode), ('row', row)):
            if value is not None:
                with open(os.path.join(self.dir, name), 'w', encoding='ascii') as f:
                    f.write(value)

    def start(self, *args, env=None, prefix=(), pass_fds=()):
        with open(self.log_path, 'ab') as log:
            self.proc = subprocess.Popen([*prefix, os.path.join(self.bin, 'picketd'), '-config', self.config_path, *args],
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=pass_fds,
                                         env={**os.environ, **(env or {})})
        return self

    def run_again(self):
        """a reload runs all probes when what they are told has changed"""
        with open(self.config_path, encoding='ascii') as f:
            text = f.read()
        n = int(text.split('"test.round" = "')[1].split('"')[0])
        self.write_config(text.replace(f'"test.round" = "{n}"', f'"test.round" = "{n + 1}"'))
        self.proc.send_signal(signal.SIGHUP)

    def row(self, name='driver.raw_exec'):
        """the row as /v1/agent/fingerprint has it"""
        rows = get_json(self.http, '/v1/agent/fingerprint')['Probes']
        return next(p for p in rows if p['Name'] == name)

    def wait_row(self, check, name='driver.raw_exec', seconds=60):
        return wait_until(f'{name} {self.dir}', lambda: check(self.row(name)) and self.row(name), seconds)

    def explain(self, name='driver.raw_exec', env=None):
        """what picket fingerprint -explain says without a daemon"""
        r = subprocess.run([os.path.join(self.bin, 'picket'), 'fingerprint', '-explain', '-config', self.config_path, name],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
                           env={**os.environ, **(env or {})})
        return r.stdout + r.stderr

    def beats(self):
        gauges = get_json(self.http, '/v1/metrics')['Gauges']
        return next(g['Value'] for g in gauges if g['Name'] == 'picket.heartbeats')

    def children(self):
        with open(f'/proc/{self.proc.pid}/task/{self.proc.pid}/children', encoding='ascii') as f:
            return f.read().split()

    def marked(self):
        """processes that the script has started and that still run"""
        n = 0
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{pid}/cmdline', 'rb') as f:
                    n += self.mark.encode() in f.read()
            except OSError:
                pass
        return n


class IsolationCase(ProgramCase):
    def lab(self, *args, **kwargs):
        a = Lab(*args, **kwargs)
        self.addCleanup(a.cleanup)
        return a

    def start_server(self):
        return self.server(server=QUICK_BEATS).start().wait()

    def driver(self, srv, lab, name='raw_exec'):
        return (srv.node(lab.node_id())['Drivers'] or {}).get(name)

    def healthy(self, srv, lab, name='raw_exec', seconds=150):
        return wait_until(f'{name} healthy', lambda: (self.driver(srv, lab, name) or {}).get('Healthy'), seconds)

    def nothing_is_left(self, lab):
        wait_until('children are gone', lambda: lab.marked() == 0 and not lab.children())

    def no_beat_was_late(self, srv, lab):
        node = srv.node(lab.node_id())
        self.assertEqual(node['Status'], 'ready')
        self.assertNotIn('Node heartbeat missed', [e['Message'] for e in node['Events']])
        self.assertEqual(lab.proc.poll(), None, lab.log())


class BadProbe(IsolationCase):
    """one row of the child that all fast probes share; the agents of all causes run side by side"""
    CAUSES = {
        'sleep': ('timeout', r'no answer within 2000 ms; last step: about to sleep \(state S \(sleeping\)'),
        'stopped': ('timeout', r'no answer within 2000 ms; last step: about to sleep \(state T \(stopped\)'),
        'spin': ('timeout', r'no answer within 2000 ms; last step: about to spin \(state R \(running\), on the CPU for over \d+ ms'),
        'crash': ('failed', 'crashed with SIGSEGV; last step: about to crash'),
        'exit': ('failed', 'ended with exit status 3; last step: about to exit'),
        'fork': ('timeout', r'no answer within 2000 ms; last step: about to fork; over \d+ processes that it has started'),
        'flood': ('failed', 'sent garbage: the input ends too early|wrote more than'),
        'garbage': ('failed', 'sent garbage: a record of 1751477356 bytes'),
        'memory': ('failed', 'needs more than 128 MB of memory; last step: about to memory'),
    }

    def stop_what_sleeps(self, lab):
        """processes have to be stopped from outside: inside each is the first of its namespace"""
        path, last = os.path.join(lab.dir, 'pid'), None
        while lab.proc.poll() is None:
            try:
                with open(path, encoding='ascii') as f:
                    pid = f.read()
                if pid != last:
                    os.kill(int(pid), signal.SIGSTOP)
                last = pid
            except OSError:
                pass  # not there yet, or not any more
            time.sleep(0.02)

    def explained(self, labs):
        """the same on the command line, of all causes at the same time"""
        said = {}
        causes = [c for c in self.CAUSES if c != 'stopped']  # of that one it would have to be stopped here, too
        threads = [threading.Thread(target=lambda c=c: said.update({c: labs[c].explain()})) for c in causes]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for cause in causes:
            self.assertRegex(said[cause].replace('\n', ' '), self.CAUSES[cause][1])

    def test_every_cause_has_its_reason_and_hurts_nobody(self):
        srv = self.start_server()
        labs = {}
        for cause in self.CAUSES:
            labs[cause] = self.lab([srv], client=RAW_EXEC, mode='sleep' if cause == 'stopped' else cause).start()
        threading.Thread(target=self.stop_what_sleeps, args=[labs['stopped']], daemon=True).start()
        for cause, lab in labs.items():
            with self.subTest(cause=cause):
                lab.wait_api()
                node = self.ready(srv, lab.node_id(), 60)
                state, reason = self.CAUSES[cause]
                # the rows before and behind it in the same child
                for key in ('cpu.arch', 'memory.totalbytes', 'kernel.name', 'nomad.version'):
                    wait_until(key, lambda k=key, n=node: k in srv.node(n['ID'])['Attributes'])
                row = lab.wait_row(lambda p, s=state, r=reason: p['State'] == s and re.search(r, p['Reason']))
                self.assertEqual((row['Stale'], row['AgeMs']), (False, None))
                told = wait_until('the server is told', lambda l=lab: (self.driver(srv, l) or {}).get('HealthDescription'))
                if cause != 'stopped':  # of that one the first attempt may have been too quick for us
                    self.assertRegex(told, reason)
        # the row that hangs was not waited for
        log = {cause: labs[cause].log() for cause in ('sleep', 'spin', 'fork')}
        self.assertTrue(any(0 < t.find('node registered') < t.find('a probe does not answer') for t in log.values()), log)
        self.explained(labs)
        shown = run_cli('node', 'status', '-verbose', labs['crash'].node_id(), port=srv.http)[1]
        self.assertIn('crashed with SIGSEGV', shown)
        for cause, lab in labs.items():
            with self.subTest(cause=cause, then='beats'):
                self.no_beat_was_late(srv, lab)
                lab.set('')
        for cause, lab in labs.items():
            with self.subTest(cause=cause, then='recovery'):
                self.healthy(srv, lab)
                row = lab.wait_row(lambda p: p['State'] == 'good')
                self.assertEqual((row['Stale'], row['Reason']), (False, ''))
                if cause != 'fork' or CONTAINED:
                    self.nothing_is_left(lab)
                self.no_beat_was_late(srv, lab)

    def test_last_good_values_stay_and_are_called_stale(self):
        srv = self.start_server()
        lab = self.lab([srv], client=RAW_EXEC, row='storage').start().wait_api()
        node_id = lab.node_id()
        self.ready(srv, node_id)
        wait_until('disk is known', lambda: srv.node(node_id)['NodeResources']['Disk']['DiskMB'] > 0)
        before = lab.row('storage')
        self.assertEqual((before['State'], before['Stale']), ('good', False))
        lab.set('crash')
        lab.run_again()
        row = lab.wait_row(lambda p: p['State'] == 'failed', 'storage')
        self.assertTrue(row['Stale'])
        self.assertIn('crashed with SIGSEGV', row['Reason'])
        self.assertEqual(row['Attributes'], before['Attributes'])
        later = lab.wait_row(lambda p: p['AgeMs'] > row['AgeMs'] + 1000, 'storage')
        self.assertTrue(later['Stale'])
        self.assertGreater(srv.node(node_id)['NodeResources']['Disk']['DiskMB'], 0)
        lab.set('')
        self.assertFalse(lab.wait_row(lambda p: p['State'] == 'good', 'storage')['Stale'])
        self.no_beat_was_late(srv, lab)

    def test_what_daemonised_ends_with_the_agent_too(self):
        if not CONTAINED:
            self.skipTest('children get no PID namespace here')
        lab = self.lab([], client=RAW_EXEC, mode='fork').start().wait_api()
        wait_until('they run', lambda: lab.marked() > 20)
        lab.kill()
        wait_until('they are gone', lambda: lab.marked() == 0)


class NoProbe(IsolationCase):
    """the program for probes itself"""

    def check(self, lab, srv, text):
        lab.start(env={'PICKET_PROBE': lab.probe}).wait_api()
        node = self.ready(srv, lab.node_id())
        self.assertEqual(lab.row('cpu')['State'], 'failed')
        for name in ('cpu', 'storage', 'driver.raw_exec'):
            self.assertRegex(lab.wait_row(lambda p: p['State'] == 'failed', name)['Reason'], text)
        self.assertRegex(self.driver(srv, lab)['HealthDescription'], text)
        self.assertEqual(node['Attributes']['unique.advertise.address'], f'127.0.0.1:{lab.http}')
        beats = lab.beats()
        wait_until('two heartbeats', lambda: lab.beats() >= beats + 2)
        self.no_beat_was_late(srv, lab)
        lab.put_probe()
        self.healthy(srv, lab)
        wait_until('all is known', lambda: 'cpu.arch' in srv.node(node['ID'])['Attributes'])
        self.no_beat_was_late(srv, lab)
        self.nothing_is_left(lab)

    def test_gone(self):
        srv = self.start_server()
        lab = self.lab([srv], client=RAW_EXEC, wrapped=False)
        self.check(lab, srv, 'the program for probes is gone.*No such file or directory')

    def test_not_executable(self):
        srv = self.start_server()
        lab = self.lab([srv], client=RAW_EXEC)
        os.chmod(lab.probe, 0o644)
        self.check(lab, srv, 'may not be executed.*Permission denied')

    def test_damaged(self):
        srv = self.start_server()
        lab = self.lab([srv], client=RAW_EXEC)
        with open(lab.probe, 'wb') as f:
            f.write(b'\x7fELF, or what is left of it')
        os.chmod(lab.probe, 0o755)
        self.check(lab, srv, 'damaged or made for another machine.*Exec format error')

    def test_taken_away_from_a_running_agent(self):
        srv = self.start_server()
        lab = self.lab([srv], client=RAW_EXEC).start().wait_api()
        self.ready(srv, lab.node_id())
        self.healthy(srv, lab)
        lab.set('crash', 'cpu')
        lab.run_again()  # reading the configuration needs the program, too
        lab.wait_row(lambda p: p['State'] == 'failed', 'cpu')
        os.rename(lab.probe, lab.probe + '.away')
        row = lab.wait_row(lambda p: 'the program for probes is gone' in p['Reason'], 'cpu')
        self.assertEqual((row['State'], row['Stale']), ('failed', True))
        lab.set('')
        self.assertIn('cpu.arch', srv.node(lab.node_id())['Attributes'])
        os.rename(lab.probe + '.away', lab.probe)
        self.assertFalse(lab.wait_row(lambda p: p['State'] == 'good', 'cpu')['Stale'])
        self.no_beat_was_late(srv, lab)


class HungDocker(IsolationCase):
    def test_socket_that_accepts_and_never_answers(self):
        srv = self.start_server()
        path = os.path.join(self.tmpdir(), 'docker.sock')
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
            s.listen(64)
            env = {'DOCKER_HOST': 'unix://' + path}
            lab = self.lab([srv], client=RAW_EXEC).start(env=env).wait_api()
            self.ready(srv, lab.node_id())
            self.assertEqual(lab.row('driver.docker')['State'], 'never')  # registered while it hangs
            row = lab.wait_row(lambda p: p['State'] == 'good', 'driver.docker')
            ping = next(c for c in row['Checks'] if c['ID'] == 'ping')
            self.assertEqual((ping['Result'], ping['Found']), ('failed', 'no answer in time'))
            told = wait_until('docker is told', lambda: self.driver(srv, lab, 'docker'))
            self.assertFalse(told['Healthy'])
            self.assertEqual(told['HealthDescription'],
                             f'Failed to connect to docker daemon: no answer in time from unix://{path}')
            self.assertIn(told['HealthDescription'], run_cli('node', 'status', '-verbose', lab.node_id(), port=srv.http)[1])
            self.assertIn('no answer in time', lab.explain('driver.docker', env))
            self.no_beat_was_late(srv, lab)
        wait_until('its children end', lambda: not lab.children(), 30)


LIBC = ctypes.CDLL(None, use_errno=True)

# what runs between us and picketd: a mount namespace, prepared, then the program
NAMESPACE = '''
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def must(r, what):
    if r != 0:
        sys.exit(what + ": " + os.strerror(ctypes.get_errno()))
must(libc.unshare(0x20000), "unshare")                                   # CLONE_NEWNS
must(libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None), "private") # MS_REC | MS_PRIVATE
source, target, kind, options, fd = sys.argv[1:6]
flags = 0x1000 if kind == "bind" else 0                                  # MS_BIND
must(libc.mount(source.encode(), target.encode(), None if kind == "bind" else kind.encode(), flags, options.encode()), "mount")
if int(fd) >= 0:
    os.close(int(fd))
os.execv(sys.argv[6], sys.argv[6:])
'''


def in_namespace(source, target, kind, options='', fd=-1):
    return [sys.executable, '-c', NAMESPACE, source, target, kind, options, str(fd)]


class HangingFiles:
    """A file system whose root folder does not answer: a request that its server has taken and does not reply to cannot be
    taken back, so that whoever asked is beyond every signal.  As a dead NFS server looks from here."""

    def __init__(self, hang=True):
        self.fd = os.open('/dev/fuse', os.O_RDWR)
        self.lock = threading.Lock()
        self.hang = hang
        self.waiting = []
        self.seen = 0
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def start(self):
        self.thread.start()

    def reply(self, unique, payload=b'', error=0):
        try:
            os.write(self.fd, struct.pack('=IiQ', 16 + len(payload), error, unique) + payload)
        except OSError:
            pass  # who asked is gone

    def answer(self, opcode, unique):
        now = int(time.time())
        if opcode == 3:  # GETATTR
            attr = struct.pack('=QQQQQQIIIIIIIIII', 1, 0, 0, now, now, now, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
            self.reply(unique, struct.pack('=QII', 0, 0, 0) + attr)
        else:
            self.reply(unique, error=-38)  # ENOSYS

    def serve(self):
        while True:
            try:
                request = os.read(self.fd, 1 << 20)
            except PermissionError:
                time.sleep(0.02)  # not mounted yet
                continue
            except OSError:
                return  # unmounted
            _, opcode, unique = struct.unpack_from('=IIQ', request)
            if opcode == 26:  # INIT
                self.reply(unique, struct.pack('=IIIIHHIIHHI28x', 7, 31, 65536, 0, 12, 10, 65536, 1, 0, 0, 0))
                continue
            if opcode in (2, 36, 38):  # FORGET, INTERRUPT, DESTROY: no answers
                continue
            with self.lock:
                if self.hang:
                    self.seen += 1
                    self.waiting.append((opcode, unique))
                else:
                    self.answer(opcode, unique)

    def release(self):
        with self.lock:
            self.hang = False
            for opcode, unique in self.waiting:
                self.answer(opcode, unique)
            self.waiting = []

    def close(self):
        self.release()
        os.close(self.fd)


def fuse_mount(files, target):
    """the prefix that mounts it where only the program sees it"""
    return in_namespace('server:/export', target, 'fuse.nfs', f'fd={files.fd},rootmode=40000,user_id=0,group_id=0', files.fd)


class HungFileSystem(IsolationCase):
    def hanging_files(self, hang=True):
        if not os.path.exists('/dev/fuse'):
            # NFS is what is left to hang on, and there is none here: say so
            self.fail('/dev/fuse is needed: mknod /dev/fuse c 10 229')
        files = HangingFiles(hang)
        self.addCleanup(files.close)
        return files, self.tmpdir()

    def names(self, lab):
        return [p['Name'] for p in get_json(lab.http, '/v1/agent/fingerprint')['Probes'] if p['Class'] == 'each']

    def test_one_dead_host_volume_takes_no_other_along(self):
        srv = self.start_server()
        dead, dead_mount = self.hanging_files()
        live, live_mount = self.hanging_files(hang=False)
        local = os.path.join(self.tmpdir(), 'local')
        os.mkdir(local)
        dead_block = f'host_volume "dead" {{ path = "{dead_mount}" }}'
        lab = self.lab([srv], client=RAW_EXEC + f'''
  {dead_block}
  host_volume "local" {{ path = "{local}" }}
  host_volume "live"  {{ path = "{live_mount}" }}''')
        lab.start(prefix=fuse_mount(dead, dead_mount) + fuse_mount(live, live_mount), pass_fds=(dead.fd, live.fd))
        dead.start()
        live.start()
        lab.wait_api()
        node_id = lab.node_id()

        def volumes():
            return sorted(srv.node(node_id)['HostVolumes'] or {})

        def told(text):
            return text in [e['Message'] for e in srv.node(node_id)['Events']]
        self.ready(srv, node_id)
        self.assertIn(lab.row('volumes:dead')['State'], ('never', 'hung'))  # registered while it hangs
        wait_until('the other volumes', lambda: volumes() == ['live', 'local'])
        self.healthy(srv, lab)
        row = lab.wait_row(lambda p: p['State'] == 'hung', 'volumes:dead')
        self.assertIn('hangs and cannot be killed', row['Reason'])
        self.assertIn(f'host_volume "dead": stat {dead_mount}, on the fuse.nfs mount {dead_mount} of server:/export', row['Reason'])
        self.assertRegex(row['Reason'], r'state D \(disk sleep\)')
        self.assertIn(row['Reason'], run_cli('fingerprint', '-agent', 'dead', port=lab.http)[1])
        self.assertEqual(self.names(lab), ['volumes:dead', 'volumes:local', 'volumes:live'])
        hung, seen = lab.children(), dead.seen
        self.assertEqual(len(hung), 1)
        # the others are looked at again while it hangs, and it is not
        os.rmdir(local)
        since = time.monotonic()
        lab.run_again()
        wait_until('one is lost', lambda: volumes() == ['live'])
        wait_until('that is told', lambda: told('Host volume local is not available: No such file or directory'))
        lab.wait_row(lambda p: p['State'] == 'good' and p['TriedMs'] < (time.monotonic() - since) * 1000, 'volumes:live')
        wait_until('only that child is left', lambda: lab.children() == hung)
        self.assertEqual(dead.seen, seen)
        os.mkdir(local)
        # rows go and come with the configuration
        with open(lab.config_path, encoding='ascii') as f:
            text = f.read()
        lab.write_config(text.replace(dead_block, f'host_volume "more" {{ path = "{live_mount}" }}'))
        lab.proc.send_signal(signal.SIGHUP)
        wait_until('what is configured now', lambda: volumes() == ['live', 'local', 'more'])
        self.assertEqual(self.names(lab), ['volumes:more', 'volumes:local', 'volumes:live'])
        lab.write_config(text)
        lab.proc.send_signal(signal.SIGHUP)
        wait_until('what was configured before', lambda: volumes() == ['live', 'local'])
        lab.wait_row(lambda p: p['State'] == 'hung', 'volumes:dead')
        wait_until('only that child is left', lambda: lab.children() == hung)
        self.assertEqual(dead.seen, seen)
        self.no_beat_was_late(srv, lab)
        dead.release()
        wait_until('the volume is there', lambda: volumes() == ['dead', 'live', 'local'], 30)
        self.assertEqual(lab.row('volumes:dead')['State'], 'good')
        wait_until('that is told', lambda: told('Host volume dead is available'))
        wait_until('children are gone', lambda: not lab.children())
        self.no_beat_was_late(srv, lab)

    def test_alloc_dir_on_a_dead_file_system(self):
        srv = self.start_server()
        dead, mount = self.hanging_files()
        lab = self.lab([srv], client=RAW_EXEC + f'\n  alloc_dir = "{mount}"')
        lab.start(prefix=fuse_mount(dead, mount), pass_fds=(dead.fd,))
        dead.start()
        lab.wait_api()
        self.ready(srv, lab.node_id())
        self.assertIn(lab.row('storage')['State'], ('never', 'hung'))  # registered while it hangs
        self.assertRegex(lab.wait_row(lambda p: p['State'] == 'hung', 'storage')['Reason'],
                         f'last step: stat {mount}, on the fuse.nfs mount {mount} of server:/export')
        wait_until('it is said', lambda: 'the folder for allocations cannot be made yet' in lab.log())
        self.assertRegex(lab.log(), rf'cannot be made yet.*no answer in 10 s; last step: mkdir {mount} \(state D')
        self.healthy(srv, lab)
        self.no_beat_was_late(srv, lab)
        dead.release()
        wait_until('children are gone', lambda: not lab.children(), 30)
        wait_until('it is there', lambda: 'the folder for allocations is there' in lab.log(), 60)
        self.no_beat_was_late(srv, lab)


class HungConfiguration(IsolationCase):
    def test_a_file_that_hangs_stops_the_reload_only(self):
        srv = self.start_server()
        files = HangingFiles()
        self.addCleanup(files.close)
        mount, folder = os.path.join(self.tmpdir(), 'dead'), self.tmpdir()
        os.mkdir(mount)
        dead = os.path.join(folder, '20-dead.hcl')

        def write(rack):
            with open(os.path.join(folder, '10-meta.hcl'), 'w', encoding='ascii') as f:
                f.write(f'client {{ meta {{ rack = "{rack}" }} }}')

        def reload():
            return run_cli('agent', 'reload', f'-data-dir={lab.data}', timeout=120)
        write('r1')
        lab = self.lab([srv], client=RAW_EXEC)
        lab.start('-config', folder, pass_fds=(files.fd,), prefix=in_namespace(
            'server:/export', mount, 'fuse.nfs', f'fd={files.fd},rootmode=40000,user_id=0,group_id=0', files.fd))
        files.start()
        lab.wait_api()
        node_id = lab.node_id()
        self.ready(srv, node_id)
        self.healthy(srv, lab)
        os.symlink(os.path.join(mount, 'agent.hcl'), dead)
        write('r2')
        said = []
        asking = threading.Thread(target=lambda: said.append(reload()))
        asking.start()
        wait_until('it is read', lambda: files.seen > 0)
        lab.proc.send_signal(signal.SIGHUP)  # read once more when that is over
        self.assertEqual(get_json(lab.http, '/v1/agent/self')['config']['Client']['Meta']['rack'], 'r1')
        asking.join(120)
        code, out, err = said[0]
        hang = rf'no answer in 10 s; last step: read {re.escape(dead)} \(state D \(disk sleep\)'
        self.assertEqual((code, out), (1, ''))
        self.assertRegex(err, f'^cannot read the configuration files: {hang}')
        self.assertIn('Configuration not reloaded, the old one stays in force', err)
        wait_until('the signal is answered', lambda: 'the last one still hangs' in lab.log())
        self.assertRegex(lab.log(), f'configuration not reloaded, the old one stays.*the last one still hangs: {hang}')
        self.assertRegex(reload()[2], f'the last one still hangs: {hang}')
        self.assertEqual(files.seen, 1)  # nobody else has touched it
        self.assertEqual(srv.node(node_id)['Meta']['rack'], 'r1')
        self.no_beat_was_late(srv, lab)
        files.release()
        wait_until('the child is gone', lambda: not lab.children())
        code, out, err = reload()  # the file system answers, with an error
        self.assertEqual((code, out), (1, ''))
        self.assertIn(f'Error loading configuration from {folder}: {dead}: Function not implemented', err)
        os.unlink(dead)
        code, out, err = reload()
        self.assertEqual((code, out), (0, 'Configuration reloaded\nApplied:\n  client.meta\n'), err)
        wait_until('the server knows', lambda: srv.node(node_id)['Meta']['rack'] == 'r2')
        self.no_beat_was_late(srv, lab)
        self.assertEqual(lab.stop(), 0)


class NameServer:
    """answers nothing until it is told to, then every question for an IPv4 address with 127.0.0.1"""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for i in range(1, 250):  # the port cannot be chosen: an address of our own on it
            self.address = f'127.{os.getpid() % 200 + 20}.{i}.53'
            try:
                self.sock.bind((self.address, 53))
                break
            except OSError:
                continue
        self.answering = False
        self.asked = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                q, who = self.sock.recvfrom(4096)
            except OSError:
                return
            self.asked += 1
            if not self.answering:
                continue
            end = q.index(b'\0', 12) + 5
            kind, = struct.unpack_from('>H', q, end - 4)
            answers = 1 if kind == 1 else 0
            head = q[:2] + struct.pack('>HHHHH', 0x8180, 1, answers, 0, 0)
            record = b'\xc0\x0c' + struct.pack('>HHIH', 1, 1, 60, 4) + bytes([127, 0, 0, 1]) if answers else b''
            self.sock.sendto(head + q[12:end] + record, who)


class HungNameServer(IsolationCase):
    def test_names_of_servers_that_nobody_answers_for(self):
        srv = self.start_server()
        names = NameServer()
        self.addCleanup(names.sock.close)
        resolv = os.path.join(self.tmpdir(), 'resolv.conf')
        with open(resolv, 'w', encoding='ascii') as f:
            f.write(f'nameserver {names.address}\noptions timeout:30 attempts:1\n')
        prefix = in_namespace(resolv, os.path.realpath('/etc/resolv.conf'), 'bind')

        def lab(servers):
            a = self.lab([srv], client=RAW_EXEC)
            with open(a.config_path, encoding='ascii') as f:
                text = f.read()
            a.write_config(text.replace(f'servers = ["127.0.0.1:{srv.rpc}"]', f'servers = [{servers}]'))
            return a.start(prefix=prefix).wait_api()

        both = lab(f'"server.hung.example:{srv.rpc}", "127.0.0.1:{srv.rpc}"')
        only = lab(f'"server.hung.example:{srv.rpc}"')
        self.ready(srv, both.node_id())  # while the name hangs
        self.assertGreater(names.asked, 0)
        self.healthy(srv, both)
        wait_until('the name is given up', lambda: 'cannot resolve the name of a server' in both.log(), 30)
        self.assertIn('no answer in 10 s', both.log())
        wait_until('children are gone', lambda: not both.children())
        self.no_beat_was_late(srv, both)
        # the one that knows no other server answers its own API, and finds its server as soon as it can
        self.assertEqual(get_json(only.http, '/v1/agent/self')['stats']['client']['known_servers'], '')
        names.answering = True
        self.ready(srv, only.node_id(), 90)
        self.no_beat_was_late(srv, only)
        self.no_beat_was_late(srv, both)


class CollectedAllocations(unittest.TestCase):
    """the odd job that deletes: on its mount only, whoever asks"""

    def test_a_mount_inside_is_left_alone(self):
        with tempfile.TemporaryDirectory() as d:
            os.makedirs(f'{d}/alloc/mnt')
            os.makedirs(f'{d}/other')
            with open(f'{d}/other/precious', 'w', encoding='ascii') as f:
                f.write('x')
            real = os.path.abspath(os.path.join(BIN, 'picket-probe'))
            r = subprocess.run([*in_namespace(f'{d}/other', f'{d}/alloc/mnt', 'bind'), real, '-delete', f'{d}/alloc', '-below', d],
                               capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertEqual(json.loads(r.stdout)['Kept'], [f'{d}/alloc/mnt: something is mounted there'])
            self.assertTrue(os.path.exists(f'{d}/other/precious'))


if __name__ == '__main__':
    unittest.main()
